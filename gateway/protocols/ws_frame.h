/*
 * ws_frame: WebSocket frames as a server writes them (RFC 6455, section 5.2): no mask, no
 * extension.
 *
 * A text longer than WS_FRAGMENT goes out as a message of several frames (section 5.4), each of
 * WS_FRAGMENT bytes but the last, so that a long message can be written in bounded steps and
 * control frames still fall between frames.
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_PROTOCOLS_WS_FRAME_H
#define GATEWAY_PROTOCOLS_WS_FRAME_H

#include "base/buf.h"

#include <stdbool.h>

#define WS_FRAGMENT      61440
#define WS_FRAGMENT_HEAD 4 /* bytes in front of a full fragment */

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

/* Bytes that a text message of payload_len bytes takes on the wire. */
size_t ws_message_size(size_t payload_len);
/* Writes it; out has room for ws_message_size(). Returns the bytes written. */
size_t ws_message_write(char *out, const void *payload, size_t payload_len);
void ws_message_add(struct buf *out, const void *payload, size_t payload_len);

#endif
