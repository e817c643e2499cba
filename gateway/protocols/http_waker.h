/*
 * http_waker: a thread that brings suspended requests back to the HTTP threads, and ticks.
 *
 * Whoever answers a waiting request (the hub link, the stream loop) only posts a letter here and
 * never waits for a lock of libmicrohttpd, which holds one while it walks over all suspended
 * connections. What piled up meanwhile is resumed in one batch.
 *
 * Threads: its own, in which both callbacks run; http_waker_post() from any.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_WAKER_H
#define GATEWAY_PROTOCOLS_HTTP_WAKER_H

#include "base/mailbox.h"

#include <stdint.h>

struct http_waker;

struct http_waker_options {
    void (*wake)(void *context, struct letter *letter); /* the letter is gone afterwards */
    void (*tick)(void *context);
    int64_t tick_ms;
    void *context;
};

/* Starts the thread. Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err http_waker_create(struct http_waker **out,
                                         const struct http_waker_options *options);
void http_waker_post(struct http_waker *waker, struct letter *letter);
/* Delivers what was posted before, ends the thread. A NULL *waker_p is fine. */
void http_waker_destroy(struct http_waker **waker_p);

#endif
