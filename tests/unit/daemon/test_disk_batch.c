// with: failmalloc
/* disk_batch: what went in comes out in the same order; memory that runs out makes it incomplete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/disk_batch.h"
#include "failmalloc.h"

static struct disk_batch *make(size_t hint)
{
    struct disk_batch *b = NULL;

    assert_int_equal(disk_batch_create(&b, 7, 41, hint), NHUB_OK);
    return b;
}

static void fill(struct disk_batch *b)
{
    const struct hash128 key = {.lo = 1, .hi = 2};

    disk_batch_add_id(b, &key, 3, 1000);
    disk_batch_add_event(b, 1000, "first", 5, "{1}", 3);
    disk_batch_add_note(b, "g/a", 3, "value", 5);
    disk_batch_add_event(b, 2000, "second", 6, "", 0);
    disk_batch_add_note(b, "g/b", 3, NULL, 0);
}

static void entries_come_out_as_they_went_in(void **state)
{
    struct disk_batch_iter it = {0};
    struct disk_batch *b = make(0);
    struct disk_entry e;

    (void)state;
    assert_false(b->has_entries);
    fill(b);
    assert_true(b->has_entries);
    assert_int_equal(b->first_seq, 42);
    assert_int_equal(b->last_seq, 43);
    assert_int_equal(disk_batch_events(b), 2);
    assert_true(disk_batch_next(b, &it, &e));
    assert_int_equal(e.kind, DISK_ENTRY_ID);
    assert_int_equal(e.seq, 42); /* of the event behind it */
    assert_int_equal(e.id.hi, 2);
    assert_int_equal(e.content, 3);
    assert_true(disk_batch_next(b, &it, &e));
    assert_int_equal(e.kind, DISK_ENTRY_EVENT);
    assert_int_equal(e.seq, 42);
    assert_int_equal(e.arrival_us, 1000);
    assert_memory_equal(e.key, "first", 5);
    assert_memory_equal(e.value, "{1}", 3);
    assert_true(disk_batch_next(b, &it, &e));
    assert_int_equal(e.kind, DISK_ENTRY_NOTE);
    assert_memory_equal(e.key, "g/a", 3);
    assert_memory_equal(e.value, "value", 5);
    assert_true(disk_batch_next(b, &it, &e));
    assert_int_equal(e.seq, 43);
    assert_int_equal(e.len, 0);
    assert_true(disk_batch_next(b, &it, &e));
    assert_int_equal(e.kind, DISK_ENTRY_NO_NOTE);
    assert_memory_equal(e.key, "g/b", 3);
    assert_false(disk_batch_next(b, &it, &e));
    disk_batch_destroy(&b);
    disk_batch_destroy(&b);
}

static void a_batch_without_memory_is_incomplete_and_counts_its_events(void **state)
{
    const long live = failmalloc_live();

    (void)state;
    for (long n = 0;; n++) {
        struct disk_batch *b = NULL;
        nhub_err err;
        bool has_failed;

        failmalloc_arm(n);
        err = disk_batch_create(&b, 7, 41, n % 2 == 0 ? 100 : 0);
        if (!err) {
            fill(b);
        }
        has_failed = failmalloc_disarm();
        if (!err) {
            assert_int_equal(disk_batch_events(b), 2);
            /* A hint that was not met is no harm. */
            assert_true(has_failed || !disk_batch_is_incomplete(b));
        } else {
            assert_int_equal(err, NHUB_ENOMEM);
        }
        disk_batch_destroy(&b);
        assert_int_equal(failmalloc_live(), live);
        if (!has_failed) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_out_as_they_went_in),
        cmocka_unit_test(a_batch_without_memory_is_incomplete_and_counts_its_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
