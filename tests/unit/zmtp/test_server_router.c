/*
 * server as a ROUTER: requests that are given out whole, answers to those who asked.
 */
#include "server_fixture.h"

#include <stdio.h>

/* ---- requests ---- */

static void a_message_is_given_out_when_all_of_it_is_here(void **state)
{
    struct fixture *f = *state;
    struct peer *p;
    uint64_t id;

    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    add_text(&p->to_say, MORE, "");
    add_text(&p->to_say, MORE, "first");
    let_time_pass(f);
    add_text(&p->to_say, MORE | LONG, "second");
    let_time_pass(f);
    assert_int_equal(f->taken_count, 0);
    add_text(&p->to_say, LAST, "third");
    id = expect_text(f, "", true);
    assert_int_equal(expect_text(f, "first", true), id);
    assert_int_equal(expect_text(f, "second", true), id);
    assert_int_equal(expect_text(f, "third", false), id);
}

/* 3 messages, which end behind these bytes of the second argument. */
static void add_three(struct buf *out, size_t ends[3])
{
    static char body[600];

    memset(body, 'b', sizeof body);
    add_text(out, MORE, "A");
    add_frame(out, MORE, body, 256);
    add_text(out, LAST, "");
    ends[0] = out->len;
    add_text(out, LAST | LONG, "B");
    ends[1] = out->len;
    add_text(out, MORE, "C");
    add_frame(out, LAST, body, 255);
    ends[2] = out->len;
}

static size_t frames_of(const size_t ends[3], size_t at)
{
    return (at >= ends[0] ? 3u : 0) + (at >= ends[1] ? 1u : 0) + (at >= ends[2] ? 2u : 0);
}

static void messages_may_be_cut_anywhere(void **state)
{
    struct fixture *f = *state;
    struct peer *p;
    struct buf bytes;
    size_t ends[3];
    size_t size;

    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    buf_init(&bytes);
    add_three(&bytes, ends);
    size = bytes.len;
    for (size_t cut = 0; cut < size; cut++) {
        forget_taken(f);
        buf_add(&p->to_say, bytes.data, cut);
        DRIVE_UNTIL(f, p->to_say.len == 0 && f->taken_count == frames_of(ends, cut));
        step(f);
        assert_int_equal(f->taken_count, frames_of(ends, cut));
        buf_add(&p->to_say, bytes.data + cut, size - cut);
        DRIVE_UNTIL(f, f->taken_count == 6);
        assert_true(is_text(&f->taken[0].frame, "A") && f->taken[0].frame.more);
        assert_true(f->taken[1].frame.len == 256 && f->taken[1].frame.more);
        assert_true(is_text(&f->taken[2].frame, "") && !f->taken[2].frame.more);
        assert_true(is_text(&f->taken[3].frame, "B") && !f->taken[3].frame.more);
        assert_true(is_text(&f->taken[4].frame, "C") && f->taken[4].frame.more);
        assert_true(f->taken[5].frame.len == 255 && !f->taken[5].frame.more);
    }
    buf_fini(&bytes);
}

static void commands_may_stand_between_the_frames_of_a_message(void **state)
{
    struct fixture *f = *state;
    struct zmtp_frame pong;
    struct peer *p;

    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    add_text(&p->to_say, MORE, "one");
    add_frame(&p->to_say, COMMAND, BYTES("\4PING\0\0middle"));
    let_time_pass(f);
    assert_int_equal(f->taken_count, 0);
    add_text(&p->to_say, LAST, "two");
    expect_text(f, "one", true);
    expect_text(f, "two", false);
    DRIVE_UNTIL(f, heard(p, &pong));
    assert_true(pong.is_command && is_text(&pong, "\4PONGmiddle"));
}

