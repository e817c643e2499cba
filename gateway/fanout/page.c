/* page: a counted array of events; those of the last moments in a list, oldest first. */
#include "gateway/fanout/page.h"

#include "gateway/fanout/replay.h"

#include <stdlib.h>
#include <string.h>

#define RECENT_MS 2000 /* long enough for a crowd, short enough that "earliest" stays true */

static size_t room_for_pages(const struct fanout *f)
{
    return f->options.streams_max_bytes / 4;
}

static struct page *create(struct fanout *f, struct pattern_set *set)
{
    struct page *p = calloc(1, sizeof *p);

    if (p) {
        list_init(&p->recent);
        p->f = f;
        p->refs = 1;
        p->made_ms = f->now_ms;
        p->set = set ? pattern_set_ref(set) : NULL;
    }
    return p;
}

static void drop_events(struct feed_event **events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        feed_event_unref(&events[i]);
    }
    free(events);
}

/* From here on the page counts. */
static void charge(struct page *p)
{
    p->bytes = sizeof *p + p->count * sizeof(struct feed_event *);
    for (size_t i = 0; i < p->count; i++) {
        p->bytes += feed_event_size(p->events[i]);
    }
    p->f->page_bytes += p->bytes;
}

nhub_err page_create(struct page **out, struct fanout *f, const struct fetch *fetch,
                     struct fetch_result *result)
{
    struct page *p = create(f, fetch->set);

    if (!p) {
        drop_events(result->events, result->event_count);
    } else {
        memcpy(p->since, fetch->since, sizeof p->since);
        p->from = result->from;
        p->next = result->next;
        p->head = result->head;
        p->more = result->more;
        p->has_gap = result->has_gap;
        p->gap = result->gap;
        p->events = result->events;
        p->count = result->event_count;
        charge(p);
        *out = p;
    }
    result->events = NULL;
    result->event_count = 0;
    return p ? NHUB_OK : NHUB_ENOMEM;
}

static bool push(struct page *p, size_t *cap, struct feed_event *e)
{
    if (p->count == *cap) {
        const size_t grown = *cap ? *cap * 2 : 16;
        struct feed_event **events = realloc(p->events, grown * sizeof(struct feed_event *));

        if (!events) {
            return false;
        }
        p->events = events;
        *cap = grown;
    }
    p->events[p->count++] = feed_event_ref(e);
    return true;
}

nhub_err page_snapshot(struct page **out, struct fanout *f, struct pattern_set *set,
                       const struct position *next)
{
    struct page *p = create(f, NULL);
    struct feed_event *e = NULL;
    const void *iter = NULL;
    size_t cap = 0;

    if (!p) {
        return NHUB_ENOMEM;
    }
    p->from = *next;
    p->next = *next;
    while ((e = last_values_next(f->last, &iter)) != NULL) {
        if (pattern_set_selects(set, e->type, e->type_len, f->options.stats_event) &&
            !push(p, &cap, e)) {
            page_unref(&p);
            return NHUB_ENOMEM;
        }
    }
    charge(p);
    *out = p;
    return NHUB_OK;
}

struct page *page_ref(struct page *p)
{
    p->refs++;
    return p;
}

void page_unref(struct page **p_p)
{
    struct page *p = *p_p;

    *p_p = NULL;
    if (!p || --p->refs > 0) {
        return;
    }
    p->f->page_bytes -= p->bytes;
    p->f->feed_moved = true; /* somebody may wait for the room */
    drop_events(p->events, p->count);
    pattern_set_unref(&p->set);
    free(p);
}

static bool same_epoch(const struct position *a, const struct position *b)
{
    return strcmp(a->epoch, b->epoch) == 0;
}

void pages_keep(struct page *p)
{
    char next[POSITION_TEXT_MAX];

    (void)position_format(&p->next, next);
    if (strcmp(next, p->since) != 0) {
        list_append(&p->f->recent_pages, &page_ref(p)->recent);
    }
}

static void forget(struct page *p)
{
    list_remove(&p->recent);
    page_unref(&p);
}

void pages_forget(struct fanout *f, bool is_all)
{
    while (!list_empty(&f->recent_pages)) {
        struct page *p = list_entry(f->recent_pages.next, struct page, recent);

        if (!is_all && f->now_ms - p->made_ms < RECENT_MS) {
            return;
        }
        forget(p);
    }
}

/* The first event behind a number. */
static size_t place_of(const struct page *p, uint64_t seq)
{
    size_t low = 0;
    size_t high = p->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (p->events[middle]->position.seq > seq) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static bool covers(const struct page *p, const struct position *passed)
{
    return same_epoch(&p->from, passed) && same_epoch(&p->next, passed) &&
           p->from.seq <= passed->seq && passed->seq < p->next.seq;
}

bool pages_find(struct fanout *f, const struct pattern_set *set, const char *since,
                const struct position *passed, struct page_place *out)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &f->recent_pages) {
        struct page *p = list_entry(pos, struct page, recent);

        if (p->set != set) {
            continue;
        }
        if (strcmp(p->since, since) == 0) {
            *out = (struct page_place){.page = page_ref(p)};
            return true;
        }
        if (covers(p, passed)) {
            *out = (struct page_place){page_ref(p), place_of(p, passed->seq), true};
            return true;
        }
    }
    return false;
}

/* Gives up pages until they take less than `room`, if that can be had. */
static void shrink(struct fanout *f, size_t room)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    while (f->page_bytes >= room && !list_empty(&f->recent_pages)) {
        forget(list_entry(f->recent_pages.next, struct page, recent));
    }
    /* Who cannot be written to has no use for its page now, and can ask again. */
    list_foreach (pos, tmp, &f->blocked) {
        if (f->page_bytes < room) {
            break;
        }
        replay_give_up_page(list_entry(pos, struct session, blocked));
    }
}

bool pages_have_room(struct fanout *f)
{
    const size_t room = room_for_pages(f);

    if (f->page_bytes >= room) {
        shrink(f, room);
    }
    return f->page_bytes < room;
}

void pages_give_up(struct fanout *f)
{
    shrink(f, 0);
}
