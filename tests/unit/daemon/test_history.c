/* history: where each kind of `since` begins, and which gap it tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/history.h"

/* Numbers 11 to 20 are kept; the youngest that is not arrived at 5000. */
static const struct journal_state kept = {
    .why = "", .oldest = 11, .last = 20, .records = 10, .trimmed = 10, .trimmed_us = 5000};

static struct since_target target(const char *text)
{
    struct since since = {.kind = SINCE_NONE};
    struct since_target out;

    if (text) {
        assert_int_equal(since_parse(text, strlen(text), &since), NHUB_OK);
    }
    history_target(&since, "abcdefgh", &kept, &out);
    return out;
}

static void plain_cases_begin_where_they_say(void **state)
{
    static const struct {
        const char *since;
        uint64_t after;
    } cases[] = {
        {NULL, 10}, {"earliest", 10},    {"latest", 20},      {"10", 10},          {"15", 15},
        {"20", 20}, {"abcdefgh-10", 10}, {"abcdefgh-15", 15}, {"abcdefgh-20", 20},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct since_target t = target(cases[i].since);

        assert_int_equal(t.after, cases[i].after);
        assert_null(t.gap);
        assert_false(t.is_unknown);
        assert_false(t.by_time);
    }
}

static void what_is_not_kept_any_more_is_a_gap(void **state)
{
    static const char *const cases[] = {"9", "abcdefgh-9", "0", "abcdefgh-0"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct since_target t = target(cases[i]);

        assert_string_equal(t.gap, "retention");
        assert_int_equal(t.gap_from.seq, i < 2 ? 9 : 0);
        assert_string_equal(t.gap_from.epoch, "abcdefgh");
        assert_int_equal(t.after, 10);
    }
}

static void another_epoch_is_a_gap_and_begins_at_the_oldest(void **state)
{
    const struct since_target t = target("zzzzzzzz-7000");

    (void)state;
    assert_string_equal(t.gap, "epoch_changed");
    assert_string_equal(t.gap_from.epoch, "zzzzzzzz");
    assert_int_equal(t.gap_from.seq, 7000);
    assert_int_equal(t.after, 10);
    assert_false(t.is_unknown);
}

static void a_number_never_given_out_is_unknown(void **state)
{
    (void)state;
    assert_true(target("21").is_unknown);
    assert_true(target("abcdefgh-9999").is_unknown);
    assert_int_equal(target("21").after, 20);
}

static void a_time_before_what_was_trimmed_is_a_gap(void **state)
{
    struct since since = {.kind = SINCE_TIME, .time_us = 5000};
    struct since_target t;

    (void)state;
    history_target(&since, "abcdefgh", &kept, &t);
    assert_true(t.by_time);
    assert_int_equal(t.time_us, 5000);
    assert_string_equal(t.gap, "retention");
    since.time_us = 5001;
    history_target(&since, "abcdefgh", &kept, &t);
    assert_true(t.by_time);
    assert_null(t.gap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_cases_begin_where_they_say),
        cmocka_unit_test(what_is_not_kept_any_more_is_a_gap),
        cmocka_unit_test(another_epoch_is_a_gap_and_begins_at_the_oldest),
        cmocka_unit_test(a_number_never_given_out_is_unknown),
        cmocka_unit_test(a_time_before_what_was_trimmed_is_a_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
