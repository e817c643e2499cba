/*
 * http_waker: a mailbox, a poll with a tick, a thread.
 */
#include "gateway/protocols/http_waker.h"

#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

struct http_waker {
    struct http_waker_options options;
    struct mailbox *box;
    struct letter stop; /* posted once, ends the thread */
    pthread_t thread;
    bool is_running;
};

/* True when the letter that ends the thread was among them. */
static bool deliver(struct http_waker *waker)
{
    struct letter *letter = mailbox_take_all(waker->box);
    bool is_stopped = false;

    while (letter) {
        struct letter *next = letter->next; /* read before wake() gives the letter away */

        if (letter == &waker->stop) {
            is_stopped = true;
        } else {
            waker->options.wake(waker->options.context, letter);
        }
        letter = next;
    }
    return is_stopped;
}

static void *run(void *argument)
{
    struct http_waker *waker = argument;
    struct pollfd ready = {.fd = mailbox_fd(waker->box), .events = POLLIN};
    int64_t next_tick_ms = clock_mono_ms();

    for (;;) {
        const int64_t now_ms = clock_mono_ms();

        if (now_ms >= next_tick_ms) {
            waker->options.tick(waker->options.context);
            next_tick_ms = now_ms + waker->options.tick_ms;
        }
        if (poll(&ready, 1, (int)(next_tick_ms - now_ms)) > 0 && deliver(waker)) {
            return NULL;
        }
    }
}

nhub_err http_waker_create(struct http_waker **out, const struct http_waker_options *options)
{
    struct http_waker *waker = calloc(1, sizeof *waker);
    nhub_err err;

    if (!waker) {
        return NHUB_ENOMEM;
    }
    waker->options = *options;
    err = mailbox_create(&waker->box);
    if (err == NHUB_OK && pthread_create(&waker->thread, NULL, run, waker) != 0) {
        err = NHUB_ESYS;
    }
    if (err != NHUB_OK) {
        http_waker_destroy(&waker);
        return err;
    }
    waker->is_running = true;
    pthread_setname_np(waker->thread, "http-waker");
    *out = waker;
    return NHUB_OK;
}

void http_waker_post(struct http_waker *waker, struct letter *letter)
{
    mailbox_post(waker->box, letter);
}

void http_waker_destroy(struct http_waker **waker_p)
{
    struct http_waker *waker = *waker_p;

    if (!waker) {
        return;
    }
    if (waker->is_running) {
        mailbox_post(waker->box, &waker->stop);
        pthread_join(waker->thread, NULL);
    }
    if (waker->box) {
        mailbox_destroy(&waker->box);
    }
    free(waker);
    *waker_p = NULL;
}
