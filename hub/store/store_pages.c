/*
 * store_pages: one walk over each table, from its root down. Bounds for keys come from the branches
 * above, so that pages may be looked at in any order.
 */
#include "store/store_pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TREE_KINDS     0x7fu /* all flags of a table that LMDB knows */
#define NO_PAGE        UINT64_MAX
#define DEPTH_MAX      32 /* of LMDB's cursors */
#define KEY_MAX        511
#define TREES_MAX      16
#define PROGRESS_PAGES 4096

/* A key inside a page that is being looked at; bytes NULL = no bound. */
struct key {
    const unsigned char *bytes;
    size_t len;
};

struct walker {
    const struct store_bytes *bytes;
    const struct store_snapshot *snapshot;
    struct store_page_check *check;
    unsigned char *seen;                /* a bit for each page */
    unsigned char *level[DEPTH_MAX];    /* a page each */
    struct store_tree trees[TREES_MAX]; /* found in the table of tables */
    size_t tree_count;
    uint64_t all_pages;
    unsigned char units[LAYOUT_PAGE_MAX / 2]; /* of two bytes: which of a page's are taken */
};

/* One table while it is walked. */
struct table {
    struct walker *w;
    struct store_tree tree;
    bool is_list;   /* the free list */
    bool is_tables; /* the table of tables */
    bool was_limited;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries;
};

/* ---- pages ---- */

static nhub_err wrong(struct walker *w, uint64_t page, const char *what)
{
    (void)snprintf(w->check->why, sizeof w->check->why, "page %" PRIu64 " %s", page, what);
    return NHUB_EPROTO;
}

/* Marks `count` pages from `page` on as met. Errors: NHUB_EPROTO out of the file or met before. */
static nhub_err meet(struct walker *w, uint64_t page, uint64_t count)
{
    if (page < 2 || page >= w->all_pages || count > w->all_pages - page) {
        return wrong(w, page, "does not exist, and another one points to it");
    }
    for (uint64_t p = page; p < page + count; p++) {
        if (w->seen[p / 8] & (1u << p % 8)) {
            return wrong(w, p, "is used twice");
        }
        w->seen[p / 8] = (unsigned char)(w->seen[p / 8] | 1u << p % 8);
    }
    return NHUB_OK;
}

static void count_page(struct walker *w)
{
    w->check->pages++;
    if (w->check->progress && w->check->pages % PROGRESS_PAGES == 0) {
        w->check->progress(w->check->context, w->check->pages, w->all_pages);
    }
}

static nhub_err read_page(struct walker *w, uint64_t page, uint64_t offset, void *out, size_t n)
{
    const uint64_t at = page * w->snapshot->page_bytes + offset;

    return w->bytes->read(w->bytes->context, at, out, n) ? NHUB_OK
                                                         : wrong(w, page, "cannot be read");
}

static struct key key_of(const unsigned char *node)
{
    return (struct key){node + LAYOUT_NODE, layout_get16(node + 6)};
}

static int compare(const struct table *t, const struct key *a, const struct key *b)
{
    const size_t shorter = a->len < b->len ? a->len : b->len;
    int order = 0;

    if (t->tree.flags & LAYOUT_INTEGER) { /* both have 8 bytes: check_key() */
        const uint64_t x = layout_get64(a->bytes), y = layout_get64(b->bytes);

        return x < y ? -1 : x > y;
    }
    order = memcmp(a->bytes, b->bytes, shorter);
    return order ? order : (a->len < b->len ? -1 : a->len > b->len);
}

/* A node that lies in the page, and not on another one: LMDB moves what is behind a node that it
 * deletes, and would make a third one out of two that overlap. NULL, or what is wrong. */
