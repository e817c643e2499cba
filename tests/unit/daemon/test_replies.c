/* replies: direct sending, queues of full peers, limits, batches; against a sink that plays ROUTER.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/replies.h"

#define FULL "full"
#define GONE "gone"

/* What was sent, as text: frames in brackets, messages ended by a semicolon. */
struct router {
    struct buf sent;
    bool full_has_room;
    bool is_inside; /* a message */
    bool breaks;    /* the next frame behind an identity fails */
};

static struct router router;
static struct stats stats;
static int64_t now_ns;

static int64_t fake_mono(void)
{
    return now_ns;
}

static int64_t fake_wall(void)
{
    return 0;
}

static const struct clock_source fake = {.mono_ns = fake_mono, .wall_us = fake_wall};

static nhub_err refuse_identity(const void *bytes, size_t len)
{
    if (len == 4 && memcmp(bytes, FULL, 4) == 0 && !router.full_has_room) {
        return NHUB_EAGAIN;
    }
    return len == 4 && memcmp(bytes, GONE, 4) == 0 ? NHUB_ENOTFOUND : NHUB_OK;
}

static nhub_err send_bytes(void *context, const void *bytes, size_t len, bool more)
{
    const nhub_err err = router.is_inside ? NHUB_OK : refuse_identity(bytes, len);

    (void)context;
    if (err) {
        return err;
    }
    if (router.is_inside && router.breaks) {
        router.breaks = false;
        return NHUB_ENOMEM;
    }
    buf_add_char(&router.sent, '[');
    buf_add(&router.sent, bytes, len);
    buf_add_str(&router.sent, more ? "]" : "];");
    router.is_inside = more;
    return NHUB_OK;
}

static nhub_err send_frame(void *context, struct zframe *frame, bool more)
{
    return send_bytes(context, zframe_data(frame), zframe_size(frame), more);
}

static struct replies *make(const struct replies_limits *limits)
{
    const struct reply_sink sink = {.send_bytes = send_bytes, .send_frame = send_frame};
    struct replies *r = NULL;

    assert_int_equal(replies_create(&r, &sink, limits, &stats), NHUB_OK);
    return r;
}

static const struct replies_limits usual = REPLIES_LIMITS;

static int set_up(void **state)
{
    (void)state;
    now_ns = 0;
    clock_set_source(&fake);
    stats_init(&stats, 0, 0);
    router = (struct router){.full_has_room = false};
    buf_init(&router.sent);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clock_set_source(NULL);
    buf_fini(&router.sent);
    return 0;
}

static void send_to(struct replies *r, const char *peer, const char *json)
{
    struct zframe identity;

    assert_int_equal(zframe_init_copy(&identity, peer, strlen(peer)), NHUB_OK);
    replies_send(r, &identity, json, strlen(json), NULL);
    zframe_close(&identity);
}

static void batch_to(struct replies *r, const char *peer, const char *json)
{
    struct zframe identity;

    assert_int_equal(zframe_init_copy(&identity, peer, strlen(peer)), NHUB_OK);
    replies_add_batched(r, &identity, json, strlen(json));
    zframe_close(&identity);
}

static void expect(const char *wanted)
{
    assert_string_equal(buf_cstr(&router.sent), wanted);
    buf_reset(&router.sent);
}

static void an_answer_goes_out_at_once(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    send_to(r, "a", "{}");
    expect("[a][RESPONSE][{}];");
    assert_int_equal(stats.answers_sent, 1);
    assert_false(replies_retry(r));
    replies_destroy(&r);
    replies_destroy(&r); /* a NULL is fine */
}

static struct reply_frames *two_frames(void)
{
    struct reply_frames *frames = NULL;

    assert_int_equal(reply_frames_create(&frames, 2), NHUB_OK);
    assert_int_equal(zframe_init_copy(&frames->frames[0], "x", 1), NHUB_OK);
    assert_int_equal(zframe_init_copy(&frames->frames[1], "y", 1), NHUB_OK);
    frames->count = 2;
    frames->bytes = 2;
    return frames;
}

static void frames_follow_the_json(void **state)
{
    struct replies *r = make(&usual);
    struct reply_frames *frames = two_frames();
    struct zframe identity;

    (void)state;
    assert_int_equal(zframe_init_copy(&identity, FULL, 4), NHUB_OK);
    replies_send(r, &identity, "{}", 2, &frames);
    assert_null(frames);
    expect("");
    router.full_has_room = true;
    assert_false(replies_retry(r));
    expect("[full][RESPONSE][{}][x][y];");
    frames = two_frames();
    replies_send(r, &identity, "{}", 2, &frames);
    assert_null(frames);
    expect("[full][RESPONSE][{}][x][y];");
    zframe_close(&identity);
    replies_destroy(&r);
}

static void a_full_peer_gets_its_answers_later_and_in_order(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    send_to(r, FULL, "1");
    send_to(r, FULL, "2");
    send_to(r, "a", "other");
    assert_true(replies_retry(r));
    expect("[a][RESPONSE][other];");
    assert_int_equal(stats.waiting_answers, 2);
    assert_int_equal(stats.waiting_peers, 1);
    router.full_has_room = true;
    send_to(r, FULL, "3"); /* does not overtake */
    expect("");
    assert_false(replies_retry(r));
    expect("[full][RESPONSE][1];[full][RESPONSE][2];[full][RESPONSE][3];");
    assert_int_equal(stats.waiting_answers, 0);
    assert_int_equal(stats.waiting_bytes, 0);
    assert_int_equal(stats.waiting_peers, 0);
    assert_int_equal(stats.answers_queued_total, 3);
    replies_destroy(&r);
}

