/*
 * ws_opening: an upgrade that is granted, on its way from the front door to the stream loop: the
 * connection, its query, and the server's side of the handshake (RFC 6455, section 4.2.2).
 *
 * The head is read once, by the front door; the stream loop gets what follows from it, and a socket
 * whose next bytes are the client's first frame.
 *
 * Threads: none inside; made by one and given to another.
 */
#ifndef GATEWAY_PROTOCOLS_WS_OPENING_H
#define GATEWAY_PROTOCOLS_WS_OPENING_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "gateway/protocols/http_head.h"
#include "gateway/protocols/query.h"

#define WS_KEY_LEN    24 /* of a Sec-WebSocket-Key */
#define WS_ACCEPT_LEN 28 /* of a Sec-WebSocket-Accept: 20 bytes in base64 */

struct ws_opening {
    struct letter letter; /* first */
    int fd;               /* owned; -1 = taken */
    bool names_our_protocol;
    char accept[WS_ACCEPT_LEN + 1];
    struct stream_query query; /* owned */
};

/* Takes the head, of a good upgrade (http_head.h) and read with MSG_PEEK into the text that it
 * points into, away from the socket. On success fd and query belong to *out.
 * Errors: NHUB_ENOMEM; NHUB_ECLOSED the socket does not have the head any more. */
NHUB_MUST_USE nhub_err ws_opening_create(struct ws_opening **out, int fd,
                                         const struct http_head *head, struct stream_query *query);
/* Closes the connection unless fd is -1. */
void ws_opening_destroy(struct ws_opening **opening_p);

/* Appends the server's answer. */
void ws_opening_answer(const struct ws_opening *opening, struct buf *out);

/* Sec-WebSocket-Accept for a key of WS_KEY_LEN bytes, with a NUL. */
void ws_opening_accept(const char *key, char out[WS_ACCEPT_LEN + 1]);

#endif
