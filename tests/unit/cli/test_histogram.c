/*
 * Tests of the histogram of latencies.
 */
#include "cli/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct histogram h;

static int set_up(void **state)
{
    (void)state;
    memset(&h, 0, sizeof h);
    return 0;
}

static void an_empty_one_says_zero(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile_ns(&h, 0.5), 0);
}

static void a_single_time_is_every_quantile(void **state)
{
    static const uint64_t times[] = {0, 1, 63, 64, 65, 127, 128, 1000, 123456789, UINT64_MAX};

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        set_up(state);
        histogram_add(&h, times[i]);
        assert_true(histogram_quantile_ns(&h, 0.0) == histogram_quantile_ns(&h, 1.0));
        if (times[i] < (1ULL << 40)) {
            const uint64_t q = histogram_quantile_ns(&h, 0.5);

            assert_true(q >= times[i] && (double)q <= (double)times[i] * 1.016 + 1);
        }
    }
}

static void quantiles_are_right_within_their_error(void **state)
{
    (void)state;
    for (uint64_t ns = 1; ns <= 100000; ns++) {
        histogram_add(&h, ns);
    }
    for (int percent = 1; percent <= 100; percent++) {
        const double expected = 1000.0 * percent;
        const double q = (double)histogram_quantile_ns(&h, percent / 100.0);

        assert_true(q >= expected * 0.999 && q <= expected * 1.016 + 1);
    }
    assert_int_equal(histogram_quantile_ns(&h, 1.0), 100000);
}

static void merged_ones_count_together(void **state)
{
    static struct histogram other;

    (void)state;
    memset(&other, 0, sizeof other);
    histogram_add(&h, 10);
    histogram_add(&other, 1000000);
    histogram_merge(&h, &other);
    assert_int_equal(h.count, 2);
    assert_int_equal(histogram_quantile_ns(&h, 0.5), 10);
    assert_int_equal(histogram_quantile_ns(&h, 1.0), 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_says_zero, set_up),
        cmocka_unit_test_setup(a_single_time_is_every_quantile, set_up),
        cmocka_unit_test_setup(quantiles_are_right_within_their_error, set_up),
        cmocka_unit_test_setup(merged_ones_count_together, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
