/*
 * server: handshakes, frames in, heartbeats, turns and ends of connections, mostly as a PULL.
 */
#include "server_fixture.h"

#include <stdio.h>

/* ---- handshakes ---- */

static void a_handshake_may_come_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    struct peer *p;
    struct buf all;

    start(f, ZSERVER_PULL);
    p = dial(f);
    buf_init(&all);
    add_handshake(&all, "PUSH");
    add_text(&all, LAST, "event");
    for (size_t i = 0; i < all.len; i++) {
        assert_int_equal(f->taken_count, 0);
        buf_add_char(&p->to_say, all.data[i]);
        speak(p);
        step(f);
    }
    expect_ready(f, p);
    expect_text(f, "event", false);
    buf_fini(&all);
}

static void a_handshake_may_come_with_all_that_follows(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    start(f, ZSERVER_PULL);
    p = dial(f);
    add_greeting(&p->to_say, 3, "NULL");
    add_frame(&p->to_say, COMMAND | LONG, BYTES("\5READY\13socket-TYPE\0\0\0\4PUSH"));
    add_text(&p->to_say, LAST, "event");
    expect_text(f, "event", false);
    expect_ready(f, p);
    assert_int_equal(counts(f)->connections, 1);
}

static void a_later_version_is_welcome(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    start(f, ZSERVER_PULL);
    p = dial(f);
    add_greeting(&p->to_say, 4, "NULL");
    add_ready(&p->to_say, "PUSH");
    say_text(p, "event");
    expect_text(f, "event", false);
}

/* It is cut, counted and logged; another one goes on. */
static void expect_refused(struct fixture *f, struct peer *good, const struct buf *bytes)
{
    const uint64_t before = counts(f)->refused;
    struct peer *p = dial(f);

    say(p, bytes);
    expect_cut(f, p);
    DRIVE_UNTIL(f, counts(f)->connections == 1);
    assert_int_equal(counts(f)->refused, before + 1);
    say_text(good, "still here");
    expect_text(f, "still here", false);
}

static void who_does_not_speak_zmtp_3_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } others[] = {
        {BYTES("GET / HTTP/1.1\r\nHost: hub\r\n\r\n")},
        {BYTES("\x16\3\1\2\0\1\0\1\xfc\3\3")},              /* TLS */
        {BYTES("\1\0\0event")},                             /* ZMTP 1.0 */
        {BYTES("\xff\0\0\0\0\0\0\0\1\x7f\1\5\0\0")},        /* ZMTP 2.0 */
        {BYTES("\xff\0\0\0\0\0\0\0\1\x7f\3\0PLAIN\0\0\0")}, /* another mechanism */
        {BYTES("\xff\0\0\0\0\0\0\0\1\x7f\3\0CURVE\0\0\0")}, /* and another */
        {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
        {BYTES("\n")},
    };
    struct fixture *f = *state;
    struct peer *good;

    start(f, ZSERVER_PULL);
    good = open_peer(f);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct buf bytes;

        buf_init(&bytes);
        buf_add(&bytes, others[i].bytes, others[i].len);
        expect_refused(f, good, &bytes);
        buf_fini(&bytes);
    }
    assert_true(was_logged(f, "event=zeromq_peer_refused"));
    assert_true(was_logged(f, "socket=PULL"));
    assert_true(was_logged(f, "peer=127.0.0.1:"));
}

static void what_follows_the_greeting_has_to_be_ready(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } others[] = {
        {BYTES("\0\5event")},
        {BYTES("\4\4\5READ")},
        {BYTES("\4\6\5READY")}, /* without a type */
        {BYTES("\4\12\5ERROR\3no!")},
        {BYTES("\4\7\4PING\0\0")},
        {BYTES("\6\0\0\0\0\0\2\0\0")}, /* a READY of 128 KiB */
        {BYTES("\10\0")},
    };
    struct fixture *f = *state;
    struct peer *good;

    start(f, ZSERVER_PULL);
    good = open_peer(f);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct buf bytes;

        buf_init(&bytes);
        add_greeting(&bytes, 3, "NULL");
        buf_add(&bytes, others[i].bytes, others[i].len);
        expect_refused(f, good, &bytes);
        buf_fini(&bytes);
    }
}

