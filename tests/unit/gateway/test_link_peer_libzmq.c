// with: failmalloc
/*
 * link_peer and the real libzmq: a SUB at a PUB and an XPUB, a DEALER at a ROUTER; and a peer that
 * lacks memory.
 */
#include "link_peer_fixture.h"

#include "base/zsock.h"
#include "failmalloc.h"

#include <stdio.h>

static struct zctx *context;
static struct zsock *server;

static int setup_libzmq(void **state)
{
    assert_int_equal(zctx_create(&context), NHUB_OK);
    return setup(state);
}

/* The peer goes last, so that libzmq has sent whatever it had begun. */
static int teardown_libzmq(void **state)
{
    zsock_destroy(&server);
    zctx_destroy(&context);
    return teardown(state);
}

static void start_pair(struct fixture *f, enum zsock_type type, enum link_peer_type peer)
{
    const struct zsock_options options = {
        .sndhwm = 100000, .rcvhwm = 100000, .linger_ms = 0, .max_msg_bytes = -1};

    assert_int_equal(zsock_create(&server, context, type, &options), NHUB_OK);
    assert_int_equal(zsock_bind(server, "127.0.0.1", 0, &f->port), NHUB_OK);
    start_peer(f, peer, "127.0.0.1");
}

static bool receive(struct zframe *frame)
{
    const nhub_err err = zsock_recv(server, frame);

    assert_true(err == NHUB_OK || err == NHUB_EAGAIN);
    return err == NHUB_OK;
}

static void expect_subscription(struct fixture *f)
{
    struct zframe frame;

    zframe_init(&frame);
    DRIVE_UNTIL(f, receive(&frame));
    assert_int_equal(zframe_size(&frame), 1);
    assert_memory_equal(zframe_data(&frame), "\1", 1);
    zframe_close(&frame);
}

static void send_text(const char *text, bool more)
{
    assert_int_equal(zsock_send_bytes(server, text, strlen(text), more), NHUB_OK);
}

/* Frames of all lengths around which the format changes, each filled with its own letter. */
static const size_t lengths[] = {1, 0, 254, 255, 256, 257, 8191, 65535, 65536, 1 << 20, 3};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
static char body[1 << 20];

static void everything_an_xpub_sends_arrives_in_order(void **state)
{
    struct fixture *f = *state;

    start_pair(f, ZSOCK_XPUB, LINK_PEER_SUB);
    expect_subscription(f);
    for (size_t count = 1; count <= LENGTHS; count++) {
        for (size_t i = 0; i < count; i++) {
            memset(body, 'a' + (int)i, lengths[i]);
            assert_int_equal(zsock_send_bytes(server, body, lengths[i], i + 1 < count), NHUB_OK);
        }
    }
    for (size_t count = 1; count <= LENGTHS; count++) {
        DRIVE_UNTIL(f, read_message(f));
        assert_int_equal(f->count, count);
        for (size_t i = 0; i < count; i++) {
            memset(body, 'a' + (int)i, lengths[i]);
            assert_true(is_frame(&f->frames[i], body, lengths[i]));
        }
    }
    assert_false(link_peer_was_cut(f->p));
}

/* [number, {}], as a PUB sends it whether or not there is somebody. */
static void publish(int *sent)
{
    char text[16];

    NHUB_IGNORE(snprintf(text, sizeof text, "%d ", (*sent)++) < 0);
    send_text(text, true);
    send_text("{}", false);
}

/* A PUB does not tell when it has heard the subscription: what it sends before is not for us. */
static void from_a_pub_all_arrives_from_some_event_on(void **state)
{
    struct fixture *f = *state;
    char text[16];
    int sent = 0;
    int next = 0;

    start_pair(f, ZSOCK_PUB, LINK_PEER_SUB);
    DRIVE_UNTIL(f, (publish(&sent), read_message(f)));
    next = (int)strtol(f->frames[0].bytes, NULL, 10);
    assert_in_range(next, 0, sent - 1);
    for (int i = 0; i < 1000; i++) {
        publish(&sent);
    }
    while (++next < sent) {
        DRIVE_UNTIL(f, read_message(f));
        NHUB_IGNORE(snprintf(text, sizeof text, "%d ", next) < 0);
        assert_int_equal(f->count, 2);
        assert_true(is_text(&f->frames[0], text) && is_text(&f->frames[1], "{}"));
    }
}

