/* delivery: one text for each delivery, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/delivery.h"

static void texts_go_there_and_back(void **state)
{
    static const char *const texts[] = {"k3mzq7aa-1.1", "k3mzq7aa-9223372036854775807.4294967295",
                                        "abcdefgh-10.20"};
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char again[DELIVERY_TEXT_MAX];
        struct delivery d;

        assert_int_equal(delivery_parse(texts[i], strlen(texts[i]), &d), NHUB_OK);
        assert_int_equal(delivery_format(&d, again), strlen(texts[i]));
        assert_string_equal(again, texts[i]);
    }
}

static void other_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        ".",
        "k3mzq7aa-1",
        "k3mzq7aa-1.",
        "k3mzq7aa-1.0",
        "k3mzq7aa-1.01",
        "k3mzq7aa-1.4294967296",
        "k3mzq7aa-1.99999999999",
        "k3mzq7aa-1.1.1",
        "k3mzq7aa-1.-1",
        "k3mzq7aa-1.1 ",
        "k3mzq7aa-0.1",
        "k3mzq7aa-01.1",
        "k3mzq7a-1.1",
        "K3mzq7aa-1.1",
        "k3mzq7aa-9223372036854775808.1",
    };
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct delivery d = {.attempt = 77};

        if (delivery_parse(texts[i], strlen(texts[i]), &d) != NHUB_EINVAL) {
            fail_msg("\"%s\" passes", texts[i]);
        }
        assert_int_equal(d.attempt, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_go_there_and_back),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
