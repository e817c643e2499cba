/*
 * top_page: what stands where.
 */
#include "cli/top_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL_WIDTH 14

/* ---- numbers ---- */

void top_format_count(double value, char out[24])
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E"};
    size_t unit = 0;
    int decimals = 0;

    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    if (unit == 0) {
        decimals = value < 99.95 && value != (double)(int64_t)value ? 1 : 0;
    } else { /* three digits that count */
        decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    }
    (void)snprintf(out, 24, "%.*f%s", decimals, value, units[unit]);
}

void top_format_bytes(double value, char out[24])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;

    while (value >= 1023.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 24, "%.*f %s", unit > 0 && value < 99.95 ? 1 : 0, value, units[unit]);
}

void top_format_age(double seconds, char out[24])
{
    const uint64_t s = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;

    if (s < 60) {
        (void)snprintf(out, 24, "%" PRIu64 " s", s);
    } else if (s < 3600) {
        (void)snprintf(out, 24, "%" PRIu64 " m %" PRIu64 " s", s / 60, s % 60);
    } else if (s < 86400) {
        (void)snprintf(out, 24, "%" PRIu64 " h %" PRIu64 " m", s / 3600, s / 60 % 60);
    } else {
        (void)snprintf(out, 24, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
    }
}

/* ---- lines ---- */

/* A new line; beyond the last one that there is room for, that one is written over. */
static struct buf *line(struct top_page *page, enum top_style style)
{
    struct top_line *l =
        &page->lines[page->count < TOP_LINES_MAX ? page->count++ : page->count - 1];

    buf_reset(&l->text);
    l->style = style;
    return &l->text;
}

/* Columns that a text takes: its characters (those used here are one column wide each). */
static size_t columns(const struct buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++) {
        n += ((unsigned char)b->data[i] & 0xC0) != 0x80 ? 1 : 0;
    }
    return n;
}

static void pad_to(struct buf *b, size_t column)
{
    for (size_t i = columns(b); i < column; i++) {
        buf_add_char(b, ' ');
    }
}

static struct buf *label(struct top_page *page, enum top_style style, const char *name)
{
    struct buf *b = line(page, style);

    buf_add_str(b, name);
    pad_to(b, LABEL_WIDTH);
    return b;
}

static void add_count(struct buf *b, double value)
{
    char text[24];

    top_format_count(value, text);
    buf_add_str(b, text);
}

static void add_bytes(struct buf *b, uint64_t value)
{
    char text[24];

    top_format_bytes((double)value, text);
    buf_add_str(b, text);
}

static void add_age(struct buf *b, double seconds)
{
    char text[24];

    top_format_age(seconds, text);
    buf_add_str(b, text);
}

static void add_sparkline(const struct top_page *page, struct buf *b, const struct top_figures *f,
                          const float *history)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    const size_t used = columns(b);
    const size_t room = page->width > used ? page->width - used : 0;
    const size_t n = room < f->count ? room : f->count;
    float highest = 0;

    for (size_t i = 0; i < n; i++) {
        const float value = top_history(f, history, i);

        highest = value > highest ? value : highest;
    }
    for (size_t i = n; i-- > 0;) {
        const float share = highest > 0 ? top_history(f, history, i) / highest : 0;
        const size_t level = share >= 1 ? 7 : (size_t)(share * 7.999F);

        buf_add_str(b, page->is_utf8 ? blocks[level] : letters[level]);
    }
}

/* ---- parts of the page ---- */

static void add_head(struct top_page *page, const struct top_view *view)
{
    struct buf *b = line(page, TOP_TITLE);
    char right[64];

    buf_printf(b, "Notification Hub  %s", view->target);
    (void)snprintf(right, sizeof right, "%s  %s%.3g s", view->clock,
                   view->is_paused ? "paused  " : "every ", view->interval_s);
    pad_to(b, page->width > strlen(right) ? page->width - strlen(right) : 0);
    buf_add_str(b, right);
    if (view->trouble) {
        b = line(page, TOP_BAD);
        buf_add_str(b, "no answer for ");
        add_age(b, view->trouble_s);
        buf_printf(b, "; what stands here is old (%s)", view->trouble);
    }
    (void)line(page, TOP_PLAIN);
}

