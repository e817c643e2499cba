/*
 * http_metrics: the figures as Prometheus text. Labels are only what has few values: door, reason,
 * action, loop; never a topic, a client or an address.
 */
#include "base/clock.h"
#include "base/metrics.h"
#include "gateway/gateway.h"
#include "gateway/protocols/front_door.h"
#include "gateway/protocols/http_rates.h"
#include "gateway/protocols/http_server.h"
#include "gateway/protocols/http_stats.h"
#include "gateway/stream_loop.h"
#include "wire/json_scan.h"

#include <string.h>

static void single(struct buf *out, const char *name, const char *type, const char *help,
                   double value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, value, NULL);
}

/* ---- the gateway ---- */

/* Counters and gauges with one value each. */
static void write_counters(const struct gateway_counters *c, struct buf *out)
{
    /* clang-format off */
    const struct {
        const char *name, *type, *help;
        const counter *value;
    } rows[] = {
        {"notifyhub_connections_total", "counter", "Connections accepted", &c->connections_total},
        {"notifyhub_connections_open", "gauge", "Connections open now", &c->connections_open},
        {"notifyhub_http_requests_total", "counter", "HTTP requests", &c->requests_total},
        {"notifyhub_duplicates_total", "counter", "Published events that the hub had already", &c->duplicates_total},
        {"notifyhub_gaps_total", "counter", "Gap notices sent to subscribers", &c->gaps_total},
        {"notifyhub_resumes_total", "counter", "Subscribers that went on from a position", &c->resumes_total},
        {"notifyhub_set_aside_total", "counter", "Subscribers that a burst after a loss put behind and that caught up by themselves", &c->set_aside_total},
        {"notifyhub_events_in_total", "counter", "Events received from the hub", &c->events_in_total},
        {"notifyhub_events_seen_twice_total", "counter", "Events received from the hub a second time", &c->events_duplicate_total},
        {"notifyhub_refilled_total", "counter", "Events fetched from the hub because of a hole", &c->refilled_total},
        {"notifyhub_events_skipped_total", "counter", "Events left for a later refill because streams were behind", &c->events_skipped_total},
        {"notifyhub_send_buffer_bytes", "gauge", "What the kernel may hold in send buffers of streams", &c->send_buffer_bytes},
        {"notifyhub_link_losses_total", "counter", "Times the link to the hub was lost", &c->link_losses_total},
        {"notifyhub_streams", "gauge", "Shared streams", &c->streams},
        {"notifyhub_pattern_sets", "gauge", "Different sets of patterns", &c->pattern_sets},
        {"notifyhub_cache_events", "gauge", "Events in the cache", &c->cache_events},
        {"notifyhub_cache_bytes", "gauge", "Bytes of the events in the cache", &c->cache_bytes},
        {"notifyhub_stream_bytes", "gauge", "Bytes that shared streams retain", &c->stream_bytes},
        {"notifyhub_session_lag_max_events", "gauge", "Events that the slowest subscriber is behind", &c->session_lag_max},
        {"notifyhub_group_deliveries_total", "counter", "Events handed out to consumers of groups", &c->group_deliveries_total},
        {"notifyhub_group_acks_total", "counter", "Deliveries that consumers acknowledged", &c->group_acks_total},
        {"notifyhub_writes_total", "counter", "Writes to subscribers", &c->writes_total},
    };
    /* clang-format on */

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        single(out, rows[i].name, rows[i].type, rows[i].help, (double)counter_get(rows[i].value));
    }
}

static void write_by_door(const struct gateway_counters *c, struct buf *out)
{
    const struct {
        const char *name, *type, *help;
        const counter *values;
    } rows[] = {
        {"notifyhub_published_total", "counter", "Events accepted by the hub", c->published_total},
        {"notifyhub_delivered_total", "counter", "Events written to subscribers",
         c->delivered_total},
        {"notifyhub_delivered_bytes_total", "counter", "Bytes written to subscribers",
         c->delivered_bytes_total},
        {"notifyhub_sessions", "gauge", "Subscribers now", c->sessions},
        {"notifyhub_sessions_total", "counter", "Subscribers since the start", c->sessions_total},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        metrics_family(out, rows[i].name, rows[i].type, rows[i].help);
        for (int door = 0; door < GATEWAY_DOORS; door++) {
            metrics_sample(out, rows[i].name, (double)counter_get(&rows[i].values[door]), "door",
                           gateway_door_name((enum gateway_door)door), NULL);
        }
    }
}

