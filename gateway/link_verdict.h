/*
 * link_verdict: what the hub's answer to a publish request means for each of its jobs.
 *
 * A request is either one job of several events (atomic), or up to LINK_VERDICT_JOBS jobs of one
 * event each that share a request ("atomic":false). A job is finished exactly once; places that are
 * NULL were finished before (their deadline was over) and still count as an event.
 *
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_VERDICT_H
#define GATEWAY_LINK_VERDICT_H

#include "gateway/hub_link.h"
#include "gateway/link_answer.h"

#define LINK_VERDICT_JOBS 512

/* Calls done() of every job that is left. jobs[] itself stays as it is. */
void link_verdict_give(struct publish_job *const *jobs, size_t count, bool is_atomic,
                       const struct link_answer *answer);

/* The same for a job that never went out or will get no answer. */
void link_verdict_finish(struct publish_job *job, enum publish_outcome outcome);
void link_verdict_refuse(struct publish_job *job, const char *code, const char *error,
                         uint64_t index, uint64_t offset);

#endif
