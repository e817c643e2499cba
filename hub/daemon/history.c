/*
 * history: pages of past events.
 *
 * A page is gathered in one block; each of its lines goes out as a frame over that block, and the
 * last frame that ZeroMQ gives back frees it.
 */
#include "daemon/history.h"

#include "base/clock.h"
#include "daemon/envelope.h"
#include "wire/pattern.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The clock is looked at after so many records. */
#define CLOCK_EVERY 64

struct history {
    struct journal *journal;
    const struct settings *settings;
    _Atomic uint64_t in_flight; /* bytes of blocks that are not freed yet */
};

/* The lines of a page. Freed by the thread that gives the last frame back. */
struct block {
    struct history *history;
    atomic_size_t refs;
    size_t size;
    char *bytes;
};

struct line {
    size_t offset;
    size_t len;
};

struct page {
    struct journal_scan scan; /* first: the journal gives it back to us */
    struct history *history;
    struct call call;
    struct since_target target;
    uint64_t limit;
    uint64_t scanned;
    int64_t deadline_ns;
    struct buf lines;
    struct buf index; /* struct line each */
    size_t count;
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
    return atomic_load_explicit(&h->in_flight, memory_order_relaxed);
}

/* ---- where to begin ---- */

static void target_seq(uint64_t seq, const char *epoch, const struct journal_state *state,
                       struct since_target *out)
{
    if (seq > state->last) {
        out->is_unknown = true;
        out->after = state->last;
    } else if (seq + 1 < state->oldest) {
        out->gap = "retention";
        memcpy(out->gap_from.epoch, epoch, EPOCH_LEN + 1);
        out->gap_from.seq = seq;
        out->after = state->oldest - 1;
    } else {
        out->after = seq;
    }
}

void history_target(const struct since *since, const char *epoch, const struct journal_state *state,
                    struct since_target *out)
{
    *out = (struct since_target){.after = state->oldest - 1};
    switch (since->kind) {
    case SINCE_NONE:
    case SINCE_EARLIEST:
        break;
    case SINCE_LATEST:
        out->after = state->last;
        break;
    case SINCE_SEQ:
        target_seq(since->position.seq, epoch, state, out);
        break;
    case SINCE_POSITION:
        if (strcmp(since->position.epoch, epoch) == 0) {
            target_seq(since->position.seq, epoch, state, out);
        } else {
            out->gap = "epoch_changed";
            out->gap_from = since->position;
        }
        break;
    case SINCE_TIME:
        out->by_time = true;
        out->time_us = since->time_us;
        if (state->trimmed_us != 0 && state->trimmed_us >= since->time_us) {
            /* Some of what came since then is gone; how much is not known. */
            out->gap = "retention";
            memcpy(out->gap_from.epoch, epoch, EPOCH_LEN + 1);
        }
        break;
    }
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
    return p->scanned >= HISTORY_PAGE_RECORDS || p->count >= p->limit ||
           (p->scanned > 0 && p->scanned % CLOCK_EVERY == 0 && clock_mono_ns() > p->deadline_ns);
}

static bool visit(struct journal_scan *scan, const struct journal_record *record)
{
    struct page *p = (struct page *)(void *)scan;
    struct line line;

    if (is_over(p)) {
        return false;
    }
    if (is_wanted(p, record)) {
        if (p->count > 0 && p->lines.len + record->len > HISTORY_PAGE_BYTES) {
            return false;
        }
        line = (struct line){.offset = p->lines.len, .len = record->len};
        buf_add(&p->lines, record->line, record->len);
        buf_add(&p->index, &line, sizeof line);
        p->count++;
    }
    p->scanned++;
    return !p->lines.failed && !p->index.failed;
}

/* ---- sending ---- */

static void release_block(struct block *b, size_t refs)
{
    if (atomic_fetch_sub_explicit(&b->refs, refs, memory_order_acq_rel) == refs) {
        atomic_fetch_sub_explicit(&b->history->in_flight, b->size, memory_order_relaxed);
        free(b->bytes);
        free(b);
    }
}

/* Makes a page's memory, written by the loop, visible to the thread that gives its frames back.
 * ZeroMQ's own queue between the two does that already, but nothing that checks our code can see
 * into it. */
static atomic_uint handover;

static void give_back(void *bytes, void *hint)
{
    (void)bytes;
    (void)atomic_load_explicit(&handover, memory_order_acquire);
    release_block(hint, 1);
}

static struct block *take_block(struct page *p)
{
    struct block *b = malloc(sizeof *b);