/* Every combination, also with 0: a rate needs the point before the first refusal. */
static void write_refusals(const struct gateway_counters *c, struct buf *out)
{
    metrics_family(out, "notifyhub_rejected_total", "counter", "Refusals by door and reason");
    for (int door = 0; door < GATEWAY_DOORS; door++) {
        for (int reason = 0; reason < REJECT_REASON_COUNT; reason++) {
            metrics_sample(out, "notifyhub_rejected_total",
                           (double)counter_get(&c->rejected[door][reason]), "door",
                           gateway_door_name((enum gateway_door)door), "reason",
                           reject_reason_code((enum reject_reason)reason), NULL);
        }
    }
    metrics_family(out, "notifyhub_dropped_total", "counter", "Events not delivered, by reason");
    for (int reason = 0; reason < DROP_REASONS; reason++) {
        metrics_sample(out, "notifyhub_dropped_total", (double)counter_get(&c->dropped[reason]),
                       "reason", drop_reason_code((enum drop_reason)reason), NULL);
    }
}

static void write_process(const struct http_figures *f, struct buf *out)
{
    struct gateway *g = f->gateway;
    char why[160];

    metrics_family(out, "notifyhub_info", "gauge", "Version of the gateway");
    metrics_sample(out, "notifyhub_info", 1, "version", NHUB_VERSION, NULL);
    single(out, "notifyhub_uptime_seconds", "gauge", "Seconds since the start",
           (double)(clock_mono_ms() - g->start_mono_ms) / 1000.0);
    single(out, "notifyhub_start_time_seconds", "gauge", "Start, seconds since 1970",
           (double)g->start_wall_us / 1e6);
    single(out, "notifyhub_resident_memory_bytes", "gauge", "Resident memory",
           (double)f->rss_bytes);
    single(out, "notifyhub_memory_ceiling_bytes", "gauge",
           "What this gateway can come to need by its settings, kernel buffers included",
           (double)g->ceiling.total);
    single(out, "notifyhub_resident_memory_ceiling_bytes", "gauge",
           "The same without kernel buffers", (double)g->ceiling.resident);
    single(out, "notifyhub_ready", "gauge", "1 when /health/ready says yes",
           gateway_not_ready(g, why, sizeof why) ? 0 : 1);
    single(out, "notifyhub_draining", "gauge", "1 while the gateway drains",
           atomic_load(&g->draining) ? 1 : 0);
    single(out, "notifyhub_http_requests_waiting", "gauge", "Requests that wait for an answer",
           (double)http_server_waiting(g->http));
}

static void write_loops(const struct http_figures *f, struct buf *out)
{
    struct gateway *g = f->gateway;
    const struct {
        const char *loop;
        int64_t age_ms;
    } rows[] = {
        {"door", g->door ? front_door_heartbeat_age_ms(g->door) : 0},
        {"http", http_server_heartbeat_age_ms(g->http)},
        {"streams", stream_loop_heartbeat_age_ms(g->streams)},
        {"link", f->link.heartbeat_age_ms},
    };

    metrics_family(out, "notifyhub_loop_heartbeat_age_seconds", "gauge",
                   "Seconds since the loop last turned");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        metrics_sample(out, "notifyhub_loop_heartbeat_age_seconds", (double)rows[i].age_ms / 1000.0,
                       "loop", rows[i].loop, NULL);
    }
}

static void write_rates(const struct http_figures *f, struct buf *out)
{
    const struct http_rates *rates = http_server_rates(f->gateway->http);

    metrics_family(out, "notifyhub_rate_per_second", "gauge", "Growth over the last 5 s");
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        metrics_sample(out, "notifyhub_rate_per_second",
                       http_rates_get(rates, (enum http_rate)kind), "of",
                       http_rate_name((enum http_rate)kind), NULL);
    }
}

static void write_link(const struct http_figures *f, struct buf *out)
{
    const struct hub_link_status *link = &f->link;

    single(out, "notifyhub_link_connected", "gauge", "1 while the hub answers",
           link->connected ? 1 : 0);
    single(out, "notifyhub_link_caught_up", "gauge", "1 when the hub's events are all here",
           link->caught_up ? 1 : 0);
    single(out, "notifyhub_hub_journal_degraded", "gauge",
           "1 while the hub's disk takes nothing and events go out live only",
           strcmp(link->journal, "degraded") == 0 ? 1 : 0);
    single(out, "notifyhub_link_seq", "gauge", "Last number known to be given out by the hub",
           (double)link->head.seq);
    single(out, "notifyhub_link_received_seq", "gauge", "Number of the last event received",
           (double)counter_get(&f->gateway->counters.received_seq));
    single(out, "notifyhub_link_publishes_in_flight", "gauge", "Publishes without an answer yet",
           (double)link->in_flight);
    single(out, "notifyhub_link_publishes_waiting", "gauge", "Publishes not sent yet",
           (double)link->waiting);
}

