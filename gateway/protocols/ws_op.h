/*
 * ws_op: what a WebSocket client says: one JSON object with an "op".
 *
 *   {"op":"subscribe","id":1,"event_type":["a","b*"],"since":"…","policy":"…","snapshot":true}
 *   {"op":"unsubscribe","id":2,"event_type":"a"}
 *   {"op":"publish","id":3,"event":{…},"durability":"journaled"}
 *   {"op":"ping","id":4}
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

#define WS_OP_ID_MAX 256

enum ws_op_kind { WS_OP_SUBSCRIBE, WS_OP_UNSUBSCRIBE, WS_OP_PUBLISH, WS_OP_PING };

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
