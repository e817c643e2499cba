/*
 * link_peer and a server that says exactly what a test wants: messages in pieces and together,
 * readers that do not read, and an end while nothing is wanted.
 */
#include "link_peer_fixture.h"

#include <stdio.h>

/* ---- messages in ---- */

static void a_message_is_given_when_all_of_it_is_here(void **state)
{
    struct fixture *f = *state;
    struct buf all = {0};

    open_peer(f, LINK_PEER_SUB);
    add_text(&all, MORE, "one");
    add_text(&all, MORE | LONG, "");
    add_text(&all, LAST, "three");
    for (size_t i = 0; i < all.len; i++) {
        assert_false(read_message(f));
        buf_add(&f->to_say, all.data + i, 1);
        serve(f);
        step(f);
        assert_int_equal(f->to_say.len, 0);
    }
    DRIVE_UNTIL(f, read_message(f));
    assert_int_equal(f->count, 3);
    assert_true(is_text(&f->frames[0], "one") && is_text(&f->frames[1], ""));
    assert_true(is_text(&f->frames[2], "three"));
    assert_false(read_message(f));
    buf_fini(&all);
}

static void messages_that_are_here_are_told(void **state)
{
    struct fixture *f = *state;
    struct buf all = {0};
    char text[16];

    for (int i = 0; i < 10; i++) {
        NHUB_IGNORE(snprintf(text, sizeof text, "message %d", i) < 0);
        add_text(&all, LAST, text);
    }
    open_peer(f, LINK_PEER_SUB);
    say(f, &all);
    expect_text(f, "message 0");
    for (int i = 1; i < 10; i++) {
        assert_true(link_peer_has_message(f->p)); /* they came in one piece */
        NHUB_IGNORE(snprintf(text, sizeof text, "message %d", i) < 0);
        assert_true(read_message(f));
        assert_true(is_text(&f->frames[0], text));
    }
    assert_false(link_peer_has_message(f->p));
    assert_false(read_message(f));
    buf_fini(&all);
}

/* More has come behind them, and requests have gone; that it is longer than any room made so far
 * lets a peer that would read into the same memory fail. */
static void frames_stay_until_the_next_message_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct buf all = {0};
    static char large[3][400000];

    for (int i = 0; i < 3; i++) {
        memset(large[i], 'a' + i, sizeof large[i]);
        add_frame(&all, i < 2 ? MORE : LAST, large[i], sizeof large[i]);
    }
    open_peer(f, LINK_PEER_DEALER);
    for (int round = 0; round < 3; round++) {
        say(f, &all);
        say(f, &all);
        for (int message = 0; message < 2; message++) {
            DRIVE_UNTIL(f, read_message(f));
            assert_int_equal(f->count, 3);
            assert_int_equal(request(f, large, sizeof large), NHUB_OK);
            let_time_pass(f);
            for (int i = 0; i < 3; i++) {
                assert_true(is_frame(&f->frames[i], large[i], sizeof large[i]));
            }
            expect_heard(f, large, sizeof large);
        }
    }
    buf_fini(&all);
}

static void commands_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct buf all = {0};

    open_peer(f, LINK_PEER_SUB);
    add_frame(&all, COMMAND, "\4PING\0\0", 7);
    say(f, &all);
    let_time_pass(f);
    assert_false(read_message(f));
    add_text(&all, LAST, "first");
    add_frame(&all, COMMAND | LONG, "\4PING\0\0", 7);
    add_frame(&all, COMMAND, "", 0);
    add_text(&all, MORE, "second");
    add_text(&all, LAST, "its end");
    add_frame(&all, COMMAND, "\4PING\0\0", 7);
    say(f, &all);
    expect_text(f, "first");
    DRIVE_UNTIL(f, read_message(f));
    assert_int_equal(f->count, 2);
    assert_true(is_text(&f->frames[0], "second") && is_text(&f->frames[1], "its end"));
    let_time_pass(f);
    assert_false(read_message(f));
    assert_true(link_peer_can_send(f->p));
    buf_fini(&all);
}

