/*
 * ws_frame_parse: the head of a WebSocket frame that a server wrote (RFC 6455, section 5.2), for
 * tests that read what the gateway sends.
 */
#ifndef TESTS_WS_FRAME_PARSE_H
#define TESTS_WS_FRAME_PARSE_H

#include "gateway/protocols/ws_frame.h"

struct ws_frame {
    enum ws_opcode opcode;
    bool final;
    size_t head_len;
    size_t payload_len;
};

/* Errors: NHUB_EPROTO when the bytes do not hold a whole unmasked frame. */
static inline nhub_err ws_frame_parse(const void *bytes, size_t len, struct ws_frame *out)
{
    const unsigned char *p = bytes;
    uint64_t payload = 0;
    size_t head = 2;

    if (len < 2 || (p[1] & 0x80U) != 0 || (p[0] & 0x70U) != 0) {
        return NHUB_EPROTO;
    }
    payload = p[1];
    if (payload == 126 || payload == 127) {
        const size_t more = payload == 126 ? 2 : 8;

        if (len < 2 + more) {
            return NHUB_EPROTO;
        }
        payload = 0;
        for (size_t i = 0; i < more; i++) {
            payload = payload << 8 | p[2 + i];
        }
        head += more;
    }
    if (payload > len - head) {
        return NHUB_EPROTO;
    }
    out->opcode = (enum ws_opcode)(p[0] & 0x0fU);
    out->final = (p[0] & 0x80U) != 0;
    out->head_len = head;
    out->payload_len = (size_t)payload;
    return NHUB_OK;
}

#endif
