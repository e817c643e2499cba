/*
 * Tests of the gap detector: streams that receive every event.
 */
#include "fake_hub.h"

static void events_in_order_pass_at_once(void **state)
{
    struct fixture *f = *state;

    start_with(f, NULL, false, true);
    arrive(f, 5);
    assert_int_equal(f->delivered_count, 0); /* first the hub has to tell what it is */
    assert_true(ask(f));
    expect_delivered(f, 5, 5);
    arrive_range(f, 6, 9);
    expect_delivered(f, 5, 9);
    assert_int_equal(f->gap_count, 0);
    assert_true(gap_detector_is_live(f->detector));
}

static void the_position_of_the_hub_is_where_the_stream_begins(void **state)
{
    struct fixture *f = *state;

    start_with(f, NULL, false, true);
    f->hub.newest = 10;
    assert_true(ask(f)); /* position: 10 */
    assert_int_equal(gap_detector_covered(f->detector)->seq, 10);
    /* 11 and 12 were numbered before the connection for events stood. */
    arrive(f, 13);
    assert_int_equal(f->delivered_count, 0);
    pass(f, 100);
    expect_delivered(f, 11, 13);
}

static void a_hole_is_refilled_before_what_is_behind_it(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 3);
    arrive_range(f, 30, 32);
    assert_int_equal(f->delivered_count, 3);
    pass(f, 100);
    expect_delivered(f, 1, 32);
    assert_int_equal(f->gap_count, 0);
    assert_true(f->refilled >= 26);
    arrive(f, 33);
    expect_delivered(f, 1, 33);
}

static void two_holes_are_refilled_in_one_go(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 2);
    arrive_range(f, 5, 6);
    arrive_range(f, 9, 20);
    pass(f, 100);
    expect_delivered(f, 1, 20);
    assert_int_equal(f->gap_count, 0);
}

static void duplicates_are_dropped(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 5);
    arrive_range(f, 3, 7);
    expect_delivered(f, 1, 7);
    assert_int_equal(f->discarded, 3);
}

static void what_is_not_kept_any_more_is_told_exactly(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 3);
    f->hub.oldest = 8;
    arrive_range(f, 20, 21);
    pass(f, 100);
    assert_int_equal(f->gap_count, 1);
    expect_gap(f, 0, 3, 7, "retention");
    assert_int_equal(f->delivered_count, 3 + 21 - 8 + 1);
    assert_int_equal(f->delivered[3], 8);
}

/* 11 … 15 and 21 … 25 are here, although the hub has forgotten everything up to 30. */
static void events_at_hand_are_no_part_of_a_gap(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 5);
    arrive_range(f, 11, 15);
    arrive_range(f, 21, 25);
    f->hub.newest = 40;
    f->hub.oldest = 31;
    pass(f, 2000);
    assert_int_equal(f->gap_count, 3);
    expect_gap(f, 0, 5, 10, "retention");
    expect_gap(f, 1, 15, 20, "retention");
    expect_gap(f, 2, 25, 30, "retention");
    assert_int_equal(f->delivered_count, 5 + 5 + 5 + 10);
}

static void a_lost_tail_is_found_by_the_position_when_it_is_old_enough(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 3);
    f->hub.newest = 6;
    pass(f, 1400); /* asked after 1 s; the answer is not yet 500 ms old */
    assert_int_equal(f->delivered_count, 3);
    pass(f, 400);
    expect_delivered(f, 1, 6);
}

static void a_young_position_does_not_call_anything_lost(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 3);
    f->hub.newest = 6;
    pass(f, 1200);
    arrive_range(f, 4, 6); /* the answer had overtaken them */
    pass(f, 3000);
    expect_delivered(f, 1, 6);
    assert_int_equal(f->refilled, 0);
    assert_int_equal(f->discarded, 0);
}

static void a_silent_hub_makes_a_gap_after_the_wait(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 3);
    f->is_hub_silent = true;
    arrive_range(f, 6, 8);
    pass(f, 4900);
    assert_int_equal(f->delivered_count, 3);
    pass(f, 200);
    assert_int_equal(f->gap_count, 1);
    expect_gap(f, 0, 3, 5, "refill_timeout");
    assert_int_equal(f->delivered_count, 6);
    arrive(f, 9);
    assert_int_equal(f->delivered_count, 7);
}

/* Its history is not to be had for a minute, but it is there and has it. */
static void a_patient_subscriber_waits_for_a_hub_that_is_there(void **state)
{
    struct fixture *f = *state;

    f->is_patient = true;
    start_live(f, false);
    arrive_range(f, 1, 3);
    f->is_history_silent = true;
    arrive_range(f, 6, 8);
    pass(f, 60000);
    assert_int_equal(f->delivered_count, 3);
    assert_int_equal(f->gap_count, 0);
    assert_in_range(f->asked_history, 10, 70); /* not faster and faster */
    f->is_history_silent = false;
    pass(f, 1100);
    expect_delivered(f, 1, 8);
    assert_int_equal(f->gap_count, 0);
}

