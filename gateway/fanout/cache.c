/*
 * cache: a ring of records that grows by doubling up to its limit, and a short list of where each
 * epoch begins.
 *
 *   segments:  [ aaaaaaaa from 100 ][ bbbbbbbb from 131 ]
 *   records:     100 101 … 130         131(gap) 132 …  end
 *
 * Within a segment positions ascend, so a place is found by binary search.
 */
#include "gateway/fanout/cache.h"

#include "gateway/fanout/type_table.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP    1024
#define SEGMENTS_MAX 64

struct segment {
    char epoch[EPOCH_LEN + 1];
    uint64_t first; /* index */
};

struct cache {
    size_t max_events, max_bytes;
    struct feed_event **records; /* ring of cap, a power of two; index & (cap - 1) */
    uint32_t *types;
    size_t cap;
    uint64_t first, end;
    size_t bytes;
    struct position floor, head;
    struct segment segments[SEGMENTS_MAX]; /* those that have records inside, oldest first */
    size_t segment_count;
    struct type_table *names;
};

nhub_err cache_create(struct cache **out, size_t max_events, size_t max_bytes)
{
    struct cache *c = NULL;

    if (max_events == 0 || max_bytes == 0) {
        return NHUB_EINVAL;
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        return NHUB_ENOMEM;
    }
    c->max_events = max_events;
    c->max_bytes = max_bytes;
    c->first = 1;
    c->end = 1;
    if (type_table_create(&c->names) != NHUB_OK) {
        cache_destroy(&c);
        return NHUB_ENOMEM;
    }
    *out = c;
    return NHUB_OK;
}

static size_t slot_of(const struct cache *c, uint64_t index)
{
    return (size_t)index & (c->cap - 1);
}

static void drop_oldest(struct cache *c)
{
    const size_t slot = slot_of(c, c->first);
    struct feed_event *record = c->records[slot];

    c->floor = record->position;
    c->bytes -= feed_event_size(record);
    type_table_release(c->names, c->types[slot]);
    feed_event_unref(&c->records[slot]);
    c->first++;
    if (c->first == c->end) {
        c->segment_count = 0;
    } else if (c->segment_count > 1 && c->segments[1].first <= c->first) {
        c->segment_count--;
        memmove(c->segments, c->segments + 1, c->segment_count * sizeof c->segments[0]);
    }
}

void cache_destroy(struct cache **c_p)
{
    struct cache *c = *c_p;

    *c_p = NULL;
    if (!c) {
        return;
    }
    while (c->first < c->end) {
        drop_oldest(c);
    }
    type_table_destroy(&c->names);
    free(c->records);
    free(c->types);
    free(c);
}

static nhub_err grow(struct cache *c)
{
    const size_t cap = c->cap ? c->cap * 2 : FIRST_CAP;
    struct feed_event **records = malloc(cap * sizeof *records);
    uint32_t *types = malloc(cap * sizeof *types);

    if (!records || !types) {
        free(records);
        free(types);
        return NHUB_ENOMEM;
    }
    for (uint64_t i = c->first; i < c->end; i++) {
        records[(size_t)i & (cap - 1)] = c->records[slot_of(c, i)];
        types[(size_t)i & (cap - 1)] = c->types[slot_of(c, i)];
    }
    free(c->records);
    free(c->types);
    c->records = records;
    c->types = types;
    c->cap = cap;
    return NHUB_OK;
}

/* The floor is what lies before the very first record. */
static void set_first_floor(struct cache *c, const struct feed_event *record)
{
    if (c->floor.epoch[0] != '\0') {
        return;
    }
    c->floor = record->gap ? record->gap->from : record->position;
    if (!record->gap) {
        c->floor.seq = record->position.seq > 0 ? record->position.seq - 1 : 0;
    }
}

static void add_segment(struct cache *c, const char *epoch)
{
    if (c->segment_count > 0 && strcmp(c->segments[c->segment_count - 1].epoch, epoch) == 0) {
        return;
    }
    while (c->segment_count == SEGMENTS_MAX) {
        drop_oldest(c);
    }
    memcpy(c->segments[c->segment_count].epoch, epoch, sizeof c->segments[0].epoch);
    c->segments[c->segment_count].first = c->end;
    c->segment_count++;
}

