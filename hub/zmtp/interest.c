/*
 * interest: a table of prefixes, each with those who want it.
 */
#include "zmtp/interest.h"

#include "base/map.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct subscription **subscriptions;
    size_t count, cap;
    size_t len;
    char prefix[];
};

/* Lies in its node's array and in its owner's. */
struct subscription {
    struct node *node;
    struct interested *who;
    size_t in_node, in_who;
};

struct interest {
    struct map *nodes;                        /* by prefix; the empty one is not in it */
    struct node *all;                         /* of the empty prefix */
    struct map *pairs;                        /* subscriptions by number and prefix */
    size_t prefixes[INTEREST_PREFIX_MAX + 1]; /* in the table, by length */
    uint8_t lengths[INTEREST_PREFIX_MAX];     /* those that occur */
    size_t length_count;
    uint64_t searches;
};

/* Number and prefix. */
struct pair_key {
    size_t len;
    char bytes[sizeof(uint64_t) + INTEREST_PREFIX_MAX];
};

static void make_key(struct pair_key *out, const struct interested *who, const void *prefix,
                     size_t len)
{
    memcpy(out->bytes, &who->number, sizeof who->number);
    if (len > 0) {
        memcpy(out->bytes + sizeof who->number, prefix, len);
    }
    out->len = sizeof who->number + len;
}

static struct node *create_node(const void *prefix, size_t len)
{
    struct node *n = calloc(1, sizeof *n + len);

    if (n && len > 0) {
        memcpy(n->prefix, prefix, len);
    }
    if (n) {
        n->len = len;
    }
    return n;
}

nhub_err interest_create(struct interest **out)
{
    struct interest *i = calloc(1, sizeof *i);

    if (!i) {
        return NHUB_ENOMEM;
    }
    i->all = create_node("", 0);
    if (!i->all || map_create(&i->nodes) != NHUB_OK || map_create(&i->pairs) != NHUB_OK) {
        interest_destroy(&i);
        return NHUB_ENOMEM;
    }
    *out = i;
    return NHUB_OK;
}

void interest_destroy(struct interest **i_p)
{
    struct interest *i = *i_p;

    if (!i) {
        return;
    }
    *i_p = NULL;
    map_destroy(&i->nodes);
    map_destroy(&i->pairs);
    if (i->all) {
        free(i->all->subscriptions);
        free(i->all);
    }
    free(i);
}

/* ---- prefixes ---- */

static void note_lengths(struct interest *i)
{
    i->length_count = 0;
    for (size_t len = 1; len <= INTEREST_PREFIX_MAX; len++) {
        if (i->prefixes[len] > 0) {
            i->lengths[i->length_count++] = (uint8_t)len;
        }
    }
}

static struct node *find_or_add_node(struct interest *i, const void *prefix, size_t len)
{
    struct node *n = len == 0 ? i->all : map_get(i->nodes, prefix, len);

    if (n) {
        return n;
    }
    n = create_node(prefix, len);
    if (n && map_put(i->nodes, prefix, len, n, NULL) != NHUB_OK) {
        free(n);
        n = NULL;
    }
    if (n && i->prefixes[len]++ == 0) {
        note_lengths(i);
    }
    return n;
}

static void release_node(struct interest *i, struct node *n)
{
    if (n->count > 0 || n == i->all) {
        return;
    }
    (void)map_remove(i->nodes, n->prefix, n->len);
    if (--i->prefixes[n->len] == 0) {
        note_lengths(i);
    }
    free(n->subscriptions);
    free(n);
}

/* ---- arrays ---- */

static bool make_room(struct subscription ***array, size_t count, size_t *cap)
{
    const size_t wanted = *cap == 0 ? 4 : *cap * 2;
    struct subscription **grown;

    if (count < *cap) {
        return true;
    }
    grown = realloc(*array, wanted * sizeof(struct subscription *));
    if (!grown) {
        return false;
    }
    *array = grown;
    *cap = wanted;
    return true;
}

