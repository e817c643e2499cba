/* zsock: frames, the patterns our programs use, limits, waiting and connection events. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/zsock.h"

#define DEADLINE_MS 10000

static const struct zsock_options plain = {
    .sndhwm = 1000, .rcvhwm = 1000, .linger_ms = 0, .max_msg_bytes = -1};

static int set_up(void **state)
{
    struct zctx *ctx = NULL;

    if (zctx_create(&ctx) != NHUB_OK) {
        return -1;
    }
    *state = ctx;
    return 0;
}

/* Returns only when every socket is closed: a test that forgets one hangs here. */
static int tear_down(void **state)
{
    struct zctx *ctx = *state;

    zctx_destroy(&ctx);
    zctx_destroy(&ctx);
    return 0;
}

static struct zsock *create(struct zctx *ctx, enum zsock_type type)
{
    struct zsock *s = NULL;

    assert_int_equal(zsock_create(&s, ctx, type, &plain), NHUB_OK);
    return s;
}

/* Two sockets over TCP on a port of the system's choice. */
static uint16_t join(struct zsock *server, struct zsock *client)
{
    uint16_t port = 0;

    assert_int_equal(zsock_bind(server, "127.0.0.1", 0, &port), NHUB_OK);
    assert_int_not_equal(port, 0);
    assert_int_equal(zsock_connect(client, "localhost", port), NHUB_OK);
    return port;
}

static bool wait_in(struct zsock *s, int timeout_ms)
{
    struct zpoll_item item = {.sock = s, .want_in = true};
    size_t ready = 0;

    assert_int_equal(zpoll_wait(&item, 1, timeout_ms, &ready), NHUB_OK);
    assert_int_equal(item.in, ready == 1);
    return item.in;
}

static void expect_frame(struct zsock *s, const void *bytes, size_t len, bool more)
{
    struct zframe f;

    assert_true(wait_in(s, DEADLINE_MS));
    zframe_init(&f);
    assert_int_equal(zsock_recv(s, &f), NHUB_OK);
    assert_int_equal(zframe_size(&f), len);
    assert_memory_equal(zframe_data(&f), bytes, len);
    assert_int_equal(zframe_more(&f), more);
    zframe_close(&f);
}

static void frames_hold_copies_and_shares(void **state)
{
    struct zframe a;
    struct zframe b;
    char large[1000];

    (void)state;
    memset(large, 'l', sizeof large);
    zframe_init(&a);
    assert_int_equal(zframe_size(&a), 0);
    zframe_close(&a);
    assert_int_equal(zframe_init_copy(&a, NULL, 0), NHUB_OK);
    zframe_close(&a);
    assert_int_equal(zframe_init_copy(&a, large, sizeof large), NHUB_OK);
    zframe_init(&b);
    assert_int_equal(zframe_share(&b, &a), NHUB_OK);
    assert_ptr_equal(zframe_data(&a), zframe_data(&b));
    zframe_close(&a);
    assert_int_equal(zframe_size(&b), sizeof large);
    assert_memory_equal(zframe_data(&b), large, sizeof large);
    zframe_close(&b);
}

/* Called in the I/O thread, or where the frame is closed. */
static void count_return(void *bytes, void *hint)
{
    (void)bytes;
    atomic_fetch_add((atomic_int *)hint, 1);
}

static void lent_bytes_come_back_once(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zsock *push = create(*state, ZSOCK_PUSH);
    static char bytes[1000] = "lent";
    atomic_int returned = 0;
    struct zframe f;

    assert_int_equal(zframe_init_foreign(&f, bytes, sizeof bytes, count_return, &returned),
                     NHUB_OK);
    assert_ptr_equal(zframe_data(&f), bytes);
    zframe_close(&f); /* never sent */
    assert_int_equal(atomic_load(&returned), 1);

    (void)join(pull, push);
    assert_int_equal(zframe_init_foreign(&f, bytes, sizeof bytes, count_return, &returned),
                     NHUB_OK);
    assert_int_equal(zsock_send(push, &f, false), NHUB_OK);
    zframe_close(&f);
    expect_frame(pull, bytes, sizeof bytes, false);
    zsock_destroy(&push);
    zsock_destroy(&pull);
    for (int i = 0; i < DEADLINE_MS && atomic_load(&returned) < 2; i++) {
        size_t ready = 0;

        assert_int_equal(zpoll_wait(NULL, 0, 1, &ready), NHUB_OK);
    }
    assert_int_equal(atomic_load(&returned), 2);
}

