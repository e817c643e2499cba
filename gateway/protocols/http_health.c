/*
 * http_health: the two questions of a supervisor. Liveness never depends on the hub: a restart of
 * this process would not bring the hub back.
 */
#include "gateway/protocols/http_health.h"

#include "gateway/gateway.h"

#include <stdio.h>

static const char *const probe_headers[] = {"Cache-Control", "no-store", NULL};

#define PAGE(text)                                                                                 \
    {                                                                                              \
        .bytes = text, .len = sizeof(text) - 1, .content_type = "application/json",                \
        .headers = probe_headers                                                                   \
    }
static struct http_page live_page = PAGE("{\"status\":\"ok\"}\n");
static struct http_page ready_page = PAGE("{\"status\":\"ready\"}\n");

void http_live_run(struct http_request *r)
{
    const char *stuck = gateway_stuck_loop(r->gateway);
    char detail[96];

    if (!stuck) {
        http_answer_page(r, 200, &live_page);
        return;
    }
    snprintf(detail, sizeof detail, "the loop \"%s\" has not turned for more than 10 s", stuck);
    http_answer_problem(
        r, &(struct problem){
               .reason = REJECT_OVERLOADED, .status = 503, .code = "stuck", .detail = detail});
}

void http_ready_run(struct http_request *r)
{
    char text[160];
    const char *why = gateway_not_ready(r->gateway, text, sizeof text);

    if (!why) {
        http_answer_page(r, 200, &ready_page);
        return;
    }
    http_answer_problem(r, &(struct problem){.reason = REJECT_HUB_UNAVAILABLE,
                                             .status = 503,
                                             .code = "not_ready",
                                             .detail = why});
}
