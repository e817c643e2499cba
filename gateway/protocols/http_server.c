/*
 * http_server: its sides, from start to stop.
 *
 * Each has a thread (http_loop) and is fed through its queue by http_server_take().
 */
#include "gateway/protocols/http_server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_api.h"
#include "gateway/protocols/http_loop.h"
#include "gateway/protocols/http_private.h"
#include "gateway/protocols/http_static.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of the threads. */
static const char *const names[HTTP_SIDES] = {
    [HTTP_SIDE_REQUESTS] = "http-requests",
    [HTTP_SIDE_STREAMS] = "http-streams",
};

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2 * 1000 * 1000}, NULL);
}

nhub_err http_server_create(struct http_server **out, struct gateway *gateway)
{
    const size_t wanted = (size_t)gateway->settings->gateway.max_connections;
    struct http_server *server = calloc(1, sizeof *server);
    nhub_err err = NHUB_OK;

    if (!server) {
        return NHUB_ENOMEM;
    }
    server->gateway = gateway;
    /* Without a limit of its own what the process may open is the limit; the front door enforces
     * both for all doors together. */
    server->max_connections = wanted > 0 ? wanted : net_raise_fd_limit(65536);
    server->bodies_max = MEMORY_BODIES_COUNT * (size_t)gateway->settings->gateway.max_body_bytes;
    http_rates_tick(&server->rates, &gateway->counters, clock_mono_ms()); /* where growth begins */
    for (int i = 0; i < HTTP_SIDES; i++) {
        server->sides[i].server = server;
    }
    err = http_static_create(&server->files, gateway->settings->gateway.web_root);
    if (err == NHUB_OK) {
        err = http_api_add(server->files);
    }
    for (int i = 0; i < HTTP_SIDES && err == NHUB_OK; i++) {
        atomic_store(&server->sides[i].heartbeat_ms, clock_mono_ms());
        err = http_loop_create(&server->sides[i].loop, &server->sides[i], names[i]);
    }
    if (err != NHUB_OK) {
        http_server_destroy(&server);
        return err;
    }
    *out = server;
    return NHUB_OK;
}

/* Nobody is closed without a word. */
static void turn_away(struct http_server *server, int fd)
{
    struct http_answer answer = {0};
    struct problem problem = {.reason = REJECT_TOO_MANY_CONNECTIONS,
                              .detail = "the limit of open connections is reached"};
    struct buf text;

    counter_add(&server->gateway->counters.rejected[GATEWAY_DOOR_HTTP][problem.reason], 1);
    buf_init(&text);
    answer.status = problem_status(problem.reason);
    answer.content_type = PROBLEM_CONTENT_TYPE;
    problem_render(&problem, &answer.body);
    http_answer_write(&answer, true, &text);
    while (recv(fd, (char[4096]){0}, 4096, MSG_DONTWAIT) > 0) {
    } /* unread bytes would turn the close into a reset that overtakes the answer */
    NHUB_IGNORE(send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0);
    buf_fini(&text);
    http_answer_fini(&answer);
    close(fd);
}

void http_server_take(struct http_server *server, int fd, const struct sockaddr *peer,
                      socklen_t peer_len, enum http_side_kind kind)
{
    struct http_side *side = &server->sides[kind];

    if (atomic_fetch_add(&server->connections, 1) >= server->max_connections) {
        atomic_fetch_sub(&server->connections, 1);
        counter_sub(&server->gateway->counters.connections_open, 1);
        turn_away(server, fd);
        return;
    }
    if (http_loop_take(side->loop, fd, peer, peer_len) != NHUB_OK) {
        atomic_fetch_sub(&server->connections, 1);
        counter_sub(&server->gateway->counters.connections_open, 1);
    }
}

void http_server_finish(struct http_server *server)
{
    int64_t warn_at_ms = clock_mono_ms() + 10000;

    atomic_store(&server->is_finishing, true);
    while (atomic_load(&server->busy) > 0 || atomic_load(&server->waits) > 0) {
        nap(); /* each wait has its own deadline, gateway.ack_timeout_ms at the latest */
        if (clock_mono_ms() > warn_at_ms) {
            log_warn("stop_waits", log_uint("requests", atomic_load(&server->waits)));
            warn_at_ms += 10000;
        }
    }
}

void http_server_destroy(struct http_server **server_p)
{
    struct http_server *server = *server_p;

    if (!server) {
        return;
    }
    http_server_finish(server);
    while (atomic_load(&server->suspended) > 0) {
        nap(); /* whoever it belongs to still wakes it */
    }
    for (int i = 0; i < HTTP_SIDES; i++) {
        http_loop_destroy(&server->sides[i].loop);
    }
    http_static_destroy(&server->files);
    free(server);
    *server_p = NULL;
}

int64_t http_server_heartbeat_age_ms(struct http_server *server)
{
    const int64_t now_ms = clock_mono_ms();
    int64_t oldest_ms = now_ms;

    for (int i = 0; i < HTTP_SIDES; i++) {
        const int64_t beat_ms = atomic_load(&server->sides[i].heartbeat_ms);

        oldest_ms = beat_ms < oldest_ms ? beat_ms : oldest_ms;
    }
    return now_ms - oldest_ms;
}

const struct http_static *http_server_files(const struct http_server *server)
{
    return server->files;
}

const struct http_rates *http_server_rates(const struct http_server *server)
{
    return &server->rates;
}

size_t http_server_waiting(const struct http_server *server)
{
    return atomic_load(&server->waits);
}

bool http_server_charge(struct http_server *server, size_t bytes)
{
    if (atomic_fetch_add(&server->body_bytes, bytes) + bytes > server->bodies_max) {
        atomic_fetch_sub(&server->body_bytes, bytes);
        return false;
    }
    return true;
}

void http_server_refund(struct http_server *server, size_t bytes)
{
    atomic_fetch_sub(&server->body_bytes, bytes);
}