static void the_wrong_type_is_told_why(void **state)
{
    static const char *const wrong[][9] = {
        [ZSERVER_PULL] = {"SUB", "PULL", "DEALER", "PUB", "XPUB", "ROUTER", "PAIR", "PUSHY",
                          "push"},
        [ZSERVER_PUB] = {"PUSH", "PULL", "DEALER", "PUB", "XPUB", "REQ", "SU", "", "sub"},
        [ZSERVER_ROUTER] = {"PUSH", "PULL", "SUB", "PUB", "XPUB", "REP", "DEALE", "", "XREQ"}};
    struct fixture *f = *state;

    for (int type = ZSERVER_PULL; type <= ZSERVER_ROUTER; type++) {
        start(f, (enum zserver_type)type);
        for (size_t i = 0; i < 9; i++) {
            struct peer *p = dial(f);
            struct zmtp_frame frame;

            add_handshake(&p->to_say, wrong[type][i]);
            expect_ready(f, p);
            DRIVE_UNTIL(f, heard(p, &frame));
            assert_true(frame.is_command && frame.len > 7);
            assert_memory_equal(frame.bytes, "\5ERROR", 6);
            assert_int_equal((unsigned char)frame.bytes[6], frame.len - 7);
            expect_cut(f, p);
            DRIVE_UNTIL(f, counts(f)->refused == i + 1);
        }
        assert_int_equal(counts(f)->connections, 0);
        zserver_destroy(&f->s);
        forget_peers(f);
    }
}

static void a_handshake_that_takes_too_long_is_ended(void **state)
{
    struct fixture *f = *state;
    const int64_t now_ms = clock_mono_ms() + 1000;
    struct peer *silent;
    struct peer *half;
    struct peer *good;

    start(f, ZSERVER_PULL);
    zserver_tick(f->s, now_ms);
    silent = dial(f);
    half = dial(f);
    add_greeting(&half->to_say, 3, "NULL");
    expect_ready(f, half);
    good = open_peer(f);
    DRIVE_UNTIL(f, counts(f)->connections == 3);
    zserver_tick(f->s, now_ms + 29000);
    let_time_pass(f);
    assert_int_equal(counts(f)->connections, 3);
    zserver_tick(f->s, now_ms + 31000);
    expect_cut(f, silent);
    expect_cut(f, half);
    assert_int_equal(counts(f)->refused, 2);
    assert_int_equal(counts(f)->connections, 1);
    zserver_tick(f->s, now_ms + 1000000);
    say_text(good, "event");
    expect_text(f, "event", false);
}

/* ---- frames in ---- */

static void each_frame_is_an_event_wherever_it_is_cut(void **state)
{
    static const size_t lengths[] = {0, 1, 255, 256, 3};
    struct fixture *f = *state;
    static char body[300];
    struct peer *p;
    struct buf bytes;
    size_t size;

    start(f, ZSERVER_PULL);
    p = open_peer(f);
    buf_init(&bytes);
    memset(body, 'b', sizeof body);
    for (size_t i = 0; i < 5; i++) {
        add_frame(&bytes, i % 2 ? MORE : i == 4 ? LONG : LAST, body, lengths[i]);
    }
    size = bytes.len;
    for (size_t cut = 0; cut < size; cut++) {
        forget_taken(f);
        buf_add(&p->to_say, bytes.data, cut);
        speak(p);
        step(f);
        buf_add(&p->to_say, bytes.data + cut, size - cut);
        for (size_t i = 0; i < 5; i++) {
            expect_taken(f, body, lengths[i], i % 2);
        }
    }
    step(f);
    assert_int_equal(f->taken_count, 5);
    buf_fini(&bytes);
}

static void large_and_small_events_come_through_together(void **state)
{
    struct fixture *f = *state;
    static char body[1 << 20];
    static const size_t lengths[] = {1 << 20, 0, 70000, 5, 65536, 4096, 1 << 19, 1};
    struct peer *p;

    start(f, ZSERVER_PULL);
    p = open_peer(f);
    for (int i = 0; i < 40; i++) {
        memset(body, 'A' + i, lengths[i % 8]);
        add_frame(&p->to_say, LAST, body, lengths[i % 8]);
    }
    for (int i = 0; i < 40; i++) {
        memset(body, 'A' + i, lengths[i % 8]);
        expect_taken(f, body, lengths[i % 8], false);
    }
}

static void what_is_no_frame_cuts_after_what_was_one(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {BYTES("\10\0")},                              /* a reserved flag */
        {BYTES("\x80\0")},                             /* another */
        {BYTES("\2\0\0\0\0\0\0\3\351")},               /* 1001 bytes */
        {BYTES("\2\xff\xff\xff\xff\xff\xff\xff\xff")}, /* more than there is memory */
        {BYTES("\6\0\0\0\0\0\0\3\351")},               /* a command */
    };
    struct fixture *f = *state;

    f->options.message_max = 1000;
    start(f, ZSERVER_PULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct peer *p = open_peer(f);
        static const char longest[1000];

        add_frame(&p->to_say, MORE, longest, sizeof longest);
        add_text(&p->to_say, LAST, "before");
        buf_add(&p->to_say, bad[i].bytes, bad[i].len);
        add_text(&p->to_say, LAST, "behind");
        expect_taken(f, longest, sizeof longest, true);
        expect_text(f, "before", false);
        expect_cut(f, p);
        assert_int_equal(counts(f)->refused, i + 1);
    }
    assert_int_equal(f->taken_count, f->looked_at);
}