/* ---- the hub ---- */

/* A member of an object; JSON_ABSENT when there is none. */
static struct json_span member(const char *text, size_t len, const char *name)
{
    const struct json_key key = {name, strlen(name)};
    struct json_span span = {.kind = JSON_ABSENT};
    struct json_report report;

    if (json_scan_object(text, len, &key, 1, NULL, &span, &report) != NHUB_OK) {
        span.kind = JSON_ABSENT;
    }
    return span;
}

/* "ring.events": two levels at most. */
static bool find_number(const struct http_figures *f, const char *path, double *out)
{
    const char *dot = strchr(path, '.');
    char outer[32] = "";
    struct json_span span;

    if (dot && (size_t)(dot - path) < sizeof outer) {
        memcpy(outer, path, (size_t)(dot - path));
        span = member(f->hub, f->hub_len, outer);
        if (span.kind != JSON_OBJECT) {
            return false;
        }
        span = member(span.p, span.len, dot + 1);
    } else {
        span = member(f->hub, f->hub_len, path);
    }
    return span.kind == JSON_NUMBER && json_span_double(&span, out) == NHUB_OK;
}

static void write_hub_numbers(const struct http_figures *f, struct buf *out)
{
    /* clang-format off */
    static const struct {
        const char *path, *name, *type, *help;
    } rows[] = {
        {"events_received", "notifyhub_hub_events_received_total", "counter", "Events that reached the hub"},
        {"events_published", "notifyhub_hub_events_published_total", "counter", "Events that the hub numbered"},
        {"received_bytes", "notifyhub_hub_received_bytes_total", "counter", "Bytes of events that reached the hub"},
        {"published_bytes", "notifyhub_hub_published_bytes_total", "counter", "Bytes of events that the hub sent out"},
        {"duplicates", "notifyhub_hub_duplicates_total", "counter", "Events that the hub had already"},
        {"nonfinite", "notifyhub_hub_nonfinite_total", "counter", "Events with NaN or Infinity"},
        {"ignored_fields", "notifyhub_hub_ignored_fields_total", "counter", "Unknown fields left out"},
        {"subscriptions.now", "notifyhub_hub_subscriptions", "gauge", "Subscriptions at the hub"},
        {"subscriptions.send_failures", "notifyhub_hub_send_failures_total", "counter", "Sends to subscribers that failed"},
        {"subscriptions.not_sent", "notifyhub_hub_events_not_sent_total", "counter", "Events that ZeroMQ subscribers which do not read have missed, each counted"},
        {"connections.collector", "notifyhub_hub_collector_connections", "gauge", "ZeroMQ connections of publishers"},
        {"connections.publisher", "notifyhub_hub_publisher_connections", "gauge", "ZeroMQ connections of subscribers, gateways among them"},
        {"connections.requests", "notifyhub_hub_requests_connections", "gauge", "ZeroMQ connections of those who ask, gateways among them"},
        {"connections.refused", "notifyhub_hub_connections_refused_total", "counter", "Connections to the hub that spoke no ZeroMQ, or as the wrong socket"},
        {"answers.dropped", "notifyhub_hub_answers_dropped_total", "counter", "Answers dropped because a peer did not read"},
        {"answers.waiting", "notifyhub_hub_answers_waiting", "gauge", "Answers that wait for their peer"},
        {"seq", "notifyhub_hub_seq", "gauge", "Last number given out"},
        {"ring.events", "notifyhub_hub_history_events", "gauge", "Events that the hub keeps"},
        {"ring.bytes", "notifyhub_hub_history_bytes", "gauge", "Bytes of the events that the hub keeps"},
        {"ring.oldest", "notifyhub_hub_history_oldest_seq", "gauge", "Number of the oldest event kept"},
        {"ring.trimmed", "notifyhub_hub_history_trimmed_total", "counter", "Events that the hub keeps no more"},
        {"journal.records", "notifyhub_hub_journal_events", "gauge", "Events in the hub's journal"},
        {"journal.bytes", "notifyhub_hub_journal_bytes", "gauge", "Bytes of the events in the journal"},
        {"journal.file_bytes", "notifyhub_hub_journal_file_bytes", "gauge", "What the journal takes on the disk"},
        {"journal.max_bytes", "notifyhub_hub_journal_max_bytes", "gauge", "Bytes of events above which the journal trims"},
        {"journal.age_s", "notifyhub_hub_journal_age_seconds", "gauge", "Age of the oldest event in the journal"},
        {"journal.pending_bytes", "notifyhub_hub_journal_pending_bytes", "gauge", "Bytes that wait for the disk"},
        {"journal.commits", "notifyhub_hub_journal_commits_total", "counter", "Transactions of the journal"},
        {"journal.commit_p99_us", "notifyhub_hub_journal_commit_p99_microseconds", "gauge", "99 of 100 of the last commits took at most this"},
        {"journal.trimmed", "notifyhub_hub_journal_trimmed_total", "counter", "Events that retention dropped"},
        {"journal.not_stored", "notifyhub_hub_journal_not_stored_total", "counter", "Events that went out live and were not stored"},
        {"journal.damaged", "notifyhub_hub_journal_damaged_total", "counter", "Damaged records met"},
        {"journal.backlog_full", "notifyhub_hub_journal_backlog_full_total", "counter", "Times that publishers had to wait for the disk"},
        {"groups.count", "notifyhub_hub_groups", "gauge", "Consumer groups"},
        {"groups.lag_max", "notifyhub_hub_groups_lag_max_events", "gauge", "Numbers that the group which lags most is behind"},
        {"groups.pending", "notifyhub_hub_groups_pending", "gauge", "Deliveries that members of groups hold"},
        {"groups.delayed", "notifyhub_hub_groups_delayed", "gauge", "Events of groups that wait for their next attempt"},
        {"groups.waiting", "notifyhub_hub_groups_waiting", "gauge", "Fetches that wait for an event"},
        {"groups.acked", "notifyhub_hub_groups_acked_total", "counter", "Deliveries acknowledged"},
        {"groups.redelivered", "notifyhub_hub_groups_redelivered_total", "counter", "Deliveries that were not the first of their event"},
        {"groups.dead_letters", "notifyhub_hub_groups_dead_letters_total", "counter", "Events of groups whose attempts all failed"},
        {"groups.lost", "notifyhub_hub_groups_lost_total", "counter", "Events that groups lost to retention or a void"},
        {"dedup_ids", "notifyhub_hub_dedup_ids", "gauge", "Ids remembered for de-duplication"},
        {"start_time", "notifyhub_hub_start_time_seconds", "gauge", "Start of the hub, seconds since 1970"},
        {"last_message_time", "notifyhub_hub_last_event_time_seconds", "gauge", "Last event, seconds since 1970"},
    };
    /* clang-format on */
    double value = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (find_number(f, rows[i].path, &value)) {
            single(out, rows[i].name, rows[i].type, rows[i].help, value);
        }
    }
}

