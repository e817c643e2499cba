/*
 * http_routes: the table of addresses, and what holds for all of them: methods, foreign pages,
 * CORS.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_ROUTES_H
#define GATEWAY_PROTOCOLS_HTTP_ROUTES_H

#include "gateway/protocols/http_request.h"

/* The rows, for the server and for the test that compares them with the descriptions. */
const struct http_route *http_routes(size_t *out_count);

/* The segment of the request's path for which the one in braces stands, len bytes; NULL when its
 * route has none. */
const char *http_route_word(const struct http_request *r, size_t *out_len);

/* The head is there: finds the route and lets it admit the request. It may answer. */
void http_routes_begin(struct http_request *r);
/* The body is there: answers, or starts a wait. */
void http_routes_run(struct http_request *r);

#endif
