/*
 * publisher: sends events to the hub, in two ways.
 *
 * - Fire and forget (nhub_publisher_send): over PUSH. The call returns when the event stands in a
 *   queue; nobody tells whether it arrived. While the hub is away events wait, up to
 *   `queue_events`, then the call says NHUB_EAGAIN. nhub_publisher_close() tells how many never
 *   left.
 * - Acknowledged (nhub_publisher_publish, nhub_publisher_submit): over DEALER. The hub answers with
 *   the event's position when it is kept as safely as asked for (`durability`), or with a code and
 *   a text why not. Outcomes that a caller must tell apart:
 *     NHUB_OK                      numbered; `first` says where, `durability` how safely it is
 *                                  kept, `is_duplicate` that it was there before
 *     NHUB_EREFUSED, NHUB_EUNAVAIL surely not accepted (refused; never sent)
 *     NHUB_ENODURABILITY           surely not accepted: the hub does not keep events as safely as
 *                                  asked for, or its disk cannot now (code durability_unavailable)
 *     NHUB_ENOTKEPT                numbered and sent to subscribers, but the disk failed before it
 *                                  was kept: it may be lost when the hub stops (durability_lost)
 *     NHUB_ETIMEOUT, NHUB_ECLOSED  outcome unknown: sent, and no answer came in time; or the
 *                                  connection broke, or the publisher was closed
 *   An event with an `id` may be published again after an unknown outcome: the hub recognises
 *   (source_service, id) and answers with the first one's position. The publisher does so itself
 *   when the connection breaks (the hub was restarted, say): what carries ids and is not answered
 *   yet is sent again, in its order and before anything newer, as soon as the hub is back within
 *   the time-out, if it still has the same epoch, remembers ids, and remembers them long enough.
 *   In every other case the outcome is called unknown at once.
 *
 * Events are checked here with the hub's own rules before anything is sent: NHUB_EINVAL, and
 * nhub_publisher_error() says what is wrong.
 *
 * Threads: a publisher belongs to one thread at a time. Order: events of one publisher sent in the
 * same way keep their order.
 */
#ifndef NOTIFYHUB_PUBLISHER_H
#define NOTIFYHUB_PUBLISHER_H

#include <notifyhub/event.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NHUB_WINDOW_MAX        256   /* acknowledged publishes in flight */
#define NHUB_PUBLISH_LINES_MAX 10000 /* events in one acknowledged publish */

typedef struct nhub_publisher nhub_publisher;

/* How far an event must be kept before it is acknowledged. */
typedef enum nhub_durability {
    NHUB_DURABILITY_DEFAULT,   /* what the hub's journal gives */
    NHUB_DURABILITY_MEMORY,    /* numbered, in the hub's memory */
    NHUB_DURABILITY_JOURNALED, /* survives the death of the hub's process */
    NHUB_DURABILITY_SYNCED     /* survives a power cut */
} nhub_durability;

typedef struct nhub_publisher_options {
    const char *host;           /* NULL = "127.0.0.1" */
    uint16_t collector_port;    /* 0 = 4245; fire and forget */
    uint16_t requests_port;     /* 0 = 4247; acknowledged */
    const char *source_service; /* for events that name none; NULL = each must name its own */
    uint32_t queue_events;      /* fire and forget: events that may wait; 0 = 10 000 */
    uint32_t window;            /* acknowledged publishes in flight, up to 256; 0 = 256 */
    uint32_t ack_timeout_ms;    /* of nhub_publisher_submit(); 0 = 5000 */
    size_t max_event_bytes;     /* 0 = 4 MiB, the hub's default */
    nhub_durability durability; /* of acknowledged publishes */
} nhub_publisher_options;

/* A pair of metadata: a header that travels with the event. */
typedef struct nhub_pair {
    const char *name;
    const char *value;
} nhub_pair;

/* An event that has no number yet. Zero it, then set at least event_type. */
typedef struct nhub_draft {
    const char *event_type;     /* 1 to 255 bytes, no control characters, not "hub.…" */
    const char *data;           /* one JSON value; NULL = {} */
    size_t data_len;            /* 0 = strlen(data) */
    const char *source_service; /* NULL = the publisher's */
    const char *correlation_id; /* NULL = the hub makes a UUID */
    const char *id;             /* identity for de-duplication, up to 1024 bytes; NULL = none */
    const char *kind;           /* created updated deleted activated deactivated error custom */
    const nhub_pair *metadata;
    size_t metadata_count;
    int64_t timestamp_us;       /* microseconds since 1970; 0 = now */
    nhub_durability durability; /* of an acknowledged publish; 0 = the publisher's */
} nhub_draft;

/* What became of one event of a publish that was not atomic, or of a duplicate. */
typedef struct nhub_item {
    size_t index; /* in the lines of the publish */
    bool is_duplicate;
    uint64_t seq;      /* of the duplicate's first appearance, else 0 */
    const char *code;  /* why it is refused, a stable word; NULL = it is not. Of a duplicate, which
                          is never refused: "durability_lost", its event is not stored */
    const char *error; /* the same in a sentence */
    uint64_t offset;   /* byte in the line, for bad_json */
} nhub_item;

/* The hub's answer to a publish. Pointers are lent: in a callback for the call, else until the next
 * call on the publisher. */
