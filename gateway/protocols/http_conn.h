/*
 * http_conn: one connection of the HTTP server: bytes in, one request after the other, answers out.
 *
 * A turn does all that can be done without waiting, but not for ever: a connection that has more
 * joins the side's list `again`. It is watched edge-triggered and stays in the epoll set, so that a
 * request costs one recv() and one send(), and no change of the set. While a request waits for its
 * answer nothing is read, so what a client sends ahead stays in the kernel.
 *
 * Threads: the HTTP thread that owns the connection.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_CONN_H
#define GATEWAY_PROTOCOLS_HTTP_CONN_H

#include "gateway/protocols/http_conns.h"

#include <stdbool.h>
#include <sys/socket.h>

#define HTTP_HEAD_MAX 8192 /* as the front door has it for the first one */

/* Takes the descriptor in every case; a failure closes it and counts it off. */
void http_conn_open(struct http_side *side, int fd, const struct sockaddr *peer,
                    socklen_t peer_len);
void http_conn_event(struct http_conn *conn,
                     unsigned events);       /* as epoll tells them; then a turn */
void http_conn_turn(struct http_conn *conn); /* may close and free it */
/* Whoever suspended the connection's request has woken it. */
void http_conn_resume(struct http_conn *conn);
/* No longer watched: the descriptor belongs to a stream until its request is woken. */
void http_conn_unwatch(struct http_conn *conn);
/* Closes and frees it; a request under way is over. */
void http_conn_close(struct http_conn *conn);

#endif
