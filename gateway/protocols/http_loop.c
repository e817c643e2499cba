/*
 * http_loop: take what is new, let libmicrohttpd work, wait.
 */
#include "gateway/protocols/http_loop.h"

#include "base/mailbox.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_private.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A connection on its way from the front door. */
struct arrival {
    struct letter letter; /* first */
    int fd;
    socklen_t peer_len;
    struct sockaddr_storage peer;
};

struct http_loop {
    struct http_side *side;
    struct mailbox *box;
    struct letter stop; /* posted once, ends the thread */
    int daemon_fd;      /* readable when libmicrohttpd has work */
    int wake_fd;        /* readable when a connection was resumed */
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
    struct letter *letter = mailbox_take_all(loop->box);
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

/* How long nothing will be due: connections that stay idle have a time limit. */
static int wait_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG due_ms;

    if (MHD_get_timeout(daemon, &due_ms) != MHD_YES) {
        return -1;
    }
    return due_ms < 60000 ? (int)due_ms : 60000;
}

static void *run(void *argument)
{
    struct http_loop *loop = argument;
    struct pollfd ready[] = {{.fd = loop->daemon_fd, .events = POLLIN},
                             {.fd = mailbox_fd(loop->box), .events = POLLIN},
                             {.fd = loop->wake_fd, .events = POLLIN}};
    eventfd_t wakes = 0;

    for (;;) {
        NHUB_IGNORE(MHD_run(loop->side->daemon) != MHD_YES); /* fails after its stop only */
        if (poll(ready, 3, wait_ms(loop->side->daemon)) <= 0) {
            continue;
        }
        if (ready[2].revents) {
            NHUB_IGNORE(eventfd_read(loop->wake_fd, &wakes) != 0);
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
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    err = loop->wake_fd >= 0 ? mailbox_create(&loop->box) : NHUB_ESYS;
    if (err == NHUB_OK && !info) {
        err = NHUB_ESYS;
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
        mailbox_post(loop->box, &loop->stop);
        pthread_join(loop->thread, NULL);
        NHUB_IGNORE(take_arrivals(loop)); /* closed with all others by MHD_stop_daemon() */
    }
    mailbox_destroy(&loop->box);
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    free(loop);
    *loop_p = NULL;
}

void http_loop_wake(struct http_loop *loop)
{
    NHUB_IGNORE(eventfd_write(loop->wake_fd, 1) != 0); /* full: it is awake */
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
    mailbox_post(loop->box, &arrival->letter);
    return NHUB_OK;
}
