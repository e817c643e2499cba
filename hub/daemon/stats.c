/*
 * stats: counters as JSON and as a log line.
 */
#include "daemon/stats.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

static const char *const action_names[ACTION_UNKNOWN + 1] = {
    [ACTION_HEALTH] = "health",
    [ACTION_INFO] = "info",
    [ACTION_TERMINATE] = "terminate",
    [ACTION_PUBLISH] = "publish",
    [ACTION_POSITION] = "position",
    [ACTION_HISTORY] = "history",
    [ACTION_COUNT] = "count",
    [ACTION_STATS] = "stats",
    [ACTION_UNKNOWN] = "unknown",
    [ACTION_GROUP_CREATE] = "group_create",
    [ACTION_GROUP_DELETE] = "group_delete",
    [ACTION_GROUPS] = "groups",
    [ACTION_GROUP] = "group",
    [ACTION_FETCH] = "fetch",
    [ACTION_ACK] = "ack",
    [ACTION_NACK] = "nack",
    [ACTION_EXTEND] = "extend",
};

void stats_init(struct stats *s, int64_t now_us, int64_t now_ms)
{
    memset(s, 0, sizeof *s);
    s->start_us = now_us;
    stats_tick(s, now_ms);
}

void stats_tick(struct stats *s, int64_t now_ms)
{
    const unsigned cap = STATS_RATE_WINDOW_S + 1;

    s->samples[s->sample_next] = (struct stats_sample){
        .events = s->events_published, .bytes = s->published_bytes, .at_ms = now_ms};
    s->sample_next = (s->sample_next + 1) % cap;
    if (s->sample_count < cap) {
        s->sample_count++;
    }
}

void stats_rates(const struct stats *s, double *out_events_per_s, double *out_bytes_per_s)
{
    const unsigned cap = STATS_RATE_WINDOW_S + 1;
    const struct stats_sample *newest = &s->samples[(s->sample_next + cap - 1) % cap];
    const struct stats_sample *oldest = &s->samples[(s->sample_next + cap - s->sample_count) % cap];
    const int64_t span_ms = s->sample_count < 2 ? 0 : newest->at_ms - oldest->at_ms;

    *out_events_per_s = 0.0;
    *out_bytes_per_s = 0.0;
    if (span_ms > 0) {
        *out_events_per_s = (double)(newest->events - oldest->events) * 1e3 / (double)span_ms;
        *out_bytes_per_s = (double)(newest->bytes - oldest->bytes) * 1e3 / (double)span_ms;
    }
}

uint64_t stats_rejected_total(const struct stats *s)
{
    uint64_t total = s->conflicts + s->not_numbered;

    for (int reason = EVENT_OK + 1; reason < EVENT_REASONS; reason++) {
        total += s->rejected[reason];
    }
    return total;
}

uint64_t stats_subscriptions(const struct stats *s)
{
    return s->subscribes > s->unsubscribes ? s->subscribes - s->unsubscribes : 0;
}

void stats_write_seconds(struct buf *out, int64_t us)
{
    if (us == 0) {
        buf_add_str(out, "0.0");
        return;
    }
    buf_printf(out, "%" PRId64 ".%06" PRId64, us / 1000000, us % 1000000);
}

static void write_basic_members(const struct stats *s, struct buf *out)
{
    buf_printf(out,
               "\"events_received\":%" PRIu64 ",\"events_published\":%" PRIu64
               ",\"last_message_time\":",
               s->events_received, s->events_published);
    stats_write_seconds(out, s->last_message_us);
    buf_add_str(out, ",\"start_time\":");
    stats_write_seconds(out, s->start_us);
}

void stats_write_basic(const struct stats *s, struct buf *out)
{
    buf_add_char(out, '{');
    write_basic_members(s, out);
    buf_add_char(out, '}');
}

static void member(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, ",\"%s\":%" PRIu64, name, value);
}

/* Inside an object whose first member this may be. */
static void first_or_next(struct buf *out, bool *is_first, const char *name, uint64_t value)
{
    buf_printf(out, "%s\"%s\":%" PRIu64, *is_first ? "" : ",", name, value);
    *is_first = false;
}

