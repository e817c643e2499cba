/*
 * What the sequencer promises, case by case. Random histories: test_link_sequencer_histories.c.
 */
#include "sequencer_fixture.h"

#define EPOCH_A "aaaaaaaa"
#define EPOCH_B "bbbbbbbb"

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    start_with(f, 100, 1 << 20);
    *state = f;
    return 0;
}

static struct link_head head_of(const char *epoch, uint64_t seq, uint64_t oldest)
{
    struct link_head head = {.seq = seq, .oldest = oldest};

    memcpy(head.epoch, epoch, sizeof head.epoch);
    return head;
}

static void head(struct fixture *f, const char *epoch, uint64_t seq, uint64_t oldest)
{
    const struct link_head h = head_of(epoch, seq, oldest);

    link_sequencer_head(f->s, &h, f->now_ms);
}

/* A page with the events from … to, that covers everything up to `covers`. */
static struct link_page page_of(const char *epoch, uint64_t covers, uint64_t seq)
{
    struct link_page page = {.seq = seq};

    memcpy(page.epoch, epoch, sizeof page.epoch);
    memcpy(page.next.epoch, epoch, sizeof page.next.epoch);
    page.next.seq = covers;
    return page;
}

static void page(struct fixture *f, const char *epoch, uint64_t from, uint64_t to, uint64_t covers,
                 uint64_t seq)
{
    const struct link_page p = page_of(epoch, covers, seq);
    struct feed_event *events[64];
    size_t count = 0;

    for (uint64_t i = from; i <= to; i++) {
        events[count++] = make(epoch, i);
    }
    link_sequencer_page(f->s, &p, events, count, f->now_ms);
}

/* The same for what was told as overdue: the numbers of these. */
static void expect_overdue(struct fixture *f, const char *numbers)
{
    struct feed_item *last = NULL;
    struct feed_item *item = link_sequencer_take(f->s, &last);
    size_t n = 0;

    f->log[0] = '\0';
    while (item) {
        struct feed_item *next = (struct feed_item *)(void *)item->letter.next;

        if (item->event && item->event->is_overdue) {
            n += (size_t)snprintf(f->log + n, sizeof f->log - n, "%s%llu", n ? " " : "",
                                  (unsigned long long)item->event->position.seq);
        }
        feed_item_free(&item);
        item = next;
    }
    assert_string_equal(f->log, numbers);
}

/* An empty hub, connected: live begins at 0. */
static void connect_empty(struct fixture *f)
{
    head(f, EPOCH_A, 0, 1);
    expect(f, "up0");
}

static void events_in_order_are_told_as_they_come(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 2);
    expect(f, "e1 e2");
    expect_no_wish(f);
    assert_int_equal(link_sequencer_deadline(f->s), INT64_MAX);
    assert_true(link_sequencer_is_caught_up(f->s, f->now_ms));
}

static void repeats_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 3);
    arrive(f, EPOCH_A, 3);
    arrive(f, EPOCH_A, 2);
    expect(f, "e1 e2 e3");
    assert_int_equal(counter_get(&f->counters.events_duplicate_total), 2);
    assert_int_equal(counter_get(&f->counters.events_in_total), 3);
}

static void events_behind_a_hole_wait_for_the_refill(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 4);
    arrive(f, EPOCH_A, 5);
    expect(f, "e1");
    expect_wish(f, 1, 2);
    expect_no_wish(f); /* one page at a time */
    page(f, EPOCH_A, 2, 3, 3, 5);
    expect(f, "e2 e3 e4 e5");
    assert_int_equal(counter_get(&f->counters.refilled_total), 2);
}

static void what_was_missed_and_what_waited_behind_it_is_overdue(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 4);
    expect_wish(f, 1, 2);
    page(f, EPOCH_A, 2, 3, 3, 4);
    arrive(f, EPOCH_A, 5);
    expect_overdue(f, "2 3 4 5");
    f->now_ms += 1000;
    head(f, EPOCH_A, 5, 1);
    /* A cut connection: all that was sent meanwhile. */
    link_sequencer_lost(f->s, f->now_ms);
    head(f, EPOCH_A, 9, 1);
    arrive(f, EPOCH_A, 10);
    expect_wish(f, 5, 4);
    page(f, EPOCH_A, 6, 9, 9, 10);
    expect_overdue(f, "6 7 8 9 10");
}

