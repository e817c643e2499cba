/*
 * received: an array with a moving start.
 */
#include "client/received.h"

#include <stdlib.h>
#include <string.h>

struct received {
    uint64_t *seqs; /* sorted; the set is seqs[start] … seqs[end - 1] */
    size_t start, end, cap;
    size_t max;
};

nhub_err received_create(struct received **out, size_t max)
{
    struct received *r = calloc(1, sizeof *r);

    if (!r) {
        return NHUB_ENOMEM;
    }
    r->max = max;
    *out = r;
    return NHUB_OK;
}

void received_destroy(struct received **r_p)
{
    if (*r_p) {
        free((*r_p)->seqs);
        free(*r_p);
        *r_p = NULL;
    }
}

/* The first index whose number is > seq. */
static size_t upper_bound(const struct received *r, uint64_t seq)
{
    size_t low = r->start;
    size_t high = r->end;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (r->seqs[middle] <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Room for one more at the end: slides down what was dropped, or doubles. */
static bool make_room(struct received *r)
{
    const size_t count = r->end - r->start;
    uint64_t *seqs = NULL;
    size_t cap = 0;

    if (r->end < r->cap) {
        return true;
    }
    if (r->start > 0 && r->start >= count) {
        memmove(r->seqs, r->seqs + r->start, count * sizeof *r->seqs);
        r->start = 0;
        r->end = count;
        return true;
    }
    cap = r->cap ? r->cap * 2 : 256;
    seqs = realloc(r->seqs, cap * sizeof *seqs);
    if (!seqs) {
        return false;
    }
    r->seqs = seqs;
    r->cap = cap;
    return true;
}

bool received_add(struct received *r, uint64_t seq)
{
    size_t at = 0;

    if (received_has(r, seq)) {
        return true;
    }
    if (r->end - r->start >= r->max || !make_room(r)) {
        return false;
    }
    at = upper_bound(r, seq);
    memmove(r->seqs + at + 1, r->seqs + at, (r->end - at) * sizeof *r->seqs);
    r->seqs[at] = seq;
    r->end++;
    return true;
}

bool received_has(const struct received *r, uint64_t seq)
{
    size_t at = 0;

    if (r->start == r->end || seq > r->seqs[r->end - 1]) {
        return false;
    }
    at = upper_bound(r, seq);
    return at > r->start && r->seqs[at - 1] == seq;
}

size_t received_count_to(const struct received *r, uint64_t seq)
{
    return upper_bound(r, seq) - r->start;
}

void received_drop_to(struct received *r, uint64_t seq)
{
    r->start = upper_bound(r, seq);
    if (r->start == r->end) {
        received_clear(r);
    }
}

void received_clear(struct received *r)
{
    r->start = 0;
    r->end = 0;
}

uint64_t received_newest(const struct received *r)
{
    return r->start < r->end ? r->seqs[r->end - 1] : 0;
}

uint64_t received_next(const struct received *r, uint64_t seq)
{
    const size_t at = upper_bound(r, seq);

    return at < r->end ? r->seqs[at] : UINT64_MAX;
}
