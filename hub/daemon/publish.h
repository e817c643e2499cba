/*
 * publish: the request that carries events and is answered when they are numbered.
 *
 * A batch that is atomic is checked as a whole first; only then its first event gets a number, so
 * either all or none of it happens. Otherwise each event stands for itself. (PROTOCOL.md, publish.)
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_PUBLISH_H
#define NHUB_DAEMON_PUBLISH_H

#include "daemon/call.h"
#include "daemon/intake.h"

#define PUBLISH_MAX_EVENTS 10000
/* Bytes of all events of a request; one event of the largest size fits in any case. */
#define PUBLISH_MAX_BYTES (UINT64_C(16) << 20)

struct publish;

/* Why a request's events were not kept while they were received. */
enum publish_overflow { PUBLISH_FITS, PUBLISH_TOO_MANY, PUBLISH_TOO_BIG };

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err publish_create(struct publish **out, struct intake *intake,
                                      struct journal *journal, const struct settings *settings);
void publish_destroy(struct publish **p_p);

/* Takes one received frame (it is empty afterwards) into the batch of the request that is being
 * read. What is over the limits is dropped, and the request refused later. */
void publish_add_frame(struct publish *p, struct zframe *frame);
/* Carries the request out over the frames added since the last one, and answers it. */
void publish_run(struct publish *p, struct call *call, const char *peer, bool is_stopping);
/* Forgets the frames: their request was not readable. */
void publish_reset(struct publish *p);

/* Bytes that a batch may have. */
uint64_t publish_max_bytes(const struct settings *settings);

#endif
