/*
 * http_api: /openapi.json and /asyncapi.json: the descriptions of all doors, which the program
 * brings along.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_API_H
#define GATEWAY_PROTOCOLS_HTTP_API_H

#include "gateway/protocols/http_static.h"

/* Puts both among the files. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err http_api_add(struct http_static *files);

#endif
