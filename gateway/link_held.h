/*
 * link_held: events that wait behind a hole, sorted by seq, each seq once, all of one epoch.
 *
 * Bounded by bytes: an event that does not fit is refused, so that a long refill costs a known
 * amount of memory; what was refused is fetched again later. Arrivals come nearly sorted, so adding
 * at the end is O(1); anywhere else it costs a move.
 *
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_HELD_H
#define GATEWAY_LINK_HELD_H

#include "gateway/feed.h"

#include <stdbool.h>

/* The waiting events are slots[head] to slots[head + count - 1], seq ascending. */
struct link_held {
    struct feed_event **slots;
    size_t head, count, cap;
    size_t bytes; /* of the lines */
    size_t max_bytes;
};

void link_held_init(struct link_held *h, size_t max_bytes);
void link_held_fini(struct link_held *h); /* drops the events too */
void link_held_clear(struct link_held *h);

/* Takes the event: *event_p is NULL on success and still the caller's on failure.
 * Errors: NHUB_EEXIST this seq waits already; NHUB_ETOOBIG the bound is reached; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err link_held_add(struct link_held *h, struct feed_event **event_p);
struct feed_event *link_held_first(const struct link_held *h); /* still owned here; NULL if empty */
struct feed_event *link_held_last(const struct link_held *h);
struct feed_event *link_held_pop(struct link_held *h); /* the first, owned by the caller */

#endif