    if (!b) {
        return NULL;
    }
    b->history = p->history;
    b->bytes = buf_take(&p->lines, &b->size);
    if (!b->bytes) {
        free(b);
        return NULL;
    }
    atomic_init(&b->refs, p->count);
    atomic_fetch_add_explicit(&p->history->in_flight, b->size, memory_order_relaxed);
    return b;
}

/* The page's lines as frames; NULL in *out when there are none. */
static nhub_err make_frames(struct page *p, struct reply_frames **out)
{
    const struct line *lines = (const struct line *)(const void *)p->index.data;
    struct reply_frames *frames = NULL;
    struct block *block = NULL;

    *out = NULL;
    if (p->count == 0) {
        return NHUB_OK;
    }
    if (reply_frames_create(&frames, p->count) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    block = take_block(p);
    if (!block) {
        reply_frames_destroy(&frames);
        return NHUB_ENOMEM;
    }
    frames->bytes = block->size;
    for (size_t i = 0; i < p->count; i++) {
        if (zframe_init_foreign(&frames->frames[i], block->bytes + lines[i].offset, lines[i].len,
                                give_back, block) != NHUB_OK) {
            reply_frames_destroy(&frames);
            release_block(block, p->count - i);
            return NHUB_ENOMEM;
        }
        frames->count++;
    }
    atomic_fetch_add_explicit(&handover, 1, memory_order_release);
    *out = frames;
    return NHUB_OK;
}

static const char *result_of(const struct page *p, const struct journal_state *state)
{
    if (p->target.is_unknown) {
        return "unknown";
    }
    if (p->target.gap) {
        return "gap";
    }
    return p->scan.after >= state->last ? "caught_up" : "replayed";
}

static void write_gap(struct buf *out, const struct page *p, const char *epoch)
{
    char from[POSITION_TEXT_MAX];

    (void)position_format(&p->target.gap_from, from);
    buf_printf(out, ",\"gap\":{\"from\":\"%s\"", from);
    envelope_position(out, "to", epoch, p->scan.after);
    buf_printf(out, ",\"reason\":\"%s\"}", p->target.gap);
}

static void answer_page(struct page *p)
{
    const char *epoch = p->history->journal->epoch;
    struct reply_frames *frames = NULL;
    struct journal_state state;
    struct buf out;

    journal_state(p->history->journal, &state);
    buf_init(&out);
    envelope_success(&out);
    buf_printf(&out, ",\"result\":\"%s\",\"epoch\":\"%s\"", result_of(p, &state), epoch);
    envelope_position(&out, "from", epoch, p->scan.after);
    envelope_position(&out, "next", epoch, p->scan.scanned_to);
    buf_printf(&out, ",\"more\":%s,\"count\":%zu",
               p->scan.scanned_to < state.last ? "true" : "false", p->count);
    buf_printf(&out, ",\"oldest\":%" PRIu64 ",\"seq\":%" PRIu64 ",\"voids\":[]", state.oldest,
               state.last);
    if (p->target.gap) {
        write_gap(&out, p, epoch);
    }
    envelope_end(&out, &p->call.request);
    if (p->lines.failed || p->index.failed || make_frames(p, &frames) != NHUB_OK) {
        out.failed = true;
    }
    call_answer(&p->call, &out, &frames);
}

static void done(struct journal_scan *scan, nhub_err status)
{
    struct page *p = (struct page *)(void *)scan;

    if (status) {
        call_refuse(&p->call, nhub_strerror(status), "journal_unavailable");
    } else {
        answer_page(p);
    }
    call_fini(&p->call);
    buf_fini(&p->lines);
    buf_fini(&p->index);
    free(p);
}

void history_run(struct history *h, struct call *call)
{
    const uint64_t limit = call->request.limit;
    struct journal_state state;
    struct page *p;

    if (history_in_flight(h) > HISTORY_IN_FLIGHT_BYTES) {
        call_refuse(call, "too many pages are on their way to peers that do not read them", "busy");
        return;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        call_refuse(call, "out of memory", "no_memory");
        return;
    }
    p->history = h;
    journal_state(h->journal, &state);
    history_target(&call->request.since, h->journal->epoch, &state, &p->target);
    p->scan = (struct journal_scan){.after = p->target.after,
                                    .to = state.last,
                                    .by_time = p->target.by_time,
                                    .time_us = p->target.time_us,
                                    .visit = visit,
                                    .done = done};
    p->limit = limit == 0                  ? HISTORY_LIMIT_DEFAULT
               : limit > REQUEST_LIMIT_MAX ? REQUEST_LIMIT_MAX
                                           : limit;
    p->deadline_ns = clock_mono_ns() + HISTORY_PAGE_MS * INT64_C(1000000);
    buf_init(&p->lines);
    buf_init(&p->index);
    call_move(&p->call, call);
    journal_scan(h->journal, &p->scan);
}