static void add_gateway(struct top_page *page, const struct top_reading *r)
{
    const bool is_ready = r->is_connected && r->is_caught_up && !r->is_draining;
    struct buf *b = label(page, is_ready ? TOP_GOOD : TOP_WARN, "gateway");

    buf_add_str(b, top_gateway_state(r));
    buf_add_str(b, "   up ");
    add_age(b, r->gateway_uptime_s);
    buf_printf(b, "   connections %" PRIu64 "   memory ", r->connections);
    add_bytes(b, r->resident_bytes);
    if (!is_ready && r->link_reason[0] != '\0') {
        buf_add_str(label(page, TOP_WARN, ""), r->link_reason);
    }
}

static void add_hub(struct top_page *page, const struct top_reading *r, double now_s)
{
    const bool is_well = strcmp(r->journal_state, "degraded") != 0;
    struct buf *b = label(page, is_well ? TOP_GOOD : TOP_BAD, "hub");

    if (!r->has_hub) {
        page->lines[page->count - 1].style = TOP_BAD;
        buf_add_str(b, "no figures: it does not answer");
        return;
    }
    buf_printf(b, "%s   position %s-%" PRIu64, top_hub_state(r), r->epoch, r->seq);
    if (r->hub_start_s > 0 && now_s > r->hub_start_s) {
        buf_add_str(b, "   up ");
        add_age(b, now_s - r->hub_start_s);
    }
    buf_printf(b, "   native subscriptions %" PRIu64, r->subscriptions);
    if (r->has_journal) {
        b = label(page, is_well ? TOP_PLAIN : TOP_BAD, "journal");
        buf_add_str(b, r->journal_state);
        if (r->journal_why[0] != '\0') {
            buf_printf(b, " (%s)", r->journal_why);
        }
        buf_add_str(b, "   ");
        add_bytes(b, r->journal_bytes);
        buf_add_str(b, " of events   oldest ");
        add_age(b, r->journal_age_s);
        buf_add_str(b, " ago   waiting ");
        add_bytes(b, r->journal_pending);
        if (r->journal_not_stored > 0) {
            buf_printf(b, "   not stored %" PRIu64, r->journal_not_stored);
        }
    }
}

static void add_rate(struct top_page *page, const struct top_figures *f, const char *name,
                     double rate, const float *history)
{
    struct buf *b = label(page, TOP_BIG, name);
    char text[24];

    top_format_count(rate, text);
    buf_printf(b, "%10s  ", text);
    add_sparkline(page, b, f, history);
}

static void add_doors(struct top_page *page, const struct top_figures *f)
{
    static const struct {
        const char *name;
        enum top_door door;
    } rows[] = {{"  WebSocket", TOP_WS}, {"  SSE", TOP_SSE}, {"  HTTP", TOP_HTTP}};
    const struct top_reading *r = &f->now;
    struct buf *b = label(page, TOP_DIM, "door");

    buf_printf(b, "%11s %11s %11s %13s %11s", "subscribers", "in/s", "out/s", "delivered",
               "refused");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const enum top_door d = rows[i].door;
        char in[24];
        char out[24];
        char total[24];

        b = label(page, TOP_PLAIN, rows[i].name);
        top_format_count(f->rates.published[d], in);
        top_format_count(f->rates.delivered[d], out);
        top_format_count((double)r->delivered[d], total);
        buf_printf(b, "%11" PRIu64 " %11s %11s %13s %11" PRIu64, r->subscribers[d], in, out, total,
                   r->rejected[d]);
    }
    if (r->has_hub) { /* the hub does not count deliveries */
        char in[24];

        top_format_count(f->rates.zeromq, in);
        buf_printf(label(page, TOP_PLAIN, "  ZeroMQ"), "%11" PRIu64 " %11s %11s %13s %11" PRIu64,
                   r->subscriptions, in, "-", "-", r->hub_rejected);
    }
}

