/* error: every code has its own text, and so has an unknown one. */
#include <notifyhub/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const nhub_err all[] = {
#define ROW(name, value, text) name,
    NHUB_ERRORS(ROW)
#undef ROW
};

static void each_code_has_a_text_of_its_own(void **state)
{
    const size_t count = sizeof all / sizeof all[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(nhub_strerror(all[i])) > 3);
        for (size_t j = i + 1; j < count; j++) {
            assert_string_not_equal(nhub_strerror(all[i]), nhub_strerror(all[j]));
            assert_int_not_equal(all[i], all[j]);
        }
    }
}

static void failures_are_negative(void **state)
{
    (void)state;
    assert_int_equal(NHUB_OK, 0);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(all[i] <= 0);
    }
}

static void an_unknown_code_has_a_text_too(void **state)
{
    (void)state;
    assert_string_equal(nhub_strerror((nhub_err)-12345), "unknown error code");
    assert_string_equal(nhub_strerror((nhub_err)1), "unknown error code");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_a_text_of_its_own),
        cmocka_unit_test(failures_are_negative),
        cmocka_unit_test(an_unknown_code_has_a_text_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
