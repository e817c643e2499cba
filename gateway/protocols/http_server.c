/*
 * http_server: the three daemons of libmicrohttpd, from start to stop.
 *
 * Each is driven by a thread of ours (http_loop) and fed through its queue by http_server_take().
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

/* Bytes that libmicrohttpd has for a head and its table of headers, for reading bodies and writing
 * heads of answers. */
static const size_t pools[HTTP_SIDES] = {
    [HTTP_SIDE_REQUESTS] = 8192,
    [HTTP_SIDE_STREAMS] = 3072,
    [HTTP_SIDE_WIDE] = 65536,
};

/* Of the threads. */
static const char *const names[HTTP_SIDES] = {
    [HTTP_SIDE_REQUESTS] = "http-requests",
    [HTTP_SIDE_STREAMS] = "http-streams",
    [HTTP_SIDE_WIDE] = "http-wide",
};

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2 * 1000 * 1000}, NULL);
}

/* Ending a stream is, to libmicrohttpd, an error of the application: not worth a line. */
static void on_log(void *cls, const char *format, va_list args) NHUB_PRINTF(2, 0);
static void on_log(void *cls, const char *format, va_list args)
{
    char text[256];

    (void)cls;
    if (!log_enabled(LOG_LEVEL_DEBUG)) {
        return;
    }
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    if (!strstr(text, "Application reported internal error")) {
        log_debug("microhttpd", log_str("text", text));
    }
}

static nhub_err start_side(struct http_side *side, size_t pool, const char *name)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET |
                           MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    const unsigned limit = (unsigned)side->server->max_connections + 8;

    atomic_store(&side->heartbeat_ms, clock_mono_ms());
    /* clang-format off */
    side->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_exchange_request, side,
                                    MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                                    MHD_OPTION_CONNECTION_LIMIT, limit,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
                                    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_IDLE_MS / 1000),
                                    MHD_OPTION_NOTIFY_COMPLETED, http_exchange_completed, side,
                                    MHD_OPTION_NOTIFY_CONNECTION, http_exchange_connection, side,
                                    MHD_OPTION_URI_LOG_CALLBACK, http_exchange_request_line, side,
                                    MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                    MHD_OPTION_END);
    /* clang-format on */
    return side->daemon ? http_loop_create(&side->loop, side, name) : NHUB_ESYS;
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
    pthread_mutex_init(&server->pages_lock, NULL);
    http_rates_tick(&server->rates, &gateway->counters, clock_mono_ms()); /* where growth begins */
    for (int i = 0; i < HTTP_SIDES; i++) {
        server->sides[i].server = server;
    }
    err = http_static_create(&server->files, gateway->settings->gateway.web_root);
    if (err == NHUB_OK) {
        err = http_api_add(server->files);
    }
    for (int i = 0; i < HTTP_SIDES && err == NHUB_OK; i++) {
        err = start_side(&server->sides[i], pools[i], names[i]);
    }
    if (err != NHUB_OK) {
        http_server_destroy(&server);
        return err;
    }
    *out = server;
    return NHUB_OK;
}

/* More connections than libmicrohttpd takes would be closed without a word. */
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
    http_answer_write(&answer, &text);
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
        nap(); /* MHD_stop_daemon() panics on a suspended connection */
    }
    for (int i = 0; i < HTTP_SIDES; i++) {
        http_loop_destroy(&server->sides[i].loop);
        if (server->sides[i].daemon) {
            MHD_stop_daemon(server->sides[i].daemon);
        }
    }
    for (struct http_page *page = server->pages; page; page = page->next) {
        MHD_destroy_response(page->shared);
        page->shared = NULL;
    }
    http_static_destroy(&server->files);
    pthread_mutex_destroy(&server->pages_lock);
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
