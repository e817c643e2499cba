/*
 * http_streams: GET /events and GET /ws: opens SSE streams, reads history, answers failed upgrades.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_STREAMS_H
#define GATEWAY_PROTOCOLS_HTTP_STREAMS_H

#include "gateway/protocols/http_request.h"

/* True when the request wants server-sent events: by its path or by Accept. */
bool http_events_is_stream(const struct http_request *r);
void http_events_run(struct http_request *r);
/* A request for /ws that the front door did not take for a good upgrade. */
void http_ws_run(struct http_request *r);

#endif
