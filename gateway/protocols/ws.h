/*
 * ws: libwebsockets' room: handshake, receive, control frames and close of WebSocket connections on
 * our own event loop.
 *
 * Records go out as frames that were made once and are shared (ws_frame.h): the library passes such
 * bytes through as they are when they are written as LWS_WRITE_HTTP. That is no documented use, so
 * it stands behind one function, a self-test over a real connection proves it at start, and if it
 * fails the frames are taken apart and written as plain messages instead.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_PROTOCOLS_WS_H
#define GATEWAY_PROTOCOLS_WS_H

#include "gateway/protocols/ws_conn.h"

struct event_loop;
struct ws_server;

/* Makes the context on the loop, which runs a few turns for the self-test. env lives as long as the
 * server. Errors: NHUB_ESYS, NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err ws_create(struct ws_server **out, struct event_loop *loop,
                                 struct ws_env *env);
void ws_destroy(struct ws_server **server_p);

/* A connection whose unread head is a good upgrade. Takes the descriptor in every case. */
void ws_adopt(struct ws_server *server, int fd);
size_t ws_count(const struct ws_server *server);
void ws_end_some(struct ws_server *server, size_t n, enum session_end why);
/* Each second: pings, half-open peers, closes that take too long. */
void ws_tick(struct ws_server *server, int64_t now_ms);

bool ws_is_preframed(const struct ws_server *server);               /* the self-test passed */
void ws_set_preframed(struct ws_server *server, bool is_preframed); /* for tests */

#endif
