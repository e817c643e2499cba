/*
 * ring: a circular index of records over a circular block of bytes.
 *
 *     block:  [ ..free.. | type line | type line | … | type line | ..free or waste.. ]
 *                          ^ oldest                               ^ head
 *
 * The record behind the newest one in the block is always the oldest one (or nothing), so making
 * room means dropping from the old end until nothing overlaps the wanted bytes.
 */
#include "daemon/ring.h"

#include "base/uuid.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t offset; /* of the type; the line follows */
    int64_t arrival_us;
    uint32_t line_len;
    uint8_t type_len;
};

struct ring {
    struct journal base;
    struct ring_limits limits;
    char *block;
    uint64_t block_size;
    uint64_t head; /* where the next record begins */
    struct entry *entries;
    uint64_t entry_cap;
    uint64_t first; /* index of the oldest entry */
    uint64_t count;
    uint64_t bytes; /* types and lines of all entries */
    uint64_t last_seq;
    uint64_t trimmed;
    int64_t trimmed_us;
    int64_t newest_us;
    struct entry open; /* the slot between open and close */
    bool is_open;
};

static struct ring *ring_of(struct journal *j)
{
    return (struct ring *)(void *)j;
}

static const struct ring *ring_of_const(const struct journal *j)
{
    return (const struct ring *)(const void *)j;
}

static struct entry *entry_at(const struct ring *r, uint64_t index)
{
    return &r->entries[(r->first + index) % r->entry_cap];
}

static uint64_t entry_bytes(const struct entry *e)
{
    return (uint64_t)e->type_len + e->line_len;
}

static uint64_t oldest_seq(const struct ring *r)
{
    return r->last_seq + 1 - r->count;
}

static void drop_oldest(struct ring *r)
{
    const struct entry *e = entry_at(r, 0);

    r->trimmed_us = e->arrival_us;
    r->bytes -= entry_bytes(e);
    r->first = (r->first + 1) % r->entry_cap;
    r->count--;
    r->trimmed++;
}

static void ring_destroy(struct journal *j)
{
    struct ring *r = ring_of(j);

    free(r->block);
    free(r->entries);
    free(r);
}

/* Drops what stands in [head, head + need), wrapping first when the block's end is too near. */
static void make_room(struct ring *r, uint64_t need)
{
    if (need > r->block_size - r->head) {
        while (r->count > 0 && entry_at(r, 0)->offset >= r->head) {
            drop_oldest(r);
        }
        r->head = 0;
    }
    while (r->count > 0) {
        const struct entry *e = entry_at(r, 0);

        if (e->offset >= r->head + need || e->offset + entry_bytes(e) <= r->head) {
            break;
        }
        drop_oldest(r);
    }
}

/* Old records make room, so there is always some. */
static nhub_err ring_reserve(struct journal *j, uint64_t count)
{
    (void)j;
    (void)count;
    return NHUB_OK;
}

static nhub_err ring_open_slot(struct journal *j, const char *type, size_t type_len,
                               size_t line_max, struct journal_slot *out)
{
    struct ring *r = ring_of(j);

    assert(!r->is_open && type_len >= 1 && type_len <= UINT8_MAX);
    if (line_max > r->limits.max_record_bytes) {
        return NHUB_ETOOBIG;
    }
    while (r->count > 0 && (r->bytes > r->limits.max_bytes || r->count >= r->limits.max_events)) {
        drop_oldest(r);
    }
    make_room(r, type_len + line_max);
    r->open = (struct entry){.offset = r->head, .type_len = (uint8_t)type_len};
    r->is_open = true;
    memcpy(r->block + r->head, type, type_len);
    memcpy(out->position.epoch, j->epoch, sizeof out->position.epoch);
    out->position.seq = r->last_seq + 1;
    out->line = r->block + r->head + type_len;
    return NHUB_OK;
}

static void ring_close_slot(struct journal *j, size_t line_len, int64_t arrival_us)
{
    struct ring *r = ring_of(j);
    struct entry *e = &r->open;

    assert(r->is_open && line_len <= r->limits.max_record_bytes);
    /* An operator may set the clock back; searching by time needs arrivals that do not fall. */
    if (arrival_us > r->newest_us) {
        r->newest_us = arrival_us;
    }
    e->arrival_us = r->newest_us;
    e->line_len = (uint32_t)line_len;
    *entry_at(r, r->count) = *e;
    r->count++;
    r->bytes += entry_bytes(e);
    r->head += entry_bytes(e);
    r->last_seq++;
    r->is_open = false;
    while (r->count > 1 && r->bytes > r->limits.max_bytes) {
        drop_oldest(r);
    }
}

static void ring_commit(struct journal *j)
{
    const uint64_t batch = j->batch++;

    if (j->kept) {
        j->kept(j->kept_context, DURABILITY_MEMORY, ring_of(j)->last_seq, batch, NHUB_OK);
    }
}