static void write_rejected(const struct stats *s, struct buf *out)
{
    bool is_first = true;

    buf_add_str(out, ",\"rejected\":{");
    for (int reason = EVENT_OK + 1; reason < EVENT_REASONS; reason++) {
        first_or_next(out, &is_first, event_reason_code((enum event_reason)reason),
                      s->rejected[reason]);
    }
    first_or_next(out, &is_first, "duplicate_conflict", s->conflicts);
    first_or_next(out, &is_first, "not_numbered", s->not_numbered);
    buf_add_char(out, '}');
}

static void write_requests(const struct stats *s, const struct stats_gauges *gauges,
                           struct buf *out)
{
    bool is_first = true;

    buf_add_str(out, ",\"requests\":{");
    for (int action = 0; action <= ACTION_UNKNOWN; action++) {
        first_or_next(out, &is_first, action_names[action], s->requests[action]);
    }
    member(out, "bad", s->requests_bad);
    member(out, "refused", s->requests_refused);
    member(out, "no_reply", s->no_reply);
    member(out, "unknown_message_type", s->unknown_messages);
    member(out, "short_message", s->short_messages);
    buf_printf(out, "},\"answers\":{\"sent\":%" PRIu64, s->answers_sent);
    member(out, "queued", s->answers_queued_total);
    member(out, "dropped", s->answers_dropped);
    member(out, "unroutable", s->answers_unroutable);
    member(out, "waiting", s->waiting_answers);
    member(out, "waiting_bytes", s->waiting_bytes);
    member(out, "waiting_peers", s->waiting_peers);
    member(out, "waiting_for_disk", gauges->waiting_acks);
    member(out, "durability_lost", s->durability_lost);
    buf_add_char(out, '}');
}

static void write_subscribers(const struct stats *s, struct buf *out)
{
    buf_printf(out, ",\"subscriptions\":{\"now\":%" PRIu64, stats_subscriptions(s));
    member(out, "subscribed", s->subscribes);
    member(out, "unsubscribed", s->unsubscribes);
    member(out, "too_long", s->long_subscriptions);
    member(out, "noise", s->upstream_noise);
    member(out, "send_failures", s->send_failures);
    member(out, "not_sent", s->not_sent);
    buf_add_char(out, '}');
}

static void write_connections(const struct stats_connections *c, struct buf *out)
{
    buf_printf(out, ",\"connections\":{\"collector\":%" PRIu64, c->collector);
    member(out, "publisher", c->publisher);
    member(out, "requests", c->requests);
    member(out, "refused", c->refused);
    buf_add_char(out, '}');
}

static void write_ring(const struct stats_gauges *gauges, struct buf *out)
{
    const struct journal_state *j = &gauges->ring;

    buf_printf(out, ",\"epoch\":\"%s\",\"seq\":%" PRIu64, gauges->epoch, gauges->journal.last);
    buf_printf(out, ",\"ring\":{\"events\":%" PRIu64, j->records);
    member(out, "bytes", j->bytes);
    member(out, "oldest", j->oldest);
    member(out, "trimmed", j->trimmed);
    member(out, "max_events", j->max_records);
    member(out, "max_bytes", j->max_bytes);
    buf_add_char(out, '}');
    member(out, "dedup_ids", gauges->dedup_ids);
}

const char *stats_journal_word(const struct stats_gauges *gauges)
{
    if (!gauges->disk.is_on_disk) {
        return "off";
    }
    return gauges->journal.condition == JOURNAL_DEGRADED ? "degraded" : "ready";
}

