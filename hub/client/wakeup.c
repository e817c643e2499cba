/*
 * wakeup: an epoll descriptor that holds the watched ones, an eventfd for kicks and a timerfd for
 * the deadline. See the header for the rule that its users keep.
 */
#include "client/wakeup.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct wakeup {
    int epoll_fd;
    int kick_fd;
    int timer_fd;
    int64_t deadline_ms; /* as set in timer_fd */
    bool is_kicked;
};

nhub_err wakeup_create(struct wakeup **out)
{
    struct wakeup *w = calloc(1, sizeof *w);
    nhub_err err = NHUB_ESYS;

    if (!w) {
        return NHUB_ENOMEM;
    }
    w->deadline_ms = WAKEUP_NEVER;
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (w->epoll_fd < 0 || w->kick_fd < 0 || w->timer_fd < 0) {
        goto failed;
    }
    err = wakeup_watch(w, w->kick_fd);
    if (err == NHUB_OK) {
        err = wakeup_watch(w, w->timer_fd);
    }
    if (err != NHUB_OK) {
        goto failed;
    }
    *out = w;
    return NHUB_OK;

failed:
    wakeup_destroy(&w);
    return err;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void wakeup_destroy(struct wakeup **w_p)
{
    struct wakeup *w = *w_p;

    if (!w) {
        return;
    }
    close_fd(w->timer_fd);
    close_fd(w->kick_fd);
    close_fd(w->epoll_fd);
    free(w);
    *w_p = NULL;
}

nhub_err wakeup_watch(struct wakeup *w, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? NHUB_OK : NHUB_ESYS;
}

void wakeup_unwatch(struct wakeup *w, int fd)
{
    struct epoll_event unused = {0};

    (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, &unused);
}

void wakeup_set_deadline(struct wakeup *w, int64_t deadline_ms)
{
    struct itimerspec spec = {0};

    if (deadline_ms == w->deadline_ms) {
        return;
    }
    if (deadline_ms != WAKEUP_NEVER) {
        /* A time of 0 would disarm the timer; a deadline that is over must fire. */
        const int64_t at_ms = deadline_ms > 0 ? deadline_ms : 1;

        spec.it_value.tv_sec = (time_t)(at_ms / 1000);
        spec.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000L;
    }
    (void)timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    w->deadline_ms = deadline_ms;
}

void wakeup_kick(struct wakeup *w)
{
    const uint64_t one = 1;

    if (!w->is_kicked) {
        w->is_kicked = write(w->kick_fd, &one, sizeof one) == sizeof one;
    }
}

void wakeup_clear(struct wakeup *w)
{
    uint64_t count = 0;

    if (w->is_kicked) {
        w->is_kicked = read(w->kick_fd, &count, sizeof count) != sizeof count;
    }
    /* A timer that fired stays readable until it is read or set anew. */
    if (read(w->timer_fd, &count, sizeof count) == sizeof count) {
        w->deadline_ms = WAKEUP_NEVER;
    }
}

int wakeup_fd(const struct wakeup *w)
{
    return w->epoll_fd;
}

nhub_err wakeup_wait(struct wakeup *w, int timeout_ms)
{
    struct pollfd item = {.fd = w->epoll_fd, .events = POLLIN};
    const int count = poll(&item, 1, timeout_ms);

    if (count > 0) {
        return NHUB_OK;
    }
    if (count == 0) {
        return NHUB_ETIMEOUT;
    }
    return errno == EINTR ? NHUB_EAGAIN : NHUB_ESYS;
}
