/*
 * http_server: HTTP/1.1 over connections that the front door gives it. Two sides, each with epoll
 * and a thread (http_loop), connections (http_conn) and requests (http_exchange). Routes live in
 * http_routes.*; this module knows HTTP, not events.
 *
 * Threads: one for each side. http_server_take() from the front door.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_SERVER_H
#define GATEWAY_PROTOCOLS_HTTP_SERVER_H

#include "base/settings.h"
#include "gateway/counters.h"

#include <sys/socket.h>

struct http_server;
struct gateway; /* everything a route needs: gateway.h */

NHUB_MUST_USE nhub_err http_server_create(struct http_server **out, struct gateway *gateway);
/* Two sides, so that a crowd that opens streams is not in the way of a publisher. */
enum http_side_kind {
    HTTP_SIDE_REQUESTS,
    HTTP_SIDE_STREAMS, /* the first request asks for an event stream, or may wait as long */
    HTTP_SIDES
};

/* A connection whose head is unread. Takes the descriptor in every case. */
void http_server_take(struct http_server *server, int fd, const struct sockaddr *peer,
                      socklen_t peer_len, enum http_side_kind kind);
/* No new waits; answers or expires all waiting requests. Streams are ended by stream_loop_stop().
 */
void http_server_finish(struct http_server *server);
void http_server_destroy(
    struct http_server **server_p); /* waits until no connection is suspended, then stops */
int64_t http_server_heartbeat_age_ms(struct http_server *server);

/* For the routes. */
struct http_static;
struct http_rates;
const struct http_static *http_server_files(const struct http_server *server);
const struct http_rates *http_server_rates(const struct http_server *server);
size_t http_server_waiting(const struct http_server *server); /* requests without an answer yet */
/* The memory of all bodies together is bounded: false when these bytes are too many. */
bool http_server_charge(struct http_server *server, size_t bytes);
void http_server_refund(struct http_server *server, size_t bytes);

#endif