static const char *check_node(struct walker *w, const unsigned char *bytes, size_t i, bool is_leaf)
{
    const size_t size = w->snapshot->page_bytes;
    const size_t upper = layout_get16(bytes + 14);
    const size_t at = layout_get16(bytes + LAYOUT_HEAD + 2 * i);
    const unsigned char *node = bytes + at;
    size_t room = 0, len = 0;

    if (at % 2 != 0 || at < upper || at + LAYOUT_NODE > size) {
        return "has an entry that lies outside";
    }
    room = size - at - LAYOUT_NODE;
    if (layout_get16(node + 6) > room) {
        return "has a key that ends outside";
    }
    room -= layout_get16(node + 6);
    len = !is_leaf                                     ? 0
          : (layout_get16(node + 4) & LAYOUT_NODE_BIG) ? sizeof(uint64_t)
                                                       : layout_value_size(node);
    if (len > room) {
        return "has a value that ends outside";
    }
    for (size_t unit = at / 2; unit < (size - room + len + 1) / 2; unit++) {
        if (w->units[unit]) {
            return "has entries that overlap";
        }
        w->units[unit] = 1;
    }
    return NULL;
}

/* The head of a branch or leaf, and that all offsets point to nodes of their own. */
static nhub_err check_layout(const struct table *t, uint64_t page, const unsigned char *bytes,
                             bool is_leaf)
{
    const size_t size = t->w->snapshot->page_bytes;
    const size_t lower = layout_get16(bytes + 12), upper = layout_get16(bytes + 14);
    const size_t least = is_leaf || t->is_list ? 1 : 2;

    if (layout_get64(bytes) != page) {
        return wrong(t->w, page, "has the number of another page");
    }
    /* LMDB's mark for a page that is in memory, P_DIRTY, is taken off before a page is written. If
     * it were there, LMDB would write into its read-only map. */
    if (layout_get16(bytes + 10) != (is_leaf ? LAYOUT_LEAF : LAYOUT_BRANCH)) {
        return wrong(t->w, page, "is of another kind than its place asks for");
    }
    if (lower < LAYOUT_HEAD || lower % 2 != 0 || lower > upper || upper > size || upper % 2 != 0 ||
        layout_node_count(bytes) < least) {
        return wrong(t->w, page, "has a head that makes no sense");
    }
    memset(t->w->units, 0, size / 2);
    for (size_t i = 0; i < layout_node_count(bytes); i++) {
        const char *what = check_node(t->w, bytes, i, is_leaf);

        if (what) {
            return wrong(t->w, page, what);
        }
    }
    if (memchr(t->w->units + upper / 2, 0, (size - upper) / 2)) {
        return wrong(t->w, page, "has room between its entries");
    }
    return NHUB_OK;
}

/* Keys of the right length, ascending, between the bounds that the branches above give. */
static nhub_err check_keys(const struct table *t, uint64_t page, const unsigned char *bytes,
                           bool is_leaf, const struct key *low, const struct key *high)
{
    struct key before = *low;

    for (size_t i = is_leaf ? 0 : 1; i < layout_node_count(bytes); i++) {
        const struct key key = key_of(layout_node_at(bytes, i));
        /* The smallest key below a branch may be the bound itself, others only come behind. */
        const int least = is_leaf && i == 0 ? 0 : 1;

        if (key.len == 0 || key.len > KEY_MAX ||
            ((t->tree.flags & LAYOUT_INTEGER) && key.len != sizeof(uint64_t))) {
            return wrong(t->w, page, "has a key of a length that cannot be");
        }
        if ((before.bytes && compare(t, &key, &before) < least) ||
            (high->bytes && compare(t, &key, high) >= 0)) {
            return wrong(t->w, page, "has keys out of order");
        }
        before = key;
    }
    return NHUB_OK;
}

static nhub_err check_big_value(struct table *t, uint64_t page, const unsigned char *node,
                                uint64_t *out_first)
{
    const struct key key = key_of(node);
    const uint64_t first = layout_get64(key.bytes + key.len);
    const uint64_t pages =
        (LAYOUT_HEAD - 1 + layout_value_size(node)) / t->w->snapshot->page_bytes + 1;
    unsigned char head[LAYOUT_HEAD];
    nhub_err status = meet(t->w, first, pages);

    if (!status) {
        status = read_page(t->w, first, 0, head, sizeof head);
    }
    if (status) {
        return status;
    }
    count_page(t->w);
    if (layout_get64(head) != first || layout_get16(head + 10) != LAYOUT_OVERFLOW ||
        layout_get32(head + 12) != pages) {
        return wrong(t->w, page, "has a long value whose pages are not its own");
    }
    t->overflow_pages += pages;
    *out_first = first;
    return NHUB_OK;
}

