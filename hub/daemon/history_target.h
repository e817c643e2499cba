/*
 * history_target: where a `since` points among the records and voids that there are, for all
 * requests that begin at one. (PROTOCOL.md, history.)
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_DAEMON_HISTORY_TARGET_H
#define NHUB_DAEMON_HISTORY_TARGET_H

#include "base/buf.h"
#include "daemon/journal.h"

#define HISTORY_VOIDS_TOLD 64 /* the newest, in an answer */

/* Where a `since` points: the number before the first event wanted. */
struct since_target {
    uint64_t after;
    bool by_time; /* the journal is to find `after` from time_us, see history_target_found() */
    int64_t time_us;
    bool is_unknown; /* a number that was never given out */
    const char *gap; /* reason why something before is not to be had, or NULL */
    struct position gap_from;
};

/* `after` is at least the number before the oldest record kept, and never in front of a void. */
void history_target(const struct since *since, const char *epoch, const struct journal_state *state,
                    struct since_target *out);
/* The journal has found the number before the first record of the target's time. What came at that
 * time may also have been lost in a void right in front of that record: it is told then. */
void history_target_found(struct since_target *t, uint64_t found, const char *epoch,
                          const struct journal_state *state);
/* `found`, or the number before the voids that end with it. */
uint64_t history_before_time(const struct journal_state *state, uint64_t found);

/* The void that holds the number behind `after`, or NULL. */
const struct journal_void *history_void_behind(const struct journal_state *state, uint64_t after);
/* The last number before the next void behind `after`; the last of all when there is none. */
uint64_t history_end_of_run(const struct journal_state *state, uint64_t after);

/* ,"voids":[…] */
void history_write_voids(struct buf *out, const struct journal_state *state);

#endif