/* A blocked way brings nothing for a while and then everything at once, without a loss. */
static void what_a_blocked_way_held_up_is_overdue(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    head(f, EPOCH_A, 2, 1);
    f->now_ms += 1;
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 2);
    arrive(f, EPOCH_A, 3); /* it came behind what an answer had overtaken by a little */
    expect_overdue(f, "1 2");
    f->now_ms += 5000;
    head(f, EPOCH_A, 5, 1);
    f->now_ms += 400;
    for (uint64_t seq = 4; seq <= 7; seq++) {
        arrive(f, EPOCH_A, seq);
    }
    f->now_ms += 1000;
    head(f, EPOCH_A, 8, 1);
    arrive(f, EPOCH_A, 8);
    arrive(f, EPOCH_A, 9);
    expect_overdue(f, "4 5 6 7 8");
}

/* A hub that was stopped has had all that was pushed meanwhile in front of it, too. */
static void what_waited_for_a_hub_that_was_away_is_overdue(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    link_sequencer_lost(f->s, f->now_ms);
    arrive(f, EPOCH_A, 2);
    f->now_ms += 5000;
    head(f, EPOCH_A, 2, 1);
    arrive(f, EPOCH_A, 3);
    f->now_ms += 500;
    head(f, EPOCH_A, 3, 1);
    arrive(f, EPOCH_A, 4);
    f->now_ms += 500;
    head(f, EPOCH_A, 5, 1);
    arrive(f, EPOCH_A, 5);
    arrive(f, EPOCH_A, 6);
    expect_overdue(f, "2 3 4 5");
}

static void what_was_sent_while_we_were_away_is_overdue(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    f->now_ms += 30000;
    link_sequencer_away(f->s, f->now_ms);
    head(f, EPOCH_A, 1, 1); /* an old answer says nothing of what is on its way */
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 2);
    f->now_ms += 1000;
    head(f, EPOCH_A, 4, 1);
    arrive(f, EPOCH_A, 3);
    arrive(f, EPOCH_A, 4);
    arrive(f, EPOCH_A, 5);
    expect_overdue(f, "1 2 3 4");
}

static void a_page_longer_than_the_hole_changes_nothing(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 3);
    expect_wish(f, 0, 2);
    page(f, EPOCH_A, 1, 5, 5, 5);
    arrive(f, EPOCH_A, 4);
    arrive(f, EPOCH_A, 6);
    expect(f, "e1 e2 e3 e4 e5 e6");
}

static void a_hole_that_nobody_fills_becomes_an_exact_gap(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 4);
    arrive(f, EPOCH_A, 6);
    expect_wish(f, 1, 2);
    f->now_ms += 1999;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "e1");
    f->now_ms += 1;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "g1-3:not_stored e4");
    f->now_ms += 2000;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "g4-5:not_stored e6");
}

static void a_failed_page_is_asked_for_again_after_a_pause(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 2);
    expect_wish(f, 0, 1);
    link_sequencer_page_failed(f->s, f->now_ms);
    expect_no_wish(f);
    f->now_ms = link_sequencer_deadline(f->s);
    expect_wish(f, 0, 1);
    page(f, EPOCH_A, 1, 1, 1, 2);
    expect(f, "e1 e2");
}

static void the_hubs_gap_is_passed_on_with_its_reason(void **state)
{
    struct fixture *f = *state;
    struct link_page p = page_of(EPOCH_A, 8, 8);
    struct feed_event *events[] = {make(EPOCH_A, 7), make(EPOCH_A, 8)};

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 4); /* held, though the hub does not have it any more */
    arrive(f, EPOCH_A, 9);
    expect_wish(f, 1, 2);
    p.has_gap = true;
    p.gap.reason = GAP_RETENTION;
    memcpy(p.gap.to.epoch, EPOCH_A, sizeof p.gap.to.epoch);
    p.gap.to.seq = 6;
    link_sequencer_page(f->s, &p, events, 2, f->now_ms);
    expect(f, "e1 g1-3:retention e4 g4-6:retention e7 e8 e9");
}

static void what_a_page_leaves_out_is_not_stored(void **state)
{
    struct fixture *f = *state;
    const struct link_page p = page_of(EPOCH_A, 6, 7);
    struct feed_event *events[] = {make(EPOCH_A, 2), make(EPOCH_A, 4)};

    connect_empty(f);
    arrive(f, EPOCH_A, 7);
    expect_wish(f, 0, 6);
    link_sequencer_page(f->s, &p, events, 2, f->now_ms);
    expect(f, "g0-1:not_stored e2 g2-3:not_stored e4 g4-6:not_stored e7");
}

