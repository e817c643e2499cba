/*
 * consumer: a member of a consumer group: each event of the group goes to one of its members at a
 * time until one of them acknowledges it (at least once).
 *
 *   nhub_consumer_options options = {.group = "billing", .create = true,
 *                                    .patterns = patterns, .pattern_count = 1};
 *   nhub_consumer_create(&consumer, &options);
 *   while (running) {
 *       const nhub_delivery *delivery = NULL;
 *       if (nhub_consumer_next(consumer, 1000, &delivery) == NHUB_OK) {
 *           if (work(delivery->event)) {
 *               nhub_consumer_ack(consumer, &delivery->id, 1, 0, NULL);
 *           } else {
 *               nhub_consumer_nack(consumer, &delivery->id, 1, 5000, 0, NULL);
 *           }
 *       }
 *   }
 *
 * What is promised
 * - The hub keeps the group's place and what is acknowledged in its journal. A delivery belongs to
 *   its member for the group's visibility time; what is not acknowledged by then, was given back,
 *   or was on its way when a connection broke is delivered again, to whoever fetches first, until
 *   max_attempts are over (then the hub publishes hub.dead_letter). So an event may come twice.
 * - Connecting again happens by itself. A fetch that was lost with the connection is sent again,
 *   and so is an acknowledgement, until its time-out.
 * - What retention took away before the group got to it is told to on_gap, with its exact range.
 * - A hub without a journal forgets the group when it stops. A consumer with `create` then makes it
 *   anew, for all that the new hub has, and tells on_gap (reason epoch_changed). A group that
 *   somebody deleted stays deleted: NHUB_ENOTFOUND.
 *
 * Threads: a consumer belongs to one thread at a time; callbacks run inside nhub_consumer_next()
 * and the calls that wait. They may not call anything on the consumer that waits (NHUB_ESTATE).
 */
#ifndef NOTIFYHUB_CONSUMER_H
#define NOTIFYHUB_CONSUMER_H

#include <notifyhub/publisher.h>
#include <notifyhub/subscriber.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NHUB_PREFETCH_MAX 1000
#define NHUB_SETTLE_MAX   1000 /* deliveries in one ack, nack or extend */

typedef struct nhub_consumer nhub_consumer;

typedef struct nhub_consumer_options {
    const char *host;       /* NULL = "127.0.0.1" */
    uint16_t requests_port; /* 0 = 4247 */
    const char *group;      /* 1 to 64 of A-Za-z0-9_.- */
    const char *member;     /* who this is, for people who look at the group, 1 to 128 bytes; NULL =
                               host name, process and a random part */
    uint32_t prefetch;      /* deliveries fetched at once, up to 1000; 0 = 1. Their visibility time
                               begins with the fetch, so it must be enough for all of them */
    uint32_t timeout_ms;    /* of ack, nack, extend; 0 = 5000 */
    nhub_gap_fn *on_gap;    /* NULL = gaps are only logged */
    void *gap_context;

    bool create; /* make the group when it is not there, with what follows; one that is there with
                    other settings is NHUB_ECONFLICT */
    const char *const *patterns; /* as in subscriber.h; none = every event */
    size_t pattern_count;
    const char *since;      /* where a new group begins, as in subscriber.h; NULL = latest */
    uint32_t visibility_ms; /* 100 to 43 200 000; 0 = 30 000 */
    int32_t max_attempts;   /* 0 = 5; negative = for ever */
    bool ordered;           /* an event waits for the earlier ones of its type */
    bool hold;              /* the journal keeps what the group has not acknowledged */
} nhub_consumer_options;

/* A consumer in *out that connects in the background; the options' texts are copied. Errors:
 * NHUB_EINVAL an option is out of range; NHUB_ENOMEM; NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_consumer_create(nhub_consumer **out,
                                                     const nhub_consumer_options *options);
/* Gives back what was fetched and not yet taken with nhub_consumer_next(), so that others get it at
 * once (waiting for at most 200 ms), frees the consumer and sets *consumer_p to NULL. What was
 * taken stays this member's until its visibility time is over. NULL is fine. */
NHUB_API void nhub_consumer_destroy(nhub_consumer **consumer_p);

/* Lent until the next nhub_consumer_next(). */
typedef struct nhub_delivery {
    const nhub_event *event;
    const char *id;         /* "position.attempt": what ack, nack and extend take */
    uint64_t attempt;       /* 1 = the first time */
    uint64_t visibility_ms; /* how long it is ours, from the fetch on */
} nhub_delivery;