/* A list of free pages: of those none may be in use. */
static nhub_err check_list(struct table *t, uint64_t page, const unsigned char *node,
                           uint64_t big_first)
{
    const struct key key = key_of(node);
    const uint64_t size = layout_value_size(node);
    unsigned char *copy = NULL;
    nhub_err status = NHUB_OK;
    uint64_t count = 0, before = UINT64_MAX;

    if (layout_get64(key.bytes) > t->w->snapshot->txn) {
        return wrong(t->w, page, "has free pages of a transaction that has not been");
    }
    if (size < 8 || size % 8 != 0) {
        return wrong(t->w, page, "has a list of free pages that is no list");
    }
    copy = malloc(size);
    if (!copy) {
        return NHUB_ENOMEM;
    }
    if (big_first) {
        status = read_page(t->w, big_first, LAYOUT_HEAD, copy, size);
    } else {
        memcpy(copy, key.bytes + key.len, size);
    }
    count = layout_get64(copy);
    if (!status && count > size / 8 - 1) {
        status = wrong(t->w, page, "has a list of free pages that ends outside");
    }
    for (uint64_t i = 1; !status && i <= count; i++) {
        const uint64_t free_page = layout_get64(copy + 8 * i);

        status = free_page < before ? meet(t->w, free_page, 1)
                                    : wrong(t->w, page, "has a list of free pages out of order");
        before = free_page;
        t->w->check->free++;
    }
    free(copy);
    return status;
}

static nhub_err check_tree_value(struct table *t, uint64_t page, const unsigned char *node)
{
    const struct key key = key_of(node);
    struct walker *w = t->w;
    struct store_tree *tree = NULL;

    if (w->tree_count == TREES_MAX || layout_value_size(node) != LAYOUT_TREE_BYTES) {
        return wrong(w, page, "has tables that no journal has");
    }
    tree = &w->trees[w->tree_count++];
    layout_read_tree(key.bytes + key.len, tree);
    if (tree->flags & ~LAYOUT_INTEGER) {
        return wrong(w, page, "has a table of a kind that no journal has");
    }
    return NHUB_OK;
}

static nhub_err check_leaf(struct table *t, uint64_t page, const unsigned char *bytes)
{
    nhub_err status = NHUB_OK;

    t->leaf_pages++;
    for (size_t i = 0; !status && i < layout_node_count(bytes); i++) {
        const unsigned char *node = layout_node_at(bytes, i);
        const unsigned flags = layout_get16(node + 4);
        uint64_t big_first = 0;

        t->entries++;
        if (flags != (t->is_tables ? LAYOUT_NODE_TREE : flags & LAYOUT_NODE_BIG)) {
            return wrong(t->w, page, "has an entry of a kind that no journal has");
        }
        if (flags & LAYOUT_NODE_BIG) {
            status = check_big_value(t, page, node, &big_first);
        }
        if (!status && t->is_tables) {
            status = check_tree_value(t, page, node);
        } else if (!status && t->is_list) {
            status = check_list(t, page, node, big_first);
        }
    }
    return status;
}

static bool is_over(const struct table *t)
{
    const struct store_page_check *check = t->w->check;

    return check->max_pages != 0 && check->pages >= check->max_pages && !t->is_list &&
           !t->is_tables;
}

static nhub_err check_page(struct table *t, uint64_t page, unsigned level, struct key low,
                           struct key high);

static nhub_err check_child(struct table *t, const unsigned char *bytes, size_t i, unsigned level,
                            struct key low, struct key high)
{
    const struct key from = i == 0 ? low : key_of(layout_node_at(bytes, i));
    const struct key to =
        i + 1 < layout_node_count(bytes) ? key_of(layout_node_at(bytes, i + 1)) : high;

    return check_page(t, layout_child(layout_node_at(bytes, i)), level + 1, from, to);
}

/* First the two ends, then, as far as allowed, what is between them from the newest on. */
static nhub_err check_children(struct table *t, const unsigned char *bytes, unsigned level,
                               struct key low, struct key high)
{
    const size_t count = layout_node_count(bytes);
    nhub_err status = check_child(t, bytes, 0, level, low, high);