/* All frames of a message, until the next one is asked for: not copies, the very bytes. */
static void frames_stay_until_the_next_message(void **state)
{
    struct fixture *f = *state;
    static char body[300000];
    struct zmtp_frame frames[3];
    struct zpeer *who = NULL;
    struct peer *p;
    struct peer *other;
    nhub_err err = NHUB_EAGAIN;

    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    other = open_peer(f);
    f->is_busy = true;
    memset(body, 'l', sizeof body);
    add_text(&p->to_say, MORE, "one");
    add_frame(&p->to_say, MORE, body, sizeof body);
    add_text(&p->to_say, LAST, "three");
    say_text(p, "next");
    DRIVE_UNTIL(f, (err = zserver_next(f->s, &who, &frames[0])) == NHUB_OK);
    assert_int_equal(zserver_next(f->s, &who, &frames[1]), NHUB_OK);
    say_text(other, "other");
    let_time_pass(f);
    assert_int_equal(zserver_next(f->s, &who, &frames[2]), NHUB_OK);
    assert_int_equal(zserver_answer(f->s, zpeer_id(who), "R", body, sizeof body, NULL), NHUB_OK);
    hang_up(p, true);
    let_time_pass(f);
    assert_true(is_text(&frames[0], "one") && frames[0].more);
    assert_true(is_frame(&frames[1], body, sizeof body) && frames[1].more);
    assert_true(is_text(&frames[2], "three") && !frames[2].more);
    f->is_busy = false;
    DRIVE_UNTIL(f, f->taken_count == 2);
}

static void add_frames(struct buf *out, size_t count, size_t len)
{
    static const char body[1024];

    for (size_t i = 0; i < count; i++) {
        add_frame(out, i + 1 < count ? MORE : LAST, body, len);
    }
}

static void assert_cut(struct fixture *f, size_t count, size_t len)
{
    const uint64_t refused = counts(f)->refused;
    const size_t taken = f->taken_count;
    struct peer *p = open_peer(f);

    add_frames(&p->to_say, count, len);
    expect_cut(f, p);
    DRIVE_UNTIL(f, counts(f)->refused == refused + 1);
    assert_int_equal(f->taken_count, taken);
}

/* In one frame or in many, whether they come at once or not. */
static void a_message_that_is_too_long_cuts_the_connection(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    f->options.message_max = 1000;
    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    add_frames(&p->to_say, 1, 1000);
    add_frames(&p->to_say, 3, 300);
    DRIVE_UNTIL(f, f->taken_count == 4);
    assert_cut(f, 1, 1001);
    assert_cut(f, 3, 999);
    assert_cut(f, 2, 999);
    assert_cut(f, 100, 100);
    say_text(p, "others go on");
    DRIVE_UNTIL(f, f->taken_count == 5);
    assert_true(was_logged(f, "zeromq_peer_refused"));
}

/* It is over as soon as it is too long, not when it ends. */
static void a_message_without_an_end_is_cut(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    f->options.message_max = 1000;
    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    for (int i = 0; i < 20; i++) {
        add_frame(&p->to_say, MORE, "0123456789012345678901234567890123456789012345678901234", 55);
    }
    expect_cut(f, p);
    assert_int_equal(f->taken_count, 0);
    assert_int_equal(counts(f)->refused, 1);
}

static void what_ends_in_the_middle_is_not_given_out(void **state)
{
    struct fixture *f = *state;

    start(f, ZSERVER_ROUTER);
    for (int rude = 0; rude < 2; rude++) {
        struct peer *p = open_peer(f);

        say_text(p, "whole");
        add_text(&p->to_say, MORE, "half");
        speak(p);
        expect_text(f, "whole", false);
        hang_up(p, rude);
        DRIVE_UNTIL(f, counts(f)->connections == 0);
    }
    let_time_pass(f);
    assert_int_equal(f->taken_count, 2);
    assert_int_equal(counts(f)->refused, 0);
}

