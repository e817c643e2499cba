/*
 * filters: exact names are found by a hash, patterns are tried one after the other; both carry the
 * number of their registration, which is the order in which they are called.
 */
#include "client/filters.h"

#include "base/map.h"
#include "wire/event.h"
#include "wire/pattern.h"

#include <stdlib.h>
#include <string.h>

struct handler {
    nhub_event_fn *fn; /* NULL once it is removed */
    void *context;
    uint64_t order;
    bool is_exact;
    size_t len;
    char pattern[PATTERN_MAX + 1];
};

struct prefix {
    size_t users;
    char text[PATTERN_MAX + 1];
};

struct filters {
    struct map *by_pattern; /* pattern -> struct handler, all of them */
    struct handler **globs; /* those that are not exact, in order; lent from by_pattern */
    size_t glob_count, glob_cap;
    struct map *prefixes; /* prefix -> struct prefix */
    struct map *raw;      /* prefixes asked for by filters_add_prefix() -> struct prefix, lent */
    struct handler **retired; /* removed while an event was being handed out */
    size_t retired_count, retired_cap;
    nhub_event_fn *default_fn;
    void *default_context;
    uint64_t next_order;
    int dispatch_depth;
};

nhub_err filters_create(struct filters **out)
{
    struct filters *f = calloc(1, sizeof *f);

    if (!f) {
        return NHUB_ENOMEM;
    }
    if (map_create(&f->by_pattern) != NHUB_OK || map_create(&f->prefixes) != NHUB_OK ||
        map_create(&f->raw) != NHUB_OK) {
        filters_destroy(&f);
        return NHUB_ENOMEM;
    }
    *out = f;
    return NHUB_OK;
}

static void destroy_map(struct map **m_p)
{
    struct map_iter it = {0};
    void *value = NULL;

    if (!*m_p) {
        return;
    }
    while ((value = map_next(*m_p, &it, NULL, NULL))) {
        free(value);
    }
    map_destroy(m_p);
}

static void free_retired(struct filters *f)
{
    for (size_t i = 0; i < f->retired_count; i++) {
        free(f->retired[i]);
    }
    f->retired_count = 0;
}

void filters_destroy(struct filters **f_p)
{
    struct filters *f = *f_p;

    if (!f) {
        return;
    }
    free_retired(f);
    free(f->retired);
    free(f->globs);
    if (f->raw) {
        map_destroy(&f->raw);
    }
    destroy_map(&f->prefixes);
    destroy_map(&f->by_pattern);
    free(f);
    *f_p = NULL;
}

/* Prefixes. */

static void set_change(struct filter_change *out, const char *prefix, size_t len, bool is_added)
{
    out->is_changed = true;
    out->is_added = is_added;
    memcpy(out->prefix, prefix, len);
    out->prefix_len = len;
}

static nhub_err use_prefix(struct filters *f, const char *text, size_t len,
                           struct filter_change *out)
{
    struct prefix *prefix = map_get(f->prefixes, text, len);

    if (prefix) {
        prefix->users++;
        return NHUB_OK;
    }
    prefix = calloc(1, sizeof *prefix);
    if (!prefix) {
        return NHUB_ENOMEM;
    }
    memcpy(prefix->text, text, len);
    prefix->users = 1;
    if (map_put(f->prefixes, text, len, prefix, NULL) != NHUB_OK) {
        free(prefix);
        return NHUB_ENOMEM;
    }
    set_change(out, text, len, true);
    return NHUB_OK;
}

static void drop_prefix(struct filters *f, const char *text, size_t len, struct filter_change *out)
{
    struct prefix *prefix = map_get(f->prefixes, text, len);

    if (prefix && --prefix->users == 0) {
        set_change(out, text, len, false);
        map_remove(f->prefixes, text, len);
        free(prefix);
    }
}

static size_t prefix_len_of(const char *pattern, size_t len)
{
    return pattern_is_exact(pattern, len) ? len : pattern_literal_prefix(pattern, len);
}

/* Handlers. */

/* Room for one more pointer in a growing array. */
static nhub_err reserve(struct handler ***array, size_t count, size_t *cap)
{
    struct handler **grown = NULL;
    const size_t new_cap = *cap ? *cap * 2 : 16;

    if (count < *cap) {
        return NHUB_OK;
    }
    grown = realloc(*array, new_cap * sizeof(struct handler *));
    if (!grown) {
        return NHUB_ENOMEM;
    }
    *array = grown;
    *cap = new_cap;
    return NHUB_OK;
}