/* The server is gone, and with it what is to be written, but not what it said before. */
static void messages_outlive_a_write_that_fails(void **state)
{
    struct fixture *f = *state;
    int came = 1;

    open_peer(f, LINK_PEER_DEALER);
    for (int i = 0; i < 10; i++) {
        add_text(&f->to_say, LAST, "answer");
    }
    serve(f);
    DRIVE_UNTIL(f, read_message(f));
    hang_up(f, true);
    assert_true(link_peer_has_message(f->p));
    assert_int_equal(request(f, "x", 1), NHUB_OK);
    turn(f);
    while (read_message(f)) {
        came++;
    }
    assert_int_equal(came, 10);
    DRIVE_UNTIL(f, (read_message(f), link_peer_was_cut(f->p)));
}

static void messages_before_bad_bytes_are_given(void **state)
{
    struct fixture *f = *state;
    int came = 0;

    open_peer(f, LINK_PEER_DEALER);
    for (int i = 0; i < 3; i++) {
        add_text(&f->to_say, LAST, "answer");
    }
    buf_add(&f->to_say, "\x80\0", 2);
    serve(f);
    DRIVE_UNTIL(f, (came += read_message(f), link_peer_was_cut(f->p)));
    assert_int_equal(came, 3);
}

/* A heartbeat comes when its time has come. */
static void a_command_does_not_end_a_message(void **state)
{
    struct fixture *f = *state;

    open_peer(f, LINK_PEER_SUB);
    add_text(&f->to_say, MORE, "one");
    add_frame(&f->to_say, COMMAND, "\4PING\0\0", 7);
    let_time_pass(f);
    assert_false(read_message(f));
    say_text(f, "two");
    DRIVE_UNTIL(f, read_message(f));
    assert_int_equal(f->count, 2);
    assert_true(is_text(&f->frames[0], "one") && is_text(&f->frames[1], "two"));
}

/* ---- messages that are not wanted ---- */

static void unwanted_messages_wait(void **state)
{
    struct fixture *f = *state;

    open_peer(f, LINK_PEER_SUB);
    f->want_in = false;
    f->told = 0;
    say_text(f, "later");
    let_time_pass(f);
    assert_int_equal(f->told, 0);
    assert_false(link_peer_has_message(f->p));
    f->want_in = true;
    expect_text(f, "later");
}

/* Each way to end: with nothing unread, with a message unread, and with a reset. */
static void an_end_while_nothing_is_wanted_does_not_spin(void **state)
{
    struct fixture *f = *state;

    open_peer(f, LINK_PEER_DEALER);
    for (int way = 0; way < 6; way++) {
        f->want_in = false;
        if (way % 3 == 1) {
            say_text(f, "unread");
        }
        if (way >= 3) { /* and with something to write */
            assert_int_equal(request(f, "lost", 4), NHUB_OK);
        }
        hang_up(f, way % 3 == 2);
        f->told = 0;
        for (int i = 0; i < 30; i++) {
            step(f);
        }
        assert_in_range(f->told, 0, 15); /* the end, and the handshake of the next connection */
        f->want_in = true;
        DRIVE_UNTIL(f, (read_message(f), link_peer_was_cut(f->p)));
        DRIVE_UNTIL(f, link_peer_can_send(f->p));
    }
}

/* ---- messages out ---- */

static void requests_before_a_turn_go_out_together(void **state)
{
    struct fixture *f = *state;

    open_peer(f, LINK_PEER_DEALER);
    assert_int_equal(request(f, "one", 3), NHUB_OK);
    assert_int_equal(request(f, "", 0), NHUB_OK);
    assert_int_equal(request(f, "three", 5), NHUB_OK);
    turn(f); /* the only one */
    link_peer_destroy(&f->p);
    for (const int64_t limit = limit_ms(); !f->is_over && clock_mono_ms() < limit;) {
        serve(f);
    }
    expect_heard(f, "one", 3);
    expect_heard(f, "", 0);
    expect_heard(f, "three", 5);
}

