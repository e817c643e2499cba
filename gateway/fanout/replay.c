/*
 * replay: works off what a session missed, one write at a time, paced by its own transport and by a
 * budget over all replays of a turn. Live events are never piled up for it: they are in the cache,
 * and when it has passed the last of them it joins its stream, in that same turn.
 */
#include "gateway/fanout/replay.h"

#include "gateway/fanout/render.h"

#include <stdlib.h>

#define SCAN_PER_STEP 16384 /* records looked at in one step */

nhub_err replay_begin(struct session *s, const struct replay_from *from)
{
    struct replay *r = calloc(1, sizeof *r);

    if (!r) {
        return NHUB_ENOMEM;
    }
    r->is_told = from->is_told;
    r->has_count = from->is_told; /* nobody asked for one */
    r->tag = from->tag;
    r->passed = from->position;
    if (from->since) {
        r->since = *from->since;
        r->passed = (struct position){0};
        if (r->since.kind == SINCE_POSITION) {
            r->passed = r->since.position;
        }
    } else if (from->snapshot) {
        r->wants_snapshot = true;
    }
    s->replay = r;
    s->state = STATE_REPLAY;
    return NHUB_OK;
}

nhub_err replay_instead(struct session *s, struct stream *st)
{
    const struct replay_from from = {.position = session_position(s), .is_told = true};
    const nhub_err err = replay_begin(s, &from);

    if (err != NHUB_OK) {
        return err;
    }
    stream_leave(s);
    stream_attach(s, st);
    if (!s->is_blocked) {
        list_append(&s->f->replays, &s->link);
    }
    return NHUB_OK;
}

void replay_end(struct session *s)
{
    struct replay *r = s->replay;

    if (r->fetch) {
        r->fetch->session = NULL;
    }
    page_unref(&r->page);
    free(r);
    s->replay = NULL;
    list_remove(&s->link);
}

struct position replay_position(const struct session *s)
{
    return s->replay->passed;
}

/* The newest event of each type that is wanted; what comes after them follows from the cache. */
static bool take_snapshot(struct session *s)
{
    struct replay *r = s->replay;
    struct session_start start = {.position = known_head(s->f), .result = RESUME_NONE};

    if (page_snapshot(&r->page, s->f, s->stream->set, &start.position) != NHUB_OK) {
        session_fail(s, SESSION_END_FAILED);
        return false;
    }
    r->page_at = 0;
    r->wants_snapshot = false;
    r->passed = start.position;
    r->is_told = true;
    r->has_count = true; /* nobody asked for one */
    session_tell_start(s, r->tag, &start);
    return s->state == STATE_REPLAY && !s->is_blocked;
}

/* Adds a record to the write that is being gathered; false when it does not fit any more. */
static bool gather(struct session *s, struct feed_event *e, struct run *run)
{
    struct buf *text = &s->f->text;
    const size_t before = text->len;

    if (render_append(e, s->format, text) != NHUB_OK) {
        text->failed = true; /* out of memory; put() ends the session */
        return false;
    }
    if (text->len > SCRATCH_BYTES) {
        text->len = before;
        if (before == 0) {
            run->long_record = e;
        }
        return false;
    }
    run->events += e->gap ? 0 : 1;
    run->gaps += e->gap ? 1 : 0;
    return true;
}

/* Writes what was gathered; false when the session cannot go on now. */
static bool put(struct session *s, struct run *run, size_t *budget)
{
    struct buf *text = &s->f->text;
    size_t cost = 0;

    if (text->failed) {
        session_fail(s, SESSION_END_FAILED);
        return false;
    }
    run->bytes = text->data;
    run->len = text->len;
    cost = run->long_record ? run->long_record->line_len : run->len;
    *budget -= cost < *budget ? cost : *budget;
    s->replay->events += run->events + (run->long_record && !run->long_record->gap ? 1 : 0);
    s->replay->gaps += run->gaps;
    if (run->len == 0 && !run->long_record) {
        return true;
    }
    return session_write_run(s, run);
}

static void step_page(struct session *s, size_t *budget)
{
    struct replay *r = s->replay;
    const struct page *page = r->page;
    struct run run = {0};
    size_t i = r->page_at;

    buf_reset(&s->f->text);
    while (i < page->count && gather(s, page->events[i], &run)) {
        i++;
    }
    if (run.long_record) {
        i++;
    }
    r->page_at = i;
    if (!put(s, &run, budget) && s->state == STATE_ENDED) {
        return;
    }
    if (r->page_at == page->count) {
        r->passed = page->next;
        page_unref(&r->page);
    }
}

/* A page of the hub can be asked for again, from behind the last event that was written. */
void replay_give_up_page(struct session *s)
{
    struct replay *r = s->replay;

    if (s->state != STATE_REPLAY || !r->page || !r->page->set) {
        return;
    }
    if (r->page_at > 0) {
        r->passed = r->page->events[r->page_at - 1]->position;
    }
    page_unref(&r->page);
}

/* It has passed the last record there is. If it could not be said before how much would come, it is
 * said now, between the last of the past and the first of what is live. */
static void finish(struct session *s)
{
    const struct replay *r = s->replay;
    const struct session_resumed resumed = {
        .position = r->passed, .count = r->events, .gaps = r->gaps};

    if (r->is_told && !r->has_count) {
        s->sink->resumed(s->context, r->tag, &resumed);
    }
    if (s->state == STATE_REPLAY) {
        replay_end(s);
        stream_join(s);
    }
}

static void step_cache(struct session *s, size_t *budget)
{
    struct replay *r = s->replay;
    struct cache *cache = s->f->cache;
    struct run run = {0};
    uint64_t i = r->index;
    uint64_t stop = cache_end(cache);

    if (i < cache_first(cache)) {
        r->in_cache = false; /* trimmed away under a slow reader; the hub may still have it */
        return;
    }
    if (stop - i > SCAN_PER_STEP) {
        stop = i + SCAN_PER_STEP;
    }
    buf_reset(&s->f->text);
    for (; i < stop; i++) {
        if (scan_wants(s->f, s->stream->set, i) && !gather(s, cache_at(cache, i), &run)) {
            break;
        }
    }
    if (run.long_record) {
        i++;
    }
    if (i > r->index) {
        r->passed = cache_before(cache, i);
        r->index = i;
    }
    if (put(s, &run, budget) && r->index == cache_end(cache)) {
        finish(s);
    }
}

void replay_step(struct session *s, size_t *budget)
{
    struct replay *r = s->replay;

    if (!session_flush(s)) {
        return;
    }
    if (r->fetch) {
        list_remove(&s->link);
        list_append(&s->f->waiting, &s->link);
        return;
    }
    if (r->wants_snapshot && !take_snapshot(s)) {
        return;
    }
    if (r->page) {
        step_page(s, budget);
    } else if (r->in_cache || resume_place(s)) {
        if (!s->is_blocked && session_flush(s)) {
            step_cache(s, budget);
        }
    }
}

void replay_fetched(struct session *s, const struct fetch_result *result, struct page *page)
{
    s->replay->fetch = NULL;
    resume_answer(s, result, page);
    if (s->state != STATE_REPLAY) {
        return;
    }
    list_remove(&s->link);
    if (!s->is_blocked) {
        list_append(result->err == NHUB_OK ? &s->f->replays : &s->f->waiting, &s->link);
    }
}
