/* position: epochs, positions, what a client may write as since, and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "wire/position.h"

static void random_epochs_are_valid_and_differ(void **state)
{
    char first[EPOCH_LEN + 1], next[EPOCH_LEN + 1];
    (void)state;

    epoch_random(first);
    for (int i = 0; i < 1000; i++) {
        epoch_random(next);
        assert_true(epoch_valid(next, EPOCH_LEN));
        assert_int_equal(strlen(next), EPOCH_LEN);
        assert_string_not_equal(first, next);
    }
}

static void epochs_are_checked(void **state)
{
    static const char *const bad[] = {"",         "abcdefg",  "abcdefghi", "2bcdefgh",
                                      "abcdefg1", "abcdefg8", "abcDefgh",  "abc-efgh"};
    (void)state;

    assert_true(epoch_valid("a2345672", 8));
    assert_true(epoch_valid("zzzzzzzz", 8));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(epoch_valid(bad[i], strlen(bad[i])));
    }
}

static void positions_go_there_and_back(void **state)
{
    static const char *const texts[] = {"abcdefgh-0", "a234567z-1", "zzzzzzzz-9223372036854775807"};
    struct position p;
    char out[POSITION_TEXT_MAX];
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(position_parse(texts[i], strlen(texts[i]), &p), NHUB_OK);
        assert_int_equal(position_format(&p, out), strlen(texts[i]));
        assert_string_equal(out, texts[i]);
    }
    assert_true(p.seq == INT64_MAX);
}

static void other_texts_are_no_positions(void **state)
{
    static const char *const bad[] = {
        "",
        "abcdefgh",
        "abcdefgh-",
        "abcdefgh1",
        "abcdefgh--1",
        "abcdefgh-1x",
        "abcdefgh-01",
        "abcdefgh-00",
        "Abcdefgh-1",
        "abcdefgh-9223372036854775808",
        " abcdefgh-1",
        "abcdefgh-1 ",
        "abcdefgh-+1",
        "abcdefgh-99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct position p = {.seq = 77};

        assert_int_equal(position_parse(bad[i], strlen(bad[i]), &p), NHUB_EINVAL);
        assert_int_equal(p.seq, 77);
    }
}

static void positions_compare_by_epoch_and_seq(void **state)
{
    const struct position a = {"abcdefgh", 1}, same = {"abcdefgh", 1}, later = {"abcdefgh", 2},
                          other = {"abcdefgi", 1};
    (void)state;

    assert_true(position_equal(&a, &same));
    assert_false(position_equal(&a, &later));
    assert_false(position_equal(&a, &other));
}

struct since_case {
    const char *text;
    enum since_kind kind;
    uint64_t seq;
    int64_t time_us;
};

static void since_has_five_forms(void **state)
{
    static const struct since_case cases[] = {
        {"earliest", SINCE_EARLIEST, 0, 0},
        {"latest", SINCE_LATEST, 0, 0},
        {"0", SINCE_SEQ, 0, 0},
        {"42", SINCE_SEQ, 42, 0},
        {"0042", SINCE_SEQ, 42, 0},
        {"9223372036854775807", SINCE_SEQ, INT64_MAX, 0},
        {"abcdefgh-42", SINCE_POSITION, 42, 0},
        {"1970-01-01T00:00:01Z", SINCE_TIME, 0, 1000000},
        /* A plus that a query decoder has taken for a blank. */
        {"1970-01-01T01:00:01 01:00", SINCE_TIME, 0, 1000000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct since since;

        assert_int_equal(since_parse(cases[i].text, strlen(cases[i].text), &since), NHUB_OK);
        assert_int_equal(since.kind, cases[i].kind);
        assert_true(since.position.seq == cases[i].seq);
        assert_true(since.time_us == cases[i].time_us);
        assert_string_equal(since.position.epoch,
                            cases[i].kind == SINCE_POSITION ? "abcdefgh" : "");
    }
}

