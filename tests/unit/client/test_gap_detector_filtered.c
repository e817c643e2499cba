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

static void a_range_that_was_forgotten_before_the_count_is_a_gap(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    arrive(f, 9);
    f->hub.oldest = 8;
    pass(f, 2000);
    assert_int_equal(f->gap_count, 1);
    expect_gap(f, 0, 3, 7, "retention");
    assert_int_equal(f->gaps[0].delivered, 0);
    assert_int_equal(f->delivered_count, 2);
    pass(f, 5000);
    assert_int_equal(f->gap_count, 1);
}

static void what_was_delivered_is_not_called_missing(void **state)
{
    struct fixture *f = *state;

    start_live(f, true);
    arrive_first(f, 1);
    arrive_range(f, 2, 10);
    arrive_range(f, 14, 20); /* 11, 12 and 13 are lost */
    f->hub.oldest = 19;
    pass(f, 2000);
    assert_int_equal(f->gap_count, 1);
    expect_gap(f, 0, 10, 13, "retention");
    assert_int_equal(f->delivered_count, 17);
}

static void many_ranges_are_told_as_one_that_says_how_much_was_delivered(void **state)
{
    struct fixture *f = *state;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    for (uint64_t seq = 9; seq <= 60; seq += 3) { /* 6 is lost */
        arrive(f, seq);
    }
    f->hub.oldest = 61;
    pass(f, 2000);
    assert_int_equal(f->gap_count, 1);
    expect_gap(f, 0, 3, 60, "retention");
    assert_int_equal(f->gaps[0].delivered, 18);
}

/* The hub dies and forgets 8 … 10, of which 9 came live; 6 was lost unnoticed before. */
static void a_void_is_told_and_what_was_lost_before_it_comes_late(void **state)
{
    struct fixture *f = *state;
    struct gap_resume resume;

    filter_thirds(f);
    start_live(f, true);
    arrive_first(f, 3);
    arrive(f, 9);
    f->hub.newest = 100;
    f->hub.voids[f->hub.void_count].from = 8;
    f->hub.voids[f->hub.void_count++].to = 100;
    for (size_t i = 8; i <= 100; i++) {
        f->hub.is_lost[i] = true;
    }
    gap_detector_break(f->detector, f->now_ms);
    pass(f, 100);
    assert_int_equal(f->seen[6], 1);
    assert_int_equal(f->late, 1);
    assert_int_equal(f->gap_count, 2);
    expect_gap(f, 0, 7, 8, "unclean_stop");
    expect_gap(f, 1, 9, 100, "unclean_stop");
    gap_detector_resume(f->detector, &resume);
    assert_int_equal(resume.result, GAP_LOST);
    assert_int_equal(resume.to.seq, 100);
    arrive(f, 102);
    pass(f, 5000);
    assert_int_equal(f->gap_count, 2);
    assert_int_equal(gap_detector_verified(f->detector).seq, 102);
}

/* Events of a disk that failed go out live and are a void later; nobody can count them. */
static void a_void_without_a_break_is_told_unless_all_of_it_came(void **state)
{
    struct fixture *f = *state;

    start_live(f, true);
    arrive_first(f, 1);
    arrive_range(f, 2, 9);
    for (size_t i = 5; i <= 7; i++) {
        f->hub.is_lost[i] = true;
    }
    f->hub.voids[f->hub.void_count].from = 5;
    f->hub.voids[f->hub.void_count++].to = 7;
    pass(f, 3000);
    assert_int_equal(f->gap_count, 0);
    arrive_range(f, 10, 12);
    arrive_range(f, 14, 15); /* 13 is lost */
    for (size_t i = 12; i <= 14; i++) {
        f->hub.is_lost[i] = true;
    }
    f->hub.voids[f->hub.void_count].from = 12;
    f->hub.voids[f->hub.void_count++].to = 14;
    pass(f, 3000);
    assert_int_equal(f->gap_count, 1);
    expect_gap(f, 0, 12, 13, "unclean_stop");
}

static void the_result_of_a_resume_can_be_read(void **state)
{
    struct fixture *f = *state;
    struct gap_resume resume;

    f->hub.newest = 20;
    start_with(f, "aaaaaaaa-10", true, true);
    gap_detector_resume(f->detector, &resume);
    assert_int_equal(resume.result, GAP_RESULT_NONE);
    pass(f, 100);
    gap_detector_resume(f->detector, &resume);
    assert_int_equal(resume.result, GAP_REPLAYED);
    assert_false(resume.is_running);
    assert_int_equal(resume.from.seq, 10);
    assert_int_equal(resume.to.seq, 20);
    assert_int_equal(resume.count, 10);
    gap_detector_break(f->detector, f->now_ms);
    gap_detector_resume(f->detector, &resume);
    assert_true(resume.is_running);
    pass(f, 100);
    gap_detector_resume(f->detector, &resume);
    assert_int_equal(resume.result, GAP_CAUGHT_UP);
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
        run_by_chance(*state, seed, true, seed % 2 == 0);
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
        TEST(a_range_that_was_forgotten_before_the_count_is_a_gap),
        TEST(what_was_delivered_is_not_called_missing),
        TEST(many_ranges_are_told_as_one_that_says_how_much_was_delivered),
        TEST(a_void_is_told_and_what_was_lost_before_it_comes_late),
        TEST(a_void_without_a_break_is_told_unless_all_of_it_came),
        TEST(the_result_of_a_resume_can_be_read),
        TEST(a_filtered_stream_that_runs_fast_is_checked_before_the_interval),
        TEST(a_lost_tail_of_a_filtered_stream_is_found),
        TEST(after_a_break_a_filtered_stream_replays_in_order),
        TEST(a_second_loss_during_the_replay_is_found_in_order),
        TEST(a_new_subscription_starts_the_count_anew),
        TEST(whatever_happens_to_a_filtered_stream_nothing_is_silently_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
