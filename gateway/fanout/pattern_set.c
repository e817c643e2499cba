/* pattern_set: found by their key, the sorted patterns with a NUL behind each. */
#include "gateway/fanout/pattern_set.h"

#include "base/map.h"
#include "wire/pattern.h"

#include <stdlib.h>
#include <string.h>

struct pattern_sets {
    struct map *by_key;
};

nhub_err pattern_sets_create(struct pattern_sets **out)
{
    struct pattern_sets *r = calloc(1, sizeof *r);

    if (!r) {
        return NHUB_ENOMEM;
    }
    if (map_create(&r->by_key) != NHUB_OK) {
        free(r);
        return NHUB_ENOMEM;
    }
    *out = r;
    return NHUB_OK;
}

void pattern_sets_destroy(struct pattern_sets **r_p)
{
    struct pattern_sets *r = *r_p;

    *r_p = NULL;
    if (r) {
        map_destroy(&r->by_key);
        free(r);
    }
}

size_t pattern_sets_count(const struct pattern_sets *r)
{
    return map_count(r->by_key);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts and removes repeats; returns how many are left. */
static size_t normalise(const char **list, size_t count)
{
    size_t kept = 0;

    qsort(list, count, sizeof *list, compare_text);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(list[kept - 1], list[i]) != 0) {
            list[kept++] = list[i];
        }
    }
    return kept;
}

static char *make_key(const char *const *list, size_t count, size_t *out_len)
{
    size_t len = 1; /* the set without patterns has a key too */
    char *key = NULL;
    char *p = NULL;

    for (size_t i = 0; i < count; i++) {
        len += strlen(list[i]) + 1;
    }
    key = malloc(len);
    if (!key) {
        return NULL;
    }
    p = key;
    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(list[i]) + 1;

        memcpy(p, list[i], n);
        p += n;
    }
    *p = '\0';
    *out_len = len;
    return key;
}

static void set_free(struct pattern_set *set)
{
    if (set) {
        free(set->patterns);
        free(set->lens);
        free(set->key);
        free(set);
    }
}

/* Takes the key, also on failure. */
static nhub_err set_create(struct pattern_sets *r, char *key, size_t key_len, size_t count,
                           struct pattern_set **out)
{
    struct pattern_set *set = calloc(1, sizeof *set);
    char *p = key;

    if (!set) {
        free(key);
        return NHUB_ENOMEM;
    }
    set->key = key;
    set->key_len = key_len;
    set->refs = 1;
    set->registry = r;
    set->count = count;
    set->patterns = calloc(count + 1, sizeof *set->patterns);
    set->lens = calloc(count + 1, sizeof *set->lens);
    if (!set->patterns || !set->lens) {
        set_free(set);
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        set->patterns[i] = p;
        set->lens[i] = strlen(p);
        p += set->lens[i] + 1;
    }
    if (map_put(r->by_key, key, key_len, set, NULL) != NHUB_OK) {
        set_free(set);
        return NHUB_ENOMEM;
    }
    *out = set;
    return NHUB_OK;
}

nhub_err pattern_set_get(struct pattern_sets *r, const char *const *patterns, size_t count,
                         struct pattern_set **out)
{
    const char **list = malloc((count + 1) * sizeof *list);
    struct pattern_set *set = NULL;
    char *key = NULL;
    size_t key_len = 0;

    if (!list) {
        return NHUB_ENOMEM;
    }
    if (count > 0) {
        memcpy(list, patterns, count * sizeof *list);
        count = normalise(list, count);
    }
    key = make_key(list, count, &key_len);
    free(list);
    if (!key) {
        return NHUB_ENOMEM;
    }
    set = map_get(r->by_key, key, key_len);
    if (!set) {
        return set_create(r, key, key_len, count, out);
    }
    free(key);
    *out = pattern_set_ref(set);
    return NHUB_OK;
}

struct pattern_set *pattern_set_ref(struct pattern_set *set)
{
    set->refs++;
    return set;
}

void pattern_set_unref(struct pattern_set **set_p)
{
    struct pattern_set *set = *set_p;

    *set_p = NULL;
    if (!set || --set->refs > 0) {
        return;
    }
    (void)map_remove(set->registry->by_key, set->key, set->key_len);
    set_free(set);
}

bool pattern_set_selects(const struct pattern_set *set, const char *type, size_t len,
                         const char *stats_event)
{
    if (set->count == 0) {
        return !type_is_reserved(type, len, stats_event);
    }
    for (size_t i = 0; i < set->count; i++) {
        if (pattern_selects(set->patterns[i], set->lens[i], type, len, stats_event)) {
            return true;
        }
    }
    return false;
}
