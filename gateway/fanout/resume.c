/*
 * resume: finds the place from which a session goes on, and tells it the truth about it once.
 *
 * In this order: the cache has it, or the hub is asked, for as long as it takes. What this gateway
 * does not have is not gone: only the hub knows that, and while it is away the session waits, and
 * fanout_tick() tells its reader so. A position that nobody gave out is "unknown": nothing is
 * replayed.
 */
#include "gateway/fanout/replay.h"

#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS 500

static bool same_epoch(const struct position *a, const struct position *b)
{
    return strcmp(a->epoch, b->epoch) == 0;
}

static bool is_known(const struct position *p)
{
    return p->epoch[0] != '\0';
}

/* An answer without events to come needs no count. */
static void tell(struct session *s, struct session_start *start)
{
    s->replay->is_told = true;
    s->replay->has_count =
        start->has_count || (start->result != RESUME_REPLAYED && start->result != RESUME_GAP);
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
        if (same_epoch(&scan.gap.from, &r->passed) && scan.gap.from.seq < r->passed.seq) {
            start.gap.from = r->passed;
        }
    } else if (scan.events > 0) {
        start.result = RESUME_REPLAYED;
    } else {
        start.result = RESUME_CAUGHT_UP;
        start.position = start.to;
        start.has_count = false;
    }
    tell(s, &start);
}

void resume_note_gap(struct session *s, const struct gap *gap)
{
    s->replay->gaps++;
    session_note_gap(s, gap, 0);
}

/* A position inside a gap of the cache: only what lies behind the position is missing to it. */
static void clip_gap(struct session *s)
{
    struct replay *r = s->replay;
    struct cache *cache = s->f->cache;
    const struct feed_event *record =
        r->index < cache_end(cache) ? cache_at(cache, r->index) : NULL;
    struct gap gap;

    if (!record || !record->gap || !same_epoch(&record->gap->from, &r->passed) ||
        record->gap->from.seq >= r->passed.seq) {
        return;
    }
    gap = *record->gap;
    gap.from = r->passed;
    resume_note_gap(s, &gap);
    r->index++;
    r->passed = record->position;
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
    resume_note_gap(s, &gap);
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

static bool wait(struct session *s)
{
    list_remove(&s->link);
    list_append(&s->f->waiting, &s->link);
    return false;
}

/* The hub is away. What only the hub has, or only the hub can tell, is worth waiting for: a gap
 * would be believed. A cache that begins with the first number of all has it, too. */
static bool without_hub(struct session *s)
{
    struct replay *r = s->replay;
    const struct position *floor = cache_floor(s->f->cache);

    if (s->f->is_live && !is_known(&r->passed) && r->since.kind == SINCE_EARLIEST &&
        is_known(floor) && floor->seq == 0) {
        r->in_cache = true;
        r->index = cache_first(s->f->cache);
        r->passed = *floor;
        tell_from_cache(s);
        return s->state == STATE_REPLAY;
    }
    return wait(s);
}

static void write_since(const struct replay *r, char out[64])
{
    if (is_known(&r->passed)) {
        (void)position_format(&r->passed, out);
    } else {
        since_text(&r->since, out);
    }
}

/* What the page and the cache behind it bring. */
static void tell_page(struct session *s, const struct page_place *place)
{
    struct replay *r = s->replay;
    const struct page *page = place->page;
    struct session_start start = {.position = place->is_part ? r->passed : page->from,
                                  .count = page->count - place->at};
    const struct position *head = cache_head(s->f->cache);
    const bool has_gap = page->has_gap && !place->is_part;
    struct scan scan = {0};
    uint64_t index = 0;

    start.from = is_known(&r->passed) ? r->passed : page->from;
    start.to = page->head;
    if (same_epoch(&page->head, head) && head->seq > page->head.seq) {
        start.to = *head;
    }
    /* Others may have left the page here: meanwhile there may be more, or the cache may have it. */
    if (s->f->is_live && cache_find(s->f->cache, &page->next, &index) == CACHE_INSIDE) {
        scan_count(s->f, s->stream->set, index, &scan);
        start.count += scan.events;
        start.has_count = true;
    } else {
        start.has_count = !page->more && position_equal(&page->next, &start.to);
    }
    start.result = start.count > 0 || !start.has_count ? RESUME_REPLAYED : RESUME_CAUGHT_UP;
    if (has_gap || scan.has_gap) {
        start.result = RESUME_GAP;
        start.gap = has_gap ? page->gap : scan.gap;
    }
    if (start.result == RESUME_CAUGHT_UP) {
        start.position = page->next;
        start.has_count = false;
    }
    tell(s, &start);
}

/* The hub knows nothing of an epoch whose end we still have. */
static bool cache_is_better(const struct session *s, const struct page *page)
{
    const struct cache *cache = s->f->cache;
    const struct position *floor = cache_floor(cache);

    return page->has_gap && !same_epoch(&page->gap.from, &page->gap.to) &&
           same_epoch(&s->replay->passed, floor) && !same_epoch(floor, cache_head(cache)) &&
           cache_first(cache) < cache_end(cache);
}

static void take_page(struct session *s, const struct page_place *place)
{
    struct replay *r = s->replay;
    struct page *page = place->page;

    if (cache_is_better(s, page)) {
        (void)use_floor(s);
        return;
    }
    if (!r->is_told) {
        tell_page(s, place);
        if (s->state != STATE_REPLAY) {
            return;
        }
    }
    if (page->has_gap && !place->is_part) {
        resume_note_gap(s, &page->gap);
    }
    if (!place->is_part) {
        r->passed = page->from;
    }
    r->page = page_ref(page);
    r->page_at = place->at;
}

/* Somebody else asks for the same at this moment: the page will be there for both. */
static bool is_under_way(const struct session *s, const char *since)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &s->f->fetches) {
        const struct fetch *fetch = list_entry(pos, struct fetch, link);

        if (fetch->set == s->stream->set && strcmp(fetch->since, since) == 0) {
            return true;
        }
    }
    return false;
}

