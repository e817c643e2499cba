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
    drop(block, 1);
}