/* ---- heartbeats and other commands ---- */

static void a_ping_is_answered_with_its_context(void **state)
{
    struct fixture *f = *state;
    struct zmtp_frame pong;
    struct peer *p;

    start(f, ZSERVER_PULL);
    p = open_peer(f);
    add_frame(&p->to_say, COMMAND, BYTES("\4PING\0\12"));
    add_text(&p->to_say, LAST, "event");
    add_frame(&p->to_say, COMMAND | LONG, BYTES("\4PING\377\377sixteen  letters"));
    DRIVE_UNTIL(f, heard(p, &pong));
    assert_true(pong.is_command && !pong.more && is_text(&pong, "\4PONG"));
    DRIVE_UNTIL(f, heard(p, &pong));
    assert_true(pong.is_command && is_text(&pong, "\4PONGsixteen  letters"));
    expect_text(f, "event", false);
}

static void other_commands_are_passed_over(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } others[] = {{BYTES("")},
                  {BYTES("\4PONG")},
                  {BYTES("\4PING")},
                  {BYTES("\4PING\0")},
                  {BYTES("\4PING\0\0seventeen letters")},
                  {BYTES("\4ping\0\0")},
                  {BYTES("\11SUBSCRIBEall")},
                  {BYTES("\5ERROR\2no")},
                  {BYTES("\377")}};
    struct fixture *f = *state;
    struct peer *p;

    start(f, ZSERVER_PULL);
    p = open_peer(f);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        add_frame(&p->to_say, COMMAND, others[i].bytes, others[i].len);
        say_text(p, "event");
        expect_text(f, "event", false);
    }
    let_time_pass(f);
    assert_int_equal(p->parsed, p->received.len);
    assert_int_equal(counts(f)->refused, 0);
}

/* It gets no more answers than it may have messages waiting, and its events are taken all the same.
 */
static void who_asks_and_does_not_read_gets_no_more_answers(void **state)
{
    struct fixture *f = *state;
    struct zmtp_frame pong;
    struct peer *p;
    size_t count = 0;

    f->options.queue_max = 3;
    start(f, ZSERVER_PULL);
    p = open_peer(f);
    f->is_busy = true;
    for (int k = 0; k < 1000; k++) {
        add_frame(&p->to_say, COMMAND, BYTES("\4PING\0\0sixteen  letters"));
    }
    say_text(p, "event");
    DRIVE_UNTIL(f, p->to_say.len == 0);
    while (f->taken_count == 0) { /* nothing is written meanwhile */
        zserver_turn(f->s);
        NHUB_IGNORE(take(f));
    }
    f->is_busy = false;
    DRIVE_UNTIL(f, !zserver_is_writing(f->s));
    let_time_pass(f);
    while (heard(p, &pong)) {
        assert_true(is_text(&pong, "\4PONGsixteen  letters"));
        count++;
    }
    assert_int_equal(p->parsed, p->received.len);
    assert_int_equal(count, 3);
    expect_text(f, "event", false);
}

/* ---- turns ---- */

/* Nobody's messages wait for more than 64 of each other. */
static void peers_take_turns(void **state)
{
    struct fixture *f = *state;
    enum { PEERS = 4, EVENTS = 1000 };
    struct peer *peers[PEERS];
    size_t in_row = 0;

    start(f, ZSERVER_PULL);
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = open_peer(f);
    }
    f->is_busy = true;
    for (size_t i = 0; i < PEERS; i++) {
        for (int k = 0; k < EVENTS; k++) {
            add_text(&peers[i]->to_say, LAST, "event");
        }
    }
    for (size_t i = 0; i < PEERS; i++) {
        DRIVE_UNTIL(f, peers[i]->to_say.len == 0);
    }
    let_time_pass(f);
    f->is_busy = false;
    DRIVE_UNTIL(f, f->taken_count == PEERS * EVENTS);
    for (size_t i = 1; i < f->taken_count - EVENTS; i++) {
        in_row = f->taken[i].id == f->taken[i - 1].id ? in_row + 1 : 1;
        assert_true(in_row <= 64 * 2); /* and once more where two turns meet */
    }
}

