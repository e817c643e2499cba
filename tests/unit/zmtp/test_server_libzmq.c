/*
 * server and the real libzmq at the other end: a PUSH at a PULL, SUBs at a PUB, a DEALER at a
 * ROUTER.
 */
#include "server_fixture.h"

#include "base/zsock.h"

#include <stdio.h>

static struct zctx *context;
static struct zsock *sockets[4];

static int setup_libzmq(void **state)
{
    assert_int_equal(zctx_create(&context), NHUB_OK);
    return setup(state);
}

/* The server goes last, so that libzmq has nobody to come back to. */
static int teardown_libzmq(void **state)
{
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        zsock_destroy(&sockets[i]);
    }
    zctx_destroy(&context);
    return teardown(state);
}

static struct zsock *connect_socket(const struct fixture *f, size_t i, enum zsock_type type)
{
    const struct zsock_options options = {
        .sndhwm = 100000, .rcvhwm = 100000, .linger_ms = 0, .max_msg_bytes = -1};

    assert_int_equal(zsock_create(&sockets[i], context, type, &options), NHUB_OK);
    assert_int_equal(zsock_connect(sockets[i], "127.0.0.1", f->port), NHUB_OK);
    return sockets[i];
}

static bool receive(struct zsock *s, struct zframe *frame)
{
    const nhub_err err = zsock_recv(s, frame);

    assert_true(err == NHUB_OK || err == NHUB_EAGAIN);
    return err == NHUB_OK;
}

static void expect_frame(struct fixture *f, struct zsock *s, const void *bytes, size_t len,
                         bool more)
{
    struct zframe frame;

    zframe_init(&frame);
    DRIVE_UNTIL(f, receive(s, &frame));
    assert_int_equal(zframe_size(&frame), len);
    if (len > 0) {
        assert_memory_equal(zframe_data(&frame), bytes, len);
    }
    assert_int_equal(zframe_more(&frame), more);
    zframe_close(&frame);
}

static void send_frame(struct zsock *s, const void *bytes, size_t len, bool more)
{
    assert_int_equal(zsock_send_bytes(s, bytes, len, more), NHUB_OK);
}

/* Frames of all lengths around which the format changes, each filled with its own letter. */
static const size_t lengths[] = {1, 0, 254, 255, 256, 257, 8191, 65535, 65536, 1 << 20, 3};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
static char body[1 << 20];

static void all_that_a_push_sends_is_given_out_in_order(void **state)
{
    struct fixture *f = *state;
    struct zsock *push;

    start(f, ZSERVER_PULL);
    push = connect_socket(f, 0, ZSOCK_PUSH);
    for (size_t count = 1; count <= LENGTHS; count++) {
        for (size_t i = 0; i < count; i++) {
            memset(body, 'a' + (int)i, lengths[i]);
            send_frame(push, body, lengths[i], i + 1 < count);
        }
    }
    for (size_t count = 1; count <= LENGTHS; count++) {
        for (size_t i = 0; i < count; i++) {
            memset(body, 'a' + (int)i, lengths[i]);
            expect_taken(f, body, lengths[i], i + 1 < count);
        }
    }
    let_time_pass(f);
    assert_int_equal(f->taken_count, f->looked_at);
    assert_int_equal(counts(f)->connections, 1);
    assert_int_equal(counts(f)->refused, 0);
}

/* Its linger lets libzmq send what it has before the connection ends. */
static void a_push_that_goes_at_once_has_said_all(void **state)
{
    struct fixture *f = *state;
    struct zsock *push;
    enum { EVENTS = 50000 };

    start(f, ZSERVER_PULL);
    push = connect_socket(f, 0, ZSOCK_PUSH);
    for (int i = 0; i < EVENTS; i++) {
        memcpy(body, &i, sizeof i);
        send_frame(push, body, 100, false);
    }
    zsock_set_linger(push, -1);
    zsock_destroy(&sockets[0]);
    for (int i = 0; i < EVENTS; i++) {
        memcpy(body, &i, sizeof i);
        expect_taken(f, body, 100, false);
    }
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    assert_int_equal(counts(f)->refused, 0);
}

static void publish(struct fixture *f, const char *type, const void *line, size_t len)
{
    zserver_publish(f->s, type, strlen(type), line, len);
}