static void other_types_may_ask_too(void **state)
{
    static const char *const types[] = {"DEALER", "REQ", "ROUTER"};
    struct fixture *f = *state;

    start(f, ZSERVER_ROUTER);
    for (size_t i = 0; i < 3; i++) {
        struct peer *p = dial(f);

        add_handshake(&p->to_say, types[i]);
        say_text(p, types[i]);
        expect_text(f, types[i], false);
    }
    assert_int_equal(counts(f)->refused, 0);
}

/* ---- names ---- */

static void a_name_is_never_given_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[60];
    char address[64];

    start(f, ZSERVER_ROUTER);
    for (size_t i = 0; i < 60; i++) {
        struct peer *p = open_peer(f);

        say_text(p, "hello");
        ids[i] = expect_text(f, "hello", false);
        for (size_t k = 0; k < i; k++) {
            assert_true(ids[k] != ids[i]);
        }
        zserver_address(f->s, ids[i], address, sizeof address);
        assert_memory_equal(address, "127.0.0.1:", 10);
        if (i % 3 != 0) { /* the others stay, so that names end in any order */
            hang_up(p, i % 2);
            DRIVE_UNTIL(f, counts(f)->connections == 1 + i / 3);
        }
    }
    for (size_t i = 0; i < 60; i++) {
        const nhub_err err = zserver_answer(f->s, ids[i], "R", "{}", 2, NULL);

        assert_int_equal(err, i % 3 == 0 ? NHUB_OK : NHUB_ENOTFOUND);
        zserver_address(f->s, ids[i], address, sizeof address);
        assert_true((strcmp(address, "-") == 0) == (err != NHUB_OK));
    }
}

static void nobody_has_a_name_that_was_not_given(void **state)
{
    struct fixture *f = *state;
    static const uint64_t others[] = {0, 1, 99, UINT64_MAX, UINT64_C(1) << 32, UINT32_MAX};
    char address[64];

    start(f, ZSERVER_ROUTER);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(zserver_answer(f->s, others[i], "R", "{}", 2, NULL), NHUB_ENOTFOUND);
        zserver_address(f->s, others[i], address, sizeof address);
        assert_string_equal(address, "-");
    }
}

/* ---- answers ---- */

/* Counts the ends of shared frames. */
static void note_gone(void *context, struct block *b)
{
    (void)b;
    ++*(int *)context;
}

static struct block *make_frames(int *gone, const char *first, size_t len)
{
    struct block *b = NULL;
    struct buf bytes;
    char *body = calloc(1, len);

    assert_non_null(body);
    buf_init(&bytes);
    add_text(&bytes, MORE, first);
    add_frame(&bytes, LAST, body, len);
    free(body);
    assert_int_equal(block_create(&b, bytes.len), NHUB_OK);
    memcpy(b->bytes, bytes.data, bytes.len);
    b->len = bytes.len;
    b->gone = note_gone;
    b->context = gone;
    buf_fini(&bytes);
    return b;
}

static void expect_answer(struct fixture *f, struct peer *p, const char *name, const char *json,
                          bool more)
{
    struct zmtp_frame frame;

    DRIVE_UNTIL(f, heard(p, &frame));
    assert_true(is_text(&frame, name) && frame.more && !frame.is_command);
    DRIVE_UNTIL(f, heard(p, &frame));
    assert_true(is_text(&frame, json) && frame.more == more && !frame.is_command);
}

static void expect_frames(struct fixture *f, struct peer *p, const char *first, size_t len)
{
    struct zmtp_frame frame;

    DRIVE_UNTIL(f, heard(p, &frame));
    assert_true(is_text(&frame, first) && frame.more);
    DRIVE_UNTIL(f, heard(p, &frame));
    assert_true(frame.len == len && !frame.more);
}

