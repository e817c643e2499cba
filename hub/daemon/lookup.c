/*
 * lookup: position and count.
 */
#include "daemon/lookup.h"

#include "base/clock.h"
#include "daemon/envelope.h"
#include "daemon/history.h"
#include "daemon/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The clock is looked at after so many records. */
#define CLOCK_EVERY 64

struct lookup {
    struct journal_scan scan; /* first: the journal gives it back to us */
    struct journal *journal;
    const struct settings *settings;
    struct call call;
    uint64_t matches;
    uint64_t scanned;
    int64_t deadline_ns;
    bool is_too_large;
};

static struct lookup *lookup_of(struct journal_scan *scan)
{
    return (struct lookup *)(void *)scan;
}

static struct lookup *create(struct journal *journal, struct call *call)
{
    struct lookup *l = calloc(1, sizeof *l);

    if (!l) {
        call_refuse(call, "out of memory", "no_memory");
        return NULL;
    }
    l->journal = journal;
    call_move(&l->call, call);
    return l;
}

static void destroy(struct lookup *l)
{
    call_fini(&l->call);
    free(l);
}

/* ---- position ---- */

static void answer_position(struct lookup *l)
{
    const char *epoch = l->journal->epoch;
    struct journal_state state;
    struct buf out;

    journal_state(l->journal, &state);
    buf_init(&out);
    envelope_success(&out);
    buf_printf(&out, ",\"protocol\":%d,\"epoch\":\"%s\"", REQUEST_PROTOCOL_VERSION, epoch);
    buf_printf(&out, ",\"seq\":%" PRIu64 ",\"oldest\":%" PRIu64 ",\"voids\":[]", state.last,
               state.oldest);
    buf_printf(&out,
               ",\"durability\":\"%s\",\"stats_event\":", durability_name(l->journal->durability));
    buf_add_json_cstr(&out, l->settings->hub.stats_event);
    buf_printf(&out,
               ",\"max_event_bytes\":%" PRIu64 ",\"dedup\":%s,\"dedup_window_s\":%" PRIu64
               ",\"timestamp\":",
               l->settings->hub.max_event_bytes,
               l->settings->hub.dedup_ids > 0 && l->settings->hub.dedup_window_s > 0 ? "true"
                                                                                     : "false",
               l->settings->hub.dedup_window_s);
    stats_write_seconds(&out, clock_wall_us());
    if (l->call.request.since.kind != SINCE_NONE) {
        envelope_position(&out, "resolved", epoch, l->scan.after);
    }
    envelope_end(&out, &l->call.request);
    call_answer(&l->call, &out, NULL);
}

/* The place where a scan would begin is all that is asked for. */
static bool stop_at_once(struct journal_scan *scan, const struct journal_record *record)
{
    (void)scan;
    (void)record;
    return false;
}

static void position_done(struct journal_scan *scan, nhub_err status)
{
    struct lookup *l = lookup_of(scan);

    if (status) {
        call_refuse(&l->call, nhub_strerror(status), "journal_unavailable");
    } else {
        answer_position(l);
    }
    destroy(l);
}

void lookup_position(struct journal *journal, const struct settings *settings, struct call *call)
{
    struct lookup *l = create(journal, call);
    struct since_target target;
    struct journal_state state;

    if (!l) {
        return;
    }
    l->settings = settings;
    journal_state(journal, &state);
    history_target(&l->call.request.since, journal->epoch, &state, &target);
    l->scan = (struct journal_scan){.after = target.after,
                                    .to = state.last,
                                    .by_time = target.by_time,
                                    .time_us = target.time_us,
                                    .visit = stop_at_once,
                                    .done = position_done};
    if (target.by_time) {
        journal_scan(journal, &l->scan);
    } else {
        position_done(&l->scan, NHUB_OK); /* known already */
    }
}

/* ---- count ---- */

static bool has_prefix(const struct request *r, const struct journal_record *record)
{
    for (size_t i = 0; i < r->pattern_count; i++) {
        if (r->patterns[i].len <= record->type_len &&
            memcmp(r->patterns[i].text, record->type, r->patterns[i].len) == 0) {
            return true;
        }
    }
    return r->pattern_count == 0;
}

static bool count_record(struct journal_scan *scan, const struct journal_record *record)
{
    struct lookup *l = lookup_of(scan);

    if (++l->scanned % CLOCK_EVERY == 0 && clock_mono_ns() > l->deadline_ns) {
        l->is_too_large = true;
        return false;
    }
    l->matches += has_prefix(&l->call.request, record) ? 1 : 0;
    return true;
}

static void count_done(struct journal_scan *scan, nhub_err status)
{
    struct lookup *l = lookup_of(scan);
    const struct request *r = &l->call.request;
    bool is_complete;
    struct buf out;

    if (status) {
        call_refuse(&l->call, nhub_strerror(status), "journal_unavailable");
    } else if (l->is_too_large) {
        call_refuse(&l->call, "the range is too large to be counted at once", "range_too_large");
    } else {
        /* The journal begins behind `from` when a part is not kept any more. */
        is_complete = strcmp(r->from.epoch, l->journal->epoch) == 0 &&
                      (l->scan.after == r->from.seq || r->from.seq == r->to.seq);
        buf_init(&out);
        envelope_success(&out);
        buf_printf(&out, ",\"count\":%" PRIu64 ",\"complete\":%s", l->matches,
                   is_complete ? "true" : "false");
        envelope_end(&out, r);
        call_answer(&l->call, &out, NULL);
    }
    destroy(l);
}

void lookup_count(struct journal *journal, struct call *call)
{
    struct lookup *l = create(journal, call);
    const struct request *r;

    if (!l) {
        return;
    }
    r = &l->call.request;
    l->scan = (struct journal_scan){
        .after = r->from.seq, .to = r->to.seq, .visit = count_record, .done = count_done};
    l->deadline_ns = clock_mono_ns() + LOOKUP_COUNT_MS * INT64_C(1000000);
    if (strcmp(r->from.epoch, journal->epoch) == 0) {
        journal_scan(journal, &l->scan);
    } else {
        count_done(&l->scan, NHUB_OK); /* nothing of another epoch is kept */
    }
}
