/* group_scan: holes between records, also when there are more of them than a scan can tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/group_scan.h"

#define LAST 200

/* A journal in which every second number has a record: 2, 4, … LAST - 2; LAST has none. */
static void scan_even(struct journal *j, struct journal_scan *scan)
{
    const uint64_t to = scan->to < LAST ? scan->to : LAST;

    (void)j;
    scan->scanned_to = scan->after;
    for (uint64_t seq = scan->after + 2 - scan->after % 2; seq <= to && seq < LAST; seq += 2) {
        const struct journal_record record = {
            .seq = seq, .type = "a", .type_len = 1, .line = "{}", .len = 2};

        scan->scanned_to = seq - 1;
        if (!scan->visit(scan, &record)) {
            scan->done(scan, NHUB_OK);
            return;
        }
        scan->scanned_to = seq;
    }
    scan->scanned_to = to;
    scan->done(scan, NHUB_OK);
}

static void note_done(void *context, struct group_scan *scan)
{
    (void)scan;
    ++*(int *)context;
}

static void more_holes_than_fit_end_a_scan_and_none_covers_a_record(void **state)
{
    static const struct journal_ops ops = {.scan = scan_even};
    struct journal journal = {.ops = &ops};
    struct group_patterns *patterns;
    struct group_scan *scan;
    uint64_t cursor = 0, found_total = 0, missing_total = 0;
    int done = 0;

    (void)state;
    assert_int_equal(group_patterns_create(&patterns, NULL, 0), NHUB_OK);
    assert_int_equal(group_scan_create(&scan, &journal, note_done, &done), NHUB_OK);
    while (cursor < LAST) {
        const struct group_scan_wish wish = {.after = cursor,
                                             .to = LAST,
                                             .patterns = patterns,
                                             .stats_event = "",
                                             .max_events = LAST,
                                             .max_bytes = 1 << 20};
        size_t found, holes;
        const struct group_hole *hole;

        group_scan_begin(scan, &wish);
        assert_int_equal(group_scan_status(scan), NHUB_OK);
        hole = group_scan_holes(scan, &holes);
        for (size_t i = 0; i < holes; i++) {
            /* One odd number each; the last hole has LAST too. */
            assert_int_equal(hole[i].from % 2, 1);
            assert_int_equal(hole[i].to, hole[i].from == LAST - 1 ? LAST : hole[i].from);
            missing_total += hole[i].to - hole[i].from + 1;
        }
        (void)group_scan_found(scan, &found);
        found_total += found;
        assert_true(group_scan_reached(scan) > cursor);
        cursor = group_scan_reached(scan);
        group_scan_end(scan);
    }
    assert_int_equal(found_total, LAST / 2 - 1);
    assert_int_equal(missing_total, LAST / 2 + 1);
    assert_true(done > 1);
    group_scan_abandon(&scan);
    group_patterns_unref(&patterns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_holes_than_fit_end_a_scan_and_none_covers_a_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
