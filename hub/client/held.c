/*
 * held: a ring that doubles until it holds max_events and a batch.
 */
#include "client/held.h"

#include <stdlib.h>

struct held {
    struct held_event *slots;
    size_t cap; /* a power of two, or 0 */
    size_t head;
    size_t count;
    size_t bytes;
    size_t max_events;
    size_t max_bytes;
};

nhub_err held_create(struct held **out, size_t max_events, size_t max_bytes)
{
    struct held *h = calloc(1, sizeof *h);

    if (!h) {
        return NHUB_ENOMEM;
    }
    h->max_events = max_events;
    h->max_bytes = max_bytes;
    *out = h;
    return NHUB_OK;
}

void held_destroy(struct held **h_p)
{
    if (*h_p) {
        free((*h_p)->slots);
        free(*h_p);
        *h_p = NULL;
    }
}

static nhub_err grow(struct held *h)
{
    const size_t cap = h->cap ? h->cap * 2 : 64;
    struct held_event *slots = calloc(cap, sizeof *slots);

    if (!slots) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < h->count; i++) {
        slots[i] = h->slots[(h->head + i) & (h->cap - 1)];
    }
    free(h->slots);
    h->slots = slots;
    h->cap = cap;
    h->head = 0;
    return NHUB_OK;
}

nhub_err held_push(struct held *h, const struct held_event *event)
{
    if (h->count == h->cap && grow(h) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    h->slots[(h->head + h->count) & (h->cap - 1)] = *event;
    h->count++;
    h->bytes += event->bytes;
    return NHUB_OK;
}

const struct held_event *held_front(const struct held *h)
{
    return h->count ? &h->slots[h->head] : NULL;
}

const struct held_event *held_at(const struct held *h, size_t index)
{
    return index < h->count ? &h->slots[(h->head + index) & (h->cap - 1)] : NULL;
}

const struct held_event *held_back(const struct held *h)
{
    return h->count ? &h->slots[(h->head + h->count - 1) & (h->cap - 1)] : NULL;
}

void held_pop(struct held *h)
{
    h->bytes -= h->slots[h->head].bytes;
    h->head = (h->head + 1) & (h->cap - 1);
    h->count--;
}

bool held_is_full(const struct held *h)
{
    return h->count >= h->max_events || h->bytes >= h->max_bytes;
}

size_t held_count(const struct held *h)
{
    return h->count;
}
