/* ring: numbers, limits, wrapping, scans and searching by time, against a plain list as the model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ring.h"

struct seen {
    struct journal_scan scan;
    uint64_t first, last;
    size_t count;
    size_t stop_after; /* 0 = never */
    size_t done;
    char last_type[256];
    int64_t last_arrival_us;
};

static struct journal *make(uint64_t max_events, uint64_t max_bytes, uint64_t max_record)
{
    const struct ring_limits limits = {
        .max_events = max_events, .max_bytes = max_bytes, .max_record_bytes = max_record};
    struct journal *j = NULL;

    assert_int_equal(ring_create(&j, &limits), NHUB_OK);
    return j;
}

/* Appends a line of `len` bytes, each of them the number's last digit. */
static uint64_t append(struct journal *j, const char *type, size_t len, int64_t arrival_us)
{
    struct journal_slot slot;

    assert_int_equal(journal_open_slot(j, type, strlen(type), len, &slot), NHUB_OK);
    memset(slot.line, '0' + (int)(slot.position.seq % 10), len);
    assert_string_equal(slot.position.epoch, j->epoch);
    journal_close_slot(j, len, arrival_us);
    return slot.position.seq;
}

static bool see(struct journal_scan *scan, const struct journal_record *record)
{
    struct seen *s = (struct seen *)(void *)scan;

    if (s->stop_after > 0 && s->count == s->stop_after) {
        return false;
    }
    if (s->count == 0) {
        s->first = record->seq;
    } else {
        assert_int_equal(record->seq, s->last + 1);
        assert_true(record->arrival_us >= s->last_arrival_us);
    }
    for (size_t i = 0; i < record->len; i++) {
        assert_int_equal(record->line[i], '0' + (int)(record->seq % 10));
    }
    s->last = record->seq;
    s->last_arrival_us = record->arrival_us;
    snprintf(s->last_type, sizeof s->last_type, "%.*s", (int)record->type_len, record->type);
    s->count++;
    return true;
}

static void finished(struct journal_scan *scan, nhub_err status)
{
    struct seen *s = (struct seen *)(void *)scan;

    assert_int_equal(status, NHUB_OK);
    s->done++;
}

static void scan_from(struct journal *j, struct seen *s, uint64_t after, uint64_t to)
{
    const size_t stop_after = s->stop_after;

    *s = (struct seen){.stop_after = stop_after};
    s->scan = (struct journal_scan){.after = after, .to = to, .visit = see, .done = finished};
    journal_scan(j, &s->scan);
    assert_int_equal(s->done, 1);
}

static void an_empty_ring_has_no_records(void **state)
{
    struct journal *j = make(4, 1000, 100);
    struct journal_state now;
    struct seen s = {.count = 0};

    (void)state;
    journal_state(j, &now);
    assert_int_equal(now.oldest, 1);
    assert_int_equal(now.last, 0);
    assert_int_equal(now.records, 0);
    assert_true(epoch_valid(j->epoch, strlen(j->epoch)));
    scan_from(j, &s, 0, UINT64_MAX);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.scan.scanned_to, 0);
    journal_destroy(&j);
    journal_destroy(&j); /* a NULL is fine */
}

static void numbers_begin_with_1_and_grow_by_1(void **state)
{
    struct journal *j = make(100, 10000, 100);

    (void)state;
    for (uint64_t i = 1; i <= 50; i++) {
        assert_int_equal(append(j, "t", 10, 0), i);
    }
    journal_destroy(&j);
}

static void each_ring_is_an_epoch_of_its_own(void **state)
{
    struct journal *a = make(1, 1, 1);
    struct journal *b = make(1, 1, 1);

    (void)state;
    assert_string_not_equal(a->epoch, b->epoch);
    journal_destroy(&a);
    journal_destroy(&b);
}

static void one_event_more_than_max_events_drops_the_oldest(void **state)
{
    struct journal *j = make(3, 10000, 100);
    struct journal_state now;
    struct seen s = {.count = 0};

    (void)state;
    for (int i = 1; i <= 4; i++) {
        append(j, "t", 10, i * 1000);
    }
    journal_state(j, &now);
    assert_int_equal(now.records, 3);
    assert_int_equal(now.oldest, 2);
    assert_int_equal(now.last, 4);
    assert_int_equal(now.trimmed, 1);
    assert_int_equal(now.trimmed_us, 1000);
    scan_from(j, &s, 0, UINT64_MAX);
    assert_int_equal(s.first, 2);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.scan.after, 1);
    journal_destroy(&j);
}

