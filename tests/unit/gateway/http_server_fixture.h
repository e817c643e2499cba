/*
 * http_server_fixture: an HTTP server over socket pairs, with a hub link and a stream loop that the
 * test plays itself: the functions below stand in for the real ones at link time. Included by one
 * file of each test program.
 */
#ifndef TESTS_HTTP_SERVER_FIXTURE_H
#define TESTS_HTTP_SERVER_FIXTURE_H

#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/http_clients_page.h"
#include "gateway/protocols/http_server.h"
#include "gateway/protocols/ws_opening.h"
#include "gateway/stream_loop.h"

#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the world around the server ---- */

static struct {
    pthread_mutex_t lock;
    bool hold; /* keep jobs until release_jobs() */
    struct publish_job *held[64];
    size_t held_count;
    enum publish_outcome outcome;
    const char *code;
    uint64_t next_seq;
    char last_line[4096];
    struct sse_open *stream; /* the last one opened */
    bool is_connected;
    const char *not_ready;
    const char *stuck;
    void (*handed_over)(void); /* in the HTTP thread, with a stream or a page */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void answer_job(struct publish_job *job)
{
    job->outcome = world.outcome;
    strcpy(job->epoch, "abcdefgh");
    job->durability_got = DURABILITY_MEMORY;
    if (world.outcome == PUBLISH_ACCEPTED) {
        job->first_seq = world.next_seq;
        job->last_seq = world.next_seq + job->count - 1;
        job->accepted = job->count;
        world.next_seq += job->count;
    } else if (world.outcome == PUBLISH_REFUSED) {
        snprintf(job->code, sizeof job->code, "%s", world.code);
        snprintf(job->error, sizeof job->error, "said the hub");
    }
    job->done(job);
}

void hub_link_publish(struct hub_link *link, struct publish_job *job)
{
    hub_link_publish_chain(link, job, job);
}

void hub_link_publish_chain(struct hub_link *link, struct publish_job *first,
                            struct publish_job *last)
{
    struct publish_job *job = first;

    (void)link;
    last->letter.next = NULL;
    pthread_mutex_lock(&world.lock);
    while (job) {
        struct publish_job *next = (struct publish_job *)(void *)job->letter.next;

        snprintf(world.last_line, sizeof world.last_line, "%.*s", (int)job->events[0].len,
                 job->events[0].line);
        if (world.hold) {
            world.held[world.held_count++] = job;
        } else {
            answer_job(job);
        }
        job = next;
    }
    pthread_mutex_unlock(&world.lock);
}

void hub_link_query(struct hub_link *link, struct query_job *job)
{
    static const char answer[] = "{\"success\":true,\"statistics\":{\"events_published\":7,"
                                 "\"rejected\":{\"bad_json\":2},\"ring\":{\"events\":3}}}";

    (void)link;
    job->err = NHUB_OK;
    buf_add_str(&job->answer, answer);
    job->done(job);
}

void hub_link_status(struct hub_link *link, struct hub_link_status *out)
{
    (void)link;
    *out = (struct hub_link_status){.connected = world.is_connected};
    strcpy(out->durability, "memory");
}

void stream_loop_open_sse(struct stream_loop *loop, struct sse_open *open)
{
    (void)loop;
    pthread_mutex_lock(&world.lock);
    world.stream = open;
    pthread_mutex_unlock(&world.lock);
    if (world.handed_over) {
        world.handed_over();
    }
}

void stream_loop_history(struct stream_loop *loop, struct history_job *job)
{
    (void)loop;
    buf_printf(&job->page, "{\"events\":[],\"patterns\":%zu}", job->query.pattern_count);
    job->err = NHUB_OK;
    job->done(job);
    if (world.handed_over) {
        world.handed_over();
    }
}

void stream_loop_clients(struct stream_loop *loop, struct clients_job *job)
{
    (void)loop;
    buf_add_str(&job->page, "{}");
    job->err = NHUB_OK;
    job->done(job);
}

void stream_loop_adopt_ws(struct stream_loop *loop, struct ws_opening **opening_p)
{
    (void)loop;
    ws_opening_destroy(opening_p);
}

int64_t stream_loop_heartbeat_age_ms(struct stream_loop *loop)
{
    (void)loop;
    return 0;
}

const char *gateway_stuck_loop(struct gateway *g)
{
    (void)g;
    return world.stuck;
}

const char *gateway_not_ready(struct gateway *g, char *text, size_t size)
{
    (void)g;
    snprintf(text, size, "%s", world.not_ready ? world.not_ready : "");
    return world.not_ready ? text : NULL;
}

/* ---- fixture ---- */

struct fixture {
    struct settings settings;
    struct options options;
    struct gateway gateway;
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct buf error;

