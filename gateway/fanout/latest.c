/*
 * latest: the newest event of each type for one session that lags and wants no more than that.
 *
 *   list, in order of arrival:   [gap] [a 15] [c 18] [b 20]
 *   map:                          a ────┘      ...
 *
 * A newer event of a type replaces the older one and moves to the end, so that the order stays the
 * order of positions. What was replaced is counted and told behind the values of the same write: a
 * reader that comes back from a position before it would get those values anyway.
 */
#include "base/map.h"
#include "gateway/fanout/internal.h"
#include "gateway/fanout/notice.h"
#include "gateway/fanout/render.h"

#include <stdlib.h>
#include <string.h>

struct value {
    struct list link;
    struct feed_event *record; /* held */
};

struct latest {
    struct map *by_type;
    struct list order;
    size_t bytes;
    uint64_t dropped;     /* since the last notice */
    struct position from; /* before the first that was dropped; epoch "" = none was */
    struct position to;   /* the last that was dropped */
};

static struct value *first_value(const struct latest *l)
{
    return list_empty(&l->order) ? NULL : list_entry(l->order.next, struct value, link);
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
    const struct latest *l = s->latest;

    return l->from.epoch[0] != '\0' ? l->from : before(first_value(l)->record);
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

/* Notes that a record is not going to be sent. */
static void note_drop(struct session *s, const struct feed_event *record)
{
    struct latest *l = s->latest;
    const struct position p = before(record);

    if (l->from.epoch[0] == '\0' || (strcmp(l->from.epoch, p.epoch) == 0 && p.seq < l->from.seq)) {
        l->from = p;
    }
    l->to = record->position;
    l->dropped++;
    counter_bump(&s->f->counters->dropped[DROP_SLOW_LATEST], 1);
}

static bool add(struct session *s, struct feed_event *record)
{
    struct latest *l = s->latest;
    struct value *v = record->gap ? NULL : map_get(l->by_type, record->type, record->type_len);

    hold(s->f, record);
    l->bytes += feed_event_size(record);
    if (v) {
        note_drop(s, v->record);
        l->bytes -= feed_event_size(v->record);
        release(s->f, &v->record);
        v->record = record;
        list_move(&l->order, &v->link);
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

/* Notes the gap up to the last position that was written. What was dropped behind that is told
 * with a later write: its newer value is still to come. */
static void tell_drops(struct session *s, const struct position *last)
{
    struct latest *l = s->latest;
    const struct gap gap = {.from = l->from, .to = *last, .reason = GAP_SLOW};

    if (l->dropped == 0 || (strcmp(l->from.epoch, last->epoch) == 0 && l->from.seq >= last->seq)) {
        return;
    }
    session_note_gap(s, &gap, l->dropped);
    l->dropped = 0;
    l->from = (struct position){0};
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
        struct value *v = first_value(l);

        note_drop(s, v->record);
        remove_value(s, v);
    }
    if (list_empty(&l->order)) {
        tell_drops(s, &l->to); /* nothing fits at all */
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

void latest_write(struct session *s)
{
    struct latest *l = s->latest;
    struct buf *text = &s->f->text;
    struct position last = {0};
    uint64_t events = 0;
    struct value *v = NULL;

    if (s->state == STATE_ENDED || !l) {
        return;
    }
    buf_reset(text);
    while ((v = first_value(l)) != NULL && text->len < SCRATCH_BYTES) {
        const size_t size = v->record->line_len + v->record->type_len + 64;

        if (text->len > 0 && size > SCRATCH_BYTES - text->len) {
            break;
        }
        last = v->record->position;
        events += v->record->gap ? 0 : 1;
        if (render_append(v->record, s->format, text) != NHUB_OK) {
            session_fail(s, SESSION_END_FAILED);
            return;
        }
        remove_value(s, v);
    }
    tell_drops(s, &last);
    if (session_write(s, text->data, text->len, events)) {
        (void)session_flush(s); /* the notice */
    }
}
