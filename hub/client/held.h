/*
 * held: events that wait behind a hole, in the order in which they came, which is that of their
 * numbers.
 *
 * Bounded by count and bytes: held_is_full() tells the owner to stop reading its socket.
 * Items are the owner's opaque pointers. Threads: none inside.
 */
#ifndef NHUB_CLIENT_HELD_H
#define NHUB_CLIENT_HELD_H

#include "wire/position.h"

#include <stddef.h>

struct held_event {
    void *item;
    struct position position;
    size_t bytes;
    bool is_broken; /* something may be missing between its predecessor and it */
};

struct held;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err held_create(struct held **out, size_t max_events, size_t max_bytes);
/* Items still inside are the owner's to take first. */
void held_destroy(struct held **h_p);
/* Errors: NHUB_ENOMEM, then the event is still the caller's. Takes events beyond the bounds, too:
 * whoever asks held_is_full() in time goes over them by one batch at most. */
NHUB_MUST_USE nhub_err held_push(struct held *h, const struct held_event *event);
/* The oldest one, NULL when there is none; valid until the next push or pop. */
const struct held_event *held_front(const struct held *h);
/* The index-th oldest one, NULL beyond the last; as above. */
const struct held_event *held_at(const struct held *h, size_t index);
const struct held_event *held_back(const struct held *h);
void held_pop(struct held *h);
bool held_is_full(const struct held *h);
size_t held_count(const struct held *h);

#endif
