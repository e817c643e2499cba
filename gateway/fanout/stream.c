/*
 * stream: the window of records that its sessions still need, and the lockstep write.
 *
 *      first            front        end
 *        │  r  r  r  r  r  │  r  r  r  │
 *        ▲                 ▲
 *   a lagging session   all ready sessions
 *
 * A flush gathers what lies between front and end once, writes it to each ready session, and moves
 * front. A session that is blocked by its write leaves the lockstep at that place.
 */
#include "gateway/fanout/internal.h"
#include "gateway/fanout/render.h"
#include "gateway/fanout/run.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP      4
#define KEEP_CAP       64 /* an empty window keeps up to so many slots */
#define RUNS_PER_FLUSH 4
#define LAG_RUNS       (2 * RUNS_PER_FLUSH) /* of who lags: it has to be faster than the others */
#define RELEASE_LEAST  128                  /* records in a turn, and with them … */
#define RELEASE_PART   4 /* … a fourth of the others that nobody needs any more */
#define FLUSH_BYTES    ((size_t)8 * 1024 * 1024) /* then other streams have their turn first */

void hold(struct fanout *f, struct feed_event *record)
{
    if (record->holds++ == 0) {
        f->held_bytes += feed_event_size(record);
    }
    (void)feed_event_ref(record);
}

void release(struct fanout *f, struct feed_event **record_p)
{
    if (--(*record_p)->holds == 0) {
        f->held_bytes -= feed_event_size(*record_p);
        f->held_bytes -= (*record_p)->held_text_bytes;
        render_drop(*record_p);
    }
    feed_event_unref(record_p);
}

const struct blob *held_form(struct fanout *f, struct feed_event *record, enum stream_format format)
{
    const size_t before = record->held_text_bytes;
    const struct blob *form = NULL;

    if (render_event(record, format, &form) != NHUB_OK) {
        return NULL;
    }
    f->held_bytes += record->held_text_bytes - before;
    return form;
}

static size_t slot_of(const struct stream *st, uint64_t index)
{
    return (size_t)index & (st->cap - 1);
}

struct feed_event *stream_at(const struct stream *st, uint64_t index)
{
    return st->entries[slot_of(st, index)].record;
}

nhub_err stream_get(struct fanout *f, struct pattern_set *set, enum stream_format format,
                    struct stream **out)
{
    struct stream *st = set->streams[format];

    if (st) {
        *out = st;
        return NHUB_OK;
    }
    st = calloc(1, sizeof *st);
    if (!st) {
        return NHUB_ENOMEM;
    }
    if (set->stream_count == 0 && router_add(f->router, set) != NHUB_OK) {
        free(st);
        return NHUB_ENOMEM;
    }
    st->f = f;
    st->set = pattern_set_ref(set);
    st->format = format;
    st->first = 1;
    st->end = 1;
    st->front = 1;
    list_init(&st->ready);
    list_init(&st->lagging);
    list_init(&st->stuck);
    st->stuck_limit = UINT64_MAX;
    st->stuck_low = UINT64_MAX;
    list_init(&st->dirty);
    list_init(&st->idle);
    list_append(&f->idle, &st->idle); /* until somebody joins */
    list_init(&st->all);
    list_append(&f->streams, &st->all);
    set->streams[format] = st;
    set->stream_count++;
    f->stream_count++;
    *out = st;
    return NHUB_OK;
}

void stream_mark(struct stream *st)
{
    if (list_empty(&st->dirty)) {
        list_append(&st->f->dirty, &st->dirty);
    }
}

/* Up to `most` of the records before the index. */
static void release_before(struct stream *st, uint64_t index, uint64_t most)
{
    for (; st->first < index && most > 0; st->first++, most--) {
        release(st->f, &st->entries[slot_of(st, st->first)].record);
    }
    if (st->first == st->end && st->cap > KEEP_CAP) {
        free(st->entries);
        st->entries = NULL;
        st->cap = 0;
    }
}

/* The first index that is still needed. */
static uint64_t low_of(struct stream *st)
{
    const uint64_t stuck = lag_low(st);
    uint64_t low = list_empty(&st->ready) ? st->end : st->front;
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &st->lagging) {
        const struct session *s = list_entry(pos, struct session, link);

        if (s->at < low) {
            low = s->at;
        }
    }
    return stuck < low ? stuck : low;
}

