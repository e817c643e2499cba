/*
 * http_private: what the files of the HTTP server share: http_server.c (its sides), http_loop.c
 * (their threads), http_conn.c (connections) and http_exchange.c (requests).
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_PRIVATE_H
#define GATEWAY_PROTOCOLS_HTTP_PRIVATE_H

#include "gateway/protocols/http_conns.h"
#include "gateway/protocols/http_rates.h"
#include "gateway/protocols/http_request.h"
#include "gateway/protocols/http_server.h"

#include <stdatomic.h>

/* What a turn of one connection works in; the next one finds nothing in it. */
struct http_scratch {
    char in[65536];
    struct buf out;
};

/* All but the heartbeat belongs to the side's thread. */
struct http_side {
    struct http_server *server;
    struct http_loop *loop;
    int epoll_fd;
    struct http_scratch *scratch;
    struct http_conns conns;
    struct list again;          /* connections whose turn was cut short */
    struct http_request *spare; /* memory of requests that are over */
    size_t spare_count;
    struct publish_job *first_job, *last_job; /* published in this turn, not handed over yet */
    int64_t now_ms;                           /* of this turn, clock_mono_ms() */
    char date[HTTP_DATE_MAX];
    _Atomic int64_t heartbeat_ms;
};

struct http_server {
    struct gateway *gateway;
    struct http_side sides[HTTP_SIDES];
    size_t max_connections;
    size_t bodies_max;
    atomic_size_t connections;
    atomic_size_t body_bytes;
    atomic_size_t busy;      /* routes running now */
    atomic_size_t waits;     /* suspended for an answer */
    atomic_size_t suspended; /* all of them */
    atomic_bool is_finishing;
    struct http_static *files;
    struct http_rates rates; /* ticked by the side of requests */
};

#endif
