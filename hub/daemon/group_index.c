/*
 * group_index: sets of groups as bits, by pattern, and by type for types seen lately.
 *
 * A type that is not remembered is looked up among the patterns: exact ones by their text, others
 * by the literal text in front of their first special character, once for each length that such
 * texts have. So it costs little even where every event has a type of its own.
 */
#include "daemon/group_index.h"

#include "base/map.h"
#include "wire/pattern.h"

#include <stdlib.h>
#include <string.h>

typedef uint64_t word;
#define WORD_BITS 64

/* A pattern and the groups that have it. */
struct wanted {
    struct wanted *next, *previous; /* globs with the same literal prefix */
    size_t users;
    size_t len;
    char *text; /* behind the bits */
    word bits[];
};

/* The globs with one literal prefix. */
struct bucket {
    struct wanted *first;
};

struct group_index {
    size_t words;
    const char *stats_event;
    struct map *patterns;            /* text -> struct wanted */
    struct map *prefixes;            /* literal prefix -> struct bucket */
    size_t lengths[PATTERN_MAX + 1]; /* buckets whose prefix has this length */
    struct map *types;               /* type -> bits */
    size_t live_count;
    /* The last type: a burst of one type is looked up once. */
    char last_type[PATTERN_MAX];
    size_t last_len; /* 0 = none */
    const word *last_bits;
    word live[];
};

/* ---- life ---- */

nhub_err group_index_create(struct group_index **out, size_t slots, const char *stats_event)
{
    const size_t words = (slots + WORD_BITS - 1) / WORD_BITS;
    struct group_index *ix = calloc(1, sizeof *ix + words * sizeof(word));

    if (!ix) {
        return NHUB_ENOMEM;
    }
    ix->words = words;
    ix->stats_event = stats_event;
    if (map_create(&ix->patterns) != NHUB_OK || map_create(&ix->prefixes) != NHUB_OK ||
        map_create(&ix->types) != NHUB_OK) {
        group_index_destroy(&ix);
        return NHUB_ENOMEM;
    }
    *out = ix;
    return NHUB_OK;
}

/* Frees the values and the table. */
static void free_map(struct map **m_p)
{
    struct map_iter it = {0};
    void *value;

    while (*m_p && (value = map_next(*m_p, &it, NULL, NULL)) != NULL) {
        free(value);
    }
    map_destroy(m_p);
}

void group_index_destroy(struct group_index **ix_p)
{
    if (*ix_p) {
        free_map(&(*ix_p)->patterns);
        free_map(&(*ix_p)->prefixes);
        free_map(&(*ix_p)->types);
        free(*ix_p);
        *ix_p = NULL;
    }
}

static void forget_types(struct group_index *ix)
{
    struct map_iter it = {0};
    const char *type;
    size_t len;
    void *bits;

    while ((bits = map_next(ix->types, &it, &type, &len)) != NULL) {
        (void)map_remove(ix->types, type, len);
        free(bits);
    }
    ix->last_len = 0;
}

static void set_bit(word *bits, size_t slot, bool value)
{
    const word bit = (word)1 << (slot % WORD_BITS);

    if (value) {
        bits[slot / WORD_BITS] |= bit;
    } else {
        bits[slot / WORD_BITS] &= ~bit;
    }
}

static bool has_bit(const word *bits, size_t slot)
{
    return (bits[slot / WORD_BITS] >> (slot % WORD_BITS)) & 1;
}

/* ---- patterns ---- */

static nhub_err join_bucket(struct group_index *ix, struct wanted *w)
{
    const size_t prefix = pattern_literal_prefix(w->text, w->len);
    struct bucket *b = map_get(ix->prefixes, w->text, prefix);

    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b) {
            return NHUB_ENOMEM;
        }
        if (map_put(ix->prefixes, w->text, prefix, b, NULL) != NHUB_OK) {
            free(b);
            return NHUB_ENOMEM;
        }
        ix->lengths[prefix]++;
    }
    w->next = b->first;
    if (b->first) {
        b->first->previous = w;
    }
    b->first = w;
    return NHUB_OK;
}

static void leave_bucket(struct group_index *ix, struct wanted *w)
{
    const size_t prefix = pattern_literal_prefix(w->text, w->len);
    struct bucket *b = map_get(ix->prefixes, w->text, prefix);

    *(w->previous ? &w->previous->next : &b->first) = w->next;
    if (w->next) {
        w->next->previous = w->previous;
    }
    if (!b->first) {
        free(map_remove(ix->prefixes, w->text, prefix));
        ix->lengths[prefix]--;
    }
}

static struct wanted *create_wanted(struct group_index *ix, const struct group_pattern *p)
{
    const size_t bits = ix->words * sizeof(word);
    struct wanted *w = calloc(1, sizeof *w + bits + p->len);

