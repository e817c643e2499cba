/* http_server: foreign pages, probes, descriptions, streams, limits. */
#include "http_server_fixture.h"

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

/* The oldest that the heartbeat gets within one and a half seconds. */
static int64_t oldest_heartbeat_ms(struct fixture *f)
{
    const int64_t until_ms = clock_mono_ms() + 1500;
    int64_t oldest_ms = 0;

    do {
        const int64_t age_ms = http_server_heartbeat_age_ms(f->gateway.http);

        assert_true(age_ms >= 0);
        oldest_ms = age_ms > oldest_ms ? age_ms : oldest_ms;
        usleep(10000);
    } while (clock_mono_ms() < until_ms);
    return oldest_ms;
}

/* The best of five: a stall of the machine spoils one. */
static void the_heartbeat_is_fresh(void **state)
{
    int64_t oldest_ms = INT64_MAX;

    for (int tries = 0; oldest_ms > 1400 && tries < 5; tries++) {
        oldest_ms = oldest_heartbeat_ms(*state);
    }
    assert_in_range(oldest_ms, 0, 1400);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
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
