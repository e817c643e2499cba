/*
 * group_hole: why numbers that have no record have none.
 *
 * A hole may reach over several voids and over numbers that no void explains. It is cut at their
 * borders, since the parts differ in what they mean: the numbers of a void behind an unclean stop
 * were mostly never used, those that were not stored had an event each.
 *
 * The journal forgets a void when retention takes what is in front of it, while a group that lags
 * may not have come so far. So the voids of unclean stops are remembered here: they come into being
 * at the start of a run only.
 *
 * Threads: the loop's.
 */
#ifndef NHUB_DAEMON_GROUP_HOLE_H
#define NHUB_DAEMON_GROUP_HOLE_H

#include "daemon/group_note.h"
#include "daemon/journal.h"

/* The reason of the first part of from..*to, whose end becomes *to; `otherwise` where none of the
 * voids (ascending) lies. */
enum group_gap_reason group_hole_first(const struct journal_void *voids, size_t count,
                                       uint64_t from, uint64_t *to,
                                       enum group_gap_reason otherwise);

struct group_unclean {
    char epoch[EPOCH_LEN + 1];
    struct journal_void *voids; /* ascending */
    size_t count;
};

/* Those that the journal has now. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_unclean_init(struct group_unclean *u, const struct journal *journal);
void group_unclean_fini(struct group_unclean *u);

#endif
