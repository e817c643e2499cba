/*
 * resume: finds the place from which a session goes on, and tells it the truth about it once.
 *
 * In this order: the cache has it; the hub is asked; after RESUME_WAIT_MS without an answer the
 * session goes on from the oldest that this gateway has, behind a gap that says so. A position that
 * nobody gave out is "unknown": nothing is replayed.
 */
#include "gateway/fanout/replay.h"

#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS 500
#define PAGE_EVENTS  1000

static bool same_epoch(const struct position *a, const struct position *b)
{
    return strcmp(a->epoch, b->epoch) == 0;
}

static bool is_known(const struct position *p)
{
    return p->epoch[0] != '\0';
}

static void tell(struct session *s, struct session_start *start)
{
    s->replay->is_told = true;
    session_tell_start(s, s->replay->tag, start);
}

/* All that follows comes from the cache, from r->index on. */
static void tell_from_cache(struct session *s)
{
    struct replay *r = s->replay;
    struct session_start start = {.position = r->passed, .from = r->passed, .has_count = true};
    struct scan scan;

    scan_count(s->f, s->stream->set, r->index, &scan);
    start.to = *cache_head(s->f->cache);
    start.count = scan.events;
    if (scan.has_gap) {
        start.result = RESUME_GAP;
        start.gap = scan.gap;
    } else if (scan.events > 0) {
        start.result = RESUME_REPLAYED;
    } else {
        start.result = RESUME_CAUGHT_UP;
        start.position = start.to;
        start.has_count = false;
    }
    tell(s, &start);
}

static void go_live(struct session *s)
{
    struct replay *r = s->replay;

    r->in_cache = true;
    r->index = cache_end(s->f->cache);
    r->passed = known_head(s->f);
}

/* Nothing is known of where it was. */
static bool tell_unknown(struct session *s)
{
    struct session_start start = {.position = known_head(s->f), .result = RESUME_UNKNOWN};

    go_live(s);
    tell(s, &start);
    return s->state == STATE_REPLAY;
}

/* On from the oldest record of the cache, behind a gap. */
static bool use_floor(struct session *s)
{
    struct replay *r = s->replay;
    const struct position *floor = cache_floor(s->f->cache);
    struct gap gap = {.from = r->passed, .to = *floor, .reason = GAP_RETENTION};
    struct session_start start = {.position = *floor, .from = r->passed, .has_count = true};
    struct scan scan;

    if (!same_epoch(&gap.from, &gap.to)) {
        gap.reason = GAP_EPOCH_CHANGED;
    }
    r->in_cache = true;
    r->index = cache_first(s->f->cache);
    r->passed = *floor;
    session_note_gap(s, &gap, 0);
    if (!r->is_told) {
        scan_count(s->f, s->stream->set, r->index, &scan);
        start.result = RESUME_GAP;
        start.to = *cache_head(s->f->cache);
        start.gap = gap;
        start.count = scan.events;
        tell(s, &start);
    }
    return s->state == STATE_REPLAY;
}

/* The hub did not answer in time. */
static bool without_hub(struct session *s)
{
    struct replay *r = s->replay;
    struct cache *cache = s->f->cache;
    const bool ahead =
        same_epoch(&r->passed, cache_head(cache)) && r->passed.seq > cache_head(cache)->seq;

    r->deadline_ms = 0;
    if (!s->f->is_live || r->since.kind == SINCE_TIME || ahead) {
        return tell_unknown(s);
    }
    if (!is_known(&r->passed) && r->since.kind == SINCE_EARLIEST) {
        r->in_cache = true;
        r->index = cache_first(cache);
        r->passed = *cache_floor(cache);
        tell_from_cache(s);
        return s->state == STATE_REPLAY;
    }
    return is_known(&r->passed) ? use_floor(s) : tell_unknown(s);
}

static bool wait(struct session *s)
{
    list_remove(&s->link);
    list_append(&s->f->waiting, &s->link);
    return false;
}

static void write_since(const struct replay *r, char out[64])
{
    if (is_known(&r->passed)) {
        (void)position_format(&r->passed, out);
    } else {
        since_text(&r->since, out);
    }
}

static bool ask(struct session *s)
{
    struct replay *r = s->replay;
    struct fanout *f = s->f;

    if (r->deadline_ms == 0) {
        r->deadline_ms = f->now_ms + RESUME_WAIT_MS;
    }
    if (f->now_ms >= r->deadline_ms) {
        return without_hub(s);
    }
    if (!f->link_up || f->now_ms < r->ask_again_ms) {
        return wait(s);
    }
    r->fetch = calloc(1, sizeof *r->fetch);
    if (!r->fetch) {
        session_fail(s, SESSION_END_FAILED);
        return false;
    }
    r->fetch->session = s;
    r->fetch->set = pattern_set_ref(s->stream->set);
    r->fetch->limit = PAGE_EVENTS;
    write_since(r, r->fetch->since);
    (void)wait(s);
    f->options.fetch(f->options.context, r->fetch);
    return false;
}

