/*
 * gap_state: the inside of the gap detector, for its two halves: gap_detector.c (live events,
 * requests, time) and gap_pages.c (pages of history).
 *
 *      delivered or told            waiting: held            still on its way
 *   ───────────────────────┤ ?????? ├─────────┤ ?? ├──────┤ …
 *          verified     covered      ^ broken       ^ broken
 *
 * An event waits as `broken` when something may be missing before it. History moves `covered`
 * forward; a waiting event is let go when covered reaches its predecessor, and takes the unbroken
 * run behind it along.
 *
 * Threads: none inside.
 */
#ifndef NHUB_CLIENT_GAP_STATE_H
#define NHUB_CLIENT_GAP_STATE_H

#include "client/gap_detector.h"
#include "client/held.h"
#include "client/received.h"

#include <string.h>

enum gap_state { GAP_START, GAP_LIVE, GAP_REPLAY };

struct gap_detector {
    struct gap_options options;
    struct gap_callbacks callbacks;
    enum gap_state state;
    struct position covered;
    struct held *held;
    char since[64]; /* for the first page, "" afterwards */
    bool is_break_next;

    /* The one request. */
    enum gap_request_kind asked;
    uint64_t asked_to_seq;
    int64_t not_before_ms; /* no request earlier than this */
    int failures;          /* requests in a row */
    bool is_sign_wanted;   /* history was not answered: is the hub there at all? */

    /* The tail: a position of the hub and when it was told. */
    bool has_tail;
    uint64_t tail_seq;
    int64_t tail_ms;
    int64_t next_check_ms;

    /* A filtered stream: numbers behind `verified` that were delivered. */
    struct received *received;
    uint64_t verified;
    uint64_t void_to; /* end of the hub's newest void, as of the last position */
    struct gap_resume resume;
    bool is_rebasing; /* the subscriptions changed: `verified` is taken from the next tail */

    int64_t waiting_since_ms; /* held events wait for history since then */
};

static inline bool gap_same_epoch(const struct position *a, const struct position *b)
{
    return memcmp(a->epoch, b->epoch, EPOCH_LEN) == 0;
}

/* Tells that (covered, to] is missing, but for what was delivered of it. */
void gap_tell(struct gap_detector *d, const struct position *to, const char *reason);
/* All up to seq is complete or told: nothing before it is checked any more. */
void gap_verify_to(struct gap_detector *d, uint64_t seq);
/* Moves covered on to p. Another epoch has its own numbers, so the count begins anew. */
void gap_cover(struct gap_detector *d, const struct position *p);
/* Delivers an item in its order and covers it. */
void gap_deliver(struct gap_detector *d, void *item, const struct position *p, bool refilled);
/* Lets the first waiting event go, wherever it stands. */
void gap_pop_front(struct gap_detector *d);
/* Gives up on what is missing: tells it, up to the first waiting event, and lets that one go with
 * its run. Something must be waiting. */
void gap_skip_to_front(struct gap_detector *d, const char *reason);
/* Lets go of what covered has reached. */
void gap_release(struct gap_detector *d);
/* Drops waiting events up to covered. */
void gap_drop_covered(struct gap_detector *d);
void gap_go_live(struct gap_detector *d, int64_t now_ms);

#endif