static void bytes_count_types_and_lines(void **state)
{
    struct journal *j = make(100, 50, 100);
    struct journal_state now;

    (void)state;
    append(j, "abcde", 20, 0);
    append(j, "abcde", 20, 0);
    journal_state(j, &now);
    assert_int_equal(now.bytes, 50);
    assert_int_equal(now.records, 2);
    append(j, "abcde", 1, 0);
    journal_state(j, &now);
    assert_int_equal(now.bytes, 31);
    assert_int_equal(now.records, 2);
    journal_destroy(&j);
}

static void an_event_over_all_bytes_stays_until_the_next(void **state)
{
    struct journal *j = make(100, 50, 1000);
    struct journal_state now;

    (void)state;
    append(j, "t", 20, 0);
    append(j, "t", 900, 0);
    journal_state(j, &now);
    assert_int_equal(now.records, 1);
    assert_int_equal(now.oldest, 2);
    append(j, "t", 10, 0);
    journal_state(j, &now);
    assert_int_equal(now.records, 1);
    assert_int_equal(now.oldest, 3);
    journal_destroy(&j);
}

static void a_line_over_the_largest_record_is_refused_and_not_numbered(void **state)
{
    struct journal *j = make(100, 5000, 100);
    struct journal_slot slot;

    (void)state;
    assert_int_equal(journal_open_slot(j, "t", 1, 101, &slot), NHUB_ETOOBIG);
    assert_int_equal(append(j, "t", 100, 0), 1);
    journal_destroy(&j);
}

static void records_survive_wrapping_of_every_size(void **state)
{
    struct journal *j = make(40, 4000, 700);
    struct seen s = {.count = 0};
    uint64_t random = 1;

    (void)state;
    for (uint64_t i = 1; i <= 20000; i++) {
        struct journal_slot slot;
        struct journal_state now;
        size_t line_max, len;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        line_max = (size_t)(random >> 33) % 701;
        len = line_max == 0 ? 0 : (size_t)(random >> 20) % (line_max + 1);
        assert_int_equal(journal_open_slot(j, "type", 1 + (size_t)(i % 4), line_max, &slot),
                         NHUB_OK);
        memset(slot.line, '0' + (int)(i % 10), line_max); /* all that was promised is writable */
        journal_close_slot(j, len, (int64_t)i);
        journal_state(j, &now);
        assert_int_equal(now.last, i);
        assert_true(now.records >= 1 && now.records <= 40);
        assert_true(now.bytes <= 4000);
        scan_from(j, &s, 0, UINT64_MAX); /* checks the bytes of every record */
        assert_int_equal(s.last, i);
        assert_int_equal(s.count, now.records);
    }
    journal_destroy(&j);
}

static void a_scan_keeps_within_its_bounds(void **state)
{
    struct journal *j = make(100, 100000, 100);
    struct seen s = {.count = 0};

    (void)state;
    for (int i = 0; i < 20; i++) {
        append(j, i % 2 ? "odd" : "even", 10, 0);
    }
    scan_from(j, &s, 5, 8);
    assert_int_equal(s.first, 6);
    assert_int_equal(s.last, 8);
    assert_string_equal(s.last_type, "odd");
    assert_int_equal(s.scan.scanned_to, 8);
    scan_from(j, &s, 20, UINT64_MAX);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.scan.scanned_to, 20);
    scan_from(j, &s, 500, UINT64_MAX); /* numbers that do not exist yet */
    assert_int_equal(s.count, 0);
    s.stop_after = 3;
    scan_from(j, &s, 0, UINT64_MAX);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.scan.scanned_to, 3);
    journal_destroy(&j);
}

static uint64_t find_time(struct journal *j, int64_t time_us)
{
    struct seen s = {.stop_after = 0};

    s.scan = (struct journal_scan){
        .by_time = true, .time_us = time_us, .to = UINT64_MAX, .visit = see, .done = finished};
    journal_scan(j, &s.scan);
    return s.scan.after;
}

