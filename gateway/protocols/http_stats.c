/*
 * http_stats: asks the hub for its statistics, waits a moment for them, and writes the JSON.
 */
#include "gateway/protocols/http_stats.h"

#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/protocols/front_door.h"
#include "gateway/protocols/http_rates.h"
#include "gateway/protocols/http_server.h"
#include "gateway/stream_loop.h"
#include "wire/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUB_WAIT_MS 1000

typedef void write_fn(const struct http_figures *f, struct buf *out);

struct figures_state {
    struct http_request *request;
    struct query_job job;
    write_fn *write;
    const char *content_type;
};

static void free_state(void *state)
{
    struct figures_state *s = state;

    buf_fini(&s->job.answer);
    free(s);
}

/* Resident pages (proc(5), statm); 0 when that cannot be read. */
static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long total = 0, resident = 0;

    if (file) {
        if (fscanf(file, "%llu %llu", &total, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The member "statistics" of the hub's answer. */
static void find_statistics(const struct buf *answer, struct http_figures *f)
{
    static const struct json_key key = JSON_KEY("statistics");
    struct json_span span;
    struct json_report report;

    f->hub_missing = "the hub's answer has no statistics";
    if (answer->len > 0 &&
        json_scan_object(answer->data, answer->len, &key, 1, NULL, &span, &report) == NHUB_OK &&
        span.kind == JSON_OBJECT) {
        f->hub = span.p;
        f->hub_len = span.len;
        f->hub_missing = NULL;
    }
}

static void answer_figures(struct http_request *r)
{
    const struct figures_state *s = r->state;
    struct http_figures figures = {.gateway = r->gateway, .rss_bytes = resident_bytes()};
    struct buf out;

    hub_link_status(r->gateway->link, &figures.link);
    if (s->job.err == NHUB_OK) {
        find_statistics(&s->job.answer, &figures);
    } else {
        figures.hub_missing =
            s->job.err == NHUB_ETIMEOUT ? "the hub did not answer in time" : "the hub is away";
    }
    buf_init(&out);
    s->write(&figures, &out);
    http_answer_header(r, "Cache-Control", "no-store");
    http_answer_buf(r, 200, s->content_type, &out);
}

static void hub_answered(struct query_job *job)
{
    struct figures_state *s = job->context;

    http_request_wake(s->request);
}

/* Asks the hub only when there is one: the figures of a gateway without a hub are wanted most. */
static void run(struct http_request *r, write_fn *write, const char *content_type)
{
    struct figures_state *s = calloc(1, sizeof *s);
    struct hub_link_status status;

    if (!s) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return;
    }
    s->request = r;
    s->write = write;
    s->content_type = content_type;
    s->job = (struct query_job){.kind = QUERY_STATS,
                                .deadline_ms = clock_mono_ms() + HUB_WAIT_MS,
                                .done = hub_answered,
                                .context = s,
                                .err = NHUB_EUNAVAIL};
    r->state = s;
    r->free_state = free_state;
    hub_link_status(r->gateway->link, &status);
    if (status.connected && http_request_suspend(r, HTTP_WAIT_ANSWER, answer_figures)) {
        hub_link_query(r->gateway->link, &s->job);
    } else {
        answer_figures(r);
    }
}

void http_stats_run(struct http_request *r)
{
    run(r, http_stats_write, "application/json");
}

void http_metrics_run(struct http_request *r)
{
    run(r, http_metrics_write, "text/plain; version=0.0.4; charset=utf-8");
}

/* ---- the JSON ---- */

static void key(struct buf *out, const char *name)
{
    if (out->len > 0 && out->data[out->len - 1] != '{') {
        buf_add_char(out, ',');
    }
    buf_add_json_cstr(out, name);
    buf_add_char(out, ':');
}

static void open_object(struct buf *out, const char *name)
{
    key(out, name);
    buf_add_char(out, '{');
}

static void number(struct buf *out, const char *name, uint64_t value)
{
    key(out, name);
    buf_add_u64(out, value);
}

static void text(struct buf *out, const char *name, const char *value)
{
    key(out, name);
    buf_add_json_cstr(out, value);
}

static void boolean(struct buf *out, const char *name, bool value)
{
    key(out, name);
    buf_add_str(out, value ? "true" : "false");
}

static void by_door(struct buf *out, const char *name, const counter *counters)
{
    open_object(out, name);
    for (int door = 0; door < GATEWAY_DOORS; door++) {
        number(out, gateway_door_name((enum gateway_door)door), counter_get(&counters[door]));
    }
    buf_add_char(out, '}');
}

static void write_link(const struct http_figures *f, struct buf *out)
{
    const struct hub_link_status *link = &f->link;

    open_object(out, "link");
    boolean(out, "connected", link->connected);
    boolean(out, "caught_up", link->caught_up);
    text(out, "reason", link->reason);
    text(out, "epoch", link->head.epoch);
    number(out, "seq", link->head.seq);
    number(out, "received_seq", counter_get(&f->gateway->counters.received_seq));
    number(out, "oldest_seq", link->oldest_seq);
    key(out, "answer_age_ms");
    buf_add_i64(out, link->answer_age_ms);
    number(out, "in_flight", link->in_flight);
    number(out, "waiting", link->waiting);
    text(out, "durability", link->durability);
    text(out, "durability_max", link->durability_max);
    open_object(out, "journal");
    text(out, "state", link->journal);
    text(out, "why", link->journal_why);
    buf_add_char(out, '}');
    number(out, "losses_total", counter_get(&f->gateway->counters.link_losses_total));
    buf_add_char(out, '}');
}

/* Only what happened: the whole table is in /metrics. */
static void write_rejected(const struct gateway_counters *c, struct buf *out)
{
    open_object(out, "rejected");
    for (int door = 0; door < GATEWAY_DOORS; door++) {
        open_object(out, gateway_door_name((enum gateway_door)door));
        for (int reason = 0; reason < REJECT_REASON_COUNT; reason++) {
            const uint64_t value = counter_get(&c->rejected[door][reason]);

            if (value > 0) {
                number(out, reject_reason_code((enum reject_reason)reason), value);
            }
        }
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

static void write_events(const struct gateway_counters *c, struct buf *out)
{
    open_object(out, "events");
    number(out, "in_total", counter_get(&c->events_in_total));
    number(out, "seen_twice_total", counter_get(&c->events_duplicate_total));
    number(out, "refilled_total", counter_get(&c->refilled_total));
    number(out, "skipped_total", counter_get(&c->events_skipped_total));
    buf_add_char(out, '}');
    by_door(out, "published_total", c->published_total);
    number(out, "duplicates_total", counter_get(&c->duplicates_total));
    by_door(out, "delivered_total", c->delivered_total);
    by_door(out, "delivered_bytes_total", c->delivered_bytes_total);
    by_door(out, "subscribers", c->sessions);
    by_door(out, "subscribers_total", c->sessions_total);
    write_rejected(c, out);
    open_object(out, "dropped");
    for (int reason = 0; reason < DROP_REASONS; reason++) {
        number(out, drop_reason_code((enum drop_reason)reason), counter_get(&c->dropped[reason]));
    }
    buf_add_char(out, '}');
    number(out, "gaps_total", counter_get(&c->gaps_total));
    number(out, "resumes_total", counter_get(&c->resumes_total));
    number(out, "set_aside_total", counter_get(&c->set_aside_total));
    number(out, "writes_total", counter_get(&c->writes_total));
    open_object(out, "groups");
    number(out, "deliveries_total", counter_get(&c->group_deliveries_total));
    number(out, "acks_total", counter_get(&c->group_acks_total));
    buf_add_char(out, '}');
    open_object(out, "lag");
    number(out, "max_events", counter_get(&c->session_lag_max));
    buf_add_char(out, '}');
}

static void write_memory(const struct http_figures *f, struct buf *out)
{
    const struct gateway_counters *c = &f->gateway->counters;
    const struct memory_ceiling *ceiling = &f->gateway->ceiling;

    open_object(out, "memory");
    number(out, "resident_bytes", f->rss_bytes);
    number(out, "stream_bytes", counter_get(&c->stream_bytes));
    number(out, "kernel_send_buffers_bytes", counter_get(&c->send_buffer_bytes));
    number(out, "ceiling_bytes", ceiling->total);
    number(out, "resident_ceiling_bytes", ceiling->resident);
    open_object(out, "ceiling");
    for (int part = 0; part < MEMORY_PART_COUNT; part++) {
        number(out, memory_part_name((enum memory_part)part), ceiling->part[part]);
    }
    buf_add_char(out, '}');
    buf_add_char(out, '}');
    open_object(out, "cache");
    number(out, "events", counter_get(&c->cache_events));
    number(out, "bytes", counter_get(&c->cache_bytes));
    buf_add_char(out, '}');
    open_object(out, "streams");
    number(out, "shared", counter_get(&c->streams));
    number(out, "pattern_sets", counter_get(&c->pattern_sets));
    buf_add_char(out, '}');
}

static void write_rates(const struct http_figures *f, struct buf *out)
{
    const struct http_rates *rates = http_server_rates(f->gateway->http);

    open_object(out, "rates_per_s");
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        key(out, http_rate_name((enum http_rate)kind));
        buf_printf(out, "%.1f", http_rates_get(rates, (enum http_rate)kind));
    }
    buf_add_char(out, '}');
}

static void write_process(const struct http_figures *f, struct buf *out)
{
    const struct gateway *g = f->gateway;
    char started[28];

    time_format_rfc3339(g->start_wall_us, started);
    text(out, "version", NHUB_VERSION);
    text(out, "started", started);
    key(out, "uptime_s");
    buf_printf(out, "%.3f", (double)(clock_mono_ms() - g->start_mono_ms) / 1000.0);
    boolean(out, "draining", atomic_load(&g->draining));
    open_object(out, "connections");
    number(out, "open", counter_get(&g->counters.connections_open));
    number(out, "total", counter_get(&g->counters.connections_total));
    buf_add_char(out, '}');
    number(out, "requests_total", counter_get(&g->counters.requests_total));
    number(out, "requests_waiting", http_server_waiting(g->http));
}

void http_stats_write(const struct http_figures *f, struct buf *out)
{
    buf_add_char(out, '{');
    open_object(out, "gateway");
    write_process(f, out);
    write_link(f, out);
    write_events(&f->gateway->counters, out);
    write_memory(f, out);
    write_rates(f, out);
    buf_add_char(out, '}');
    key(out, "hub");
    if (f->hub) {
        buf_add(out, f->hub, f->hub_len);
    } else {
        buf_add_str(out, "null");
        text(out, "hub_missing", f->hub_missing);
    }
    buf_add_str(out, "}\n");
}
