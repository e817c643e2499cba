/*
 * Tests of the gap detector against a hub made of an array: what is published, lost on the way,
 * trimmed from the ring or fetched again is all decided by the test.
 */
#include "client/gap_detector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVENTS_MAX 20000
#define PAGE       7

/* The hub: numbers 1 … newest in one epoch; those from oldest on are kept. is_mine says which ones
 * a filtered subscriber has asked for. */
struct hub {
    char epoch[EPOCH_LEN + 1];
    uint64_t oldest, newest;
    bool is_mine[EVENTS_MAX + 1];
};

struct told_gap {
    struct position from, to;
    char reason[24];
};

struct fixture {
    struct gap_detector *detector;
    struct hub hub;
    int64_t now_ms;
    bool is_filtered;
    bool is_hub_silent;
    /* What came out. An item is the number + 1 as a pointer, so that 0 is not NULL. */
    uint64_t delivered[EVENTS_MAX + 1];
    size_t delivered_count;
    size_t refilled, late, discarded;
    struct told_gap gaps[2000];
    size_t gap_count;
    size_t unverified_count;
    unsigned seen[EVENTS_MAX + 1]; /* how often a number of the current epoch was delivered */
};

static void *item_of(uint64_t seq)
{
    return (char *)NULL + seq + 1;
}

static uint64_t seq_of(const void *item)
{
    return (uint64_t)((const char *)item - (const char *)NULL) - 1;
}

static void on_deliver(void *context, void *item, bool refilled, bool late)
{
    struct fixture *f = context;

    assert_true(f->delivered_count < EVENTS_MAX);
    f->delivered[f->delivered_count++] = seq_of(item);
    f->seen[seq_of(item)]++;
    f->refilled += refilled ? 1 : 0;
    f->late += late ? 1 : 0;
}

static void on_discard(void *context, void *item)
{
    struct fixture *f = context;

    (void)item;
    f->discarded++;
}

static void on_gap(void *context, const struct position *from, const struct position *to,
                   const char *reason)
{
    struct fixture *f = context;
    struct told_gap *gap = &f->gaps[f->gap_count++];

    assert_true(f->gap_count < 2000);
    gap->from = *from;
    gap->to = *to;
    (void)snprintf(gap->reason, sizeof gap->reason, "%s", reason);
}

/* A range that cannot be checked any more: for the count below it is as good as told. */
static void on_unverified(void *context, const struct position *from, const struct position *to)
{
    struct fixture *f = context;

    f->unverified_count++;
    on_gap(context, from, to, "unverified");
}

static struct position at(const struct fixture *f, uint64_t seq)
{
    struct position p = {.seq = seq};

    memcpy(p.epoch, f->hub.epoch, sizeof p.epoch);
    return p;
}

static void start_with(struct fixture *f, const char *since, bool is_filtered, bool has_requests)
{
    const struct gap_options options = {.since = since,
                                        .is_filtered = is_filtered,
                                        .has_requests = has_requests,
                                        .held_events = 100,
                                        .held_bytes = 100000,
                                        .received_max = 1000,
                                        .check_interval_ms = 1000,
                                        .check_events = 500,
                                        .settle_ms = 500,
                                        .refill_wait_ms = 5000,
                                        .retry_ms = 100};
    const struct gap_callbacks callbacks = {.context = f,
                                            .deliver = on_deliver,
                                            .discard = on_discard,
                                            .gap = on_gap,
                                            .unverified = on_unverified};

    f->is_filtered = is_filtered;
    assert_int_equal(gap_detector_create(&f->detector, &options, &callbacks), NHUB_OK);
}

/* The same, live already behind number 0. */
static void start_live(struct fixture *f, bool is_filtered)
{
    const struct position nothing = at(f, 0);

    start_with(f, NULL, is_filtered, true);
    assert_int_equal(gap_detector_next_request(f->detector, f->now_ms).kind, GAP_REQUEST_POSITION);
    gap_detector_position(f->detector, &nothing, f->now_ms);
    assert_true(gap_detector_is_live(f->detector));
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    memcpy(f->hub.epoch, "aaaaaaaa", EPOCH_LEN);
    f->hub.oldest = 1;
    f->now_ms = 1000000;
    for (size_t i = 0; i <= EVENTS_MAX; i++) {
        f->hub.is_mine[i] = true;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    gap_detector_destroy(&f->detector);
    free(f);
    return 0;
}

/* The hub numbers one more event, and it arrives. */
static void arrive(struct fixture *f, uint64_t seq)
{
    const struct position p = at(f, seq);

    f->hub.newest = seq > f->hub.newest ? seq : f->hub.newest;
    gap_detector_event(f->detector, item_of(seq), &p, 100, f->now_ms);
}

static void arrive_range(struct fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        arrive(f, seq);
    }
}

