/*
 * subscriber: the inside of nhub_subscriber, for its parts: subscriber.c (the public calls, handing
 * events out), subscriber_link.c (sockets) and subscriber_requests.c (questions to the hub).
 *
 *     SUB ──▶ batch ──▶ gap_detector ──▶ ready ──▶ handlers
 *     DEALER ◀── requests, answers ──▶ ┘
 *
 * Nothing is read from the SUB while `ready` holds something: a slow handler is felt by ZeroMQ's
 * queue and by the hub, not by our memory.
 *
 * Threads: one.
 */
#ifndef NHUB_CLIENT_SUBSCRIBER_H
#define NHUB_CLIENT_SUBSCRIBER_H

#include "base/zsock.h"
#include "client/event_view.h"
#include "client/filters.h"
#include "client/gap_detector.h"
#include "client/requester.h"
#include "client/wakeup.h"

#define HISTORY_PAGE_EVENTS 1000

/* Something to hand out: an event in its frame, or a gap. */
struct ready_item {
    struct ready_item *next;
    bool is_gap;
    bool is_refilled, is_late;
    struct zframe frame; /* an event's line */
    struct position from, to;
    char reason[24];
    uint64_t delivered; /* a gap's */
};

struct nhub_subscriber {
    struct zctx *ctx;
    struct zsock *sub;
    struct zsock *monitor; /* of sub */
    bool has_recovery;
    struct requester *requester; /* NULL without recovery */
    struct wakeup *wakeup;
    struct filters *filters;
    struct gap_detector *detector;
    char *host;
    uint16_t publisher_port, requests_port;
    struct position since; /* when the user gave one; else epoch "" */
    uint32_t queue_events;
    bool is_whole_stream; /* asked for, or too many prefixes to ask the hub about */

    struct ready_item *first, *last;
    size_t ready_count;

    uint32_t run;         /* events read since the queue was last seen empty */
    bool is_drained;      /* the SUB gave NHUB_EAGAIN at last */
    uint32_t timeouts;    /* requests without an answer in a row */
    uint32_t page_events; /* of history that are asked for at once */
    bool is_heard;        /* an event came since the last answer */
    char stats_event[EVENT_TYPE_MAX + 1];
    nhub_err fatal; /* NHUB_ESTATE: the hub's protocol is not ours */

    nhub_gap_fn *on_gap;
    void *gap_context;
    struct nhub_event event; /* the one that is lent */
    struct position handled; /* of the last item handed out */
    bool is_in_callback;
    nhub_subscriber_stats stats;
};

/* Makes the sockets. Errors: NHUB_ENOMEM, NHUB_ESYS; what was made is closed by link_close(). */
NHUB_MUST_USE nhub_err link_open(struct nhub_subscriber *s);
void link_close(struct nhub_subscriber *s);
/* One turn: reads events (when nothing is ready), takes answers, does what is due, sends the next
 * request, sets the deadline. True when there may be more to do at once. */
bool link_turn(struct nhub_subscriber *s);
/* Reads a batch of events and hands it to the detector; returns how many messages it was. */
size_t link_read_events(struct nhub_subscriber *s, int64_t now_ms);
/* Sends the detector's next request, if there is one. */
void link_ask(struct nhub_subscriber *s, int64_t now_ms);
/* Applies a change of the filters to the socket and tells the detector. Errors: NHUB_ESYS. */
NHUB_MUST_USE nhub_err link_refilter(struct nhub_subscriber *s, const struct filter_change *change);
bool link_is_filtered(const struct nhub_subscriber *s);

void ready_item_destroy(struct ready_item **item_p); /* NULL is fine */

#endif