static void write_journal(const struct stats_gauges *gauges, struct buf *out)
{
    const struct journal_state *j = &gauges->journal;
    const struct journal_figures *f = &gauges->disk;
    const int64_t now_us = clock_wall_us();
    const uint64_t on_disk = f->is_on_disk ? 1 : 0;

    buf_printf(out, ",\"journal\":{\"state\":\"%s\",\"why\":", stats_journal_word(gauges));
    buf_add_json_cstr(out, j->why);
    member(out, "oldest", j->oldest * on_disk);
    member(out, "records", j->records * on_disk);
    member(out, "bytes", j->bytes * on_disk);
    member(out, "file_bytes", f->file_bytes);
    member(out, "max_bytes", j->max_bytes * on_disk);
    member(out, "age_s",
           f->oldest_us > 0 && now_us > f->oldest_us ? (uint64_t)(now_us - f->oldest_us) / 1000000
                                                     : 0);
    member(out, "journaled", j->journaled);
    member(out, "synced", j->synced);
    member(out, "pending_bytes", j->pending_bytes);
    member(out, "backlog_full", f->backlog_full);
    member(out, "commits", f->commits);
    member(out, "syncs", f->syncs);
    member(out, "commit_p50_us", f->commit_p50_us);
    member(out, "commit_p99_us", f->commit_p99_us);
    member(out, "commit_max_us", f->commit_max_us);
    member(out, "trimmed", j->trimmed * on_disk);
    member(out, "not_stored", j->not_stored);
    member(out, "voids", j->void_count);
    member(out, "damaged", f->damaged);
    buf_add_char(out, '}');
}

static void write_groups(const struct stats_groups *g, struct buf *out)
{
    buf_printf(out, ",\"groups\":{\"count\":%" PRIu64, g->count);
    member(out, "lag_max", g->lag_max);
    member(out, "pending", g->pending);
    member(out, "delayed", g->delayed);
    member(out, "waiting", g->waiting);
    member(out, "acked", g->acked);
    member(out, "redelivered", g->redelivered);
    member(out, "dead_letters", g->dead_letters);
    member(out, "lost", g->lost);
    buf_add_char(out, '}');
}

void stats_write(const struct stats *s, const struct stats_gauges *gauges, struct buf *out)
{
    double events_per_s;
    double bytes_per_s;

    stats_rates(s, &events_per_s, &bytes_per_s);
    buf_add_char(out, '{');
    write_basic_members(s, out);
    buf_printf(out, ",\"events_per_s\":%.3f,\"bytes_per_s\":%.3f", events_per_s, bytes_per_s);
    member(out, "received_bytes", s->received_bytes);
    member(out, "published_bytes", s->published_bytes);
    member(out, "duplicates", s->duplicates);
    member(out, "rejected_total", stats_rejected_total(s));
    write_rejected(s, out);
    member(out, "ignored_fields", s->ignored_fields);
    member(out, "nonfinite", s->nonfinite);
    member(out, "own_events", s->own_events);
    write_subscribers(s, out);
    write_connections(&gauges->connections, out);
    write_requests(s, gauges, out);
    write_ring(gauges, out);
    write_groups(&gauges->groups, out);
    write_journal(gauges, out);
    buf_add_char(out, '}');
}

void stats_log(const struct stats *s, const struct stats_gauges *gauges)
{
    double events_per_s;
    double bytes_per_s;
    char last_message[28] = "never";

    stats_rates(s, &events_per_s, &bytes_per_s);
    if (s->last_message_us > 0) {
        time_format_rfc3339(s->last_message_us, last_message);
    }
    log_info(
        "statistics", log_uint("events_received", s->events_received),
        log_uint("events_published", s->events_published),
        log_uint("rejected", stats_rejected_total(s)), log_uint("duplicates", s->duplicates),
        log_double("events_per_s", events_per_s), log_double("bytes_per_s", bytes_per_s),
        log_str("last_message", last_message), log_uint("subscriptions", stats_subscriptions(s)),
        log_uint("answers_sent", s->answers_sent), log_uint("answers_dropped", s->answers_dropped),
        log_str("epoch", gauges->epoch), log_uint("seq", gauges->journal.last),
        log_uint("ring_events", gauges->ring.records), log_uint("ring_bytes", gauges->ring.bytes),
        log_str("journal", stats_journal_word(gauges)),
        log_uint("journal_events", gauges->disk.is_on_disk ? gauges->journal.records : 0),
        log_uint("not_stored", gauges->journal.not_stored));
}
