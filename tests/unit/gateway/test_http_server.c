/* http_server: what is posted, and the bodies and heads of requests. */
#include "http_server_fixture.h"

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

/* The best of three: a stall of the machine spoils one. */
static void a_refused_body_that_stalls_is_answered_after_two_seconds(void **state)
{
    struct fixture *f = *state;
    int64_t took_ms = 0;

    for (int tries = 0; tries == 0 || (took_ms > 5000 && tries < 3); tries++) {
        const int fd = dial(f);
        const int64_t start_ms = clock_mono_ms();
        struct reply *r = NULL;

        say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Type: application/xml\r\n"
                "Content-Length: 500\r\n\r\n<a/>");
        r = hear(fd);
        took_ms = clock_mono_ms() - start_ms;
        close(fd);
        if (took_ms <= 5000) {
            expect_problem(f, r, 415, GATEWAY_DOOR_HTTP, REJECT_CONTENT_TYPE);
        } else {
            free(r);
            counter_set(&f->gateway.counters.rejected[GATEWAY_DOOR_HTTP][REJECT_CONTENT_TYPE], 0);
        }
    }
    assert_in_range(took_ms, 1900, 5000);
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
    };

    if (argc > 1) {
        cmocka_set_test_filter(argv[1]); /* one test, by name or pattern */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
