/*
 * zblock: copies one behind the other, counted.
 *
 * The owner keeps its own count of copies, and takes it off a large number at the end: so it writes
 * to the counter twice in a block's life, not for each copy, and the counter stays in the cache of
 * the thread that gives back.
 */
#include "base/zblock.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 4096
#define OWNED       (UINT32_C(1) << 30) /* more than all copies of a block */

struct zblock {
    _Atomic uint32_t held; /* copies not given back, and OWNED minus all copies while it is open */
    uint32_t copies;
    size_t used;
    char bytes[];
};

/* Counts blocks that were made. Who gives back reads it first, which orders the making of the block
 * before it; libzmq's queues do so as well, but in a way that no tool can see. One a process,
 * because blocks outlive their owners. */
static _Atomic uint32_t made;

static void drop(struct zblock *b, uint32_t count)
{
    if (atomic_fetch_sub_explicit(&b->held, count, memory_order_acq_rel) == count) {
        free(b);
    }
}

void zblock_close(struct zblock **block_p)
{
    struct zblock *b = *block_p;

    if (b) {
        *block_p = NULL;
        drop(b, OWNED - b->copies);
    }
}

void *zblock_copy(struct zblock **block_p, const void *bytes, size_t len)
{
    const size_t room = BLOCK_BYTES - sizeof(struct zblock);
    struct zblock *b = *block_p;
    char *copy = NULL;

    if (b && len > room - b->used) {
        zblock_close(block_p);
        b = NULL;
    }
    if (!b) {
        b = malloc(BLOCK_BYTES);
        if (!b) {
            return NULL;
        }
        atomic_init(&b->held, OWNED);
        b->copies = 0;
        b->used = 0;
        *block_p = b;
        atomic_fetch_add_explicit(&made, 1, memory_order_release);
    }
    copy = b->bytes + b->used;
    memcpy(copy, bytes, len);
    b->used += len;
    b->copies++;
    return copy;
}

void zblock_give_back(void *bytes, void *block)
{
    (void)bytes;
    (void)atomic_load_explicit(&made, memory_order_acquire);
    drop(block, 1);
}