static void give_up(struct cache *c, const struct feed_event *record)
{
    while (c->first < c->end) {
        drop_oldest(c);
    }
    c->floor = record->position;
    c->head = record->position;
}

nhub_err cache_add(struct cache *c, struct feed_event *record)
{
    const size_t size = feed_event_size(record);
    uint32_t type = CACHE_TYPE_GAP;

    while (c->first < c->end &&
           (c->end - c->first >= c->max_events || c->bytes + size > c->max_bytes)) {
        drop_oldest(c);
    }
    if ((c->end - c->first == c->cap && grow(c) != NHUB_OK) ||
        (!record->gap &&
         type_table_use(c->names, record->type, record->type_len, &type) != NHUB_OK)) {
        give_up(c, record);
        return NHUB_ENOMEM;
    }
    set_first_floor(c, record);
    add_segment(c, record->position.epoch);
    c->records[slot_of(c, c->end)] = feed_event_ref(record);
    c->types[slot_of(c, c->end)] = type;
    c->end++;
    c->bytes += size;
    c->head = record->position;
    return NHUB_OK;
}

void cache_advance(struct cache *c, const struct position *head)
{
    const bool same = strcmp(c->head.epoch, head->epoch) == 0;

    if (head->epoch[0] == '\0' || (same && head->seq <= c->head.seq)) {
        return;
    }
    c->head = *head;
    if (c->first == c->end) {
        c->floor = *head;
    }
}

uint64_t cache_first(const struct cache *c)
{
    return c->first;
}

uint64_t cache_end(const struct cache *c)
{
    return c->end;
}

size_t cache_bytes(const struct cache *c)
{
    return c->bytes;
}

struct feed_event *cache_at(const struct cache *c, uint64_t index)
{
    return c->records[slot_of(c, index)];
}

uint32_t cache_type_at(const struct cache *c, uint64_t index)
{
    return c->types[slot_of(c, index)];
}

uint32_t cache_type_count(const struct cache *c)
{
    return type_table_count(c->names);
}

uint64_t cache_type_version(const struct cache *c)
{
    return type_table_version(c->names);
}

const struct position *cache_floor(const struct cache *c)
{
    return &c->floor;
}

const struct position *cache_head(const struct cache *c)
{
    return &c->head;
}

struct position cache_before(const struct cache *c, uint64_t index)
{
    if (index >= c->end) {
        return c->head;
    }
    return index <= c->first ? c->floor : cache_at(c, index - 1)->position;
}

/* The first index in [low, high) whose seq is over `seq`, high when there is none. */
static uint64_t search(const struct cache *c, uint64_t low, uint64_t high, uint64_t seq)
{
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;

        if (cache_at(c, middle)->position.seq > seq) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Inside a segment: its records, or behind its last one the next epoch's first. */
static uint64_t find_in_segment(const struct cache *c, size_t i, uint64_t seq)
{
    const uint64_t low = c->segments[i].first > c->first ? c->segments[i].first : c->first;
    const uint64_t high = i + 1 < c->segment_count ? c->segments[i + 1].first : c->end;

    return search(c, low, high, seq);
}

enum cache_where cache_find(const struct cache *c, const struct position *position,
                            uint64_t *out_index)
{
    const bool in_floor = strcmp(position->epoch, c->floor.epoch) == 0;
    const bool in_head = strcmp(position->epoch, c->head.epoch) == 0;

    if (c->head.epoch[0] == '\0' || position->epoch[0] == '\0') {
        return CACHE_UNKNOWN;
    }
    if (in_head && position->seq > c->head.seq) {
        return CACHE_AHEAD;
    }
    if (in_floor && position->seq < c->floor.seq) {
        return CACHE_BEFORE;
    }
    for (size_t i = c->segment_count; i-- > 0;) {
        if (strcmp(c->segments[i].epoch, position->epoch) == 0) {
            *out_index = find_in_segment(c, i, position->seq);
            return CACHE_INSIDE;
        }
    }
    /* No record of this epoch: it is the floor's, behind its last record that was dropped, or the
     * head's, which is then the floor. */
    if (in_floor) {
        *out_index = c->first;
        return CACHE_INSIDE;
    }
    return CACHE_UNKNOWN;
}
