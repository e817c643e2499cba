/*
 * link_groups: requests about consumer groups on their way to the hub. Each job's done() is called
 * exactly once, at its deadline at the latest.
 *
 * Apart from link_queries' own, because a fetch may wait at the hub for a minute: thousands are in
 * flight at a time, each in a slot of a table, and none holds up a page of history. What does not
 * fit into the table is refused.
 *
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_GROUPS_H
#define GATEWAY_LINK_GROUPS_H

#include "gateway/hub_link.h"

#define LINK_GROUPS_MAX 16384 /* jobs, waiting and in flight */

struct link_groups;

NHUB_MUST_USE nhub_err link_groups_create(struct link_groups **out); /* Errors: NHUB_ENOMEM */
void link_groups_destroy(struct link_groups **g_p); /* answers all jobs that are left */

/* True for a key that link_groups_next() gave. */
bool link_groups_owns(uint64_t key);
/* Takes the job; its deadline is set. Fails it at once when there is no room. */
void link_groups_add(struct link_groups *g, struct query_job *job);
/* The next job to send, if there is one; it counts as sent. */
const struct query_job *link_groups_next(struct link_groups *g, uint64_t *out_key);
/* It could not be sent now: it is the next one again. */
void link_groups_unsent(struct link_groups *g, uint64_t key);
/* Takes the job of an answer out of the table; NULL when nobody waits for it any more. */
struct query_job *link_groups_land(struct link_groups *g, uint64_t key);
void link_groups_lost(struct link_groups *g); /* answers all: NHUB_EUNAVAIL */
void link_groups_expire(struct link_groups *g, int64_t now_ms);
int64_t link_groups_deadline(const struct link_groups *g); /* INT64_MAX = none */
/* Jobs that the end of the link waits for: all but fetches. */
size_t link_groups_changes(const struct link_groups *g);
size_t link_groups_count(const struct link_groups *g);

#endif
