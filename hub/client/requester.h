/*
 * requester: a DEALER to the hub's requests socket; many requests in flight, each answered once.
 *
 * Every request carries a number as request_id and its answer brings it back: an answer to a
 * request that has timed out finds nobody and is dropped (counted), it is never taken for
 * another's. Requests are queued to completed connections only, so what could not be sent was
 * surely not sent. When the connection breaks, everything in flight ends at once: the hub answers
 * to connections, so no answer to it can come any more.
 *
 * Threads: none inside; one thread.
 */
#ifndef NHUB_CLIENT_REQUESTER_H
#define NHUB_CLIENT_REQUESTER_H

#include "base/buf.h"
#include "base/zsock.h"

struct json_t; /* jansson.h and json_scan.h name their kinds alike: no file includes both */
struct requester;
struct wakeup;

/* What became of a request. All pointers are lent for the callback. */
struct requester_answer {
    nhub_err err;          /* NHUB_OK: json is set; NHUB_ETIMEOUT; NHUB_ECLOSED: the connection
                              broke, or given up */
    struct json_t *json;   /* an object */
    const char *text;      /* the same as the hub sent it */
    size_t text_len;       /* of text */
    struct zframe *frames; /* further frames of the answer */
    size_t frame_count;
};
typedef void requester_fn(void *context, uint64_t request_id,
                          const struct requester_answer *answer);

/* window: requests that may be in flight, 1 to 1024. Errors: NHUB_EINVAL, NHUB_ENOMEM, NHUB_ESYS.
 */
NHUB_MUST_USE nhub_err requester_create(struct requester **out, struct zctx *ctx, const char *host,
                                        uint16_t port, size_t window);
/* Drops what is in flight without calling anybody. */
void requester_destroy(struct requester **r_p);

/* The number for the next request, to be written into its JSON. Errors: NHUB_EFULL. */
NHUB_MUST_USE nhub_err requester_next_id(struct requester *r, uint64_t *out_id);
/* Sends REQ, json and the parts, packed (wire/packed.h); parts are what packed_add() made of them,
 * NULL when there are none. fn is called exactly once after NHUB_OK, unless the request is
 * cancelled. deadline_ms: clock_mono_ms. Errors, nothing was sent: NHUB_EAGAIN not connected or the
 * queue is full; NHUB_ENOMEM; NHUB_ESYS. */
NHUB_MUST_USE nhub_err requester_send(struct requester *r, uint64_t id, const struct buf *json,
                                      const struct buf *parts, int64_t deadline_ms,
                                      requester_fn *fn, void *context);
/* Forgets a request; its callback is not called. Unknown ids are fine. */
void requester_cancel(struct requester *r, uint64_t id);
/* Calls every callback in flight with err. */
void requester_give_up(struct requester *r, nhub_err err);

/* Takes all answers that are there and expires what is overdue. Returns the callbacks called. */
size_t requester_process(struct requester *r, int64_t now_ms);
/* Waits for an answer or a deadline, at most until deadline_ms, and processes. Errors: NHUB_ESYS.
 */
NHUB_MUST_USE nhub_err requester_wait(struct requester *r, int64_t deadline_ms);
/* Waits until a request can be sent. Errors: NHUB_EUNAVAIL not within the time; NHUB_ESYS. */
NHUB_MUST_USE nhub_err requester_await_peer(struct requester *r, int64_t deadline_ms);
/* Closes the connection and makes a new one; requests in flight end as lost with the next
 * processing. Errors: NHUB_ENOMEM, NHUB_ESYS (the old connection is then kept). */
NHUB_MUST_USE nhub_err requester_reconnect(struct requester *r);
/* Lets w be readable when there is something to process, also after a reconnect. w outlives r, or
 * is unwatched with NULL. Errors: NHUB_ESYS. */
NHUB_MUST_USE nhub_err requester_watch(struct requester *r, struct wakeup *w);
/* Whether the connection stands, as of the last call. */
bool requester_is_connected(const struct requester *r);
/* Whether requests can be sent now; false also while a loss waits to be processed. */
bool requester_is_ready(struct requester *r);

int64_t requester_deadline_ms(const struct requester *r); /* earliest, INT64_MAX = none */
size_t requester_in_flight(const struct requester *r);
uint64_t requester_strays(const struct requester *r); /* answers that found nobody */
/* How often the connection was lost so far: what was learnt about the hub may be old news. */
uint64_t requester_losses(const struct requester *r);

#endif
