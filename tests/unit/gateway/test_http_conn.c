/* http_conn: several requests on one connection, bytes in odd pieces, readers that are slow. */
#include "http_server_fixture.h"

#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>

#define LIVE "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"

static void expect_status(int fd, int status)
{
    struct reply *r = hear(fd);

    assert_int_equal(r->status, status);
    free(r);
}

static void expect_end(int fd)
{
    char byte;

    assert_false(read_byte(fd, &byte, 5000));
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0); /* not a silence */
}

static void bytes_may_come_one_by_one(void **state)
{
    static const char text[] = "\r\nPOST /events HTTP/1.1\r\nHost: h\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n12\r\n{\"event_type\":\"a\"}\r\n"
                               "0\r\n\r\n" LIVE;
    const int fd = dial(*state);

    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
        if (i % 8 == 0) {
            sched_yield(); /* so that some of them are read alone */
        }
    }
    expect_status(fd, 202);
    expect_status(fd, 200);
    close(fd);
}

static bool one_is_held(struct fixture *f)
{
    (void)f;
    return held_count() == 1;
}

static void what_is_sent_ahead_waits_for_its_turn(void **state)
{
    const int fd = dial(*state);

    world.hold = true;
    say(fd,
        "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n{\"event_type\":\"a\"}" LIVE
        "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n" LIVE);
    assert_true(eventually(one_is_held, *state));
    say(fd, LIVE);
    release_jobs();
    expect_status(fd, 202);
    expect_status(fd, 200);
    expect_status(fd, 404);
    expect_status(fd, 200);
    expect_status(fd, 200);
    close(fd);
}

static void many_sent_ahead_are_all_answered(void **state)
{
    enum { COUNT = 1000 };
    const int fd = dial(*state);
    char *text = calloc(COUNT, sizeof LIVE);

    for (int i = 0; i < COUNT; i++) {
        strcat(text + (size_t)i * (sizeof LIVE - 1), LIVE);
    }
    say(fd, text);
    for (int i = 0; i < COUNT; i++) {
        expect_status(fd, 200);
    }
    free(text);
    close(fd);
}