/* An object of numbers as one family, its keys as label. */
static void write_hub_group(const struct http_figures *f, const char *group, const char *name,
                            const char *label, const char *help, struct buf *out)
{
    const struct json_span object = member(f->hub, f->hub_len, group);
    struct json_span key, value;
    struct json_report report;
    size_t pos = 0;

    if (object.kind != JSON_OBJECT) {
        return;
    }
    metrics_family(out, name, "counter", help);
    while (json_scan_member(object.p, object.len, &pos, NULL, &key, &value, &report) == NHUB_OK) {
        char word[64];
        size_t len = 0;
        double figure = 0;

        if (json_decode_string(&key, word, sizeof word - 1, &len) == NHUB_OK &&
            json_span_double(&value, &figure) == NHUB_OK) {
            word[len] = '\0';
            metrics_sample(out, name, figure, label, word, NULL);
        }
    }
}

static void write_hub(const struct http_figures *f, struct buf *out)
{
    single(out, "notifyhub_hub_up", "gauge", "1 when the hub told its figures", f->hub ? 1 : 0);
    if (!f->hub) {
        return;
    }
    write_hub_numbers(f, out);
    write_hub_group(f, "rejected", "notifyhub_hub_rejected_total", "reason",
                    "Events that the hub refused", out);
    write_hub_group(f, "requests", "notifyhub_hub_requests_total", "action", "Requests to the hub",
                    out);
}

void http_metrics_write(const struct http_figures *f, struct buf *out)
{
    const struct gateway_counters *c = &f->gateway->counters;

    write_process(f, out);
    write_loops(f, out);
    write_link(f, out);
    write_counters(c, out);
    write_by_door(c, out);
    write_refusals(c, out);
    write_rates(f, out);
    write_hub(f, out);
}
