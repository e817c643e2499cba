/*
 * zblock: memory for many short frames that one thread sends and another gives back.
 *
 * A frame that is allocated for itself here and freed by libzmq's I/O thread makes both threads
 * fight for the allocator's lock: at 600 000 events/s every fourth one cost a futex call. Here a
 * block of a page is taken for about ten of them, and the last one that is given back frees it. A
 * peer that does not read holds the whole blocks of its frames, so the memory of a queue is at most
 * a page for each message in it.
 *
 * Threads: zblock_copy() and zblock_close() from the owner's; zblock_give_back() from any.
 */
#ifndef NHUB_BASE_ZBLOCK_H
#define NHUB_BASE_ZBLOCK_H

#include <stddef.h>

/* Longer frames have memory of their own. */
#define ZBLOCK_MAX_LEN 1024

struct zblock;

/* Copies len bytes, at most ZBLOCK_MAX_LEN, into *block_p, which is replaced when it is full (NULL:
 * none yet). NULL when there is no memory. Each copy is to be given back once, with *block_p as it
 * is after the call. */
void *zblock_copy(struct zblock **block_p, const void *bytes, size_t len);
/* The form that zframe_init_foreign() asks for. */
void zblock_give_back(void *bytes, void *block);
/* The owner needs it no more; it lives on until every copy is given back. NULL is fine. */
void zblock_close(struct zblock **block_p);

#endif
