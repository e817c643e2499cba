/*
 * link_held: a sorted array that is emptied from its front.
 */
#include "gateway/link_held.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

void link_held_init(struct link_held *h, size_t max_bytes)
{
    memset(h, 0, sizeof *h);
    h->max_bytes = max_bytes;
}

void link_held_clear(struct link_held *h)
{
    for (size_t i = 0; i < h->count; i++) {
        feed_event_unref(&h->slots[h->head + i]);
    }
    h->head = 0;
    h->count = 0;
    h->bytes = 0;
}

void link_held_fini(struct link_held *h)
{
    link_held_clear(h);
    free(h->slots);
    h->slots = NULL;
    h->cap = 0;
}

static nhub_err make_room(struct link_held *h)
{
    struct feed_event **grown = NULL;
    size_t cap = 0;

    if (h->head + h->count < h->cap) {
        return NHUB_OK;
    }
    /* Half of the array in front is free: moving costs less than one step for each event popped. */
    if (h->head > h->cap / 2) {
        memmove(h->slots, h->slots + h->head, h->count * sizeof(struct feed_event *));
        h->head = 0;
        return NHUB_OK;
    }
    cap = h->cap ? h->cap * 2 : FIRST_CAP;
    grown = realloc(h->slots, cap * sizeof(struct feed_event *));
    if (!grown) {
        return NHUB_ENOMEM;
    }
    h->slots = grown;
    h->cap = cap;
    return NHUB_OK;
}

/* The index of the first waiting event whose seq is not below seq. */
static size_t lower_bound(const struct link_held *h, uint64_t seq)
{
    size_t low = 0;
    size_t high = h->count;

    if (high > 0 && h->slots[h->head + high - 1]->position.seq < seq) {
        return high;
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (h->slots[h->head + middle]->position.seq < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

nhub_err link_held_add(struct link_held *h, struct feed_event **event_p)
{
    struct feed_event *const event = *event_p;
    const size_t at = lower_bound(h, event->position.seq);
    struct feed_event **slot = NULL;

    if (at < h->count && h->slots[h->head + at]->position.seq == event->position.seq) {
        return NHUB_EEXIST;
    }
    if (event->line_len > h->max_bytes || h->bytes > h->max_bytes - event->line_len) {
        return NHUB_ETOOBIG;
    }
    if (make_room(h) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    slot = h->slots + h->head + at;
    memmove(slot + 1, slot, (h->count - at) * sizeof(struct feed_event *));
    *slot = event;
    h->count++;
    h->bytes += event->line_len;
    *event_p = NULL;
    return NHUB_OK;
}

struct feed_event *link_held_first(const struct link_held *h)
{
    return h->count ? h->slots[h->head] : NULL;
}

struct feed_event *link_held_last(const struct link_held *h)
{
    return h->count ? h->slots[h->head + h->count - 1] : NULL;
}

struct feed_event *link_held_pop(struct link_held *h)
{
    struct feed_event *const first = link_held_first(h);

    if (first) {
        h->head++;
        h->count--;
        h->bytes -= first->line_len;
        if (h->count == 0) {
            h->head = 0;
        }
    }
    return first;
}
