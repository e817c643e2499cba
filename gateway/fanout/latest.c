/*
 * latest: the newest event of each type for one session that lags and wants no more than that.
 *
 *   list, in order of arrival:   [gap] [a 15] [c 18, before it 2 dropped] [b 20]
 *   map:                          a ────┘      ...
 *
 * A newer event of a type replaces the older one and moves to the end, so that the order stays the
 * order of positions. Each value knows what was dropped between the one before and itself, and that
 * gap is written right in front of it: a reader whose connection breaks anywhere, and who comes
 * back from the last position it read, has been told everything that is missing up to there.
 */
#include "base/map.h"
#include "gateway/fanout/internal.h"
#include "gateway/fanout/notice.h"
#include "gateway/fanout/render.h"

#include <stdlib.h>
#include <string.h>

/* What was dropped at one place. */
struct drops {
    uint64_t events;
    struct position from; /* before the first of them; epoch "" = nothing was dropped */
};

struct value {
    struct list link;
    struct feed_event *record; /* held */
    struct drops drops;        /* between the value before it and this one */
};

struct latest {
    struct map *by_type;
    struct list order;
    size_t bytes;
};

static struct value *first_value(const struct latest *l)
{
    return list_empty(&l->order) ? NULL : list_entry(l->order.next, struct value, link);
}

static struct value *next_value(const struct latest *l, const struct value *v)
{
    return v->link.next == &l->order ? NULL : list_entry(v->link.next, struct value, link);
}

bool latest_is_empty(const struct session *s)
{
    return !s->latest || list_empty(&s->latest->order);
}

static struct position before(const struct feed_event *record)
{
    struct position p = record->gap ? record->gap->from : record->position;

    if (!record->gap && p.seq > 0) {
        p.seq--;
    }
    return p;
}

struct position latest_position(const struct session *s)
{
    const struct value *v = first_value(s->latest);

    return v->drops.from.epoch[0] != '\0' ? v->drops.from : before(v->record);
}

static struct latest *get(struct session *s)
{
    struct latest *l = s->latest;

    if (l) {
        return l;
    }
    l = calloc(1, sizeof *l);
    if (!l) {
        return NULL;
    }
    list_init(&l->order);
    if (map_create(&l->by_type) != NHUB_OK) {
        free(l);
        return NULL;
    }
    s->latest = l;
    return l;
}

static void remove_value(struct session *s, struct value *v)
{
    struct latest *l = s->latest;

    if (!v->record->gap) {
        (void)map_remove(l->by_type, v->record->type, v->record->type_len);
    }
    l->bytes -= feed_event_size(v->record);
    list_remove(&v->link);
    release(s->f, &v->record);
    free(v);
}

/* The value is not going to be sent: with what was dropped in front of it, it counts as dropped in
 * front of what comes behind it. */
static void drop_value(struct session *s, const struct value *v, struct drops *behind)
{
    const uint64_t events = v->record->gap ? 0 : 1;

    behind->from = v->drops.from.epoch[0] != '\0' ? v->drops.from : before(v->record);
    behind->events += v->drops.events + events;
    counter_bump(&s->f->counters->dropped[DROP_SLOW_LATEST], events);
    s->dropped += events;
}

/* A newer one of its type takes the value's place in the map, and stands at the end of the list. */
static void replace(struct session *s, struct value *v, struct feed_event *record)
{
    struct latest *l = s->latest;
    struct value *next = next_value(l, v);
    struct drops in_front = {0};

    drop_value(s, v, next ? &next->drops : &in_front);
    v->drops = in_front;
    l->bytes -= feed_event_size(v->record);
    release(s->f, &v->record);
    v->record = record;
    list_move(&l->order, &v->link);
}

static bool add(struct session *s, struct feed_event *record)
{
    struct latest *l = s->latest;
    struct value *v = record->gap ? NULL : map_get(l->by_type, record->type, record->type_len);

    hold(s->f, record);
    l->bytes += feed_event_size(record);
    if (v) {
        replace(s, v, record);
        return true;
    }
    v = calloc(1, sizeof *v);
    if (!v ||
        (!record->gap && map_put(l->by_type, record->type, record->type_len, v, NULL) != NHUB_OK)) {
        free(v);
        l->bytes -= feed_event_size(record);
        release(s->f, &record);
        return false;
    }
    v->record = record;
    list_init(&v->link);
    list_append(&l->order, &v->link);
    return true;
}

/* The oldest value goes, because all together are too large. */
static void drop_first(struct session *s)
{
    struct latest *l = s->latest;
    struct value *v = first_value(l);
    struct value *next = next_value(l, v);

    if (next) {
        drop_value(s, v, &next->drops);
    } else { /* nothing fits at all, so the gap ends with it */
        struct gap gap = {.to = v->record->position, .reason = GAP_SLOW};
        struct drops drops = {0};

        drop_value(s, v, &drops);
        gap.from = drops.from;
        session_note_gap(s, &gap, drops.events);
    }
    remove_value(s, v);
}

void latest_absorb(struct session *s)
{
    struct stream *st = s->stream;
    struct latest *l = get(s);

    if (!l) {
        session_fail(s, SESSION_END_FAILED);
        return;
    }
    for (; s->at < st->end; s->at++) {
        if (!add(s, stream_at(st, s->at))) {
            session_fail(s, SESSION_END_FAILED);
            return;
        }
    }
    while (l->bytes > s->f->options.session_max_bytes) {
        drop_first(s);
    }
}

void latest_free(struct session *s)
{
    struct latest *l = s->latest;
    struct value *v = NULL;

    while ((v = first_value(l)) != NULL) {
        remove_value(s, v);
    }
    map_destroy(&l->by_type);
    free(l);
    s->latest = NULL;
}

/* The gap in front of a value, if there is one, and the value. */
static nhub_err append_value(struct session *s, const struct value *v, struct buf *text)
{
    if (v->drops.from.epoch[0] != '\0') {
        const struct gap gap = {.from = v->drops.from, .to = before(v->record), .reason = GAP_SLOW};

        notice_gap(text, s->format, &gap, v->drops.events);
        counter_bump(&s->f->counters->gaps_total, 1);
    }
    return text->failed ? NHUB_ENOMEM : render_append(v->record, s->format, text);
}

void latest_write(struct session *s)
{
    struct latest *l = s->latest;
    struct buf *text = &s->f->text;
    uint64_t events = 0;
    struct value *v = NULL;

    if (s->state == STATE_ENDED || !l) {
        return;
    }
    buf_reset(text);
    while ((v = first_value(l)) != NULL && text->len < SCRATCH_BYTES) {
        const size_t size = v->record->line_len + v->record->type_len + 256; /* with a gap */

        if (text->len > 0 && size > SCRATCH_BYTES - text->len) {
            break;
        }
        events += v->record->gap ? 0 : 1;
        if (append_value(s, v, text) != NHUB_OK) {
            session_fail(s, SESSION_END_FAILED);
            return;
        }
        remove_value(s, v);
    }
    if (session_write(s, text->data, text->len, events)) {
        (void)session_flush(s); /* the gap when nothing fitted */
    }
}