static void a_sub_gets_what_it_subscribed_to(void **state)
{
    struct fixture *f = *state;
    struct zsock *all;
    struct zsock *orders;

    start(f, ZSERVER_PUB);
    all = connect_socket(f, 0, ZSOCK_SUB);
    orders = connect_socket(f, 1, ZSOCK_SUB);
    assert_int_equal(zsock_subscribe(all, "", 0), NHUB_OK);
    assert_int_equal(zsock_subscribe(orders, "order.", 6), NHUB_OK);
    assert_int_equal(zsock_subscribe(orders, "order.pa", 8), NHUB_OK);
    DRIVE_UNTIL(f, counts(f)->subscribed == 3);
    for (size_t i = 0; i < LENGTHS; i++) {
        memset(body, 'a' + (int)i, lengths[i]);
        publish(f, "order.paid", body, lengths[i]);
        publish(f, "user.left", "{}", 2);
    }
    for (size_t i = 0; i < LENGTHS; i++) {
        memset(body, 'a' + (int)i, lengths[i]);
        expect_frame(f, all, "order.paid", 10, true);
        expect_frame(f, all, body, lengths[i], false);
        expect_frame(f, all, "user.left", 9, true);
        expect_frame(f, all, "{}", 2, false);
        expect_frame(f, orders, "order.paid", 10, true);
        expect_frame(f, orders, body, lengths[i], false);
    }
    assert_int_equal(counts(f)->dropped, 0);
}

static void a_sub_that_unsubscribes_gets_no_more(void **state)
{
    struct fixture *f = *state;
    struct zsock *sub;

    start(f, ZSERVER_PUB);
    sub = connect_socket(f, 0, ZSOCK_SUB);
    assert_int_equal(zsock_subscribe(sub, "a", 1), NHUB_OK);
    assert_int_equal(zsock_subscribe(sub, "b", 1), NHUB_OK);
    DRIVE_UNTIL(f, counts(f)->subscribed == 2);
    assert_int_equal(zsock_unsubscribe(sub, "a", 1), NHUB_OK);
    DRIVE_UNTIL(f, counts(f)->unsubscribed == 1);
    publish(f, "a", "1", 1);
    publish(f, "b", "2", 1);
    expect_frame(f, sub, "b", 1, true);
    expect_frame(f, sub, "2", 1, false);
    zsock_destroy(&sockets[0]);
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    assert_int_equal(counts(f)->unsubscribed, 2);
}

/* What TCP does not take waits here, and all of it arrives. */
static void a_sub_that_reads_late_gets_all(void **state)
{
    struct fixture *f = *state;
    struct zsock *sub;
    enum { EVENTS = 40000, SIZE = 1000 };

    start(f, ZSERVER_PUB);
    sub = connect_socket(f, 0, ZSOCK_SUB);
    assert_int_equal(zsock_subscribe(sub, "t", 1), NHUB_OK);
    DRIVE_UNTIL(f, counts(f)->subscribed == 1);
    for (int i = 0; i < EVENTS; i++) {
        memcpy(body, &i, sizeof i);
        publish(f, "type", body, SIZE);
        if (i % 100 == 0) {
            zserver_flush(f->s);
        }
    }
    for (int i = 0; i < EVENTS; i++) {
        memcpy(body, &i, sizeof i);
        expect_frame(f, sub, "type", 4, true);
        expect_frame(f, sub, body, SIZE, false);
    }
    assert_false(zserver_is_writing(f->s));
    assert_int_equal(counts(f)->dropped, 0);
}

static void requests_of_a_dealer_are_answered(void **state)
{
    struct fixture *f = *state;
    struct zsock *dealer;

    start(f, ZSERVER_ROUTER);
    dealer = connect_socket(f, 0, ZSOCK_DEALER);
    for (size_t i = 0; i < LENGTHS; i++) {
        uint64_t id;

        memset(body, 'a' + (int)i, lengths[i]);
        send_frame(dealer, "request", 7, true);
        send_frame(dealer, body, lengths[i], false);
        expect_text(f, "request", true);
        id = expect_taken(f, body, lengths[i], false);
        assert_int_equal(zserver_answer(f->s, id, "RESPONSE", body, lengths[i], NULL), NHUB_OK);
        expect_frame(f, dealer, "RESPONSE", 8, true);
        expect_frame(f, dealer, body, lengths[i], false);
    }
}

