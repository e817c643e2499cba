/*
 * http_loop: the thread of one side of the HTTP server: it waits, gives each connection that has
 * news its turn, and takes new connections and woken requests.
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

/* Starts the thread of a zeroed side. Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err http_loop_create(struct http_loop **out, struct http_side *side,
                                        const char *name);
/* Ends the thread and closes its connections, none of which may be suspended. */
void http_loop_destroy(struct http_loop **loop_p);
/* Takes the descriptor in every case. Errors: NHUB_ENOMEM it was closed. */
NHUB_MUST_USE nhub_err http_loop_take(struct http_loop *loop, int fd, const struct sockaddr *peer,
                                      socklen_t peer_len);
/* Resumes the request whose first member is this letter. */
void http_loop_wake(struct http_loop *loop, struct letter *letter);

#endif
