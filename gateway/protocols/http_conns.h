/*
 * http_conns: the connections of one HTTP thread and their time limits.
 *
 * libmicrohttpd only knows an inactivity time-out, which a client that sends a byte now and then
 * never meets. So each phase of a request has a deadline here, and a sweep each second ends what is
 * over it: with an answer written by hand where there is one to give.
 *
 * Threads: the HTTP thread that owns the connections.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_CONNS_H
#define GATEWAY_PROTOCOLS_HTTP_CONNS_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_IDLE_MS      75000 /* between requests; longer than the keep-alive of usual proxies */
#define HTTP_HEAD_MS      10000 /* from the request line to the end of the head */
#define HTTP_DISCARD_MS   2000  /* for the rest of a refused body */
#define HTTP_GRACE_MS     30000 /* for a body or an answer, on top of … */
#define HTTP_BYTES_PER_MS 16    /* … this slowest acceptable speed */

struct http_request;

struct http_conn {
    struct http_conn *prev, *next;
    int fd;
    struct http_request *request; /* under way, or NULL */
    int64_t idle_since_ms;        /* without a request */
    bool is_end_checked;          /* nothing arrived since the last look for the client's end */
};

struct http_conns {
    struct http_conn *first;
};

void http_conns_add(struct http_conns *conns, struct http_conn *conn);
void http_conns_remove(struct http_conns *conns, struct http_conn *conn);
/* Ends what is over its time, and what the client has ended unnoticed: libmicrohttpd watches
 * edge-triggered and reads no further when a read brought less than it had room for, so it misses
 * an end that arrived together with the last bytes. */
void http_conns_sweep(struct http_conns *conns, int64_t now_ms);

/* Writes the request's answer to its descriptor and ends our direction of the connection: for the
 * moments in which libmicrohttpd takes no answer (within a body). Phase HUNG_UP afterwards. */
void http_conn_answer_by_hand(struct http_request *r);

#endif
