/*
 * groups_answer: what the answers to requests on groups say.
 *
 * Each appends members of a JSON object, as they stand between "success" and "request_id".
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_DAEMON_GROUPS_ANSWER_H
#define NHUB_DAEMON_GROUPS_ANSWER_H

#include "daemon/group_host.h"

/* ,"group":"…" */
void groups_write_name(struct buf *out, const struct group_host *h);
/* Numbers behind the cursor that a group has not looked at. Those in a void are no work for
 * anybody: with them each kill of the hub would look as if all groups were millions of events
 * behind. */
uint64_t groups_lag(const struct journal_state *journal, uint64_t cursor);
/* ,"group":"…","created":…,"position":"…" */
void groups_write_created(struct buf *out, const struct group_host *h, bool created);
/* "group":"…",… (no comma before it) with members unless now_ms is negative. */
void groups_write_group(struct buf *out, const struct group_host *h, const struct journal *journal,
                        int64_t now_ms);

/* What became of the deliveries of a request. */
struct groups_outcome {
    size_t done;
    struct buf failed; /* JSON */
};
void groups_outcome_init(struct groups_outcome *o);
void groups_outcome_fini(struct groups_outcome *o);
void groups_outcome_add(struct groups_outcome *o, const struct delivery *d,
                        enum group_verdict verdict);
/* ,"group":"…","count":…,"failed":[…] */
void groups_write_outcome(struct buf *out, const struct group_host *h,
                          const struct groups_outcome *o);

#endif
