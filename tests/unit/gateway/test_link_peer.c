/*
 * link_peer and a server that says exactly what a test wants: handshakes in pieces, names, bad
 * bytes, and ends at any moment.
 */
#include "link_peer_fixture.h"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>

/* ---- names, in place of the system's look-up ---- */

static _Atomic int look_ups; /* later.invalid becomes known with the third */
static sem_t may_hang_no_more;

static int real_look_up(const char *node, const char *service, const struct addrinfo *hints,
                        struct addrinfo **out)
{
    union {
        void *symbol;
        int (*call)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    } real = {dlsym(RTLD_NEXT, "getaddrinfo")};

    return real.call(node, service, hints, out);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    int error = 0;

    if ((hints->ai_flags & AI_NUMERICHOST) || !strstr(node, ".invalid")) {
        return real_look_up(node, service, hints, out);
    }
    look_ups++;
    if (strcmp(node, "later.invalid") == 0) {
        return look_ups < 3 ? EAI_NONAME : real_look_up("127.0.0.1", service, hints, out);
    }
    if (strcmp(node, "hangs.invalid") == 0) {
        while (sem_wait(&may_hang_no_more) != 0) {
        }
        return EAI_AGAIN;
    }
    /* two.invalid has two addresses; nobody listens at the first. */
    error = real_look_up("127.0.0.2", service, hints, out);
    return error ? error : real_look_up("127.0.0.1", service, hints, &(*out)->ai_next);
}

/* ---- the handshake ---- */

static void a_sub_subscribes_to_everything(void **state)
{
    struct fixture *f = *state;
    struct zmtp_frame frame;
    unsigned char greeting[ZMTP_GREETING_LEN] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0};

    memcpy(greeting + 12, "NULL", 4);
    open_peer(f, LINK_PEER_SUB);
    assert_memory_equal(f->received.data, greeting, sizeof greeting);
    let_time_pass(f);
    assert_false(heard(f, &frame)); /* that was all */
    assert_int_equal(f->received.len, f->parsed);
    assert_int_equal(f->accepted, 1);
    assert_false(link_peer_was_cut(f->p));
}

static void a_dealer_says_no_more_than_its_handshake(void **state)
{
    struct fixture *f = *state;
    struct zmtp_frame frame;

    open_peer(f, LINK_PEER_DEALER);
    let_time_pass(f);
    assert_false(heard(f, &frame));
    assert_int_equal(f->received.len, f->parsed);
}

static void a_handshake_may_come_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    struct buf all = {0};

    add_handshake(&all, "XPUB");
    f->want_in = false; /* messages are not wanted; the handshake is none */
    start_peer(f, LINK_PEER_SUB, "127.0.0.1");
    DRIVE_UNTIL(f, f->accepted == 1);
    for (size_t i = 0; i < all.len; i++) {
        assert_false(link_peer_can_send(f->p));
        assert_true(is_refusing(f));
        buf_add(&f->to_say, all.data + i, 1);
        serve(f);
        step(f);
        step(f);
    }
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    assert_int_equal(f->accepted, 1);
    buf_fini(&all);
}

static void what_comes_with_the_handshake_is_kept(void **state)
{
    struct fixture *f = *state;

    add_handshake(&f->script, "PUB");
    add_text(&f->script, LAST, "first");
    add_text(&f->script, MORE, "second");
    add_text(&f->script, LAST, "");
    start_peer(f, LINK_PEER_SUB, "127.0.0.1");
    expect_text(f, "first");
    DRIVE_UNTIL(f, read_message(f));
    assert_int_equal(f->count, 2);
    assert_true(is_text(&f->frames[0], "second") && is_text(&f->frames[1], ""));
}

