/*
 * zmtp: the bytes of ZMTP 3.0 (rfc.zeromq.org, 23/ZMTP) with the mechanism NULL, for both sides: a
 * greeting, a READY command, then frames.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_ZMTP_H
#define NHUB_WIRE_ZMTP_H

#include "base/buf.h"

#define ZMTP_GREETING_LEN 64

/* Our greeting: version 3.0, NULL, which knows no difference between client and server. */
void zmtp_add_greeting(struct buf *out);
/* Looks at the peer's greeting as far as it came. Errors: NHUB_EAGAIN good so far, more is needed;
 * NHUB_EPROTO no ZMTP of version 3, or another mechanism. */
NHUB_MUST_USE nhub_err zmtp_greeting_check(const void *bytes, size_t len);

/* One frame, a span of the bytes that it was read from. */
struct zmtp_frame {
    const char *bytes;
    size_t len;
    bool more;       /* another frame of the same message follows */
    bool is_command; /* no part of a message */
};
/* Reads the frame that begins at bytes; *out_used = its length with its head. Errors: NHUB_EAGAIN
 * incomplete; NHUB_EPROTO a reserved flag, or a body longer than max. */
NHUB_MUST_USE nhub_err zmtp_frame_read(const void *bytes, size_t len, size_t max,
                                       struct zmtp_frame *out, size_t *out_used);

/* READY with our Socket-Type ("SUB", "DEALER"; at most 200 bytes). */
void zmtp_add_ready(struct buf *out, const char *socket_type);
/* The Socket-Type that a READY command names, *out_len bytes inside the frame. Errors: NHUB_EPROTO
 * another command, or one that is malformed. */
NHUB_MUST_USE nhub_err zmtp_ready_type(const struct zmtp_frame *command, const char **out,
                                       size_t *out_len);

/* ERROR, which refuses the handshake, with the reason for people (at most 200 bytes). */
void zmtp_add_error(struct buf *out, const char *why);
/* The answer to a PING (37/ZMTP 3.1, which libzmq sends to peers of 3.0 as well, when it was told
 * to send heartbeats): a PONG with the same context. Adds nothing for any other command, or one
 * that is malformed. */
void zmtp_add_pong(struct buf *out, const struct zmtp_frame *command);

/* The head of a frame of len bytes into out; returns its length. */
enum { ZMTP_HEAD_MAX = 9 };
size_t zmtp_write_head(unsigned char out[ZMTP_HEAD_MAX], size_t len, bool more);
/* A whole frame. */
void zmtp_add_frame(struct buf *out, const void *bytes, size_t len, bool more);
/* Makes the frame that begins at `frame` the last of its message. */
void zmtp_set_last(char *frame);

/* A message of one frame, built in place: begin, add the body to out, end. */
size_t zmtp_begin(struct buf *out); /* where the frame begins, for zmtp_end() */
void zmtp_end(struct buf *out, size_t begin);

#endif