typedef struct nhub_ack {
    nhub_err result;
    nhub_position
        first;          /* first and last new number; of a single duplicate: its first appearance */
    nhub_position last; /* seq 0 when nothing is new */
    uint64_t accepted;  /* new events */
    uint64_t duplicates;
    bool is_duplicate; /* the one event of this publish was there before */
    bool was_resent;   /* the connection broke meanwhile: a duplicate may be this very publish */
    nhub_durability durability; /* how safely the events are kept now */
    const char *correlation_id; /* of a single event, "" when not told */
    const char *code;           /* when the hub refused: stable word; "" otherwise */
    const char *error;          /* when the hub refused: sentence; "" otherwise */
    bool has_index;             /* NHUB_EREFUSED: because of one event, not of the whole publish */
    size_t index;               /* which event of the publish */
    uint64_t offset;            /* NHUB_EREFUSED with bad_json: which byte of it */
    const nhub_item *items;     /* events that were not simply numbered */
    size_t item_count;
    const char *json; /* the whole answer as the hub sent it, "" when there is none */
} nhub_ack;

/* Called once for each submitted publish, from nhub_publisher_poll(), _publish(), _flush() or
 * _close(). It may submit and send further events; what waits or closes is refused inside
 * (NHUB_ESTATE). */
typedef void nhub_ack_fn(void *context, const nhub_ack *ack);

/* A publisher in *out; options may be NULL. Connections are made at first use, in the background.
 * Errors: NHUB_EINVAL an option is out of range; NHUB_ENOMEM; NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_create(nhub_publisher **out,
                                                      const nhub_publisher_options *options);

typedef struct nhub_close_report {
    uint64_t unsent;  /* fire-and-forget events that never left this process */
    uint64_t unacked; /* publishes whose outcome is unknown */
} nhub_close_report;

/* Waits up to linger_ms for queued events to leave and for answers, calls the callbacks of what is
 * left with NHUB_ECLOSED, frees the publisher and sets *publisher_p to NULL. out_report may be
 * NULL. Errors: NHUB_ETIMEOUT when something is left (see the report). A NULL publisher is fine. */
NHUB_API nhub_err nhub_publisher_close(nhub_publisher **publisher_p, int linger_ms,
                                       nhub_close_report *out_report);
/* nhub_publisher_close() with 100 ms, result ignored. */
NHUB_API void nhub_publisher_destroy(nhub_publisher **publisher_p);

/* Fire and forget. data: one JSON value, NULL = {}.
 * Errors: NHUB_EINVAL (see nhub_publisher_error), NHUB_ETOOBIG, NHUB_EAGAIN the queue is full,
 * NHUB_ENOMEM, NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_send(nhub_publisher *publisher,
                                                    const char *event_type, const char *data);
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_send_draft(nhub_publisher *publisher,
                                                          const nhub_draft *draft);
/* The same for an event that is JSON text already. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_send_line(nhub_publisher *publisher,
                                                         nhub_bytes line);

/* Publishes one event and waits for the answer, at most timeout_ms (0 = ack_timeout_ms).
 * Returns out_ack->result; out_ack is filled whenever that is not NHUB_EINVAL, NHUB_ETOOBIG,
 * NHUB_EFULL, NHUB_ENOMEM or NHUB_ESYS. Errors: see the head; NHUB_EFULL the window is full. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_publish(nhub_publisher *publisher,
                                                       const nhub_draft *draft, int timeout_ms,
                                                       nhub_ack *out_ack);

/* How to publish lines: one of the first two, and at most one of the others (|). */
enum {
    NHUB_PUBLISH_ATOMIC = 0, /* one bad event refuses all */
    NHUB_PUBLISH_EACH = 1,   /* each event stands for itself, see nhub_ack.items */
    NHUB_PUBLISH_MEMORY = 2, /* durability of this publish; without one the publisher's */
    NHUB_PUBLISH_JOURNALED = 4,
    NHUB_PUBLISH_SYNCED = 6
};

/* Publishes up to 10 000 events that are JSON texts already, in order, as one request of at most
 * 16 MiB (or max_event_bytes, if that is more). They are not checked here but by the hub. Results
 * as above. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_publish_lines(nhub_publisher *publisher,
                                                             const nhub_bytes *lines, size_t count,
                                                             int mode, int timeout_ms,
                                                             nhub_ack *out_ack);

/* Publishes without waiting; fn(context, ack) is called once, later. Everything is copied.
 * Errors: NHUB_EFULL `window` publishes are in flight (poll, then try again); NHUB_EAGAIN not
 * connected to the hub at the moment; NHUB_EINVAL, NHUB_ETOOBIG, NHUB_ENOMEM, NHUB_ESYS. fn is not
 * called after an error. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_submit(nhub_publisher *publisher,
                                                      const nhub_draft *draft, nhub_ack_fn *fn,
                                                      void *context);
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_submit_lines(nhub_publisher *publisher,
                                                            const nhub_bytes *lines, size_t count,
                                                            int mode, nhub_ack_fn *fn,
                                                            void *context);

/* Takes answers and expires what waits too long; waits up to timeout_ms (-1 = for ever) for the
 * first one. *out_count (may be NULL): callbacks called. A signal ends the wait early. Errors:
 * NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_poll(nhub_publisher *publisher, int timeout_ms,
                                                    size_t *out_count);
/* Waits until everything left and was answered. Errors: NHUB_ETIMEOUT; NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_publisher_flush(nhub_publisher *publisher, int timeout_ms);
/* Publishes that wait for their answer. */
NHUB_API size_t nhub_publisher_in_flight(const nhub_publisher *publisher);
/* Fire-and-forget events that have not left yet. */
NHUB_API size_t nhub_publisher_queued(const nhub_publisher *publisher);
/* A descriptor for one's own loop: readable (level-triggered) while nhub_publisher_poll(p, 0) has
 * something to do. -1 until the first submit or publish. Owned by the publisher. */
NHUB_API int nhub_publisher_fd(const nhub_publisher *publisher);
/* Why the last call gave NHUB_EINVAL or NHUB_ETOOBIG; lent until the next call, "" when it did not.
 */
NHUB_API const char *nhub_publisher_error(const nhub_publisher *publisher);

#ifdef __cplusplus
}
#endif
#endif
