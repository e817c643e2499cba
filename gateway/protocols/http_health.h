/*
 * http_health: the probes: whether this process lives, and whether it is ready.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_HEALTH_H
#define GATEWAY_PROTOCOLS_HTTP_HEALTH_H

#include "gateway/protocols/http_request.h"

void http_live_run(struct http_request *r);
void http_ready_run(struct http_request *r);

#endif
