/*
 * http_api: GET /openapi.json and GET /asyncapi.json: the descriptions of all doors.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_API_H
#define GATEWAY_PROTOCOLS_HTTP_API_H

#include "gateway/protocols/http_request.h"

void http_openapi_run(struct http_request *r);
void http_asyncapi_run(struct http_request *r);

#endif
