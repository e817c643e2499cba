/* stats: the object, its totals, its rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stats.h"

static const struct stats_gauges gauges = {
    .journal = {.why = "",
                .oldest = 2,
                .last = 9,
                .records = 8,
                .bytes = 800,
                .journaled = 7,
                .not_stored = 1},
    .ring = {.why = "", .oldest = 4, .last = 9, .records = 6, .bytes = 600},
    .disk = {.is_on_disk = true, .file_bytes = 4096, .commits = 5, .commit_p50_us = 77},
    .epoch = "abcdefgh",
    .dedup_ids = 3,
};

static struct json_span find(const char *text, size_t len, const char *name)
{
    const struct json_key key = {.name = name, .len = strlen(name)};
    struct json_report report;
    struct json_span span;

    assert_int_equal(json_scan_object(text, len, &key, 1, NULL, &span, &report), NHUB_OK);
    return span;
}

/* The integer at outer.name, or at name when outer is NULL. */
static uint64_t figure(const struct stats *s, const char *outer, const char *name)
{
    struct buf out;
    struct json_span span;
    uint64_t value = 0;

    buf_init(&out);
    stats_write(s, &gauges, &out);
    assert_false(out.failed);
    span =
        outer ? find(out.data, out.len, outer) : (struct json_span){.p = out.data, .len = out.len};
    span = find(span.p, span.len, name);
    assert_int_equal(span.kind, JSON_NUMBER);
    assert_true(span.integer);
    assert_int_equal(json_span_u64(&span, &value), NHUB_OK);
    buf_fini(&out);
    return value;
}

static void the_object_has_every_figure_with_its_type(void **state)
{
    static const char *const integers[] = {
        "events_received", "events_published", "received_bytes", "published_bytes", "duplicates",
        "rejected_total",  "ignored_fields",   "nonfinite",      "own_events",      "seq",
        "dedup_ids",
    };
    static const char *const objects[] = {"rejected", "subscriptions", "requests",
                                          "answers",  "ring",          "journal"};
    static const char *const floats[] = {"last_message_time", "start_time", "events_per_s",
                                         "bytes_per_s"};
    struct stats s;
    struct buf out;

    (void)state;
    stats_init(&s, 1700000000000000, 0);
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        (void)figure(&s, NULL, integers[i]);
    }
    buf_init(&out);
    stats_write(&s, &gauges, &out);
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        assert_int_equal(find(out.data, out.len, objects[i]).kind, JSON_OBJECT);
    }
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        const struct json_span span = find(out.data, out.len, floats[i]);

        assert_int_equal(span.kind, JSON_NUMBER);
        assert_false(span.integer);
    }
    buf_fini(&out);
    assert_int_equal(figure(&s, NULL, "seq"), 9);
    assert_int_equal(figure(&s, NULL, "dedup_ids"), 3);
    assert_int_equal(figure(&s, "ring", "oldest"), 4);
    assert_int_equal(figure(&s, "ring", "events"), 6);
    assert_int_equal(figure(&s, "journal", "records"), 8);
    assert_int_equal(figure(&s, "journal", "journaled"), 7);
    assert_int_equal(figure(&s, "journal", "not_stored"), 1);
    assert_int_equal(figure(&s, "journal", "commit_p50_us"), 77);
}

static void the_four_figures_of_info_stand_alone(void **state)
{
    struct stats s;
    struct buf out;

    (void)state;
    stats_init(&s, 1700000000000000, 0);
    s.events_received = 5;
    s.events_published = 4;
    buf_init(&out);
    stats_write_basic(&s, &out);
    assert_string_equal(buf_cstr(&out),
                        "{\"events_received\":5,\"events_published\":4,\"last_message_time\":0.0,"
                        "\"start_time\":1700000000.000000}");
    buf_fini(&out);
}

static void refusals_are_told_by_reason_and_in_total(void **state)
{
    struct stats s;

    (void)state;
    stats_init(&s, 1, 0);
    s.rejected[EVENT_BAD_JSON] = 3;
    s.rejected[EVENT_TOO_BIG] = 4;
    s.conflicts = 5;
    s.not_numbered = 6;
    assert_int_equal(figure(&s, NULL, "rejected_total"), 18);
    assert_int_equal(figure(&s, "rejected", "bad_json"), 3);
    assert_int_equal(figure(&s, "rejected", "too_big"), 4);
    assert_int_equal(figure(&s, "rejected", "duplicate_conflict"), 5);
    assert_int_equal(figure(&s, "rejected", "not_numbered"), 6);
    assert_int_equal(figure(&s, "rejected", "wrong_type"), 0);
}

static void requests_are_counted_by_action(void **state)
{
    struct stats s;

    (void)state;
    stats_init(&s, 1, 0);
    s.requests[ACTION_HEALTH] = 1;
    s.requests[ACTION_STATS] = 2;
    s.requests[ACTION_UNKNOWN] = 3;
    assert_int_equal(figure(&s, "requests", "health"), 1);
    assert_int_equal(figure(&s, "requests", "stats"), 2);
    assert_int_equal(figure(&s, "requests", "unknown"), 3);
    assert_int_equal(figure(&s, "requests", "publish"), 0);
}

static void subscriptions_never_fall_below_zero(void **state)
{
    struct stats s;

    (void)state;
    stats_init(&s, 1, 0);
    s.subscribes = 3;
    s.unsubscribes = 5;
    assert_int_equal(figure(&s, "subscriptions", "now"), 0);
    s.subscribes = 7;
    assert_int_equal(figure(&s, "subscriptions", "now"), 2);
}

static double rate_after(struct stats *s, int second, uint64_t events)
{
    double events_per_s, bytes_per_s;

    s->events_published += events;
    s->published_bytes += events * 10;
    stats_tick(s, second * 1000);
    stats_rates(s, &events_per_s, &bytes_per_s);
    assert_float_equal((float)bytes_per_s, (float)(events_per_s * 10), 1e-3f);
    return events_per_s;
}

static void rates_are_of_the_last_ten_seconds(void **state)
{
    struct stats s;
    double events_per_s, bytes_per_s;

    (void)state;
    stats_init(&s, 1, 0);
    stats_rates(&s, &events_per_s, &bytes_per_s);
    assert_true(events_per_s == 0.0);
    for (int second = 1; second <= 5; second++) {
        assert_true(rate_after(&s, second, 100) == 100.0);
    }
    for (int second = 6; second <= 15; second++) {
        events_per_s = rate_after(&s, second, 20);
    }
    assert_true(events_per_s == 20.0);
    for (int second = 16; second <= 25; second++) {
        events_per_s = rate_after(&s, second, 0);
    }
    assert_true(events_per_s == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_object_has_every_figure_with_its_type),
        cmocka_unit_test(the_four_figures_of_info_stand_alone),
        cmocka_unit_test(refusals_are_told_by_reason_and_in_total),
        cmocka_unit_test(requests_are_counted_by_action),
        cmocka_unit_test(subscriptions_never_fall_below_zero),
        cmocka_unit_test(rates_are_of_the_last_ten_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
