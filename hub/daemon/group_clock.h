/*
 * group_clock: the wall clock of the groups, which never goes back, over restarts either.
 *
 * Deadlines are noted by the wall clock. When that is set back, what was noted before would seem to
 * lie far ahead after a restart, and events would wait as long. How far the clock has been is told
 * by the journal's latest arrival, and by a note where notes were written much later than that.
 *
 * Threads: none inside.
 */
#ifndef NHUB_DAEMON_GROUP_CLOCK_H
#define NHUB_DAEMON_GROUP_CLOCK_H

#include "daemon/journal.h"

struct group_clock {
    struct journal *journal;
    int64_t newest_ms; /* it has been here, perhaps before the last start */
    int64_t noted_ms;  /* as the journal knows */
};

/* At the start. Errors: those of the journal. */
NHUB_MUST_USE nhub_err group_clock_init(struct group_clock *c, struct journal *journal);
int64_t group_clock_ms(struct group_clock *c);
/* Deadlines are about to be noted by the last group_clock_ms(). */
void group_clock_note(struct group_clock *c);
/* A batch was not kept, perhaps the one with the note. */
void group_clock_lose(struct group_clock *c);

#endif
