/*
 * history_page: a page of history as a JSON object, from the cache or from a hub's answer.
 *
 * Events stand in it as their lines. A gap ends a page that has events already, so that a page has
 * at most one gap and that comes before its events.
 */
#include "gateway/fanout/internal.h"
#include "gateway/fanout/notice.h"
#include "gateway/fanout/render.h"
#include "gateway/protocols/query.h"

#include <string.h>

#define PAGE_SCAN_MAX  50000
#define PAGE_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct page_text {
    struct buf *out;
    bool cloudevents;
    uint64_t events;
    bool has_gap;
    struct gap gap;
};

static void add_position(struct buf *out, const char *name, const struct position *p)
{
    char text[POSITION_TEXT_MAX];

    if (p->epoch[0] == '\0') {
        buf_printf(out, ",\"%s\":null", name);
    } else {
        (void)position_format(p, text);
        buf_printf(out, ",\"%s\":\"%s\"", name, text);
    }
}

static nhub_err add_event(struct page_text *p, const struct feed_event *e)
{
    if (p->events > 0) {
        buf_add_char(p->out, ',');
    }
    p->events++;
    return render_json(e, p->cloudevents, p->out);
}

static void open_page(struct page_text *p, const char *epoch)
{
    buf_reset(p->out);
    if (epoch[0] == '\0') {
        buf_add_str(p->out, "{\"epoch\":null,\"events\":[");
    } else {
        buf_printf(p->out, "{\"epoch\":\"%s\",\"events\":[", epoch);
    }
}

static nhub_err close_page(struct page_text *p, enum resume_result result,
                           const struct position *next, bool more)
{
    if (result == RESUME_NONE) {
        result = p->has_gap ? RESUME_GAP : p->events > 0 ? RESUME_REPLAYED : RESUME_CAUGHT_UP;
    }
    buf_printf(p->out, "],\"result\":\"%s\"", resume_result_name(result));
    add_position(p->out, "next", next);
    buf_add_str(p->out, more ? ",\"more\":true" : ",\"more\":false");
    if (p->has_gap) {
        buf_add_str(p->out, ",\"gap\":{");
        notice_gap_members(p->out, &p->gap);
        buf_add_char(p->out, '}');
    }
    buf_add_char(p->out, '}');
    return p->out->failed ? NHUB_ENOMEM : NHUB_OK;
}

/* `after` is the position that was asked for, inside the cache; epoch "" = it was no position. */
static nhub_err write_from(struct fanout *f, struct pattern_set *set, uint64_t index,
                           const struct position *after, uint64_t limit, struct page_text *p)
{
    struct position next;
    uint64_t i = index;
    uint64_t stop = cache_end(f->cache);

    if (stop - i > PAGE_SCAN_MAX) {
        stop = i + PAGE_SCAN_MAX;
    }
    for (; i < stop && p->events < limit && p->out->len < PAGE_BYTES_MAX; i++) {
        const struct feed_event *e = cache_at(f->cache, i);

        if (e->gap && (p->events > 0 || p->has_gap)) {
            break;
        }
        if (e->gap) {
            p->has_gap = true;
            p->gap = *e->gap;
            if (strcmp(p->gap.from.epoch, after->epoch) == 0 && p->gap.from.seq < after->seq) {
                p->gap.from = *after; /* a position inside the gap misses only what is behind it */
            }
        } else if (scan_wants(f, set, i) && add_event(p, e) != NHUB_OK) {
            return NHUB_ENOMEM;
        }
    }
    next = cache_before(f->cache, i);
    return close_page(p, RESUME_NONE, &next, i < cache_end(f->cache));
}

enum place { PLACE_INDEX, PLACE_END, PLACE_ASK };

static struct position wanted_position(const struct fanout *f, const struct since *since)
{
    struct position p = since->position;

    if (since->kind == SINCE_SEQ) {
        memcpy(p.epoch, cache_head(f->cache)->epoch, sizeof p.epoch);
    } else if (since->kind != SINCE_POSITION) {
        p = (struct position){0};
    }
    return p;
}

static enum place find_place(const struct fanout *f, const struct since *since, uint64_t *index)
{
    const struct position p = wanted_position(f, since);

    if (!f->is_live) {
        return PLACE_ASK;
    }
    if (since->kind == SINCE_LATEST) {
        return PLACE_END;
    }
    return cache_find(f->cache, &p, index) == CACHE_INSIDE ? PLACE_INDEX : PLACE_ASK;
}

/* The hub is away: what is here, if that is all there is behind the position. What only the hub
 * has, or only the hub can say, is worth another try: a gap would be believed. */
static enum place find_instead(const struct fanout *f, const struct since *since, uint64_t *index)
{
    const struct position wanted = wanted_position(f, since);

    if (since->kind == SINCE_EARLIEST || since->kind == SINCE_NONE) {
        *index = cache_first(f->cache);
        return cache_floor(f->cache)->epoch[0] != '\0' && cache_floor(f->cache)->seq == 0
                   ? PLACE_INDEX
                   : PLACE_ASK;
    }
    return cache_find(f->cache, &wanted, index) == CACHE_INSIDE ? PLACE_INDEX : PLACE_ASK;
}

nhub_err fanout_history(struct fanout *f, const struct stream_query *query, bool must_serve,
                        struct buf *out)
{
    const uint64_t limit = query->limit == 0                  ? HISTORY_LIMIT_DEFAULT
                           : query->limit > HISTORY_LIMIT_MAX ? HISTORY_LIMIT_MAX
                                                              : query->limit;
    struct page_text page = {.out = out, .cloudevents = query->cloudevents};
    struct pattern_set *set = NULL;
    uint64_t index = 0;
    enum place place = find_place(f, &query->since, &index);
    nhub_err err = NHUB_OK;

    if (place == PLACE_ASK && must_serve) {
        place = find_instead(f, &query->since, &index);
    }
    if (place == PLACE_ASK) {
        return must_serve ? NHUB_EUNAVAIL : NHUB_EAGAIN;
    }
    open_page(&page, cache_head(f->cache)->epoch);
    if (place == PLACE_END) {
        return close_page(&page, RESUME_NONE, cache_head(f->cache), false);
    }
    err =
        pattern_set_get(f->sets, (const char *const *)query->patterns, query->pattern_count, &set);
    if (err == NHUB_OK) {
        const struct position after = wanted_position(f, &query->since);

        err = write_from(f, set, index, &after, limit, &page);
    }
    pattern_set_unref(&set);
    return err;
}

nhub_err fanout_history_answer(const struct fetch_result *result, bool cloudevents, struct buf *out)
{
    struct page_text page = {.out = out, .cloudevents = cloudevents, .has_gap = result->has_gap};

    page.gap = result->gap;
    open_page(&page, result->head.epoch);
    for (size_t i = 0; i < result->event_count; i++) {
        if (add_event(&page, result->events[i]) != NHUB_OK) {
            return NHUB_ENOMEM;
        }
    }
    return close_page(&page, result->result, &result->next, result->more);
}