/* The number before the first record that arrived at or after time_us. */
static uint64_t seq_before_time(const struct ring *r, int64_t time_us)
{
    uint64_t low = 0;
    uint64_t high = r->count;

    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;

        if (entry_at(r, middle)->arrival_us < time_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return oldest_seq(r) - 1 + low;
}

bool ring_walk(const struct journal *j, struct journal_scan *scan)
{
    const struct ring *r = ring_of_const(j);
    const uint64_t oldest = oldest_seq(r);
    const uint64_t to = scan->to < r->last_seq ? scan->to : r->last_seq;

    assert(scan->scanned_to + 1 >= oldest);
    while (scan->scanned_to < to) {
        const uint64_t seq = scan->scanned_to + 1;
        const struct entry *e = entry_at(r, seq - oldest);
        const struct journal_record record = {
            .seq = seq,
            .arrival_us = e->arrival_us,
            .type = r->block + e->offset,
            .type_len = e->type_len,
            .line = r->block + e->offset + e->type_len,
            .len = e->line_len,
        };

        if (!scan->visit(scan, &record)) {
            return false;
        }
        scan->scanned_to = seq;
    }
    return true;
}

static void ring_scan(struct journal *j, struct journal_scan *scan)
{
    const struct ring *r = ring_of(j);
    const uint64_t oldest = oldest_seq(r);

    if (scan->by_time) {
        scan->after = seq_before_time(r, scan->time_us);
    }
    if (scan->after + 1 < oldest) {
        scan->after = oldest - 1;
    }
    scan->scanned_to = scan->after;
    (void)ring_walk(j, scan);
    scan->done(scan, NHUB_OK);
}

uint64_t ring_oldest(const struct journal *j)
{
    return oldest_seq(ring_of_const(j));
}

int64_t ring_oldest_us(const struct journal *j)
{
    const struct ring *r = ring_of_const(j);

    return r->count > 0 ? entry_at(r, 0)->arrival_us : INT64_MAX;
}

uint64_t ring_before_time(const struct journal *j, int64_t time_us)
{
    return seq_before_time(ring_of_const(j), time_us);
}

void ring_restart(struct journal *j, const char *epoch, uint64_t last_seq, int64_t newest_us)
{
    struct ring *r = ring_of(j);

    assert(!r->is_open);
    memcpy(j->epoch, epoch, EPOCH_LEN + 1);
    r->head = 0;
    r->first = 0;
    r->count = 0;
    r->bytes = 0;
    r->last_seq = last_seq;
    if (newest_us > r->newest_us) {
        r->newest_us = newest_us;
    }
}

static void ring_trim(struct journal *j, uint64_t before)
{
    struct ring *r = ring_of(j);

    while (r->count > 0 && oldest_seq(r) < before) {
        drop_oldest(r);
    }
}

static void ring_state(const struct journal *j, struct journal_state *out)
{
    const struct ring *r = ring_of_const(j);

    *out = (struct journal_state){
        .condition = JOURNAL_READY,
        .why = "",
        .oldest = oldest_seq(r),
        .last = r->last_seq,
        .records = r->count,
        .bytes = r->bytes,
        .trimmed = r->trimmed,
        .max_bytes = r->limits.max_bytes,
        .max_records = r->limits.max_events,
        .trimmed_us = r->trimmed_us,
        .newest_us = r->newest_us,
    };
}

static int ring_fd(const struct journal *j)
{
    (void)j;
    return -1;
}

static void ring_turn(struct journal *j)
{
    (void)j;
}

static const struct journal_ops ring_ops = {
    .destroy = ring_destroy,
    .reserve = ring_reserve,
    .open_slot = ring_open_slot,
    .close_slot = ring_close_slot,
    .commit = ring_commit,
    .scan = ring_scan,
    .trim = ring_trim,
    .state = ring_state,
    .fd = ring_fd,
    .turn = ring_turn,
};

nhub_err ring_create(struct journal **out, const struct ring_limits *limits)
{
    const uint64_t largest = UINT32_MAX / 2;
    struct ring *r = NULL;

    if (limits->max_events == 0 || limits->max_bytes == 0 || limits->max_record_bytes == 0 ||
        limits->max_record_bytes > largest ||
        limits->max_events > SIZE_MAX / sizeof(struct entry)) {
        return NHUB_EINVAL;
    }
    r = calloc(1, sizeof *r);
    if (!r) {
        return NHUB_ENOMEM;
    }
    r->base.ops = &ring_ops;
    r->base.durability = DURABILITY_MEMORY;
    r->base.durability_max = DURABILITY_MEMORY;
    r->base.durability_now = DURABILITY_MEMORY;
    r->base.batch = 1;
    epoch_random(r->base.epoch);
    random_bytes(r->base.id_seed, sizeof r->base.id_seed);
    r->limits = *limits;
    /* The largest record must fit even where the limit of bytes is smaller. */
    r->block_size = limits->max_record_bytes + UINT8_MAX;
    if (r->block_size < limits->max_bytes) {
        r->block_size = limits->max_bytes;
    }
    r->entry_cap = limits->max_events;
    r->block = malloc(r->block_size);
    r->entries = calloc(r->entry_cap, sizeof *r->entries);
    if (!r->block || !r->entries) {
        ring_destroy(&r->base);
        return NHUB_ENOMEM;
    }
    *out = &r->base;
    return NHUB_OK;
}