static void other_sinces_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "Earliest",
                                      "latest ",
                                      "-1",
                                      "+1",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "yesterday",
                                      "abcdefgh-",
                                      "9223372036854775808",
                                      "1970-01-01",
                                      "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct since since;

        assert_int_equal(since_parse(bad[i], strlen(bad[i]), &since), NHUB_EINVAL);
    }
}

struct time_case {
    const char *text;
    int64_t us;
};

static void times_are_read(void **state)
{
    static const struct time_case cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01 00:00:00Z", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T01:30:00+01:30", 0},
        {"1969-12-31T22:59:59.999999-01:00", -1},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
        {"2026-11-21T01:49:31.962952+00:00", INT64_C(1795225771962952)},
        {"2026-11-21T01:49:31.9629529999999999999999999Z", INT64_C(1795225771962952)},
        {"2026-11-21T01:49:31.9Z", INT64_C(1795225771900000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
        {"2016-12-31T23:59:60.5Z", INT64_C(1483228800500000)},
        {"2017-01-01T05:29:60+05:30", INT64_C(1483228800000000)},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us = -7;

        assert_int_equal(time_parse_rfc3339(cases[i].text, strlen(cases[i].text), &us), NHUB_OK);
        if (us != cases[i].us) {
            fail_msg("%s: %lld", cases[i].text, (long long)us);
        }
    }
}

static void other_times_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2026-11-21",
        "2026-11-21T10:00Z",
        "2026-11-21T10:00:00",
        "2026-11-21T10:00:00.Z",
        "2026-11-21T10:00:00,5Z",
        "2026-11-21T10:00:00+0100",
        "2026-11-21T10:00:00+01",
        "2026-11-21T10:00:00+24:00",
        "2026-11-21T10:00:00+01:60",
        "2026-11-21T10:00:00 01:00",
        "2026-11-21T10:00:00ZZ",
        " 2026-11-21T10:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:60:00Z",
        "2026-11-21T10:00:61Z",
        "2026-11-21T10:00:60Z",
        "2026-11-21T23:59:60+01:00",
        "2026-00-21T10:00:00Z",
        "2026-13-21T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "2026-11-31T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "26-11-21T10:00:00Z",
        "2026-1-21T10:00:00Z",
        "2026/11/21T10:00:00Z",
        "2026-11-21T1 :00:00Z",
        "+026-11-21T10:00:00Z",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t us = -7;

        if (time_parse_rfc3339(bad[i], strlen(bad[i]), &us) != NHUB_EINVAL) {
            fail_msg("%s passes", bad[i]);
        }
        assert_int_equal(us, -7);
    }
}

/* The C library's calendar is the oracle, over eight hundred years in steps of about five days. */
static void times_agree_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t s = INT64_C(-20000000000); s < INT64_C(10000000000); s += 432101) {
        const time_t seconds = s;
        struct tm tm;
        char expected[32], text[28];
        int64_t us = 0;

        assert_non_null(gmtime_r(&seconds, &tm));
        (void)strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000321Z", &tm);
        time_format_rfc3339(s * 1000000 + 321, text);
        assert_string_equal(text, expected);
        assert_int_equal(time_parse_rfc3339(text, strlen(text), &us), NHUB_OK);
        assert_true(us == s * 1000000 + 321);
    }
}

static void times_beyond_four_digits_are_cut_to_the_ends(void **state)
{
    char text[28];
    (void)state;

    time_format_rfc3339(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
    time_format_rfc3339(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_epochs_are_valid_and_differ),
        cmocka_unit_test(epochs_are_checked),
        cmocka_unit_test(positions_go_there_and_back),
        cmocka_unit_test(other_texts_are_no_positions),
        cmocka_unit_test(positions_compare_by_epoch_and_seq),
        cmocka_unit_test(since_has_five_forms),
        cmocka_unit_test(other_sinces_are_refused),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(other_times_are_refused),
        cmocka_unit_test(times_agree_with_the_c_library),
        cmocka_unit_test(times_beyond_four_digits_are_cut_to_the_ends),
    };
    return cmocka_run_group_tests_name("position", tests, NULL, NULL);
}
