/*
 * http_clients: who is connected to this gateway, and which event types it has seen.
 *
 *   GET    /clients?limit=100&after=…&door=ws
 *   DELETE /clients/{client}?reconnect=true
 *   GET    /types?limit=100&after=…&values=true
 *
 * The stream loop answers, page by page (http_clients_page.h); the request is suspended meanwhile.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_CLIENTS_H
#define GATEWAY_PROTOCOLS_HTTP_CLIENTS_H

#include "gateway/protocols/http_request.h"

void http_clients_run(struct http_request *r);
void http_client_delete_run(struct http_request *r);
void http_types_run(struct http_request *r);

#endif
