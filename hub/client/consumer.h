/*
 * consumer: the inside of nhub_consumer, for its parts: consumer.c (life, waiting),
 * consumer_fetch.c (the group, and the deliveries that are fetched) and consumer_settle.c (ack,
 * nack, extend).
 *
 *     fetch ──▶ hub ──▶ batch ──▶ nhub_consumer_next() ──▶ ack, nack, extend ──▶ hub
 *
 * Threads: one.
 */
#ifndef NHUB_CLIENT_CONSUMER_H
#define NHUB_CLIENT_CONSUMER_H

#include "client/answer.h"
#include "client/event_view.h"
#include "client/wakeup.h"

#include <notifyhub/consumer.h>

#define CONSUMER_SETTLES_MAX 64

/* The one request of the fetching side that is under way, or the next one to send. */
enum fetch_step {
    FETCH_CREATE, /* the group has to be made first */
    FETCH_EPOCH,  /* the group is unknown: is this still the hub that had it? */
    FETCH_EVENTS
};

struct settle;

struct nhub_consumer {
    struct zctx *ctx;
    struct requester *requester;
    struct wakeup *wakeup;

    /* The options. */
    char *group, *member, *since; /* since: NULL = latest */
    char **patterns;              /* owned */
    size_t pattern_count;
    bool creates, is_ordered, holds;
    uint32_t visibility_ms, prefetch;
    int64_t max_attempts; /* negative = the hub's default */
    int timeout_ms;
    nhub_gap_fn *on_gap;
    void *gap_context;

    /* Fetching. */
    enum fetch_step step;
    bool is_asked;             /* a request of this side is under way */
    bool is_wanted;            /* somebody waits for a delivery */
    int64_t not_before_ms;     /* no request of this side earlier than this */
    struct position place;     /* of the group as far as known; epoch "" before */
    bool is_renewed;           /* the group has to be made anew, from the earliest event */
    struct nhub_answer *batch; /* deliveries that were fetched */
    size_t taken;              /* of them */
    struct nhub_event event;   /* the one that is lent */
    nhub_delivery delivery;    /* the same */
    nhub_err failure;          /* what the next call has to say; NHUB_OK = nothing */

    struct settle *first, *last; /* all that are not answered, oldest first */
    size_t settle_count;
    struct nhub_answer *settled; /* what a call that waited lends */
    nhub_unsettled *failed;      /* the same */

    char error[256], error_code[48]; /* of the last refusal */
    int callback_depth;
};

/* Takes answers, does what is due, sends what can be sent. */
void consumer_turn(struct nhub_consumer *c);
/* Waits for something to happen, at most until deadline_ms, and takes a turn. Errors: NHUB_EAGAIN a
 * signal came; NHUB_ESYS. */
NHUB_MUST_USE nhub_err consumer_wait(struct nhub_consumer *c, int64_t deadline_ms);
void consumer_forget_error(struct nhub_consumer *c);
/* Remembers what the hub said; returns the code of nhub_err that it means. */
nhub_err consumer_refused(struct nhub_consumer *c, const struct json_t *json);

/* Sends the next request of the fetching side when one is wanted. */
void fetch_turn(struct nhub_consumer *c, int64_t now_ms);
int64_t fetch_deadline_ms(const struct nhub_consumer *c);
/* Deliveries of the batch that nobody took. */
size_t fetch_left(const struct nhub_consumer *c);
const char *fetch_left_id(const struct nhub_consumer *c, size_t index);

/* Sends what waits, and ends what is overdue. */
void settle_turn(struct nhub_consumer *c, int64_t now_ms);
int64_t settle_deadline_ms(const struct nhub_consumer *c);
/* Gives back deliveries that nobody has seen: they do not count as attempts. */
void settle_release(struct nhub_consumer *c);
/* Ends all with NHUB_ECLOSED. */
void settle_give_up(struct nhub_consumer *c);

#endif
