/*
 * Which pages may talk to this server: a table.
 */
#include "gateway/protocols/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void verdicts_by_origin_and_host(void **state)
{
    static const struct {
        const char *origin, *host;
        enum origin_verdict verdict;
    } cases[] = {
        {NULL, "example", ORIGIN_NONE},
        {NULL, NULL, ORIGIN_NONE},
        {"http://example", "example", ORIGIN_SAME},
        {"https://example", "example", ORIGIN_SAME}, /* TLS ends at an ingress */
        {"http://EXAMPLE:8080", "example:8080", ORIGIN_SAME},
        {"http://example:80", "example", ORIGIN_SAME},
        {"https://example", "example:443", ORIGIN_SAME},
        {"http://[::1]:8080", "[::1]:8080", ORIGIN_SAME},
        {"http://[::1]", "[::1]:80", ORIGIN_SAME},
        {"http://example:8080", "example", ORIGIN_FOREIGN},
        {"http://example:8080", "example:8081", ORIGIN_FOREIGN},
        {"http://example.evil", "example", ORIGIN_FOREIGN},
        {"http://evil", "example", ORIGIN_FOREIGN},
        {"http://example@evil", "example", ORIGIN_FOREIGN},
        {"http://evil/example", "example", ORIGIN_FOREIGN},
        {"http://example", NULL, ORIGIN_FOREIGN},
        {"null", "null", ORIGIN_FOREIGN},
        {"null", "example", ORIGIN_FOREIGN},
        {"", "example", ORIGIN_FOREIGN},
        {"example", "example", ORIGIN_FOREIGN},
        {"http://", "", ORIGIN_FOREIGN},
        {"http://example:", "example", ORIGIN_SAME}, /* an empty port is the default one */
        {"http://example:8x", "example:8", ORIGIN_FOREIGN},
        {"http://example:4294967376", "example", ORIGIN_FOREIGN},
        {"http://[::1", "[::1", ORIGIN_FOREIGN},
        {"https://app.example", "hub.example", ORIGIN_LISTED},
        {"HTTPS://App.Example", "hub.example", ORIGIN_LISTED},
        {"https://app.example.evil", "hub.example", ORIGIN_FOREIGN},
        {"http://app.example", "hub.example", ORIGIN_FOREIGN}, /* listed with its scheme */
    };
    char listed[] = "https://app.example";
    char *items[] = {listed};
    const struct option_list allowed = {.items = items, .count = 1};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *origin = cases[i].origin;
        const char *host = cases[i].host;
        const enum origin_verdict got = origin_check(origin, origin ? strlen(origin) : 0, host,
                                                     host ? strlen(host) : 0, &allowed);

        if (got != cases[i].verdict) {
            fail_msg("%s at %s: %d", origin ? origin : "-", host ? host : "-", (int)got);
        }
    }
}

static void a_star_lists_everybody(void **state)
{
    char star[] = "*";
    char *items[] = {star};
    const struct option_list allowed = {.items = items, .count = 1};

    (void)state;
    assert_int_equal(origin_check("http://evil", 11, "example", 7, &allowed), ORIGIN_LISTED);
    assert_int_equal(origin_check("http://example", 14, "example", 7, &allowed), ORIGIN_SAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_by_origin_and_host),
        cmocka_unit_test(a_star_lists_everybody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
