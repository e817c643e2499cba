/*
 * router: which pattern sets want an event of this type.
 *
 * The answer for a type is worked out once and kept (bounded by types and by entries). Working it
 * out costs as much as there are sets that want the type, plus the patterns with wildcards whose
 * literal beginning fits: exact names are found by hash, the others by their literal beginning. So
 * an event costs nothing for sets that do not want it, whatever their number.
 *
 * When a set comes, kept answers are brought up to date at their next use with the sets that came
 * since; when one goes, it is dropped from an answer while that is used. Neither walks over all
 * answers.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_ROUTER_H
#define GATEWAY_FANOUT_ROUTER_H

#include "gateway/fanout/pattern_set.h"

struct router;

struct router_options {
    const char *stats_event; /* reserved type besides hub.*; lives as long as the router */
    size_t max_types;        /* answers kept */
    size_t max_entries;      /* sets over all answers */
};

NHUB_MUST_USE nhub_err router_create(struct router **out, const struct router_options *options);
void router_destroy(struct router **r_p);

/* A set begins to want events / does so no more. Errors: NHUB_ENOMEM, the set is not routed. */
NHUB_MUST_USE nhub_err router_add(struct router *r, struct pattern_set *set);
void router_remove(struct router *r, struct pattern_set *set);

/* The sets that want this type, in no order; they stay valid until the next call on r.
 * Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err router_route(struct router *r, const char *type, size_t len,
                                    struct pattern_set *const **out_sets, size_t *out_count);

size_t router_types(const struct router *r);    /* answers kept now */
uint64_t router_resets(const struct router *r); /* times that all answers were given up for room */

#endif
