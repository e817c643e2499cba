/* metrics: the text format, with what people and scrapers trip over. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"

static void a_family_has_help_and_type(void **state)
{
    struct buf b = {0};

    (void)state;
    metrics_family(&b, "notifyhub_events_total", "counter", "Events, with a \\ and a\nline feed");
    assert_string_equal(buf_cstr(&b),
                        "# HELP notifyhub_events_total Events, with a \\\\ and a\\nline feed\n"
                        "# TYPE notifyhub_events_total counter\n");
    buf_fini(&b);
}

static void labels_are_escaped(void **state)
{
    struct buf b = {0};

    (void)state;
    metrics_sample(&b, "a", 1, NULL);
    metrics_sample(&b, "b", 2, "door", "http", NULL);
    metrics_sample(&b, "c", 3, "x", "q\"b\\n\n", "y", "", NULL);
    assert_string_equal(buf_cstr(&b), "a 1\n"
                                      "b{door=\"http\"} 2\n"
                                      "c{x=\"q\\\"b\\\\n\\n\",y=\"\"} 3\n");
    buf_fini(&b);
}

static void values_keep_their_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "v 0\n"},
        {-1, "v -1\n"},
        {1e6, "v 1000000\n"},
        {9007199254740991.0, "v 9007199254740991\n"},
        {0.25, "v 0.25\n"},
        {1e300, "v 1e+300\n"},
        {NAN, "v NaN\n"},
        {INFINITY, "v +Inf\n"},
        {-INFINITY, "v -Inf\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = {0};

        metrics_sample(&b, "v", cases[i].value, NULL);
        assert_string_equal(buf_cstr(&b), cases[i].text);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_has_help_and_type),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(values_keep_their_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
