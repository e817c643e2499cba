/* problem: every reason has a status and a title, and the JSON is what RFC 9457 asks for. */
#include "gateway/protocols/problem.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_reason_has_its_row(void **state)
{
    (void)state;
    for (int reason = 0; reason < REJECT_REASON_COUNT; reason++) {
        const unsigned status = problem_status((enum reject_reason)reason);

        assert_in_range(status, 400, 599);
        if (reason != REJECT_BAD_REQUEST) { /* what a reason without a row would get */
            assert_string_not_equal(problem_title((enum reject_reason)reason),
                                    problem_title(REJECT_BAD_REQUEST));
        }
        if (problem_retry_after_s((enum reject_reason)reason) > 0) {
            assert_true(status == 503 || status == 429);
        }
    }
}

static json_t *render(const struct problem *p)
{
    struct buf text;
    json_t *json = NULL;

    buf_init(&text);
    problem_render(p, &text);
    json = json_loadb(text.data, text.len, 0, NULL);
    buf_fini(&text);
    assert_non_null(json);
    return json;
}

static void members_are_those_of_the_problem(void **state)
{
    json_t *json = render(&(struct problem){.reason = REJECT_BAD_JSON,
                                            .detail = "a \"quote\"\n",
                                            .field = "data",
                                            .has_offset = true,
                                            .offset = 17,
                                            .has_index = true,
                                            .index = 0,
                                            .has_line = true,
                                            .line = 3});
    json_t *expected = json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:i}", "type", "urn:notifyhub:problem:bad_json",
        "title", "The body is not valid JSON", "status", 400, "detail", "a \"quote\"\n", "code",
        "bad_json", "field", "data", "offset", 17, "index", 0, "line", 3);

    (void)state;
    assert_true(json_equal(json, expected));
    json_decref(expected);
    json_decref(json);
}

static void status_and_code_can_be_told_otherwise(void **state)
{
    json_t *json = render(
        &(struct problem){.reason = REJECT_HUB_UNAVAILABLE, .status = 504, .code = "not_ready"});

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 504);
    assert_string_equal(json_string_value(json_object_get(json, "code")), "not_ready");
    assert_string_equal(json_string_value(json_object_get(json, "detail")),
                        problem_title(REJECT_HUB_UNAVAILABLE));
    assert_null(json_object_get(json, "offset"));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_its_row),
        cmocka_unit_test(members_are_those_of_the_problem),
        cmocka_unit_test(status_and_code_can_be_told_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
