/*
 * pattern_set: what a subscriber asks for, normalised (sorted, each pattern once), interned and
 * counted: all who ask for the same share one set, and so one match and one stream.
 *
 * No pattern means everything but reserved types (pattern.h).
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_PATTERN_SET_H
#define GATEWAY_FANOUT_PATTERN_SET_H

#include "gateway/feed.h"

#include <stdbool.h>

struct stream;
struct pattern_sets; /* the registry */

struct pattern_set {
    uint32_t refs;
    struct pattern_sets *registry;
    char **patterns; /* sorted; NUL behind each */
    size_t *lens;
    size_t count;
    char *key; /* the patterns with their NULs, one behind the other */
    size_t key_len;
    /* the router's */
    bool routed;   /* has a stream, so events are to be matched against it */
    uint64_t mark; /* the last search that found it */
    /* the fan-out's: one stream for each format in use */
    struct stream *streams[FORMATS];
    uint32_t stream_count;
};

NHUB_MUST_USE nhub_err pattern_sets_create(struct pattern_sets **out); /* Errors: NHUB_ENOMEM */
void pattern_sets_destroy(struct pattern_sets **r_p);                  /* all sets are given back */
size_t pattern_sets_count(const struct pattern_sets *r);

/* The set of these patterns, one reference for the caller. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err pattern_set_get(struct pattern_sets *r, const char *const *patterns,
                                       size_t count, struct pattern_set **out);
struct pattern_set *pattern_set_ref(struct pattern_set *set);
void pattern_set_unref(struct pattern_set **set_p);
bool pattern_set_selects(const struct pattern_set *set, const char *type, size_t len,
                         const char *stats_event);

#endif
