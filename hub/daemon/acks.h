/*
 * acks: answers that wait until what they tell is kept as well as was asked for.
 *
 * There is a queue for each durability, in the order of the journal's batches, so a report of the
 * journal takes answers from the fronts only. The number of waiting answers is bounded: room is
 * asked for before an event is numbered, never after.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_ACKS_H
#define NHUB_DAEMON_ACKS_H

#include "daemon/call.h"
#include "daemon/journal.h"

#define ACKS_MAX 65536

struct acks;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err acks_create(struct acks **out, struct journal *journal);
void acks_destroy(struct acks **a_p); /* what waits is not answered */

/* Makes sure that the next acks_wait() can be done. Errors: NHUB_EFULL, NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err acks_reserve(struct acks *a);
/* Answers the call when all that was appended to the journal up to now has this durability
 * (journaled or synced):
 *     {"success":true<members>,"durability":"…"<tail>,"request_id":…}
 * or, when it never will, or is_lost says that a part of it never will:
 *     {"success":false,"error":…,"code":"durability_lost"<members>,"durability":"memory"<tail>,…}
 * (that is for publish; what else changed something is done all the same, and told as memory).
 * Takes the call's content and empties both texts. acks_reserve() must have gone before. */
void acks_wait(struct acks *a, struct call *call, int durability, struct buf *members,
               struct buf *tail, bool is_lost);
/* The same, at once, with the durability that there is. */
void acks_answer(struct call *call, int durability, struct buf *members, struct buf *tail,
                 bool is_lost);
/* What the journal reports, see journal_kept_fn. */
void acks_kept(struct acks *a, int durability, uint64_t batch, nhub_err status);
size_t acks_count(const struct acks *a); /* answers that wait */

#endif
