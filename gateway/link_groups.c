/*
 * link_groups: a table of slots; a key names the slot and how often it was used, so that a late
 * answer finds nothing.
 */
#include "gateway/link_groups.h"

#include <stdlib.h>

#define KEY_MARK        ((uint64_t)1 << 52) /* above all keys of other queries */
#define SLOT_BITS       20
#define GENERATION_MASK 0xffffffffU
#define NO_SLOT         UINT32_MAX
#define FIRST_SLOTS     64
/* Deadlines are rounded up, so that a scan of the table serves many of them. */
#define ROUND_MS 250

struct slot {
    struct query_job *job; /* NULL = free */
    uint32_t generation;
    uint32_t next; /* free: the next free one; unsent: the next to be sent */
};

struct link_groups {
    struct slot *slots;
    uint32_t cap;
    uint32_t free;        /* NO_SLOT = none */
    uint32_t first, last; /* not sent yet, in order; NO_SLOT = none */
    size_t count, changes;
    int64_t deadline_ms; /* not later than the earliest of all jobs */
};

nhub_err link_groups_create(struct link_groups **out)
{
    struct link_groups *g = calloc(1, sizeof *g);

    if (!g) {
        return NHUB_ENOMEM;
    }
    g->free = NO_SLOT;
    g->first = NO_SLOT;
    g->last = NO_SLOT;
    g->deadline_ms = INT64_MAX;
    *out = g;
    return NHUB_OK;
}

void link_groups_destroy(struct link_groups **g_p)
{
    struct link_groups *g = *g_p;

    *g_p = NULL;
    if (g) {
        link_groups_lost(g);
        free(g->slots);
        free(g);
    }
}

bool link_groups_owns(uint64_t key)
{
    return (key & KEY_MARK) != 0;
}

static uint64_t key_of(const struct link_groups *g, uint32_t slot)
{
    return KEY_MARK | (uint64_t)g->slots[slot].generation << SLOT_BITS | slot;
}

static bool grow(struct link_groups *g)
{
    const uint32_t cap = g->cap ? g->cap * 2 : FIRST_SLOTS;
    struct slot *slots = NULL;

    if (g->free != NO_SLOT) {
        return true;
    }
    slots = g->count < LINK_GROUPS_MAX ? realloc(g->slots, cap * sizeof *slots) : NULL;
    if (!slots) {
        return false;
    }
    for (uint32_t i = g->cap; i < cap; i++) {
        slots[i] = (struct slot){.next = i + 1 < cap ? i + 1 : NO_SLOT};
    }
    g->free = g->cap;
    g->slots = slots;
    g->cap = cap;
    return true;
}

/* Takes a job out of its slot, which must not be among those to be sent. */
static struct query_job *leave(struct link_groups *g, uint32_t i)
{
    struct slot *slot = &g->slots[i];
    struct query_job *job = slot->job;

    slot->job = NULL;
    slot->generation = (slot->generation + 1) & (GENERATION_MASK >> 1);
    slot->next = g->free;
    g->free = i;
    g->count--;
    g->changes -= job->is_fetch ? 0 : 1;
    return job;
}

static void finish(struct query_job *job, nhub_err err)
{
    job->err = err;
    job->done(job);
}

static void append(struct link_groups *g, uint32_t i)
{
    g->slots[i].next = NO_SLOT;
    if (g->last == NO_SLOT) {
        g->first = i;
    } else {
        g->slots[g->last].next = i;
    }
    g->last = i;
}

void link_groups_add(struct link_groups *g, struct query_job *job)
{
    uint32_t i = NO_SLOT;

    job->was_sent = false;
    if (!grow(g)) {
        finish(job, NHUB_EFULL);
        return;
    }
    i = g->free;
    g->free = g->slots[i].next;
    g->slots[i].job = job;
    g->count++;
    g->changes += job->is_fetch ? 0 : 1;
    append(g, i);
    job->deadline_ms += ROUND_MS - job->deadline_ms % ROUND_MS;
    if (job->deadline_ms < g->deadline_ms) {
        g->deadline_ms = job->deadline_ms;
    }
}

const struct query_job *link_groups_next(struct link_groups *g, uint64_t *out_key)
{
    const uint32_t i = g->first;

    if (i == NO_SLOT) {
        return NULL;
    }
    g->first = g->slots[i].next;
    if (g->first == NO_SLOT) {
        g->last = NO_SLOT;
    }
    g->slots[i].job->was_sent = true;
    *out_key = key_of(g, i);
    return g->slots[i].job;
}

/* The slot of a key that is still in use by it. */
static uint32_t find(const struct link_groups *g, uint64_t key)
{
    const uint32_t i = (uint32_t)(key & (((uint64_t)1 << SLOT_BITS) - 1));

    return i < g->cap && g->slots[i].job && key_of(g, i) == key ? i : NO_SLOT;
}

void link_groups_unsent(struct link_groups *g, uint64_t key)
{
    const uint32_t i = find(g, key);

    if (i == NO_SLOT) {
        return; /* the link broke while sending: it was answered with it */
    }
    g->slots[i].job->was_sent = false;
    g->slots[i].next = g->first;
    g->first = i;
    if (g->last == NO_SLOT) {
        g->last = i;
    }
}

struct query_job *link_groups_land(struct link_groups *g, uint64_t key)
{
    const uint32_t i = find(g, key);

    return i != NO_SLOT && g->slots[i].job->was_sent ? leave(g, i) : NULL;
}

void link_groups_lost(struct link_groups *g)
{
    g->first = NO_SLOT;
    g->last = NO_SLOT;
    for (uint32_t i = 0; i < g->cap; i++) {
        if (g->slots[i].job) {
            finish(leave(g, i), NHUB_EUNAVAIL);
        }
    }
    g->deadline_ms = INT64_MAX;
}

/* Those that were never sent leave their queue first. */
static void expire_unsent(struct link_groups *g, int64_t now_ms)
{
    uint32_t i = g->first;

    g->first = NO_SLOT;
    g->last = NO_SLOT;
    while (i != NO_SLOT) {
        const uint32_t next = g->slots[i].next;

        if (g->slots[i].job->deadline_ms <= now_ms) {
            finish(leave(g, i), NHUB_ETIMEOUT);
        } else {
            append(g, i);
        }
        i = next;
    }
}

void link_groups_expire(struct link_groups *g, int64_t now_ms)
{
    if (g->deadline_ms > now_ms) {
        return;
    }
    expire_unsent(g, now_ms);
    g->deadline_ms = INT64_MAX;
    for (uint32_t i = 0; i < g->cap; i++) {
        const struct query_job *job = g->slots[i].job;

        if (job && job->deadline_ms <= now_ms) {
            finish(leave(g, i), NHUB_ETIMEOUT);
        } else if (job && job->deadline_ms < g->deadline_ms) {
            g->deadline_ms = job->deadline_ms;
        }
    }
}

int64_t link_groups_deadline(const struct link_groups *g)
{
    return g->deadline_ms;
}

size_t link_groups_changes(const struct link_groups *g)
{
    return g->changes;
}

size_t link_groups_count(const struct link_groups *g)
{
    return g->count;
}
