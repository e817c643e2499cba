/*
 * client: what the parts of the hub client share: one request after the other, each waited for.
 *
 * Threads: one.
 */
#ifndef NHUB_CLIENT_CLIENT_H
#define NHUB_CLIENT_CLIENT_H

#include "client/answer.h"

/* The id for the next request of c. */
NHUB_MUST_USE nhub_err client_next_id(struct nhub_client *c, uint64_t *out_id);
/* Sends the request whose id was written into json, and waits. *out_answer is the caller's; it is
 * also set with NHUB_EREFUSED. Errors: those of the public header. */
NHUB_MUST_USE nhub_err client_call(struct nhub_client *c, uint64_t id, const struct buf *json,
                                   int timeout_ms, struct nhub_answer **out_answer);
/* The same for a request that changes nothing: asked again when the connection breaks. */
NHUB_MUST_USE nhub_err client_ask(struct nhub_client *c, uint64_t id, const struct buf *json,
                                  int timeout_ms, struct nhub_answer **out_answer);

#endif
