/*
 * received: the numbers that were delivered and not yet checked, as a sorted set.
 *
 * Numbers nearly always come in rising order, so an add is an append; a late one is put in its
 * place. Bounded: what does not fit is refused. Threads: none inside.
 */
#ifndef NHUB_CLIENT_RECEIVED_H
#define NHUB_CLIENT_RECEIVED_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct received;

NHUB_MUST_USE nhub_err received_create(struct received **out, size_t max); /* Errors: NHUB_ENOMEM */
void received_destroy(struct received **r_p);
/* False when it is full or memory is short; a number that is there already is fine. */
NHUB_MUST_USE bool received_add(struct received *r, uint64_t seq);
bool received_has(const struct received *r, uint64_t seq);
size_t received_count_to(const struct received *r, uint64_t seq); /* numbers <= seq */
void received_drop_to(struct received *r, uint64_t seq);          /* removes numbers <= seq */
void received_clear(struct received *r);
uint64_t received_newest(const struct received *r); /* 0 when empty */
/* The smallest number > seq, UINT64_MAX when there is none. */
uint64_t received_next(const struct received *r, uint64_t seq);

#endif
