/*
 * client: asks the hub: health, info, statistics, position, history, any request, and its end.
 *
 * Each call sends one request and waits for the answer. Requests carry a number that the answer
 * brings back, so an answer that comes after its call timed out is never taken for a later one's.
 * timeout_ms 0 means the default of the options.
 *
 * A question whose answer was lost with the connection (the hub was restarted, say) is asked again
 * within the time; terminate and nhub_client_request() are not, as they may change something.
 *
 * Errors of all calls: NHUB_EUNAVAIL no connection within the time (nothing was sent);
 * NHUB_ETIMEOUT sent, no answer within the time; NHUB_ECLOSED sent, and the connection broke before
 * the answer; NHUB_EREFUSED the hub says no
 * (nhub_client_error() tells why); NHUB_EPROTO the answer is not understood; NHUB_ENOMEM;
 * NHUB_ESYS.
 *
 * Threads: a client belongs to one thread at a time.
 */
#ifndef NOTIFYHUB_CLIENT_H
#define NOTIFYHUB_CLIENT_H

#include <notifyhub/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nhub_client nhub_client;

typedef struct nhub_client_options {
    const char *host;       /* NULL = "127.0.0.1" */
    uint16_t requests_port; /* 0 = 4247 */
    uint32_t timeout_ms;    /* 0 = 5000 */
} nhub_client_options;

/* A client in *out that connects in the background; options may be NULL. Errors: NHUB_EINVAL;
 * NHUB_ENOMEM; NHUB_ESYS. */
NHUB_API NHUB_MUST_USE nhub_err nhub_client_create(nhub_client **out,
                                                   const nhub_client_options *options);
/* Frees it and sets *client_p to NULL. NULL is fine. */
NHUB_API void nhub_client_destroy(nhub_client **client_p);
/* What the hub said with the last NHUB_EREFUSED: a sentence, and a stable word. Lent until the next
 * call, "" when there is none. */
NHUB_API const char *nhub_client_error(const nhub_client *client);
NHUB_API const char *nhub_client_error_code(const nhub_client *client);

/* NHUB_OK: the hub is there and well. */
NHUB_API NHUB_MUST_USE nhub_err nhub_client_health(nhub_client *client, int timeout_ms);

typedef struct nhub_info {
    uint16_t collector_port, publisher_port, requests_port; /* really bound */
    uint64_t events_received, events_published;
    double last_message_time; /* seconds since 1970, 0 before any event */
    double start_time;        /* seconds since 1970 */
} nhub_info;
NHUB_API NHUB_MUST_USE nhub_err nhub_client_info(nhub_client *client, int timeout_ms,
                                                 nhub_info *out);

typedef struct nhub_hub_position {
    nhub_position newest; /* the last number given out */
    uint64_t oldest_seq;  /* the oldest event that can still be had */
    char durability[16];  /* what a publish gets now without asking: "memory", "journaled", "synced"
                           */
    char durability_max[16]; /* the most that can be asked for when the disk is well */
    char journal[16];        /* "ready", "degraded", "off"; "" when the hub does not say */
    char journal_why[128];   /* of degraded: a sentence */
    char stats_event[256];   /* the type of the statistics event, "" when it is off */
    uint64_t max_event_bytes;
    bool has_dedup;          /* ids are recognised … */
    uint64_t dedup_window_s; /* … for so long */
    unsigned protocol;       /* version of the wire protocol */
    nhub_position resolved;  /* of `since`: the point before the first event at or after it */
} nhub_hub_position;
/* since: NULL, or what subscriber.h takes, to be resolved to a position. */
NHUB_API NHUB_MUST_USE nhub_err nhub_client_position(nhub_client *client, const char *since,
                                                     int timeout_ms, nhub_hub_position *out);

/* Ends the hub in an orderly way. NHUB_OK when it agreed; it is gone a moment later. */
NHUB_API NHUB_MUST_USE nhub_err nhub_client_terminate(nhub_client *client, int timeout_ms);

/* An answer: a JSON object and, for some requests, further frames. */
typedef struct nhub_answer nhub_answer;
NHUB_API const char *nhub_answer_json(const nhub_answer *answer); /* lent, NUL-terminated */
NHUB_API size_t nhub_answer_frame_count(const nhub_answer *answer);
NHUB_API nhub_bytes nhub_answer_frame(const nhub_answer *answer, size_t index); /* lent */
NHUB_API void nhub_answer_destroy(nhub_answer **answer_p);                      /* NULL is fine */

/* The hub's statistics: {"success":true,"statistics":{…}}. *out is the caller's to destroy. */
NHUB_API NHUB_MUST_USE nhub_err nhub_client_stats(nhub_client *client, int timeout_ms,
                                                  nhub_answer **out);
/* Any request: json is an object with "action" (its "request_id" is replaced). An answer with
 * "success":false is NHUB_EREFUSED; *out is set then, too. Errors also: NHUB_EINVAL json is no
 * object. */
NHUB_API NHUB_MUST_USE nhub_err nhub_client_request(nhub_client *client, const char *json,
                                                    int timeout_ms, nhub_answer **out);

/* History: an iterator over what the hub keeps, page by page, oldest first. */
typedef struct nhub_history nhub_history;
typedef struct nhub_history_query {
    const char *since;           /* as in subscriber.h; NULL = "earliest" */
    const char *const *patterns; /* as in subscriber.h; none = every event */
    size_t pattern_count;
    uint64_t limit; /* events in all, 0 = no limit */
    uint32_t page;  /* events asked for at once, 1 to 10 000; 0 = 1000 */
} nhub_history_query;

/* Starts at the query's `since`; the client must outlive it. *out is the caller's. Errors:
 * NHUB_EINVAL. */
NHUB_API NHUB_MUST_USE nhub_err nhub_history_create(nhub_history **out, nhub_client *client,
                                                    const nhub_history_query *query);
NHUB_API void nhub_history_destroy(nhub_history **history_p); /* NULL is fine */
/* The next event, lent until the next call, fetching a page where needed. Errors: NHUB_ENOTFOUND
 * the end is reached (calling again later continues with what is new). */
NHUB_API NHUB_MUST_USE nhub_err nhub_history_next(nhub_history *history, int timeout_ms,
                                                  const nhub_event **out);
/* True while there is a gap before the last event given (or before the end) that was not asked for
 * yet; from, to and reason as in subscriber.h, lent until the next call on the iterator. There may
 * be several: ask until it is false. */
NHUB_API bool nhub_history_take_gap(nhub_history *history, nhub_position *out_from,
                                    nhub_position *out_to, const char **out_reason);
/* What the hub said of the page that was fetched last (wire protocol, "history"). */
typedef enum nhub_history_result {
    NHUB_HISTORY_NONE, /* none was fetched yet */
    NHUB_HISTORY_CAUGHT_UP,
    NHUB_HISTORY_REPLAYED,
    NHUB_HISTORY_GAP,
    NHUB_HISTORY_UNKNOWN
} nhub_history_result;
NHUB_API nhub_history_result nhub_history_get_result(const nhub_history *history);
/* The position to go on from: behind the last event given. */
NHUB_API nhub_position nhub_history_position(const nhub_history *history);

#ifdef __cplusplus
}
#endif
#endif
