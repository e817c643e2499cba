/* clock: the system's clocks run, and a test's clock takes their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static int64_t fake_mono_ns(void)
{
    return INT64_C(7000000001);
}

static int64_t fake_wall_us(void)
{
    return INT64_C(1700000000123456);
}

static void mono_never_goes_back(void **state)
{
    int64_t before = clock_mono_ns();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        const int64_t now = clock_mono_ns();

        assert_true(now >= before);
        before = now;
    }
}

static void wall_is_the_time_of_day(void **state)
{
    const int64_t now_s = (int64_t)time(NULL);
    const int64_t wall_s = clock_wall_us() / 1000000;

    (void)state;
    assert_true(wall_s >= now_s - 1 && wall_s <= now_s + 2);
}

static void a_source_replaces_both_until_it_is_taken_away(void **state)
{
    static const struct clock_source fake = {fake_mono_ns, fake_wall_us};

    (void)state;
    clock_set_source(&fake);
    assert_int_equal(clock_mono_ns(), INT64_C(7000000001));
    assert_int_equal(clock_mono_ms(), 7000);
    assert_int_equal(clock_wall_us(), INT64_C(1700000000123456));
    clock_set_source(NULL);
    assert_int_not_equal(clock_wall_us(), INT64_C(1700000000123456));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mono_never_goes_back),
        cmocka_unit_test(wall_is_the_time_of_day),
        cmocka_unit_test(a_source_replaces_both_until_it_is_taken_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
