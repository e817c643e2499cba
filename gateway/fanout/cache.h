/*
 * cache: the last records (events and gaps) that this gateway received, in order, over epochs.
 *
 * Bounded by count and bytes; the oldest go first. Each record has a local index that only grows,
 * so a reader's place is one number: it is inside while first <= index <= end. Everything after
 * the floor up to the head is inside, or named by a gap record. Types are interned as small
 * numbers, so that a scan for some types touches four bytes a record.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_CACHE_H
#define GATEWAY_FANOUT_CACHE_H

#include "gateway/feed.h"

#include <stdbool.h>

struct cache;

#define CACHE_TYPE_GAP 0U /* the type number of gap records */

/* Errors: NHUB_EINVAL a limit is 0; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err cache_create(struct cache **out, size_t max_events, size_t max_bytes);
void cache_destroy(struct cache **c_p);

/* Appends a record (a reference is taken); it lies behind the head. On NHUB_ENOMEM all older
 * records are given up and the record's position becomes floor and head: nothing is missing
 * silently, because readers from before then find themselves before the floor. */
NHUB_MUST_USE nhub_err cache_add(struct cache *c, struct feed_event *record);
/* The hub said that `head` is the last position given out and nothing is missing: moves the head,
 * and the floor when nothing is inside. Does nothing when that would go back. */
void cache_advance(struct cache *c, const struct position *head);

uint64_t cache_first(const struct cache *c); /* index of the oldest record */
uint64_t cache_end(const struct cache *c);   /* index that the next record will have */
size_t cache_bytes(const struct cache *c);
struct feed_event *cache_at(const struct cache *c, uint64_t index); /* still the cache's */
uint32_t cache_type_at(const struct cache *c, uint64_t index);

/* Type numbers are below this one. A number means the same type while the version is the same. */
uint32_t cache_type_count(const struct cache *c);
uint64_t cache_type_version(const struct cache *c);

/* Their epoch is "" while nothing is known. */
const struct position *cache_floor(const struct cache *c);
const struct position *cache_head(const struct cache *c);
/* The point before the record with this index (first <= index <= end). */
struct position cache_before(const struct cache *c, uint64_t index);

enum cache_where {
    CACHE_INSIDE,  /* *out_index is the first record after the position (end when there is none) */
    CACHE_BEFORE,  /* older than the floor, in an epoch that is known here */
    CACHE_AHEAD,   /* of the current epoch, but not received yet */
    CACHE_UNKNOWN, /* of an epoch that is not known here, or nothing is known yet */
};
enum cache_where cache_find(const struct cache *c, const struct position *position,
                            uint64_t *out_index);

#endif
