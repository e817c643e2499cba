/* history: where each kind of `since` begins, and which gap it tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

/* Numbers 11 to 100 with two neighbouring voids, one alone, and one at the end. */
static const struct journal_void holes[] = {{.from = 8, .to = 10, .reason = "not_stored"},
                                            {.from = 21, .to = 30, .reason = "not_stored"},
                                            {.from = 31, .to = 40, .reason = "unclean_stop"},
                                            {.from = 60, .to = 60, .reason = "not_stored"},
                                            {.from = 91, .to = 100, .reason = "unclean_stop"}};
static const struct journal_state holey = {
    .why = "", .oldest = 11, .last = 100, .voids = holes, .void_count = 5};

static struct since_target holey_target(const char *text)
{
    struct since since;
    struct since_target out;

    assert_int_equal(since_parse(text, strlen(text), &since), NHUB_OK);
    history_target(&since, "abcdefgh", &holey, &out);
    return out;
}

static void a_void_around_or_behind_a_position_is_a_gap_to_its_end(void **state)
{
    static const struct {
        const char *since;
        uint64_t after;
        const char *gap;
    } cases[] = {
        {"15", 15, NULL},
        {"19", 19, NULL},
        {"20", 40, "not_stored"}, /* right behind it; the neighbour belongs to the gap */
        {"25", 40, "not_stored"},
        {"30", 40, "unclean_stop"},
        {"35", 40, "unclean_stop"},
        {"40", 40, NULL}, /* the last one of a void has seen all of it */
        {"59", 60, "not_stored"},
        {"60", 60, NULL},
        {"90", 100, "unclean_stop"},
        {"95", 100, "unclean_stop"},
        {"100", 100, NULL},
        {"7", 10, "not_stored"}, /* a void reaches to the oldest record: it says why */
        {"9", 10, "not_stored"},
        {"6", 10, "retention"},
        {"0", 10, "retention"},
        {"earliest", 10, NULL},
        {"latest", 100, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct since_target t = holey_target(cases[i].since);

        assert_int_equal(t.after, cases[i].after);
        if (cases[i].gap) {
            assert_string_equal(t.gap, cases[i].gap);
            assert_int_equal(t.gap_from.seq, (uint64_t)atoi(cases[i].since));
        } else {
            assert_null(t.gap);
        }
    }
}

static void a_page_ends_in_front_of_the_next_void(void **state)
{
    static const uint64_t cases[][2] = {{10, 20}, {15, 20}, {40, 59}, {60, 90}, {100, 100}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(history_end_of_run(&holey, cases[i][0]), cases[i][1]);
    }
    assert_int_equal(history_end_of_run(&kept, 15), 20);
}

static void a_time_whose_first_event_stands_behind_a_void_begins_in_front_of_it(void **state)
{
    static const struct {
        uint64_t found, after;
        const char *gap;
    } cases[] = {{15, 15, NULL},         {40, 40, "not_stored"},
                 {60, 60, "not_stored"}, {100, 100, "unclean_stop"},
                 {50, 50, NULL},         {10, 10, "not_stored"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct since_target t = {.by_time = true};

        history_target_found(&t, cases[i].found, "abcdefgh", &holey);
        assert_int_equal(t.after, cases[i].after);
        assert_false(t.by_time);
        if (cases[i].gap) {
            assert_string_equal(t.gap, cases[i].gap);
        } else {
            assert_null(t.gap);
        }
    }
    assert_int_equal(history_before_time(&holey, 40), 20);
    assert_int_equal(history_before_time(&holey, 41), 41);
}

static void voids_are_told_from_the_oldest_record_on(void **state)
{
    struct journal_state now = holey;
    struct buf out;

    (void)state;
    buf_init(&out);
    now.oldest = 61;
    history_write_voids(&out, &now);
    assert_string_equal(buf_cstr(&out),
                        ",\"voids\":[{\"from\":60,\"to\":60,\"reason\":\"not_stored\"},"
                        "{\"from\":91,\"to\":100,\"reason\":\"unclean_stop\"}]");
    buf_reset(&out);
    now.oldest = 101;
    history_write_voids(&out, &now);
    assert_string_equal(buf_cstr(&out),
                        ",\"voids\":[{\"from\":91,\"to\":100,\"reason\":\"unclean_stop\"}]");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_cases_begin_where_they_say),
        cmocka_unit_test(what_is_not_kept_any_more_is_a_gap),
        cmocka_unit_test(another_epoch_is_a_gap_and_begins_at_the_oldest),
        cmocka_unit_test(a_number_never_given_out_is_unknown),
        cmocka_unit_test(a_time_before_what_was_trimmed_is_a_gap),
        cmocka_unit_test(a_void_around_or_behind_a_position_is_a_gap_to_its_end),
        cmocka_unit_test(a_page_ends_in_front_of_the_next_void),
        cmocka_unit_test(a_time_whose_first_event_stands_behind_a_void_begins_in_front_of_it),
        cmocka_unit_test(voids_are_told_from_the_oldest_record_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