/* A poll asks only sockets that were used or have news: what came while nobody wanted it must be
 * found later, and what is left after a read at once. */
static void what_came_unwanted_is_found_by_the_next_poll(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zsock *push = create(*state, ZSOCK_PUSH);
    struct zpoll_item unwanted = {.sock = pull};
    size_t ready = 1;

    (void)join(pull, push);
    assert_int_equal(zsock_send_bytes(push, "one", 3, false), NHUB_OK);
    assert_int_equal(zsock_send_bytes(push, "two", 3, false), NHUB_OK);
    assert_true(wait_in(pull, DEADLINE_MS));
    assert_int_equal(zpoll_wait(&unwanted, 1, 0, &ready), NHUB_OK);
    assert_int_equal(ready, 0);
    assert_true(wait_in(pull, 0));
    expect_frame(pull, "one", 3, false);
    expect_frame(pull, "two", 3, false);
    assert_false(wait_in(pull, 0));
    zsock_destroy(&push);
    zsock_destroy(&pull);
}

static void push_reaches_pull_with_the_address_of_the_peer(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zsock *push = create(*state, ZSOCK_PUSH);
    struct zframe f;
    const char *peer = NULL;

    (void)join(pull, push);
    zframe_init(&f);
    assert_int_equal(zsock_recv(pull, &f), NHUB_EAGAIN);
    assert_int_equal(zsock_send_bytes(push, "one", 3, false), NHUB_OK);
    assert_true(wait_in(pull, DEADLINE_MS));
    assert_true(zsock_readable(pull));
    assert_int_equal(zsock_recv(pull, &f), NHUB_OK);
    assert_memory_equal(zframe_data(&f), "one", 3);
    peer = zframe_property(&f, "Peer-Address");
    assert_non_null(peer);
    assert_string_equal(peer, "127.0.0.1");
    assert_null(zframe_property(&f, "No-Such-Property"));
    zframe_close(&f);
    zsock_destroy(&push);
    zsock_destroy(&pull);
    zsock_destroy(&pull); /* a NULL is fine */
}

static void a_sent_frame_is_taken_and_an_unsent_one_kept(void **state)
{
    struct zsock *push = create(*state, ZSOCK_PUSH);
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zframe f;
    uint16_t port = 0;

    /* Without a peer there is nowhere to put it. */
    assert_int_equal(zframe_init_copy(&f, "kept", 4), NHUB_OK);
    assert_int_equal(zsock_send(push, &f, false), NHUB_EAGAIN);
    assert_int_equal(zframe_size(&f), 4);
    assert_memory_equal(zframe_data(&f), "kept", 4);
    assert_false(zsock_writable(push));

    assert_int_equal(zsock_bind(pull, "127.0.0.1", 0, &port), NHUB_OK);
    assert_int_equal(zsock_connect(push, "127.0.0.1", port), NHUB_OK);
    for (;;) {
        struct zpoll_item item = {.sock = push, .want_out = true};
        size_t ready = 0;

        assert_int_equal(zpoll_wait(&item, 1, DEADLINE_MS, &ready), NHUB_OK);
        assert_int_equal(ready, 1);
        if (zsock_send(push, &f, false) == NHUB_OK) {
            break;
        }
    }
    assert_int_equal(zframe_size(&f), 0);
    zframe_close(&f);
    expect_frame(pull, "kept", 4, false);
    zsock_destroy(&push);
    zsock_destroy(&pull);
}