static void many_requests_are_on_their_way_at_once(void **state)
{
    struct fixture *f = *state;
    struct block *frames = NULL;
    struct buf bytes;
    enum { REQUESTS = 2000 };
    char text[16];

    buf_init(&bytes);
    add_text(&bytes, MORE, "one");
    add_text(&bytes, LAST, "two");
    assert_int_equal(block_create(&frames, bytes.len), NHUB_OK);
    memcpy(frames->bytes, bytes.data, bytes.len);
    frames->len = bytes.len;
    start(f, ZSERVER_ROUTER);
    for (size_t d = 0; d < 4; d++) {
        struct zsock *dealer = connect_socket(f, d, ZSOCK_DEALER);

        for (int i = 0; i < REQUESTS; i++) {
            NHUB_IGNORE(snprintf(text, sizeof text, "%d", i) < 0);
            send_frame(dealer, text, strlen(text), false);
        }
    }
    for (int i = 0; i < 4 * REQUESTS; i++) {
        const struct taken *t = next_taken(f);

        assert_int_equal(zserver_answer(f->s, t->id, "R", t->frame.bytes, t->frame.len, frames),
                         NHUB_OK);
    }
    for (int i = 0; i < REQUESTS; i++) {
        for (size_t d = 0; d < 4; d++) {
            NHUB_IGNORE(snprintf(text, sizeof text, "%d", i) < 0);
            expect_frame(f, sockets[d], "R", 1, true);
            expect_frame(f, sockets[d], text, strlen(text), true);
            expect_frame(f, sockets[d], "one", 3, true);
            expect_frame(f, sockets[d], "two", 3, false);
        }
    }
    assert_int_equal(frames->refs, 1);
    block_unref(&frames);
    buf_fini(&bytes);
}

/* libzmq comes back by itself, under a new name. */
static void a_server_that_was_started_again_is_found(void **state)
{
    struct fixture *f = *state;
    struct zsock *dealer;
    uint64_t id;

    start(f, ZSERVER_ROUTER);
    dealer = connect_socket(f, 0, ZSOCK_DEALER);
    send_frame(dealer, "before", 6, false);
    expect_text(f, "before", false);
    zserver_destroy(&f->s);
    f->options.port = f->port;
    start(f, ZSERVER_ROUTER);
    DRIVE_UNTIL(f, counts(f)->connections == 1);
    send_frame(dealer, "after", 5, false);
    id = expect_text(f, "after", false);
    assert_int_equal(zserver_answer(f->s, id, "R", "{}", 2, NULL), NHUB_OK);
    expect_frame(f, dealer, "R", 1, true);
    expect_frame(f, dealer, "{}", 2, false);
}

static void a_dealer_at_the_port_for_events_is_refused(void **state)
{
    struct fixture *f = *state;
    struct zsock *push;

    start(f, ZSERVER_PULL);
    NHUB_IGNORE(connect_socket(f, 0, ZSOCK_DEALER) == NULL);
    DRIVE_UNTIL(f, counts(f)->refused >= 1);
    assert_true(was_logged(f, "zeromq_peer_refused"));
    push = connect_socket(f, 1, ZSOCK_PUSH);
    send_frame(push, "event", 5, false);
    expect_text(f, "event", false);
}

#define TEST_LIBZMQ(name) cmocka_unit_test_setup_teardown(name, setup_libzmq, teardown_libzmq)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_LIBZMQ(all_that_a_push_sends_is_given_out_in_order),
        TEST_LIBZMQ(a_push_that_goes_at_once_has_said_all),
        TEST_LIBZMQ(a_sub_gets_what_it_subscribed_to),
        TEST_LIBZMQ(a_sub_that_unsubscribes_gets_no_more),
        TEST_LIBZMQ(a_sub_that_reads_late_gets_all),
        TEST_LIBZMQ(requests_of_a_dealer_are_answered),
        TEST_LIBZMQ(many_requests_are_on_their_way_at_once),
        TEST_LIBZMQ(a_server_that_was_started_again_is_found),
        TEST_LIBZMQ(a_dealer_at_the_port_for_events_is_refused),
    };

    return cmocka_run_group_tests_name("server_libzmq", tests, NULL, NULL);
}