/* Commands are no messages, and still nobody waits for thousands of somebody else's. */
static void a_flood_of_commands_keeps_nobody_waiting(void **state)
{
    struct fixture *f = *state;
    struct peer *flood;
    struct peer *other;
    struct zpeer *who = NULL;
    struct zmtp_frame frame;

    start(f, ZSERVER_PULL);
    flood = open_peer(f);
    other = open_peer(f);
    f->is_busy = true;
    for (int i = 0; i < 10000; i++) {
        add_frame(&flood->to_say, COMMAND, "", 0);
    }
    say_text(flood, "of the flood");
    DRIVE_UNTIL(f, flood->to_say.len == 0 && zserver_is_busy(f->s));
    say_text(other, "of the other");
    let_time_pass(f);
    assert_int_equal(zserver_next(f->s, &who, &frame), NHUB_OK);
    assert_true(is_text(&frame, "of the other"));
}

/* ---- ends ---- */

static void who_goes_right_after_sending_is_read_to_the_end(void **state)
{
    struct fixture *f = *state;
    enum { EVENTS = 500 };
    uint64_t taken = 0;

    start(f, ZSERVER_PULL);
    for (int way = 0; way < 4; way++) {
        struct peer *p = dial(f);

        add_handshake(&p->to_say, "PUSH");
        for (int i = 0; i < EVENTS; i++) {
            add_text(&p->to_say, LAST, "event");
        }
        speak(p);
        assert_int_equal(p->to_say.len, 0);
        if (way % 2) { /* what it was sent is not read, so that its end is a reset */
            DRIVE_UNTIL(f, counts(f)->connections == 1);
        }
        hang_up(p, false);
        for (int i = 0; i < EVENTS; i++) {
            expect_text(f, "event", false);
        }
        DRIVE_UNTIL(f, counts(f)->connections == 0);
        taken += EVENTS;
        assert_int_equal(f->taken_count, taken);
    }
    assert_int_equal(counts(f)->refused, 0);
}

/* The write that fails is the answer to a heartbeat; what stands behind it is read all the same. */
static void a_failed_write_does_not_end_the_reading(void **state)
{
    struct fixture *f = *state;
    enum { EVENTS = 3000 };
    struct peer *p;

    start(f, ZSERVER_PULL);
    p = open_peer(f);
    f->is_busy = true;
    for (int i = 0; i < EVENTS; i++) {
        add_frame(&p->to_say, COMMAND, BYTES("\4PING\0\0"));
        add_text(&p->to_say, LAST, "event");
    }
    DRIVE_UNTIL(f, p->to_say.len == 0);
    hang_up(p, true);
    f->is_busy = false;
    /* A flush after each event, so that a write fails in the middle. */
    for (int i = 0; i < EVENTS; i++) {
        while (f->taken_count == (size_t)i) {
            if (!take(f)) {
                zserver_turn(f->s);
            }
        }
        zserver_flush(f->s);
        assert_true(is_text(&f->taken[i].frame, "event"));
    }
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    assert_false(zserver_is_writing(f->s));
}

static void who_ends_in_the_middle_harms_nobody(void **state)
{
    struct fixture *f = *state;
    struct peer *good;
    struct buf bytes;

    start(f, ZSERVER_PULL);
    good = open_peer(f);
    buf_init(&bytes);
    add_handshake(&bytes, "PUSH");
    add_frame(&bytes, LAST | LONG, "event", 5);
    for (size_t len = 0; len < bytes.len; len++) {
        struct peer *p = dial(f);

        buf_add(&p->to_say, bytes.data, len);
        speak(p);
        hang_up(p, len % 2);
    }
    DRIVE_UNTIL(f, counts(f)->connections == 1);
    let_time_pass(f);
    assert_int_equal(f->taken_count, 0);
    say_text(good, "event");
    expect_text(f, "event", false);
    assert_int_equal(counts(f)->connections, 1);
    buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_may_come_byte_by_byte),
        TEST(a_handshake_may_come_with_all_that_follows),
        TEST(a_later_version_is_welcome),
        TEST(who_does_not_speak_zmtp_3_is_refused),
        TEST(what_follows_the_greeting_has_to_be_ready),
        TEST(the_wrong_type_is_told_why),
        TEST(a_handshake_that_takes_too_long_is_ended),
        TEST(each_frame_is_an_event_wherever_it_is_cut),
        TEST(large_and_small_events_come_through_together),
        TEST(what_is_no_frame_cuts_after_what_was_one),
        TEST(a_ping_is_answered_with_its_context),
        TEST(other_commands_are_passed_over),
        TEST(who_asks_and_does_not_read_gets_no_more_answers),
        TEST(peers_take_turns),
        TEST(a_flood_of_commands_keeps_nobody_waiting),
        TEST(who_goes_right_after_sending_is_read_to_the_end),
        TEST(a_failed_write_does_not_end_the_reading),
        TEST(who_ends_in_the_middle_harms_nobody),
    };

    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