static void the_connection_lasts_as_long_as_both_want(void **state)
{
    static const struct {
        const char *head;
        const char *connection; /* of the answer; NULL = none is said */
        bool ends;
    } cases[] = {
        {"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", NULL, false},
        {"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: TE, close\r\n\r\n", "close", true},
        {"GET /livez HTTP/1.0\r\n\r\n", "close", true},
        {"GET /livez HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive", false},
        {"GET /livez HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "close", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int fd = dial(*state);
        struct reply *r = NULL;
        char line[64];

        say(fd, cases[i].head);
        r = hear(fd);
        assert_int_equal(r->status, 200);
        snprintf(line, sizeof line, "\r\nConnection: %s\r\n",
                 cases[i].connection ? cases[i].connection : "");
        assert_int_equal(strstr(r->head, line) != NULL, cases[i].connection != NULL);
        assert_int_equal(strstr(r->head, "Connection:") != NULL, cases[i].connection != NULL);
        free(r);
        if (cases[i].ends) {
            expect_end(fd);
        } else {
            say(fd, LIVE);
            expect_status(fd, 200);
        }
        close(fd);
    }
}

static void what_is_no_request_on_a_used_connection_is_told_and_ends_it(void **state)
{
    static const struct {
        const char *text;
        int status;
        enum reject_reason reason;
    } cases[] = {
        {"GET /livez\r\n\r\n", 400, REJECT_BAD_REQUEST},
        {"GET /livez HTTP/1.1\r\n\r\n", 400, REJECT_BAD_REQUEST},
        {"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, REJECT_BAD_REQUEST},
        {"GET /livez HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, REJECT_BAD_REQUEST},
        {"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx", 400,
         REJECT_BAD_REQUEST},
        {"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999999999999\r\n\r\nx", 400,
         REJECT_BAD_REQUEST},
        {"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400,
         REJECT_BAD_REQUEST},
        {"POST /events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
         REJECT_BAD_REQUEST},
        {"POST /events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy", 400,
         REJECT_BAD_REQUEST},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = *state;
        const int fd = dial(f);
        struct reply *r = NULL;
        char text[512];

        memset(f->gateway.counters.rejected, 0, sizeof f->gateway.counters.rejected);
        say(fd, LIVE);
        expect_status(fd, 200);
        /* What follows is not another request: nobody knows where one would begin. */
        snprintf(text, sizeof text, "%s" LIVE, cases[i].text);
        say(fd, text);
        r = hear(fd);
        assert_non_null(strstr(r->head, "\r\nConnection: close\r\n"));
        expect_problem(f, r, cases[i].status, GATEWAY_DOOR_HTTP, cases[i].reason);
        expect_end(fd);
        close(fd);
    }
}

static void a_head_that_is_too_large_is_told(void **state)
{
    enum { LARGE = 9000 };
    const int fd = dial(*state);
    char *text = malloc(LARGE + 1);

    say(fd, LIVE);
    expect_status(fd, 200);
    say(fd, "GET /livez HTTP/1.1\r\nHost: h\r\nX: ");
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    say(fd, text);
    free(text);
    expect_problem(*state, hear(fd), 431, GATEWAY_DOOR_HTTP, REJECT_HEAD_TOO_LARGE);
    expect_end(fd);
    close(fd);
}

static void a_head_up_to_the_limit_is_read(void **state)
{
    const int fd = dial(*state);
    char text[8192 + 1] = "GET /livez HTTP/1.1\r\nHost: h\r\nX: ";
    const size_t len = strlen(text);

    memset(text + len, 'x', sizeof text - 1 - len - 4);
    strcpy(text + sizeof text - 1 - 4, "\r\n\r\n");
    say(fd, text);
    expect_status(fd, 200);
    close(fd);
}

static void answers_without_a_body(void **state)
{
    const int fd = dial(*state);
    struct reply *r = NULL;
    size_t n = 0;
    char head[4096] = "";

    say(fd, "OPTIONS /events HTTP/1.1\r\nHost: h\r\n\r\n");
    r = hear(fd);
    assert_int_equal(r->status, 204);
    assert_null(strstr(r->head, "Content-Length"));
    free(r);
    say(fd, "HEAD /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!strstr(head, "\r\n\r\n")) {
        assert_true(n + 1 < sizeof head && read_byte(fd, &head[n++], 5000));
    }
    assert_non_null(strstr(head, "\r\nContent-Length: "));
    assert_null(strstr(head, "\r\nContent-Length: 0\r\n"));
    say(fd, LIVE); /* what comes next is its answer */
    expect_status(fd, 200);
    close(fd);
}

static void a_refused_head_request_has_no_body_either(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"HEAD /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"HEAD /livez HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400},
        /* Told before its body is there. */
        {"HEAD /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", 404},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int fd = dial(*state);
        char head[4096] = "";
        size_t n = 0;

        say(fd, cases[i].text);
        while (!strstr(head, "\r\n\r\n")) {
            assert_true(n + 1 < sizeof head && read_byte(fd, &head[n++], 5000));
        }
        assert_int_equal(atoi(head + 9), cases[i].status);
        assert_non_null(strstr(head, "\r\nContent-Length: "));
        expect_end(fd);
        close(fd);
    }
}

static void a_slow_reader_gets_all_of_a_long_answer(void **state)
{
    struct fixture *f = *state;
    const struct sockaddr_in peer = {.sin_family = AF_INET};
    const int small = 4608;
    struct reply *r = NULL;
    json_t *json = NULL;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    counter_add(&f->gateway.counters.connections_open, 1);
    http_server_take(f->gateway.http, pair[1], (const struct sockaddr *)&peer, sizeof peer,
                     HTTP_SIDE_REQUESTS);
    say(pair[0], "GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" LIVE);
    r = hear(pair[0]); /* byte by byte */
    assert_int_equal(r->status, 200);
    assert_true(r->body_len > 4 * (size_t)small);
    json = json_loads(r->body, 0, NULL);
    assert_non_null(json);
    json_decref(json);
    free(r);
    expect_status(pair[0], 200);
    close(pair[0]);
}

static void a_client_that_ends_its_direction_is_still_answered(void **state)
{
    const int fd = dial(*state);

    world.hold = true;
    say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n{\"event_type\":\"a\"}");
    shutdown(fd, SHUT_WR);
    assert_true(eventually(one_is_held, *state));
    release_jobs();
    expect_status(fd, 202);
    expect_end(fd);
    close(fd);
}

static int watched_fd; /* the server's end of a pair */

static size_t unread(void)
{
    int bytes = 0;

    assert_int_equal(ioctl(watched_fd, SIOCINQ, &bytes), 0);
    return (size_t)bytes;
}

static bool all_is_read(struct fixture *f)
{
    (void)f;
    return unread() == 0;
}

static void what_is_read_ahead_is_bounded(void **state)
{
    static const char start[] = "POST /events HTTP/1.1\r\nHost: h\r\nX: ";
    static const char end[] = "\r\nContent-Length: 18\r\n\r\n{\"event_type\":\"a\"}";
    enum { AHEAD = 40000, FIRST = 7000, READ_MAX = 16384 };
    struct fixture *f = *state;
    const struct sockaddr_in peer = {.sin_family = AF_INET};
    char *text = malloc(AHEAD);
    size_t left = 0;
    int pair[2];

    memset(text, 'x', AHEAD);
    memcpy(text, start, sizeof start - 1);
    memcpy(text + FIRST, end, sizeof end - 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    watched_fd = pair[1];
    world.hold = true;
    counter_add(&f->gateway.counters.connections_open, 1);
    http_server_take(f->gateway.http, pair[1], (const struct sockaddr *)&peer, sizeof peer,
                     HTTP_SIDE_REQUESTS);
    assert_int_equal(send(pair[0], text, FIRST, MSG_NOSIGNAL), FIRST);
    assert_true(eventually(all_is_read, f));
    assert_int_equal(send(pair[0], text + FIRST, AHEAD - FIRST, MSG_NOSIGNAL), AHEAD - FIRST);
    assert_true(eventually(one_is_held, f));
    left = unread();
    release_jobs();
    assert_true(AHEAD - left <= READ_MAX);
    expect_status(pair[0], 202);
    close(pair[0]);
    free(text);
}

static bool nothing_is_open(struct fixture *f)
{
    return counter_get(&f->gateway.counters.connections_open) == 0;
}

static void a_client_that_leaves_while_it_waits_is_forgotten_after_its_answer(void **state)
{
    const int fd = dial(*state);

    world.hold = true;
    say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n{\"event_type\":\"a\"}");
    assert_true(eventually(one_is_held, *state));
    close(fd);
    release_jobs();
    assert_true(eventually(nothing_is_open, *state));
}

static void a_body_that_ends_early_is_told_at_once(void **state)
{
    const int fd = dial(*state);

    say(fd, "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{");
    shutdown(fd, SHUT_WR);
    expect_problem(*state, hear(fd), 400, GATEWAY_DOOR_HTTP, REJECT_BAD_REQUEST);
    expect_end(fd);
    close(fd);
    assert_true(eventually(nothing_is_open, *state));
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_may_come_one_by_one),
        TEST(what_is_sent_ahead_waits_for_its_turn),
        TEST(many_sent_ahead_are_all_answered),
        TEST(the_connection_lasts_as_long_as_both_want),
        TEST(what_is_no_request_on_a_used_connection_is_told_and_ends_it),
        TEST(a_head_that_is_too_large_is_told),
        TEST(a_head_up_to_the_limit_is_read),
        TEST(answers_without_a_body),
        TEST(a_refused_head_request_has_no_body_either),
        TEST(a_slow_reader_gets_all_of_a_long_answer),
        TEST(a_client_that_ends_its_direction_is_still_answered),
        TEST(what_is_read_ahead_is_bounded),
        TEST(a_client_that_leaves_while_it_waits_is_forgotten_after_its_answer),
        TEST(a_body_that_ends_early_is_told_at_once),
    };

    if (argc > 1) {
        cmocka_set_test_filter(argv[1]); /* one test, by name or pattern */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
