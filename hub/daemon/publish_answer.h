/*
 * publish_answer: what a `publish` is told: the members of its answer. (PROTOCOL.md, publish.)
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_DAEMON_PUBLISH_ANSWER_H
#define NHUB_DAEMON_PUBLISH_ANSWER_H

#include "daemon/publish_batch.h"

/* What became of a batch. */
struct publish_tally {
    uint64_t fresh; /* numbered */
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t special;    /* duplicates and refused ones */
    uint64_t newest_dup; /* largest number of a duplicate that is not lost, 0 = none */
    uint64_t lost;       /* duplicates that are lost (publish_batch.h) */
    bool tells_each; /* those are told one by one in the results, not by the answer as a whole */
};

/* The members in front of `durability`: ,"first_seq":…,"last_seq":…,"count":…,"epoch":… */
void publish_write_members(struct buf *out, const struct publish_tally *tally, const char *epoch);
/* Those behind it: ,"correlation_id":…,"results":…,"ignored":… as far as there is something. */
void publish_write_tail(struct buf *out, const struct publish_batch *b,
                        const struct publish_tally *tally);
/* A whole refusal without its end (envelope_end): event `index` is bad, so nothing was numbered. */
void publish_write_refusal(struct buf *out, const struct publish_batch *b, size_t index);

#endif
