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
 * - Filtered: numbers have holes anyway. Everything up to `verified` is known to be complete: a
 * page of history is a proof, and so is the hub's count of what there was, asked for each
 *   check_interval_ms or check_events numbers. The owner tells of breaks (gap_detector_break: the
 *   connection was new, the queue ran full). At a break, a count that differs, a void, or when the
 *   hub cannot count any more, the stream is replayed from `verified` on: what is here already is
 *   recognised by its number, what was passed over is delivered late, and what the hub has
 *   forgotten is a gap.
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

/* What lies behind `from` up to and including `to` is not to be had. In a filtered stream nobody
 * knows whether there was something for us. */
struct gap_range {
    struct position from, to;
    const char *reason;
    uint64_t delivered; /* events inside that were delivered all the same: only where the ranges
                           between them would be too many to tell each */
};

struct gap_callbacks {
    void *context;
    /* Takes the item. refilled: it comes from history. late: events behind it went before. */
    void (*deliver)(void *context, void *item, bool refilled, bool late);
    /* Takes an item that was delivered before, or that nobody may see. */
    void (*discard)(void *context, void *item);
    void (*gap)(void *context, const struct gap_range *gap);
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
    bool is_patient; /* the wait begins anew with each sign of life of the hub */
    int retry_ms;    /* after a failed request; doubles with each further one, within bounds */
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
/* The hub is there, whatever it answers. Ahead of _failed() when it has refused for the moment. */
void gap_detector_heard(struct gap_detector *d, int64_t now_ms);
/* No answer, or a refusal; refused: for good. */
void gap_detector_failed(struct gap_detector *d, bool refused, int64_t now_ms);
/* The hub's head. void_to: the end of the newest void of its epoch, 0 = none. is_degraded: the hub
 * does not keep what it sends, so it cannot count it either. */
struct gap_head {
    struct position newest;
    uint64_t void_to;
    bool is_degraded;
};
void gap_detector_position(struct gap_detector *d, const struct gap_head *head, int64_t now_ms);
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

/* Everything up to here was delivered or told; epoch "" in START. In a filtered stream it goes back
 * to the verified position when a replay begins. */
const struct position *gap_detector_covered(const struct gap_detector *d);
/* The same, and nothing before it was passed over: in a filtered stream that is known later. */
struct position gap_detector_verified(const struct gap_detector *d);

/* What became of the last replay: of `since`, or after a break. */
enum gap_result { GAP_RESULT_NONE, GAP_CAUGHT_UP, GAP_REPLAYED, GAP_LOST, GAP_UNKNOWN };
struct gap_resume {
    enum gap_result result; /* so far; GAP_RESULT_NONE: there was no replay yet */
    bool is_running;
    struct position from, to; /* from: epoch "" when the `since` was no position */
    uint64_t count;           /* events that came from history */
};
void gap_detector_resume(const struct gap_detector *d, struct gap_resume *out);
bool gap_detector_is_live(const struct gap_detector *d);

#endif