/* Answers. */

static void answer_count(struct fixture *f, const struct gap_request *r)
{
    uint64_t count = 0;

    for (uint64_t seq = r->from.seq + 1; seq <= r->to_seq && seq <= f->hub.newest; seq++) {
        count += f->hub.is_mine[seq] && seq >= f->hub.oldest ? 1 : 0;
    }
    gap_detector_count(f->detector, count, r->from.seq + 1 >= f->hub.oldest, f->now_ms);
}

static void answer_history(struct fixture *f, const struct gap_request *r)
{
    struct gap_item items[PAGE];
    struct gap_page page = {.items = items, .is_drained = true, .gap_reason = ""};
    struct position since = {0};
    uint64_t seq = 0;

    if (strcmp(r->since, "earliest") == 0) {
        since = at(f, f->hub.oldest - 1);
    } else {
        assert_int_equal(position_parse(r->since, strlen(r->since), &since), NHUB_OK);
    }
    seq = since.seq;
    if (memcmp(since.epoch, f->hub.epoch, EPOCH_LEN) != 0) {
        seq = f->hub.oldest - 1;
        page.has_gap = true;
        page.gap_reason = "epoch_changed";
    } else if (since.seq + 1 < f->hub.oldest) {
        seq = f->hub.oldest - 1;
        page.has_gap = true;
        page.gap_reason = "retention";
    } else if (since.seq > f->hub.newest) {
        seq = f->hub.newest;
        page.has_gap = true;
        page.gap_reason = "unknown";
    }
    page.gap_from = since;
    page.gap_to = at(f, seq);
    while (seq < f->hub.newest && page.count < PAGE) {
        seq++;
        if (!f->is_filtered || f->hub.is_mine[seq]) {
            items[page.count++] = (struct gap_item){.item = item_of(seq), .position = at(f, seq)};
        }
    }
    page.next = at(f, seq);
    page.has_more = seq < f->hub.newest;
    gap_detector_page(f->detector, &page, f->now_ms);
}

/* Sends the next request to the hub, and its answer back. False when there was none. */
static bool ask(struct fixture *f)
{
    const struct gap_request r = gap_detector_next_request(f->detector, f->now_ms);
    const struct position newest = at(f, f->hub.newest);

    switch (r.kind) {
    case GAP_REQUEST_NONE:
        return false;
    case GAP_REQUEST_POSITION:
        if (f->is_hub_silent) {
            gap_detector_failed(f->detector, false, f->now_ms);
        } else {
            gap_detector_position(f->detector, &newest, f->now_ms);
        }
        break;
    case GAP_REQUEST_COUNT:
        assert_true(f->is_filtered);
        if (f->is_hub_silent) {
            gap_detector_failed(f->detector, false, f->now_ms);
        } else {
            answer_count(f, &r);
        }
        break;
    case GAP_REQUEST_HISTORY:
        if (f->is_hub_silent) {
            gap_detector_failed(f->detector, false, f->now_ms);
        } else {
            answer_history(f, &r);
        }
        break;
    }
    return true;
}

/* Lets time pass in steps, doing what is due. */
static void pass(struct fixture *f, int64_t ms)
{
    for (int64_t end_ms = f->now_ms + ms; f->now_ms <= end_ms; f->now_ms += 10) {
        gap_detector_tick(f->detector, f->now_ms);
        for (int i = 0; i < 5000 && ask(f); i++) {
        }
    }
}

static void expect_delivered(const struct fixture *f, uint64_t from, uint64_t to)
{
    assert_int_equal(f->delivered_count, to - from + 1);
    for (uint64_t seq = from; seq <= to; seq++) {
        assert_int_equal(f->delivered[seq - from], seq);
    }
}

static void expect_gap(const struct fixture *f, size_t index, uint64_t from, uint64_t to,
                       const char *reason)
{
    assert_true(index < f->gap_count);
    assert_int_equal(f->gaps[index].from.seq, from);
    assert_int_equal(f->gaps[index].to.seq, to);
    assert_string_equal(f->gaps[index].reason, reason);
}