static bool send_fetch(struct session *s, const char since[64])
{
    struct replay *r = s->replay;
    struct fanout *f = s->f;

    r->fetch = calloc(1, sizeof *r->fetch);
    if (!r->fetch) {
        session_fail(s, SESSION_END_FAILED);
        return false;
    }
    list_init(&r->fetch->link);
    list_append(&f->fetches, &r->fetch->link);
    r->fetch->session = s;
    r->fetch->set = pattern_set_ref(s->stream->set);
    r->fetch->limit = f->page_limit;
    memcpy(r->fetch->since, since, sizeof r->fetch->since);
    (void)wait(s);
    f->options.fetch(f->options.context, r->fetch);
    return false;
}

/* A page from somebody else, or from the hub. */
static bool ask(struct session *s)
{
    struct replay *r = s->replay;
    struct fanout *f = s->f;
    struct page_place place;
    char since[64] = "";

    write_since(r, since);
    if (pages_find(f, s->stream->set, since, &r->passed, &place)) {
        take_page(s, &place);
        page_unref(&place.page);
        return false;
    }
    if (!f->link_up) {
        return without_hub(s);
    }
    if (f->now_ms < r->ask_again_ms || is_under_way(s, since) || !pages_have_room(f)) {
        return wait(s);
    }
    return send_fetch(s, since);
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
        if (!r->is_told) {
            tell_from_cache(s);
        }
        if (s->state == STATE_REPLAY) {
            clip_gap(s);
        }
        return s->state == STATE_REPLAY;
    case CACHE_AHEAD:
        /* Told by the hub that it exists: it will come here too. */
        return r->is_told ? wait(s) : ask(s);
    default:
        return ask(s);
    }
}

void resume_answer(struct session *s, const struct fetch_result *result, struct page *page)
{
    struct replay *r = s->replay;

    if (result->err != NHUB_OK) {
        r->ask_again_ms = s->f->now_ms + ASK_AGAIN_MS;
        return;
    }
    if (result->result == RESUME_UNKNOWN) {
        if (r->is_told) {
            (void)use_floor(s); /* the hub has lost what it had named */
        } else {
            (void)tell_unknown(s);
        }
    } else {
        take_page(s, &(struct page_place){.page = page});
    }
}
