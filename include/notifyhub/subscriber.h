/*
 * subscriber: receives events, finds out what it missed, and fetches that from the hub's history.
 *
 *   nhub_subscriber_create(&sub, &options);
 *   nhub_subscriber_on(sub, "new_setup", on_setup, app);       one type
 *   nhub_subscriber_on(sub, "sensor.*.temp", on_temp, app);    a pattern: * ? [a-z] [!a-z]
 *   while (running) {
 *       nhub_subscriber_poll(sub, 1000, 0, NULL);
 *   }
 *
 * What is promised
 * - Each event is delivered once. An event that was lost on the way (a full queue, a broken
 *   connection, a restart of the hub) is fetched from the hub; what cannot be had any more is told
 *   to the gap callback with the range and the reason. Nothing is missing silently.
 * - The first event is the first one behind `since`; without `since` the first one numbered after
 *   the hub's first answer to this subscriber. Connecting again happens by itself.
 *
 * Order
 * - Events are delivered in the order of their numbers: events behind a hole wait for the refill,
 * at most `held_bytes` of them; further ones are not read, and are refilled later. They wait as
 * long as the hub is there, however slow or busy it is, so that a gap is what the hub itself does
 * not have any more. When the hub has not answered for 5 s, or when nothing was refilled for
 *   `refill_wait_ms`, where that is set, the gap is told and life goes on.
 * - A subscriber of some types only cannot see holes in the numbers. It refills before it goes on
 *   whenever its own queue ran full or its connection broke, and asks the hub each second how many
 *   events there should have been. What only that question finds (a congested network between the
 *   two) is delivered late: nhub_event_is_late(). A hub that keeps less than a second of events may
 *   have forgotten a range before it is asked: nothing speaks for a loss there, but nothing proves
 *   the contrary, so it is told as a gap. Set `whole_stream` where neither must be: then everything
 *   is received and filtered here.
 * - What native SUB programs lost is counted by the hub for all of them together; this library
 *   counts exactly, for itself.
 *
 * Going on after a restart of one's own: store nhub_subscriber_position() and give it back as
 * `since`. nhub_subscriber_verified() is behind it by up to a second for a subscriber of some types
 * only: going on from there delivers some events again, and also finds what was lost unnoticed just
 * before the end.
 *
 * The statistics event and types that begin with "hub." come only to patterns that name them, and
 * to nhub_subscriber_prefix() as its prefix says.
 *
 * Threads: a subscriber belongs to one thread at a time; callbacks run inside
 * nhub_subscriber_poll(). They may call everything but nhub_subscriber_poll() and
 * nhub_subscriber_destroy() on it.
 */
#ifndef NOTIFYHUB_SUBSCRIBER_H
#define NOTIFYHUB_SUBSCRIBER_H

#include <notifyhub/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nhub_subscriber nhub_subscriber;

/* The event is lent for the call. */
typedef void nhub_event_fn(void *context, const nhub_event *event);

/* Something is not to be had any more: what lies behind `from` up to and including `to`. Positions
 * may be of different epochs ("epoch_changed": the hub started anew, numbers begin again). Reasons
 * of the hub: retention, unclean_stop, epoch_changed, not_stored, slow, unknown (the position given
 * as `since` does not exist). Reasons of the library: refill_timeout (the wait for the refill
 * was over, see "Order"; the hub may have the events all the same), unverified (it did not answer
 * for so long that nobody knows any more whether all arrived), no_recovery, refused. For a
 * subscriber of some types only a gap is a range in which something may have been for it. Lent for
 * the call. */
typedef struct nhub_gap {
    nhub_position from; /* epoch "" = before anything was known */
    nhub_position to;
    const char *reason;
    uint64_t delivered; /* nearly always 0: events of this range that were delivered all the same,
                           where a subscriber of some types got too many to tell each range between
                           them */
} nhub_gap;
typedef void nhub_gap_fn(void *context, const nhub_gap *gap);

typedef struct nhub_subscriber_options {
    const char *host;           /* NULL = "127.0.0.1" */
    uint16_t publisher_port;    /* 0 = 4246 */
    uint16_t requests_port;     /* 0 = 4247 */
    const char *since;          /* where to begin: a position, digits (a seq of the current epoch),
                                   RFC 3339 time, "earliest"; NULL or "latest" = now */
    nhub_gap_fn *on_gap;        /* NULL = gaps are only logged and counted */
    void *gap_context;          /* for on_gap */
    uint32_t queue_events;      /* receiving queue; 0 = 10 000 */
    uint32_t refill_wait_ms;    /* how long events wait behind a hole of which nothing is refilled;
                                   0 = as long as the hub answers, and for 5000 afterwards */
    uint32_t check_interval_ms; /* how often the hub is asked for its position; 0 = 1000 */
    size_t held_bytes;          /* events that wait behind a hole; 0 = 64 MiB */
    bool whole_stream;          /* receive everything and filter here, see "Order" */
    bool no_recovery; /* plain SUB: no requests, nothing refilled; visible holes are told */
} nhub_subscriber_options;

