/*
 * Tests of the gap detector: streams that receive some types only, where numbers have holes
 * anyway.
 */
#include "fake_hub.h"

/* Filtered streams. Every third event is ours. */

/* The first event after the start: the connection is new, so what is before it is asked for. */
static void arrive_first(struct fixture *f, uint64_t seq)
{
    arrive(f, seq);
    while (ask(f)) {
    }
    assert_int_equal(f->delivered_count, 1);
    assert_int_equal(f->delivered[0], seq);
    assert_true(gap_detector_is_live(f->detector));
    f->refilled = 0;
}

static void filter_thirds(struct fixture *f)
{
    for (size_t i = 0; i <= EVENTS_MAX; i++) {
        f->hub.is_mine[i] = i % 3 == 0;
    }
}

static void holes_of_a_filtered_stream_are_no_losses(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    arrive(f, 6);
    arrive(f, 9);
    f->hub.newest = 11;
    assert_int_equal(f->delivered_count, 3);
    pass(f, 3000);
    assert_int_equal(f->delivered_count, 3);
    assert_int_equal(f->gap_count, 0);
    assert_int_equal(f->refilled, 0);
}

static void a_loss_in_a_filtered_stream_is_found_by_counting(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    arrive(f, 9); /* 6 is lost, and nothing shows it */
    assert_int_equal(f->delivered_count, 2);
    pass(f, 2000);
    assert_int_equal(f->delivered_count, 3);
    assert_int_equal(f->delivered[2], 6);
    assert_int_equal(f->late, 1);
    arrive(f, 12);
    pass(f, 3000);
    assert_int_equal(f->delivered_count, 4);
    assert_int_equal(f->seen[6], 1);
    assert_int_equal(f->seen[9], 1);
}

static void a_range_that_was_forgotten_before_the_count_is_reported(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    arrive(f, 9);
    f->hub.oldest = 8;
    pass(f, 2000);
    assert_int_equal(f->unverified_count, 1);
    assert_int_equal(f->delivered_count, 2);
}

static void a_filtered_stream_that_runs_fast_is_checked_before_the_interval(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    arrive(f, 9);
    pass(f, 0);
    assert_int_equal(f->late, 0);
    for (size_t i = 10; i < 600; i++) {
        f->hub.is_mine[i] = false;
    }
    arrive(f, 600);
    pass(f, 10);
    assert_int_equal(f->late, 1);
    assert_int_equal(f->seen[6], 1);
}

static void a_lost_tail_of_a_filtered_stream_is_found(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    f->hub.newest = 12;
    pass(f, 2000);
    assert_int_equal(f->delivered_count, 4);
    assert_int_equal(f->delivered[3], 12);
    assert_int_equal(f->late, 0);
}

static void after_a_break_a_filtered_stream_replays_in_order(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    gap_detector_break(f->detector, f->now_ms);
    arrive(f, 12); /* 6 and 9 are lost */
    arrive(f, 15);
    assert_int_equal(f->delivered_count, 1);
    pass(f, 100);
    assert_int_equal(f->delivered_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f->delivered[i], 3 * (i + 1));
    }
    assert_int_equal(f->late, 0);
}

/* The second loss happens inside a run that waits, where no number shows it. */
static void a_second_loss_during_the_replay_is_found_in_order(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    gap_detector_break(f->detector, f->now_ms);
    arrive(f, 9);
    arrive(f, 30); /* 12 … 27 were lost, before the break was even noticed */
    f->hub.newest = 90;
    pass(f, 100);
    assert_int_equal(f->delivered_count, 30);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(f->delivered[i], 3 * (i + 1));
    }
    assert_int_equal(f->late, 0);
}

static void a_new_subscription_starts_the_count_anew(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    f->hub.newest = 8;
    for (size_t i = 0; i <= EVENTS_MAX; i++) {
        f->hub.is_mine[i] = i % 3 == 0 || i == 4; /* 4 was published before we wanted it */
    }
    arrive(f, 6);
    gap_detector_refilter(f->detector, true, f->now_ms);
    pass(f, 5000);
    assert_int_equal(f->delivered_count, 2);
    arrive(f, 9);
    f->hub.newest = 13; /* 12 is lost */
    pass(f, 5000);
    assert_int_equal(f->delivered_count, 4);
}

static void whatever_happens_to_a_filtered_stream_nothing_is_silently_missing(void **state)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        run_by_chance(*state, seed, true);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(holes_of_a_filtered_stream_are_no_losses),
        TEST(a_loss_in_a_filtered_stream_is_found_by_counting),
        TEST(a_range_that_was_forgotten_before_the_count_is_reported),
        TEST(a_filtered_stream_that_runs_fast_is_checked_before_the_interval),
        TEST(a_lost_tail_of_a_filtered_stream_is_found),
        TEST(after_a_break_a_filtered_stream_replays_in_order),
        TEST(a_second_loss_during_the_replay_is_found_in_order),
        TEST(a_new_subscription_starts_the_count_anew),
        TEST(whatever_happens_to_a_filtered_stream_nothing_is_silently_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