    if (!w) {
        return NULL;
    }
    w->len = p->len;
    w->text = (char *)w->bits + bits;
    memcpy(w->text, p->text, p->len);
    if (map_put(ix->patterns, p->text, p->len, w, NULL) != NHUB_OK) {
        free(w);
        return NULL;
    }
    if (!pattern_is_exact(p->text, p->len) && join_bucket(ix, w) != NHUB_OK) {
        free(map_remove(ix->patterns, p->text, p->len));
        return NULL;
    }
    return w;
}

static void remove_pattern(struct group_index *ix, size_t slot, const struct group_pattern *p)
{
    struct wanted *w = map_get(ix->patterns, p->text, p->len);

    /* A group may have named the pattern twice. */
    if (!w || !has_bit(w->bits, slot)) {
        return;
    }
    set_bit(w->bits, slot, false);
    if (--w->users == 0) {
        if (!pattern_is_exact(p->text, p->len)) {
            leave_bucket(ix, w);
        }
        free(map_remove(ix->patterns, p->text, p->len));
    }
}

void group_index_remove(struct group_index *ix, size_t slot, const struct group_patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++) {
        remove_pattern(ix, slot, &patterns->items[i]);
    }
    forget_types(ix);
}

nhub_err group_index_add(struct group_index *ix, size_t slot, const struct group_patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++) {
        const struct group_pattern *p = &patterns->items[i];
        struct wanted *w = map_get(ix->patterns, p->text, p->len);

        if (!w) {
            w = create_wanted(ix, p);
        }
        if (!w) {
            group_index_remove(ix, slot, patterns);
            return NHUB_ENOMEM;
        }
        w->users += has_bit(w->bits, slot) ? 0 : 1;
        set_bit(w->bits, slot, true);
    }
    forget_types(ix);
    return NHUB_OK;
}

/* ---- types ---- */

static void add_bits(const struct group_index *ix, word *to, const word *from)
{
    for (size_t i = 0; i < ix->words; i++) {
        to[i] |= from[i];
    }
}

static void find_groups(const struct group_index *ix, const char *type, size_t type_len, word *out)
{
    const struct wanted *exact = map_get(ix->patterns, type, type_len);

    /* The text of a glob is no type that it matches by being equal. */
    if (exact && pattern_is_exact(exact->text, exact->len)) {
        add_bits(ix, out, exact->bits);
    }
    for (size_t len = 0; len <= type_len && len <= PATTERN_MAX; len++) {
        const struct bucket *b = ix->lengths[len] > 0 ? map_get(ix->prefixes, type, len) : NULL;

        for (const struct wanted *w = b ? b->first : NULL; w; w = w->next) {
            if (pattern_selects(w->text, w->len, type, type_len, ix->stats_event)) {
                add_bits(ix, out, w->bits);
            }
        }
    }
}

/* NULL when there is no memory: then each live group has to look for itself. */
static const word *bits_of(struct group_index *ix, const char *type, size_t type_len)
{
    word *bits;

    if (ix->last_len == type_len && memcmp(ix->last_type, type, type_len) == 0) {
        return ix->last_bits;
    }
    bits = map_get(ix->types, type, type_len);
    if (!bits) {
        if (map_count(ix->types) >= GROUP_INDEX_TYPES_MAX) {
            forget_types(ix);
        }
        bits = calloc(ix->words, sizeof *bits);
        if (!bits || map_put(ix->types, type, type_len, bits, NULL) != NHUB_OK) {
            free(bits);
            return NULL;
        }
        find_groups(ix, type, type_len, bits);
    }
    memcpy(ix->last_type, type, type_len);
    ix->last_len = type_len;
    ix->last_bits = bits;
    return bits;
}

void group_index_set_live(struct group_index *ix, size_t slot, bool is_live)
{
    if (has_bit(ix->live, slot) != is_live) {
        set_bit(ix->live, slot, is_live);
        if (is_live) {
            ix->live_count++;
        } else {
            ix->live_count--;
        }
    }
}

void group_index_look_up(struct group_index *ix, const char *type, size_t type_len,
                         void (*hit)(void *context, size_t slot), void *context)
{
    const word *bits;

    if (ix->live_count == 0) {
        return;
    }
    bits = bits_of(ix, type, type_len);
    for (size_t i = 0; i < ix->words; i++) {
        word hits = ix->live[i] & (bits ? bits[i] : ~(word)0);

        while (hits) {
            const size_t bit = (size_t)__builtin_ctzll(hits);

            hits &= hits - 1;
            hit(context, i * WORD_BITS + bit);
        }
    }
}
