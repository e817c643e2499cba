/*
 * group_open: a table by seq, a list by seq, a list for each lane, and three heaps: READY and DEAD
 * by seq, PENDING and DELAYED by due time. An event is in one heap at most.
 *
 * The heaps have room for all events that are here, so moving one never needs memory.
 */
#include "daemon/group_open.h"

#include "base/map.h"

#include <stdlib.h>

struct heap {
    struct open_event **items;
    size_t count;
    bool by_due;
};

struct lane {
    struct open_event *first, *last;
};

struct open_set {
    struct map *by_seq;
    struct map *lanes; /* NULL: order does not matter */
    struct open_event *oldest, *newest;
    struct heap ready, dead, due;
    size_t heap_cap;
    size_t counts[OPEN_STATES];
    uint64_t last_seq; /* greatest ever added */
};

/* ---- heaps ---- */

static bool is_before(const struct heap *h, const struct open_event *a, const struct open_event *b)
{
    if (h->by_due && a->due_ms != b->due_ms) {
        return a->due_ms < b->due_ms;
    }
    return a->seq < b->seq;
}

static void place(struct heap *h, size_t index, struct open_event *e)
{
    h->items[index] = e;
    e->heap_index = index;
}

static void sift_up(struct heap *h, size_t index, struct open_event *e)
{
    while (index > 0 && is_before(h, e, h->items[(index - 1) / 2])) {
        place(h, index, h->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    place(h, index, e);
}

static void sift_down(struct heap *h, size_t index, struct open_event *e)
{
    size_t child;

    while ((child = 2 * index + 1) < h->count) {
        if (child + 1 < h->count && is_before(h, h->items[child + 1], h->items[child])) {
            child++;
        }
        if (!is_before(h, h->items[child], e)) {
            break;
        }
        place(h, index, h->items[child]);
        index = child;
    }
    place(h, index, e);
}

static void heap_push(struct heap *h, struct open_event *e)
{
    h->count++;
    sift_up(h, h->count - 1, e);
}

static void heap_remove(struct heap *h, const struct open_event *e)
{
    const size_t index = e->heap_index;
    struct open_event *last = h->items[--h->count];

    if (last == e) {
        return;
    }
    if (index > 0 && is_before(h, last, h->items[(index - 1) / 2])) {
        sift_up(h, index, last);
    } else {
        sift_down(h, index, last);
    }
}

static nhub_err heap_grow(struct heap *h, size_t cap)
{
    struct open_event **items = realloc(h->items, cap * sizeof(struct open_event *));

    if (!items) {
        return NHUB_ENOMEM;
    }
    h->items = items;
    return NHUB_OK;
}

static struct heap *heap_of(struct open_set *s, enum open_state state)
{
    switch (state) {
    case OPEN_READY:
        return &s->ready;
    case OPEN_DEAD:
        return &s->dead;
    case OPEN_PENDING:
    case OPEN_DELAYED:
        return &s->due;
    default:
        return NULL;
    }
}

/* ---- life ---- */

nhub_err open_set_create(struct open_set **out, bool has_lanes)
{
    struct open_set *s = calloc(1, sizeof *s);
    nhub_err err;

    if (!s) {
        return NHUB_ENOMEM;
    }
    s->due.by_due = true;
    err = map_create(&s->by_seq);
    if (!err && has_lanes) {
        err = map_create(&s->lanes);
    }
    if (err) {
        open_set_destroy(&s);
        return err;
    }
    *out = s;
    return NHUB_OK;
}

void open_set_destroy(struct open_set **s_p)
{
    struct open_set *s = *s_p;

    if (s) {
        open_set_clear(s);
        map_destroy(&s->by_seq);
        map_destroy(&s->lanes);
        free(s->ready.items);
        free(s->dead.items);
        free(s->due.items);
        free(s);
        *s_p = NULL;
    }
}

void open_set_clear(struct open_set *s)
{
    while (s->oldest) {
        (void)open_set_remove(s, s->oldest);
    }
    s->last_seq = 0;
}

static nhub_err make_room(struct open_set *s)
{
    const size_t count = open_set_count(s);
    const size_t cap = s->heap_cap == 0 ? 16 : 2 * s->heap_cap;

    if (count >= GROUP_OPEN_MAX) {
        return NHUB_EFULL;
    }
    if (count < s->heap_cap) {
        return NHUB_OK;
    }
    if (heap_grow(&s->ready, cap) || heap_grow(&s->dead, cap) || heap_grow(&s->due, cap)) {
        return NHUB_ENOMEM;
    }
    s->heap_cap = cap;
    return NHUB_OK;
}

/* Puts the event at the end of its lane. */
static nhub_err join_lane(struct open_set *s, struct open_event *e)
{
    struct lane *lane = map_get(s->lanes, &e->lane, sizeof e->lane);

    if (!lane) {
        lane = calloc(1, sizeof *lane);
        if (!lane) {
            return NHUB_ENOMEM;
        }
        if (map_put(s->lanes, &e->lane, sizeof e->lane, lane, NULL) != NHUB_OK) {
            free(lane);
            return NHUB_ENOMEM;
        }
        lane->first = e;
    } else {
        e->lane_older = lane->last;
        lane->last->lane_newer = e;
    }
    lane->last = e;
    return NHUB_OK;
}

/* Returns the event that is the first of the lane from now on, if it was not before. */
static struct open_event *leave_lane(struct open_set *s, struct open_event *e)
{
    struct lane *lane = map_get(s->lanes, &e->lane, sizeof e->lane);
    const bool was_first = lane->first == e;

    if (e->lane_older) {
        e->lane_older->lane_newer = e->lane_newer;
    } else {
        lane->first = e->lane_newer;
    }
    if (e->lane_newer) {
        e->lane_newer->lane_older = e->lane_older;
    } else {
        lane->last = e->lane_older;
    }
    if (!lane->first) {
        free(map_remove(s->lanes, &e->lane, sizeof e->lane));
        return NULL;
    }
    return was_first ? lane->first : NULL;
}

nhub_err open_set_add(struct open_set *s, uint64_t seq, uint64_t lane, struct open_event **out)
{
    struct open_event *e;
    nhub_err err;

    if (seq <= s->last_seq) {
        return NHUB_EINVAL;
    }
    err = make_room(s);
    if (err) {
        return err;
    }
    e = calloc(1, sizeof *e);
    if (!e) {
        return NHUB_ENOMEM;
    }
    e->seq = seq;
    e->lane = lane;
    e->state = OPEN_STATES;
    err = map_put(s->by_seq, &seq, sizeof seq, e, NULL);
    if (!err && s->lanes) {
        err = join_lane(s, e);
        if (err) {
            (void)map_remove(s->by_seq, &seq, sizeof seq);
        }
    }
    if (err) {
        free(e);
        return err;
    }
    e->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
    s->last_seq = seq;
    open_set_move(s, e, e->lane_older ? OPEN_BLOCKED : OPEN_READY, 0);
    *out = e;
    return NHUB_OK;
}

void open_set_move(struct open_set *s, struct open_event *e, enum open_state state, int64_t due_ms)
{
    struct heap *from = heap_of(s, e->state);
    struct heap *to = heap_of(s, state);

    if (from) {
        heap_remove(from, e);
    }
    if (e->state < OPEN_STATES) {
        s->counts[e->state]--;
    }
    e->due_ms = due_ms;
    e->state = state;
    if (state < OPEN_STATES) {
        s->counts[state]++;
    }
    if (to) {
        heap_push(to, e);
    }
}

struct open_event *open_set_remove(struct open_set *s, struct open_event *e)
{
    struct open_event *next = NULL;

    open_set_move(s, e, OPEN_STATES, 0);
    *(e->older ? &e->older->newer : &s->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &s->newest) = e->older;
    (void)map_remove(s->by_seq, &e->seq, sizeof e->seq);
    if (s->lanes) {
        next = leave_lane(s, e);
    }
    free(e);
    if (next) {
        open_set_move(s, next, OPEN_READY, 0);
    }
    return next;
}

/* ---- looking ---- */

struct open_event *open_set_find(const struct open_set *s, uint64_t seq)
{
    return map_get(s->by_seq, &seq, sizeof seq);
}

struct open_event *open_set_oldest(const struct open_set *s)
{
    return s->oldest;
}

struct open_event *open_set_first(const struct open_set *s, enum open_state state)
{
    const struct heap *h = state == OPEN_READY ? &s->ready : &s->dead;

    return h->count > 0 ? h->items[0] : NULL;
}

struct open_event *open_set_next_due(const struct open_set *s)
{
    return s->due.count > 0 ? s->due.items[0] : NULL;
}

size_t open_set_count(const struct open_set *s)
{
    return map_count(s->by_seq);
}

size_t open_set_count_of(const struct open_set *s, enum open_state state)
{
    return s->counts[state];
}