/* Who checks seldom is as patient as anybody else. */
static void patience_does_not_depend_on_the_interval_of_the_checks(void **state)
{
    struct fixture *f = *state;

    f->is_patient = true;
    f->check_interval_ms = 60000;
    f->history_ms = 3000;
    start_live(f, false);
    arrive_range(f, 1, 3);
    f->is_history_silent = true;
    arrive_range(f, 6, 8);
    pass(f, 60000);
    assert_int_equal(f->gap_count, 0);
    f->is_history_silent = false;
    pass(f, 2000);
    expect_delivered(f, 1, 8);
    assert_int_equal(f->gap_count, 0);
}

static void a_refusal_of_the_moment_is_a_sign_of_life(void **state)
{
    struct fixture *f = *state;

    f->is_patient = true;
    start_live(f, false);
    arrive_range(f, 1, 3);
    arrive_range(f, 6, 8);
    for (int i = 0; i < 60; i++) {
        if (gap_detector_next_request(f->detector, f->now_ms).kind != GAP_REQUEST_NONE) {
            gap_detector_heard(f->detector, f->now_ms);
            gap_detector_failed(f->detector, false, f->now_ms);
        }
        f->now_ms += 1000;
        gap_detector_tick(f->detector, f->now_ms);
    }
    assert_int_equal(f->gap_count, 0);
    pass(f, 2000);
    expect_delivered(f, 1, 8);
}

static void a_patient_subscriber_gives_a_hub_up_that_is_away(void **state)
{
    struct fixture *f = *state;

    f->is_patient = true;
    start_live(f, false);
    arrive_range(f, 1, 3);
    f->is_history_silent = true;
    arrive_range(f, 6, 8);
    pass(f, 20000);
    f->is_hub_silent = true;
    pass(f, 4000);
    assert_int_equal(f->gap_count, 0);
    pass(f, 2000);
    expect_gap(f, 0, 3, 5, "refill_timeout");
    assert_int_equal(f->delivered_count, 6);
}

/* A limit of one's own holds, whatever the hub says of itself. */
static void a_limit_that_was_set_is_kept(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 3);
    f->is_history_silent = true;
    arrive_range(f, 6, 8);
    pass(f, 4900);
    assert_int_equal(f->gap_count, 0);
    pass(f, 200);
    expect_gap(f, 0, 3, 5, "refill_timeout");
}

static void a_hub_that_tells_nothing_holds_the_first_events_up_for_the_wait_only(void **state)
{
    struct fixture *f = *state;

    start_with(f, NULL, false, true);
    f->is_hub_silent = true;
    arrive_range(f, 4, 6);
    pass(f, 4900);
    assert_int_equal(f->delivered_count, 0);
    pass(f, 200);
    expect_delivered(f, 4, 6);
    assert_int_equal(f->gap_count, 0);
}

static void without_requests_a_hole_is_a_gap_at_once(void **state)
{
    struct fixture *f = *state;

    start_with(f, NULL, false, false);
    arrive_range(f, 1, 2);
    arrive_range(f, 5, 6);
    expect_gap(f, 0, 2, 4, "no_recovery");
    assert_int_equal(f->delivered_count, 4);
    assert_false(ask(f));
}

static void since_replays_and_joins_the_live_stream_without_a_seam(void **state)
{
    struct fixture *f = *state;

    start_with(f, "aaaaaaaa-10", false, true);
    f->hub.newest = 50;
    assert_true(ask(f)); /* position */
    assert_true(ask(f)); /* the first page */
    arrive_range(f, 51, 60);
    pass(f, 100);
    expect_delivered(f, 11, 60);
    assert_int_equal(f->gap_count, 0);
    assert_true(gap_detector_is_live(f->detector));
}

static void since_before_the_oldest_tells_the_gap_first(void **state)
{
    struct fixture *f = *state;

    start_with(f, "aaaaaaaa-3", false, true);
    f->hub.newest = 20;
    f->hub.oldest = 10;
    pass(f, 100);
    expect_gap(f, 0, 3, 9, "retention");
    expect_delivered(f, 10, 20);
}

static void since_of_another_epoch_tells_and_begins_at_the_oldest(void **state)
{
    struct fixture *f = *state;

    start_with(f, "bbbbbbbb-77", false, true);
    f->hub.newest = 5;
    pass(f, 100);
    expect_gap(f, 0, 77, 0, "epoch_changed");
    assert_string_equal(f->gaps[0].from.epoch, "bbbbbbbb");
    assert_string_equal(f->gaps[0].to.epoch, "aaaaaaaa");
    expect_delivered(f, 1, 5);
}

static void earliest_of_an_empty_hub_is_live_at_once(void **state)
{
    struct fixture *f = *state;

    start_with(f, "earliest", false, true);
    pass(f, 100);
    assert_true(gap_detector_is_live(f->detector));
    arrive_range(f, 1, 3);
    expect_delivered(f, 1, 3);
    assert_int_equal(f->gap_count, 0);
}

