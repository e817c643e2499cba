/*
 * pattern_index: finds the sets that want a type among many: exact names by hash, patterns with
 * wildcards by their literal beginning, sets without patterns in a list.
 *
 * Threads: none inside.
 */
#ifndef GATEWAY_FANOUT_PATTERN_INDEX_H
#define GATEWAY_FANOUT_PATTERN_INDEX_H

#include "gateway/fanout/pattern_set.h"

struct pattern_index;

NHUB_MUST_USE nhub_err pattern_index_create(struct pattern_index **out);
void pattern_index_destroy(struct pattern_index **x_p);
/* Errors: NHUB_ENOMEM, nothing of the set stays inside. */
NHUB_MUST_USE nhub_err pattern_index_add(struct pattern_index *x, struct pattern_set *set);
void pattern_index_remove(struct pattern_index *x, struct pattern_set *set);

/* Calls found() for each set that wants the type; for a set with several fitting patterns several
 * times. Stops at the first error and returns it. */
typedef nhub_err pattern_index_fn(void *context, struct pattern_set *set);
NHUB_MUST_USE nhub_err pattern_index_find(const struct pattern_index *x, const char *type,
                                          size_t len, const char *stats_event,
                                          pattern_index_fn *found, void *context);

#endif