/* The tests. */

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

/* Chance: bursts, losses, breaks, trimming, a silent hub. Whatever happens, each of our events is
 * delivered once or lies in a gap that was told, never both, and numbers never go down but for
 * events that are called late. */
static void run_by_chance(struct fixture *f, unsigned seed, bool is_filtered)
{
    uint64_t ours = 0;

    srand(seed);
    for (size_t i = 0; i <= EVENTS_MAX; i++) {
        f->hub.is_mine[i] = !is_filtered || rand() % 3 == 0;
    }
    f->hub.newest = 1;
    start_with(f, "aaaaaaaa-0", is_filtered, true);
    while (f->hub.newest < EVENTS_MAX - 300) {
        const bool is_lossy = rand() % 10 == 0;
        const uint64_t burst = (uint64_t)(rand() % 60);

        f->is_hub_silent = rand() % 20 == 0;
        for (uint64_t i = 0; i < burst; i++) {
            const uint64_t seq = ++f->hub.newest;

            if (f->hub.is_mine[seq] && !(is_lossy && rand() % 3 == 0) &&
                !gap_detector_is_full(f->detector)) {
                arrive(f, seq);
            } else if (f->hub.is_mine[seq] && is_filtered && rand() % 2) {
                gap_detector_break(f->detector, f->now_ms); /* some losses are noticed as breaks */
            }
        }
        if (rand() % 30 == 0) {
            f->hub.oldest += (f->hub.newest - f->hub.oldest) / 2;
        }
        pass(f, rand() % 200);
    }
    f->is_hub_silent = false;
    pass(f, 20000);
    for (size_t g = 0; g < f->gap_count; g++) {
        assert_true(f->gaps[g].from.seq < f->gaps[g].to.seq);
        for (uint64_t seq = f->gaps[g].from.seq + 1; seq <= f->gaps[g].to.seq; seq++) {
            /* A filtered gap is the range in which something may be missing. */
            assert_true(is_filtered || f->seen[seq] == 0);
            f->seen[seq] += f->seen[seq] == 0 ? 1 : 0;
        }
    }
    for (uint64_t seq = 1; seq <= f->hub.newest; seq++) {
        ours += f->hub.is_mine[seq] ? 1 : 0;
        if (f->hub.is_mine[seq] && f->seen[seq] != 1) {
            fail_msg("seed %u: number %llu was seen %u times", seed, (unsigned long long)seq,
                     f->seen[seq]);
        }
    }
    assert_true(ours > 100);
    if (f->late == 0) {
        for (size_t i = 1; i < f->delivered_count; i++) {
            assert_true(f->delivered[i] > f->delivered[i - 1]);
        }
    }
    assert_true(is_filtered || f->late == 0);
}

static void whatever_happens_all_events_are_delivered_once_or_told(void **state)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        run_by_chance(*state, seed, false);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
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
        TEST(without_requests_a_hole_is_a_gap_at_once),
        TEST(since_replays_and_joins_the_live_stream_without_a_seam),
        TEST(since_before_the_oldest_tells_the_gap_first),
        TEST(since_of_another_epoch_tells_and_begins_at_the_oldest),
        TEST(earliest_of_an_empty_hub_is_live_at_once),
        TEST(a_since_that_was_never_given_out_is_told),
        TEST(a_new_epoch_is_told_and_taken_from_its_start),
        TEST(a_new_epoch_is_told_without_any_event),
        TEST(what_waits_of_the_old_epoch_is_delivered_around_its_gaps),
        TEST(holes_of_a_filtered_stream_are_no_losses),
        TEST(a_loss_in_a_filtered_stream_is_found_by_counting),
        TEST(a_range_that_was_forgotten_before_the_count_is_reported),
        TEST(a_filtered_stream_that_runs_fast_is_checked_before_the_interval),
        TEST(a_lost_tail_of_a_filtered_stream_is_found),
        TEST(after_a_break_a_filtered_stream_replays_in_order),
        TEST(a_second_loss_during_the_replay_is_found_in_order),
        TEST(a_new_subscription_starts_the_count_anew),
        TEST(events_without_a_position_pass_as_they_are),
        TEST(too_many_waiting_events_stop_the_reading),
        TEST(whatever_happens_all_events_are_delivered_once_or_told),
        TEST(whatever_happens_to_a_filtered_stream_nothing_is_silently_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
