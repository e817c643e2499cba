// libs: gateway_core
/*
 * Any bytes as a WebSocket message: no crash, an error with a reason and a text, and what is read
 * stays within the message and the limits. The scanner below has its own oracle (fuzz_json_scan).
 */
#include "gateway/protocols/ws_op.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_PATTERNS 8

static void check_op(const struct ws_op *op, const char *text, size_t size)
{
    if (op->pattern_count > MAX_PATTERNS) {
        abort();
    }
    for (size_t i = 0; i < op->pattern_count; i++) {
        const size_t len = strlen(op->patterns[i]);

        if (len == 0 || len > 255) {
            abort();
        }
    }
    if (op->kind == WS_OP_PUBLISH &&
        (op->event.p < text || op->event.p + op->event.len > text + size)) {
        abort();
    }
    if (op->policy < POLICY_DISCONNECT || op->policy > POLICY_LATEST) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct ws_op op;
    struct ws_op_error error;
    nhub_err err = NHUB_OK;

    if (!utf8_valid(text, size)) {
        return 0; /* the door checks this first */
    }
    err = ws_op_parse(text, size, MAX_PATTERNS, &op, &error);
    if (op.id && (op.id < text || op.id + op.id_len > text + size || op.id_len > WS_OP_ID_MAX)) {
        abort();
    }
    if (err == NHUB_OK) {
        check_op(&op, text, size);
    } else if (err == NHUB_EPROTO &&
               (error.detail[0] == '\0' || (unsigned)error.reason >= REJECT_REASON_COUNT)) {
        abort();
    }
    ws_op_free(&op);
    return 0;
}
