/* groups: what they tell and count of numbers that have no event, each range for its own reason. */
#include "groups_fixture.h"

#define CREATE "{\"action\":\"group_create\",\"group\":\"g\",\"since\":\"earliest\","

/* The hub goes on at 91 behind two events, which are done; between lie these voids. */
static void go_on_behind(struct fixture *f, const struct journal_void *voids, size_t count)
{
    do_it(f, CREATE "\"event_type\":\"a\"}");
    publish_events(f, "a", 2);
    fetch(f, "1.1 2.1");
    acknowledge(f, "1.1", "done");
    acknowledge(f, "2.1", "done");
    memcpy(f->journal.voids, voids, count * sizeof *voids);
    f->journal.void_count = count;
    f->journal.oldest = 1;
    groups_destroy(&f->groups);
    fake_restart(&f->journal, "abcdefgh", 90);
    assert_int_equal(fixture_start(f), NHUB_OK);
    turn(f);
    publish_events(f, "a", 1);
}

static void voids_side_by_side_are_told_one_by_one_and_only_events_count_as_lost(void **state)
{
    static const struct journal_void voids[] = {{3, 20, "not_stored"}, {21, 90, "unclean_stop"}};
    struct fixture *f = *state;

    go_on_behind(f, voids, 2);
    fetch(f, "91.1 gap abcdefgh-2 abcdefgh-20 not_stored");
    fetch(f, " gap abcdefgh-20 abcdefgh-90 unclean_stop");
    fetch(f, "");
    assert_int_equal(figure(f, "lost"), 18);
}

static void the_reasons_alternate_as_the_voids_do(void **state)
{
    static const struct journal_void voids[] = {
        {3, 20, "unclean_stop"}, {21, 30, "not_stored"}, {31, 90, "unclean_stop"}};
    struct fixture *f = *state;

    go_on_behind(f, voids, 3);
    fetch(f, "91.1 gap abcdefgh-2 abcdefgh-20 unclean_stop");
    fetch(f, " gap abcdefgh-20 abcdefgh-30 not_stored");
    fetch(f, " gap abcdefgh-30 abcdefgh-90 unclean_stop");
    assert_int_equal(figure(f, "lost"), 10);
}

static void what_no_void_explains_was_not_stored(void **state)
{
    static const struct journal_void voids[] = {{21, 60, "unclean_stop"}};
    struct fixture *f = *state;

    go_on_behind(f, voids, 1);
    fetch(f, "91.1 gap abcdefgh-2 abcdefgh-20 not_stored");
    fetch(f, " gap abcdefgh-20 abcdefgh-60 unclean_stop");
    fetch(f, " gap abcdefgh-60 abcdefgh-90 not_stored");
    assert_int_equal(figure(f, "lost"), 48);
}

static void the_same_is_counted_after_another_restart(void **state)
{
    static const struct journal_void voids[] = {{3, 20, "not_stored"}, {21, 90, "unclean_stop"}};
    struct fixture *f = *state;

    go_on_behind(f, voids, 2);
    fetch(f, "91.1 gap abcdefgh-2 abcdefgh-20 not_stored");
    turn(f);
    die_and_start_again(f);
    fetch(f, " gap abcdefgh-20 abcdefgh-90 unclean_stop");
    assert_int_equal(figure(f, "lost"), 18);
}

/* ---- retention ---- */

/* A journal that forgets a void when the events in front of it go, as a disk does. */
static void retention_does_not_count_what_an_unclean_stop_never_gave_out(void **state)
{
    static const struct journal_void voids[] = {{3, 90, "unclean_stop"}};
    struct fixture *f = *state;

    go_on_behind(f, voids, 1);
    publish_events(f, "a", 9); /* 92 … 100 */
    f->journal.void_count = 0;
    f->journal.oldest = 0;
    journal_trim(&f->journal.base, 96);
    fetch(f, "96.1 97.1 98.1 99.1 100.1 gap abcdefgh-2 abcdefgh-90 unclean_stop");
    fetch(f, " gap abcdefgh-90 abcdefgh-95 retention");
    fetch(f, "");
    assert_int_equal(figure(f, "lost"), 5);
}

