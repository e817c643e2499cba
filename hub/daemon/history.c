/*
 * history: pages of past events.
 *
 * A page is gathered in one block, and each of its lines goes out as a frame over it (lines.h).
 */
#include "daemon/history.h"

#include "base/clock.h"
#include "daemon/envelope.h"
#include "daemon/lines.h"
#include "wire/pattern.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The clock is looked at after so many records. */
#define CLOCK_EVERY 64

struct history {
    struct journal *journal;
    const struct settings *settings;
    size_t pages;       /* being read */
    uint64_t in_flight; /* bytes of blocks that are not freed yet */
};

struct page {
    struct journal_scan scan; /* first: the journal gives it back to us */
    struct history *history;
    struct call call;
    struct since_target target;
    uint64_t limit;
    uint64_t scanned;
    uint64_t first, last; /* numbers of the first and the last record scanned */
    int64_t deadline_ns;
    struct lines lines;
};

nhub_err history_create(struct history **out, struct journal *journal,
                        const struct settings *settings)
{
    struct history *h = calloc(1, sizeof *h);

    if (!h) {
        return NHUB_ENOMEM;
    }
    h->journal = journal;
    h->settings = settings;
    *out = h;
    return NHUB_OK;
}

void history_destroy(struct history **h_p)
{
    free(*h_p);
    *h_p = NULL;
}

uint64_t history_in_flight(const struct history *h)
{
    return h->in_flight;
}

/* ---- gathering ---- */

static bool is_wanted(const struct page *p, const struct journal_record *record)
{
    const struct request *r = &p->call.request;

    for (size_t i = 0; i < r->pattern_count; i++) {
        if (pattern_selects(r->patterns[i].text, r->patterns[i].len, record->type, record->type_len,
                            p->history->settings->hub.stats_event)) {
            return true;
        }
    }
    return r->pattern_count == 0;
}

static bool is_over(const struct page *p)
{
    return p->scanned >= HISTORY_PAGE_RECORDS || p->lines.count >= p->limit ||
           (p->scanned > 0 && p->scanned % CLOCK_EVERY == 0 && clock_mono_ns() > p->deadline_ns);
}

static bool visit(struct journal_scan *scan, const struct journal_record *record)
{
    struct page *p = (struct page *)(void *)scan;

    if (p->scanned == 0) {
        /* The time in line for the reader does not count. */
        p->deadline_ns = clock_mono_ns() + HISTORY_PAGE_MS * INT64_C(1000000);
        p->first = record->seq;
    } else if (is_over(p) || record->seq != p->last + 1) {
        return false; /* records between the two were trimmed just now: the next page tells */
    }
    if (is_wanted(p, record)) {
        if (p->lines.count > 0 && p->lines.bytes.len + record->len > HISTORY_PAGE_BYTES) {
            return false;
        }
        lines_add(&p->lines, record->line, record->len);
    }
    p->scanned++;
    p->last = record->seq;
    return !lines_failed(&p->lines);
}

/* ---- sending ---- */

/* Records that were there when the page was asked for may be gone by now: then the page begins
 * later than planned, and says so. */
static void note_hole(struct page *p, const struct journal_state *state)
{
    const uint64_t begin = p->scanned > 0 ? p->first - 1 : p->scan.scanned_to;
    const struct journal_void *v;

    if (begin <= p->target.after) {
        return;
    }
    if (!p->target.gap) {
        v = history_void_behind(state, p->target.after);
        p->target.gap = v ? v->reason : "retention";
        memcpy(p->target.gap_from.epoch, p->history->journal->epoch, EPOCH_LEN + 1);
        p->target.gap_from.seq = p->target.after;
    }
    p->target.after = begin;
}

static const char *result_of(const struct page *p, const struct journal_state *state)
{
    if (p->target.is_unknown) {
        return "unknown";
    }
    if (p->target.gap) {
        return "gap";
    }
    return p->target.after >= state->last ? "caught_up" : "replayed";
}

static void write_gap(struct buf *out, const struct page *p, const char *epoch)
{
    char from[POSITION_TEXT_MAX];

    (void)position_format(&p->target.gap_from, from);
    buf_printf(out, ",\"gap\":{\"from\":\"%s\"", from);
    envelope_position(out, "to", epoch, p->target.after);
    buf_printf(out, ",\"reason\":\"%s\"}", p->target.gap);
}

