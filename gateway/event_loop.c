/* event_loop: a thin layer, so that libev's macros and types are seen in this file only. */
#include "gateway/event_loop.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

struct event_loop {
    struct ev_loop *ev;
    struct ev_prepare prepare;
    struct ev_idle idle;
    struct ev_async async;
    struct event_loop_hooks hooks;
};

_Static_assert(sizeof(struct ev_io) <= sizeof(((struct watch *)0)->opaque), "watch too small");
_Static_assert(sizeof(struct ev_timer) <= sizeof(((struct alarm *)0)->opaque), "alarm too small");

static void on_prepare(struct ev_loop *ev, struct ev_prepare *w, int events)
{
    struct event_loop *l = w->data;

    (void)events;
    if (l->hooks.before_wait(l->hooks.context)) {
        ev_idle_start(ev, &l->idle);
    } else {
        ev_idle_stop(ev, &l->idle);
    }
}

/* Being there is all it does: while it is on, libev does not wait. */
static void on_idle(struct ev_loop *ev, struct ev_idle *w, int events)
{
    (void)ev;
    (void)w;
    (void)events;
}

static void on_async(struct ev_loop *ev, struct ev_async *w, int events)
{
    struct event_loop *l = w->data;

    (void)ev;
    (void)events;
    l->hooks.woken(l->hooks.context);
}

nhub_err event_loop_create(struct event_loop **out, const struct event_loop_hooks *hooks)
{
    struct event_loop *l = calloc(1, sizeof *l);

    if (!l) {
        return NHUB_ENOMEM;
    }
    /* No signals, no fork check: signals belong to the main thread. */
    l->ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (!l->ev) {
        free(l);
        return NHUB_ESYS;
    }
    l->hooks = *hooks;
    ev_prepare_init(&l->prepare, on_prepare);
    ev_idle_init(&l->idle, on_idle);
    ev_async_init(&l->async, on_async);
    l->prepare.data = l;
    l->idle.data = l;
    l->async.data = l;
    ev_prepare_start(l->ev, &l->prepare);
    ev_async_start(l->ev, &l->async);
    *out = l;
    return NHUB_OK;
}

void event_loop_destroy(struct event_loop **l_p)
{
    struct event_loop *l = *l_p;

    *l_p = NULL;
    if (!l) {
        return;
    }
    ev_idle_stop(l->ev, &l->idle);
    ev_async_stop(l->ev, &l->async);
    ev_prepare_stop(l->ev, &l->prepare);
    ev_loop_destroy(l->ev);
    free(l);
}

void event_loop_run(struct event_loop *l)
{
    ev_run(l->ev, 0);
}

void event_loop_once(struct event_loop *l)
{
    ev_run(l->ev, EVRUN_NOWAIT);
}

void event_loop_stop(struct event_loop *l)
{
    ev_break(l->ev, EVBREAK_ALL);
}

void event_loop_wake(struct event_loop *l)
{
    ev_async_send(l->ev, &l->async);
}

static struct ev_io *io_of(struct watch *w)
{
    return (struct ev_io *)(void *)w->opaque;
}

static struct ev_timer *timer_of(struct alarm *a)
{
    return (struct ev_timer *)(void *)a->opaque;
}

static void on_io(struct ev_loop *ev, struct ev_io *io, int events)
{
    struct watch *w = (struct watch *)(void *)io;

    (void)ev;
    w->ready(w, (events & EV_READ) != 0, (events & EV_WRITE) != 0);
}

void event_loop_watch(struct event_loop *l, struct watch *w, int fd, bool in, bool out)
{
    struct ev_io *io = io_of(w);
    const int events = (in ? EV_READ : 0) | (out ? EV_WRITE : 0);

    if (w->is_on) {
        ev_io_stop(l->ev, io);
        ev_io_modify(io, events);
    } else {
        ev_io_init(io, on_io, fd, events);
        w->loop = l;
        w->is_on = true;
    }
    ev_io_start(l->ev, io);
}

void event_loop_unwatch(struct watch *w)
{
    if (w->is_on) {
        ev_io_stop(w->loop->ev, io_of(w));
        w->is_on = false;
    }
}

static void on_timer(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct alarm *a = (struct alarm *)(void *)timer;

    (void)ev;
    (void)events;
    a->ring(a);
}

void event_loop_every(struct event_loop *l, struct alarm *a, int64_t interval_ms)
{
    struct ev_timer *timer = timer_of(a);
    const double seconds = (double)interval_ms / 1000.0;

    event_loop_silence(a);
    ev_timer_init(timer, on_timer, seconds, seconds);
    a->loop = l;
    a->is_on = true;
    ev_timer_start(l->ev, timer);
}

void event_loop_silence(struct alarm *a)
{
    if (a->is_on) {
        ev_timer_stop(a->loop->ev, timer_of(a));
        a->is_on = false;
    }
}
