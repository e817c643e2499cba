/*
 * type_figures: what is counted of one event type: how many events, how fast, when the last one
 * came and who sent them.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_TYPE_FIGURES_H
#define GATEWAY_FANOUT_TYPE_FIGURES_H

#include "gateway/feed.h"

#define TYPE_RATE_S     10  /* seconds of the rate */
#define TYPE_SOURCES    4   /* publishers that are remembered, the newest first */
#define TYPE_SOURCE_MAX 128 /* bytes of one as JSON text; a longer one is not remembered */

struct type_source {
    uint64_t count; /* since it was remembered */
    size_t len;
    char text[]; /* a JSON string with its quotes, as the publisher wrote it */
};

/* Zeroed is empty. */
struct type_figures {
    uint64_t number; /* in the order in which the types were seen */
    uint64_t count;
    int64_t seen_ms;                 /* when the last one came, 0 = not yet; the fan-out's clock */
    int64_t second;                  /* of the last one */
    uint32_t per_s[TYPE_RATE_S + 1]; /* ring of counts, by second */
    struct type_source *sources[TYPE_SOURCES];
};

/* One more live event. Returns the bytes by which its memory grew or, below zero, shrank. */
ptrdiff_t type_figures_note(struct type_figures *t, const struct feed_event *e, int64_t now_ms);
/* Events per second, over the TYPE_RATE_S full seconds before now. */
double type_figures_rate(const struct type_figures *t, int64_t now_ms);
size_t type_figures_fini(struct type_figures *t); /* returns the bytes that its memory had */

#endif