static void messages_of_many_frames_can_be_skipped(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zsock *push = create(*state, ZSOCK_PUSH);
    struct zframe f;

    (void)join(pull, push);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zsock_send_bytes(push, "x", 1, i < 99), NHUB_OK);
    }
    assert_int_equal(zsock_send_bytes(push, "next", 4, false), NHUB_OK);
    assert_true(wait_in(pull, DEADLINE_MS));
    zframe_init(&f);
    assert_int_equal(zsock_recv(pull, &f), NHUB_OK);
    assert_true(zframe_more(&f));
    zsock_skip_message(pull, &f);
    zframe_close(&f);
    expect_frame(pull, "next", 4, false);
    zsock_destroy(&push);
    zsock_destroy(&pull);
}

static void dealer_and_router_talk_and_unknown_peers_are_told(void **state)
{
    struct zsock_options named = plain;
    struct zsock_options strict = plain;
    struct zsock *router = NULL;
    struct zsock *dealer = NULL;

    named.identity = "client-1";
    strict.router_mandatory = true;
    assert_int_equal(zsock_create(&router, *state, ZSOCK_ROUTER, &strict), NHUB_OK);
    assert_int_equal(zsock_create(&dealer, *state, ZSOCK_DEALER, &named), NHUB_OK);
    (void)join(router, dealer);
    assert_int_equal(zsock_send_bytes(dealer, "REQ", 3, true), NHUB_OK);
    assert_int_equal(zsock_send_bytes(dealer, "{}", 2, false), NHUB_OK);
    expect_frame(router, "client-1", 8, true);
    expect_frame(router, "REQ", 3, true);
    expect_frame(router, "{}", 2, false);
    assert_int_equal(zsock_send_bytes(router, "nobody", 6, true), NHUB_ENOTFOUND);
    assert_int_equal(zsock_send_bytes(router, "client-1", 8, true), NHUB_OK);
    assert_int_equal(zsock_send_bytes(router, "RESPONSE", 8, false), NHUB_OK);
    expect_frame(dealer, "RESPONSE", 8, false);
    zsock_destroy(&dealer);
    zsock_destroy(&router);
}

static void subscriptions_are_byte_prefixes_that_xpub_sees(void **state)
{
    struct zsock_options verbose = plain;
    struct zsock *xpub = NULL;
    struct zsock *sub = create(*state, ZSOCK_SUB);

    verbose.xpub_verboser = true;
    assert_int_equal(zsock_create(&xpub, *state, ZSOCK_XPUB, &verbose), NHUB_OK);
    (void)join(xpub, sub);
    assert_int_equal(zsock_subscribe(sub, "pre", 3), NHUB_OK);
    expect_frame(xpub, "\1pre", 4, false);
    assert_int_equal(zsock_send_bytes(xpub, "other", 5, false), NHUB_OK);
    assert_int_equal(zsock_send_bytes(xpub, "prefix-1", 8, true), NHUB_OK);
    assert_int_equal(zsock_send_bytes(xpub, "{}", 2, false), NHUB_OK);
    expect_frame(sub, "prefix-1", 8, true);
    expect_frame(sub, "{}", 2, false);
    assert_int_equal(zsock_unsubscribe(sub, "pre", 3), NHUB_OK);
    expect_frame(xpub, "\0pre", 4, false);
    zsock_destroy(&sub);
    zsock_destroy(&xpub);
}

static void a_taken_port_is_told(void **state)
{
    struct zsock *first = create(*state, ZSOCK_PULL);
    struct zsock *second = create(*state, ZSOCK_PULL);
    uint16_t port = 0;

    assert_int_equal(zsock_bind(first, "127.0.0.1", 0, &port), NHUB_OK);
    assert_int_equal(zsock_bind(second, "127.0.0.1", port, NULL), NHUB_ESYS);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(zsock_bind(second, "no-such-interface", 0, NULL), NHUB_ESYS);
    assert_int_equal(zsock_bind(second, "lo", 0, &port), NHUB_OK); /* an interface */
    assert_int_equal(zsock_bind(second, "*", 0, &port), NHUB_OK);
    zsock_destroy(&second);
    zsock_destroy(&first);
}

