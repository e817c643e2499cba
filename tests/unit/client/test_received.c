/*
 * Tests of the set of received numbers.
 */
#include "client/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int set_up(void **state)
{
    struct received *r = NULL;

    assert_int_equal(received_create(&r, 1000), NHUB_OK);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct received *r = *state;

    received_destroy(&r);
    assert_null(r);
    return 0;
}

static void an_empty_set_has_nothing(void **state)
{
    const struct received *r = *state;

    assert_false(received_has(r, 1));
    assert_int_equal(received_count_to(r, UINT64_MAX), 0);
    assert_int_equal(received_newest(r), 0);
}

static void numbers_are_counted_and_dropped_from_below(void **state)
{
    struct received *r = *state;

    for (uint64_t seq = 10; seq <= 100; seq += 10) {
        assert_true(received_add(r, seq));
    }
    assert_int_equal(received_count_to(r, 9), 0);
    assert_int_equal(received_count_to(r, 10), 1);
    assert_int_equal(received_count_to(r, 55), 5);
    received_drop_to(r, 55);
    assert_int_equal(received_count_to(r, 100), 5);
    assert_false(received_has(r, 50));
    assert_true(received_has(r, 60));
    received_drop_to(r, 1000);
    assert_int_equal(received_newest(r), 0);
}

static void late_and_repeated_numbers_find_their_place(void **state)
{
    struct received *r = *state;

    assert_true(received_add(r, 5));
    assert_true(received_add(r, 9));
    assert_true(received_add(r, 7));
    assert_true(received_add(r, 7));
    assert_true(received_add(r, 1));
    assert_int_equal(received_count_to(r, 9), 4);
    assert_int_equal(received_newest(r), 9);
    assert_true(received_has(r, 1));
    assert_true(received_has(r, 7));
    assert_false(received_has(r, 6));
}

static void a_full_set_refuses_new_numbers_only(void **state)
{
    struct received *r = *state;

    for (uint64_t seq = 1; seq <= 1000; seq++) {
        assert_true(received_add(r, seq));
    }
    assert_false(received_add(r, 1001));
    assert_true(received_add(r, 500));
    received_drop_to(r, 1);
    assert_true(received_add(r, 1001));
}

/* A window that moves on for long keeps its memory small and its content right. */
static void a_moving_window_stays_right(void **state)
{
    struct received *r = *state;

    for (uint64_t seq = 1; seq <= 100000; seq++) {
        assert_true(received_add(r, seq));
        if (seq > 300) {
            received_drop_to(r, seq - 300);
            assert_int_equal(received_count_to(r, seq), 300);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void the_next_number_behind_any(void **state)
{
    struct received *r = NULL;

    (void)state;
    assert_int_equal(received_create(&r, 10), NHUB_OK);
    assert_true(received_next(r, 0) == UINT64_MAX);
    assert_true(received_add(r, 5));
    assert_true(received_add(r, 9));
    assert_int_equal(received_next(r, 0), 5);
    assert_int_equal(received_next(r, 4), 5);
    assert_int_equal(received_next(r, 5), 9);
    assert_true(received_next(r, 9) == UINT64_MAX);
    received_drop_to(r, 5);
    assert_int_equal(received_next(r, 0), 9);
    received_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_set_has_nothing),
        TEST(numbers_are_counted_and_dropped_from_below),
        TEST(late_and_repeated_numbers_find_their_place),
        TEST(a_full_set_refuses_new_numbers_only),
        TEST(a_moving_window_stays_right),
        cmocka_unit_test(the_next_number_behind_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