static void a_tail_is_lost_only_after_its_grace(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    f->now_ms += 5000;
    head(f, EPOCH_A, 2, 1);
    expect_no_wish(f);
    assert_int_equal(link_sequencer_deadline(f->s), f->now_ms + 500);
    arrive(f, EPOCH_A, 1);
    f->now_ms += 499;
    link_sequencer_tick(f->s, f->now_ms);
    expect_no_wish(f);
    f->now_ms += 1;
    link_sequencer_tick(f->s, f->now_ms);
    expect_wish(f, 1, 1);
    page(f, EPOCH_A, 2, 2, 2, 2);
    expect(f, "e1 e2");
}

static void a_tail_that_comes_in_time_is_no_loss(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    f->now_ms += 5000;
    head(f, EPOCH_A, 2, 1);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 2);
    assert_int_equal(link_sequencer_deadline(f->s), INT64_MAX);
    f->now_ms += 1000;
    link_sequencer_tick(f->s, f->now_ms);
    expect_no_wish(f);
    expect(f, "e1 e2");
}

static void the_first_connect_brings_backfill_then_live(void **state)
{
    struct fixture *f = *state;

    arrive(f, EPOCH_A, 251); /* SUB is faster than the first answer */
    expect(f, "");
    assert_true(link_sequencer_wants_head(f->s));
    assert_false(link_sequencer_wants_head(f->s));
    head(f, EPOCH_A, 250, 1);
    expect_wish(f, 150, 100);
    page(f, EPOCH_A, 151, 153, 153, 251);
    expect(f, "b151 b152 b153");
    expect_wish(f, 153, 97);
    page(f, EPOCH_A, 154, 200, 200, 251);
    page(f, EPOCH_A, 201, 250, 250, 251);
    link_sequencer_tick(f->s, f->now_ms);
    expect_no_wish(f);
    assert_true(link_sequencer_is_live(f->s));
    assert_int_equal(counter_get(&f->counters.refilled_total), 0);
}

static void backfill_begins_at_the_oldest_that_is_kept(void **state)
{
    struct fixture *f = *state;

    head(f, EPOCH_A, 250, 249);
    expect_wish(f, 248, 2);
    page(f, EPOCH_A, 249, 250, 250, 250);
    arrive(f, EPOCH_A, 251);
    expect(f, "b249 b250 up250 e251");
}

static void backfill_that_cannot_be_had_does_not_stop_live(void **state)
{
    struct fixture *f = *state;

    head(f, EPOCH_A, 10, 1);
    expect_wish(f, 0, 10);
    arrive(f, EPOCH_A, 11);
    f->now_ms += 2000;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "up10 e11"); /* nobody had anything: no gap to tell */
}

static void backfill_that_ends_early_is_told_as_a_gap(void **state)
{
    struct fixture *f = *state;

    head(f, EPOCH_A, 10, 1);
    expect_wish(f, 0, 10);
    page(f, EPOCH_A, 1, 3, 3, 10);
    arrive(f, EPOCH_A, 12);
    f->now_ms += 2000;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "b1 b2 b3 g3-10:not_stored up10");
    link_sequencer_page_failed(f->s, f->now_ms);
    f->now_ms += 100;
    expect_wish(f, 10, 1); /* 11 is live and has its own time to come */
    page(f, EPOCH_A, 11, 11, 11, 12);
    expect(f, "e11 e12");
}

static void a_lost_link_is_told_and_refilled_from_the_last_event(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    link_sequencer_lost(f->s, f->now_ms);
    expect(f, "e1 down");
    assert_false(link_sequencer_is_live(f->s));
    arrive(f, EPOCH_A, 6);
    expect_no_wish(f);
    head(f, EPOCH_A, 7, 1);
    expect(f, "up1");
    expect_wish(f, 1, 4); /* at once: after a connect nothing is under way */
    page(f, EPOCH_A, 2, 5, 5, 7);
    expect(f, "e2 e3 e4 e5 e6");
    expect_wish(f, 6, 1);
    page(f, EPOCH_A, 7, 7, 7, 7);
    expect(f, "e7");
}

static void a_new_epoch_is_a_gap_and_then_all_of_it(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    arrive(f, EPOCH_A, 3);
    link_sequencer_lost(f->s, f->now_ms);
    arrive(f, EPOCH_B, 5);
    assert_true(link_sequencer_wants_head(f->s));
    head(f, EPOCH_B, 5, 3);
    expect(f, "e1 down g1-2:not_stored e3 g3-2:epoch_changed up2");
    expect_wish(f, 2, 2);
    page(f, EPOCH_B, 3, 4, 4, 5);
    expect(f, "e3 e4 e5");
    arrive(f, EPOCH_A, 4); /* late, of the epoch that is over */
    assert_false(link_sequencer_wants_head(f->s));
    expect(f, "");
}

