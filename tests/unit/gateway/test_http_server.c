/*
 * http_server and its routes over socket pairs, with a hub link and a stream loop that the test
 * plays itself: the functions below stand in for the real ones at link time.
 */
#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/http_server.h"
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
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void answer_job(struct publish_job *job)
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
    (void)link;
    pthread_mutex_lock(&world.lock);
    snprintf(world.last_line, sizeof world.last_line, "%.*s", (int)job->events[0].len,
             job->events[0].line);
    if (world.hold) {
        world.held[world.held_count++] = job;
    } else {
        answer_job(job);
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
}

void stream_loop_history(struct stream_loop *loop, struct history_job *job)
{
    (void)loop;
    buf_printf(&job->page, "{\"events\":[],\"patterns\":%zu}", job->query.pattern_count);
    job->err = NHUB_OK;
    job->done(job);
}

void stream_loop_adopt_ws(struct stream_loop *loop, int fd)
{
    (void)loop;
    close(fd);
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

static int set_up(void **state)
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
    log_open("test", 2, LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    buf_init(&error);
    settings_options(&f->settings, &f->options);
    assert_int_equal(options_defaults(&f->options, &error), NHUB_OK);
    assert_int_equal(
        options_set(&f->options, "gateway.allowed_origins", "https://app.example", &error),
        NHUB_OK);
    assert_int_equal(options_set(&f->options, "gateway.max_connections", "32", &error), NHUB_OK);
    buf_fini(&error);
    f->gateway.settings = &f->settings;
    assert_int_equal(http_server_create(&f->gateway.http, &f->gateway), NHUB_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    http_server_destroy(&f->gateway.http);
    options_free(&f->options);
    free(f);
    return 0;
}

static int dial_side(struct fixture *f, bool sse)
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

static int dial(struct fixture *f)
{
    return dial_side(f, false);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

struct reply {
    int status;
    char head[4096];
    char body[65536];
    size_t body_len;
};

static bool read_byte(int fd, char *out, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, timeout_ms) > 0 && recv(fd, out, 1, 0) == 1;
}

/* Reads one answer with its Content-Length; status 0 when the connection ended or nothing came. */
static struct reply *hear(int fd)
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

static struct reply *ask(struct fixture *f, const char *request)
{
    const int fd = dial(f);
    struct reply *r = NULL;

    say(fd, request);
    r = hear(fd);
    close(fd);
    return r;
}

static struct reply *post(struct fixture *f, const char *headers, const char *body)
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
static void expect_problem(struct fixture *f, struct reply *r, int status, enum gateway_door door,
                           enum reject_reason reason)
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

static bool eventually(bool (*is_true)(struct fixture *f), struct fixture *f)
{
    for (int i = 0; i < 500; i++) {
        if (is_true(f)) {
            return true;
        }
        usleep(10000);
    }
    return false;
}

static size_t held_count(void)
{
    size_t n;

    pthread_mutex_lock(&world.lock);
    n = world.held_count;
    pthread_mutex_unlock(&world.lock);
    return n;
}

static void release_jobs(void)
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

static void a_post_is_answered_with_the_number(void **state)
{
    struct reply *r = post(*state, "Content-Type: application/x-www-form-urlencoded\r\n",
                           "{\"event_type\":\"a\",\"data\":{\"x\":1}}");
    json_t *answer = json_loads(r->body, 0, NULL);

    assert_int_equal(r->status, 202);
    assert_int_equal(json_integer_value(json_object_get(answer, "seq")), 1);
    assert_string_equal(text_of(answer, "epoch"), "abcdefgh");
    assert_string_equal(text_of(answer, "durability"), "memory");
    assert_int_equal(strlen(text_of(answer, "correlation_id")), 36);
    assert_non_null(strstr(world.last_line, text_of(answer, "correlation_id")));
    assert_non_null(strstr(world.last_line, "\"source_service\":\"http\",\"data\":{\"x\":1}"));
    json_decref(answer);
    free(r);
}

static void a_batch_is_answered_with_its_range(void **state)
{
    struct reply *r = post(*state, "Content-Type: application/json\r\nIdempotency-Key: k\r\n",
                           "[{\"event_type\":\"a\"},{\"event_type\":\"b\",\"who\":1}]");

    assert_int_equal(r->status, 202);
    assert_string_equal(r->body, "{\"accepted\":2,\"first_seq\":1,\"last_seq\":2,\"epoch\":"
                                 "\"abcdefgh\",\"durability\":\"memory\",\"ignored\":[\"who\"]}\n");
    assert_non_null(strstr(world.last_line, "\"id\":\"k/0\""));
    free(r);
}

static void bad_json_is_told_with_its_offset(void **state)
{
    struct reply *r = post(*state, "", "{\"event_type\":\"a\",}");

    assert_non_null(strstr(r->body, "\"offset\":18"));
    expect_problem(*state, r, 400, GATEWAY_DOOR_HTTP, REJECT_BAD_JSON);
}

static void the_hubs_refusal_reaches_the_client(void **state)
{
    static const struct {
        enum publish_outcome outcome;
        const char *code;
        int status;
        enum reject_reason reason;
    } cases[] = {
        {PUBLISH_REFUSED, "duplicate_conflict", 422, REJECT_DUPLICATE_CONFLICT},
        {PUBLISH_REFUSED, "durability_unavailable", 503, REJECT_DURABILITY},
        {PUBLISH_UNAVAILABLE, "", 503, REJECT_HUB_UNAVAILABLE},
        {PUBLISH_UNKNOWN, "", 503, REJECT_OUTCOME_UNKNOWN},
        {PUBLISH_OVERLOADED, "", 503, REJECT_OVERLOADED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply *r = NULL;

        world.outcome = cases[i].outcome;
        world.code = cases[i].code;
        r = post(*state, "", "{\"event_type\":\"a\"}");
        if (cases[i].outcome != PUBLISH_REFUSED) {
            assert_non_null(strstr(r->head, "Retry-After: 1\r\n"));
        }
        expect_problem(*state, r, cases[i].status, GATEWAY_DOOR_HTTP, cases[i].reason);
    }
}

static bool all_wait(struct fixture *f)
{
    (void)f;
    return held_count() == 16;
}

static void waiting_posts_do_not_hold_up_others_and_all_are_answered(void **state)
{
    struct fixture *f = *state;
    static const char request[] = "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n"
                                  "{\"event_type\":\"a\"}";
    struct reply *r = NULL;
    int fds[16];

    world.hold = true;
    for (int i = 0; i < 16; i++) {
        fds[i] = dial(f);
        say(fds[i], request);
    }
    assert_true(eventually(all_wait, f));
    assert_int_equal(http_server_waiting(f->gateway.http), 16);
    r = ask(f, "GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(r->status, 200);
    free(r);
    release_jobs();
    for (int i = 0; i < 16; i++) {
        r = hear(fds[i]);
        assert_int_equal(r->status, 202);
        free(r);
        close(fds[i]);
    }
}

static void *release_later(void *unused)
{
    (void)unused;
    usleep(200000);
    release_jobs();
    return NULL;
}

static bool one_waits(struct fixture *f)
{
    (void)f;
    return held_count() == 1;
}

static void finish_sees_waits_out_and_refuses_new_ones(void **state)
{
    struct fixture *f = *state;
    const int fd = dial(f);
    pthread_t thread;
    struct reply *r = NULL;

    world.hold = true;
    say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n{\"event_type\":\"a\"}");
    assert_true(eventually(one_waits, f));
    assert_int_equal(pthread_create(&thread, NULL, release_later, NULL), 0);
    http_server_finish(f->gateway.http);
    assert_int_equal(http_server_waiting(f->gateway.http), 0);
    pthread_join(thread, NULL);
    r = hear(fd);
    assert_int_equal(r->status, 202);
    free(r);
    close(fd);
    expect_problem(f, post(f, "", "{\"event_type\":\"a\"}"), 503, GATEWAY_DOOR_HTTP,
                   REJECT_DRAINING);
}

/* ---- bodies that are refused ---- */

static void a_body_over_the_limit_is_refused_before_it_is_sent(void **state)
{
    expect_problem(*state,
                   ask(*state, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n"
                               "Expect: 100-continue\r\n\r\n"),
                   413, GATEWAY_DOOR_HTTP, REJECT_TOO_BIG);
}

static void the_answer_reaches_a_client_that_is_still_sending(void **state)
{
    const int fd = dial(*state);
    char *chunk = calloc(1, 100000);
    struct reply *r = NULL;
    size_t sent = 0;

    say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 12000000\r\n\r\n");
    memset(chunk, 'x', 100000);
    while (sent < 12000000) { /* all of it, without looking at the answer */
        const ssize_t n = send(fd, chunk, 100000, MSG_NOSIGNAL);

        assert_true(n > 0);
        sent += (size_t)n;
    }
    r = hear(fd);
    assert_non_null(strstr(r->head, "Connection: close\r\n"));
    expect_problem(*state, r, 413, GATEWAY_DOOR_HTTP, REJECT_TOO_BIG);
    free(chunk);
    close(fd);
}

static void a_small_refused_body_keeps_the_connection(void **state)
{
    const int fd = dial(*state);
    struct reply *r = NULL;

    say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Type: application/xml\r\n"
            "Content-Length: 5\r\n\r\n<a/> GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_problem(*state, hear(fd), 415, GATEWAY_DOOR_HTTP, REJECT_CONTENT_TYPE);
    r = hear(fd);
    assert_int_equal(r->status, 200);
    free(r);
    close(fd);
}

static void a_refused_body_that_stalls_is_answered_after_two_seconds(void **state)
{
    const int fd = dial(*state);
    const int64_t start_ms = clock_mono_ms();

    say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Type: application/xml\r\n"
            "Content-Length: 500\r\n\r\n<a/>");
    expect_problem(*state, hear(fd), 415, GATEWAY_DOOR_HTTP, REJECT_CONTENT_TYPE);
    assert_in_range(clock_mono_ms() - start_ms, 1900, 5000);
    close(fd);
}

static void chunked_bodies_are_read(void **state)
{
    struct reply *r = ask(*state, "POST /events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked"
                                  "\r\n\r\n9\r\n{\"event_t\r\n9\r\nype\":\"a\"}\r\n0\r\n\r\n");

    assert_int_equal(r->status, 202);
    free(r);
}

static void expect_100_is_answered(void **state)
{
    const int fd = dial(*state);
    struct reply *r = NULL;

    say(fd,
        "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n");
    r = hear(fd);
    assert_int_equal(r->status, 100);
    free(r);
    say(fd, "{\"event_type\":\"a\"}");
    r = hear(fd);
    assert_int_equal(r->status, 202);
    free(r);
    close(fd);
}

/* ---- addresses, methods, pages ---- */

static void refusals_of_heads(void **state)
{
    static const struct {
        const char *request;
        int status;
        enum gateway_door door;
        enum reject_reason reason;
        const char *header;
    } cases[] = {
        {"GET /nowhere", 404, GATEWAY_DOOR_HTTP, REJECT_NOT_FOUND, NULL},
        {"GET /../../etc/passwd", 404, GATEWAY_DOOR_HTTP, REJECT_NOT_FOUND, NULL},
        {"DELETE /events", 405, GATEWAY_DOOR_HTTP, REJECT_METHOD,
         "Allow: POST, GET, HEAD, OPTIONS"},
        {"GET /%zz", 400, GATEWAY_DOOR_HTTP, REJECT_BAD_REQUEST, NULL},
        {"GET /events?sinc=1", 400, GATEWAY_DOOR_HTTP, REJECT_BAD_QUERY, NULL},
        {"GET /events/stream?since=x", 400, GATEWAY_DOOR_SSE, REJECT_BAD_SINCE, NULL},
        {"GET /events/stream?policy=x", 400, GATEWAY_DOOR_SSE, REJECT_BAD_QUERY, NULL},
        {"GET /ws", 426, GATEWAY_DOOR_WS, REJECT_BAD_UPGRADE, "Upgrade: websocket"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = *state;
        char request[256];
        struct reply *r = NULL;

        memset(f->gateway.counters.rejected, 0, sizeof f->gateway.counters.rejected);
        snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].request);
        r = ask(f, request);
        if (cases[i].header) {
            assert_non_null(strstr(r->head, cases[i].header));
        }
        expect_problem(f, r, cases[i].status, cases[i].door, cases[i].reason);
    }
}

static void foreign_pages_are_refused_and_listed_ones_told_so(void **state)
{
    struct reply *r = NULL;

    expect_problem(*state,
                   ask(*state, "GET /stats HTTP/1.1\r\nHost: h\r\nOrigin: http://evil\r\n\r\n"),
                   403, GATEWAY_DOOR_HTTP, REJECT_FOREIGN_ORIGIN);
    r = ask(*state, "OPTIONS /events HTTP/1.1\r\nHost: h\r\nOrigin: https://app.example\r\n"
                    "Access-Control-Request-Method: POST\r\n"
                    "Access-Control-Request-Headers: content-type\r\n\r\n");
    assert_int_equal(r->status, 204);
    assert_non_null(strstr(r->head, "Access-Control-Allow-Origin: https://app.example\r\n"));
    assert_non_null(strstr(r->head, "Access-Control-Allow-Headers: content-type\r\n"));
    assert_non_null(strstr(r->head, "Access-Control-Allow-Methods: POST, GET, HEAD, OPTIONS\r\n"));
    assert_non_null(strstr(r->head, "Vary: Origin\r\n"));
    free(r);
}

static void pages_without_files_and_descriptions_are_there(void **state)
{
    static const struct {
        const char *path, *type;
    } pages[] = {
        {"/", "text/plain; charset=utf-8"},
        {"/openapi.json", "application/json"},
        {"/asyncapi.json", "application/json"},
        {"/stats", "application/json"},
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8"},
        {"/events", "application/json"},
    };

    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        char request[256];
        struct reply *r = NULL;

        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", pages[i].path);
        r = ask(*state, request);
        assert_int_equal(r->status, 200);
        snprintf(request, sizeof request, "Content-Type: %s\r\n", pages[i].type);
        assert_non_null(strstr(r->head, request));
        assert_true(r->body_len > 0);
        if (strcmp(pages[i].type, "application/json") == 0) {
            json_t *json = json_loads(r->body, 0, NULL);

            assert_non_null(json);
            json_decref(json);
        }
        free(r);
    }
}

static void probes_tell_the_truth(void **state)
{
    struct reply *r = ask(*state, "GET /health/ready HTTP/1.1\r\nHost: h\r\n\r\n");

    assert_int_equal(r->status, 200);
    free(r);
    world.not_ready = "no answer from the hub";
    r = ask(*state, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->body, "no answer from the hub"));
    free(r);
    world.stuck = "streams";
    r = ask(*state, "GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->body, "streams"));
    free(r);
}

/* ---- streams ---- */

static bool stream_is_open(struct fixture *f)
{
    bool is_open;

    (void)f;
    pthread_mutex_lock(&world.lock);
    is_open = world.stream != NULL;
    pthread_mutex_unlock(&world.lock);
    return is_open;
}

static void open_and_end_stream(struct fixture *f, int fd, const char *request)
{
    char got[8] = "";

    say(fd, request);
    assert_true(eventually(stream_is_open, f));
    assert_int_equal(world.stream->query.pattern_count, 1);
    assert_string_equal(world.stream->query.patterns[0], "a b");
    assert_int_equal(send(world.stream->fd, "hello", 5, MSG_NOSIGNAL), 5);
    assert_int_equal(recv(fd, got, 5, MSG_WAITALL), 5);
    assert_string_equal(got, "hello");
    shutdown(world.stream->fd, SHUT_WR);
    world.stream->closed(world.stream);
    assert_false(read_byte(fd, got, 5000)); /* the end */
}

static void a_stream_is_written_by_the_stream_loop_and_ends_with_it(void **state)
{
    const int fd = dial_side(*state, true);

    open_and_end_stream(*state, fd,
                        "GET /events?event_type=a+b HTTP/1.1\r\nHost: h\r\n"
                        "Accept: text/event-stream\r\nLast-Event-ID: abcdefgh-7\r\n\r\n");
    close(fd);
}

static void a_stream_opens_on_a_used_connection_too(void **state)
{
    const int fd = dial(*state);
    struct reply *r = NULL;

    say(fd, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
    r = hear(fd);
    assert_int_equal(r->status, 200);
    free(r);
    open_and_end_stream(*state, fd,
                        "GET /events/stream?event_type=a%20b HTTP/1.1\r\nHost: h\r\n\r\n");
    close(fd);
}

static void streams_are_refused_while_draining(void **state)
{
    struct fixture *f = *state;

    atomic_store(&f->gateway.draining, true);
    expect_problem(f, ask(f, "GET /events/stream HTTP/1.1\r\nHost: h\r\n\r\n"), 503,
                   GATEWAY_DOOR_SSE, REJECT_DRAINING);
}

/* ---- the server itself ---- */

static bool nothing_is_open(struct fixture *f)
{
    return counter_get(&f->gateway.counters.connections_open) == 0;
}

static void connections_are_counted_and_limited(void **state)
{
    struct fixture *f = *state;
    int fds[32];
    int fd = -1;

    for (int i = 0; i < 32; i++) {
        fds[i] = dial(f);
    }
    fd = dial(f);
    expect_problem(f, hear(fd), 503, GATEWAY_DOOR_HTTP, REJECT_TOO_MANY_CONNECTIONS);
    close(fd);
    for (int i = 0; i < 32; i++) {
        close(fds[i]);
    }
    assert_true(eventually(nothing_is_open, f));
}

static void the_heartbeat_is_fresh(void **state)
{
    struct fixture *f = *state;

    usleep(1500000);
    assert_in_range(http_server_heartbeat_age_ms(f->gateway.http), 0, 1400);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_post_is_answered_with_the_number),
        TEST(a_batch_is_answered_with_its_range),
        TEST(bad_json_is_told_with_its_offset),
        TEST(the_hubs_refusal_reaches_the_client),
        TEST(waiting_posts_do_not_hold_up_others_and_all_are_answered),
        TEST(finish_sees_waits_out_and_refuses_new_ones),
        TEST(a_body_over_the_limit_is_refused_before_it_is_sent),
        TEST(the_answer_reaches_a_client_that_is_still_sending),
        TEST(a_small_refused_body_keeps_the_connection),
        TEST(a_refused_body_that_stalls_is_answered_after_two_seconds),
        TEST(chunked_bodies_are_read),
        TEST(expect_100_is_answered),
        TEST(refusals_of_heads),
        TEST(foreign_pages_are_refused_and_listed_ones_told_so),
        TEST(pages_without_files_and_descriptions_are_there),
        TEST(probes_tell_the_truth),
        TEST(a_stream_is_written_by_the_stream_loop_and_ends_with_it),
        TEST(a_stream_opens_on_a_used_connection_too),
        TEST(streams_are_refused_while_draining),
        TEST(connections_are_counted_and_limited),
        TEST(the_heartbeat_is_fresh),
    };

    if (argc > 1) {
        cmocka_set_test_filter(argv[1]); /* one test, by name or pattern */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
