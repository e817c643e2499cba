/*
 * lookup: position and count.
 */
#include "daemon/lookup.h"

#include "base/clock.h"
#include "daemon/envelope.h"
#include "daemon/history.h"
#include "daemon/stats.h"

#include <inttypes.h>
#include <pthread.h>
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
    uint64_t scanned; /* count: records visited */
    pthread_t loop;
    pthread_t counting; /* the thread that visits now */
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
    l->loop = pthread_self();
    call_move(&l->call, call);
    return l;
}

static void destroy(struct lookup *l)
{
    call_fini(&l->call);
    free(l);
}

/* ---- position ---- */

/* What publishers get now, what they could ask for, and why it may be less. */
static void write_journal(const struct journal *journal, const struct journal_state *state,
                          struct buf *out)
{
    const int durability = journal->durability < journal->durability_now ? journal->durability
                                                                         : journal->durability_now;
    const bool is_on = journal->durability_max > DURABILITY_MEMORY;

    buf_printf(out, ",\"durability\":\"%s\",\"durability_max\":\"%s\"", durability_name(durability),
               durability_name(journal->durability_max));
    buf_printf(out, ",\"journal\":{\"state\":\"%s\",\"why\":",
               !is_on                                 ? "off"
               : state->condition == JOURNAL_DEGRADED ? "degraded"
                                                      : "ready");
    buf_add_json_cstr(out, state->why);
    buf_add_char(out, '}');
}

static void answer_position(struct lookup *l)
{
    const char *epoch = l->journal->epoch;
    struct journal_state state;
    struct buf out;

    journal_state(l->journal, &state);
    buf_init(&out);
    envelope_success(&out);
    buf_printf(&out, ",\"protocol\":%d,\"epoch\":\"%s\"", REQUEST_PROTOCOL_VERSION, epoch);
    buf_printf(&out, ",\"seq\":%" PRIu64 ",\"oldest\":%" PRIu64, state.last, state.oldest);
    history_write_voids(&out, &state);
    write_journal(l->journal, &state, &out);
    buf_add_str(&out, ",\"stats_event\":");
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
        envelope_position(&out, "resolved", epoch,
                          l->scan.by_time ? history_before_time(&state, l->scan.after)
                                          : l->scan.after);
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

/* The loop serves everybody, a thread of the journal only those who read. */
static void begin_counting(struct lookup *l)
{
    const int64_t max_ms =
        pthread_equal(l->loop, pthread_self()) ? LOOKUP_COUNT_MS : LOOKUP_COUNT_ASIDE_MS;

    l->counting = pthread_self();
    l->deadline_ns = clock_mono_ns() + max_ms * INT64_C(1000000);
}

static bool count_record(struct journal_scan *scan, const struct journal_record *record)
{
    struct lookup *l = lookup_of(scan);

    if (l->scanned == 0 || !pthread_equal(l->counting, pthread_self())) {
        begin_counting(l);
    }
    if (++l->scanned % CLOCK_EVERY == 0 && clock_mono_ns() > l->deadline_ns) {
        l->is_too_large = true;
        return false;
    }
    l->matches += has_prefix(&l->call.request, record) ? 1 : 0;
    return true;
}

static bool is_ours(const struct lookup *l)
{
    return strcmp(l->call.request.from.epoch, l->journal->epoch) == 0;
}

static void count_done(struct journal_scan *scan, nhub_err status)
{
    struct lookup *l = lookup_of(scan);
    const struct request *r = &l->call.request;
    struct journal_state state;
    uint64_t wanted;
    struct buf out;

    if (status) {
        call_refuse(&l->call, nhub_strerror(status), "journal_unavailable");
    } else if (l->is_too_large) {
        call_refuse(&l->call, "the range is too large to be counted at once", "range_too_large");
    } else {
        /* Each number that was given out has a record, or it is trimmed or in a void. */
        journal_state(l->journal, &state);
        wanted = r->to.seq < state.last ? r->to.seq : state.last;
        wanted = wanted > r->from.seq ? wanted - r->from.seq : 0;
        buf_init(&out);
        envelope_success(&out);
        buf_printf(&out, ",\"count\":%" PRIu64 ",\"complete\":%s", l->matches,
                   is_ours(l) && l->scanned >= wanted ? "true" : "false");
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
    if (is_ours(l)) {
        journal_scan(journal, &l->scan);
    } else {
        count_done(&l->scan, NHUB_OK); /* nothing of another epoch is kept */
    }
}