static void a_vanished_peer_costs_a_counter(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    send_to(r, GONE, "{}");
    expect("");
    assert_int_equal(stats.answers_unroutable, 1);
    assert_int_equal(stats.waiting_peers, 0);
    replies_destroy(&r);
}

static void a_peers_queue_is_bounded_by_count(void **state)
{
    struct replies_limits limits = usual;
    struct replies *r;

    (void)state;
    limits.peer_answers = 2;
    r = make(&limits);
    send_to(r, FULL, "1");
    send_to(r, FULL, "2");
    send_to(r, FULL, "3");
    assert_int_equal(stats.answers_dropped, 1);
    router.full_has_room = true;
    assert_false(replies_retry(r));
    expect("[full][RESPONSE][1];[full][RESPONSE][2];");
    replies_destroy(&r);
}

static void queues_are_bounded_by_bytes(void **state)
{
    struct replies_limits limits = usual;
    struct replies *r;
    char big[600];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    limits.total_bytes = 1500;
    r = make(&limits);
    send_to(r, FULL, big);
    send_to(r, FULL, big);
    send_to(r, FULL, big);
    assert_int_equal(stats.answers_dropped, 1);
    assert_int_equal(stats.waiting_answers, 2);
    assert_true(stats.waiting_bytes <= 1500);
    limits.total_bytes = 100;
    replies_destroy(&r);
    assert_int_equal(stats.waiting_bytes, 0);
    r = make(&limits);
    send_to(r, FULL, big);
    assert_int_equal(stats.waiting_peers, 0); /* nothing waits, so nothing is kept of the peer */
    replies_destroy(&r);
}

static void an_answer_that_waited_too_long_is_dropped(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    send_to(r, FULL, "1");
    now_ns = INT64_C(20000) * 1000000;
    send_to(r, FULL, "2");
    assert_true(replies_retry(r));
    now_ns = INT64_C(30001) * 1000000;
    assert_true(replies_retry(r));
    assert_int_equal(stats.answers_dropped, 1);
    router.full_has_room = true;
    assert_false(replies_retry(r));
    expect("[full][RESPONSE][2];");
    replies_destroy(&r);
}

static void a_batch_of_several_is_an_array(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    batch_to(r, "a", "{1}");
    batch_to(r, "b", "{2}");
    batch_to(r, "a", "{3}");
    expect("");
    replies_end_turn(r);
    if (strncmp(buf_cstr(&router.sent), "[a]", 3) == 0) { /* peers come in any order */
        expect("[a][RESPONSE][[{1},{3}]];[b][RESPONSE][{2}];");
    } else {
        expect("[b][RESPONSE][{2}];[a][RESPONSE][[{1},{3}]];");
    }
    replies_end_turn(r);
    expect("");
    assert_int_equal(stats.waiting_peers, 0);
    replies_destroy(&r);
}

static void another_answer_does_not_overtake_the_batch(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    batch_to(r, "a", "{1}");
    send_to(r, "a", "{2}");
    batch_to(r, "a", "{3}");
    replies_end_turn(r);
    expect("[a][RESPONSE][{1}];[a][RESPONSE][{2}];[a][RESPONSE][{3}];");
    replies_destroy(&r);
}

static void a_batch_for_a_full_peer_waits_like_any_answer(void **state)
{
    struct replies_limits limits = usual;
    struct replies *r;

    (void)state;
    limits.peer_answers = 1;
    r = make(&limits);
    batch_to(r, FULL, "{1}");
    batch_to(r, FULL, "{2}");
    replies_end_turn(r);
    batch_to(r, FULL, "{3}");
    replies_end_turn(r); /* no room any more */
    assert_int_equal(stats.answers_dropped, 1);
    router.full_has_room = true;
    assert_false(replies_retry(r));
    expect("[full][RESPONSE][[{1},{2}]];");
    replies_destroy(&r);
}

static void a_large_batch_goes_out_in_parts(void **state)
{
    struct replies *r = make(&usual);
    char big[400001];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (int i = 0; i < 4; i++) {
        batch_to(r, "a", big);
    }
    replies_end_turn(r);
    assert_int_equal(stats.answers_sent, 2);
    replies_destroy(&r);
}

static void a_failure_in_the_middle_ends_the_message(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    router.breaks = true;
    send_to(r, "a", "{1}");
    assert_int_equal(stats.answers_dropped, 1);
    send_to(r, "a", "{2}");
    expect("[a][];[a][RESPONSE][{2}];");
    replies_destroy(&r);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_answer_goes_out_at_once),
        ROW(frames_follow_the_json),
        ROW(a_full_peer_gets_its_answers_later_and_in_order),
        ROW(a_vanished_peer_costs_a_counter),
        ROW(a_peers_queue_is_bounded_by_count),
        ROW(queues_are_bounded_by_bytes),
        ROW(an_answer_that_waited_too_long_is_dropped),
        ROW(a_batch_of_several_is_an_array),
        ROW(another_answer_does_not_overtake_the_batch),
        ROW(a_batch_for_a_full_peer_waits_like_any_answer),
        ROW(a_large_batch_goes_out_in_parts),
        ROW(a_failure_in_the_middle_ends_the_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
