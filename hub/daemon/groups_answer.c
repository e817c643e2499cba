/*
 * groups_answer: members as JSON.
 */
#include "daemon/groups_answer.h"

#include "daemon/envelope.h"

#include <inttypes.h>

void groups_write_name(struct buf *out, const struct group_host *h)
{
    buf_printf(out, ",\"group\":\"%s\"", h->name);
}

void groups_write_created(struct buf *out, const struct group_host *h, bool created)
{
    const struct position *cursor = group_cursor(h->group);

    groups_write_name(out, h);
    buf_printf(out, ",\"created\":%s", created ? "true" : "false");
    envelope_position(out, "position", cursor->epoch, cursor->seq);
}

static void write_rules(struct buf *out, const struct group_rules *rules)
{
    buf_printf(out,
               ",\"visibility_ms\":%" PRIu32 ",\"max_attempts\":%" PRIu32
               ",\"ordered\":%s,\"hold\":%s",
               rules->visibility_ms, rules->max_attempts, rules->is_ordered ? "true" : "false",
               rules->holds ? "true" : "false");
}

static void write_members(struct buf *out, const struct group_host *h, int64_t now_ms)
{
    const char *separator = "";

    buf_add_str(out, ",\"members\":[");
    for (const struct group_member *m = group_members_first(group_members(h->group)); m;
         m = m->next) {
        buf_add_str(out, separator);
        buf_add_str(out, "{\"member\":");
        buf_add_json_cstr(out, m->name);
        buf_printf(out, ",\"pending\":%zu,\"last_seen_s\":%.3f}", m->pending,
                   (double)(now_ms - m->last_seen_ms) / 1e3);
        separator = ",";
    }
    buf_add_char(out, ']');
}

uint64_t groups_lag(const struct journal_state *journal, uint64_t cursor)
{
    uint64_t lag = journal->last > cursor ? journal->last - cursor : 0;

    for (size_t i = 0; i < journal->void_count; i++) {
        const struct journal_void *v = &journal->voids[i];
        const uint64_t from = v->from > cursor ? v->from : cursor + 1;
        const uint64_t to = v->to < journal->last ? v->to : journal->last;

        lag -= from <= to ? to - from + 1 : 0;
    }
    return lag;
}

void groups_write_group(struct buf *out, const struct group_host *h, const struct journal *journal,
                        int64_t now_ms)
{
    const struct position *cursor = group_cursor(h->group);
    struct group_figures figures;
    struct journal_state state;

    journal_state(journal, &state);
    group_figures(h->group, &figures);
    buf_printf(out, "\"group\":\"%s\",\"event_type\":", h->name);
    group_patterns_write(h->patterns, out);
    write_rules(out, group_rules(h->group));
    envelope_position(out, "position", cursor->epoch, cursor->seq);
    buf_printf(out,
               ",\"lag\":%" PRIu64 ",\"pending\":%" PRIu64 ",\"delayed\":%" PRIu64
               ",\"waiting\":%zu,\"acked\":%" PRIu64 ",\"redelivered\":%" PRIu64
               ",\"dead_letters\":%" PRIu64 ",\"lost\":%" PRIu64,
               groups_lag(&state, cursor->seq), figures.pending, figures.delayed, h->waiting,
               figures.totals.acked, figures.totals.redelivered, figures.totals.dead_letters,
               figures.totals.lost);
    if (now_ms >= 0) {
        write_members(out, h, now_ms);
    }
}

void groups_outcome_init(struct groups_outcome *o)
{
    o->done = 0;
    buf_init(&o->failed);
}

void groups_outcome_fini(struct groups_outcome *o)
{
    buf_fini(&o->failed);
}

void groups_outcome_add(struct groups_outcome *o, const struct delivery *d,
                        enum group_verdict verdict)
{
    char text[DELIVERY_TEXT_MAX];

    if (verdict == GROUP_DONE) {
        o->done++;
        return;
    }
    (void)delivery_format(d, text);
    buf_printf(&o->failed, "%s{\"delivery\":\"%s\",\"code\":\"%s\"}", o->failed.len > 0 ? "," : "",
               text, verdict == GROUP_STALE ? "stale_delivery" : "unknown_delivery");
}

void groups_write_outcome(struct buf *out, const struct group_host *h,
                          const struct groups_outcome *o)
{
    groups_write_name(out, h);
    buf_printf(out, ",\"count\":%zu,\"failed\":[", o->done);
    buf_add(out, o->failed.data, o->failed.len);
    buf_add_char(out, ']');
    out->failed = out->failed || o->failed.failed;
}
