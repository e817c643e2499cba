/*
 * http_conns: the connections of one HTTP thread and their time limits.
 *
 * Each phase of a request has a deadline, which a client that sends a byte now and then does not
 * move, and a sweep each second ends what is over it: with an answer written by hand where there is
 * one to give.
 *
 * Threads: the HTTP thread that owns the connections.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_CONNS_H
#define GATEWAY_PROTOCOLS_HTTP_CONNS_H

#include "base/buf.h"
#include "gateway/fanout/list.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define HTTP_IDLE_MS      75000 /* between requests; longer than the keep-alive of usual proxies */
#define HTTP_HEAD_MS      10000 /* from the first byte to the end of the head */
#define HTTP_DISCARD_MS   2000  /* for the rest of a refused body, and to read a last answer */
#define HTTP_GRACE_MS     30000 /* for a body or an answer, on top of … */
#define HTTP_BYTES_PER_MS 16    /* … this slowest acceptable speed */

struct http_request;
struct http_side;

struct http_conn {
    struct http_conn *prev, *next;
    int fd;
    struct http_request *request; /* under way, or NULL */
    int64_t idle_since_ms;        /* without a request */
    bool is_end_checked;          /* nothing arrived since the last look for the client's end */
    bool is_leaving;              /* the last answer is written; what still comes is forgotten */
    /* http_conn's. */
    bool may_read, may_write; /* the kernel has not said yet that it would have to wait */
    bool has_end;             /* the client's end is there, perhaps behind further bytes */
    bool is_replying;         /* a part of the answer is in `out` or at `body` */
    bool is_watched;          /* by the loop's epoll set */
    struct list again;        /* its turn was cut short */
    struct http_side *side;
    struct buf in;  /* what came already of a request whose turn it is not, or which is not whole */
    struct buf out; /* what the socket did not take yet: the head of an answer … */
    const char *body; /* … and what follows it, in the request's memory */
    size_t body_left;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
};

struct http_conns {
    struct http_conn *first;
};

void http_conns_add(struct http_conns *conns, struct http_conn *conn);
void http_conns_remove(struct http_conns *conns, struct http_conn *conn);
/* Ends what is over its time, and what the client has ended unnoticed. */
void http_conns_sweep(struct http_conns *conns, int64_t now_ms);

/* Writes the request's answer to its descriptor and ends our direction of the connection: for the
 * moments in which the client still sends (within a body). Phase HUNG_UP afterwards. */
void http_conn_answer_by_hand(struct http_request *r);
/* The client has ended its direction before its request is complete: tells it so. */
void http_conn_answer_unfinished(struct http_request *r);

#endif
