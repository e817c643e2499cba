// with: failmalloc
/*
 * A WebSocket connection from its head to its end with each of its allocations failing once: it
 * ends, or goes on without what failed, and nothing is kept of it.
 */
#include "ws_fixture.h"

#include "failmalloc.h"

/* Opened, asked in fragments and in one piece, pinged, and closed by the client. */
static const char said[] = "\x01\x86\0\0\0\0{\"op\":"
                           "\x80\x87\0\0\0\0\"ping\"}"
                           "\x89\x83\0\0\0\0one"
                           "\x81\x8d\0\0\0\0{\"op\":\"ping\"}"
                           "\x88\x82\0\0\0\0\x03\xe8";

static void live_once(struct fixture *x, long n, bool *out_failed)
{
    struct ws_opening *opening = NULL;
    struct stream_query query;
    enum reject_reason reason = REJECT_BAD_QUERY;
    struct http_head head;
    char detail[160];
    char text[1024];
    int server = -1;
    ssize_t len = 0;

    connect_pair(&x->client, &server);
    send_head(x, "/ws?event_type=t", "h");
    say_bytes(x, said, sizeof said - 1);
    len = recv(server, text, sizeof text, MSG_PEEK);
    assert_true(len > 0);
    assert_int_equal(http_head_parse(text, (size_t)len, &head), HTTP_HEAD_COMPLETE);
    counter_add(&x->bench->counters.connections_open, 1);
    failmalloc_arm(n);
    if (query_parse(head.query.p, head.query.len, QUERY_DOOR_WS, 64, &query, &reason, detail,
                    sizeof detail) == NHUB_OK &&
        ws_opening_create(&opening, server, &head, &query) == NHUB_OK) {
        ws_adopt(x->ws, &opening);
    } else {
        query_free(&query);
        (void)close(server);
        counter_sub(&x->bench->counters.connections_open, 1);
    }
    for (int i = 0; i < 10; i++) {
        turns(x, 1);
    }
    *out_failed = failmalloc_disarm();
    (void)close(x->client);
    for (int i = 0; i < 1000 && ws_count(x->ws) > 0; i++) {
        turns(x, 1);
    }
    assert_int_equal(ws_count(x->ws), 0);
    assert_int_equal(counter_get(&x->bench->counters.connections_open), 0);
}

static void an_allocation_that_fails_ends_one_connection_only(void **state)
{
    struct fixture x;
    bool has_failed = true;
    long n = 0;

    (void)state;
    open_room(&x);
    for (n = 0; has_failed; n++) {
        live_once(&x, n, &has_failed);
    }
    assert_true(n > 10);
    close_room(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocation_that_fails_ends_one_connection_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