/* What a server may say in place of a handshake; each is to be left, and tried again. */
static void fill_useless(struct buf cases[], size_t *out_count, const char *const types[])
{
    size_t n = 0;

    buf_add_str(&cases[n++], "HTTP/1.1 400 Bad Request\r\n\r\n");
    buf_add(&cases[n++], "\xff\0\0\0\0\0\0\0\1\x7e", 10);
    add_greeting(&cases[n++], 2, "NULL");
    add_greeting(&cases[n++], 3, "PLAIN");
    add_greeting(&cases[n++], 3, "NULLX");
    for (; *types; types++) {
        add_handshake(&cases[n++], *types);
    }
    for (int i = 0; i < 5; i++) {
        add_greeting(&cases[n + (size_t)i], 3, "NULL");
    }
    add_frame(&cases[n++], COMMAND, "\5ERROR\4away", 11);
    add_frame(&cases[n++], COMMAND, "\5READY\13Socket-Type\0\0\0\77PUB", 25); /* too short for 63 */
    add_text(&cases[n++], LAST, "a message");
    buf_add(&cases[n++], "\x08\0", 2);
    buf_add(&cases[n++], "\6\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
    *out_count = n;
}

static void check_useless(struct fixture *f, enum link_peer_type type, const char *const types[])
{
    struct buf cases[24] = {{0}};
    size_t count = 0;

    fill_useless(cases, &count, types);
    start_peer(f, type, "127.0.0.1");
    for (size_t i = 0; i < count; i++) {
        buf_reset(&f->script);
        buf_add(&f->script, cases[i].data, cases[i].len);
        DRIVE_UNTIL(f, (assert_false(link_peer_can_send(f->p)), f->accepted == i + 1));
        DRIVE_UNTIL(f, (assert_false(link_peer_can_send(f->p)), f->is_over));
        assert_false(read_message(f) || link_peer_was_cut(f->p));
        buf_fini(&cases[i]);
    }
    buf_reset(&f->script);
    add_handshake(&f->script, server_of(type));
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    assert_false(link_peer_was_cut(f->p)); /* none of them was open */
}

static void a_sub_tries_again_when_no_publisher_is_there(void **state)
{
    static const char *const types[] = {"ROUTER", "SUB", "PUBX", "PU", "", NULL};

    check_useless(*state, LINK_PEER_SUB, types);
}

/* A DEALER of its own kind is met by a connection that the system has joined with itself. */
static void a_dealer_tries_again_when_no_router_is_there(void **state)
{
    static const char *const types[] = {"XPUB", "DEALER", "ROUTE", "ROUTERS", NULL};

    check_useless(*state, LINK_PEER_DEALER, types);
}

/* ---- connecting ---- */

static void a_refused_connection_is_tried_again_after_a_pause(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    struct pollfd item;

    close(f->listener); /* a port that is taken, and refuses until somebody listens */
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &len), 0);
    f->port = ntohs(address.sin_port);
    add_handshake(&f->script, "ROUTER");
    start_peer(f, LINK_PEER_DEALER, "127.0.0.1");
    for (int i = 0; i < 5; i++) {
        const int64_t began_ms = peers_clock(f);
        int64_t due_ms = 0;

        turn(f);
        link_peer_poll(f->p, true, &item);
        if (item.fd >= 0) { /* it learns of it later */
            assert_true(poll(&item, 1, LIMIT_MS) == 1);
            link_peer_polled(f->p, &item);
            turn(f);
        }
        link_peer_poll(f->p, true, &item);
        assert_int_equal(item.fd, -1);
        assert_true(link_peer_deadline(f->p) >= began_ms + LINK_PEER_RETRY_MS);
        assert_true(link_peer_deadline(f->p) <= peers_clock(f) + LINK_PEER_RETRY_MS);
        due_ms = link_peer_deadline(f->p);
        link_peer_turn(f->p, due_ms - 1);
        assert_int_equal(link_peer_deadline(f->p), due_ms); /* another turn delays nothing */
        link_peer_poll(f->p, true, &item);
        assert_int_equal(item.fd, -1); /* not yet */
        f->ahead_ms += link_peer_deadline(f->p) - peers_clock(f);
    }
    assert_int_equal(listen(f->listener, 1), 0);
    f->is_due = true;
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    assert_false(link_peer_was_cut(f->p));
}

static void a_server_that_says_nothing_is_given_up(void **state)
{
    struct fixture *f = *state;

    start_peer(f, LINK_PEER_SUB, "127.0.0.1");
    DRIVE_UNTIL(f, f->received.len >= ZMTP_GREETING_LEN);
    f->ahead_ms += LINK_PEER_LIMIT_MS / 2;
    let_time_pass(f);
    assert_false(f->is_over);
    f->ahead_ms += LINK_PEER_LIMIT_MS / 2;
    add_handshake(&f->script, "PUB");
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    assert_int_equal(f->accepted, 2);
    assert_false(link_peer_was_cut(f->p));
    f->ahead_ms += 10L * LINK_PEER_LIMIT_MS; /* an open one has no limit */
    f->is_due = true;
    let_time_pass(f);
    assert_true(link_peer_can_send(f->p) && !link_peer_was_cut(f->p));
    assert_int_equal(f->accepted, 2);
}

