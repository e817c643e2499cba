/*
 * router: answers by type, and a ring of the sets that came last.
 *
 * An answer notes how many sets had come when it was brought up to date. If at most RECENT have
 * come since, each of them is tried against the type; if more, the answer is worked out anew from
 * the index. Sets that went are kept alive by the answers that still name them, and marked.
 */
#include "gateway/fanout/router.h"

#include "base/map.h"
#include "gateway/fanout/pattern_index.h"

#include <stdlib.h>
#include <string.h>

#define RECENT 1024 /* a power of two */

struct answer {
    struct pattern_set **sets; /* each with a reference */
    size_t count, cap;
    uint64_t arrivals; /* sets that had come when this was right */
    uint64_t departures;
};

struct router {
    struct router_options options;
    struct pattern_index *index;
    struct map *answers;
    struct pattern_set *recent[RECENT]; /* by arrival number; NULL when it went */
    uint64_t arrivals, departures;
    uint64_t search; /* number of the running search, for marks */
    size_t entries;
    uint64_t resets;
};

nhub_err router_create(struct router **out, const struct router_options *options)
{
    struct router *r = calloc(1, sizeof *r);

    if (!r) {
        return NHUB_ENOMEM;
    }
    r->options = *options;
    if (pattern_index_create(&r->index) != NHUB_OK || map_create(&r->answers) != NHUB_OK) {
        router_destroy(&r);
        return NHUB_ENOMEM;
    }
    *out = r;
    return NHUB_OK;
}

static void answer_clear(struct router *r, struct answer *a)
{
    r->entries -= a->count;
    for (size_t i = 0; i < a->count; i++) {
        pattern_set_unref(&a->sets[i]);
    }
    a->count = 0;
}

static void forget_all(struct router *r)
{
    struct map_iter it = {0};
    struct answer *a = NULL;
    const char *type = NULL;
    size_t len = 0;

    while ((a = map_next(r->answers, &it, &type, &len)) != NULL) {
        answer_clear(r, a);
        free(a->sets);
        free(a);
        (void)map_remove(r->answers, type, len);
    }
}

void router_destroy(struct router **r_p)
{
    struct router *r = *r_p;

    *r_p = NULL;
    if (!r) {
        return;
    }
    if (r->answers) {
        forget_all(r);
    }
    map_destroy(&r->answers);
    pattern_index_destroy(&r->index);
    free(r);
}

nhub_err router_add(struct router *r, struct pattern_set *set)
{
    nhub_err err = pattern_index_add(r->index, set);

    if (err != NHUB_OK) {
        return err;
    }
    set->routed = true;
    r->recent[r->arrivals & (RECENT - 1)] = set;
    r->arrivals++;
    return NHUB_OK;
}

void router_remove(struct router *r, struct pattern_set *set)
{
    pattern_index_remove(r->index, set);
    set->routed = false;
    r->departures++;
    for (size_t i = 0; i < RECENT; i++) {
        if (r->recent[i] == set) {
            r->recent[i] = NULL;
        }
    }
}

static nhub_err answer_push(struct router *r, struct answer *a, struct pattern_set *set)
{
    if (a->count == a->cap) {
        const size_t cap = a->cap ? a->cap * 2 : 2;
        struct pattern_set **sets = realloc(a->sets, cap * sizeof *sets);

        if (!sets) {
            return NHUB_ENOMEM;
        }
        a->sets = sets;
        a->cap = cap;
    }
    a->sets[a->count++] = pattern_set_ref(set);
    r->entries++;
    return NHUB_OK;
}

/* Also gives each set that is in the answer the mark of this search, so that it is added once. */
static void sweep(struct router *r, struct answer *a)
{
    size_t kept = 0;

    for (size_t i = 0; i < a->count; i++) {
        if (a->sets[i]->routed) {
            a->sets[i]->mark = r->search;
            a->sets[kept++] = a->sets[i];
        } else {
            pattern_set_unref(&a->sets[i]);
        }
    }
    r->entries -= a->count - kept;
    a->count = kept;
}

struct search {
    struct router *r;
    struct answer *a;
};

static nhub_err found(void *context, struct pattern_set *set)
{
    const struct search *s = context;

    if (set->mark == s->r->search) {
        return NHUB_OK;
    }
    set->mark = s->r->search;
    return answer_push(s->r, s->a, set);
}

static nhub_err add_recent(struct router *r, struct answer *a, const char *type, size_t len)
{
    struct search s = {r, a};

    for (uint64_t i = a->arrivals; i < r->arrivals; i++) {
        struct pattern_set *set = r->recent[i & (RECENT - 1)];

        if (set && pattern_set_selects(set, type, len, r->options.stats_event) &&
            found(&s, set) != NHUB_OK) {
            return NHUB_ENOMEM;
        }
    }
    return NHUB_OK;
}

/* On failure the answer is emptied and marked as out of date, so that the next use starts anew. */
static nhub_err refresh(struct router *r, struct answer *a, const char *type, size_t len)
{
    const bool anew = a->arrivals == UINT64_MAX || r->arrivals - a->arrivals > RECENT;
    struct search s = {r, a};
    nhub_err err = NHUB_OK;

    if (!anew && a->arrivals == r->arrivals && a->departures == r->departures) {
        return NHUB_OK;
    }
    r->search++;
    if (anew) {
        answer_clear(r, a);
        err = pattern_index_find(r->index, type, len, r->options.stats_event, found, &s);
    } else {
        sweep(r, a);
        err = add_recent(r, a, type, len);
    }
    if (err != NHUB_OK) {
        answer_clear(r, a);
        a->arrivals = UINT64_MAX;
        return err;
    }
    a->arrivals = r->arrivals;
    a->departures = r->departures;
    return NHUB_OK;
}

static struct answer *new_answer(struct router *r, const char *type, size_t len)
{
    struct answer *a = NULL;

    if (map_count(r->answers) >= r->options.max_types || r->entries >= r->options.max_entries) {
        forget_all(r);
        r->resets++;
    }
    a = calloc(1, sizeof *a);
    if (!a || map_put(r->answers, type, len, a, NULL) != NHUB_OK) {
        free(a);
        return NULL;
    }
    a->arrivals = UINT64_MAX;
    return a;
}

nhub_err router_route(struct router *r, const char *type, size_t len,
                      struct pattern_set *const **out_sets, size_t *out_count)
{
    struct answer *a = map_get(r->answers, type, len);
    nhub_err err = NHUB_OK;

    if (!a) {
        a = new_answer(r, type, len);
    }
    if (!a) {
        return NHUB_ENOMEM;
    }
    err = refresh(r, a, type, len);
    if (err == NHUB_OK) {
        *out_sets = a->sets;
        *out_count = a->count;
    }
    return err;
}

size_t router_types(const struct router *r)
{
    return map_count(r->answers);
}

uint64_t router_resets(const struct router *r)
{
    return r->resets;
}
