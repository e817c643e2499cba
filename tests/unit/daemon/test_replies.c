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
#include "block_frames.h"
#include "daemon/replies.h"

/* Peers. */
enum { A = 1, B, FULL, GONE };
static const char *const names[] = {[A] = "a", [B] = "b", [FULL] = "full", [GONE] = "gone"};

/* What was sent, as text: frames in brackets, messages ended by a semicolon. */
struct router {
    struct buf sent;
    bool full_has_room;
    bool has_no_memory; /* for the next message */
    uint64_t gone;      /* this one, too, from now on; 0 = nobody */
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

static nhub_err send(void *context, uint64_t peer, const char *json, size_t len,
                     struct block *frames)
{
    (void)context;
    if (peer == FULL && !router.full_has_room) {
        return NHUB_EAGAIN;
    }
    if (peer == GONE || peer == router.gone) {
        return NHUB_ENOTFOUND;
    }
    if (router.has_no_memory) {
        router.has_no_memory = false;
        return NHUB_ENOMEM;
    }
    buf_printf(&router.sent, "[%s][RESPONSE][", names[peer]);
    buf_add(&router.sent, json, len);
    buf_add_char(&router.sent, ']');
    block_add_frames(&router.sent, frames, "[", "]");
    buf_add_char(&router.sent, ';');
    return NHUB_OK;
}

static struct replies *make(const struct replies_limits *limits)
{
    const struct reply_sink sink = {.send = send};
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

static void send_to(struct replies *r, uint64_t peer, const char *json)
{
    replies_send(r, peer, json, strlen(json), NULL);
}

static void batch_to(struct replies *r, uint64_t peer, const char *json)
{
    replies_add_batched(r, peer, json, strlen(json));
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
    send_to(r, A, "{}");
    expect("[a][RESPONSE][{}];");
    assert_int_equal(stats.answers_sent, 1);
    assert_false(replies_retry(r));
    replies_destroy(&r);
    replies_destroy(&r); /* a NULL is fine */
}

static void frames_follow_the_json(void **state)
{
    struct replies *r = make(&usual);
    struct reply_frames *frames = frames_of_letters("xy");

    (void)state;
    replies_send(r, FULL, "{}", 2, &frames);
    assert_null(frames);
    expect("");
    router.full_has_room = true;
    assert_false(replies_retry(r));
    expect("[full][RESPONSE][{}][x][y];");
    frames = frames_of_letters("xy");
    replies_send(r, FULL, "{}", 2, &frames);
    assert_null(frames);
    expect("[full][RESPONSE][{}][x][y];");
    replies_destroy(&r);
}

static void a_full_peer_gets_its_answers_later_and_in_order(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    send_to(r, FULL, "1");
    send_to(r, FULL, "2");
    send_to(r, A, "other");
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
    batch_to(r, A, "{1}");
    batch_to(r, B, "{2}");
    batch_to(r, A, "{3}");
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
    batch_to(r, A, "{1}");
    send_to(r, A, "{2}");
    batch_to(r, A, "{3}");
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
        batch_to(r, A, big);
    }
    replies_end_turn(r);
    assert_int_equal(stats.answers_sent, 2);
    replies_destroy(&r);
}

static void an_answer_without_memory_is_dropped_and_the_next_goes_on(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    router.has_no_memory = true;
    send_to(r, A, "{1}");
    assert_int_equal(stats.answers_dropped, 1);
    assert_int_equal(stats.answers_sent, 0);
    assert_int_equal(stats.waiting_answers, 0);
    assert_int_equal(stats.waiting_peers, 0);
    send_to(r, A, "{2}");
    expect("[a][RESPONSE][{2}];");
    replies_destroy(&r);
}

static void a_waiting_answer_without_memory_is_dropped_and_the_next_goes_on(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    send_to(r, FULL, "{1}");
    send_to(r, FULL, "{2}");
    router.full_has_room = true;
    router.has_no_memory = true;
    assert_false(replies_retry(r));
    expect("[full][RESPONSE][{2}];");
    assert_int_equal(stats.answers_dropped, 1);
    assert_int_equal(stats.answers_sent, 1);
    assert_int_equal(stats.waiting_bytes, 0);
    replies_destroy(&r);
}

static void a_peer_that_vanishes_while_answers_wait_costs_one_counter_each(void **state)
{
    struct replies *r = make(&usual);

    (void)state;
    send_to(r, FULL, "1");
    send_to(r, FULL, "2");
    batch_to(r, FULL, "3");
    replies_end_turn(r);
    router.full_has_room = true;
    router.gone = FULL;
    assert_false(replies_retry(r));
    expect("");
    assert_int_equal(stats.answers_unroutable, 3);
    assert_int_equal(stats.answers_dropped, 0);
    assert_int_equal(stats.waiting_peers, 0);
    assert_int_equal(stats.waiting_bytes, 0);
    replies_destroy(&r);
}

static void note_gone(void *context, bool was_sent)
{
    buf_add_str(context, was_sent ? "+" : "-");
}

static void send_noted(struct replies *r, uint64_t peer, struct buf *notes)
{
    struct reply_frames *frames = frames_of_letters("x");

    frames->gone = note_gone;
    frames->context = notes;
    replies_send(r, peer, "{}", 2, &frames);
    assert_null(frames);
}

static void frames_learn_whether_their_answer_went_out(void **state)
{
    struct replies_limits limits = usual;
    struct replies *r;
    struct buf notes;

    (void)state;
    buf_init(&notes);
    limits.peer_answers = 2;
    r = make(&limits);
    send_noted(r, A, &notes);
    assert_string_equal(buf_cstr(&notes), "+");
    send_noted(r, GONE, &notes);
    assert_string_equal(buf_cstr(&notes), "+-");
    router.has_no_memory = true;
    send_noted(r, A, &notes);
    assert_string_equal(buf_cstr(&notes), "+--");
    send_noted(r, FULL, &notes);
    send_noted(r, FULL, &notes);
    assert_string_equal(buf_cstr(&notes), "+--");
    send_noted(r, FULL, &notes); /* one too many waits */
    assert_string_equal(buf_cstr(&notes), "+---");
    router.full_has_room = true;
    assert_false(replies_retry(r));
    assert_string_equal(buf_cstr(&notes), "+---++");
    router.full_has_room = false;
    send_noted(r, FULL, &notes);
    replies_destroy(&r); /* with what waits */
    assert_string_equal(buf_cstr(&notes), "+---++-");
    expect("[a][RESPONSE][{}][x];[full][RESPONSE][{}][x];[full][RESPONSE][{}][x];");
    buf_fini(&notes);
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
        ROW(an_answer_without_memory_is_dropped_and_the_next_goes_on),
        ROW(a_waiting_answer_without_memory_is_dropped_and_the_next_goes_on),
        ROW(a_peer_that_vanishes_while_answers_wait_costs_one_counter_each),
        ROW(frames_learn_whether_their_answer_went_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
