/*
 * dedup: a queue of keys in the order of their coming, and a table with open addressing that finds
 * a key's place in the queue.
 *
 * The table is at most half full, and a removal moves the followers back instead of leaving a
 * tombstone, so look-ups stay short for ever. The queue has DEDUP_UNDO_MAX places more than keys:
 * those that left last still stand in front of the first one, and can be brought back.
 */
#include "daemon/dedup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DEDUP_IDS_MAX (UINT64_C(1) << 30)
#define EMPTY         UINT32_MAX

struct item {
    struct hash128 key;
    uint64_t content;
    uint64_t seq;
    int64_t time_ms;
    bool made_room; /* another one had to leave for it */
};

struct dedup {
    struct hash_key secret;
    uint64_t max_ids;
    struct item *queue; /* circular */
    uint64_t queue_cap;
    uint64_t first;
    uint64_t count;
    uint32_t *table; /* places in the queue, EMPTY = none */
    uint64_t mask;
    int64_t window_ms;
};

nhub_err dedup_create(struct dedup **out, uint64_t max_ids, uint64_t window_ms,
                      const struct hash_key *secret)
{
    struct dedup *d = NULL;
    uint64_t slots = 16;

    if (max_ids == 0 || max_ids > DEDUP_IDS_MAX || window_ms == 0 || window_ms > INT64_MAX / 2) {
        return NHUB_EINVAL;
    }
    while (slots < max_ids * 2) {
        slots *= 2;
    }
    d = calloc(1, sizeof *d);
    if (!d) {
        return NHUB_ENOMEM;
    }
    d->secret = *secret;
    d->max_ids = max_ids;
    d->queue_cap = max_ids + DEDUP_UNDO_MAX;
    d->mask = slots - 1;
    d->window_ms = (int64_t)window_ms;
    d->queue = calloc(d->queue_cap, sizeof *d->queue);
    d->table = malloc(slots * sizeof *d->table);
    if (!d->queue || !d->table) {
        dedup_destroy(&d);
        return NHUB_ENOMEM;
    }
    memset(d->table, 0xff, slots * sizeof *d->table);
    *out = d;
    return NHUB_OK;
}

void dedup_destroy(struct dedup **d_p)
{
    struct dedup *d = *d_p;

    if (d) {
        free(d->queue);
        free(d->table);
        free(d);
        *d_p = NULL;
    }
}

struct hash128 dedup_key(const struct dedup *d, const void *source, size_t source_len,
                         const void *id, size_t id_len)
{
    /* Hashing each part first makes ("ab", "c") and ("a", "bc") differ without a copy of both. */
    struct hash128 parts[2] = {hash_sip128(&d->secret, source, source_len),
                               hash_sip128(&d->secret, id, id_len)};

    return hash_sip128(&d->secret, parts, sizeof parts);
}

uint64_t dedup_content(const struct dedup *d, const void *type, size_t type_len, const void *data,
                       size_t data_len)
{
    const uint64_t parts[2] = {hash_sip64(&d->secret, type, type_len),
                               hash_sip64(&d->secret, data, data_len)};

    return hash_sip64(&d->secret, parts, sizeof parts);
}

static bool same_key(const struct hash128 *a, const struct hash128 *b)
{
    return a->lo == b->lo && a->hi == b->hi;
}

/* The slot that holds the key, or the empty one where it would go. */
static uint64_t find_slot(const struct dedup *d, const struct hash128 *key)
{
    uint64_t slot = key->lo & d->mask;

    while (d->table[slot] != EMPTY && !same_key(&d->queue[d->table[slot]].key, key)) {
        slot = (slot + 1) & d->mask;
    }
    return slot;
}

/* Empties a slot and moves back those behind it that had to walk past it. */
static void clear_slot(struct dedup *d, uint64_t slot)
{
    uint64_t next = slot;

    for (;;) {
        uint64_t home;

        next = (next + 1) & d->mask;
        if (d->table[next] == EMPTY) {
            break;
        }
        home = d->queue[d->table[next]].key.lo & d->mask;
        /* Distances wrap around: the entry may move when its way from home passes the hole. */
        if (((next - home) & d->mask) >= ((next - slot) & d->mask)) {
            d->table[slot] = d->table[next];
            slot = next;
        }
    }
    d->table[slot] = EMPTY;
}

static void drop_oldest(struct dedup *d)
{
    clear_slot(d, find_slot(d, &d->queue[d->first].key));
    d->first = (d->first + 1) % d->queue_cap;
    d->count--;
}

/* The last one that left; nothing was added since that could stand in its place. */
static void bring_back(struct dedup *d)
{
    d->first = (d->first + d->queue_cap - 1) % d->queue_cap;
    d->table[find_slot(d, &d->queue[d->first].key)] = (uint32_t)d->first;
    d->count++;
}

enum dedup_verdict dedup_check(struct dedup *d, const struct hash128 *key, uint64_t content,
                               uint64_t seq, int64_t now_ms, uint64_t *out_seq)
{
    uint64_t slot;
    uint64_t place;
    bool made_room;

    while (d->count > 0 && now_ms - d->queue[d->first].time_ms > d->window_ms) {
        drop_oldest(d);
    }
    slot = find_slot(d, key);
    if (d->table[slot] != EMPTY) {
        const struct item *known = &d->queue[d->table[slot]];

        *out_seq = known->seq;
        return known->content == content ? DEDUP_DUPLICATE : DEDUP_CONFLICT;
    }
    made_room = d->count == d->max_ids;
    if (made_room) {
        drop_oldest(d);
        slot = find_slot(d, key); /* the removal may have moved entries into this gap */
    }
    place = (d->first + d->count) % d->queue_cap;
    d->queue[place] = (struct item){
        .key = *key, .content = content, .seq = seq, .time_ms = now_ms, .made_room = made_room};
    d->table[slot] = (uint32_t)place;
    d->count++;
    *out_seq = seq;
    return DEDUP_NEW;
}

void dedup_clear(struct dedup *d)
{
    while (d->count > 0) {
        drop_oldest(d);
    }
}

void dedup_undo(struct dedup *d, uint64_t count)
{
    assert(count <= DEDUP_UNDO_MAX);
    /* From the last one on, so that the first of more than the table holds come back in between and
     * leave in their turn. */
    for (uint64_t i = 0; i < count && d->count > 0; i++) {
        const uint64_t place = (d->first + d->count - 1) % d->queue_cap;

        clear_slot(d, find_slot(d, &d->queue[place].key));
        d->count--;
        if (d->queue[place].made_room) {
            bring_back(d);
        }
    }
}

uint64_t dedup_count(const struct dedup *d)
{
    return d->count;
}