static void answers_go_to_who_asked(void **state)
{
    struct fixture *f = *state;
    struct peer *peers[3];
    uint64_t ids[3];

    start(f, ZSERVER_ROUTER);
    for (size_t i = 0; i < 3; i++) {
        peers[i] = open_peer(f);
        say_text(peers[i], "q");
        ids[i] = expect_text(f, "q", false);
    }
    for (size_t i = 0; i < 3; i++) {
        char json[32];

        NHUB_IGNORE(snprintf(json, sizeof json, "{\"n\":%zu}", i) < 0);
        assert_int_equal(zserver_answer(f->s, ids[i], "R", json, strlen(json), NULL), NHUB_OK);
        assert_int_equal(zserver_answer(f->s, ids[i], "", "", 0, NULL), NHUB_OK);
    }
    for (size_t i = 3; i-- > 0;) {
        char json[32];

        NHUB_IGNORE(snprintf(json, sizeof json, "{\"n\":%zu}", i) < 0);
        expect_answer(f, peers[i], "R", json, false);
        expect_answer(f, peers[i], "", "", false);
        assert_int_equal(peers[i]->parsed, peers[i]->received.len);
    }
    assert_false(zserver_is_writing(f->s));
}

static void frames_are_shared_until_all_have_them(void **state)
{
    struct fixture *f = *state;
    int gone = 0;
    struct block *frames = make_frames(&gone, "events", 100000);
    struct peer *peers[3];

    start(f, ZSERVER_ROUTER);
    for (size_t i = 0; i < 3; i++) {
        uint64_t id;

        peers[i] = open_with(f, 4096);
        peers[i]->is_deaf = true;
        say_text(peers[i], "q");
        id = expect_text(f, "q", false);
        for (int k = 0; k < 100; k++) {
            assert_int_equal(zserver_answer(f->s, id, "R", "{}", 2, frames), NHUB_OK);
        }
    }
    block_unref(&frames);
    let_time_pass(f);
    assert_true(zserver_is_writing(f->s));
    assert_int_equal(gone, 0);
    for (size_t i = 0; i < 2; i++) { /* two read all */
        peers[i]->is_deaf = false;
        for (int k = 0; k < 100; k++) {
            expect_answer(f, peers[i], "R", "{}", true);
            expect_frames(f, peers[i], "events", 100000);
        }
        assert_int_equal(gone, 0);
    }
    hang_up(peers[2], true);
    DRIVE_UNTIL(f, counts(f)->connections == 2);
    assert_int_equal(gone, 1);
    assert_false(zserver_is_writing(f->s));
}

static void frames_are_let_go_when_they_are_written(void **state)
{
    struct fixture *f = *state;
    int gone = 0;
    struct peer *p;
    uint64_t id;

    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    say_text(p, "q");
    id = expect_text(f, "q", false);
    for (int i = 1; i <= 20; i++) {
        struct block *frames = make_frames(&gone, "events", (size_t)i * 100);

        assert_int_equal(zserver_answer(f->s, id, "R", "[]", 2, frames), NHUB_OK);
        assert_int_equal(zserver_answer(f->s, id, "S", "{}", 2, NULL), NHUB_OK);
        block_unref(&frames);
        expect_answer(f, p, "R", "[]", true);
        expect_frames(f, p, "events", (size_t)i * 100);
        expect_answer(f, p, "S", "{}", false);
        DRIVE_UNTIL(f, !zserver_is_writing(f->s));
        assert_int_equal(gone, i);
    }
    zserver_destroy(&f->s); /* with an answer that nobody gets */
}

static void a_server_that_ends_lets_all_frames_go(void **state)
{
    struct fixture *f = *state;
    int gone = 0;
    struct block *frames = make_frames(&gone, "events", 100);
    struct peer *p;
    uint64_t id;

    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    say_text(p, "q");
    id = expect_text(f, "q", false);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(zserver_answer(f->s, id, "R", "[]", 2, frames), NHUB_OK);
    }
    zserver_destroy(&f->s);
    assert_int_equal(frames->refs, 1);
    block_unref(&frames);
    assert_int_equal(gone, 1);
}

