/*
 * http_server: libmicrohttpd's room: three daemons, each with epoll and a thread,
 * that take connections from the front door. Routes live in http_routes.*; this module
 * knows HTTP, not events.
 *
 * Threads: one for each daemon (http_loop). http_server_take() from the front door.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_SERVER_H
#define GATEWAY_PROTOCOLS_HTTP_SERVER_H

#include "base/settings.h"
#include "gateway/counters.h"

#include <sys/socket.h>

struct http_server;
struct gateway; /* everything a route needs: gateway.h */

NHUB_MUST_USE nhub_err http_server_create(struct http_server **out, struct gateway *gateway);
/* Three daemons, by what their connections need. Small memory makes requests fast (it is cleared
 * between two of them), and streams cheap, which live long; the few large heads get more. */
enum http_side_kind {
    HTTP_SIDE_REQUESTS,
    HTTP_SIDE_STREAMS, /* the first request asks for an event stream, or may wait as long */
    HTTP_SIDE_WIDE,    /* its head needs more than HTTP_REQUEST_HEAD_MEMORY */
    HTTP_SIDES
};
#define HTTP_REQUEST_HEAD_MEMORY 4096
#define HTTP_STREAM_HEAD_MEMORY  1536
/* What a head takes in libmicrohttpd: its bytes and an entry for each header. */
static inline size_t http_head_memory(size_t length, size_t header_count)
{
    return length + 64 * header_count;
}

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