static void retention_in_front_of_a_void_is_told_as_retention(void **state)
{
    static const struct journal_void voids[] = {{11, 90, "unclean_stop"}};
    struct fixture *f = *state;

    go_on_behind(f, voids, 1); /* 3 to 10 were there, and are trimmed with everything up to 90 */
    f->journal.void_count = 0;
    f->journal.oldest = 0;
    fetch(f, "91.1 gap abcdefgh-2 abcdefgh-10 retention");
    fetch(f, " gap abcdefgh-10 abcdefgh-90 unclean_stop");
    fetch(f, "");
    assert_int_equal(figure(f, "lost"), 8);
}

static void an_old_unclean_stop_says_nothing_about_a_new_epoch(void **state)
{
    static const struct journal_void voids[] = {{3, 90, "unclean_stop"}};
    struct fixture *f = *state;

    go_on_behind(f, voids, 1);
    fetch(f, "91.1 gap abcdefgh-2 abcdefgh-90 unclean_stop");
    acknowledge(f, "91.1", "done");
    f->journal.void_count = 0;
    f->journal.oldest = 0;
    fake_restart(&f->journal, "k3mzq7aa", 0);
    publish_events(f, "a", 1);
    fetch(f, "1.1 gap abcdefgh-91 k3mzq7aa-0 epoch_changed");
    publish_events(f, "a", 9); /* 2 … 10 */
    journal_trim(&f->journal.base, 8);
    fetch(f, "8.1 9.1 10.1 gap k3mzq7aa-1 k3mzq7aa-7 retention");
    assert_int_equal(figure(f, "lost"), 6);
}

#define GAP(reason)                                                                                \
    "\"gap\":{\"from\":\"abcdefgh-0\",\"to\":\"abcdefgh-3\",\"reason\":\"" reason "\"}"

/* A gateway gives it back, whose client had left before the answer came. */
static void a_gap_that_is_given_back_is_told_by_the_next_fetch(void **state)
{
    struct fixture *f = *state;

    do_it(f, "{\"action\":\"group_create\",\"group\":\"g\",\"since\":\"earliest\"}");
    publish_events(f, "a", 5);
    journal_trim(&f->journal.base, 4);
    fetch(f, "4.1 5.1 gap abcdefgh-0 abcdefgh-3 retention");
    do_it(f,
          "{\"action\":\"nack\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-4.1\",\"abcdefgh-5.1\"],"
          "\"release\":true," GAP("retention") "}");
    fetch(f, "4.2 5.2 gap abcdefgh-0 abcdefgh-3 retention");
    do_it(f, "{\"action\":\"nack\",\"group\":\"g\",\"release\":true," GAP("retention") "}");
    die_and_start_again(f);
    fetch(f, " gap abcdefgh-0 abcdefgh-3 retention");
    send(f, "{\"action\":\"nack\",\"group\":\"g\"," GAP("boredom") "}");
    expect_text(f, "code", "bad_value");
    fetch(f, "");
    assert_int_equal(figure(f, "lost"), 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(voids_side_by_side_are_told_one_by_one_and_only_events_count_as_lost),
        TEST(the_reasons_alternate_as_the_voids_do),
        TEST(what_no_void_explains_was_not_stored),
        TEST(the_same_is_counted_after_another_restart),
        TEST(retention_does_not_count_what_an_unclean_stop_never_gave_out),
        TEST(retention_in_front_of_a_void_is_told_as_retention),
        TEST(an_old_unclean_stop_says_nothing_about_a_new_epoch),
        TEST(a_gap_that_is_given_back_is_told_by_the_next_fetch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
