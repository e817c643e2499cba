/*
 * disk_voids: two arrays, one with the truth and one clipped for the eyes of others.
 */
#include "daemon/disk_voids.h"

#include <stdlib.h>
#include <string.h>

void disk_voids_fini(struct disk_voids *v)
{
    free(v->all);
    free(v->shown);
    *v = (struct disk_voids){.all = NULL};
}

void disk_voids_clear(struct disk_voids *v)
{
    v->count = 0;
    v->is_open = false;
}

static nhub_err make_room(struct disk_voids *v)
{
    const size_t cap = v->cap == 0 ? 16 : v->cap * 2;
    struct journal_void *all;
    struct journal_void *shown;

    if (v->count < v->cap) {
        return NHUB_OK;
    }
    all = realloc(v->all, cap * sizeof *all);
    if (!all) {
        return NHUB_ENOMEM;
    }
    v->all = all;
    shown = realloc(v->shown, cap * sizeof *shown);
    if (!shown) {
        return NHUB_ENOMEM;
    }
    v->shown = shown;
    v->cap = cap;
    return NHUB_OK;
}

/* The index of the first void that ends at or behind seq. */
static size_t find(const struct disk_voids *v, uint64_t seq)
{
    size_t low = 0;
    size_t high = v->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (v->all[middle].to < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

nhub_err disk_voids_add(struct disk_voids *v, uint64_t from, uint64_t to, const char *reason)
{
    const size_t place = find(v, from);
    struct journal_void *before = place > 0 ? &v->all[place - 1] : NULL;

    if (before && before->to + 1 == from && strcmp(before->reason, reason) == 0) {
        before->to = to;
        return NHUB_OK;
    }
    if (place < v->count && v->all[place].from <= from && v->all[place].to >= to) {
        return NHUB_OK;
    }
    if (make_room(v) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    memmove(&v->all[place + 1], &v->all[place], (v->count - place) * sizeof v->all[0]);
    v->all[place] = (struct journal_void){.from = from, .to = to, .reason = reason};
    v->count++;
    return NHUB_OK;
}

nhub_err disk_voids_grow(struct disk_voids *v, uint64_t from, uint64_t to, const char *reason)
{
    if (v->is_open && v->count > 0) {
        v->all[v->count - 1].to = to;
        return NHUB_OK;
    }
    if (make_room(v) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    v->all[v->count++] = (struct journal_void){.from = from, .to = to, .reason = reason};
    v->is_open = true;
    return NHUB_OK;
}

nhub_err disk_voids_settle(struct disk_voids *v, uint64_t from, uint64_t to, const char *reason)
{
    if (v->is_open && v->count > 0) {
        v->count--;
    }
    v->is_open = false;
    if (from > to) {
        return NHUB_OK;
    }
    /* What the disk had taken before it failed may turn out to be lost as well. */
    while (v->count > 0 && v->all[v->count - 1].from >= from) {
        v->count--;
    }
    return disk_voids_add(v, from, to, reason);
}

void disk_voids_trim(struct disk_voids *v, uint64_t seq)
{
    const size_t gone = find(v, seq);

    if (gone == 0) {
        return;
    }
    memmove(v->all, &v->all[gone], (v->count - gone) * sizeof v->all[0]);
    v->count -= gone;
    if (v->count == 0) {
        v->is_open = false;
    }
}

bool disk_voids_has(const struct disk_voids *v, uint64_t seq, const char *reason)
{
    const size_t place = find(v, seq);

    return place < v->count && v->all[place].from <= seq &&
           strcmp(v->all[place].reason, reason) == 0;
}

const struct journal_void *disk_voids_show(struct disk_voids *v, uint64_t first_in_memory,
                                           size_t *out_count)
{
    size_t count = v->count;

    while (count > 0 && v->all[count - 1].from >= first_in_memory) {
        count--;
    }
    if (count == 0) {
        *out_count = 0;
        return NULL;
    }
    if (v->all[count - 1].to < first_in_memory && count == v->count) {
        *out_count = count;
        return v->all;
    }
    memcpy(v->shown, v->all, count * sizeof v->all[0]);
    if (v->shown[count - 1].to >= first_in_memory) {
        v->shown[count - 1].to = first_in_memory - 1;
    }
    *out_count = count;
    return v->shown;
}
