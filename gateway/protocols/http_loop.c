/*
 * http_loop: a turn: wait, connections with news, those whose turn was cut short, woken requests,
 * new connections, the tick.
 */
#include "gateway/protocols/http_loop.h"

#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_conn.h"
#include "gateway/protocols/http_exchange.h"
#include "gateway/protocols/http_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TICK_MS = 1000, EVENTS_A_TURN = 256 };

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
    struct http_scratch scratch;
    int64_t date_s; /* of side->date */
    pthread_t thread;
    bool is_running;
};

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
            const struct arrival *arrival = (struct arrival *)(void *)letter;

            http_conn_open(loop->side, arrival->fd, (const struct sockaddr *)&arrival->peer,
                           arrival->peer_len);
            free(letter);
        }
        letter = next;
    }
    return is_stopped;
}

static void resume_woken(struct http_loop *loop)
{
    struct letter *letter = mailbox_take_all(loop->woken);

    while (letter) {
        struct http_request *r = (struct http_request *)(void *)letter;

        letter = letter->next; /* read before the request goes on */
        http_conn_resume(r->conn);
    }
}

/* Those that join the list again meanwhile come next time. */
static void run_again(struct http_side *side)
{
    struct list turn;

    list_init(&turn);
    list_splice(&turn, &side->again);
    while (!list_empty(&turn)) {
        struct http_conn *conn = list_entry(turn.next, struct http_conn, again);

        list_remove(&conn->again);
        http_conn_turn(conn);
    }
}

static void look_at_clocks(struct http_loop *loop)
{
    const int64_t now_s = clock_wall_us() / 1000000;

    loop->side->now_ms = clock_mono_ms();
    if (now_s != loop->date_s) {
        loop->date_s = now_s;
        http_answer_date(now_s, loop->side->date);
    }
}

/* Once a second: the sign of life, and what has time limits. */
static void tick(struct http_side *side)
{
    struct http_server *server = side->server;

    atomic_store(&side->heartbeat_ms, side->now_ms);
    http_conns_sweep(&side->conns, side->now_ms);
    if (side == &server->sides[HTTP_SIDE_REQUESTS]) {
        http_rates_tick(&server->rates, &server->gateway->counters, side->now_ms);
    }
}

/* Waits until next_tick_ms at most; connections that have news get their turns.
 * False: the letter that ends the thread is there. */
static bool turn(struct http_loop *loop, int64_t next_tick_ms)
{
    struct http_side *side = loop->side;
    struct epoll_event events[EVENTS_A_TURN];
    const int64_t left_ms = next_tick_ms > side->now_ms ? next_tick_ms - side->now_ms : 0;
    const int count = epoll_wait(side->epoll_fd, events, EVENTS_A_TURN,
                                 list_empty(&side->again) ? (int)left_ms : 0);
    bool has_woken = false;
    bool has_new = false;

    look_at_clocks(loop);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == loop->woken) {
            has_woken = true;
        } else if (events[i].data.ptr == loop->arrivals) {
            has_new = true;
        } else {
            http_conn_event(events[i].data.ptr, events[i].events);
        }
    }
    run_again(side);
    http_exchange_flush(side); /* the link works while answers go out */
    if (has_woken) {
        resume_woken(loop);
        http_exchange_flush(side);
    }
    return !has_new || !take_arrivals(loop);
}

static void *run(void *argument)
{
    struct http_loop *loop = argument;
    struct http_side *side = loop->side;
    int64_t next_tick_ms = 0;

    look_at_clocks(loop);
    next_tick_ms = side->now_ms + TICK_MS;
    while (turn(loop, next_tick_ms)) {
        if (side->now_ms >= next_tick_ms) {
            tick(side);
            next_tick_ms = side->now_ms + TICK_MS;
        }
    }
    return NULL;
}

static nhub_err watch_mailbox(struct http_side *side, struct mailbox *box)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = box};

    return epoll_ctl(side->epoll_fd, EPOLL_CTL_ADD, mailbox_fd(box), &event) == 0 ? NHUB_OK
                                                                                  : NHUB_ESYS;
}

static nhub_err open_parts(struct http_loop *loop)
{
    struct http_side *side = loop->side;
    nhub_err err = NHUB_OK;

    side->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    err = side->epoll_fd >= 0 ? mailbox_create(&loop->arrivals) : NHUB_ESYS;
    if (err == NHUB_OK) {
        err = mailbox_create(&loop->woken);
    }
    if (err == NHUB_OK) {
        err = watch_mailbox(side, loop->arrivals);
    }
    return err == NHUB_OK ? watch_mailbox(side, loop->woken) : err;
}

nhub_err http_loop_create(struct http_loop **out, struct http_side *side, const char *name)
{
    struct http_loop *loop = calloc(1, sizeof *loop);
    nhub_err err = NHUB_OK;

    if (!loop) {
        return NHUB_ENOMEM;
    }
    loop->side = side;
    side->scratch = &loop->scratch;
    list_init(&side->again);
    err = open_parts(loop);
    /* Whoever is served by the thread looks at it through the side. */
    *out = loop;
    if (err == NHUB_OK) {
        err = pthread_create(&loop->thread, NULL, run, loop) == 0 ? NHUB_OK : NHUB_ESYS;
    }
    if (err != NHUB_OK) {
        http_loop_destroy(out);
        return err;
    }
    loop->is_running = true;
    pthread_setname_np(loop->thread, name);
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
        NHUB_IGNORE(take_arrivals(loop)); /* closed with all the others */
    }
    while (loop->side->conns.first) {
        http_conn_close(loop->side->conns.first);
    }
    http_exchange_forget(loop->side);
    buf_fini(&loop->scratch.out);
    mailbox_destroy(&loop->arrivals);
    mailbox_destroy(&loop->woken);
    if (loop->side->epoll_fd >= 0) {
        close(loop->side->epoll_fd);
    }
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
