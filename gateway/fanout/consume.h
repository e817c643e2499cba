/*
 * consume: deliveries of consumer groups on their way to a session: messages that carry events but
 * stand outside of its stream.
 *
 * They go through the same writer as everything else, between two records of the stream and never
 * inside a message. The deliverer keeps what waits; the session takes a batch at a time, so that a
 * slow reader costs what it fetched and no more.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_CONSUME_H
#define GATEWAY_FANOUT_CONSUME_H

#include "gateway/fanout/session.h"

#define CONSUME_BATCH ((size_t)60 * 1024) /* bytes of short messages to be joined in one write */

/* True when nothing besides records waits in the session, so that a batch may be given to it. */
bool session_takes(const struct session *s);
/* True while its transport holds bytes of an earlier write. */
bool session_is_blocked(const struct session *s);
bool session_shows_cloudevents(const struct session *s);
/* As a client: given out in ascending order. */
uint64_t session_number(const struct session *s);
/* Whole messages with that many events in them; only when session_takes(). A long one must come
 * alone: it goes out in slices, and is counted in the memory of streams meanwhile. While the
 * transport is blocked they go out before the next records. Errors: NHUB_ENOMEM, nothing was
 * taken. */
NHUB_MUST_USE nhub_err session_deliver(struct session *s, const void *bytes, size_t len,
                                       uint64_t events);

#endif
