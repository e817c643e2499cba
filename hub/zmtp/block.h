/*
 * block: counted bytes on their way to one connection or to many, which share them.
 *
 * Threads: none inside; a block and all who count on it belong to one loop.
 */
#ifndef NHUB_ZMTP_BLOCK_H
#define NHUB_ZMTP_BLOCK_H

#include <notifyhub/error.h>
#include <stddef.h>

struct block {
    size_t refs;
    size_t len; /* bytes that are filled; what is behind them may still be added to */
    size_t cap;
    char *bytes;
    void (*gone)(void *context,
                 struct block *b); /* called before it is freed; NULL = nobody asks */
    void *context;
    struct block *older, *newer; /* for a list of the owner's */
};

/* An empty block of cap bytes with one reference. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err block_create(struct block **out, size_t cap);
/* A full block over memory of malloc(), which it frees. Errors: NHUB_ENOMEM, the memory is still
 * the caller's. */
NHUB_MUST_USE nhub_err block_adopt(struct block **out, char *bytes, size_t len);
struct block *block_ref(struct block *b);
void block_unref(struct block **b_p); /* sets *b_p to NULL; a NULL is fine */

#endif
