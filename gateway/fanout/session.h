/*
 * session: one subscriber of any door, from the fan-out's side: what it asked for, where it is, and
 * what it is still owed.
 *
 * A session that keeps up shares everything: it stands in lockstep with the others of its stream
 * and costs one write for each turn. One whose transport is blocked lags at a position of its own
 * in the same stream, bounded by its policy. One that resumes is private until it has caught up.
 *
 * The transport stands behind struct sink_ops. It takes all bytes of a write, holds what the socket
 * does not take, and calls session_writable() when that is gone; meanwhile nothing is written.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_SESSION_H
#define GATEWAY_FANOUT_SESSION_H

#include "base/settings.h"
#include "gateway/counters.h"
#include "gateway/feed.h"

struct fanout;
struct session;

enum resume_result {
    RESUME_NONE, /* it did not ask */
    RESUME_CAUGHT_UP,
    RESUME_REPLAYED,
    RESUME_GAP,
    RESUME_UNKNOWN
};
const char *resume_result_name(enum resume_result result); /* "caught_up" … */
enum resume_result resume_result_parse(const char *name);  /* RESUME_NONE when it is no such word */

/* What a subscriber is told before its first event. */
struct session_start {
    struct position position; /* the point before the first event that will be sent; epoch "" = not
                                 known yet: the hub was never seen */
    enum resume_result result;
    struct position from, to; /* REPLAYED, GAP: what lies behind from up to and including to */
    bool has_count; /* events that are replayed were counted; else resumed() tells it at the end */
    uint64_t count;
    struct gap gap; /* GAP: the first one; it is also told in-band where it stands */
};
/* At the end of a replay whose events could not be counted at its start. */
struct session_resumed {
    struct position position; /* what follows is live */
    uint64_t count, gaps;     /* events and gap notices that were sent for it */
};
/* While a resume has nothing to send. */
struct session_waiting {
    struct position position; /* everything up to here was sent; epoch "" = not known */
    bool has_hub;             /* false: the hub is away, and only it can go on */
};
/* "result":"replayed","from":… as members of a JSON object, without braces. */
void session_start_members(struct buf *out, const struct session_start *start);
/* "count":12,"gaps":0 in the same way. */
void session_resumed_members(struct buf *out, const struct session_resumed *resumed);
/* "position":"e-4","reason":"hub_unavailable" or "replaying". */
void session_waiting_members(struct buf *out, const struct session_waiting *waiting);

enum sink_result {
    SINK_SENT,
    SINK_BLOCKED, /* taken, but the transport holds a part: session_writable() follows */
    SINK_DEAD     /* the peer is gone; the transport ends the session itself */
};

enum session_end {
    SESSION_END_SLOW,    /* its policy is disconnect and it lags too far */
    SESSION_END_MEMORY,  /* all streams together hold too much, and it most of all */
    SESSION_END_STALLED, /* took nothing for a minute */
    SESSION_END_RESTART, /* the gateway drains */
    SESSION_END_STOP,
    SESSION_END_CLOSED,    /* by an operator */
    SESSION_END_RECONNECT, /* the same, and it may come back at once */
    SESSION_END_FAILED     /* out of memory */
};

struct sink_ops {
    /* One or more whole frames or chunks, seldom over 64 KiB. Must not call back into the session.
     */
    enum sink_result (*write)(void *context, const void *bytes, size_t len);
    /* Bytes that the transport and the kernel hold for a blocked session. */
    size_t (*held)(const void *context);
    /* Once for each session_subscribe() that took effect, before its first event. Usually calls
     * session_send(). */
    void (*started)(void *context, uint32_t tag, const struct session_start *start);
    /* After the last event of a replay that came without a count, before the first live one. */
    void (*resumed)(void *context, uint32_t tag, const struct session_resumed *resumed);
    /* A resume is under way that had nothing to send for a while: as a sign of life. */
    void (*waiting)(void *context, uint32_t tag, const struct session_waiting *waiting);
    /* The fan-out is done with the session: close the connection; session_destroy() later, not
     * inside this call. */
    void (*end)(void *context, enum session_end why);
    /* What the transport knows of the client, as members of a JSON object, each with a comma in
     * front: "peer" and "groups". NULL: nothing. */
    void (*describe)(const void *context, struct buf *json);
};

struct session_options {
    enum gateway_door door;
    enum stream_format format;
    int policy; /* enum slow_policy */
    const struct sink_ops *sink;
    void *context;
    const void *near[2]; /* what a write touches in the sink, for the cache; NULL = nothing */
};

/* A session that is subscribed to nothing yet. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err session_create(struct session **out, struct fanout *f,
                                      const struct session_options *options);
void session_destroy(struct session **s_p);

/* What to subscribe to. Patterns are checked already; none = everything. */
struct session_request {
    const char *const *patterns;
    size_t count;
    const struct since *since; /* NULL or kind NONE = from now on */
    bool has_foreign_since;    /* from now on, and it is told that its position is unknown */
    bool snapshot;             /* the newest event of each type first; not together with since */
    uint32_t tag;              /* comes back in started() */
};
/* Adds to what the session has; started() is called for it, at once or later. Errors: NHUB_ESTATE
 * since or snapshot while something is subscribed; NHUB_ENOMEM, NHUB_ECLOSED: nothing changed. */
NHUB_MUST_USE nhub_err session_subscribe(struct session *s, const struct session_request *request);
/* Takes patterns away, all when count is 0; those that are not subscribed do not matter.
 * Errors: NHUB_ENOMEM, NHUB_ECLOSED: nothing changed. */
NHUB_MUST_USE nhub_err session_unsubscribe(struct session *s, const char *const *patterns,
                                           size_t count);
bool session_is_subscribed(const struct session *s);
size_t session_pattern_count(const struct session *s);
void session_set_policy(struct session *s, int policy);

/* A message besides events, complete in the door's form; it goes out before later events, and not
 * inside a message that is under way. */
void session_send(struct session *s, const void *bytes, size_t len);
/* Bytes of such messages that wait because the transport is blocked. */
size_t session_waiting_bytes(const struct session *s);
void session_writable(struct session *s);
/* The point before the next event that this session will be sent; epoch "" = not known. */
struct position session_position(const struct session *s);
bool session_has_ended(const struct session *s);
/* Ends it from outside: end() is called once. */
void session_close(struct session *s, enum session_end why);

#endif