static void an_open_bind_takes_ipv4(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zsock *push = create(*state, ZSOCK_PUSH);
    uint16_t port = 0;

    assert_int_equal(zsock_bind(pull, "*", 0, &port), NHUB_OK);
    assert_int_equal(zsock_connect(push, "127.0.0.1", port), NHUB_OK);
    assert_int_equal(zsock_send_bytes(push, "v4", 2, false), NHUB_OK);
    expect_frame(pull, "v4", 2, false);
    zsock_destroy(&push);
    zsock_destroy(&pull);
}

static void too_large_a_message_never_arrives(void **state)
{
    struct zsock_options small = plain;
    struct zsock *pull = NULL;
    struct zsock *push = create(*state, ZSOCK_PUSH);
    static char large[2000];

    small.max_msg_bytes = 1000;
    assert_int_equal(zsock_create(&pull, *state, ZSOCK_PULL, &small), NHUB_OK);
    (void)join(pull, push);
    assert_int_equal(zsock_send_bytes(push, large, sizeof large, false), NHUB_OK);
    /* The connection is cut; the sender comes back by itself, and what it sends then arrives. */
    for (int i = 0; i < 100 && !wait_in(pull, 100); i++) {
        NHUB_IGNORE(zsock_send_bytes(push, "small", 5, false)); /* full while it reconnects */
    }
    expect_frame(pull, "small", 5, false);
    zsock_destroy(&push);
    zsock_destroy(&pull);
}

static void a_bad_option_is_refused(void **state)
{
    struct zsock_options bad = plain;
    struct zsock *s = NULL;

    bad.identity = ""; /* must have 1 to 255 bytes */
    assert_int_equal(zsock_create(&s, *state, ZSOCK_DEALER, &bad), NHUB_EINVAL);
    bad = plain;
    bad.sndhwm = -1;
    assert_int_equal(zsock_create(&s, *state, ZSOCK_DEALER, &bad), NHUB_EINVAL);
    assert_null(s);
}

