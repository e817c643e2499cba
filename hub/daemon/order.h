/*
 * order: keeps the answers to requests without a request_id in the order of the requests, for each
 * peer, although some are answered at once and others when a disk or a timer has its turn.
 *
 * A peer that waits for nothing costs nothing: only a request that is answered later takes a
 * ticket, and so does every further one of that peer until no ticket is left. Answers in front of
 * which nothing waits go out at once; the others are kept with their ticket. Tickets and the bytes
 * of kept answers are bounded for each peer; beyond that an answer is dropped and counted, as it is
 * for a peer that does not read.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_ORDER_H
#define NHUB_DAEMON_ORDER_H

#include "daemon/replies.h"

#define ORDER_TICKETS_MAX 4096                 /* of one peer */
#define ORDER_BYTES_MAX   (UINT64_C(16) << 20) /* of one peer's answers that wait for their turn */

struct order;
struct ticket;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err order_create(struct order **out, struct replies *replies,
                                    struct stats *stats);
void order_destroy(struct order **o_p); /* with all tickets */

/* True when the peer has a ticket that is not answered. */
bool order_has(const struct order *o, uint64_t peer);
/* The next ticket of the peer. Errors: NHUB_EFULL it has too many; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err order_take(struct order *o, uint64_t peer, struct ticket **out);
/* Answers the ticket, which is gone afterwards: sends, or keeps the answer until its turn comes.
 * is_batched: see replies_add_batched(). Takes the frames (frames_p may be NULL). */
void order_answer(struct order *o, struct ticket **t_p, const char *json, size_t len,
                  bool is_batched, struct reply_frames **frames_p);
/* Nothing will be answered to this ticket. */
void order_drop(struct order *o, struct ticket **t_p);

#endif