static nhub_err insert_handler(struct filters *f, struct handler *handler)
{
    if (!handler->is_exact && reserve(&f->globs, f->glob_count, &f->glob_cap) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    if (map_put(f->by_pattern, handler->pattern, handler->len, handler, NULL) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    if (!handler->is_exact) {
        f->globs[f->glob_count++] = handler;
    }
    return NHUB_OK;
}

nhub_err filters_add(struct filters *f, const char *pattern, nhub_event_fn *fn, void *context,
                     struct filter_change *out)
{
    const size_t len = strlen(pattern);
    struct handler *handler = NULL;

    *out = (struct filter_change){0};
    if (!fn || pattern_check(pattern, len) != NHUB_OK) {
        return NHUB_EINVAL;
    }
    handler = map_get(f->by_pattern, pattern, len);
    if (handler) {
        handler->fn = fn;
        handler->context = context;
        return NHUB_OK;
    }
    if (map_count(f->by_pattern) + map_count(f->raw) >= FILTERS_MAX) {
        return NHUB_EFULL;
    }
    handler = calloc(1, sizeof *handler);
    if (!handler) {
        return NHUB_ENOMEM;
    }
    *handler = (struct handler){.fn = fn,
                                .context = context,
                                .order = f->next_order++,
                                .is_exact = pattern_is_exact(pattern, len),
                                .len = len};
    memcpy(handler->pattern, pattern, len);
    if (use_prefix(f, pattern, prefix_len_of(pattern, len), out) != NHUB_OK) {
        free(handler);
        return NHUB_ENOMEM;
    }
    if (insert_handler(f, handler) != NHUB_OK) {
        drop_prefix(f, pattern, prefix_len_of(pattern, len), out);
        *out = (struct filter_change){0};
        free(handler);
        return NHUB_ENOMEM;
    }
    return NHUB_OK;
}

static void remove_glob(struct filters *f, const struct handler *handler)
{
    for (size_t i = 0; i < f->glob_count; i++) {
        if (f->globs[i] == handler) {
            memmove(&f->globs[i], &f->globs[i + 1],
                    (f->glob_count - i - 1) * sizeof(struct handler *));
            f->glob_count--;
            return;
        }
    }
}

nhub_err filters_remove(struct filters *f, const char *pattern, struct filter_change *out)
{
    const size_t len = strlen(pattern);
    struct handler *handler = map_get(f->by_pattern, pattern, len);

    *out = (struct filter_change){0};
    if (!handler) {
        return NHUB_ENOTFOUND;
    }
    /* A handler that may be running is freed when the event has been handed out. */
    if (f->dispatch_depth > 0 &&
        reserve(&f->retired, f->retired_count, &f->retired_cap) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    map_remove(f->by_pattern, pattern, len);
    handler->fn = NULL;
    if (f->dispatch_depth > 0) {
        f->retired[f->retired_count++] = handler;
    } else {
        remove_glob(f, handler);
        free(handler);
    }
    drop_prefix(f, pattern, prefix_len_of(pattern, len), out);
    return NHUB_OK;
}

nhub_err filters_add_prefix(struct filters *f, const char *prefix, struct filter_change *out)
{
    const size_t len = strlen(prefix);
    nhub_err err = NHUB_OK;

    *out = (struct filter_change){0};
    if (len > PATTERN_MAX) {
        return NHUB_EINVAL;
    }
    if (map_get(f->raw, prefix, len)) {
        return NHUB_OK;
    }
    if (map_count(f->by_pattern) + map_count(f->raw) >= FILTERS_MAX) {
        return NHUB_EFULL;
    }
    err = use_prefix(f, prefix, len, out);
    if (err != NHUB_OK) {
        return err;
    }
    err = map_put(f->raw, prefix, len, map_get(f->prefixes, prefix, len), NULL);
    if (err != NHUB_OK) {
        drop_prefix(f, prefix, len, out);
        *out = (struct filter_change){0};
    }
    return err;
}

void filters_set_default(struct filters *f, nhub_event_fn *fn, void *context)
{
    f->default_fn = fn;
    f->default_context = context;
}

/* Handing out. */

static bool is_in_raw(const struct filters *f, const char *type, size_t len)
{
    if (map_count(f->raw) == 0) {
        return false;
    }
    for (size_t n = 0; n <= len; n++) {
        if (map_get(f->raw, type, n)) {
            return true;
        }
    }
    return false;
}

static bool call(const struct handler *handler, const nhub_event *event)
{
    if (!handler->fn) {
        return false;
    }
    handler->fn(handler->context, event);
    return true;
}

static bool call_handlers(struct filters *f, const nhub_event *event, const char *stats_event)
{
    const char *type = nhub_event_type(event);
    const size_t len = strlen(type);
    const size_t glob_count = f->glob_count; /* later ones begin with the next event */
    struct handler *exact = map_get(f->by_pattern, type, len);
    bool is_called = false;

    if (exact && !exact->is_exact) {
        exact = NULL; /* the type happens to be spelt like a pattern, which is tried below */
    }
    for (size_t i = 0; i < glob_count; i++) {
        struct handler *glob = f->globs[i];

        if (exact && exact->order < glob->order) {
            is_called |= call(exact, event);
            exact = NULL;
        }
        if (pattern_selects(glob->pattern, glob->len, type, len, stats_event)) {
            is_called |= call(glob, event);
        }
    }
    if (exact) {
        is_called |= call(exact, event);
    }
    return is_called;
}

bool filters_dispatch(struct filters *f, const nhub_event *event, const char *stats_event)
{
    const char *type = nhub_event_type(event);
    bool is_called = false;

    f->dispatch_depth++;
    is_called = call_handlers(f, event, stats_event);
    if (!is_called && f->default_fn && is_in_raw(f, type, strlen(type))) {
        f->default_fn(f->default_context, event);
        is_called = true;
    }
    f->dispatch_depth--;
    if (f->dispatch_depth == 0 && f->retired_count > 0) {
        for (size_t i = 0; i < f->retired_count; i++) {
            remove_glob(f, f->retired[i]);
        }
        free_retired(f);
    }
    return is_called;
}

/* What the hub is asked with. */

bool filters_take_everything(const struct filters *f)
{
    return map_get(f->prefixes, "", 0) != NULL;
}

size_t filters_prefix_count(const struct filters *f)
{
    return map_count(f->prefixes);
}

nhub_err filters_prefixes(const struct filters *f, const char ***out, size_t *out_count)
{
    const char **texts = calloc(map_count(f->prefixes) + 1, sizeof(const char *));
    struct map_iter it = {0};
    struct prefix *prefix = NULL;
    size_t count = 0;

    if (!texts) {
        return NHUB_ENOMEM;
    }
    while ((prefix = map_next(f->prefixes, &it, NULL, NULL))) {
        texts[count++] = prefix->text;
    }
    *out = texts;
    *out_count = count;
    return NHUB_OK;
}
