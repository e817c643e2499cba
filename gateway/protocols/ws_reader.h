/*
 * ws_reader: WebSocket frames as clients send them (RFC 6455, section 5), from bytes that arrive in
 * pieces of any size to parts of messages and control frames, unmasked where they lie.
 *
 * It keeps no payload, so a connection costs a few bytes, and a message may be refused before it is
 * read. What the RFC forbids ends the stream: nothing behind it can be understood.
 *
 * Threads: none inside; pure, bounded by the length; a fuzz target drives it.
 */
#ifndef GATEWAY_PROTOCOLS_WS_READER_H
#define GATEWAY_PROTOCOLS_WS_READER_H

#include "gateway/protocols/ws_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_CLIENT_HEAD_MAX 14 /* two bytes, a length of eight, the mask */
#define WS_CONTROL_MAX     125

/* All zeros: the beginning of a stream. */
struct ws_reader {
    uint64_t left;                          /* payload of the frame that is still to come */
    unsigned char head[WS_CLIENT_HEAD_MAX]; /* of the frame under way */
    unsigned char head_len;                 /* bytes of it that are there */
    unsigned char mask_at;                  /* where in the mask the next payload byte is */
    unsigned char message;                  /* opcode of the message under way, 0 = none is */
    bool in_payload;
};

enum ws_part_kind {
    WS_PART_NONE,    /* more bytes are needed */
    WS_PART_MESSAGE, /* of a text or binary message */
    WS_PART_CONTROL, /* of a close, ping or pong frame */
    WS_PART_BROKEN   /* an error of the protocol: close code 1002 */
};

struct ws_part {
    enum ws_part_kind kind;
    enum ws_opcode opcode; /* a fragment has its message's */
    const char *bytes;     /* unmasked, in the caller's buffer; may be none */
    size_t len;
    uint64_t left;      /* of the same frame, still to come */
    bool is_last;       /* of the message, or of the control frame */
    const char *reason; /* of a broken one, for the close frame */
};

/* Reads up to the end of one part. Returns how many bytes it has taken: all, or as many as make
 * *out, which lies in them. Not to be called again after a broken part. */
size_t ws_reader_next(struct ws_reader *r, char *bytes, size_t len, struct ws_part *out);

#endif
