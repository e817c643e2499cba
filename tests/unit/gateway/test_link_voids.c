/*
 * Voids: the list itself, and what the sequencer makes of them: no refill, the exact gap with its
 * reason, and no gap at all for what came live before its number became void.
 */
#include "gateway/link_voids.h"

#include "sequencer_fixture.h"

#define EPOCH "aaaaaaaa"

static struct link_voids voids_of(const uint64_t *pairs, size_t count)
{
    struct link_voids v = {.count = 0};

    for (size_t i = 0; i < count; i++) {
        const struct link_void hollow = {pairs[2 * i], pairs[2 * i + 1], GAP_UNCLEAN_STOP};

        link_voids_add(&v, &hollow);
    }
    return v;
}

static void the_newest_voids_are_kept(void **state)
{
    struct link_voids v = {.count = 0};

    (void)state;
    for (uint64_t i = 1; i <= LINK_VOIDS_MAX + 3; i++) {
        const struct link_void hollow = {i * 10, i * 10 + 1, GAP_NOT_STORED};

        link_voids_add(&v, &hollow);
    }
    assert_int_equal(v.count, LINK_VOIDS_MAX);
    assert_int_equal(v.list[0].from, 40);
    assert_null(link_voids_at(&v, 30));
    assert_null(link_voids_at(&v, 42));
    assert_int_equal(link_voids_at(&v, 41)->from, 40);
    assert_int_equal(link_voids_before_next(&v, 41, 1000), 49);
    assert_int_equal(link_voids_before_next(&v, 41, 45), 45);
}

static void counting_back_leaves_voids_out(void **state)
{
    static const uint64_t pairs[] = {5, 9, 20, 999};
    static const struct {
        uint64_t last, count, first;
    } cases[] = {
        {1002, 1, 1002}, {1002, 3, 1000}, {1002, 4, 19}, {1002, 13, 10}, {1002, 14, 4},
        {1002, 17, 1},   {1002, 99, 1},   {500, 1, 19},  {999, 2, 18},   {15, 3, 13},
        {15, 7, 4},      {4, 2, 3},       {7, 1, 4},
    };
    const struct link_voids v = voids_of(pairs, 2);
    const struct link_voids none = {.count = 0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(link_voids_back(&v, cases[i].last, cases[i].count), cases[i].first);
    }
    assert_int_equal(link_voids_back(&none, 10, 4), 7);
    assert_int_equal(link_voids_back(&none, 3, 4), 1);
    assert_int_equal(link_voids_back(&none, 0, 4), 1);
}

/* ---- the sequencer ---- */

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    start_with(f, 10, 1 << 20);
    *state = f;
    return 0;
}

static void arrive_all(struct fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        arrive(f, EPOCH, seq);
    }
}

static void head(struct fixture *f, uint64_t seq, uint64_t from, uint64_t to,
                 enum gap_reason reason)
{
    struct link_head h = {.epoch = EPOCH, .seq = seq, .oldest = 1};
    const struct link_void hollow = {from, to, reason};

    if (from > 0) {
        link_voids_add(&h.voids, &hollow);
    }
    link_sequencer_head(f->s, &h, f->now_ms);
    link_sequencer_tick(f->s, f->now_ms);
}

static void a_clean_restart_is_no_gap(void **state)
{
    struct fixture *f = *state;

    head(f, 0, 0, 0, 0);
    arrive_all(f, 1, 3);
    link_sequencer_lost(f->s, f->now_ms);
    head(f, 3, 0, 0, 0);
    arrive_all(f, 4, 5);
    expect(f, "up0 e1 e2 e3 down up3 e4 e5");
    expect_no_wish(f);
}

static void a_crash_is_a_gap_from_the_last_event_that_came(void **state)
{
    struct fixture *f = *state;

    head(f, 0, 0, 0, 0);
    arrive_all(f, 1, 5);
    link_sequencer_lost(f->s, f->now_ms);
    head(f, 1000, 4, 1000, GAP_UNCLEAN_STOP); /* 4 and 5 came live, the disk does not have them */
    expect(f, "up0 e1 e2 e3 e4 e5 down up5 g5-1000:unclean_stop");
    expect_no_wish(f);
    arrive(f, EPOCH, 1001);
    expect(f, "e1001");
}

static void a_void_whose_events_are_on_their_way_is_no_gap(void **state)
{
    struct fixture *f = *state;

    head(f, 0, 0, 0, 0);
    arrive(f, EPOCH, 1);
    /* The answer overtakes 2 to 4, which went out live while the disk took nothing. */
    head(f, 4, 2, 4, GAP_NOT_STORED);
    expect(f, "up0 e1");
    arrive_all(f, 2, 5);
    f->now_ms += 3000;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "e2 e3 e4 e5");
}

static void a_void_that_was_lost_on_the_way_is_told_without_a_refill(void **state)
{
    struct fixture *f = *state;

    head(f, 0, 0, 0, 0);
    arrive(f, EPOCH, 1);
    head(f, 6, 2, 4, GAP_NOT_STORED);
    arrive(f, EPOCH, 3);
    arrive(f, EPOCH, 6);
    expect(f, "up0 e1 g1-2:not_stored e3 g3-4:not_stored");
    expect_wish(f, 4, 1);
}

static void a_lost_tail_in_a_void_is_told_after_its_grace(void **state)
{
    struct fixture *f = *state;

    head(f, 0, 0, 0, 0);
    arrive(f, EPOCH, 1);
    f->now_ms += 2000;
    head(f, 4, 2, 4, GAP_NOT_STORED);
    f->now_ms += 499;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "up0 e1");
    f->now_ms += 1;
    link_sequencer_tick(f->s, f->now_ms);
    expect(f, "g1-4:not_stored");
}

static void the_backfill_reaches_over_a_void(void **state)
{
    struct fixture *f = *state;

    head(f, 1000, 51, 998, GAP_UNCLEAN_STOP);
    expect_wish(f, 42, 958); /* ten events: 43 to 50, 999, 1000 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_voids_are_kept),
        cmocka_unit_test(counting_back_leaves_voids_out),
        cmocka_unit_test_setup_teardown(a_clean_restart_is_no_gap, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_crash_is_a_gap_from_the_last_event_that_came, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_void_whose_events_are_on_their_way_is_no_gap, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_void_that_was_lost_on_the_way_is_told_without_a_refill,
                                        setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_lost_tail_in_a_void_is_told_after_its_grace, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_backfill_reaches_over_a_void, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
