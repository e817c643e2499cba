/*
 * http_exchange: a request from its first byte to the end of its answer: what http_conn tells the
 * routes, and what it asks them.
 *
 * Threads: the HTTP thread that owns the connection.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_EXCHANGE_H
#define GATEWAY_PROTOCOLS_HTTP_EXCHANGE_H

#include "gateway/protocols/http_request.h"

struct http_conn;
struct http_side;

/* The first bytes of a request are there: it gets conn->request, in phase HEAD. False: no memory.
 */
bool http_exchange_begin(struct http_conn *conn);
/* The head is there: phase BODY, DISCARD, REPLY or HUNG_UP afterwards. */
void http_exchange_head(struct http_request *r, const char *text, size_t len);
/* There is no telling where the next request begins: an answer, after which the connection ends. */
void http_exchange_refuse(struct http_request *r, enum reject_reason reason, const char *detail);
/* Bytes of the body are waited for: tells a client that waits for our word. False: it is gone. */
bool http_exchange_continue(struct http_request *r);
/* The body is complete: phase SUSPENDED or REPLY afterwards, or r->hang_up. */
void http_exchange_end(struct http_request *r);
/* It was woken: as _end(). */
void http_exchange_resumed(struct http_request *r);
/* Phase REPLY: appends the head of the answer to *out, and tells what follows it (in the request's
 * memory). r->keeps_alive says afterwards whether the connection goes on behind it. */
void http_exchange_answer(struct http_request *r, struct buf *out, const char **out_body,
                          size_t *out_len);
/* The request is over; it is freed, and conn->request is NULL. */
void http_exchange_completed(struct http_conn *conn, bool was_sent);

/* Hands over what was published in this turn. */
void http_exchange_flush(struct http_side *side);
/* Frees the memory that is kept for further requests. */
void http_exchange_forget(struct http_side *side);

#endif