    world.hold = false;
    world.held_count = 0;
    world.outcome = PUBLISH_ACCEPTED;
    world.next_seq = 1;
    world.stream = NULL;
    world.is_connected = true;
    world.not_ready = NULL;
    world.stuck = NULL;
    world.handed_over = NULL;
    log_open("test", 2, LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    buf_init(&error);
    settings_options(&f->settings, &f->options);
    assert_int_equal(options_defaults(&f->options, &error), NHUB_OK);
    assert_int_equal(
        options_set(&f->options, "gateway.allowed_origins", "https://app.example", &error),
        NHUB_OK);
    assert_int_equal(options_set(&f->options, "gateway.max_connections", "32", &error), NHUB_OK);
    /* Not the page that the build lays beside the programs. */
    assert_int_equal(options_set(&f->options, "gateway.web_root", "no-such-folder", &error),
                     NHUB_OK);
    buf_fini(&error);
    f->gateway.settings = &f->settings;
    assert_int_equal(http_server_create(&f->gateway.http, &f->gateway), NHUB_OK);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    http_server_destroy(&f->gateway.http);
    options_free(&f->options);
    free(f);
    return 0;
}

static inline int dial_side(struct fixture *f, bool sse)
{
    const struct sockaddr_in peer = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    counter_add(&f->gateway.counters.connections_open, 1);
    http_server_take(f->gateway.http, pair[1], (const struct sockaddr *)&peer, sizeof peer,
                     sse ? HTTP_SIDE_STREAMS : HTTP_SIDE_REQUESTS);
    return pair[0];
}

static inline int dial(struct fixture *f)
{
    return dial_side(f, false);
}

static inline void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

struct reply {
    int status;
    char head[4096];
    char body[262144];
    size_t body_len;
};

static inline bool read_byte(int fd, char *out, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, timeout_ms) > 0 && recv(fd, out, 1, 0) == 1;
}

/* Reads one answer with its Content-Length; status 0 when the connection ended or nothing came. */
static inline struct reply *hear(int fd)
{
    struct reply *r = calloc(1, sizeof *r);
    size_t n = 0;
    const char *length = NULL;

    while (n + 1 < sizeof r->head && !strstr(r->head, "\r\n\r\n")) {
        if (!read_byte(fd, &r->head[n], 5000)) {
            return r;
        }
        n++;
    }
    r->status = atoi(r->head + 9);
    length = strstr(r->head, "Content-Length: ");
    for (size_t left = length ? (size_t)atol(length + 16) : 0; left > 0; left--) {
        assert_true(r->body_len + 1 < sizeof r->body);
        assert_true(read_byte(fd, &r->body[r->body_len++], 5000));
    }
    return r;
}

static inline struct reply *ask(struct fixture *f, const char *request)
{
    const int fd = dial(f);
    struct reply *r = NULL;

    say(fd, request);
    r = hear(fd);
    close(fd);
    return r;
}

static inline struct reply *post(struct fixture *f, const char *headers, const char *body)
{
    char request[8192];

    snprintf(request, sizeof request,
             "POST /events HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n%s", headers,
             strlen(body), body);
    return ask(f, request);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

/* Checks a refusal in all its parts, and that it was counted once under its door. */
static inline void expect_problem(struct fixture *f, struct reply *r, int status,
                                  enum gateway_door door, enum reject_reason reason)
{
    json_t *problem = json_loads(r->body, 0, NULL);

    assert_int_equal(r->status, status);
    assert_non_null(strstr(r->head, "Content-Type: application/problem+json\r\n"));
    assert_non_null(problem);
    assert_string_equal(text_of(problem, "code"), reject_reason_code(reason));
    assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
    assert_true(strlen(text_of(problem, "detail")) > 0);
    assert_int_equal(counter_get(&f->gateway.counters.rejected[door][reason]), 1);
    json_decref(problem);
    free(r);
}

static inline bool eventually(bool (*is_true)(struct fixture *f), struct fixture *f)
{
    for (int i = 0; i < 500; i++) {
        if (is_true(f)) {
            return true;
        }
        usleep(10000);
    }
    return false;
}

static inline size_t held_count(void)
{
    size_t n;

    pthread_mutex_lock(&world.lock);
    n = world.held_count;
    pthread_mutex_unlock(&world.lock);
    return n;
}

static inline void release_jobs(void)
{
    pthread_mutex_lock(&world.lock);
    for (size_t i = 0; i < world.held_count; i++) {
        answer_job(world.held[i]);
    }
    world.held_count = 0;
    world.hold = false;
    pthread_mutex_unlock(&world.lock);
}

/* ---- publishing ---- */

#endif
