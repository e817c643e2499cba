/*
 * store_layout: LMDB's file format, version 1 (liblmdb 0.9, mdb.c: MDB_page, MDB_node, MDB_meta),
 * as far as this room reads it by itself. Numbers are in the machine's own order.
 *
 *     meta page     0 page number (8)  10 flags (2)   16 magic (4)   20 version (4)
 *                  24 address (8)      32 map size    40 tree of the free list   88 tree of tables
 *                 136 last page (8)   144 transaction (8)
 *     tree          0 page size or 0 (4)  4 flags (2)  6 depth (2)  8 branch, 16 leaf, 24 overflow
 *                  pages  32 entries  40 root
 *     page          0 page number (8)  10 flags (2)  12 lower (2)  14 upper (2)
 *                  16 offsets of nodes (2 each)
 *     overflow      0 page number (8)  10 flags (2)  12 how many pages (4)  16 the value
 *     node          0 low (2)  2 high (2)  4 flags (2)  6 key size (2)  8 key, value
 *
 * A branch's node has the number of its child in low, high and flags, and the smallest key below
 * it (that of the first node is not used). A leaf's node has the size of its value in low and high;
 * a value that is too long for the page stands in overflow pages. The table of tables has the tree
 * of each table as value. The free list maps transactions to lists: count, page numbers.
 *
 * Functions that take a page trust nothing but its size, unless they say so. Threads: any.
 */
#ifndef NHUB_STORE_STORE_LAYOUT_H
#define NHUB_STORE_STORE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Kinds of pages, of nodes, of tables; sizes of heads. */
#define LAYOUT_BRANCH     0x01u
#define LAYOUT_LEAF       0x02u
#define LAYOUT_OVERFLOW   0x04u
#define LAYOUT_NODE_BIG   0x01u
#define LAYOUT_NODE_TREE  0x02u
#define LAYOUT_INTEGER    0x08u /* MDB_INTEGERKEY */
#define LAYOUT_TREE_BYTES 48
#define LAYOUT_HEAD       16
#define LAYOUT_NODE       8
#define LAYOUT_PAGE_MAX   32768

/* Where the bytes come from. */
struct store_bytes {
    uint64_t size;
    /* Returns false when these bytes cannot be had. */
    bool (*read)(void *context, uint64_t offset, void *out, size_t n);
    void *context;
};

/* A table's tree, as LMDB keeps it in its meta pages and in the list of tables. */
struct store_tree {
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* A meta page: a snapshot of the whole file. */
struct store_snapshot {
    uint32_t page_bytes;
    uint64_t last_page;
    uint64_t txn;
    struct store_tree free_list, tables;
};

/* Reads a meta page (0 or 1). Returns NULL, or a static text that says what is wrong with it. */
const char *store_snapshot_read(const struct store_bytes *bytes, int index, uint32_t page_bytes,
                                struct store_snapshot *out);
/* The two meta pages; *out is the newer one. Returns as store_snapshot_read(). */
const char *store_snapshot_newest(const struct store_bytes *bytes, struct store_snapshot *out);

/* Entry i of a page, if the page looks like a leaf with so many of them: with a key of eight bytes
 * (else size is 0) and a value that is in the page, or begins 16 bytes into first_page. Nothing
 * else about the page has to be right. */
struct store_leaf_entry {
    uint64_t key;
    uint64_t size;
    const unsigned char *value; /* NULL: in pages of its own */
    uint64_t first_page;
};
bool store_leaf_entry(const unsigned char *page, size_t page_bytes, uint64_t page_no, size_t i,
                      struct store_leaf_entry *out);
/* ---- parts of a page ---- */

static inline uint64_t layout_get64(const unsigned char *p)
{
    uint64_t value = 0;

    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint32_t layout_get32(const unsigned char *p)
{
    uint32_t value = 0;

    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint16_t layout_get16(const unsigned char *p)
{
    uint16_t value = 0;

    memcpy(&value, p, sizeof value);
    return value;
}

void layout_read_tree(const unsigned char *p, struct store_tree *out);

/* The next ones are for pages whose entries lie inside. */

static inline size_t layout_node_count(const unsigned char *page)
{
    return (size_t)(layout_get16(page + 12) - LAYOUT_HEAD) / 2;
}

static inline const unsigned char *layout_node_at(const unsigned char *page, size_t i)
{
    return page + layout_get16(page + LAYOUT_HEAD + 2 * i);
}

static inline uint64_t layout_child(const unsigned char *node)
{
    return layout_get16(node) | (uint64_t)layout_get16(node + 2) << 16 |
           (uint64_t)layout_get16(node + 4) << 32;
}

static inline uint64_t layout_value_size(const unsigned char *node)
{
    return layout_get16(node) | (uint64_t)layout_get16(node + 2) << 16;
}

#endif
