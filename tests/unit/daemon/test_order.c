// with: failmalloc
/* order: answers come out in the order of their tickets, peers do not wait for each other, and what
 * is kept is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block_frames.h"
#include "daemon/order.h"
#include "failmalloc.h"

static struct stats stats;
static struct buf sent; /* "peer:json;" each; a peer's id is a letter */
static struct replies *replies;
static struct order *order;

static nhub_err send(void *context, uint64_t peer, const char *json, size_t len,
                     struct block *frames)
{
    (void)context;
    buf_add_char(&sent, (char)peer);
    buf_add_char(&sent, ':');
    buf_add(&sent, json, len);
    block_add_frames(&sent, frames, "", "");
    buf_add_char(&sent, ';');
    return NHUB_OK;
}

static int set_up(void **state)
{
    const struct replies_limits limits = REPLIES_LIMITS;
    const struct reply_sink sink = {.send = send};

    (void)state;
    stats_init(&stats, 0, 0);
    buf_init(&sent);
    assert_int_equal(replies_create(&replies, &sink, &limits, &stats), NHUB_OK);
    assert_int_equal(order_create(&order, replies, &stats), NHUB_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    order_destroy(&order);
    replies_destroy(&replies);
    buf_fini(&sent);
    return 0;
}

static struct ticket *take(uint64_t peer)
{
    struct ticket *t = NULL;

    assert_int_equal(order_take(order, peer, &t), NHUB_OK);
    return t;
}

static bool has(uint64_t peer)
{
    return order_has(order, peer);
}

static void answer(struct ticket *t, const char *json)
{
    order_answer(order, &t, json, strlen(json), false, NULL);
    assert_null(t);
}

static void answers_come_in_the_order_of_their_tickets(void **state)
{
    struct ticket *a = take('p');
    struct ticket *b = take('p');
    struct ticket *c = take('p');

    (void)state;
    answer(c, "3");
    answer(b, "2");
    assert_string_equal(buf_cstr(&sent), "");
    answer(a, "1");
    assert_string_equal(buf_cstr(&sent), "p:1;p:2;p:3;");
    assert_false(has('p'));
}

static void a_peer_does_not_wait_for_another(void **state)
{
    struct ticket *a = take('p');
    struct ticket *b = take('q');

    (void)state;
    answer(b, "q1");
    assert_string_equal(buf_cstr(&sent), "q:q1;");
    assert_true(has('p'));
    assert_false(has('q'));
    answer(a, "p1");
}

static void a_dropped_ticket_holds_nobody_back(void **state)
{
    struct ticket *a = take('p');
    struct ticket *b = take('p');
    struct ticket *c = take('p');

    (void)state;
    answer(b, "2");
    order_drop(order, &a);
    assert_null(a);
    assert_string_equal(buf_cstr(&sent), "p:2;");
    order_drop(order, &c);
    assert_false(has('p'));
}

static void frames_wait_with_their_answer(void **state)
{
    struct ticket *a = take('p');
    struct ticket *b = take('p');
    struct reply_frames *frames = frames_of_letters("line");

    (void)state;
    order_answer(order, &b, "page", 4, false, &frames);
    assert_null(frames);
    answer(a, "1");
    assert_string_equal(buf_cstr(&sent), "p:1;p:pageline;");
}

static void note_gone(void *context, bool was_sent)
{
    *(int *)context += was_sent ? 10 : 1;
}

static void frames_of_an_answer_that_is_not_kept_learn_it(void **state)
{
    struct ticket *a = take('p');
    struct ticket *b = take('p');
    struct reply_frames *frames = frames_of_letters("x");
    int gone = 0;

    (void)state;
    frames->gone = note_gone;
    frames->context = &gone;
    failmalloc_arm(0);
    order_answer(order, &b, "page", 4, false, &frames);
    assert_true(failmalloc_disarm());
    assert_null(frames);
    assert_int_equal(gone, 1);
    assert_int_equal(stats.answers_dropped, 1);
    frames = frames_of_letters("y");
    frames->gone = note_gone;
    frames->context = &gone;
    order_answer(order, &a, "page", 4, false, &frames);
    assert_int_equal(gone, 11);
    assert_string_equal(buf_cstr(&sent), "p:pagey;");
}

static void batched_answers_stay_batched(void **state)
{
    struct ticket *a = take('p');
    struct ticket *b = take('p');

    (void)state;
    order_answer(order, &b, "2", 1, true, NULL);
    order_answer(order, &a, "1", 1, true, NULL);
    replies_end_turn(replies);
    assert_string_equal(buf_cstr(&sent), "p:[1,2];");
}

static void tickets_and_bytes_of_a_peer_are_bounded(void **state)
{
    static struct ticket *tickets[ORDER_TICKETS_MAX];
    char *large = malloc(ORDER_BYTES_MAX);
    struct ticket *t = NULL;

    (void)state;
    assert_non_null(large);
    memset(large, 'x', ORDER_BYTES_MAX);
    for (size_t i = 0; i < ORDER_TICKETS_MAX; i++) {
        tickets[i] = take('p');
    }
    assert_int_equal(order_take(order, 'p', &t), NHUB_EFULL);
    order_answer(order, &tickets[1], large, ORDER_BYTES_MAX, false, NULL);
    assert_int_equal(stats.answers_dropped, 0);
    order_answer(order, &tickets[2], large, 1, false, NULL); /* one byte too many waits */
    assert_int_equal(stats.answers_dropped, 1);
    answer(tickets[0], "1");
    assert_int_equal(sent.len, 2 + 1 + 1 + 2 + ORDER_BYTES_MAX + 1);
    free(large);
}

static void without_memory_an_answer_is_counted_as_dropped_and_the_rest_goes_on(void **state)
{
    struct ticket *a = take('p');
    struct ticket *b = take('p');
    struct ticket *late = NULL;
    bool has_failed = true;
    long n;

    (void)state;
    failmalloc_arm(0);
    order_answer(order, &b, "2", 1, false, NULL);
    assert_true(failmalloc_disarm());
    assert_int_equal(stats.answers_dropped, 1);
    for (n = 0; has_failed; n++) {
        nhub_err err;

        failmalloc_arm(n);
        err = order_take(order, 'n', &late);
        has_failed = failmalloc_disarm();
        assert_int_equal(err, has_failed ? NHUB_ENOMEM : NHUB_OK);
        assert_int_equal(has('n'), !has_failed);
    }
    assert_true(n > 2); /* the peer, its ticket */
    answer(late, "new");
    assert_string_equal(buf_cstr(&sent), "n:new;");
    buf_reset(&sent);
    answer(a, "1");
    assert_string_equal(buf_cstr(&sent), "p:1;");
}

static void what_nobody_answered_is_freed_at_the_end(void **state)
{
    (void)state;
    (void)take('p');
    answer(take('p'), "kept");
    (void)take('q'); /* the tear-down looks after them; the sanitizer looks at the tear-down */
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(answers_come_in_the_order_of_their_tickets),
        ROW(a_peer_does_not_wait_for_another),
        ROW(a_dropped_ticket_holds_nobody_back),
        ROW(frames_wait_with_their_answer),
        ROW(frames_of_an_answer_that_is_not_kept_learn_it),
        ROW(batched_answers_stay_batched),
        ROW(tickets_and_bytes_of_a_peer_are_bounded),
        ROW(without_memory_an_answer_is_counted_as_dropped_and_the_rest_goes_on),
        ROW(what_nobody_answered_is_freed_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