static void a_request_that_lacks_memory_is_left_out_alone(void **state)
{
    struct fixture *f = *state;
    struct buf *out = NULL;

    open_peer(f, LINK_PEER_DEALER);
    assert_int_equal(request(f, "before", 6), NHUB_OK);
    assert_int_equal(link_peer_begin(f->p, &out), NHUB_OK);
    buf_add_str(out, "lost");
    out->failed = true;
    assert_int_equal(link_peer_end(f->p), NHUB_ENOMEM);
    assert_int_equal(request(f, "behind", 6), NHUB_OK);
    expect_heard(f, "before", 6);
    expect_heard(f, "behind", 6);
}

enum { PIECE = 65536 };

/* Gives numbered requests until no more are taken. */
static unsigned char fill(struct fixture *f, unsigned char number)
{
    static char piece[PIECE];
    nhub_err err = NHUB_OK;

    while (err == NHUB_OK) {
        memset(piece, number, sizeof piece);
        err = request(f, piece, sizeof piece);
        number = (unsigned char)(number + (err == NHUB_OK));
    }
    assert_int_equal(err, NHUB_EAGAIN);
    return number;
}

/* For what comes to the server. */
static void give_little_room(struct fixture *f)
{
    const int little = 4096;

    assert_int_equal(setsockopt(f->listener, SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
}

static void a_long_request_is_written_piece_by_piece(void **state)
{
    struct fixture *f = *state;
    static char body[12 << 20];

    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (char)(i * 7 + i / 251);
    }
    give_little_room(f);
    open_peer(f, LINK_PEER_DEALER);
    assert_int_equal(request(f, body, sizeof body), NHUB_OK);
    for (int i = 0; i < 5; i++) {
        f->is_deaf = true;
        let_time_pass(f);
        f->is_deaf = false;
        step(f);
    }
    expect_heard(f, body, sizeof body);
}

/* The connection takes what its buffers hold, and the peer as much as it may; then it is full. */
static void a_server_that_does_not_read_is_told_by_a_full_peer(void **state)
{
    struct fixture *f = *state;
    static char piece[PIECE];
    unsigned char given = 0;
    unsigned char before = 0;

    give_little_room(f);
    open_peer(f, LINK_PEER_DEALER);
    f->is_deaf = true;
    given = fill(f, 0);
    assert_int_equal(given, LINK_PEER_OUT_BYTES / PIECE); /* with their heads they are more */
    do {
        before = given;
        let_time_pass(f);
        given = fill(f, given);
    } while (given != before);
    assert_true(is_refusing(f));
    assert_false(link_peer_was_cut(f->p));
    f->is_deaf = false;
    DRIVE_UNTIL(f, !is_refusing(f));
    for (unsigned char i = 0; i != given; i++) {
        memset(piece, i, sizeof piece);
        expect_heard(f, piece, sizeof piece);
    }
    assert_int_equal(request(f, "last", 4), NHUB_OK);
    expect_heard(f, "last", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_given_when_all_of_it_is_here),
        TEST(messages_that_are_here_are_told),
        TEST(frames_stay_until_the_next_message_is_asked_for),
        TEST(commands_are_left_out),
        TEST(messages_outlive_a_write_that_fails),
        TEST(messages_before_bad_bytes_are_given),
        TEST(a_command_does_not_end_a_message),
        TEST(unwanted_messages_wait),
        TEST(an_end_while_nothing_is_wanted_does_not_spin),
        TEST(requests_before_a_turn_go_out_together),
        TEST(a_request_that_lacks_memory_is_left_out_alone),
        TEST(a_long_request_is_written_piece_by_piece),
        TEST(a_server_that_does_not_read_is_told_by_a_full_peer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
