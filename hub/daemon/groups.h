/*
 * groups: all consumer groups of the hub: who there is, what concerns whom, whose turn it is, and
 * what is written down. (PROTOCOL.md, "Consumer groups".)
 *
 *     request ─▶ groups_run ──────▶ group (rules) ─┐
 *     event ───▶ index ─▶ group_host (fetches) ────┤
 *     time ────▶ groups_work                       └▶ notes ─▶ journal
 *
 * Groups that nothing happens to cost nothing: an event is looked up by its type among those that
 * have looked at everything (group_index.h), the others look into the journal when somebody
 * fetches. A turn's work is bounded; what is left goes on in the next turn, group after group.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_GROUPS_H
#define NHUB_DAEMON_GROUPS_H

#include "daemon/acks.h"
#include "daemon/call.h"
#include "daemon/intake.h"
#include "daemon/stats.h"

/* Work of one turn, while nothing else is to be done, and while sockets have more to read: a group
 * that catches up with a long past takes about half of the loop's time then. */
#define GROUPS_TURN_US      5000
#define GROUPS_BUSY_TURN_US 250

struct groups;

struct groups_parts {
    const struct settings *settings;
    struct journal *journal;
    struct intake *intake;
    struct acks *acks;
};

/* Finds the groups of before in the journal. The parts must outlive it.
 * Errors: NHUB_ENOMEM and those of the journal. */
NHUB_MUST_USE nhub_err groups_create(struct groups **out, const struct groups_parts *parts);
/* Forgets the fetches that wait, without an answer. */
void groups_close(struct groups *gs);
/* To be called when the socket is closed: until then blocks of lines may come back. */
void groups_destroy(struct groups **gs_p);

/* Carries out one of the actions on groups, and answers it, now or later. */
void groups_run(struct groups *gs, struct call *call);
/* What can be done now; to be called once in each turn, before the commit, which the notes of this
 * turn go into. is_busy: sockets have more to read. Returns true when there is more to do. */
bool groups_work(struct groups *gs, bool is_busy);
/* Milliseconds until there is something to do if nothing happens; INT32_MAX = never. */
int groups_wait_ms(const struct groups *gs, int64_t now_ms);
/* What the journal reports, see journal_kept_fn. */
void groups_kept(struct groups *gs, uint64_t batch, nhub_err status);
/* From now on nobody waits: fetches are answered with nothing or refused, and all is written down.
 */
void groups_set_stopping(struct groups *gs);

/* Figures for `stats`. */
void groups_figures(struct groups *gs, struct stats_groups *out);

#endif
