/*
 * client: what the parts of the hub client share: one request after the other, each waited for.
 *
 * Threads: one.
 */
#ifndef NHUB_CLIENT_CLIENT_H
#define NHUB_CLIENT_CLIENT_H

#include "client/answer.h"

#define CLIENT_REQUESTS_MAX 16 /* one call that waits, and iterators that ask ahead */

/* The id for the next request of c. */
NHUB_MUST_USE nhub_err client_next_id(struct nhub_client *c, uint64_t *out_id);
/* Sends the request whose id was written into json, and waits. *out_answer is the caller's; it is
 * also set with NHUB_EREFUSED. Errors: those of the public header. */
NHUB_MUST_USE nhub_err client_call(struct nhub_client *c, uint64_t id, const struct buf *json,
                                   int timeout_ms, struct nhub_answer **out_answer);
/* The same for a request that changes nothing: asked again when the connection breaks. */
NHUB_MUST_USE nhub_err client_ask(struct nhub_client *c, uint64_t id, const struct buf *json,
                                  int timeout_ms, struct nhub_answer **out_answer);
/* Sends a request without waiting; fn is called from a later call on c, unless it is cancelled.
 * Errors: NHUB_EAGAIN not connected; NHUB_ENOMEM; NHUB_ESYS. */
NHUB_MUST_USE nhub_err client_send(struct nhub_client *c, uint64_t id, const struct buf *json,
                                   int timeout_ms, requester_fn *fn, void *context);
void client_cancel(struct nhub_client *c, uint64_t id);
/* Waits until *is_done, which a callback sets, at most timeout_ms (0 = the client's). Errors:
 * NHUB_ETIMEOUT; NHUB_ESYS. */
NHUB_MUST_USE nhub_err client_wait(struct nhub_client *c, const bool *is_done, int timeout_ms);
/* Makes a refusal the client's last error. Returns NHUB_OK or NHUB_EREFUSED. */
NHUB_MUST_USE nhub_err client_judge(struct nhub_client *c, const struct nhub_answer *answer);

#endif
