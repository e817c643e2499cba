/*
 * http_loop: the thread that drives one daemon of libmicrohttpd and gives it new connections.
 *
 * libmicrohttpd 0.9.75 has threads of its own, but they wait in the wrong place: they take ready
 * connections 128 at a time, and when that many are ready, look for more with the full time-out
 * before they serve any. 128 clients that all wait for answers then wait a second for each of them.
 * Driven from outside (MHD_run), that second look does not wait. (src/microhttpd/daemon.c,
 * MHD_epoll.)
 *
 * Once a second it looks after the time limits of connections (http_conns) and notes that it turns.
 *
 * Threads: its own one; http_loop_take() and http_loop_wake() may be called by any.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_LOOP_H
#define GATEWAY_PROTOCOLS_HTTP_LOOP_H

#include "base/mailbox.h"

#include <sys/socket.h>

struct http_loop;
struct http_side;

/* Runs side->daemon, which was started without a thread. Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err http_loop_create(struct http_loop **out, struct http_side *side,
                                        const char *name);
/* Ends the thread; the daemon can be stopped by the caller afterwards. */
void http_loop_destroy(struct http_loop **loop_p);
/* Takes the descriptor in every case. Errors: NHUB_ENOMEM it was closed. */
NHUB_MUST_USE nhub_err http_loop_take(struct http_loop *loop, int fd, const struct sockaddr *peer,
                                      socklen_t peer_len);
/* Resumes the request whose first member is this letter. */
void http_loop_wake(struct http_loop *loop, struct letter *letter);

#endif
