/*
 * ws_head: from the head of an upgrade to what libwebsockets gets to see of it.
 *
 * The query is read here, because the library would hand it out decoded, and decoding twice is
 * wrong. And its parser loses the line behind a header whose name begins another one that it knows
 * ("User", "X-Auth"), so it gets a head with nothing but the handshake.
 *
 * Threads: none inside.
 */
#ifndef GATEWAY_PROTOCOLS_WS_HEAD_H
#define GATEWAY_PROTOCOLS_WS_HEAD_H

#include "base/buf.h"
#include "gateway/protocols/query.h"
#include "gateway/protocols/ws_conn.h"

#define WS_HEAD_MAX 16384 /* bytes; the front door takes no longer ones */

/* Takes the head of a good upgrade (http_head.h) from the socket: its query, and the library's head
 * at the end of *out. False: it is none, or its query is bad, which is counted. */
NHUB_MUST_USE bool ws_head_take(int fd, struct ws_env *env, struct stream_query *query,
                                struct buf *out);

#endif