static void a_reader_that_pauses_gets_all(void **state)
{
    struct fixture *f = *state;
    enum { EVENTS = 20000 };

    start_pair(f, ZSOCK_XPUB, LINK_PEER_SUB);
    expect_subscription(f);
    for (int i = 0; i < EVENTS; i++) {
        memcpy(body, &i, sizeof i);
        assert_int_equal(zsock_send_bytes(server, body, 300, false), NHUB_OK);
    }
    for (int i = 0; i < EVENTS; i++) {
        if (i % 4000 == 1) {
            f->want_in = false;
            let_time_pass(f);
            f->want_in = true;
        }
        DRIVE_UNTIL(f, read_message(f));
        assert_int_equal(f->frames[0].len, 300);
        assert_memory_equal(f->frames[0].bytes, &i, sizeof i);
    }
}

/* Receives a request, keeps its sender's identity in *identity. */
static void expect_request(struct fixture *f, struct zframe *identity, const void *bytes,
                           size_t len)
{
    struct zframe frame;

    zframe_init(&frame);
    DRIVE_UNTIL(f, receive(identity));
    assert_true(zframe_more(identity));
    DRIVE_UNTIL(f, receive(&frame));
    assert_false(zframe_more(&frame));
    assert_int_equal(zframe_size(&frame), len);
    assert_memory_equal(zframe_data(&frame), bytes, len);
    zframe_close(&frame);
}

static void requests_reach_a_router_and_answers_come_back(void **state)
{
    struct fixture *f = *state;
    static const size_t of_requests[] = {2, 0, 255, 256, 5 << 20, 1};
    static char long_one[5 << 20];
    struct zframe identity;

    for (size_t i = 0; i < sizeof long_one; i++) {
        long_one[i] = (char)(i * 7 + i / 251);
    }
    zframe_init(&identity);
    start_pair(f, ZSOCK_ROUTER, LINK_PEER_DEALER);
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    for (size_t i = 0; i < sizeof of_requests / sizeof of_requests[0]; i++) {
        DRIVE_UNTIL(f, request(f, long_one, of_requests[i]) == NHUB_OK);
        expect_request(f, &identity, long_one, of_requests[i]);
        assert_int_equal(zsock_send(server, &identity, true), NHUB_OK);
        send_text("RESPONSE", true);
        assert_int_equal(zsock_send_bytes(server, long_one, of_requests[i], true), NHUB_OK);
        send_text("{}", false);
        DRIVE_UNTIL(f, read_message(f));
        assert_int_equal(f->count, 3);
        assert_true(is_text(&f->frames[0], "RESPONSE") && is_text(&f->frames[2], "{}"));
        assert_true(is_frame(&f->frames[1], long_one, of_requests[i]));
    }
    zframe_close(&identity);
}

static void many_requests_are_on_their_way_at_once(void **state)
{
    struct fixture *f = *state;
    struct zframe identity;
    char text[16];
    enum { REQUESTS = 2000 };

    zframe_init(&identity);
    start_pair(f, ZSOCK_ROUTER, LINK_PEER_DEALER);
    for (int i = 0; i < REQUESTS; i++) {
        NHUB_IGNORE(snprintf(text, sizeof text, "%d", i) < 0);
        DRIVE_UNTIL(f, request(f, text, strlen(text)) == NHUB_OK);
    }
    for (int i = 0; i < REQUESTS; i++) {
        NHUB_IGNORE(snprintf(text, sizeof text, "%d", i) < 0);
        expect_request(f, &identity, text, strlen(text));
        assert_int_equal(zsock_send(server, &identity, true), NHUB_OK);
        send_text(text, false);
    }
    for (int i = 0; i < REQUESTS; i++) {
        NHUB_IGNORE(snprintf(text, sizeof text, "%d", i) < 0);
        expect_text(f, text);
    }
    zframe_close(&identity);
}