/* The next delivery, from what was fetched already or from the hub; waits up to timeout_ms (-1 =
 * for ever) for one. A fetch that found nothing in time stays under way, so nothing is lost by
 * calling again. Errors: NHUB_ETIMEOUT nothing came (with 0 ms: NHUB_EAGAIN), or a signal ended the
 * wait; NHUB_ENOTFOUND no such group; NHUB_ECONFLICT see `create`; NHUB_EREFUSED the hub says no
 * (nhub_consumer_error()); NHUB_EPROTO; NHUB_ESTATE in a callback; NHUB_ENOMEM; NHUB_ESYS. All but
 * the last two may be different at the next call. */
NHUB_API NHUB_MUST_USE nhub_err nhub_consumer_next(nhub_consumer *consumer, int timeout_ms,
                                                   const nhub_delivery **out);
/* A descriptor for one's own loop: readable (level-triggered) while nhub_consumer_next(c, 0, …) has
 * something to do, after it was called once. Owned by the consumer. */
NHUB_API int nhub_consumer_fd(const nhub_consumer *consumer);

/* A delivery that could not be settled, and why: "stale_delivery" (a later attempt is under way, or
 * it was settled before), "unknown_delivery". */
typedef struct nhub_unsettled {
    const char *id;
    const char *code;
} nhub_unsettled;

/* What became of an ack, nack or extend. Pointers are lent: in a callback for the call, else until
 * the next call on the consumer. */
typedef struct nhub_settled {
    nhub_err result;
    size_t done;
    const nhub_unsettled *failed;
    size_t failed_count;
    bool was_resent; /* the connection broke meanwhile: a stale delivery may be the work of the
                        first try */
    nhub_durability durability; /* how safely it is kept */
    const char *code;           /* NHUB_EREFUSED: stable word; "" otherwise */
    const char *error;          /* NHUB_EREFUSED: sentence; "" otherwise */
} nhub_settled;

/* Acknowledges 1 to 1000 deliveries: they are done. Waits for the answer up to timeout_ms (0 = the
 * options'). out may be NULL. Errors: NHUB_ECONFLICT some could not be settled, the others are
 * (out->failed); NHUB_EUNAVAIL never sent; NHUB_ETIMEOUT outcome unknown (the deliveries may come
 * again); NHUB_EREFUSED; NHUB_ENOTFOUND no such group; NHUB_EINVAL; NHUB_ESTATE; NHUB_ENOMEM;
 * NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_consumer_ack(nhub_consumer *consumer,
                                                  const char *const *deliveries, size_t count,
                                                  int timeout_ms, nhub_settled *out);
/* Gives them back, to be delivered again after delay_ms (0 to 43 200 000). Errors: as above. */
NHUB_API NHUB_MUST_USE nhub_err nhub_consumer_nack(nhub_consumer *consumer,
                                                   const char *const *deliveries, size_t count,
                                                   uint32_t delay_ms, int timeout_ms,
                                                   nhub_settled *out);
/* Keeps them for visibility_ms from now on (0 = the group's). Errors: as above. */
NHUB_API NHUB_MUST_USE nhub_err nhub_consumer_extend(nhub_consumer *consumer,
                                                     const char *const *deliveries, size_t count,
                                                     uint32_t visibility_ms, int timeout_ms,
                                                     nhub_settled *out);

/* The same without waiting: fn(context, settled) is called once, later, from nhub_consumer_next()
 * or a call that waits; those left at the destroy end with NHUB_ECLOSED. */
typedef enum nhub_settle { NHUB_SETTLE_ACK, NHUB_SETTLE_NACK, NHUB_SETTLE_EXTEND } nhub_settle;
typedef void nhub_settled_fn(void *context, const nhub_settled *settled);
/* ms: the delay of a nack, the visibility of an extend. Errors: NHUB_EFULL 64 are under way;
 * NHUB_EINVAL; NHUB_ENOMEM. fn is not called after an error. */
NHUB_API NHUB_MUST_USE nhub_err nhub_consumer_settle(nhub_consumer *consumer, nhub_settle what,
                                                     const char *const *deliveries, size_t count,
                                                     uint32_t ms, nhub_settled_fn *fn,
                                                     void *context);

/* What the hub said with the last refusal: a sentence and a stable word; lent until the next call,
 * "" when there is none. */
NHUB_API const char *nhub_consumer_error(const nhub_consumer *consumer);
NHUB_API const char *nhub_consumer_error_code(const nhub_consumer *consumer);
/* Whether the connection to the hub stands. */
NHUB_API bool nhub_consumer_is_connected(const nhub_consumer *consumer);
/* This member's name. */
NHUB_API const char *nhub_consumer_member(const nhub_consumer *consumer);

#ifdef __cplusplus
}
#endif
#endif