static void a_time_is_found_before_the_first_event_at_or_after_it(void **state)
{
    struct journal *j = make(5, 100000, 100);
    static const int64_t times[] = {100, 200, 200, 200, 300, 400, 500};

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        append(j, "t", 10, times[i]); /* numbers 1 to 7, of which 3 to 7 are kept */
    }
    assert_int_equal(find_time(j, 0), 2);
    assert_int_equal(find_time(j, 200), 2);
    assert_int_equal(find_time(j, 201), 4);
    assert_int_equal(find_time(j, 300), 4);
    assert_int_equal(find_time(j, 500), 6);
    assert_int_equal(find_time(j, 501), 7);
    journal_destroy(&j);
}

static void a_clock_set_back_does_not_turn_arrivals_back(void **state)
{
    struct journal *j = make(5, 100000, 100);
    struct seen s = {.count = 0};

    (void)state;
    append(j, "t", 10, 1000);
    append(j, "t", 10, 400);
    append(j, "t", 10, 1200);
    scan_from(j, &s, 1, 2);
    assert_int_equal(s.last_arrival_us, 1000);
    assert_int_equal(find_time(j, 1100), 2);
    journal_destroy(&j);
}

static void trimming_forgets_what_is_older(void **state)
{
    struct journal *j = make(50, 100000, 100);
    struct journal_state now;

    (void)state;
    for (int i = 0; i < 10; i++) {
        append(j, "t", 10, 0);
    }
    journal_trim(j, 4);
    journal_state(j, &now);
    assert_int_equal(now.oldest, 4);
    journal_trim(j, 1000);
    journal_state(j, &now);
    assert_int_equal(now.records, 0);
    assert_int_equal(now.oldest, 11);
    assert_int_equal(append(j, "t", 10, 0), 11);
    journal_destroy(&j);
}

static void count_kept(void *context, int durability, uint64_t seq, uint64_t batch, nhub_err status)
{
    assert_int_equal(durability, DURABILITY_MEMORY);
    assert_int_equal(batch, 1);
    assert_int_equal(status, NHUB_OK);
    *(uint64_t *)context = seq;
}

static void a_commit_tells_how_far_events_are_kept(void **state)
{
    struct journal *j = make(50, 100000, 100);
    uint64_t kept = 0;

    (void)state;
    journal_set_listener(j, count_kept, &kept);
    append(j, "t", 10, 0);
    append(j, "t", 10, 0);
    assert_int_equal(kept, 0);
    journal_commit(j);
    assert_int_equal(kept, 2);
    assert_int_equal(journal_reserve(j, UINT64_MAX), NHUB_OK);
    assert_int_equal(journal_fd(j), -1);
    journal_destroy(&j);
}

static void limits_of_zero_are_refused(void **state)
{
    static const struct ring_limits bad[] = {
        {.max_events = 0, .max_bytes = 1, .max_record_bytes = 1},
        {.max_events = 1, .max_bytes = 0, .max_record_bytes = 1},
        {.max_events = 1, .max_bytes = 1, .max_record_bytes = 0},
        {.max_events = 1, .max_bytes = 1, .max_record_bytes = UINT64_C(1) << 33},
        {.max_events = UINT64_MAX, .max_bytes = 1, .max_record_bytes = 1},
    };
    struct journal *j = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ring_create(&j, &bad[i]), NHUB_EINVAL);
        assert_null(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_ring_has_no_records),
        cmocka_unit_test(numbers_begin_with_1_and_grow_by_1),
        cmocka_unit_test(each_ring_is_an_epoch_of_its_own),
        cmocka_unit_test(one_event_more_than_max_events_drops_the_oldest),
        cmocka_unit_test(bytes_count_types_and_lines),
        cmocka_unit_test(an_event_over_all_bytes_stays_until_the_next),
        cmocka_unit_test(a_line_over_the_largest_record_is_refused_and_not_numbered),
        cmocka_unit_test(records_survive_wrapping_of_every_size),
        cmocka_unit_test(a_scan_keeps_within_its_bounds),
        cmocka_unit_test(a_time_is_found_before_the_first_event_at_or_after_it),
        cmocka_unit_test(a_clock_set_back_does_not_turn_arrivals_back),
        cmocka_unit_test(trimming_forgets_what_is_older),
        cmocka_unit_test(a_commit_tells_how_far_events_are_kept),
        cmocka_unit_test(limits_of_zero_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