static void waiting_covers_descriptors_and_time(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zpoll_item items[17] = {{.sock = pull, .want_in = true}, {.want_in = true}};
    int fds[2];
    size_t ready = 99;

    assert_int_equal(pipe(fds), 0);
    items[1].fd = fds[0];
    assert_int_equal(zpoll_wait(items, 2, 0, &ready), NHUB_OK);
    assert_int_equal(ready, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(zpoll_wait(items, 2, DEADLINE_MS, &ready), NHUB_OK);
    assert_int_equal(ready, 1);
    assert_false(items[0].in);
    assert_true(items[1].in);
    assert_int_equal(zpoll_wait(items, 17, 0, &ready), NHUB_EINVAL);
    assert_true(zsock_fd(pull) >= 0);
    close(fds[0]);
    close(fds[1]);
    zsock_destroy(&pull);
}

/* A descriptor that is broken counts as ready, so that its owner finds out; one that nobody wants
 * anything of is none of our business. */
static void a_broken_descriptor_ends_the_wait(void **state)
{
    struct zpoll_item items[2] = {{.want_out = true}, {.want_in = true}};
    int fds[2];
    size_t ready = 99;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    items[0].fd = fds[1];
    items[1].fd = fds[0];
    close(fds[0]); /* the writer's end has an error now, the reader's end is no descriptor */
    assert_int_equal(zpoll_wait(items, 2, DEADLINE_MS, &ready), NHUB_OK);
    assert_int_equal(ready, 2);
    assert_true(items[0].out && !items[0].in);
    assert_true(items[1].in && !items[1].out);
    assert_int_equal(zpoll_wait(&items[1], 1, DEADLINE_MS, &ready), NHUB_OK);
    assert_int_equal(ready, 1);
    items[1].want_in = false;
    assert_int_equal(zpoll_wait(&items[1], 1, 1, &ready), NHUB_OK);
    assert_int_equal(ready, 0);
    close(fds[1]);
}

/* Waits for an event of the given kind and ignores others. */
static void expect_event(struct zsock *events, enum zmonitor_event expected)
{
    enum zmonitor_event event = ZMONITOR_OTHER;

    do {
        assert_true(wait_in(events, DEADLINE_MS));
        assert_int_equal(zmonitor_next(events, &event), NHUB_OK);
    } while (event != expected);
}

static void a_monitor_sees_connections_come_and_go(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zsock *push = create(*state, ZSOCK_PUSH);
    struct zsock *events = NULL;
    enum zmonitor_event event = ZMONITOR_OTHER;

    assert_int_equal(zsock_monitor(push, *state, &events), NHUB_OK);
    assert_int_equal(zmonitor_next(events, &event), NHUB_EAGAIN);
    (void)join(pull, push);
    expect_event(events, ZMONITOR_CONNECTED);
    zsock_destroy(&pull);
    expect_event(events, ZMONITOR_DISCONNECTED);
    zsock_destroy(&push);
    zsock_destroy(&events);
}

static void inproc_endpoints_work(void **state)
{
    struct zsock *pull = create(*state, ZSOCK_PULL);
    struct zsock *push = create(*state, ZSOCK_PUSH);

    assert_int_equal(zsock_bind_endpoint(pull, "inproc://test"), NHUB_OK);
    assert_int_equal(zsock_connect_endpoint(push, "inproc://test"), NHUB_OK);
    assert_int_equal(zsock_send_bytes(push, "in", 2, false), NHUB_OK);
    expect_frame(pull, "in", 2, false);
    assert_int_equal(zsock_connect_endpoint(push, "nonsense"), NHUB_ESYS);
    zsock_destroy(&push);
    zsock_destroy(&pull);
}

/* libzmq looks at what happened to connections between the frames of a message as well. */
static void a_message_that_has_come_outlives_its_connection(void **state)
{
    struct zsock_options named = plain;
    struct zsock *router = create(*state, ZSOCK_ROUTER);
    struct zsock *dealer = NULL;
    struct zsock *events = NULL;
    uint16_t port = 0;

    named.identity = "client-1";
    assert_int_equal(zsock_create(&dealer, *state, ZSOCK_DEALER, &named), NHUB_OK);
    assert_int_equal(zsock_monitor(dealer, *state, &events), NHUB_OK);
    assert_int_equal(zsock_bind(router, "127.0.0.1", 0, &port), NHUB_OK);
    assert_int_equal(zsock_connect(dealer, "127.0.0.1", port), NHUB_OK);
    expect_event(events, ZMONITOR_CONNECTED);
    assert_int_equal(zsock_send_bytes(dealer, "hello", 5, false), NHUB_OK);
    expect_frame(router, "client-1", 8, true);
    expect_frame(router, "hello", 5, false);
    assert_int_equal(zsock_send_bytes(router, "client-1", 8, true), NHUB_OK);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(zsock_send_bytes(router, "line", 4, i < 499), NHUB_OK);
    }
    expect_frame(dealer, "line", 4, true);
    zsock_destroy(&router);
    expect_event(events, ZMONITOR_DISCONNECTED);
    for (int i = 1; i < 500; i++) {
        expect_frame(dealer, "line", 4, i < 499);
    }
    zsock_destroy(&dealer);
    zsock_destroy(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_hold_copies_and_shares),
        cmocka_unit_test_setup_teardown(lent_bytes_come_back_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_came_unwanted_is_found_by_the_next_poll, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(push_reaches_pull_with_the_address_of_the_peer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_sent_frame_is_taken_and_an_unsent_one_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(messages_of_many_frames_can_be_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_that_has_come_outlives_its_connection, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(dealer_and_router_talk_and_unknown_peers_are_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(subscriptions_are_byte_prefixes_that_xpub_sees, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_taken_port_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_open_bind_takes_ipv4, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_large_a_message_never_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_option_is_refused, set_up, tear_down),
        cmocka_unit_test(a_broken_descriptor_ends_the_wait),
        cmocka_unit_test_setup_teardown(waiting_covers_descriptors_and_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_monitor_sees_connections_come_and_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inproc_endpoints_work, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
