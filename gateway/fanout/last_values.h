/*
 * last_values: the newest event of each type, for readers that begin with a snapshot, and what is
 * counted of the type.
 *
 * Bounded by types and bytes; the type that was silent longest goes first, counted.
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_LAST_VALUES_H
#define GATEWAY_FANOUT_LAST_VALUES_H

#include "gateway/fanout/type_figures.h"
#include "gateway/feed.h"

struct last_values;

/* Errors: NHUB_EINVAL a limit is 0; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err last_values_create(struct last_values **out, size_t max_types,
                                          size_t max_bytes);
void last_values_destroy(struct last_values **l_p);
/* Takes a reference; replaces the older event of its type. On NHUB_ENOMEM the type is not kept. */
NHUB_MUST_USE nhub_err last_values_put(struct last_values *l, struct feed_event *event);
/* The same for an event that just happened: it counts in the type's figures, too. */
NHUB_MUST_USE nhub_err last_values_put_live(struct last_values *l, struct feed_event *event,
                                            int64_t now_ms);
/* The events one after the other in the order in which they came; *iter starts as NULL, NULL at the
 * end. No put meanwhile. */
struct feed_event *last_values_next(const struct last_values *l, const void **iter);
size_t last_values_count(const struct last_values *l);
/* What is known of the types, by number: that of the first one above `after`; NULL at the end. */
const struct type_figures *last_values_figures(const struct last_values *l, uint64_t after,
                                               struct feed_event **out_event);
uint64_t last_values_evicted(const struct last_values *l); /* types given up since creation */

#endif
