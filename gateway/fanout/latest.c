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
 *
 * Readers that lag together need the same of the records that came since: a digest of these, which
 * is the same list made once, is merged into the list of each. So a thousand readers that do not
 * read cost a thousand times the number of types, not of events.
 */
#include "base/map.h"
#include "gateway/fanout/internal.h"
#include "gateway/fanout/notice.h"
#include "gateway/fanout/render.h"

#include <stdlib.h>
#include <string.h>

#define DIGEST_LEAST 4 /* records; fewer are added one by one */

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

static struct latest *create(void)
{
    struct latest *l = calloc(1, sizeof *l);

    if (!l) {
        return NULL;
    }
    list_init(&l->order);
    if (map_create(&l->by_type) != NHUB_OK) {
        free(l);
        return NULL;
    }
    return l;
}

static void remove_value(struct fanout *f, struct latest *l, struct value *v)
{
    if (!v->record->gap) {
        (void)map_remove(l->by_type, v->record->type, v->record->type_len);
    }
    l->bytes -= feed_event_size(v->record);
    list_remove(&v->link);
    release(f, &v->record);
    free(v);
}

static void destroy(struct fanout *f, struct latest **l_p)
{
    struct latest *l = *l_p;
    struct value *v = NULL;

    *l_p = NULL;
    while ((v = first_value(l)) != NULL) {
        remove_value(f, l, v);
    }
    map_destroy(&l->by_type);
    free(l);
}

static void add_drops(struct drops *to, const struct drops *behind)
{
    if (to->from.epoch[0] == '\0') {
        to->from = behind->from;
    }
    to->events += behind->events;
}

/* The value is not going to be sent: with what was dropped in front of it, it counts as dropped in
 * front of what comes behind it. Returns how many events that makes more. */
static uint64_t drop_value(const struct value *v, struct drops *behind)
{
    const uint64_t events = v->record->gap ? 0 : 1;

    behind->from = v->drops.from.epoch[0] != '\0' ? v->drops.from : before(v->record);
    behind->events += v->drops.events + events;
    return events;
}

/* A newer one of its type takes the value's place in the map, and stands at the end of the list. */
static uint64_t replace(struct fanout *f, struct latest *l, struct value *v,
                        struct feed_event *record)
{
    struct value *next = next_value(l, v);
    struct drops in_front = {0};
    const uint64_t dropped = drop_value(v, next ? &next->drops : &in_front);

    v->drops = in_front;
    l->bytes -= feed_event_size(v->record);
    release(f, &v->record);
    v->record = record;
    list_move(&l->order, &v->link);
    return dropped;
}

/* Adds a record, and what was dropped in front of it; *dropped grows by what it replaces. */
static bool add(struct fanout *f, struct latest *l, struct feed_event *record,
                const struct drops *drops, uint64_t *dropped)
{
    struct value *v = record->gap ? NULL : map_get(l->by_type, record->type, record->type_len);

    hold(f, record);
    l->bytes += feed_event_size(record);
    if (v) {
        *dropped += replace(f, l, v, record);
        add_drops(&v->drops, drops);
        return true;
    }
    v = calloc(1, sizeof *v);
    if (!v ||
        (!record->gap && map_put(l->by_type, record->type, record->type_len, v, NULL) != NHUB_OK)) {
        free(v);
        l->bytes -= feed_event_size(record);
        release(f, &record);
        return false;
    }
    v->record = record;
    v->drops = *drops;
    list_init(&v->link);
    list_append(&l->order, &v->link);
    return true;
}

static bool add_range(struct fanout *f, struct latest *l, const struct stream *st, uint64_t from,
                      uint64_t *dropped)
{
    static const struct drops none = {0};

    for (uint64_t i = from; i < st->end; i++) {
        if (!add(f, l, stream_at(st, i), &none, dropped)) {
            return false;
        }
    }
    return true;
}

void latest_forget_digest(struct fanout *f)
{
    if (f->digest) {
        destroy(f, &f->digest);
    }
}

/* The stream's records from `from` on as values; NULL when out of memory. */
static const struct latest *digest_of(struct stream *st, uint64_t from)
{
    struct fanout *f = st->f;
    uint64_t dropped = 0; /* counted by each session that takes them */

    if (f->digest && f->digest_stream == st && f->digest_from == from && f->digest_to == st->end) {
        return f->digest;
    }
    latest_forget_digest(f);
    f->digest = create();
    if (f->digest && !add_range(f, f->digest, st, from, &dropped)) {
        latest_forget_digest(f);
    }
    f->digest_stream = st;
    f->digest_from = from;
    f->digest_to = st->end;
    return f->digest;
}

static bool add_digest(struct fanout *f, struct latest *l, const struct latest *digest,
                       uint64_t *dropped)
{
    for (const struct value *v = first_value(digest); v; v = next_value(digest, v)) {
        if (!add(f, l, v->record, &v->drops, dropped)) {
            return false;
        }
        *dropped += v->drops.events;
    }
    return true;
}

/* The oldest value goes, because all together are too large. */
static uint64_t drop_first(struct session *s)
{
    struct latest *l = s->latest;
    struct value *v = first_value(l);
    struct value *next = next_value(l, v);
    struct drops drops = {0};
    const uint64_t dropped = drop_value(v, next ? &next->drops : &drops);

    if (!next) { /* nothing fits at all, so the gap ends with it */
        const struct gap gap = {.from = drops.from, .to = v->record->position, .reason = GAP_SLOW};

        session_note_gap(s, &gap, drops.events);
    }
    remove_value(s->f, l, v);
    return dropped;
}

/* False when out of memory. */
static bool absorb(struct session *s, uint64_t *dropped)
{
    struct stream *st = s->stream;
    bool is_good = false;

    if (!s->latest) {
        s->latest = create();
    }
    if (!s->latest) {
        return false;
    }
    if (st->end - s->at >= DIGEST_LEAST) {
        const struct latest *digest = digest_of(st, s->at);

        is_good = digest && add_digest(s->f, s->latest, digest, dropped);
    } else {
        is_good = add_range(s->f, s->latest, st, s->at, dropped);
    }
    s->at = st->end;
    return is_good;
}

void latest_absorb(struct session *s)
{
    uint64_t dropped = 0;
    const bool is_good = absorb(s, &dropped);

    while (is_good && s->latest->bytes > s->f->options.session_max_bytes) {
        dropped += drop_first(s);
    }
    counter_bump(&s->f->counters->dropped[DROP_SLOW_LATEST], dropped);
    s->dropped += dropped;
    if (!is_good) {
        session_fail(s, SESSION_END_FAILED);
    }
}

void latest_free(struct session *s)
{
    destroy(s->f, &s->latest);
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
        remove_value(s->f, l, v);
    }
    if (session_write(s, text->data, text->len, events)) {
        (void)session_flush(s); /* the gap when nothing fitted */
    }
}
