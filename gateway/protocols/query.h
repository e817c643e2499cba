/*
 * query: the query string of the stream and history doors, percent-decoded and checked.
 *
 * Pure functions on bytes; a fuzz target drives them. Threads: any.
 */
#ifndef GATEWAY_PROTOCOLS_QUERY_H
#define GATEWAY_PROTOCOLS_QUERY_H

#include "base/settings.h"
#include "gateway/counters.h"
#include "wire/position.h"

#include <stdbool.h>
#include <stddef.h>

struct stream_query {
    char **patterns; /* owned; none = everything */
    size_t pattern_count;
    char *since_text; /* as given, owned, NULL = none */
    struct since since;
    bool has_foreign_id; /* since is NONE: a Last-Event-ID came that is no position of any hub */
    bool has_policy;
    int policy; /* enum slow_policy */
    bool snapshot;
    bool named;       /* SSE: event: lines */
    bool cloudevents; /* format=cloudevents */
    uint64_t limit;   /* history, 0 = default */
    int durability;   /* POST, enum durability */
};

enum query_door {
    QUERY_DOOR_SSE,
    QUERY_DOOR_WS,
    QUERY_DOOR_HISTORY,
    QUERY_DOOR_PUBLISH,
    QUERY_DOOR_NONE
};

/* Parses what stands behind '?' (may be empty). Unknown parameters, repeated single ones and bad
 * values are errors. Errors: NHUB_EINVAL with *reason and a text for the client in detail. *out is
 * to be freed in every case. */
NHUB_MUST_USE nhub_err query_parse(const char *text, size_t len, enum query_door door,
                                   size_t max_patterns, struct stream_query *out,
                                   enum reject_reason *reason, char *detail, size_t detail_size);
/* Sets since from a Last-Event-ID header (wins over the query). What cannot be read is taken as
 * from another server: a browser would never come back after a refusal. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err query_set_last_event_id(struct stream_query *q, const char *value,
                                               size_t len);
void query_free(struct stream_query *q);

/* Percent-decodes len bytes into out (room for len + 1; a NUL is put behind). Errors: NHUB_EINVAL
 * a bad %XX sequence, a NUL byte, or not UTF-8. */
NHUB_MUST_USE nhub_err query_decode(const char *text, size_t len, bool plus_is_blank, char *out,
                                    size_t *out_len);
/* "disconnect", "drop_oldest", "latest" to enum slow_policy. Errors: NHUB_EINVAL. */
NHUB_MUST_USE nhub_err query_policy(const char *value, size_t len, int *out);

#endif
