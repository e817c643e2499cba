/*
 * link_verdict: the hub names only what is out of the ordinary; everything else has the next number
 * of first_seq, first_seq + 1, … in the order of the request.
 */
#include "gateway/link_verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void link_verdict_finish(struct publish_job *job, enum publish_outcome outcome)
{
    job->outcome = outcome;
    job->done(job);
}

void link_verdict_refuse(struct publish_job *job, const char *code, const char *error,
                         uint64_t index, uint64_t offset)
{
    NHUB_IGNORE(snprintf(job->code, sizeof job->code, "%s", code) < 0);
    NHUB_IGNORE(snprintf(job->error, sizeof job->error, "%s", error) < 0);
    job->index = (size_t)index;
    job->offset = (size_t)offset;
    link_verdict_finish(job, PUBLISH_REFUSED);
}

#define LOST "durability_lost"

/* It was numbered before the disk failed: out live, with its numbers, but not kept as asked. */
static bool is_lost(const struct link_answer *answer)
{
    return !answer->success && strcmp(answer->code, LOST) == 0;
}

static const char *why_lost(const struct link_answer *answer)
{
    return is_lost(answer) ? answer->error : NULL;
}

/* The same of one duplicate among events that are kept. */
static const char *why_this_is_lost(const struct link_answer *answer,
                                    const struct link_result *result)
{
    return strcmp(result->code, LOST) == 0 ? result->error : why_lost(answer);
}

/* The job's events have numbers. lost: why they are not kept as asked, NULL when they are. */
static void number(struct publish_job *job, const struct link_answer *answer, uint64_t first_seq,
                   uint64_t last_seq, uint64_t accepted, const char *lost)
{
    memcpy(job->epoch, answer->head.epoch, sizeof job->epoch);
    job->durability_got = answer->durability;
    job->first_seq = first_seq;
    job->last_seq = last_seq;
    job->accepted = accepted;
    job->duplicates = job->count - accepted;
    if (lost) {
        NHUB_IGNORE(snprintf(job->error, sizeof job->error, "%s", lost) < 0);
    }
    link_verdict_finish(job, lost ? PUBLISH_LOST : PUBLISH_ACCEPTED);
}

/* The hub refused the whole request: nothing of it was numbered. */
static void refuse_all(struct publish_job *const *jobs, size_t count,
                       const struct link_answer *answer)
{
    const bool is_away =
        strcmp(answer->code, "shutting_down") == 0 || strcmp(answer->code, "unavailable") == 0;
    const bool is_full = strcmp(answer->code, "no_memory") == 0;
    /* These say how the hub is, and are said before it looks whether it knows the events. */
    const bool is_of_the_moment =
        is_away || is_full || strcmp(answer->code, "durability_unavailable") == 0;

    for (size_t i = 0; i < count; i++) {
        if (!jobs[i]) {
            continue;
        }
        if (is_of_the_moment && jobs[i]->link.was_resent) {
            link_verdict_finish(jobs[i], PUBLISH_UNKNOWN);
        } else if (is_away) {
            link_verdict_finish(jobs[i], PUBLISH_UNAVAILABLE);
        } else if (is_full) {
            link_verdict_finish(jobs[i], PUBLISH_OVERLOADED);
        } else {
            link_verdict_refuse(jobs[i], answer->code[0] ? answer->code : "bad_request",
                                answer->error, answer->index, answer->offset);
        }
    }
}

/* The hub's "results" as they are: their indices are those of the job's events. */
static void keep_results(struct publish_job *job, const struct json_span *results)
{
    if (results->kind != JSON_ARRAY || results->len <= 2) {
        return;
    }
    job->results = malloc(results->len);
    if (job->results) { /* without memory the counts alone have to do */
        memcpy(job->results, results->p, results->len);
        job->results_len = results->len;
    }
}

static void give_atomic(struct publish_job *job, const struct link_answer *answer)
{
    struct link_result result;
    uint64_t first_seq = answer->first_seq;
    uint64_t last_seq = answer->last_seq;
    size_t repeats = 0; /* in a row */
    size_t pos = 0;

    /* Only repeats: their own numbers are the answer. */
    while (!answer->has_seqs && link_answer_result(&answer->results, &pos, &result) == NHUB_OK) {
        first_seq = first_seq == 0 ? result.seq : first_seq;
        last_seq = result.seq;
        repeats += result.is_duplicate && result.seq == first_seq + repeats ? 1 : 0;
    }
    job->is_repeat = repeats == job->count;
    keep_results(job, &answer->results);
    number(job, answer, first_seq, last_seq,
           answer->count <= job->count ? answer->count : job->count, why_lost(answer));
}

/* Those that the hub names; is_named tells which these were. */
static void give_named(struct publish_job *const *jobs, size_t count,
                       const struct link_answer *answer, bool *is_named)
{
    struct link_result result;
    size_t pos = 0;

    while (link_answer_result(&answer->results, &pos, &result) == NHUB_OK) {
        struct publish_job *job = NULL;

        if (result.index >= count || is_named[result.index]) {
            continue;
        }
        is_named[result.index] = true;
        job = jobs[result.index];
        if (job && result.is_duplicate) {
            job->is_repeat = true;
            number(job, answer, result.seq, result.seq, 0, why_this_is_lost(answer, &result));
        } else if (job) {
            link_verdict_refuse(job, result.code[0] ? result.code : "bad_request", result.error, 0,
                                result.offset);
        }
    }
}

static void give_merged(struct publish_job *const *jobs, size_t count,
                        const struct link_answer *answer)
{
    bool is_named[LINK_VERDICT_JOBS] = {false};
    uint64_t seq = answer->first_seq;

    give_named(jobs, count, answer, is_named);
    for (size_t i = 0; i < count; i++) {
        if (is_named[i]) {
            continue;
        }
        /* An answer that counts fewer than it leaves unnamed contradicts itself. */
        if (jobs[i] && (!answer->has_seqs || seq > answer->last_seq)) {
            link_verdict_finish(jobs[i], PUBLISH_UNKNOWN);
        } else if (jobs[i]) {
            number(jobs[i], answer, seq, seq, 1, why_lost(answer));
        }
        seq++;
    }
}

void link_verdict_give(struct publish_job *const *jobs, size_t count, bool is_atomic,
                       const struct link_answer *answer)
{
    if (!answer->success && !is_lost(answer)) {
        refuse_all(jobs, count, answer);
    } else if (!is_atomic) {
        give_merged(jobs, count, answer);
    } else if (jobs[0]) {
        give_atomic(jobs[0], answer);
    }
}
