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
static void text(const json_t *object, const char *name, char out[TOP_TEXT_MAX])
{
    const char *value = json_string_value(json_object_get(object, name));

    (void)snprintf(out, TOP_TEXT_MAX, "%s", value ? value : "");
    for (char *c = out; *c; c++) {
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) {
            *c = '?';
        }
    }
}

/* The sum of an object's numbers: counters by reason. */
static uint64_t sum(json_t *object)
{
    const char *key;
    json_t *value;
    uint64_t total = 0;

    json_object_foreach(object, key, value)
    {
        total += number(object, key);
    }
    return total;
}

static void read_doors(const json_t *gateway, struct top_reading *out)
{
    for (size_t i = 0; i < TOP_DOORS; i++) {
        out->subscribers[i] = number(json_object_get(gateway, "subscribers"), door_names[i]);
        out->published[i] = number(json_object_get(gateway, "published_total"), door_names[i]);
        out->delivered[i] = number(json_object_get(gateway, "delivered_total"), door_names[i]);
        out->rejected[i] =
            sum(json_object_get(json_object_get(gateway, "rejected"), door_names[i]));
    }
}

static void read_dropped(json_t *dropped, struct top_reading *out)
{
    const char *key;
    json_t *value;

    json_object_foreach(dropped, key, value)
    {
        struct top_reason *reason = &out->dropped[out->dropped_count];

        if (out->dropped_count == TOP_REASONS_MAX) {
            break;
        }
        (void)snprintf(reason->name, sizeof reason->name, "%s", key);
        reason->count = number(dropped, key);
        out->dropped_count++;
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
    read_dropped(json_object_get(gateway, "dropped"), out);
    out->lag_events = number(json_object_get(gateway, "lag"), "max_events");
    out->gaps = number(gateway, "gaps_total");
    out->resumes = number(gateway, "resumes_total");
    out->refilled = number(json_object_get(gateway, "events"), "refilled_total");
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

    out->has_hub = true;
    text(hub, "epoch", out->epoch);
    out->seq = number(hub, "seq");
    out->hub_start_s = real(hub, "start_time");
    out->events_received = number(hub, "events_received");
    out->events_published = number(hub, "events_published");
    out->published_bytes = number(hub, "published_bytes");
    out->duplicates = number(hub, "duplicates");
    out->hub_rejected = number(hub, "rejected_total");
    out->subscriptions = number(json_object_get(hub, "subscriptions"), "now");
    out->answers_dropped = number(json_object_get(hub, "answers"), "dropped");
    read_journal(json_object_get(hub, "journal"), out);
    out->has_groups = json_is_object(groups);
    out->groups = number(groups, "count");
    out->group_lag = number(groups, "lag");
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

/* ---- rates ---- */

static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before ? (double)(now - before) / seconds : 0;
}

static void make_rates(struct top_figures *f, const struct top_reading *now, double seconds)
{
    const struct top_reading *before = &f->now;

    /* What was not there in both readings has no rate: a whole count is not what came since. */
    if (now->has_hub && before->has_hub) {
        f->rates.in = rate(now->events_published, before->events_published, seconds);
        f->rates.in_bytes = rate(now->published_bytes, before->published_bytes, seconds);
    }
    for (size_t i = 0; now->has_gateway && before->has_gateway && i < TOP_DOORS; i++) {
        f->rates.published[i] = rate(now->published[i], before->published[i], seconds);
        f->rates.delivered[i] = rate(now->delivered[i], before->delivered[i], seconds);
        f->rates.out += f->rates.delivered[i];
    }
}

void top_add(struct top_figures *f, const struct top_reading *reading, int64_t now_ms)
{
    f->rates = (struct top_rates){.in = 0};
    if (f->read_ms > 0 && now_ms > f->read_ms) {
        make_rates(f, reading, (double)(now_ms - f->read_ms) / 1000.0);
        f->in_history[f->next] = (float)f->rates.in;
        f->out_history[f->next] = (float)f->rates.out;
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
