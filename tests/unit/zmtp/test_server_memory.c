// with: failmalloc
/*
 * server without memory: each allocation fails once, and then nothing is lost but what that one
 * concerned: connections whose handshake or message it was, an event, an answer. All of it is given
 * back.
 */
#include "publish_fixture.h"

#include "failmalloc.h"

static long live_before;

/* Of the test's own memory nothing may fail: it has all it needs before. */
static void make_room(struct fixture *f)
{
    f->taken_cap = 4096;
    f->taken = calloc(f->taken_cap, sizeof *f->taken);
    assert_non_null(f->taken);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(buf_reserve(&f->peers[i].to_say, 1 << 20), NHUB_OK);
        assert_int_equal(buf_reserve(&f->peers[i].received, 1 << 20), NHUB_OK);
    }
}

/* Dials again with the memory that the peer has. */
static struct peer *dial_again(struct fixture *f, size_t i)
{
    struct peer *p = &f->peers[i];
    const struct buf to_say = p->to_say;
    const struct buf received = p->received;

    hang_up(p, true);
    f->peer_count = i;
    NHUB_IGNORE(dial(f) == NULL);
    p->to_say = to_say;
    p->received = received;
    buf_reset(&p->to_say);
    buf_reset(&p->received);
    return p;
}

/* The server's turn alone may fail; what is given out is only counted. */
static nhub_err turn_and_count(struct fixture *f, size_t *out_frames, uint64_t *out_id)
{
    struct zpeer *who = NULL;
    struct zmtp_frame frame;
    nhub_err err = NHUB_OK;

    zserver_turn(f->s);
    while ((err = zserver_next(f->s, &who, &frame)) == NHUB_OK) {
        *out_id = zpeer_id(who);
        ++*out_frames;
    }
    zserver_flush(f->s);
    return err;
}

static void creation_without_memory_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    for (int type = ZSERVER_PULL; type <= ZSERVER_ROUTER; type++) {
        bool has_failed = true;

        f->options.type = (enum zserver_type)type;
        for (long n = 0; has_failed; n++) {
            const long live = failmalloc_live();
            nhub_err err;

            failmalloc_arm(n);
            err = zserver_create(&f->s, &f->options, &f->port);
            has_failed = failmalloc_disarm();
            assert_int_equal(err, has_failed ? NHUB_ENOMEM : NHUB_OK);
            assert_true(has_failed == !f->s);
            zserver_destroy(&f->s);
            assert_int_equal(failmalloc_live(), live);
        }
    }
}

/* Says a handshake, a heartbeat in the middle and 70 messages to a server whose n-th allocation
 * fails, until they were given out or the connection was cut. */
static bool try_a_peer(struct fixture *f, long n, size_t *out_frames)
{
    struct peer *p = dial_again(f, 0);
    const int64_t limit = limit_ms();
    uint64_t id = 0;
    bool has_failed = false;

    add_handshake(&p->to_say, type_of_peer(f));
    for (int i = 0; i < 70; i++) {
        const char subscription[] = {1, (char)('a' + i % 20), (char)('a' + i / 20)};

        if (i % 5 == 0) {
            add_frame(&p->to_say, COMMAND, BYTES("\4PING\0\0ctx"));
        }
        add_frame(&p->to_say, LAST, subscription, sizeof subscription);
    }
    *out_frames = 0;
    failmalloc_arm(n);
    while (*out_frames < 70 && !p->is_over) {
        assert_true(clock_mono_ms() < limit);
        assert_int_equal(turn_and_count(f, out_frames, &id), NHUB_EAGAIN);
        wait_a_moment(f);
        speak(p);
        hear(p);
    }
    has_failed = failmalloc_disarm();
    hang_up(p, true);
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    step(f);
    return has_failed;
}

static void a_connection_without_memory_is_cut_and_others_follow(void **state)
{
    struct fixture *f = *state;

    for (int type = ZSERVER_PULL; type <= ZSERVER_ROUTER; type++) {
        bool has_failed = true;
        size_t frames = 0;
        long n = 0;

        start(f, (enum zserver_type)type);
        make_room(f);
        for (; has_failed; n++) {
            has_failed = try_a_peer(f, n, &frames);
            assert_true(has_failed || frames == 70);
            if (has_failed) { /* somebody else, now that there is memory */
                assert_false(try_a_peer(f, 1000000, &frames));
                assert_int_equal(frames, 70);
            }
        }
        assert_true(n >= 1);
        assert_int_equal(counts(f)->unsubscribed, counts(f)->subscribed);
        zserver_destroy(&f->s);
        forget_peers(f);
        for (size_t i = 0; i < 4; i++) {
            buf_fini(&f->peers[i].to_say);
            buf_fini(&f->peers[i].received);
        }
        forget_taken(f);
    }
}

/* Two subscribers, of whom one does not read; either gets whole events in order, and those of them
 * that come agree with what is counted. */
