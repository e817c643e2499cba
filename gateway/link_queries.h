/*
 * link_queries: history, stats and position requests on their way to the hub. Each job's done() is
 * called exactly once, at its deadline at the latest.
 *
 * Few are in flight at a time, because a page of history may be megabytes; the others wait in
 * order, bounded in number. While the hub is away a query fails at once. Requests about consumer
 * groups have a table of their own (link_groups.h).
 *
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_QUERIES_H
#define GATEWAY_LINK_QUERIES_H

#include "gateway/hub_link.h"
#include "gateway/link_answer.h"

struct link_queries;

NHUB_MUST_USE nhub_err link_queries_create(struct link_queries **out);
/* Answers all jobs that are left. */
void link_queries_destroy(struct link_queries **q_p);

void link_queries_up(struct link_queries *q);
void link_queries_lost(struct link_queries *q);
/* Takes the job; fails it at once when it cannot go out. */
void link_queries_add(struct link_queries *q, struct query_job *job, int64_t now_ms);

/* Writes the next request to send, if there is one; it counts as sent. The caller adds its own mark
 * to the key, as *make_id says. */
bool link_queries_next(struct link_queries *q, uint64_t (*make_id)(uint64_t key), uint64_t *out_key,
                       struct buf *out_request);
void link_queries_unsent(struct link_queries *q, uint64_t key);
/* An answer with its text and the events that came with it, which are taken together with their
 * array (*events_p is NULL afterwards). */
void link_queries_answer(struct link_queries *q, uint64_t key, const struct link_answer *answer,
                         const char *text, size_t len, struct feed_event ***events_p, size_t count);

void link_queries_expire(struct link_queries *q, int64_t now_ms);
int64_t link_queries_deadline(const struct link_queries *q); /* INT64_MAX = none */
size_t link_queries_waiting(const struct link_queries *q);
/* Changes of consumer groups that are not answered yet; a stop waits for them. */
size_t link_queries_changes(const struct link_queries *q);

#endif
