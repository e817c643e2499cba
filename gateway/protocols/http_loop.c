/*
 * http_loop: take what is new, let libmicrohttpd work, wait.
 */
#include "gateway/protocols/http_loop.h"

#include "base/clock.h"
#include "base/mailbox.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_private.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 1000

/* A connection on its way from the front door. */
struct arrival {
    struct letter letter; /* first */
    int fd;
    socklen_t peer_len;
    struct sockaddr_storage peer;
};

struct http_loop {
    struct http_side *side;
    struct mailbox *arrivals;
    struct mailbox *woken; /* requests whose wait is over */
    struct letter stop;    /* among the arrivals, ends the thread */
    int daemon_fd;         /* readable when libmicrohttpd has work */
    pthread_t thread;
    bool is_running;
};

static void add(struct http_loop *loop, const struct arrival *arrival)
{
    struct http_server *server = loop->side->server;

    if (MHD_add_connection(loop->side->daemon, arrival->fd, (const struct sockaddr *)&arrival->peer,
                           arrival->peer_len) != MHD_YES) {
        atomic_fetch_sub(&server->connections, 1); /* it has closed the descriptor */
        counter_sub(&server->gateway->counters.connections_open, 1);
    }
}

/* True when the letter that ends the thread was among them. */
static bool take_arrivals(struct http_loop *loop)
{
    struct letter *letter = mailbox_take_all(loop->arrivals);
    bool is_stopped = false;

    while (letter) {
        struct letter *next = letter->next;

        if (letter == &loop->stop) {
            is_stopped = true;
        } else {
            add(loop, (struct arrival *)(void *)letter);
            free(letter);
        }
        letter = next;
    }
    return is_stopped;
}

/* How long nothing will be due. */
static int wait_ms(struct MHD_Daemon *daemon, int64_t tick_ms)
{
    MHD_UNSIGNED_LONG_LONG due_ms;

    if (MHD_get_timeout(daemon, &due_ms) == MHD_YES && (int64_t)due_ms < tick_ms) {
        return (int)due_ms;
    }
    return (int)tick_ms;
}

/* Resumes in the daemon's own thread: nothing is locked, and MHD_run() comes next. */
static void resume_woken(struct http_loop *loop)
{
    struct letter *letter = mailbox_take_all(loop->woken);

    while (letter) {
        struct http_request *r = (struct http_request *)(void *)letter;

        letter = letter->next; /* read before the request goes on */
        MHD_resume_connection(r->connection);
    }
}

/* Once a second: the sign of life, and what has time limits. */
static void tick(struct http_side *side, int64_t now_ms)
{
    struct http_server *server = side->server;

    atomic_store(&side->heartbeat_ms, now_ms);
    http_conns_sweep(&side->conns, now_ms);
    if (side == &server->sides[HTTP_SIDE_REQUESTS]) {
        http_rates_tick(&server->rates, &server->gateway->counters, now_ms);
    }
}

static void *run(void *argument)
{
    struct http_loop *loop = argument;
    struct pollfd ready[] = {{.fd = loop->daemon_fd, .events = POLLIN},
                             {.fd = mailbox_fd(loop->arrivals), .events = POLLIN},
                             {.fd = mailbox_fd(loop->woken), .events = POLLIN}};
    int64_t next_tick_ms = clock_mono_ms() + TICK_MS;

    for (;;) {
        const int64_t now_ms = clock_mono_ms();

        if (now_ms >= next_tick_ms) {
            tick(loop->side, now_ms);
            next_tick_ms = now_ms + TICK_MS;
        }
        NHUB_IGNORE(MHD_run(loop->side->daemon) != MHD_YES); /* fails after its stop only */
        if (poll(ready, 3, wait_ms(loop->side->daemon, next_tick_ms - now_ms)) <= 0) {
            continue;
        }
        if (ready[2].revents) {
            resume_woken(loop);
        }
        if (ready[1].revents && take_arrivals(loop)) {
            return NULL;
        }
    }
}

nhub_err http_loop_create(struct http_loop **out, struct http_side *side, const char *name)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(side->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct http_loop *loop = calloc(1, sizeof *loop);
    nhub_err err;

    if (!loop) {
        return NHUB_ENOMEM;
    }
    loop->side = side;
    err = info ? mailbox_create(&loop->arrivals) : NHUB_ESYS;
    if (err == NHUB_OK) {
        err = mailbox_create(&loop->woken);
    }
    if (err == NHUB_OK) {
        loop->daemon_fd = info->epoll_fd;
        err = pthread_create(&loop->thread, NULL, run, loop) == 0 ? NHUB_OK : NHUB_ESYS;
    }
    if (err != NHUB_OK) {
        http_loop_destroy(&loop);
        return err;
    }
    loop->is_running = true;
    pthread_setname_np(loop->thread, name);
    *out = loop;
    return NHUB_OK;
}

void http_loop_destroy(struct http_loop **loop_p)
{
    struct http_loop *loop = *loop_p;

    if (!loop) {
        return;
    }
    if (loop->is_running) {
        mailbox_post(loop->arrivals, &loop->stop);
        pthread_join(loop->thread, NULL);
        NHUB_IGNORE(take_arrivals(loop)); /* closed with all others by MHD_stop_daemon() */
    }
    mailbox_destroy(&loop->arrivals);
    mailbox_destroy(&loop->woken);
    free(loop);
    *loop_p = NULL;
}

nhub_err http_loop_take(struct http_loop *loop, int fd, const struct sockaddr *peer,
                        socklen_t peer_len)
{
    struct arrival *arrival = calloc(1, sizeof *arrival);

    if (!arrival || peer_len > sizeof arrival->peer) {
        close(fd);
        free(arrival);
        return NHUB_ENOMEM;
    }
    arrival->fd = fd;
    arrival->peer_len = peer_len;
    memcpy(&arrival->peer, peer, peer_len);
    mailbox_post(loop->arrivals, &arrival->letter);
    return NHUB_OK;
}

void http_loop_wake(struct http_loop *loop, struct letter *letter)
{
    mailbox_post(loop->woken, letter);
}
