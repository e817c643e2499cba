/*
 * top_json: the same figures as top_page, unrounded.
 */
#include "cli/top_json.h"

#include <inttypes.h>

struct pair {
    const char *name;
    uint64_t value;
};

static void add_pairs(struct buf *b, const struct pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_printf(b, ",\"%s\":%" PRIu64, pairs[i].name, pairs[i].value);
    }
}

#define ADD_PAIRS(b, ...)                                                                          \
    do {                                                                                           \
        const struct pair pairs[] = {__VA_ARGS__};                                                 \
        add_pairs(b, pairs, sizeof pairs / sizeof pairs[0]);                                       \
    } while (0)

static void add_real(struct buf *b, const char *name, bool is_known, double value)
{
    if (is_known) {
        buf_printf(b, ",\"%s\":%.3f", name, value);
    } else {
        buf_printf(b, ",\"%s\":null", name);
    }
}

static void add_text(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, ",\"%s\":", name);
    buf_add_json_cstr(b, text);
}

static void add_reasons(struct buf *b, const char *name, const struct top_reasons *reasons)
{
    buf_printf(b, ",\"%s\":{", name);
    for (size_t i = 0; i < reasons->count; i++) {
        if (i > 0) {
            buf_add_char(b, ',');
        }
        buf_add_json_cstr(b, reasons->rows[i].name);
        buf_printf(b, ":%" PRIu64, reasons->rows[i].count);
    }
    buf_add_char(b, '}');
}

/* ---- doors ---- */

static void add_door(struct buf *b, const struct top_figures *f, enum top_door d, const char *name)
{
    const struct top_reading *r = &f->now;
    const struct top_rates *rates = &f->rates;

    buf_printf(b, "\"%s\":{\"subscribers\":%" PRIu64, name, r->subscribers[d]);
    add_real(b, "in_per_s", rates->knows_gateway, rates->published[d]);
    add_real(b, "out_per_s", rates->knows_gateway, rates->delivered[d]);
    ADD_PAIRS(b, {"delivered", r->delivered[d]}, {"refused", r->rejected[d]});
    buf_add_char(b, '}');
}

static void add_doors(struct buf *b, const struct top_figures *f)
{
    const struct top_reading *r = &f->now;

    buf_add_str(b, ",\"doors\":{");
    if (r->has_gateway) {
        add_door(b, f, TOP_WS, "ws");
        buf_add_char(b, ',');
        add_door(b, f, TOP_SSE, "sse");
        buf_add_char(b, ',');
        add_door(b, f, TOP_HTTP, "http");
    }
    if (r->has_hub) {
        buf_printf(b, "%s\"zeromq\":{\"subscribers\":%" PRIu64, r->has_gateway ? "," : "",
                   r->subscriptions);
        add_real(b, "in_per_s", f->rates.knows_hub, f->rates.zeromq);
        buf_printf(b, ",\"out_per_s\":null,\"delivered\":null,\"refused\":%" PRIu64 "}",
                   r->hub_rejected);
    }
    buf_add_char(b, '}');
}

/* ---- daemons ---- */

static void add_gateway(struct buf *b, const struct top_reading *r)
{
    if (!r->has_gateway) {
        buf_add_str(b, ",\"gateway\":null");
        return;
    }
    buf_printf(b, ",\"gateway\":{\"state\":\"%s\"", top_gateway_state(r));
    add_text(b, "reason", r->link_reason);
    add_text(b, "version", r->gateway_version);
    buf_printf(b, ",\"uptime_s\":%.3f", r->gateway_uptime_s);
    ADD_PAIRS(b, {"connections", r->connections}, {"resident_bytes", r->resident_bytes},
              {"stream_bytes", r->stream_bytes}, {"lag_events", r->lag_events},
              {"behind_events", r->behind_events}, {"gaps", r->gaps}, {"resumes", r->resumes},
              {"refilled", r->refilled});
    add_reasons(b, "dropped", &r->dropped);
    add_reasons(b, "refused", &r->refused);
    buf_add_char(b, '}');
}

static void add_journal(struct buf *b, const struct top_reading *r)
{
    if (!r->has_journal) {
        buf_add_str(b, ",\"journal\":null");
        return;
    }
    buf_add_str(b, ",\"journal\":{\"state\":");
    buf_add_json_cstr(b, r->journal_state);
    add_text(b, "why", r->journal_why);
    ADD_PAIRS(b, {"bytes", r->journal_bytes}, {"file_bytes", r->journal_file_bytes},
              {"pending_bytes", r->journal_pending}, {"not_stored", r->journal_not_stored});
    buf_printf(b, ",\"age_s\":%.3f}", r->journal_age_s);
}

static void add_groups(struct buf *b, const struct top_reading *r)
{
    if (!r->has_groups) {
        buf_add_str(b, ",\"groups\":null");
        return;
    }
    buf_printf(b, ",\"groups\":{\"count\":%" PRIu64, r->groups);
    ADD_PAIRS(b, {"lag", r->group_lag}, {"pending", r->group_pending},
              {"dead_letters", r->dead_letters});
    buf_add_char(b, '}');
}

static void add_hub(struct buf *b, const struct top_reading *r, double now_s)
{
    if (!r->has_hub) {
        buf_add_str(b, ",\"hub\":null");
        return;
    }
    buf_printf(b, ",\"hub\":{\"state\":\"%s\"", top_hub_state(r));
    add_text(b, "epoch", r->epoch);
    add_real(b, "uptime_s", r->hub_start_s > 0 && now_s > r->hub_start_s, now_s - r->hub_start_s);
    ADD_PAIRS(b, {"seq", r->seq}, {"received", r->events_received},
              {"published", r->events_published}, {"published_bytes", r->published_bytes},
              {"duplicates", r->duplicates}, {"subscriptions", r->subscriptions},
              {"answers_dropped", r->answers_dropped}, {"not_sent", r->zeromq_not_sent});
    add_reasons(b, "refused", &r->hub_refused);
    add_journal(b, r);
    add_groups(b, r);
    buf_add_char(b, '}');
}

void top_json_add(struct buf *out, const struct top_figures *f, double now_s, double interval_s)
{
    const struct top_rates *rates = &f->rates;

    buf_printf(out, "{\"time\":%.3f,\"interval_s\":%.3f", now_s, interval_s);
    add_real(out, "in_per_s", rates->knows_hub, rates->in);
    add_real(out, "in_bytes_per_s", rates->knows_hub, rates->in_bytes);
    add_real(out, "out_per_s", rates->knows_gateway, rates->out);
    add_real(out, "drops_per_s", rates->knows_drops, rates->drops);
    add_doors(out, f);
    add_gateway(out, &f->now);
    add_hub(out, &f->now, now_s);
    buf_add_char(out, '}');
}

void top_json_add_trouble(struct buf *out, const char *trouble, double now_s)
{
    buf_printf(out, "{\"time\":%.3f,\"error\":", now_s);
    buf_add_json_cstr(out, trouble);
    buf_add_char(out, '}');
}