static void a_name_is_looked_up(void **state)
{
    struct fixture *f = *state;

    add_handshake(&f->script, "PUB");
    start_peer(f, LINK_PEER_SUB, "localhost");
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
}

static void an_unknown_name_is_looked_up_again(void **state)
{
    struct fixture *f = *state;

    look_ups = 0;
    add_handshake(&f->script, "PUB");
    start_peer(f, LINK_PEER_SUB, "later.invalid");
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    assert_int_equal(look_ups, 3);
    assert_false(link_peer_was_cut(f->p));
}

static void all_addresses_of_a_name_are_tried(void **state)
{
    struct fixture *f = *state;

    look_ups = 0;
    add_handshake(&f->script, "PUB");
    start_peer(f, LINK_PEER_SUB, "two.invalid");
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    assert_int_equal(look_ups, 1);
}

static void a_peer_ends_while_its_name_is_looked_up(void **state)
{
    struct fixture *f = *state;

    look_ups = 0;
    assert_int_equal(sem_init(&may_hang_no_more, 0, 0), 0);
    start_peer(f, LINK_PEER_SUB, "hangs.invalid");
    DRIVE_UNTIL(f, look_ups == 1);
    let_time_pass(f);
    assert_int_equal(look_ups, 1); /* one at a time, however long it takes */
    assert_false(link_peer_can_send(f->p));
    link_peer_destroy(&f->p);
    assert_int_equal(sem_post(&may_hang_no_more), 0);
}

static void a_peer_ends_at_any_time(void **state)
{
    struct fixture *f = *state;

    link_peer_destroy(&f->p); /* none */
    start_peer(f, LINK_PEER_SUB, "127.0.0.1");
    link_peer_destroy(&f->p); /* before its first turn */
    for (int steps = 0; steps < 12; steps++) {
        start_peer(f, LINK_PEER_DEALER, "127.0.0.1");
        buf_reset(&f->script);
        add_handshake(&f->script, "ROUTER");
        add_text(&f->script, LAST, "unread");
        add_text(&f->script, MORE, "half a message");
        for (int i = 0; i < steps; i++) {
            step(f);
        }
        NHUB_IGNORE(request(f, "unwritten", 9)); /* refused as long as it is not open */
        link_peer_destroy(&f->p);
        assert_null(f->p);
    }
}

/* ---- ends ---- */

static void a_closed_connection_is_told_once_and_made_again(void **state)
{
    struct fixture *f = *state;

    open_peer(f, LINK_PEER_SUB);
    for (size_t i = 0; i < 4; i++) {
        hang_up(f, i % 2 == 1);
        DRIVE_UNTIL(f, (read_message(f), link_peer_was_cut(f->p)));
        assert_false(link_peer_was_cut(f->p));
        DRIVE_UNTIL(f, link_peer_can_send(f->p));
        assert_int_equal(f->accepted, i + 2);
        say_text(f, "again");
        expect_text(f, "again");
        assert_false(link_peer_was_cut(f->p));
    }
}

/* However long ago the last turn was. */
static void the_pause_begins_with_the_end(void **state)
{
    struct fixture *f = *state;
    struct pollfd item;

    open_peer(f, LINK_PEER_DEALER);
    hang_up(f, false);
    f->ahead_ms += 10L * LINK_PEER_RETRY_MS;
    link_peer_poll(f->p, true, &item);
    assert_int_equal(poll(&item, 1, LIMIT_MS), 1);
    link_peer_polled(f->p, &item);
    assert_false(read_message(f));
    turn(f);
    assert_true(link_peer_was_cut(f->p));
    link_peer_poll(f->p, true, &item);
    assert_int_equal(item.fd, -1);
    assert_true(link_peer_deadline(f->p) <= peers_clock(f) + LINK_PEER_RETRY_MS);
}

