/*
 * ws_op: what a WebSocket client says: one JSON object with an "op".
 *
 *   {"op":"subscribe","id":1,"event_type":["a","b*"],"since":"…","policy":"…","snapshot":true}
 *   {"op":"unsubscribe","id":2,"event_type":"a"}
 *   {"op":"publish","id":3,"event":{…},"durability":"journaled"}
 *   {"op":"ping","id":4}
 *   {"op":"consume","id":5,"group":"g","credit":10,"member":"worker-1"}
 *   {"op":"ack","id":6,"group":"g","deliveries":["e-17.1"]}
 *   {"op":"nack","id":7,"group":"g","deliveries":["e-18.1"],"delay_ms":500}
 *   {"op":"extend","id":8,"group":"g","deliveries":["e-19.1"],"visibility_ms":60000}
 *
 * event_type is a string or an array of strings; without it subscribe means everything and
 * unsubscribe all. id may be any scalar, at most WS_OP_ID_MAX bytes; it comes back in the answer as
 * it was written. A member that the op does not have is an error: a mistyped name must not turn a
 * narrow subscription into everything.
 *
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_PROTOCOLS_WS_OP_H
#define GATEWAY_PROTOCOLS_WS_OP_H

#include "base/settings.h"
#include "gateway/counters.h"
#include "wire/json_scan.h"
#include "wire/position.h"
#include "wire/request_group.h"

#define WS_OP_ID_MAX 256

enum ws_op_kind {
    WS_OP_SUBSCRIBE,
    WS_OP_UNSUBSCRIBE,
    WS_OP_PUBLISH,
    WS_OP_PING,
    WS_OP_CONSUME,
    WS_OP_ACK,
    WS_OP_NACK,
    WS_OP_EXTEND
};

struct ws_op {
    enum ws_op_kind kind;
    const char *id; /* as written, inside the message; NULL = none */
    size_t id_len;
    char **patterns; /* owned */
    size_t pattern_count;
    struct since since;
    bool has_policy;
    int policy; /* enum slow_policy */
    bool snapshot;
    struct json_span event; /* inside the message */
    int durability;         /* enum durability, DURABILITY_DEFAULT = not named */
    /* consumer groups */
    char group[GROUP_NAME_MAX + 1];
    char member[GROUP_MEMBER_MAX + 1]; /* "" = not named */
    uint32_t credit;
    struct json_span deliveries; /* an array of well-formed names, inside the message */
    struct json_span delay_ms, visibility_ms; /* numbers in their range, or absent */
};

struct ws_op_error {
    enum reject_reason reason;
    char detail[160];
};

/* Reads one message (UTF-8 was checked). On failure id and id_len are set if they could be read, so
 * that the answer can name the request. *out is to be freed in every case.
 * Errors: NHUB_EPROTO with *error; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err ws_op_parse(const char *text, size_t len, size_t max_patterns,
                                   struct ws_op *out, struct ws_op_error *error);
void ws_op_free(struct ws_op *op);

#endif
