/*
 * http_health: the two questions of a supervisor. Liveness never depends on the hub: a restart of
 * this process would not bring the hub back. That the hub's journal takes nothing is told in words
 * at both, and is no reason to be taken out of service: live delivery goes on.
 */
#include "gateway/protocols/http_health.h"

#include "gateway/gateway.h"
#include "gateway/hub_link.h"

#include <stdio.h>
#include <string.h>

static const char *const probe_headers[] = {"Cache-Control", "no-store", NULL};

#define PAGE(text)                                                                                 \
    {                                                                                              \
        .bytes = text, .len = sizeof(text) - 1, .content_type = "application/json",                \
        .headers = probe_headers                                                                   \
    }
static struct http_page live_page = PAGE("{\"status\":\"ok\"}\n");
static struct http_page ready_page = PAGE("{\"status\":\"ready\"}\n");

/* Events flow and nothing is pretended, so this is no "no": but a person should look. */
static void answer_degraded(struct http_request *r, const char *status,
                            const struct hub_link_status *link)
{
    struct buf out;

    buf_init(&out);
    buf_printf(&out, "{\"status\":\"%s\",\"journal\":{\"state\":\"degraded\",\"why\":", status);
    buf_add_json_cstr(&out, link->journal_why);
    buf_add_str(&out, "}}\n");
    http_answer_header(r, "Cache-Control", "no-store");
    http_answer_buf(r, 200, "application/json", &out);
}

static bool is_degraded(struct http_request *r, struct hub_link_status *out)
{
    hub_link_status(r->gateway->link, out);
    return strcmp(out->journal, "degraded") == 0;
}

void http_live_run(struct http_request *r)
{
    const char *stuck = gateway_stuck_loop(r->gateway);
    struct hub_link_status link;
    char detail[96];

    if (!stuck && is_degraded(r, &link)) {
        answer_degraded(r, "degraded", &link);
        return;
    }
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
    struct hub_link_status link;

    if (!why && is_degraded(r, &link)) {
        answer_degraded(r, "ready", &link);
        return;
    }
    if (!why) {
        http_answer_page(r, 200, &ready_page);
        return;
    }
    http_answer_problem(r, &(struct problem){.reason = REJECT_HUB_UNAVAILABLE,
                                             .status = 503,
                                             .code = "not_ready",
                                             .detail = why});
}
