/*
 * http_groups: consumer groups over HTTP: making, showing and deleting them, and the answers of
 * consumers; fetching is in http_groups_fetch.c.
 *
 *   PUT    /groups/{group}         {"event_type":["order:*"],"since":"earliest",…}
 *   GET    /groups, /groups/{group}
 *   DELETE /groups/{group}
 *   POST   /groups/{group}/fetch?max=10&wait_ms=20000&member=worker-1
 *   POST   /groups/{group}/ack     {"deliveries":["e-17.1"]}
 *   POST   /groups/{group}/nack    {"deliveries":["e-17.1"],"delay_ms":500}
 *   POST   /groups/{group}/extend  {"deliveries":["e-17.1"],"visibility_ms":60000}
 *
 * Each is one request to the hub, for which the HTTP request is suspended: whoever answers the
 * link's job wakes it, once. The hub checks the values.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_GROUPS_H
#define GATEWAY_PROTOCOLS_HTTP_GROUPS_H

#include "gateway/protocols/group_text.h"
#include "gateway/protocols/http_request.h"

void http_group_admit(struct http_request *r);
void http_groups_list_run(struct http_request *r);
void http_group_show_run(struct http_request *r);
void http_group_put_run(struct http_request *r);
void http_group_delete_run(struct http_request *r);
void http_group_ack_run(struct http_request *r);
void http_group_nack_run(struct http_request *r);
void http_group_extend_run(struct http_request *r);
void http_group_fetch_run(struct http_request *r);

/* The group that the path names. False: refused. */
bool http_group_name(struct http_request *r, char out[GROUP_NAME_MAX + 1]);
/* Answers a request whose job went wrong. */
void http_group_refuse(struct http_request *r, const struct query_job *job);

#endif
