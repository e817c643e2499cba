/* store_layout: meta pages, and the entries of leaves that may be damaged. */
#include "store/store_layout.h"

#define META_BYTES  152
#define MAGIC       0xbeefc0deu
#define VERSION     1u
#define LAYOUT_META 0x08u

void layout_read_tree(const unsigned char *p, struct store_tree *out)
{
    out->flags = layout_get16(p + 4);
    out->depth = layout_get16(p + 6);
    out->branch_pages = layout_get64(p + 8);
    out->leaf_pages = layout_get64(p + 16);
    out->overflow_pages = layout_get64(p + 24);
    out->entries = layout_get64(p + 32);
    out->root = layout_get64(p + 40);
}

/* ---- meta pages ---- */

const char *store_snapshot_read(const struct store_bytes *bytes, int index, uint32_t page_bytes,
                                struct store_snapshot *out)
{
    unsigned char p[META_BYTES];

    if (!bytes->read(bytes->context, (uint64_t)index * page_bytes, p, sizeof p)) {
        return "it is too short to be a journal";
    }
    if ((layout_get16(p + 10) & LAYOUT_META) == 0 || layout_get32(p + 16) != MAGIC) {
        return "it is no LMDB file, or its first pages are overwritten";
    }
    if (layout_get32(p + 20) != VERSION) {
        return "it has another version of LMDB's file format";
    }
    out->page_bytes = layout_get32(p + 40);
    out->last_page = layout_get64(p + 136);
    out->txn = layout_get64(p + 144);
    layout_read_tree(p + 40, &out->free_list);
    layout_read_tree(p + 88, &out->tables);
    if (out->page_bytes < 4096 || out->page_bytes > LAYOUT_PAGE_MAX ||
        (out->page_bytes & (out->page_bytes - 1)) != 0) {
        return "its page size makes no sense";
    }
    if (out->last_page < 1 || out->last_page > UINT64_MAX / out->page_bytes - 2) {
        return "its count of pages makes no sense";
    }
    return NULL;
}

const char *store_snapshot_newest(const struct store_bytes *bytes, struct store_snapshot *out)
{
    struct store_snapshot second;
    const char *why = store_snapshot_read(bytes, 0, 0, out);

    if (!why) {
        why = store_snapshot_read(bytes, 1, out->page_bytes, &second);
    }
    if (why) {
        return why;
    }
    /* Transaction n is written to page n modulo 2, and read from there. A new file has 0 in both.
     */
    if (second.page_bytes != out->page_bytes || out->txn % 2 != 0 ||
        (second.txn % 2 != 1 && second.txn != 0)) {
        return "its first two pages do not fit together";
    }
    if (second.txn > out->txn) {
        *out = second;
    }
    return NULL;
}

bool store_leaf_entry(const unsigned char *page, size_t page_bytes, uint64_t page_no, size_t i,
                      struct store_leaf_entry *out)
{
    const size_t lower = layout_get16(page + 12);
    size_t at = 0, room = 0;

    if (layout_get64(page) != page_no || layout_get16(page + 10) != LAYOUT_LEAF ||
        lower < LAYOUT_HEAD || lower > page_bytes || i >= layout_node_count(page)) {
        return false;
    }
    *out = (struct store_leaf_entry){.key = 0};
    at = layout_get16(page + LAYOUT_HEAD + 2 * i);
    if (at < lower || at + LAYOUT_NODE + sizeof out->key > page_bytes ||
        layout_get16(page + at + 6) != sizeof out->key) {
        return true;
    }
    room = page_bytes - at - LAYOUT_NODE - sizeof out->key;
    out->key = layout_get64(page + at + LAYOUT_NODE);
    out->size = layout_value_size(page + at);
    if (layout_get16(page + at + 4) == LAYOUT_NODE_BIG && room >= sizeof out->first_page) {
        out->first_page = layout_get64(page + at + LAYOUT_NODE + sizeof out->key);
    } else if (layout_get16(page + at + 4) == 0 && room >= out->size) {
        out->value = page + at + LAYOUT_NODE + sizeof out->key;
    } else {
        out->size = 0;
    }
    return true;
}
