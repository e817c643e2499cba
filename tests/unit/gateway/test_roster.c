// with: failmalloc
/* The roster, ids of clients and figures of types. */
#include "gateway/fanout/roster.h"

#include "failmalloc.h"
#include "gateway/client_id.h"
#include "gateway/fanout/type_figures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THINGS = 2000 };

static int things[THINGS];

/* Against an array of flags, while things come and go at random. */
static void the_roster_gives_each_once_in_order(void **state)
{
    struct roster r = {0};
    bool is_there[THINGS] = {false};
    size_t count = 0;
    unsigned seed = 7;
    size_t added = 0;

    (void)state;
    for (int step = 0; step < 6000; step++) {
        seed = seed * 1103515245U + 12345U;
        if (added < THINGS && seed / 65536U % 2 == 0) {
            assert_int_equal(roster_add(&r, (added + 1) * 3, &things[added]), NHUB_OK);
            is_there[added++] = true;
            count++;
        } else if (added > 0) {
            const size_t i = seed / 65536U % added;

            count -= is_there[i];
            is_there[i] = false;
            roster_remove(&r, (i + 1) * 3);
        }
        assert_int_equal(roster_count(&r), count);
        if (step % 100 == 0) {
            uint64_t at = 0;
            uint64_t number = 0;
            const int *thing = NULL;

            for (size_t i = 0; i < added; i++) {
                assert_ptr_equal(roster_find(&r, (i + 1) * 3), is_there[i] ? &things[i] : NULL);
                if (is_there[i]) {
                    thing = roster_next(&r, at, &number);
                    assert_ptr_equal(thing, &things[i]);
                    at = number;
                }
            }
            assert_null(roster_next(&r, at, &number));
            assert_null(roster_find(&r, 1));
        }
    }
    roster_fini(&r);
}

static void without_memory_nothing_is_added(void **state)
{
    struct roster r = {0};

    (void)state;
    failmalloc_arm(0);
    assert_int_equal(roster_add(&r, 1, &things[0]), NHUB_ENOMEM);
    (void)failmalloc_disarm();
    assert_int_equal(roster_count(&r), 0);
    roster_fini(&r);
}

static void ids_are_read_as_they_were_written(void **state)
{
    static const uint64_t numbers[] = {0, 1, 35, 36, 1795225771000000, UINT64_MAX};
    static const char *const bad[] = {"", "A", "a b", "-", "01", "zzzzzzzzzzzzz", "00000000000000"};
    char text[CLIENT_ID_MAX];
    uint64_t number = 7;

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        client_id_format(numbers[i], text);
        assert_int_equal(client_id_parse(text, strlen(text), &number), NHUB_OK);
        assert_int_equal(number, numbers[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(client_id_parse(bad[i], strlen(bad[i]), &number), NHUB_EINVAL);
    }
    assert_int_equal(client_id_parse("a\0b", 3, &number), NHUB_EINVAL);
}

static struct feed_event *event_from(const char *source_json)
{
    const struct position p = {.epoch = "aaaaaaaa", .seq = 1};
    struct feed_event *e = NULL;
    char line[512];
    const int len =
        snprintf(line, sizeof line, "{\"event_type\":\"a\\\"b\",\"source_service\":%s,\"data\":1}",
                 source_json);

    assert_int_equal(feed_event_create(&e, &p, "a\"b", 3, line, (size_t)len), NHUB_OK);
    return e;
}

static ptrdiff_t note(struct type_figures *t, const char *source_json, int64_t now_ms)
{
    struct feed_event *e = event_from(source_json);
    const ptrdiff_t grown = type_figures_note(t, e, now_ms);

    feed_event_unref(&e);
    return grown;
}

static void the_newest_publishers_are_remembered(void **state)
{
    struct type_figures t = {0};
    ptrdiff_t bytes = 0;
    char big[300];

    (void)state;
    bytes += note(&t, "\"one\"", 1000);
    bytes += note(&t, "\"t\\\"wo\"", 1000);
    bytes += note(&t, "\"one\"", 1000);
    assert_int_equal(t.sources[0]->count, 2);
    assert_memory_equal(t.sources[0]->text, "\"one\"", 5);
    assert_memory_equal(t.sources[1]->text, "\"t\\\"wo\"", 7);
    bytes += note(&t, "\"3\"", 1000);
    bytes += note(&t, "\"4\"", 1000);
    bytes += note(&t, "\"five is longer\"", 1000);
    assert_memory_equal(t.sources[0]->text, "\"five is longer\"", 16);
    assert_memory_equal(t.sources[TYPE_SOURCES - 1]->text, "\"one\"", 5);
    memset(big, 'x', sizeof big);
    big[0] = '"';
    big[298] = '"';
    big[299] = '\0';
    bytes += note(&t, big, 1000); /* counted, not remembered */
    bytes += note(&t, "null", 1000);
    assert_int_equal(t.count, 8);
    assert_int_equal(type_figures_fini(&t), bytes);
}

static void the_rate_is_that_of_the_last_full_seconds(void **state)
{
    struct type_figures t = {0};

    (void)state;
    for (int64_t ms = 0; ms < 20000; ms += 100) {
        note(&t, "\"s\"", ms);
    }
    assert_true(type_figures_rate(&t, 20000) > 9.99 && type_figures_rate(&t, 20000) < 10.01);
    assert_true(type_figures_rate(&t, 25000) > 4.99 && type_figures_rate(&t, 25000) < 5.01);
    assert_true(type_figures_rate(&t, 31000) < 0.01);
    note(&t, "\"s\"", 100000);
    assert_true(type_figures_rate(&t, 100500) < 0.01); /* this second is not over */
    assert_true(type_figures_rate(&t, 101000) > 0.09 && type_figures_rate(&t, 101000) < 0.11);
    type_figures_fini(&t);
}

static void figures_go_on_without_memory_for_a_publisher(void **state)
{
    struct type_figures t = {0};
    struct feed_event *e = event_from("\"one\"");

    (void)state;
    failmalloc_arm(0);
    assert_int_equal(type_figures_note(&t, e, 5000), 0);
    (void)failmalloc_disarm();
    assert_int_equal(t.count, 1);
    assert_null(t.sources[0]);
    feed_event_unref(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roster_gives_each_once_in_order),
        cmocka_unit_test(without_memory_nothing_is_added),
        cmocka_unit_test(ids_are_read_as_they_were_written),
        cmocka_unit_test(the_newest_publishers_are_remembered),
        cmocka_unit_test(the_rate_is_that_of_the_last_full_seconds),
        cmocka_unit_test(figures_go_on_without_memory_for_a_publisher),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