/* Digits are a seq of the current epoch, as soon as that is known. */
static void resolve(struct session *s)
{
    struct replay *r = s->replay;
    const struct position head = known_head(s->f);

    if (is_known(&r->passed) || !is_known(&head)) {
        return;
    }
    if (r->since.kind == SINCE_SEQ) {
        memcpy(r->passed.epoch, head.epoch, sizeof r->passed.epoch);
        r->passed.seq = r->since.position.seq;
    } else if (r->since.kind == SINCE_LATEST) {
        r->passed = head;
    }
}

bool resume_place(struct session *s)
{
    struct replay *r = s->replay;

    resolve(s);
    if (!is_known(&r->passed)) {
        if (r->since.kind == SINCE_LATEST || r->since.kind == SINCE_NONE) {
            go_live(s); /* the hub was never seen, so there is nothing but what comes */
            if (!r->is_told) {
                tell_from_cache(s);
            }
            return s->state == STATE_REPLAY;
        }
        return ask(s);
    }
    if (!s->f->is_live) {
        return ask(s);
    }
    switch (cache_find(s->f->cache, &r->passed, &r->index)) {
    case CACHE_INSIDE:
        r->in_cache = true;
        r->deadline_ms = 0;
        if (!r->is_told) {
            tell_from_cache(s);
        }
        return s->state == STATE_REPLAY;
    case CACHE_AHEAD:
        /* Told by the hub that it exists: it will come here too. */
        return r->is_told ? wait(s) : ask(s);
    default:
        return ask(s);
    }
}

void resume_drop_page(struct replay *r)
{
    for (size_t i = r->page_at; i < r->page_count; i++) {
        feed_event_unref(&r->page[i]);
    }
    free(r->page);
    r->page = NULL;
    r->page_at = 0;
    r->page_count = 0;
    r->has_page = false;
}

static void tell_page(struct session *s, const struct fetch_result *result)
{
    struct replay *r = s->replay;
    struct session_start start = {.position = result->from, .count = result->event_count};
    const struct position *head = cache_head(s->f->cache);
    struct scan scan = {0};
    uint64_t index = 0;

    start.from = is_known(&r->passed) ? r->passed : result->from;
    start.to = result->head;
    if (same_epoch(&result->head, head) && head->seq > result->head.seq) {
        start.to = *head;
    }
    start.has_count = !result->more;
    if (!result->more && cache_find(s->f->cache, &result->next, &index) == CACHE_INSIDE) {
        scan_count(s->f, s->stream->set, index, &scan);
        start.count += scan.events;
    }
    start.result = start.count > 0 || result->more ? RESUME_REPLAYED : RESUME_CAUGHT_UP;
    if (result->has_gap || scan.has_gap) {
        start.result = RESUME_GAP;
        start.gap = result->has_gap ? result->gap : scan.gap;
    }
    if (start.result == RESUME_CAUGHT_UP) {
        start.position = result->next;
        start.has_count = false;
    }
    tell(s, &start);
}

/* The hub knows nothing of an epoch whose end we still have. */
static bool cache_is_better(const struct session *s, const struct fetch_result *result)
{
    const struct cache *cache = s->f->cache;
    const struct position *floor = cache_floor(cache);

    return result->has_gap && !same_epoch(&result->gap.from, &result->gap.to) &&
           same_epoch(&s->replay->passed, floor) && !same_epoch(floor, cache_head(cache)) &&
           cache_first(cache) < cache_end(cache);
}

static void take_page(struct session *s, struct fetch_result *result)
{
    struct replay *r = s->replay;

    if (!r->is_told) {
        tell_page(s, result);
        if (s->state != STATE_REPLAY) {
            return;
        }
    }
    if (result->has_gap) {
        session_note_gap(s, &result->gap, 0);
    }
    r->passed = result->from;
    r->page = result->events;
    r->page_count = result->event_count;
    r->page_at = 0;
    r->page_next = result->next;
    r->has_page = true;
    result->events = NULL;
    result->event_count = 0;
}

void resume_answer(struct session *s, struct fetch_result *result)
{
    struct replay *r = s->replay;

    if (result->err != NHUB_OK) {
        r->ask_again_ms = s->f->now_ms + ASK_AGAIN_MS;
        return; /* its deadline runs */
    }
    r->deadline_ms = 0;
    if (result->result == RESUME_UNKNOWN) {
        if (r->is_told) {
            (void)use_floor(s); /* the hub has lost what it had named */
        } else {
            (void)tell_unknown(s);
        }
    } else if (cache_is_better(s, result)) {
        (void)use_floor(s);
    } else {
        take_page(s, result);
    }
}
