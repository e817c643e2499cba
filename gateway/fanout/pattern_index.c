/*
 * pattern_index: two maps and a list of postings.
 *
 *   exact:    "new_setup"  -> sets
 *   globs:    "sensor."    -> [ "sensor.*" -> sets ] [ "sensor.?.temp" -> sets ]
 *   all:      sets without patterns
 *
 * prefix_uses[n] counts the literal beginnings of n bytes, so that a search looks up only lengths
 * that exist.
 */
#include "gateway/fanout/pattern_index.h"

#include "base/map.h"
#include "wire/pattern.h"

#include <stdlib.h>
#include <string.h>

struct posting {
    struct pattern_set **sets;
    size_t count, cap;
};

struct glob {
    struct glob *next; /* of the same literal beginning */
    const char *text;  /* in the copy below */
    size_t len;
    struct posting posting;
    char copy[];
};

struct beginning {
    struct glob *globs;
    size_t len;
    char text[];
};

struct pattern_index {
    struct map *exact; /* name -> struct posting */
    struct map *beginnings;
    struct posting all;
    uint32_t prefix_uses[PATTERN_MAX + 1];
};

static nhub_err posting_add(struct posting *p, struct pattern_set *set)
{
    if (p->count == p->cap) {
        const size_t cap = p->cap ? p->cap * 2 : 2;
        struct pattern_set **sets = realloc(p->sets, cap * sizeof *sets);

        if (!sets) {
            return NHUB_ENOMEM;
        }
        p->sets = sets;
        p->cap = cap;
    }
    p->sets[p->count++] = set;
    return NHUB_OK;
}

/* From the end: who came last often goes first. */
static void posting_remove(struct posting *p, const struct pattern_set *set)
{
    for (size_t i = p->count; i-- > 0;) {
        if (p->sets[i] == set) {
            p->sets[i] = p->sets[--p->count];
            return;
        }
    }
}

nhub_err pattern_index_create(struct pattern_index **out)
{
    struct pattern_index *x = calloc(1, sizeof *x);

    if (!x || map_create(&x->exact) != NHUB_OK || map_create(&x->beginnings) != NHUB_OK) {
        pattern_index_destroy(&x);
        return NHUB_ENOMEM;
    }
    *out = x;
    return NHUB_OK;
}

static void glob_free(struct glob *g)
{
    free(g->posting.sets);
    free(g);
}

void pattern_index_destroy(struct pattern_index **x_p)
{
    struct pattern_index *x = *x_p;
    struct map_iter it = {0};
    struct posting *posting = NULL;
    struct beginning *b = NULL;

    *x_p = NULL;
    if (!x) {
        return;
    }
    while (x->exact && (posting = map_next(x->exact, &it, NULL, NULL)) != NULL) {
        free(posting->sets);
        free(posting);
    }
    it = (struct map_iter){0};
    while (x->beginnings && (b = map_next(x->beginnings, &it, NULL, NULL)) != NULL) {
        while (b->globs) {
            struct glob *g = b->globs;

            b->globs = g->next;
            glob_free(g);
        }
        free(b);
    }
    map_destroy(&x->exact);
    map_destroy(&x->beginnings);
    free(x->all.sets);
    free(x);
}

static nhub_err add_exact(struct pattern_index *x, const char *text, size_t len,
                          struct pattern_set *set)
{
    struct posting *posting = map_get(x->exact, text, len);

    if (!posting) {
        posting = calloc(1, sizeof *posting);
        if (!posting || map_put(x->exact, text, len, posting, NULL) != NHUB_OK) {
            free(posting);
            return NHUB_ENOMEM;
        }
    }
    return posting_add(posting, set);
}

static void remove_exact(struct pattern_index *x, const char *text, size_t len,
                         const struct pattern_set *set)
{
    struct posting *posting = map_get(x->exact, text, len);

    if (!posting) {
        return;
    }
    posting_remove(posting, set);
    if (posting->count == 0) {
        (void)map_remove(x->exact, text, len);
        free(posting->sets);
        free(posting);
    }
}

static struct beginning *get_beginning(struct pattern_index *x, const char *text, size_t len)
{
    struct beginning *b = map_get(x->beginnings, text, len);

    if (b) {
        return b;
    }
    b = malloc(sizeof *b + len + 1);
    if (!b) {
        return NULL;
    }
    b->globs = NULL;
    b->len = len;
    memcpy(b->text, text, len);
    b->text[len] = '\0';
    if (map_put(x->beginnings, text, len, b, NULL) != NHUB_OK) {
        free(b);
        return NULL;
    }
    x->prefix_uses[len]++;
    return b;
}