static void a_new_epoch_without_events_is_told_at_once(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    head(f, EPOCH_B, 0, 1); /* the hub changed it while running */
    expect(f, "e1 g1-0:epoch_changed");
    arrive(f, EPOCH_B, 1);
    expect(f, "e1");
}

static void a_page_of_another_epoch_is_not_used(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 2);
    expect_wish(f, 0, 1);
    page(f, EPOCH_B, 1, 1, 1, 1);
    expect(f, "");
    assert_true(link_sequencer_wants_head(f->s));
}

static void voids_are_gaps_that_nobody_refills(void **state)
{
    struct fixture *f = *state;
    struct link_head h = head_of(EPOCH_A, 1000, 1);

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    link_sequencer_lost(f->s, f->now_ms);
    h.voids.count = 1;
    h.voids.list[0] = (struct link_void){.from = 3, .to = 999, .reason = GAP_UNCLEAN_STOP};
    link_sequencer_head(f->s, &h, f->now_ms);
    arrive(f, EPOCH_A, 1000);
    expect(f, "e1 down up1");
    expect_wish(f, 1, 998);
    page(f, EPOCH_A, 2, 2, 2, 1000);
    expect(f, "e2 g2-999:unclean_stop e1000");
}

static void what_does_not_fit_behind_a_hole_is_fetched_later(void **state)
{
    struct fixture *f = *state;

    link_sequencer_destroy(&f->s);
    start_with(f, 100, 25); /* two events of ten bytes */
    connect_empty(f);
    for (uint64_t seq = 2; seq <= 6; seq++) {
        arrive(f, EPOCH_A, seq);
    }
    expect_wish(f, 0, 1);
    page(f, EPOCH_A, 1, 1, 1, 6);
    expect(f, "e1 e2 e3");
    expect_wish(f, 3, 3);
    page(f, EPOCH_A, 4, 6, 6, 6);
    expect(f, "e4 e5 e6");
}

static void what_is_skipped_is_fetched_later(void **state)
{
    struct fixture *f = *state;
    struct position position = {.epoch = EPOCH_A, .seq = 2};

    connect_empty(f);
    arrive(f, EPOCH_A, 1);
    link_sequencer_skip(f->s, &position, f->now_ms);
    position.seq = 3;
    link_sequencer_skip(f->s, &position, f->now_ms);
    arrive(f, EPOCH_A, 4);
    expect(f, "e1");
    expect_wish(f, 1, 2);
    page(f, EPOCH_A, 2, 3, 3, 4);
    expect(f, "e2 e3 e4");
    memcpy(position.epoch, EPOCH_B, sizeof position.epoch);
    position.seq = 99;
    link_sequencer_skip(f->s, &position, f->now_ms); /* nothing is known of this epoch */
    assert_int_equal(link_sequencer_deadline(f->s), INT64_MAX);
}

static void a_hole_counts_as_behind_after_half_a_second(void **state)
{
    struct fixture *f = *state;

    connect_empty(f);
    arrive(f, EPOCH_A, 2);
    assert_true(link_sequencer_is_caught_up(f->s, f->now_ms + 499));
    assert_false(link_sequencer_is_caught_up(f->s, f->now_ms + 500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_in_order_are_told_as_they_come, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(repeats_are_dropped_and_counted, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(events_behind_a_hole_wait_for_the_refill, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_page_longer_than_the_hole_changes_nothing, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_hole_that_nobody_fills_becomes_an_exact_gap, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_failed_page_is_asked_for_again_after_a_pause, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_hubs_gap_is_passed_on_with_its_reason, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_a_page_leaves_out_is_not_stored, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_tail_is_lost_only_after_its_grace, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_tail_that_comes_in_time_is_no_loss, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_first_connect_brings_backfill_then_live, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(backfill_begins_at_the_oldest_that_is_kept, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(backfill_that_cannot_be_had_does_not_stop_live, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(backfill_that_ends_early_is_told_as_a_gap, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_lost_link_is_told_and_refilled_from_the_last_event, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_new_epoch_is_a_gap_and_then_all_of_it, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_new_epoch_without_events_is_told_at_once, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_page_of_another_epoch_is_not_used, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(voids_are_gaps_that_nobody_refills, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_behind_a_hole_is_fetched_later, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_skipped_is_fetched_later, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_was_missed_and_what_waited_behind_it_is_overdue, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_a_blocked_way_held_up_is_overdue, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_waited_for_a_hub_that_was_away_is_overdue, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_was_sent_while_we_were_away_is_overdue, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_hole_counts_as_behind_after_half_a_second, setup,
                                        fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
