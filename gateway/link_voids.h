/*
 * link_voids: the ranges of numbers that have no event to be had, as the hub told them last.
 *
 * The hub names the newest LINK_VOIDS_MAX of an epoch, ascending. One that is not in the list is
 * met as the gap of a history page.
 *
 * Threads: any; pure functions on a plain value.
 */
#ifndef GATEWAY_LINK_VOIDS_H
#define GATEWAY_LINK_VOIDS_H

#include "gateway/feed.h"

#include <stddef.h>
#include <stdint.h>

#define LINK_VOIDS_MAX 64

/* Numbers that no event has, both ends included. */
struct link_void {
    uint64_t from, to;
    enum gap_reason reason;
};
struct link_voids {
    struct link_void list[LINK_VOIDS_MAX];
    size_t count;
};

/* Adds one at the end; when there is no room the first one is forgotten. */
void link_voids_add(struct link_voids *v, const struct link_void *hollow);
/* The void that seq lies in; NULL when in none. */
const struct link_void *link_voids_at(const struct link_voids *v, uint64_t seq);
/* The last number before the first void that begins behind seq, at most end. */
uint64_t link_voids_before_next(const struct link_voids *v, uint64_t seq, uint64_t end);
/* The first number of the last `count` ones up to and including `last` that lie in no void; at
 * least 1. */
uint64_t link_voids_back(const struct link_voids *v, uint64_t last, uint64_t count);

#endif