static void drop_beginning(struct pattern_index *x, struct beginning *b)
{
    if (!b->globs) {
        (void)map_remove(x->beginnings, b->text, b->len);
        x->prefix_uses[b->len]--;
        free(b);
    }
}

static struct glob **find_glob(struct beginning *b, const char *text, size_t len)
{
    struct glob **at = &b->globs;

    while (*at && ((*at)->len != len || memcmp((*at)->text, text, len) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static struct glob *new_glob(const char *text, size_t len)
{
    struct glob *g = calloc(1, sizeof *g + len + 1);

    if (g) {
        memcpy(g->copy, text, len);
        g->text = g->copy;
        g->len = len;
    }
    return g;
}

static nhub_err add_glob(struct pattern_index *x, const char *text, size_t len,
                         struct pattern_set *set)
{
    struct beginning *b = get_beginning(x, text, pattern_literal_prefix(text, len));
    struct glob **at = NULL;

    if (!b) {
        return NHUB_ENOMEM;
    }
    at = find_glob(b, text, len);
    if (!*at) {
        *at = new_glob(text, len);
    }
    if (!*at) {
        drop_beginning(x, b);
        return NHUB_ENOMEM;
    }
    return posting_add(&(*at)->posting, set);
}

static void remove_glob(struct pattern_index *x, const char *text, size_t len,
                        const struct pattern_set *set)
{
    struct beginning *b = map_get(x->beginnings, text, pattern_literal_prefix(text, len));
    struct glob **at = b ? find_glob(b, text, len) : NULL;

    if (!at || !*at) {
        return;
    }
    posting_remove(&(*at)->posting, set);
    if ((*at)->posting.count == 0) {
        struct glob *g = *at;

        *at = g->next;
        glob_free(g);
        drop_beginning(x, b);
    }
}

static void remove_first(struct pattern_index *x, struct pattern_set *set, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pattern_is_exact(set->patterns[i], set->lens[i])) {
            remove_exact(x, set->patterns[i], set->lens[i], set);
        } else {
            remove_glob(x, set->patterns[i], set->lens[i], set);
        }
    }
}

nhub_err pattern_index_add(struct pattern_index *x, struct pattern_set *set)
{
    if (set->count == 0) {
        return posting_add(&x->all, set);
    }
    for (size_t i = 0; i < set->count; i++) {
        nhub_err err = pattern_is_exact(set->patterns[i], set->lens[i])
                           ? add_exact(x, set->patterns[i], set->lens[i], set)
                           : add_glob(x, set->patterns[i], set->lens[i], set);

        if (err != NHUB_OK) {
            remove_first(x, set, i + 1); /* the failed one may have left an empty posting */
            return err;
        }
    }
    return NHUB_OK;
}

void pattern_index_remove(struct pattern_index *x, struct pattern_set *set)
{
    if (set->count == 0) {
        posting_remove(&x->all, set);
    } else {
        remove_first(x, set, set->count);
    }
}

static nhub_err tell(const struct posting *p, pattern_index_fn *found, void *context)
{
    nhub_err err = NHUB_OK;

    for (size_t i = 0; p && i < p->count && err == NHUB_OK; i++) {
        err = found(context, p->sets[i]);
    }
    return err;
}

static nhub_err find_globs(const struct pattern_index *x, const char *type, size_t len,
                           const char *stats_event, pattern_index_fn *found, void *context)
{
    nhub_err err = NHUB_OK;

    for (size_t n = 0; n <= len && n <= PATTERN_MAX && err == NHUB_OK; n++) {
        const struct beginning *b = x->prefix_uses[n] > 0 ? map_get(x->beginnings, type, n) : NULL;

        for (const struct glob *g = b ? b->globs : NULL; g && err == NHUB_OK; g = g->next) {
            if (pattern_selects(g->text, g->len, type, len, stats_event)) {
                err = tell(&g->posting, found, context);
            }
        }
    }
    return err;
}

nhub_err pattern_index_find(const struct pattern_index *x, const char *type, size_t len,
                            const char *stats_event, pattern_index_fn *found, void *context)
{
    nhub_err err = tell(map_get(x->exact, type, len), found, context);

    if (err == NHUB_OK && !type_is_reserved(type, len, stats_event)) {
        err = tell(&x->all, found, context);
    }
    return err == NHUB_OK ? find_globs(x, type, len, stats_event, found, context) : err;
}
