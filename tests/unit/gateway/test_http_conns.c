/* http_conns: what a sweep ends, and what it leaves alone. */
#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_conns.h"
#include "gateway/protocols/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_MS 1000000

struct fixture {
    struct gateway gateway;
    struct http_conns conns;
    struct http_conn conn;
    struct http_request request;
    int client;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    f->client = pair[0];
    f->conn.fd = pair[1];
    f->conn.idle_since_ms = NOW_MS;
    list_init(&f->conn.again);
    f->request.gateway = &f->gateway;
    f->request.conn = &f->conn;
    f->request.deadline_ms = NOW_MS + 10;
    http_conns_add(&f->conns, &f->conn);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    http_conns_remove(&f->conns, &f->conn);
    assert_null(f->conns.first);
    http_answer_fini(&f->request.answer);
    close(f->client);
    close(f->conn.fd);
    free(f);
    return 0;
}

/* What the client has got so far; *ended tells whether its connection is over. */
static void hear(struct fixture *f, char *out, size_t size, bool *ended)
{
    ssize_t n;
    size_t have = 0;

    while ((n = recv(f->client, out + have, size - 1 - have, MSG_DONTWAIT)) > 0) {
        have += (size_t)n;
    }
    out[have] = '\0';
    *ended = n == 0;
}

static void expect_silence(struct fixture *f, bool is_over)
{
    char text[1024];
    bool ended;

    hear(f, text, sizeof text, &ended);
    assert_string_equal(text, "");
    assert_int_equal(ended, is_over);
}

static void expect_answer(struct fixture *f, const char *status, enum reject_reason reason)
{
    char text[1024];
    bool ended;

    hear(f, text, sizeof text, &ended);
    assert_memory_equal(text, status, strlen(status));
    assert_non_null(strstr(text, reject_reason_code(reason)));
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_true(ended);
    assert_int_equal(counter_get(&f->gateway.counters.rejected[GATEWAY_DOOR_HTTP][reason]), 1);
    assert_int_equal(f->request.phase, HTTP_PHASE_HUNG_UP);
}

static void an_idle_connection_ends_after_its_time(void **state)
{
    struct fixture *f = *state;

    http_conns_sweep(&f->conns, NOW_MS + HTTP_IDLE_MS);
    expect_silence(f, false);
    http_conns_sweep(&f->conns, NOW_MS + HTTP_IDLE_MS + 1);
    expect_silence(f, true);
}

static void a_slow_head_gets_408(void **state)
{
    struct fixture *f = *state;

    f->conn.request = &f->request;
    f->request.phase = HTTP_PHASE_HEAD;
    http_conns_sweep(&f->conns, NOW_MS + 10);
    expect_silence(f, false);
    http_conns_sweep(&f->conns, NOW_MS + 11);
    expect_answer(f, "HTTP/1.1 408 ", REJECT_HEAD_TIMEOUT);
}

static void a_slow_body_gets_408(void **state)
{
    struct fixture *f = *state;

    f->conn.request = &f->request;
    f->request.phase = HTTP_PHASE_BODY;
    http_conns_sweep(&f->conns, NOW_MS + 11);
    expect_answer(f, "HTTP/1.1 408 ", REJECT_BODY_TIMEOUT);
}

static void a_refused_body_gets_its_own_answer(void **state)
{
    struct fixture *f = *state;

    f->conn.request = &f->request;
    f->request.phase = HTTP_PHASE_DISCARD;
    http_refuse(&f->request, REJECT_CONTENT_TYPE, "not this");
    http_conns_sweep(&f->conns, NOW_MS + 11);
    expect_answer(f, "HTTP/1.1 415 ", REJECT_CONTENT_TYPE);
}

static void suspended_requests_and_streams_have_no_limit_here(void **state)
{
    struct fixture *f = *state;

    f->conn.request = &f->request;
    f->request.phase = HTTP_PHASE_SUSPENDED;
    f->request.deadline_ms = 0;
    shutdown(f->client, SHUT_WR);
    http_conns_sweep(&f->conns, NOW_MS + 100 * HTTP_IDLE_MS);
    expect_silence(f, false);
}

static void an_answer_that_nobody_reads_ends(void **state)
{
    struct fixture *f = *state;

    f->conn.request = &f->request;
    f->request.phase = HTTP_PHASE_REPLY;
    http_conns_sweep(&f->conns, NOW_MS + 11);
    expect_silence(f, true);
}

static void a_client_that_ended_is_noticed_once_everything_is_read(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(send(f->client, "x", 1, 0), 1);
    shutdown(f->client, SHUT_WR);
    http_conns_sweep(&f->conns, NOW_MS);
    expect_silence(f, false); /* there is something to read first */
    assert_int_equal(recv(f->conn.fd, (char[2]){0}, 1, 0), 1);
    f->conn.is_end_checked = false;
    http_conns_sweep(&f->conns, NOW_MS);
    expect_silence(f, true);
}

static void a_client_that_ended_is_served_what_was_read_already(void **state)
{
    struct fixture *f = *state;
    struct list turns; /* of connections whose input was not used up */

    list_init(&turns);
    list_append(&turns, &f->conn.again);
    shutdown(f->client, SHUT_WR);
    http_conns_sweep(&f->conns, NOW_MS);
    expect_silence(f, false);
    f->conn.request = &f->request;
    f->request.phase = HTTP_PHASE_BODY;
    http_conns_sweep(&f->conns, NOW_MS);
    expect_silence(f, false);
    list_remove(&f->conn.again);
    http_conns_sweep(&f->conns, NOW_MS);
    expect_answer(f, "HTTP/1.1 400 ", REJECT_BAD_REQUEST);
}

static void a_body_that_ends_early_is_told(void **state)
{
    struct fixture *f = *state;

    f->conn.request = &f->request;
    f->request.phase = HTTP_PHASE_BODY;
    shutdown(f->client, SHUT_WR);
    http_conns_sweep(&f->conns, NOW_MS);
    expect_answer(f, "HTTP/1.1 400 ", REJECT_BAD_REQUEST);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_idle_connection_ends_after_its_time),
        TEST(a_slow_head_gets_408),
        TEST(a_slow_body_gets_408),
        TEST(a_refused_body_gets_its_own_answer),
        TEST(suspended_requests_and_streams_have_no_limit_here),
        TEST(an_answer_that_nobody_reads_ends),
        TEST(a_client_that_ended_is_noticed_once_everything_is_read),
        TEST(a_client_that_ended_is_served_what_was_read_already),
        TEST(a_body_that_ends_early_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
