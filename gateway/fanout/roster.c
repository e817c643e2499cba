/* roster: an array with holes, closed up when half of it is holes. */
#include "gateway/fanout/roster.h"

#include <stdlib.h>

void roster_fini(struct roster *r)
{
    free(r->entries);
    *r = (struct roster){0};
}

nhub_err roster_add(struct roster *r, uint64_t number, void *thing)
{
    if (r->used == r->cap) {
        const size_t cap = r->cap ? r->cap * 2 : 64;
        struct roster_entry *grown = realloc(r->entries, cap * sizeof *grown);

        if (!grown) {
            return NHUB_ENOMEM;
        }
        r->entries = grown;
        r->cap = cap;
    }
    r->entries[r->used++] = (struct roster_entry){number, thing};
    return NHUB_OK;
}

/* Index of the first entry with a number above `after`. */
static size_t above(const struct roster *r, uint64_t after)
{
    size_t low = 0;
    size_t high = r->used;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (r->entries[middle].number > after) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static struct roster_entry *entry_of(const struct roster *r, uint64_t number)
{
    const size_t i = number > 0 ? above(r, number - 1) : 0;

    return i < r->used && r->entries[i].number == number ? &r->entries[i] : NULL;
}

static void close_up(struct roster *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->used; i++) {
        if (r->entries[i].thing) {
            r->entries[kept++] = r->entries[i];
        }
    }
    r->used = kept;
    r->removed = 0;
}

void roster_remove(struct roster *r, uint64_t number)
{
    struct roster_entry *entry = entry_of(r, number);

    if (!entry || !entry->thing) {
        return;
    }
    entry->thing = NULL;
    r->removed++;
    if (r->removed * 2 > r->used) {
        close_up(r);
    }
}

void *roster_find(const struct roster *r, uint64_t number)
{
    const struct roster_entry *entry = entry_of(r, number);

    return entry ? entry->thing : NULL;
}

void *roster_next(const struct roster *r, uint64_t after, uint64_t *out_number)
{
    for (size_t i = above(r, after); i < r->used; i++) {
        if (r->entries[i].thing) {
            *out_number = r->entries[i].number;
            return r->entries[i].thing;
        }
    }
    return NULL;
}

size_t roster_count(const struct roster *r)
{
    return r->used - r->removed;
}