    t->branch_pages++;
    for (size_t i = count - 1; !status && i > 0; i--) {
        if (i + 1 < count && is_over(t)) {
            t->was_limited = true;
            break;
        }
        status = check_child(t, bytes, i, level, low, high);
    }
    return status;
}

static nhub_err check_page(struct table *t, uint64_t page, unsigned level, struct key low,
                           struct key high)
{
    const bool is_leaf = level + 1 == t->tree.depth;
    struct walker *w = t->w;
    unsigned char *bytes = NULL;
    nhub_err status = meet(w, page, 1);

    if (status) {
        return status;
    }
    if (!w->level[level]) {
        w->level[level] = malloc(w->snapshot->page_bytes);
    }
    bytes = w->level[level];
    if (!bytes) {
        return NHUB_ENOMEM;
    }
    status = read_page(w, page, 0, bytes, w->snapshot->page_bytes);
    count_page(w);
    if (!status) {
        status = check_layout(t, page, bytes, is_leaf);
    }
    if (!status) {
        status = check_keys(t, page, bytes, is_leaf, &low, &high);
    }
    if (status) {
        return status;
    }
    return is_leaf ? check_leaf(t, page, bytes) : check_children(t, bytes, level, low, high);
}

static nhub_err check_table(struct walker *w, const struct store_tree *tree, bool is_list,
                            bool is_tables)
{
    const struct key none = {NULL, 0};
    struct table t = {.w = w, .tree = *tree, .is_list = is_list, .is_tables = is_tables};
    nhub_err status = NHUB_OK;

    if (tree->root == NO_PAGE) {
        return tree->entries == 0 && tree->depth == 0
                   ? NHUB_OK
                   : wrong(w, 0, "or 1 speaks of an empty table with entries");
    }
    if (tree->depth == 0 || tree->depth > DEPTH_MAX) {
        return wrong(w, tree->root, "is the root of a table whose depth makes no sense");
    }
    status = check_page(&t, tree->root, 0, none, none);
    if (!status && !t.was_limited &&
        (t.branch_pages != tree->branch_pages || t.leaf_pages != tree->leaf_pages ||
         t.overflow_pages != tree->overflow_pages || t.entries != tree->entries)) {
        status = wrong(w, tree->root, "is the root of a table that has lost or won entries");
    }
    w->check->in_use += tree->branch_pages + tree->leaf_pages + tree->overflow_pages;
    w->check->was_limited |= t.was_limited;
    return status;
}

nhub_err store_pages_check(const struct store_bytes *bytes, const struct store_snapshot *snapshot,
                           struct store_page_check *check)
{
    struct walker w = {
        .bytes = bytes, .snapshot = snapshot, .check = check, .all_pages = snapshot->last_page + 1};
    struct store_tree list = snapshot->free_list;
    nhub_err status = NHUB_OK;

    check->pages = check->in_use = check->free = 0;
    check->was_limited = false;
    if (bytes->size / snapshot->page_bytes < w.all_pages) {
        return wrong(&w, bytes->size / snapshot->page_bytes, "and those behind it are missing");
    }
    w.seen = calloc(1, w.all_pages / 8 + 1);
    if (!w.seen) {
        return NHUB_ENOMEM;
    }
    /* The first tree's flags are also those of the whole file; the lower ones say how keys are
     * compared and whether there may be several values. */
    if ((list.flags & TREE_KINDS) != LAYOUT_INTEGER || snapshot->tables.flags != 0) {
        status = wrong(&w, snapshot->txn % 2, "speaks of tables of a kind that no journal has");
    }
    list.flags = LAYOUT_INTEGER;
    /* Always looked at as a whole: a page in it that is in use would be overwritten. */
    if (!status) {
        status = check_table(&w, &list, true, false);
    }
    if (!status) {
        status = check_table(&w, &snapshot->tables, false, true);
    }
    for (size_t i = 0; !status && i < w.tree_count; i++) {
        status = check_table(&w, &w.trees[i], false, false);
    }
    if (check->progress) {
        check->progress(check->context, check->pages, w.all_pages);
    }
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        free(w.level[i]);
    }
    free(w.seen);
    return status;
}
