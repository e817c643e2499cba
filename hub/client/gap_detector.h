/*
 * gap_detector: makes of a lossy live stream and the hub's history one stream without holes and
 * without duplicates, or says exactly which range is not to be had.
 *
 * A pure state machine: events and answers go in with the time, deliveries and gaps come out
 * through callbacks, and gap_detector_next_request() says what to ask the hub. No sockets, no
 * clock.
 *
 *   START   nothing is known, live events wait. The hub is asked for its position; without `since`
 *           the first event that waits, or the position, is where the stream begins.
 *   LIVE    events are delivered as they come.
 *   REPLAY  pages of history are fetched from `covered` on; live events wait behind them. Entered
 *           with `since`, at a hole, after a break, when the tail was lost, when the epoch changes.
 *           It ends when a page reached the hub's end and nothing waits.
 *
 * How a loss is noticed
 * - All events are received (not filtered): a number is missing.
 * - Filtered: numbers have holes anyway. The owner tells of breaks (gap_detector_break: the
 *   connection was new, the queue ran full), and then replays before it goes on. And each
 *   check_interval_ms, or check_events numbers, the hub is asked to count what there was; what only
 *   that finds was passed over already and is delivered late. A range that the hub forgot before it
 *   was asked cannot be checked; that is reported.
 * - The tail: the hub's position names a number settle_ms ago that is still not here. (An answer
 *   overtakes the events, so a younger one proves nothing.)
 *
 * Threads: none inside. Callbacks may not call back into the detector.
 */
#ifndef NHUB_CLIENT_GAP_DETECTOR_H
#define NHUB_CLIENT_GAP_DETECTOR_H

#include "wire/position.h"

#include <stddef.h>

struct gap_detector;

struct gap_callbacks {
    void *context;
    /* Takes the item. refilled: it comes from history. late: events behind it went before. */
    void (*deliver)(void *context, void *item, bool refilled, bool late);
    /* Takes an item that was delivered before, or that nobody may see. */
    void (*discard)(void *context, void *item);
    void (*gap)(void *context, const struct position *from, const struct position *to,
                const char *reason);
    /* Nothing speaks for a loss in (from, to], but the hub cannot count it any more. */
    void (*unverified)(void *context, const struct position *from, const struct position *to);
};

struct gap_options {
    const char *since; /* NULL = from now on; lent until the first page was answered */
    bool is_filtered;
    bool has_requests; /* false: nothing can be asked; visible holes become gaps at once */
    size_t held_events, held_bytes;
    size_t received_max; /* numbers remembered between two checks of a filtered stream */
    int check_interval_ms;
    uint64_t
        check_events; /* numbers after which a filtered stream is checked before the interval */
    int settle_ms;
    int refill_wait_ms;
    int retry_ms; /* after a failed request */
};

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err gap_detector_create(struct gap_detector **out,
                                           const struct gap_options *options,
                                           const struct gap_callbacks *callbacks);
void gap_detector_destroy(struct gap_detector **d_p); /* discards what waits */

/* A live event; takes the item. A position without an epoch means a hub that gives no numbers: it
 * is delivered as it is. */
void gap_detector_event(struct gap_detector *d, void *item, const struct position *position,
                        size_t bytes, int64_t now_ms);
/* Something may be missing before the next live event. */
void gap_detector_break(struct gap_detector *d, int64_t now_ms);
/* The set of subscriptions changed; a filtered stream's count begins anew. */
void gap_detector_refilter(struct gap_detector *d, bool is_filtered, int64_t now_ms);
/* True when no more live events may be read for now. */
bool gap_detector_is_full(const struct gap_detector *d);

enum gap_request_kind {
    GAP_REQUEST_NONE,
    GAP_REQUEST_POSITION,
    GAP_REQUEST_COUNT,  /* events with from.seq < seq <= to_seq of the subscriptions */
    GAP_REQUEST_HISTORY /* a page behind `since` */
};
struct gap_request {
    enum gap_request_kind kind;
    char since[64]; /* HISTORY */
    struct position from;
    uint64_t to_seq;
};
/* What to ask now; one request at a time. The owner sends it and reports exactly one of the
 * following answers, or calls gap_detector_unsent() when it could not be sent. */
struct gap_request gap_detector_next_request(struct gap_detector *d, int64_t now_ms);
void gap_detector_unsent(struct gap_detector *d, int64_t now_ms);
/* No answer, or a refusal. */
void gap_detector_failed(struct gap_detector *d, bool refused, int64_t now_ms);
void gap_detector_position(struct gap_detector *d, const struct position *newest, int64_t now_ms);
void gap_detector_count(struct gap_detector *d, uint64_t count, bool complete, int64_t now_ms);

struct gap_item {
    void *item;
    struct position position;
};
struct gap_page {
    struct gap_item *items; /* each is taken */
    size_t count;
    struct position next; /* everything up to here was scanned */
    bool has_more;
    bool has_gap; /* or the `since` is unknown to the hub */
    struct position gap_from, gap_to;
    const char *gap_reason;
    bool is_drained; /* all live events that had arrived were handed over before this page */
};
void gap_detector_page(struct gap_detector *d, const struct gap_page *page, int64_t now_ms);

/* Does what is due at now_ms. */
void gap_detector_tick(struct gap_detector *d, int64_t now_ms);
/* When gap_detector_tick() or _next_request() may have something to do; INT64_MAX = never. */
int64_t gap_detector_deadline_ms(const struct gap_detector *d);
/* The owner cannot take pages now; waiting does not count as a refill that takes too long. */
void gap_detector_defer(struct gap_detector *d, int64_t now_ms);

/* Everything up to here was delivered or told; epoch "" in START. */
const struct position *gap_detector_covered(const struct gap_detector *d);
bool gap_detector_is_live(const struct gap_detector *d);

#endif