static void a_router_that_goes_is_told(void **state)
{
    struct fixture *f = *state;

    start_pair(f, ZSOCK_ROUTER, LINK_PEER_DEALER);
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    zsock_destroy(&server);
    DRIVE_UNTIL(f, (assert_false(read_message(f)), link_peer_was_cut(f->p)));
    let_time_pass(f);
    assert_false(link_peer_can_send(f->p) || link_peer_was_cut(f->p));
}

static void a_sub_does_not_open_at_a_router(void **state)
{
    struct fixture *f = *state;

    start_pair(f, ZSOCK_ROUTER, LINK_PEER_SUB);
    for (int i = 0; i < 50; i++) {
        step(f);
        assert_false(link_peer_can_send(f->p) || link_peer_was_cut(f->p));
    }
}

/* ---- without memory ---- */

/* What has to be done until a request has arrived and a message was read. */
struct aim {
    bool is_given, has_arrived, was_read;
};

/* Whatever lacked memory is tried again. */
static bool is_reached(struct fixture *f, struct aim *aim)
{
    struct zmtp_frame frame;

    if (link_peer_was_cut(f->p)) {
        aim->is_given = false;
    }
    aim->is_given = aim->is_given || request(f, "request", 7) == NHUB_OK;
    while (heard(f, &frame)) {
        aim->has_arrived = aim->has_arrived || is_text(&frame, "request");
    }
    if (read_message(f)) {
        aim->was_read = true;
        assert_int_equal(f->count, 2);
        assert_true(is_frame(&f->frames[1], body, 300000));
    }
    return aim->has_arrived && aim->was_read;
}

static void do_everything(struct fixture *f)
{
    struct aim aim = {0};

    while (link_peer_create(&f->p, LINK_PEER_DEALER, "127.0.0.1", f->port, &f->limit) != NHUB_OK) {
        assert_null(f->p);
    }
    f->is_due = true;
    DRIVE_UNTIL(f, is_reached(f, &aim));
}

static void a_peer_that_lacks_memory_comes_back(void **state)
{
    struct fixture *f = *state;
    bool has_failed = true;
    int failures = 0;

    memset(body, 'm', sizeof body);
    add_handshake(&f->script, "ROUTER");
    add_text(&f->script, MORE, "first");
    add_frame(&f->script, LAST, body, 300000);
    /* Of the server nothing may fail. */
    assert_int_equal(buf_reserve(&f->to_say, 1 << 20), NHUB_OK);
    assert_int_equal(buf_reserve(&f->received, 1 << 20), NHUB_OK);
    for (long n = 0; has_failed; n++) {
        const long live = failmalloc_live();

        failmalloc_arm(n);
        do_everything(f);
        has_failed = failmalloc_disarm();
        failures += has_failed;
        link_peer_destroy(&f->p);
        assert_int_equal(failmalloc_live(), live);
    }
    assert_true(failures >= 4); /* the peer, its look-up, what comes, what goes */
}

#define TEST_LIBZMQ(name) cmocka_unit_test_setup_teardown(name, setup_libzmq, teardown_libzmq)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_LIBZMQ(everything_an_xpub_sends_arrives_in_order),
        TEST_LIBZMQ(from_a_pub_all_arrives_from_some_event_on),
        TEST_LIBZMQ(a_reader_that_pauses_gets_all),
        TEST_LIBZMQ(requests_reach_a_router_and_answers_come_back),
        TEST_LIBZMQ(many_requests_are_on_their_way_at_once),
        TEST_LIBZMQ(a_router_that_goes_is_told),
        TEST_LIBZMQ(a_sub_does_not_open_at_a_router),
        TEST(a_peer_that_lacks_memory_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
