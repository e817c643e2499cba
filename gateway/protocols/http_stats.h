/*
 * http_stats: GET /stats (one JSON object) and GET /metrics (Prometheus text): the figures of this
 * gateway, and those of the hub while it is there to tell them.
 *
 * Threads: the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_STATS_H
#define GATEWAY_PROTOCOLS_HTTP_STATS_H

#include "gateway/hub_link.h"
#include "gateway/protocols/http_request.h"

void http_stats_run(struct http_request *r);
void http_metrics_run(struct http_request *r);

/* What both show. hub is the hub's own statistics as JSON text, or NULL and why not. */
struct http_figures {
    struct gateway *gateway;
    struct hub_link_status link;
    const char *hub;
    size_t hub_len;
    const char *hub_missing;
    uint64_t rss_bytes;
};
void http_stats_write(const struct http_figures *f, struct buf *out);
void http_metrics_write(const struct http_figures *f, struct buf *out);

#endif
