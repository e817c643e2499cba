/*
 * http_private: what the files of libmicrohttpd's room share: http_server.c (the daemons),
 * http_loop.c (their threads) and http_exchange.c (their requests).
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_PRIVATE_H
#define GATEWAY_PROTOCOLS_HTTP_PRIVATE_H

#include "gateway/protocols/http_conns.h"
#include "gateway/protocols/http_rates.h"
#include "gateway/protocols/http_request.h"
#include "gateway/protocols/http_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct http_side {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    struct http_loop *loop;
    struct http_conns conns; /* the daemon's thread only */
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
    struct http_rates rates;    /* ticked by the daemon of requests */
    pthread_mutex_t pages_lock; /* over the shared responses of pages */
    struct http_page *pages;
};

/* libmicrohttpd's callbacks; cls is the http_side. */
void *http_exchange_request_line(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_exchange_request(void *cls, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version,
                                      const char *upload_data, size_t *upload_data_size,
                                      void **con_cls);
void http_exchange_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                             enum MHD_RequestTerminationCode code);
void http_exchange_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                              enum MHD_ConnectionNotificationCode code);

#endif
