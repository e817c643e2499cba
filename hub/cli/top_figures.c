/*
 * top_figures: JSON to numbers, numbers to rates.
 */
#include "cli/top_figures.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const door_names[TOP_DOORS] = {"http", "sse", "ws"};

static uint64_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    const json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;

    return n > 0 ? (uint64_t)n : 0;
}

static double real(const json_t *object, const char *name)
{
    const double value = json_number_value(json_object_get(object, name));

    return value > 0 ? value : 0;
}

static bool truth(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

/* Control characters would move the terminal's cursor. */
static void copy_text(const char *value, char out[TOP_TEXT_MAX])
{
    (void)snprintf(out, TOP_TEXT_MAX, "%s", value ? value : "");
    for (char *c = out; *c; c++) {
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) {
            *c = '?';
        }
    }
}

static void text(const json_t *object, const char *name, char out[TOP_TEXT_MAX])
{
    copy_text(json_string_value(json_object_get(object, name)), out);
}

/* Adds to the counter of a reason. */
static void count_reason(struct top_reasons *reasons, const char *name, uint64_t count)
{
    size_t i = 0;

    while (i < reasons->count && strcmp(reasons->rows[i].name, name) != 0) {
        i++;
    }
    if (i == TOP_REASONS_MAX) {
        i = TOP_REASONS_MAX - 1;
        (void)snprintf(reasons->rows[i].name, TOP_TEXT_MAX, "others");
    } else if (i == reasons->count) {
        (void)snprintf(reasons->rows[i].name, TOP_TEXT_MAX, "%s", name);
        reasons->count++;
    }
    reasons->rows[i].count += count;
}

/* An object's numbers are counters by reason; returns their sum. */
static uint64_t read_reasons(json_t *object, struct top_reasons *out)
{
    const char *key;
    json_t *value;
    uint64_t total = 0;

    json_object_foreach(object, key, value)
    {
        const uint64_t count = number(object, key);
        char name[TOP_TEXT_MAX];

        copy_text(key, name);
        count_reason(out, name, count);
        total += count;
    }
    return total;
}

uint64_t top_sum(const struct top_reasons *reasons)
{
    uint64_t total = 0;

    for (size_t i = 0; i < reasons->count; i++) {
        total += reasons->rows[i].count;
    }
    return total;
}

static void read_doors(const json_t *gateway, struct top_reading *out)
{
    for (size_t i = 0; i < TOP_DOORS; i++) {
        out->subscribers[i] = number(json_object_get(gateway, "subscribers"), door_names[i]);
        out->published[i] = number(json_object_get(gateway, "published_total"), door_names[i]);
        out->delivered[i] = number(json_object_get(gateway, "delivered_total"), door_names[i]);
        out->rejected[i] = read_reasons(
            json_object_get(json_object_get(gateway, "rejected"), door_names[i]), &out->refused);
    }
}

static void read_gateway(const json_t *gateway, struct top_reading *out)
{
    const json_t *link = json_object_get(gateway, "link");
    const json_t *memory = json_object_get(gateway, "memory");

    out->has_gateway = true;
    text(gateway, "version", out->gateway_version);
    out->gateway_uptime_s = real(gateway, "uptime_s");
    out->is_draining = truth(gateway, "draining");
    out->is_connected = truth(link, "connected");
    out->is_caught_up = truth(link, "caught_up");
    text(link, "reason", out->link_reason);
    out->connections = number(json_object_get(gateway, "connections"), "open");
    out->resident_bytes = number(memory, "resident_bytes");
    out->stream_bytes = number(memory, "stream_bytes");
    read_doors(gateway, out);
    (void)read_reasons(json_object_get(gateway, "dropped"), &out->dropped);
    out->lag_events = number(json_object_get(gateway, "lag"), "max_events");
    out->gaps = number(gateway, "gaps_total");
    out->resumes = number(gateway, "resumes_total");
    out->refilled = number(json_object_get(gateway, "events"), "refilled_total");
    if (number(link, "seq") > number(link, "received_seq")) {
        out->behind_events = number(link, "seq") - number(link, "received_seq");
    }
}

static void read_journal(const json_t *journal, struct top_reading *out)
{
    out->has_journal = json_is_object(journal);
    text(journal, "state", out->journal_state);
    text(journal, "why", out->journal_why);
    out->journal_bytes = number(journal, "bytes");
    out->journal_file_bytes = number(journal, "file_bytes");
    out->journal_pending = number(journal, "pending_bytes");
    out->journal_not_stored = number(journal, "not_stored");
    out->journal_age_s = real(journal, "age_s");
}

