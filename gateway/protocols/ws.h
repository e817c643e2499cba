/*
 * ws: the WebSocket connections of the stream loop: opening, receiving, control frames and the
 * closing handshake (RFC 6455).
 *
 * What a session writes are frames that were made once and are shared (ws_frame.h); they go to the
 * socket as they are, and only what a socket does not take is copied and kept.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_PROTOCOLS_WS_H
#define GATEWAY_PROTOCOLS_WS_H

#include "gateway/protocols/ws_conn.h"

struct event_loop;
struct ws_opening;
struct ws_server;

/* loop and env live as long as the server. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err ws_create(struct ws_server **out, struct event_loop *loop,
                                 struct ws_env *env);
void ws_destroy(struct ws_server **server_p);

/* A granted upgrade (ws_opening.h). Takes it in every case. */
void ws_adopt(struct ws_server *server, struct ws_opening **opening_p);
size_t ws_count(const struct ws_server *server);
void ws_end_some(struct ws_server *server, size_t n, enum session_end why);
/* Each second: pings, half-open peers, closes that take too long. */
void ws_tick(struct ws_server *server, int64_t now_ms);

#endif
