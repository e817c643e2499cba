/*
 * http_publish: POST /events: bodies to the hub, and its word back.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_PUBLISH_H
#define GATEWAY_PROTOCOLS_HTTP_PUBLISH_H

#include "gateway/protocols/http_request.h"

void http_publish_admit(struct http_request *r);
void http_publish_run(struct http_request *r);

#endif