static void link_up(struct subscription *s)
{
    s->in_node = s->node->count++;
    s->node->subscriptions[s->in_node] = s;
    s->in_who = s->who->count++;
    s->who->subscriptions[s->in_who] = s;
}

/* The last of each array takes its place. */
static void unlink_from_both(struct subscription *s)
{
    struct subscription *last = s->node->subscriptions[--s->node->count];

    s->node->subscriptions[s->in_node] = last;
    last->in_node = s->in_node;
    last = s->who->subscriptions[--s->who->count];
    s->who->subscriptions[s->in_who] = last;
    last->in_who = s->in_who;
}

/* ---- subscriptions ---- */

nhub_err interest_add(struct interest *i, struct interested *who, const void *prefix, size_t len)
{
    struct subscription *s = NULL;
    struct pair_key key;
    struct node *n;

    if (len > INTEREST_PREFIX_MAX) {
        return NHUB_ETOOBIG;
    }
    make_key(&key, who, prefix, len);
    if (map_get(i->pairs, key.bytes, key.len)) {
        return NHUB_EEXIST;
    }
    if (who->count >= INTEREST_COUNT_MAX) {
        return NHUB_EFULL;
    }
    n = find_or_add_node(i, prefix, len);
    if (!n) {
        return NHUB_ENOMEM;
    }
    if (make_room(&n->subscriptions, n->count, &n->cap) &&
        make_room(&who->subscriptions, who->count, &who->cap) && (s = malloc(sizeof *s)) != NULL) {
        *s = (struct subscription){.node = n, .who = who};
        if (map_put(i->pairs, key.bytes, key.len, s, NULL) == NHUB_OK) {
            link_up(s);
            return NHUB_OK;
        }
    }
    free(s);
    release_node(i, n);
    return NHUB_ENOMEM;
}

static void free_subscription(struct interest *i, struct subscription *s)
{
    struct node *n = s->node;

    unlink_from_both(s);
    free(s);
    release_node(i, n);
}

nhub_err interest_remove(struct interest *i, struct interested *who, const void *prefix, size_t len)
{
    struct subscription *s = NULL;
    struct pair_key key;

    if (len <= INTEREST_PREFIX_MAX) {
        make_key(&key, who, prefix, len);
        s = map_remove(i->pairs, key.bytes, key.len);
    }
    if (!s) {
        return NHUB_ENOTFOUND;
    }
    free_subscription(i, s);
    return NHUB_OK;
}

size_t interest_drop(struct interest *i, struct interested *who)
{
    const size_t count = who->count;
    struct pair_key key;

    while (who->count > 0) {
        struct subscription *s = who->subscriptions[who->count - 1];

        make_key(&key, who, s->node->prefix, s->node->len);
        (void)map_remove(i->pairs, key.bytes, key.len);
        free_subscription(i, s);
    }
    free(who->subscriptions);
    who->subscriptions = NULL;
    who->cap = 0;
    return count;
}

/* ---- searching ---- */

struct search {
    uint64_t mark;
    void (*found)(void *context, struct interested *who);
    void *context;
};

static void tell(const struct search *search, const struct node *n)
{
    for (size_t i = 0; i < n->count; i++) {
        struct interested *who = n->subscriptions[i]->who;

        if (who->mark != search->mark) {
            who->mark = search->mark;
            search->found(search->context, who);
        }
    }
}

void interest_search(struct interest *i, const void *type, size_t len,
                     void (*found)(void *context, struct interested *who), void *context)
{
    const struct search search = {.mark = ++i->searches, .found = found, .context = context};

    tell(&search, i->all);
    for (size_t k = 0; k < i->length_count && i->lengths[k] <= len; k++) {
        const struct node *n = map_get(i->nodes, type, i->lengths[k]);

        if (n) {
            tell(&search, n);
        }
    }
}
