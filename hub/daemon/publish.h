/*
 * publish: the request that carries events and is answered when they are kept as well as it asks.
 *
 * A batch that is atomic is checked as a whole first; only then its first event gets a number, so
 * either all or none of it happens. Otherwise each event stands for itself. (PROTOCOL.md, publish.)
 *
 * While the journal is full (a slow disk) requests of this kind are held back, in order and bounded
 * by bytes, so that all others, which come by the same socket, go on being answered: a hub that
 * says nothing for a second is taken for dead by its gateways, and their publishers would get
 * nothing but doubt. Beyond the bound a publish is refused before it is numbered, which is told,
 * while not reading the socket would silence everything.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_PUBLISH_H
#define NHUB_DAEMON_PUBLISH_H

#include "daemon/acks.h"
#include "daemon/call.h"
#include "daemon/intake.h"
#include "daemon/publish_batch.h"

#define PUBLISH_HELD_BYTES (UINT64_C(64) << 20) /* memory of all requests held back */

struct publish;

struct publish_parts {
    struct intake *intake;
    struct journal *journal;
    struct acks *acks;
    struct zserver *server; /* knows the addresses of peers, for the log; NULL = nobody does */
    const struct settings *settings;
};

/* Errors: NHUB_ENOMEM. The parts must outlive it. */
NHUB_MUST_USE nhub_err publish_create(struct publish **out, const struct publish_parts *parts);
void publish_destroy(struct publish **p_p); /* what is held back is not answered */

/* Takes one event, whose text lives until publish_run(), into the batch of the request that is
 * being read. What is over the limits is left out, and the request refused later. */
void publish_add(struct publish *p, const char *text, size_t len);
/* The same for a packed request: all events that the reader of the frame has left. */
void publish_add_packed(struct publish *p, const struct packed_reader *rest);
/* Carries the request out over the events added since the last one, now or when there is room, and
 * answers it. */
void publish_run(struct publish *p, struct call *call, bool is_stopping);
/* Events added so far. */
size_t publish_count(const struct publish *p);
/* Forgets the events: their request was not readable. */
void publish_reset(struct publish *p);

/* Carries out what was held back, as far as there is room now. */
void publish_turn(struct publish *p);
bool publish_is_holding(const struct publish *p);

#endif