void stream_trim(struct stream *st)
{
    st->is_stuck_gone = true; /* in a round they may have moved on already */
    release_before(st, low_of(st), UINT64_MAX);
}

/* Much at once comes to its end in several turns, so that nobody waits for that. */
static void trim_some(struct stream *st)
{
    const uint64_t low = low_of(st);

    release_before(st, low, RELEASE_LEAST + (low - st->first) / RELEASE_PART);
    if (st->first < low) {
        stream_mark(st);
    }
}

void stream_free(struct stream *st)
{
    struct fanout *f = st->f;

    release_before(st, st->end, UINT64_MAX);
    if (f->scratch->stream == st) {
        f->scratch->stream = NULL;
    }
    if (f->digest_stream == st) {
        latest_forget_digest(f);
    }
    list_remove(&st->dirty);
    list_remove(&st->idle);
    list_remove(&st->all);
    st->set->streams[st->format] = NULL;
    if (--st->set->stream_count == 0) {
        router_remove(f->router, st->set);
    }
    pattern_set_unref(&st->set);
    f->stream_count--;
    free(st->entries);
    free(st);
}

void stream_attach(struct session *s, struct stream *st)
{
    s->stream = st;
    st->users++;
    list_remove(&st->idle);
}

void stream_leave(struct session *s)
{
    struct stream *st = s->stream;

    st->is_stuck_gone |= s->is_blocked;
    list_remove(&s->link);
    s->stream = NULL;
    if (--st->users == 0) {
        list_append(&st->f->idle, &st->idle);
    }
    if (st->first < st->end) {
        stream_mark(st); /* it may have been the last who needed the window */
    }
}

static void make_ready(struct session *s)
{
    s->state = STATE_READY;
    list_move(&s->stream->ready, &s->link);
}

void stream_join(struct session *s)
{
    struct stream *st = s->stream;

    if (list_empty(&st->ready)) {
        st->front = st->end;
    }
    s->state = STATE_LAGGING;
    s->at = st->end;
    if (s->is_blocked) {
        lag_stick(s);
        return;
    }
    list_move(&st->lagging, &s->link);
    if (session_flush(s)) {
        if (st->front == st->end && latest_is_empty(s)) {
            make_ready(s);
        } else {
            stream_mark(st);
        }
    }
}

static bool grow(struct stream *st)
{
    const size_t cap = st->cap ? st->cap * 2 : FIRST_CAP;
    struct stream_entry *entries = malloc(cap * sizeof *entries);

    if (!entries) {
        return false;
    }
    for (uint64_t i = st->first; i < st->end; i++) {
        entries[(size_t)i & (cap - 1)] = st->entries[slot_of(st, i)];
    }
    free(st->entries);
    st->entries = entries;
    st->cap = cap;
    return true;
}

static void fail_list(struct list *sessions)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, sessions) {
        session_fail(list_entry(pos, struct session, link), SESSION_END_FAILED);
    }
}

void stream_fail(struct stream *st)
{
    fail_list(&st->ready);
    fail_list(&st->lagging);
    fail_list(&st->stuck);
}

void stream_append(struct stream *st, struct feed_event *record)
{
    struct stream_entry *entry = NULL;

    if (list_empty(&st->ready) && list_empty(&st->lagging) && list_empty(&st->stuck)) {
        return; /* only replays: they find it in the cache */
    }
    if (st->end - st->first == st->cap && !grow(st)) {
        stream_fail(st);
        return;
    }
    entry = &st->entries[slot_of(st, st->end)];
    hold(st->f, record);
    entry->record = record;
    entry->bytes_before = st->bytes;
    entry->gaps_before = st->gaps;
    st->gaps += record->gap ? 1 : 0;
    st->bytes += feed_event_size(record);
    if (list_empty(&st->ready)) {
        st->front = st->end + 1; /* nobody is in lockstep */
    }
    st->end++;
    if (record->is_overdue) {
        st->overdue_end = st->end;
    }
    stream_mark(st);
}

uint64_t stream_bytes_before(const struct session *s)
{
    const struct stream *st = s->stream;

    return s->at < st->end ? st->entries[slot_of(st, s->at)].bytes_before : st->bytes;
}

uint64_t stream_lag_bytes(const struct session *s)
{
    return s->stream->bytes - stream_bytes_before(s);
}

