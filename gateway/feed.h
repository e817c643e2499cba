/*
 * feed: what the hub link tells the stream loop: events in order, gaps, the state of the link.
 *
 * The hub link makes items and posts them as letters; from then on they belong to the stream loop's
 * thread, so reference counts need no atomics. Rendered forms are made lazily, once for each
 * format, by gateway/fanout.
 */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include "base/counter.h"
#include "base/mailbox.h"
#include "wire/position.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The forms in which an event is written to subscribers. */
enum stream_format {
    FORMAT_WS,        /* a WebSocket text frame with the event's JSON */
    FORMAT_SSE,       /* id:, data: */
    FORMAT_SSE_NAMED, /* id:, event:, data: */
    FORMAT_WS_CE,     /* the same as CloudEvents */
    FORMAT_SSE_CE,
    FORMAT_SSE_NAMED_CE,
    FORMATS
};

enum gap_reason {
    GAP_RETENTION,
    GAP_UNCLEAN_STOP,
    GAP_EPOCH_CHANGED,
    GAP_NOT_STORED,
    GAP_SLOW,
    GAP_REASONS
};
const char *gap_reason_name(enum gap_reason reason); /* "retention", "unclean_stop",
                                                        "epoch_changed", "not_stored", "slow" */
enum gap_reason gap_reason_parse(const char *name);

struct gap {
    struct position from; /* last position before what is missing */
    struct position
        to; /* last position that is missing; in another epoch: the point before its first event */
    enum gap_reason reason;
};

struct blob;

struct feed_event {
    uint32_t refs; /* stream loop's thread only, after the hand-over */
    /* It was missed or left waiting before and comes in a burst, as fast as the link can. */
    bool is_overdue;
    struct position position;
    const char *type; /* inside this allocation, NUL behind it */
    size_t type_len;
    const char *line; /* the hub's JSON line, inside this allocation, NUL behind it */
    size_t line_len;
    struct blob *rendered[FORMATS]; /* NULL until somebody needs it */
    /* A gap stands between events in caches and streams as a record of its own; NULL for an event.
     * Such a record has no type and no line, and its position is gap->to. */
    const struct gap *gap;
    uint32_t holds;         /* shared streams and sessions that keep it for sending */
    size_t held_text_bytes; /* of the rendered forms */
    char bytes[];
};
/* One reference for the caller. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err feed_event_create(struct feed_event **out, const struct position *position,
                                         const void *type, size_t type_len, const void *line,
                                         size_t line_len);
/* A record that says what is missing. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err feed_gap_create(struct feed_event **out, const struct gap *gap);
/* Bytes that the record itself takes, without its rendered forms. */
size_t feed_event_size(const struct feed_event *e);
struct feed_event *feed_event_ref(struct feed_event *e);
void feed_event_unref(struct feed_event **e_p);

enum feed_kind {
    FEED_EVENT,    /* the next event, live or refilled: goes to the cache and to all streams */
    FEED_BACKFILL, /* an older event fetched at the first connect: cache and last values only */
    FEED_GAP,      /* what lies in gap is not to be had: goes to the cache and to all streams */
    FEED_LINK      /* the link came up or went down; position: where live begins (after backfill) */
};
struct feed_batch;
struct feed_item {
    struct letter letter;
    enum feed_kind kind;
    struct feed_event *event; /* EVENT, BACKFILL: owned by the item */
    struct gap gap;
    bool link_up;
    struct position position; /* LINK up: the last position given out before live begins */
    counter *waiting;         /* NULL, or what is lowered by weight when the item is freed */
    size_t weight;
    struct feed_batch *batch; /* whose memory it is; NULL = allocated by itself */
};
void feed_item_free(struct feed_item **item_p);

/* A zeroed item out of *batch_p, which is made when it is NULL, and is NULL again with its last
 * one: items are made by one thread and freed by another, and the allocator is slowest at that, so
 * they lie together in blocks that the last one frees. NULL without memory. */
struct feed_item *feed_item_take(struct feed_batch **batch_p);
/* No further items come out of it; those that did are freed by feed_item_free(). */
void feed_batch_end(struct feed_batch **batch_p);

#endif