/* The order of what was taken, and that all of it comes. */
static void who_does_not_read_gets_no_further_answers(void **state)
{
    struct fixture *f = *state;
    int gone = 0;
    struct block *frames = make_frames(&gone, "events", 3000);
    char json[32];
    struct peer *p;
    struct peer *other;
    uint64_t id;
    uint64_t other_id;
    int sent = 0;
    nhub_err err = NHUB_OK;

    f->options.queue_max = 20;
    start(f, ZSERVER_ROUTER);
    p = open_with(f, 4096);
    other = open_peer(f);
    say_text(p, "q");
    id = expect_text(f, "q", false);
    say_text(other, "q");
    other_id = expect_text(f, "q", false);
    p->is_deaf = true;
    for (;;) {
        NHUB_IGNORE(snprintf(json, sizeof json, "%d", sent) < 0);
        err = zserver_answer(f->s, id, "R", json, strlen(json), sent % 2 ? frames : NULL);
        if (err != NHUB_OK) {
            break;
        }
        sent++;
        zserver_flush(f->s);
    }
    assert_int_equal(err, NHUB_EAGAIN);
    assert_int_equal(zserver_answer(f->s, id, "R", "x", 1, NULL), NHUB_EAGAIN);
    assert_int_equal(zserver_answer(f->s, other_id, "R", "x", 1, NULL), NHUB_OK);
    expect_answer(f, other, "R", "x", false);
    p->is_deaf = false;
    for (int i = 0; i < sent; i++) {
        NHUB_IGNORE(snprintf(json, sizeof json, "%d", i) < 0);
        expect_answer(f, p, "R", json, i % 2);
        if (i % 2) {
            expect_frames(f, p, "events", 3000);
        }
    }
    DRIVE_UNTIL(f, !zserver_is_writing(f->s));
    assert_int_equal(zserver_answer(f->s, id, "R", "again", 5, NULL), NHUB_OK);
    expect_answer(f, p, "R", "again", false);
    assert_int_equal(p->parsed, p->received.len);
    assert_int_equal(frames->refs, 1);
    block_unref(&frames);
}

/* Its last request is still given out, and the answer has nowhere to go. */
static void who_goes_after_asking_gets_no_answer(void **state)
{
    struct fixture *f = *state;
    enum { REQUESTS = 1000 };
    struct peer *p;
    uint64_t id;

    start(f, ZSERVER_ROUTER);
    p = open_peer(f);
    f->is_busy = true;
    for (int i = 0; i < REQUESTS; i++) {
        add_text(&p->to_say, LAST, "q");
    }
    DRIVE_UNTIL(f, p->to_say.len == 0);
    hang_up(p, true);
    f->is_busy = false;
    for (int i = 0; i < REQUESTS; i++) {
        id = expect_text(f, "q", false);
    }
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    assert_int_equal(zserver_answer(f->s, id, "R", "{}", 2, NULL), NHUB_ENOTFOUND);
    assert_false(zserver_is_writing(f->s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_given_out_when_all_of_it_is_here),
        TEST(messages_may_be_cut_anywhere),
        TEST(commands_may_stand_between_the_frames_of_a_message),
        TEST(frames_stay_until_the_next_message),
        TEST(a_message_that_is_too_long_cuts_the_connection),
        TEST(a_message_without_an_end_is_cut),
        TEST(what_ends_in_the_middle_is_not_given_out),
        TEST(other_types_may_ask_too),
        TEST(a_name_is_never_given_twice),
        TEST(nobody_has_a_name_that_was_not_given),
        TEST(answers_go_to_who_asked),
        TEST(frames_are_shared_until_all_have_them),
        TEST(frames_are_let_go_when_they_are_written),
        TEST(a_server_that_ends_lets_all_frames_go),
        TEST(who_does_not_read_gets_no_further_answers),
        TEST(who_goes_after_asking_gets_no_answer),
    };

    return cmocka_run_group_tests_name("server_router", tests, NULL, NULL);
}
