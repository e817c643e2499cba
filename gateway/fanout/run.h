/* run: how the pieces of a stream gather what a session is written. Inside the fan-out only. */
#ifndef GATEWAY_FANOUT_RUN_H
#define GATEWAY_FANOUT_RUN_H

#include "gateway/fanout/internal.h"

/* The records from `from` (< end) on, as many as one write takes. Valid until the next call; false
 * when out of memory. */
bool run_gather(struct stream *st, uint64_t from, struct run *out);
/* An unblocked lagging session was written something: back into the lockstep if it is there. */
void stream_catch_up(struct session *s);

#endif