static bool try_events(struct fixture *f, long n)
{
    struct peer *quick = open_sub(f, "");
    struct peer *slow = open_sub(f, "");
    const uint64_t lost_before = counts(f)->dropped + 2 * counts(f)->failed;
    enum { EVENTS = 300 };
    struct peer *both[] = {quick, slow};
    unsigned got = 0;
    bool has_failed = false;

    slow->is_deaf = true;
    failmalloc_arm(n);
    for (unsigned i = 0; i < EVENTS; i++) {
        publish(f, "t", i, i % 10 == 0 ? 9000 : 500);
        zserver_flush(f->s);
    }
    has_failed = failmalloc_disarm();
    slow->is_deaf = false;
    DRIVE_UNTIL(f, !zserver_is_writing(f->s));
    step(f);
    for (size_t i = 0; i < 2; i++) {
        struct event event;

        for (unsigned next = 0; next_event(both[i], &event); next = event.number + 1) {
            assert_in_range(event.number, next, EVENTS - 1);
            got++;
        }
        assert_int_equal(both[i]->parsed, both[i]->received.len);
    }
    assert_int_equal(got, 2 * EVENTS - (counts(f)->dropped + 2 * counts(f)->failed - lost_before));
    forget_peers(f);
    forget_taken(f);
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    return has_failed;
}

static void an_event_without_memory_is_counted(void **state)
{
    struct fixture *f = *state;
    const uint64_t limits[] = {0, 65536};

    for (size_t i = 0; i < 2; i++) {
        bool has_failed = true;

        f->options.block_bytes = 4096;
        f->options.held_max = limits[i];
        start(f, ZSERVER_PUB);
        for (long n = 0; has_failed && n < 60; n++) {
            has_failed = try_events(f, n);
        }
        assert_true(counts(f)->failed > 0);
        zserver_destroy(&f->s);
    }
}

/* All of an answer comes or nothing of it. */
static bool try_answers(struct fixture *f, long n, struct block *frames)
{
    enum { ANSWERS = 60 };
    struct peer *p = open_with(f, 4096);
    struct zmtp_frame frame;
    bool was_taken[ANSWERS];
    bool has_failed = false;
    uint64_t id;

    say_text(p, "q");
    id = expect_text(f, "q", false);
    p->is_deaf = true;
    failmalloc_arm(n);
    for (int i = 0; i < ANSWERS; i++) {
        const char json[] = {(char)i};
        const nhub_err err = zserver_answer(f->s, id, "R", json, 1, i % 3 == 0 ? NULL : frames);

        assert_true(err == NHUB_OK || err == NHUB_ENOMEM);
        was_taken[i] = err == NHUB_OK;
    }
    has_failed = failmalloc_disarm();
    p->is_deaf = false;
    for (int i = 0; i < ANSWERS; i++) {
        const char json[] = {(char)i};

        if (!was_taken[i]) {
            assert_true(has_failed);
            continue;
        }
        DRIVE_UNTIL(f, heard(p, &frame));
        assert_true(is_text(&frame, "R") && frame.more);
        DRIVE_UNTIL(f, heard(p, &frame));
        assert_true(is_frame(&frame, json, 1) && frame.more == (i % 3 != 0));
        if (frame.more) {
            DRIVE_UNTIL(f, heard(p, &frame));
            assert_true(is_text(&frame, "shared") && !frame.more);
        }
    }
    step(f);
    assert_int_equal(p->parsed, p->received.len);
    assert_false(zserver_is_writing(f->s));
    assert_int_equal(frames->refs, 1);
    forget_peers(f);
    forget_taken(f);
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    return has_failed;
}

static void an_answer_without_memory_is_not_sent_in_part(void **state)
{
    struct fixture *f = *state;
    struct block *frames = NULL;
    bool has_failed = true;
    long n = 0;

    assert_int_equal(block_create(&frames, 8), NHUB_OK);
    memcpy(frames->bytes, "\0\6shared", 8);
    frames->len = 8;
    f->options.block_bytes = 64; /* each answer needs memory of its own now and then */
    start(f, ZSERVER_ROUTER);
    for (; has_failed; n++) {
        has_failed = try_answers(f, n, frames);
    }
    assert_true(n > 5);
    block_unref(&frames);
}

static int setup_and_count(void **state)
{
    live_before = failmalloc_live();
    return setup(state);
}

static int teardown_and_count(void **state)
{
    assert_int_equal(teardown(state), 0);
    assert_int_equal(failmalloc_live(), live_before);
    return 0;
}

#define TEST_MEMORY(name) cmocka_unit_test_setup_teardown(name, setup_and_count, teardown_and_count)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_MEMORY(creation_without_memory_leaves_nothing),
        TEST_MEMORY(a_connection_without_memory_is_cut_and_others_follow),
        TEST_MEMORY(an_event_without_memory_is_counted),
        TEST_MEMORY(an_answer_without_memory_is_not_sent_in_part),
    };

    return cmocka_run_group_tests_name("server_memory", tests, NULL, NULL);
}
