/*
 * Every way in which a WebSocket connection ends.
 */
#include "ws_fixture.h"

/* RFC 6455, section 5.5.1. */
static void nothing_follows_the_close_frame(void **state)
{
    static const char closing[] = "\x88\x09\x03\xea"
                                  "bad opc";
    struct fixture x;
    const char *found = NULL;
    size_t at_close = 0;
    uint64_t seq = 0;

    (void)state;
    start(&x, "/ws?event_type=t");
    say(&x, 0x3, "x"); /* there is no such opcode */
    for (uint64_t i = 1; i <= 200000 && !found; i++) {
        feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, i, "t", 0));
        turns(&x, 1);
        read_some(&x, 4096);
        found = memmem(x.got.data, x.got.len, closing, sizeof closing - 1);
        seq = i;
    }
    assert_non_null(found);
    at_close = (size_t)(found - x.got.data);
    for (int i = 0; i < 200; i++) {
        feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, ++seq, "t", 0));
        turns(&x, 1);
        read_some(&x, 4096);
    }
    assert_int_equal(x.got.len, at_close + sizeof closing - 1);
    stop(&x);
}

/* RFC 6455, section 7.1.7: it is told why, and then its connection ends, whatever it goes on to
 * send. A mask of zeros keeps payloads as they are. */
static void a_client_that_breaks_the_rules_is_told_and_left(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *code;
    } cases[] = {
        {"\x81\x02hi", 4, "\x03\xea"},
        {"\xc1\x80\0\0\0\0", 6, "\x03\xea"},
        {"\x09\x80\0\0\0\0", 6, "\x03\xea"},
        {"\x80\x80\0\0\0\0", 6, "\x03\xea"},
        {"\x81\xfe\0\1\0\0\0\0x", 9, "\x03\xea"},
        {"\x88\x81\0\0\0\0\x03", 7, "\x03\xea"},         /* half a code */
        {"\x88\x82\0\0\0\0\x03\xed", 8, "\x03\xea"},     /* 1005 is never sent */
        {"\x88\x82\0\0\0\0\0\1", 8, "\x03\xea"},         /* no code is below 1000 */
        {"\x88\x82\0\0\0\0\x13\x88", 8, "\x03\xea"},     /* nor above 4999 */
        {"\x88\x83\0\0\0\0\x03\xe8\xff", 9, "\x03\xef"}, /* the reason is no UTF-8 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture x;
        const char *frame = NULL;

        start(&x, "/ws?event_type=t");
        say_bytes(&x, cases[i].bytes, cases[i].len);
        read_to_end(&x);
        assert_int_equal(ws_count(x.ws), 1); /* it may still be sending, and would be reset */
        say_bytes(&x, "more", 4);
        turns(&x, 10);
        frame = memrchr(x.got.data, '\x88', x.got.len);
        assert_non_null(frame);
        assert_int_equal(frame[1], x.got.data + x.got.len - frame - 2);
        assert_memory_equal(frame + 2, cases[i].code, 2);
        stop(&x);
    }
}

static void a_close_is_answered_with_its_own_code(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *answer;
        size_t answer_len;
    } cases[] = {
        {"\x88\x80\0\0\0\0", 6, "\x88\0", 2},
        {"\x88\x82\0\0\0\0\x03\xe8", 8, "\x88\x02\x03\xe8", 4},
        {"\x88\x85\0\0\0\0\x0f\xa0"
         "bye",
         11, "\x88\x02\x0f\xa0", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture x;

        start(&x, "/ws?event_type=t");
        for (size_t k = 0; k < cases[i].len; k++) { /* in the smallest pieces */
            say_bytes(&x, cases[i].bytes + k, 1);
            turns(&x, 2);
        }
        read_to_end(&x);
        assert_true(ends_with(&x, cases[i].answer, cases[i].answer_len));
        assert_int_equal(ws_count(x.ws), 0);
        stop(&x);
    }
}

static void our_close_waits_for_the_clients(void **state)
{
    static const char ours[] = "\x88\x13\x03\xe9the gateway stops";
    struct fixture x;

    (void)state;
    start(&x, "/ws?event_type=t");
    ws_end_some(x.ws, SIZE_MAX, SESSION_END_STOP);
    read_up_to(&x, ours, sizeof ours - 1);
    assert_int_equal(ws_count(x.ws), 1);
    say(&x, WS_PING, "too late");
    say(&x, WS_TEXT, "{\"op\":\"ping\"}");
    say(&x, WS_CLOSE, "\x03\xe9");
    read_to_end(&x);
    assert_true(ends_with(&x, ours, sizeof ours - 1));
    assert_int_equal(ws_count(x.ws), 0);
    stop(&x);
}

static void a_close_that_is_not_answered_ends_by_itself(void **state)
{
    struct fixture x;

    (void)state;
    start(&x, "/ws?event_type=t");
    ws_end_some(x.ws, SIZE_MAX, SESSION_END_STOP);
    ws_tick(x.ws, clock_mono_ms() + 9000);
    turns(&x, 5);
    assert_int_equal(ws_count(x.ws), 1);
    ws_tick(x.ws, clock_mono_ms() + 11000);
    turns(&x, 5);
    assert_int_equal(ws_count(x.ws), 0);
    stop(&x);
}

/* Too long is known from the head of a frame already. */
static void a_message_is_refused_before_it_is_read(void **state)
{
    static const char head[] = "\x81\xff\0\0\0\0\x7f\0\0\0\0\0\0\0";
    static const char closing[] = "\x88\x1a\x03\xf1the message is too large";
    struct fixture x;

    (void)state;
    start(&x, "/ws");
    say_bytes(&x, head, sizeof head - 1);
    read_up_to(&x, closing, sizeof closing - 1);
    stop(&x);
}

static void a_silent_peer_is_asked_and_then_given_up(void **state)
{
    struct fixture x;
    int64_t now_ms = 0;
    bool has_ping = false;

    (void)state;
    start(&x, "/ws");
    now_ms = clock_mono_ms();
    ws_tick(x.ws, now_ms + 31000);
    for (int i = 0; i < 100; i++) {
        turns(&x, 1);
        read_some(&x, 4096);
    }
    has_ping = memmem(x.got.data, x.got.len, "\x89\x02nh", 4) != NULL;
    assert_true(has_ping);
    assert_int_equal(ws_count(x.ws), 1);
    ws_tick(x.ws, now_ms + 76000);
    for (int i = 0; i < 1000 && ws_count(x.ws) > 0; i++) {
        turns(&x, 1);
    }
    assert_int_equal(ws_count(x.ws), 0);
    stop(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_follows_the_close_frame),
        cmocka_unit_test(a_client_that_breaks_the_rules_is_told_and_left),
        cmocka_unit_test(a_close_is_answered_with_its_own_code),
        cmocka_unit_test(our_close_waits_for_the_clients),
        cmocka_unit_test(a_close_that_is_not_answered_ends_by_itself),
        cmocka_unit_test(a_message_is_refused_before_it_is_read),
        cmocka_unit_test(a_silent_peer_is_asked_and_then_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
