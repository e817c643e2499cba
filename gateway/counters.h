/*
 * counters: the figures of this gateway that any thread raises and /stats and /metrics show.
 * One row for each refusal reason makes the enum and its word.
 */
#ifndef GATEWAY_COUNTERS_H
#define GATEWAY_COUNTERS_H

#include "base/counter.h"

enum gateway_door { GATEWAY_DOOR_HTTP, GATEWAY_DOOR_SSE, GATEWAY_DOOR_WS, GATEWAY_DOORS };
const char *gateway_door_name(enum gateway_door door); /* "http", "sse", "ws" */

/* Why something was refused: label `reason` of notifyhub_rejected_total, and `code` of problem+json
 * and ws errors. */
#define REJECT_REASONS(X)                                                                          \
    X(REJECT_BAD_JSON, "bad_json")                                                                 \
    X(REJECT_NOT_AN_OBJECT, "not_an_object")                                                       \
    X(REJECT_MISSING_FIELD, "missing_field")                                                       \
    X(REJECT_WRONG_TYPE, "wrong_type")                                                             \
    X(REJECT_BAD_VALUE, "bad_value")                                                               \
    X(REJECT_RESERVED_TYPE, "reserved_type")                                                       \
    X(REJECT_NONFINITE, "nonfinite_number")                                                        \
    X(REJECT_TOO_BIG, "too_big")                                                                   \
    X(REJECT_TOO_MANY_EVENTS, "too_many_events")                                                   \
    X(REJECT_NO_EVENTS, "no_events")                                                               \
    X(REJECT_DUPLICATE_CONFLICT, "duplicate_conflict")                                             \
    X(REJECT_CONTENT_TYPE, "unsupported_content_type")                                             \
    X(REJECT_NOT_FOUND, "not_found")                                                               \
    X(REJECT_METHOD, "method_not_allowed")                                                         \
    X(REJECT_BAD_QUERY, "bad_query")                                                               \
    X(REJECT_TOO_MANY_PATTERNS, "too_many_patterns")                                               \
    X(REJECT_BAD_PATTERN, "bad_pattern")                                                           \
    X(REJECT_BAD_SINCE, "bad_since")                                                               \
    X(REJECT_FOREIGN_ORIGIN, "foreign_origin")                                                     \
    X(REJECT_BAD_UPGRADE, "bad_upgrade")                                                           \
    X(REJECT_HEAD_TIMEOUT, "head_timeout")                                                         \
    X(REJECT_BODY_TIMEOUT, "body_timeout")                                                         \
    X(REJECT_HEAD_TOO_LARGE, "head_too_large")                                                     \
    X(REJECT_BAD_REQUEST, "bad_request")                                                           \
    X(REJECT_TOO_MANY_CONNECTIONS, "too_many_connections")                                         \
    X(REJECT_HUB_UNAVAILABLE, "hub_unavailable")                                                   \
    X(REJECT_OUTCOME_UNKNOWN, "outcome_unknown")                                                   \
    X(REJECT_DURABILITY, "durability_unavailable")                                                 \
    X(REJECT_DURABILITY_LOST, "durability_lost")                                                   \
    X(REJECT_OVERLOADED, "overloaded")                                                             \
    X(REJECT_DRAINING, "draining")                                                                 \
    X(REJECT_UNKNOWN_OP, "unknown_op")                                                             \
    X(REJECT_BAD_MESSAGE, "bad_message")                                                           \
    X(REJECT_SINCE_ON_LIVE, "since_on_live_stream")                                                \
    X(REJECT_BINARY, "binary_message")                                                             \
    X(REJECT_BAD_UTF8, "bad_utf8")                                                                 \
    X(REJECT_CANCELLED, "cancelled")                                                               \
    X(REJECT_UNKNOWN_GROUP, "unknown_group")                                                       \
    X(REJECT_GROUP_EXISTS, "group_exists")                                                         \
    X(REJECT_BAD_GROUP_NAME, "bad_group_name")                                                     \
    X(REJECT_TOO_MANY_GROUPS, "too_many_groups")                                                   \
    X(REJECT_TOO_MANY_WAITING, "too_many_waiting")                                                 \
    X(REJECT_JOURNAL, "journal_unavailable")                                                       \
    X(REJECT_UNKNOWN_CLIENT, "unknown_client")

enum reject_reason {
#define REJECT_ROW(name, text) name,
    REJECT_REASONS(REJECT_ROW)
#undef REJECT_ROW
        REJECT_REASON_COUNT
};
const char *reject_reason_code(enum reject_reason reason);
/* The reason with this word, REJECT_BAD_REQUEST when there is none (codes that come from the hub).
 */
enum reject_reason reject_reason_from_code(const char *code);

enum drop_reason {
    DROP_SLOW_DISCONNECT,
    DROP_SLOW_OLDEST,
    DROP_SLOW_LATEST,
    DROP_MEMORY,
    DROP_STALLED,
    DROP_REASONS
};
/* "slow_disconnect", "slow_oldest", "slow_latest", "memory", "stalled" */
const char *drop_reason_code(enum drop_reason reason);

struct gateway_counters {
    counter connections_total; /* accepted by the front door */
    counter connections_open;
    counter requests_total;                 /* HTTP requests */
    counter published_total[GATEWAY_DOORS]; /* events accepted by the hub, by door */
    counter duplicates_total;
    counter delivered_total[GATEWAY_DOORS]; /* events written to subscribers */
    counter delivered_bytes_total[GATEWAY_DOORS];
    counter sessions[GATEWAY_DOORS]; /* open now */
    counter sessions_total[GATEWAY_DOORS];
    counter rejected[GATEWAY_DOORS][REJECT_REASON_COUNT];
    counter dropped[DROP_REASONS]; /* events not delivered */
    counter gaps_total;            /* gap notices sent */
    counter resumes_total;
    counter set_aside_total;        /* sessions that catch up with a burst by themselves */
    counter events_in_total;        /* received from the hub, duplicates not counted */
    counter events_duplicate_total; /* seen twice on the link, dropped */
    counter refilled_total;         /* fetched because of a hole */
    counter received_seq;           /* number of the last event that streams begin behind */
    counter events_skipped_total;   /* left for a refill: the stream loop is behind */
    counter link_losses_total;
    counter feed_waiting_bytes; /* from the hub link, not yet seen by the stream loop */
    counter streams;            /* shared streams alive */
    counter pattern_sets;
    counter send_buffer_bytes; /* what the kernel may hold for streams */
    counter cache_events, cache_bytes, stream_bytes, session_lag_max;
    counter writes_total;           /* send calls to subscribers */
    counter group_deliveries_total; /* handed out to consumers */
    counter group_acks_total;       /* deliveries that were acknowledged */
    counter last_client;            /* numbers of clients, given out in ascending order */
};

#endif