static void answer_page(struct page *p)
{
    const char *epoch = p->history->journal->epoch;
    const size_t count = p->lines.count;
    struct reply_frames *frames = NULL;
    struct journal_state state;
    struct buf out;
    uint64_t next;

    journal_state(p->history->journal, &state);
    note_hole(p, &state);
    /* Records have no holes between them; what is behind one is for the next page to tell. */
    next = p->scanned > 0 ? p->last : p->target.after;
    buf_init(&out);
    envelope_success(&out);
    buf_printf(&out, ",\"result\":\"%s\",\"epoch\":\"%s\"", result_of(p, &state), epoch);
    envelope_position(&out, "from", epoch, p->target.after);
    envelope_position(&out, "next", epoch, next);
    buf_printf(&out, ",\"more\":%s,\"count\":%zu", next < state.last ? "true" : "false", count);
    buf_printf(&out, ",\"oldest\":%" PRIu64 ",\"seq\":%" PRIu64, state.oldest, state.last);
    history_write_voids(&out, &state);
    if (p->target.gap) {
        write_gap(&out, p, epoch);
    }
    envelope_end(&out, &p->call.request);
    if (lines_take_frames(&p->lines, &p->history->in_flight, &frames) != NHUB_OK) {
        out.failed = true;
    }
    call_answer(&p->call, &out, &frames);
}

static void finish(struct page *p, nhub_err status)
{
    if (status == NHUB_EFULL) {
        call_refuse(&p->call, "too many pages are on their way to peers that do not read them",
                    "busy");
    } else if (status) {
        call_refuse(&p->call, nhub_strerror(status), "journal_unavailable");
    } else {
        answer_page(p);
    }
    p->history->pages--;
    call_fini(&p->call);
    lines_fini(&p->lines);
    free(p);
}

static bool has_room(const struct history *h)
{
    return history_in_flight(h) <= HISTORY_IN_FLIGHT_BYTES;
}

static void page_done(struct journal_scan *scan, nhub_err status)
{
    struct page *p = (struct page *)(void *)scan;

    /* Many may have been asked for before the first of them was read. */
    finish(p, !status && !has_room(p->history) ? NHUB_EFULL : status);
}

/* Reads up to the next void: who follows `next` is told of each. */
static void read_page(struct page *p)
{
    struct history *h = p->history;
    struct journal_state state;

    journal_state(h->journal, &state);
    p->scan = (struct journal_scan){.after = p->target.after,
                                    .to = history_end_of_run(&state, p->target.after),
                                    .visit = visit,
                                    .done = page_done};
    journal_scan(h->journal, &p->scan);
}

/* The place where the scan would begin is all that is asked for. */
static bool stop_at_once(struct journal_scan *scan, const struct journal_record *record)
{
    (void)scan;
    (void)record;
    return false;
}

static void time_found(struct journal_scan *scan, nhub_err status)
{
    struct page *p = (struct page *)(void *)scan;
    struct journal *journal = p->history->journal;
    struct journal_state state;

    if (status) {
        finish(p, status);
        return;
    }
    journal_state(journal, &state);
    history_target_found(&p->target, scan->after, journal->epoch, &state);
    read_page(p);
}

void history_run(struct history *h, struct call *call)
{
    const uint64_t limit = call->request.limit;
    struct journal_state state;
    struct page *p;

    if (!has_room(h) || h->pages >= HISTORY_PAGES_MAX) {
        call_refuse(call, "too many pages are on their way to peers that do not read them", "busy");
        return;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        call_refuse(call, "out of memory", "no_memory");
        return;
    }
    p->history = h;
    h->pages++;
    journal_state(h->journal, &state);
    history_target(&call->request.since, h->journal->epoch, &state, &p->target);
    p->limit = limit == 0                  ? HISTORY_LIMIT_DEFAULT
               : limit > REQUEST_LIMIT_MAX ? REQUEST_LIMIT_MAX
                                           : limit;
    lines_init(&p->lines);
    call_move(&p->call, call);
    if (!p->target.by_time) {
        read_page(p);
        return;
    }
    p->scan = (struct journal_scan){.by_time = true,
                                    .time_us = p->target.time_us,
                                    .to = state.last,
                                    .visit = stop_at_once,
                                    .done = time_found};
    journal_scan(h->journal, &p->scan);
}