/* A thousand readers that do not read drop a thousand times each event: by search, not by walk. */
uint64_t stream_skip(const struct session *s, uint64_t max_bytes, uint64_t *out_gaps)
{
    const struct stream *st = s->stream;
    uint64_t low = s->at;
    uint64_t high = st->end;

    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;

        if (st->bytes - st->entries[slot_of(st, middle)].bytes_before > max_bytes) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *out_gaps = (low < st->end ? st->entries[slot_of(st, low)].gaps_before : st->gaps) -
                st->entries[slot_of(st, s->at)].gaps_before;
    return low;
}

static bool is_gathered(const struct scratch *scratch, const struct stream *st, uint64_t from)
{
    return scratch->stream == st && scratch->from == from;
}

bool run_gather(struct stream *st, uint64_t from, struct run *out)
{
    struct scratch *scratch = st->f->scratch;
    struct feed_event *record = stream_at(st, from);
    const struct blob *form = NULL;

    if (is_gathered(scratch, st, from)) {
        *out = scratch->run;
        return true;
    }
    form = held_form(st->f, record, st->format);
    if (!form) {
        return false;
    }
    *out = (struct run){.bytes = form->bytes,
                        .len = form->len,
                        .to = from + 1,
                        .events = record->gap ? 0 : 1,
                        .gaps = record->gap ? 1 : 0,
                        .long_record = form->len > RENDER_SLICE ? record : NULL};
    if (out->long_record || out->to == st->end) {
        return true; /* one record: straight from its form */
    }
    scratch->stream = NULL;
    memcpy(scratch->data, form->bytes, form->len);
    while (out->to < st->end) {
        record = stream_at(st, out->to);
        form = held_form(st->f, record, st->format);
        if (!form) {
            return false;
        }
        if (form->len > SCRATCH_BYTES - out->len) {
            break;
        }
        memcpy(scratch->data + out->len, form->bytes, form->len);
        out->len += form->len;
        out->events += record->gap ? 0 : 1;
        out->gaps += record->gap ? 1 : 0;
        out->to++;
    }
    out->bytes = scratch->data;
    scratch->stream = st;
    scratch->from = from;
    scratch->run = *out;
    return true;
}

/* Asks the processor for what the next write needs while the kernel is busy with this one: there
 * are a thousand others between two writes to a session, and each would wait for memory. */
static void warm_up(const struct stream *st, struct list *next)
{
    if (next != &st->ready) {
        const struct session *s = list_entry(next, struct session, link);

        __builtin_prefetch(s->near[0]);
        __builtin_prefetch(s->near[1]);
        __builtin_prefetch(s->link.next);
        __builtin_prefetch((const char *)s->link.next + offsetof(struct session, near));
    }
}

static void flush_ready(struct stream *st)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;
    struct run run;
    size_t written = 0;

    for (int i = 0; i < RUNS_PER_FLUSH && written < FLUSH_BYTES && st->front < st->end &&
                    !list_empty(&st->ready);
         i++) {
        if (!run_gather(st, st->front, &run)) {
            fail_list(&st->ready);
            return;
        }
        st->front = run.to; /* where a session that gets blocked goes on */
        list_foreach (pos, tmp, &st->ready) {
            warm_up(st, tmp);
            (void)session_write_run(list_entry(pos, struct session, link), &run);
            written += run.len;
        }
    }
}

/* One write for each of them, and again: those at the same place share what is gathered. */
static void flush_lagging(struct stream *st)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;
    size_t written = 0;
    size_t before = SIZE_MAX;

    for (int i = 0; i < LAG_RUNS && written < FLUSH_BYTES && written != before; i++) {
        before = written;
        list_foreach (pos, tmp, &st->lagging) {
            written += lag_advance(list_entry(pos, struct session, link));
        }
    }
    lag_enforce(st);
}

void stream_catch_up(struct session *s)
{
    struct stream *st = s->stream;

    if (list_empty(&st->ready)) {
        st->front = s->at;
    }
    if (s->at == st->front && latest_is_empty(s)) {
        if (s->latest) {
            latest_free(s);
        }
        make_ready(s);
    }
    if (s->state == STATE_LAGGING || st->first < st->end) {
        stream_mark(st);
    }
}

void stream_flush(struct stream *st)
{
    list_remove(&st->dirty);
    flush_ready(st);
    flush_lagging(st);
    trim_some(st);
    if (!list_empty(&st->ready) && st->front < st->end) {
        stream_mark(st);
    }
}