/* A total and the reasons that occurred, on as many lines as they need. */
static void add_reasons(struct top_page *page, const char *name, const struct top_reasons *reasons)
{
    const uint64_t total = top_sum(reasons);
    const enum top_style style = total > 0 ? TOP_WARN : TOP_PLAIN;
    struct buf *b = label(page, style, name);

    buf_printf(b, "%" PRIu64, total);
    for (size_t i = 0; i < reasons->count; i++) {
        char text[TOP_TEXT_MAX + 32];

        if (reasons->rows[i].count == 0) {
            continue;
        }
        (void)snprintf(text, sizeof text, "   %s %" PRIu64, reasons->rows[i].name,
                       reasons->rows[i].count);
        if (columns(b) + strlen(text) > page->width && columns(b) > LABEL_WIDTH) {
            b = label(page, style, "");
        }
        buf_add_str(b, text);
    }
}

static void add_losses(struct top_page *page, const struct top_reading *r)
{
    struct buf *b;

    add_reasons(page, "dropped", &r->dropped);
    add_reasons(page, "refused", &r->refused);
    b = label(page, r->lag_events > 10000 ? TOP_WARN : TOP_PLAIN, "slowest");
    buf_add_str(b, "lags ");
    add_count(b, (double)r->lag_events);
    buf_add_str(b, " events   waiting in streams ");
    add_bytes(b, r->stream_bytes);
    buf_printf(b, "   gaps told %" PRIu64 "   resumed %" PRIu64 "   refilled ", r->gaps,
               r->resumes);
    add_count(b, (double)r->refilled);
    if (r->behind_events > 0) {
        buf_add_str(b, "   behind the hub ");
        add_count(b, (double)r->behind_events);
    }
}

static void add_hub_counters(struct top_page *page, const struct top_reading *r)
{
    const bool has_lost = r->hub_rejected > 0 || r->zeromq_not_sent > 0 || r->answers_dropped > 0;
    struct buf *b = label(page, has_lost ? TOP_WARN : TOP_PLAIN, "at the hub");

    buf_add_str(b, "received ");
    add_count(b, (double)r->events_received);
    buf_printf(b, "   refused %" PRIu64 "   duplicates %" PRIu64 "   answers dropped %" PRIu64,
               r->hub_rejected, r->duplicates, r->answers_dropped);
    buf_printf(b, "   not sent %" PRIu64, r->zeromq_not_sent);
    if (top_sum(&r->hub_refused) > 0) {
        add_reasons(page, "hub refused", &r->hub_refused);
    }
    if (r->has_groups && r->groups > 0) {
        b = label(page, r->dead_letters > 0 ? TOP_WARN : TOP_PLAIN, "groups");
        buf_printf(b, "%" PRIu64 "   lag ", r->groups);
        add_count(b, (double)r->group_lag);
        buf_printf(b, "   pending %" PRIu64 "   dead letters %" PRIu64, r->group_pending,
                   r->dead_letters);
    }
}

void top_page_fill(struct top_page *page, const struct top_figures *f, const struct top_view *view)
{
    const struct top_reading *r = &f->now;

    page->count = 0;
    add_head(page, view);
    if (f->read_ms == 0) {
        buf_add_str(line(page, TOP_DIM), view->trouble ? "nothing was read yet" : "reading …");
        return;
    }
    if (r->has_gateway) {
        add_gateway(page, r);
    }
    add_hub(page, r, view->now_s);
    (void)line(page, TOP_PLAIN);
    add_rate(page, f, "in, events/s", f->rates.in, f->in_history);
    if (r->has_gateway) {
        add_rate(page, f, "out, events/s", f->rates.out, f->out_history);
        add_rate(page, f, "drops/s", f->rates.drops, f->drop_history);
        (void)line(page, TOP_PLAIN);
        add_doors(page, f);
        (void)line(page, TOP_PLAIN);
        add_losses(page, r);
    }
    if (r->has_hub) {
        add_hub_counters(page, r);
    }
}

void top_page_fini(struct top_page *page)
{
    for (size_t i = 0; i < TOP_LINES_MAX; i++) {
        buf_fini(&page->lines[i].text);
    }
}