static void a_since_that_was_never_given_out_is_told(void **state)
{
    struct fixture *f = *state;

    start_with(f, "aaaaaaaa-99", false, true);
    f->hub.newest = 5;
    pass(f, 100);
    expect_gap(f, 0, 99, 5, "unknown");
    arrive(f, 6);
    assert_int_equal(f->delivered_count, 1);
}

/* The hub starts anew: its numbers begin at 1 again. */
static void restart(struct fixture *f, const char *epoch)
{
    memcpy(f->hub.epoch, epoch, EPOCH_LEN);
    f->hub.oldest = 1;
    f->hub.newest = 0;
}

static void a_new_epoch_is_told_and_taken_from_its_start(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 4);
    restart(f, "cccccccc");
    f->hub.newest = 2;
    arrive(f, 3);
    pass(f, 100);
    assert_int_equal(f->gap_count, 1);
    expect_gap(f, 0, 4, 0, "epoch_changed");
    assert_int_equal(f->delivered_count, 7);
    assert_int_equal(f->delivered[4], 1);
    assert_int_equal(f->delivered[6], 3);
}

static void a_new_epoch_is_told_without_any_event(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 4);
    restart(f, "cccccccc");
    pass(f, 2000);
    assert_int_equal(f->gap_count, 1);
    assert_string_equal(f->gaps[0].reason, "epoch_changed");
    assert_string_equal(f->gaps[0].to.epoch, "cccccccc");
    arrive(f, 1);
    assert_int_equal(f->delivered_count, 5);
}

/* The end of the old epoch waits behind a hole that nobody can fill any more. */
static void what_waits_of_the_old_epoch_is_delivered_around_its_gaps(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 4);
    arrive_range(f, 7, 8);
    restart(f, "cccccccc");
    arrive(f, 1);
    pass(f, 100);
    assert_int_equal(f->gap_count, 2);
    expect_gap(f, 0, 4, 6, "epoch_changed");
    expect_gap(f, 1, 8, 0, "epoch_changed");
    assert_int_equal(f->delivered_count, 7);
}

static void events_without_a_position_pass_as_they_are(void **state)
{
    struct fixture *f = *state;
    const struct position none = {0};

    start_live(f, false);
    gap_detector_event(f->detector, item_of(1), &none, 10, f->now_ms);
    gap_detector_event(f->detector, item_of(1), &none, 10, f->now_ms);
    assert_int_equal(f->delivered_count, 2);
}

static void too_many_waiting_events_stop_the_reading(void **state)
{
    struct fixture *f = *state;

    start_live(f, false);
    arrive_range(f, 1, 2);
    f->is_hub_silent = true;
    for (uint64_t seq = 4; !gap_detector_is_full(f->detector); seq++) {
        arrive(f, seq);
    }
    assert_int_equal(f->hub.newest, 103);
    f->is_hub_silent = false;
    pass(f, 200);
    assert_false(gap_detector_is_full(f->detector));
    expect_delivered(f, 1, 103);
}

static void whatever_happens_all_events_are_delivered_once_or_told(void **state)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        run_by_chance(*state, seed, false, seed % 2 == 0);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_in_order_pass_at_once),
        TEST(the_position_of_the_hub_is_where_the_stream_begins),
        TEST(a_hole_is_refilled_before_what_is_behind_it),
        TEST(two_holes_are_refilled_in_one_go),
        TEST(duplicates_are_dropped),
        TEST(what_is_not_kept_any_more_is_told_exactly),
        TEST(events_at_hand_are_no_part_of_a_gap),
        TEST(a_lost_tail_is_found_by_the_position_when_it_is_old_enough),
        TEST(a_young_position_does_not_call_anything_lost),
        TEST(a_silent_hub_makes_a_gap_after_the_wait),
        TEST(a_hub_that_tells_nothing_holds_the_first_events_up_for_the_wait_only),
        TEST(a_patient_subscriber_waits_for_a_hub_that_is_there),
        TEST(patience_does_not_depend_on_the_interval_of_the_checks),
        TEST(a_refusal_of_the_moment_is_a_sign_of_life),
        TEST(a_patient_subscriber_gives_a_hub_up_that_is_away),
        TEST(a_limit_that_was_set_is_kept),
        TEST(without_requests_a_hole_is_a_gap_at_once),
        TEST(since_replays_and_joins_the_live_stream_without_a_seam),
        TEST(since_before_the_oldest_tells_the_gap_first),
        TEST(since_of_another_epoch_tells_and_begins_at_the_oldest),
        TEST(earliest_of_an_empty_hub_is_live_at_once),
        TEST(a_since_that_was_never_given_out_is_told),
        TEST(a_new_epoch_is_told_and_taken_from_its_start),
        TEST(a_new_epoch_is_told_without_any_event),
        TEST(what_waits_of_the_old_epoch_is_delivered_around_its_gaps),
        TEST(events_without_a_position_pass_as_they_are),
        TEST(too_many_waiting_events_stop_the_reading),
        TEST(whatever_happens_all_events_are_delivered_once_or_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