/* A subscriber in *out that connects in the background; options may be NULL. Without a subscription
 * it receives nothing. Errors: NHUB_EINVAL an option or `since` is malformed; NHUB_ENOMEM;
 * NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_subscriber_create(nhub_subscriber **out,
                                                       const nhub_subscriber_options *options);
/* Closes and frees it and sets *subscriber_p to NULL. NULL is fine. */
NHUB_API void nhub_subscriber_destroy(nhub_subscriber **subscriber_p);

/* Calls fn(context, event) for each event whose type the pattern selects: an exact name, or with *
 * ? [set] [!set] as in fnmatch, where * also matches "." and ":". An event selected by several
 * patterns goes to each, in the order of these calls. The same pattern again replaces its handler.
 * Errors: NHUB_EINVAL malformed pattern; NHUB_EFULL over 65 536 patterns; NHUB_ENOMEM; NHUB_ESYS.
 */
NHUB_API NHUB_MUST_USE nhub_err nhub_subscriber_on(nhub_subscriber *subscriber, const char *pattern,
                                                   nhub_event_fn *fn, void *context);
/* Takes the pattern back. Errors: NHUB_ENOTFOUND. */
NHUB_API NHUB_MUST_USE nhub_err nhub_subscriber_off(nhub_subscriber *subscriber,
                                                    const char *pattern);
/* Receives all types that begin with prefix ("" = every event), as a ZeroMQ subscription does; they
 * go to the default handler unless a pattern selects them. Errors: as nhub_subscriber_on(). */
NHUB_API NHUB_MUST_USE nhub_err nhub_subscriber_prefix(nhub_subscriber *subscriber,
                                                       const char *prefix);
/* The handler of events that were received by prefix and that no pattern selects; NULL = none. */
NHUB_API void nhub_subscriber_default(nhub_subscriber *subscriber, nhub_event_fn *fn,
                                      void *context);

/* Receives and calls handlers for at most max_events events (0 = 1000); waits up to timeout_ms (-1
 * = for ever) for the first one. *out_count (may be NULL): events handled. A gap or a signal ends
 * the wait early with NHUB_OK. Errors: NHUB_ESTATE the hub speaks a protocol version that this
 * library does not know; NHUB_ENOMEM; NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_subscriber_poll(nhub_subscriber *subscriber, int timeout_ms,
                                                     size_t max_events, size_t *out_count);
/* A descriptor for one's own loop: readable (level-triggered) while nhub_subscriber_poll(s, 0, …)
 * has something to do, be it an event, an answer or a deadline. ZeroMQ's own descriptors are
 * edge-triggered; this one is not. Owned by the subscriber. */
NHUB_API int nhub_subscriber_fd(const nhub_subscriber *subscriber);

/* The position up to which everything was handled or told: what to store and give back as `since`.
 * epoch "" before the hub answered for the first time. */
NHUB_API nhub_position nhub_subscriber_position(const nhub_subscriber *subscriber);

/* The same, up to where it is also proven that nothing was passed over. */
NHUB_API nhub_position nhub_subscriber_verified(const nhub_subscriber *subscriber);

typedef enum nhub_resume_result {
    NHUB_RESUME_NONE,      /* there was nothing to resume yet */
    NHUB_RESUME_CAUGHT_UP, /* nothing was missed */
    NHUB_RESUME_REPLAYED,  /* what was missed came from the hub's history */
    NHUB_RESUME_GAP,       /* some of it is not to be had any more: on_gap was told what */
    NHUB_RESUME_UNKNOWN    /* the position does not exist at this hub; it goes on from now */
} nhub_resume_result;
typedef struct nhub_resume {
    nhub_resume_result result;
    bool is_running;        /* it is still being replayed, the rest is what is known so far */
    nhub_position from, to; /* from: epoch "" until the hub resolved what is no position */
    uint64_t count;         /* events from history */
} nhub_resume;
/* What became of the last resume: of `since`, or after a broken connection, a restart, a loss. */
NHUB_API void nhub_subscriber_get_resume(const nhub_subscriber *subscriber, nhub_resume *out);

typedef struct nhub_subscriber_stats {
    uint64_t delivered;   /* events handed to at least one handler */
    uint64_t unselected;  /* received by prefix, selected by no handler */
    uint64_t refilled;    /* delivered from the hub's history instead of live */
    uint64_t late;        /* of those, out of order */
    uint64_t duplicates;  /* received twice, delivered once */
    uint64_t gaps;        /* calls of on_gap */
    uint64_t malformed;   /* messages that are no event */
    uint64_t disconnects; /* of the event connection */
    uint64_t unverified;  /* of the gaps: those with this reason */
    uint64_t checks;      /* answers of the hub to the question whether something is missing */
    bool is_connected;    /* the event connection */
    uint64_t missed; /* numbers that gaps told as missing, where both ends are of one epoch; but
                        for "unclean_stop", whose numbers were mostly never given out. Exact for a
                        subscriber of everything; of some types only: at most so many */
} nhub_subscriber_stats;
NHUB_API void nhub_subscriber_get_stats(const nhub_subscriber *subscriber,
                                        nhub_subscriber_stats *out);

#ifdef __cplusplus
}
#endif
#endif