static void read_hub(const json_t *hub, struct top_reading *out)
{
    const json_t *groups = json_object_get(hub, "groups");
    const json_t *subscriptions = json_object_get(hub, "subscriptions");

    out->has_hub = true;
    text(hub, "epoch", out->epoch);
    out->seq = number(hub, "seq");
    out->hub_start_s = real(hub, "start_time");
    out->events_received = number(hub, "events_received");
    out->events_published = number(hub, "events_published");
    out->published_bytes = number(hub, "published_bytes");
    out->duplicates = number(hub, "duplicates");
    out->hub_rejected = number(hub, "rejected_total");
    (void)read_reasons(json_object_get(hub, "rejected"), &out->hub_refused);
    out->zeromq_not_sent =
        number(subscriptions, "send_failures") + number(subscriptions, "not_sent");
    out->subscriptions = number(subscriptions, "now");
    out->answers_dropped = number(json_object_get(hub, "answers"), "dropped");
    read_journal(json_object_get(hub, "journal"), out);
    out->has_groups = json_is_object(groups);
    out->groups = number(groups, "count");
    out->group_lag = number(groups, "lag_max");
    out->group_pending = number(groups, "pending");
    out->dead_letters = number(groups, "dead_letters");
}

nhub_err top_read(const char *bytes, size_t len, struct top_reading *out)
{
    json_error_t error;
    json_t *json = json_loadb(bytes, len, 0, &error);
    const json_t *gateway = json_object_get(json, "gateway");
    const json_t *hub = json_object_get(json, gateway ? "hub" : "statistics");

    *out = (struct top_reading){.has_gateway = false};
    if (json_is_object(gateway)) {
        read_gateway(gateway, out);
    }
    if (json_is_object(hub)) {
        read_hub(hub, out);
    }
    json_decref(json);
    return out->has_gateway || out->has_hub ? NHUB_OK : NHUB_EPROTO;
}

const char *top_gateway_state(const struct top_reading *r)
{
    return r->is_draining                       ? "draining"
           : r->is_connected && r->is_caught_up ? "ready"
           : r->is_connected                    ? "not ready, catching up"
                                                : "not ready, no hub";
}

const char *top_hub_state(const struct top_reading *r)
{
    return strcmp(r->journal_state, "degraded") == 0 ? "degraded" : "running";
}

/* ---- rates ---- */

static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before ? (double)(now - before) / seconds : 0;
}

uint64_t top_drops(const struct top_reading *r)
{
    return top_sum(&r->dropped) + top_sum(&r->refused) + r->hub_rejected + r->zeromq_not_sent +
           r->answers_dropped + r->journal_not_stored;
}

static void make_rates(struct top_figures *f, const struct top_reading *now, double seconds)
{
    const struct top_reading *before = &f->now;
    struct top_rates *rates = &f->rates;

    /* What was not there in both readings has no rate: a whole count is not what came since. */
    rates->knows_hub = now->has_hub && before->has_hub;
    rates->knows_gateway = now->has_gateway && before->has_gateway;
    if (rates->knows_hub) {
        rates->in = rate(now->events_published, before->events_published, seconds);
        rates->in_bytes = rate(now->published_bytes, before->published_bytes, seconds);
        rates->zeromq = rate(now->events_received, before->events_received, seconds);
    }
    for (size_t i = 0; rates->knows_gateway && i < TOP_DOORS; i++) {
        rates->published[i] = rate(now->published[i], before->published[i], seconds);
        rates->delivered[i] = rate(now->delivered[i], before->delivered[i], seconds);
        rates->out += rates->delivered[i];
    }
    /* What came by no other door. The daemons are not asked at the same instant: it may be less. */
    for (size_t i = 0; i < TOP_DOORS; i++) {
        rates->zeromq -= rates->published[i];
    }
    if (rates->zeromq < 0) {
        rates->zeromq = 0;
    }
    rates->knows_drops = now->has_hub == before->has_hub && now->has_gateway == before->has_gateway;
    if (rates->knows_drops) {
        rates->drops = rate(top_drops(now), top_drops(before), seconds);
    }
}

void top_add(struct top_figures *f, const struct top_reading *reading, int64_t now_ms)
{
    f->rates = (struct top_rates){.in = 0};
    if (f->read_ms > 0 && now_ms > f->read_ms) {
        make_rates(f, reading, (double)(now_ms - f->read_ms) / 1000.0);
        f->in_history[f->next] = (float)f->rates.in;
        f->out_history[f->next] = (float)f->rates.out;
        f->drop_history[f->next] = (float)f->rates.drops;
        f->next = (f->next + 1) % TOP_HISTORY_MAX;
        f->count += f->count < TOP_HISTORY_MAX ? 1 : 0;
    }
    f->now = *reading;
    f->read_ms = now_ms;
}

float top_history(const struct top_figures *f, const float *history, size_t i)
{
    return i < f->count ? history[(f->next + TOP_HISTORY_MAX - 1 - i) % TOP_HISTORY_MAX] : 0;
}