static size_t read_all(struct fixture *f)
{
    size_t count = 0;

    while (read_message(f)) {
        count++;
    }
    return count;
}

static void what_came_before_the_end_is_given_before_it_is_told(void **state)
{
    struct fixture *f = *state;
    size_t came = 0;
    struct buf all = {0};
    static char body[3000];

    for (int i = 0; i < 100; i++) {
        add_frame(&all, LAST, body, sizeof body);
    }
    add_text(&all, MORE, "half a message");
    open_peer(f, LINK_PEER_SUB);
    say(f, &all);
    DRIVE_UNTIL(f, (came += read_all(f), f->to_say.len == 0));
    hang_up(f, false);
    DRIVE_UNTIL(f, (came += read_all(f), link_peer_was_cut(f->p)));
    assert_int_equal(came, 100);
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    say_text(f, "whole");
    expect_text(f, "whole"); /* the half is forgotten */
    buf_fini(&all);
}

static void what_was_not_written_goes_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct zmtp_frame frame;
    static char body[65536];

    open_peer(f, LINK_PEER_DEALER);
    f->is_deaf = true;
    for (int i = 0; i < 100; i++) {
        if (request(f, body, sizeof body) != NHUB_OK) {
            step(f);
        }
    }
    hang_up(f, true);
    f->is_deaf = false;
    DRIVE_UNTIL(f, (read_message(f), link_peer_was_cut(f->p)));
    assert_true(is_refusing(f));
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    assert_int_equal(request(f, "new", 3), NHUB_OK);
    DRIVE_UNTIL(f, heard(f, &frame));
    assert_true(frame.is_command);
    expect_heard(f, "new", 3);
}

static void bad_bytes_cut_an_open_connection(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x08\0", 2},                             /* a reserved flag */
        {"\x80\0", 2},                             /* another */
        {"\2\0\0\0\0\x20\0\0\1", 9},               /* longer than LINK_PEER_MESSAGE_BYTES */
        {"\2\xff\xff\xff\xff\xff\xff\xff\xff", 9}, /* than anything */
        {"\1\1x\3\x80\0\0\0\0\0\0\0", 12},         /* in the second frame */
    };

    open_peer(f, LINK_PEER_SUB);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        say_text(f, "good");
        expect_text(f, "good");
        buf_add(&f->to_say, cases[i].bytes, cases[i].len);
        DRIVE_UNTIL(f, (assert_false(read_message(f)), link_peer_was_cut(f->p)));
        DRIVE_UNTIL(f, link_peer_can_send(f->p));
        assert_int_equal(f->accepted, i + 2);
        assert_false(link_peer_was_cut(f->p));
    }
}

/* hub.max_event_bytes goes up to 256 MiB, and the hub adds to each event. */
static void the_largest_event_of_a_hub_is_waited_for(void **state)
{
    struct fixture *f = *state;

    open_peer(f, LINK_PEER_SUB);
    buf_add(&f->to_say, "\2\0\0\0\0\x10\0\4\0", 9); /* 256 MiB and 1 KiB */
    let_time_pass(f);
    assert_false(read_message(f));
    assert_true(link_peer_can_send(f->p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sub_subscribes_to_everything),
        TEST(a_dealer_says_no_more_than_its_handshake),
        TEST(a_handshake_may_come_byte_by_byte),
        TEST(what_comes_with_the_handshake_is_kept),
        TEST(a_sub_tries_again_when_no_publisher_is_there),
        TEST(a_dealer_tries_again_when_no_router_is_there),
        TEST(a_refused_connection_is_tried_again_after_a_pause),
        TEST(a_server_that_says_nothing_is_given_up),
        TEST(a_name_is_looked_up),
        TEST(an_unknown_name_is_looked_up_again),
        TEST(all_addresses_of_a_name_are_tried),
        TEST(a_peer_ends_while_its_name_is_looked_up),
        TEST(a_peer_ends_at_any_time),
        TEST(a_closed_connection_is_told_once_and_made_again),
        TEST(the_pause_begins_with_the_end),
        TEST(what_came_before_the_end_is_given_before_it_is_told),
        TEST(what_was_not_written_goes_with_the_connection),
        TEST(bad_bytes_cut_an_open_connection),
        TEST(the_largest_event_of_a_hub_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
