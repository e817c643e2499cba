/* disk_voids: ranges that grow, settle, join, are trimmed, and are shown only as far as memory has
 * forgotten their events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/disk_voids.h"

static struct disk_voids voids;
static char text[400];

/* "from-to:first letter of the reason " for each that is shown. */
static const char *shown(uint64_t first_in_memory)
{
    size_t count = 0;
    size_t used = 0;
    const struct journal_void *v = disk_voids_show(&voids, first_in_memory, &count);

    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%d-%d:%c ", (int)v[i].from,
                                 (int)v[i].to, v[i].reason[0]);
    }
    return text;
}

static int tear_down(void **state)
{
    (void)state;
    disk_voids_fini(&voids);
    return 0;
}

static void add(uint64_t from, uint64_t to, const char *reason)
{
    assert_int_equal(disk_voids_add(&voids, from, to, reason), NHUB_OK);
}

static void neighbours_of_one_reason_are_one(void **state)
{
    (void)state;
    add(1, 10, "unclean_stop");
    add(11, 20, "unclean_stop");
    add(21, 30, "not_stored");
    add(40, 50, "not_stored");
    assert_string_equal(shown(100), "1-20:u 21-30:n 40-50:n ");
}

static void a_single_number_finds_its_place(void **state)
{
    (void)state;
    add(10, 20, "unclean_stop");
    add(40, 50, "unclean_stop");
    add(30, 30, "not_stored");
    add(5, 5, "not_stored");
    add(45, 45, "not_stored"); /* in one already */
    assert_string_equal(shown(100), "5-5:n 10-20:u 30-30:n 40-50:u ");
    assert_true(disk_voids_has(&voids, 30, "not_stored"));
    assert_false(disk_voids_has(&voids, 31, "not_stored"));
    assert_false(disk_voids_has(&voids, 10, "not_stored")); /* another reason */
}

static void what_memory_has_is_not_void(void **state)
{
    (void)state;
    add(1, 10, "unclean_stop");
    add(20, 40, "not_stored");
    add(50, 60, "not_stored");
    assert_string_equal(shown(61), "1-10:u 20-40:n 50-60:n ");
    assert_string_equal(shown(55), "1-10:u 20-40:n 50-54:n ");
    assert_string_equal(shown(50), "1-10:u 20-40:n ");
    assert_string_equal(shown(30), "1-10:u 20-29:n ");
    assert_string_equal(shown(20), "1-10:u ");
    assert_string_equal(shown(61), "1-10:u 20-40:n 50-60:n "); /* nothing was forgotten */
}

static void a_growing_one_settles_for_what_the_disk_says(void **state)
{
    static const struct {
        uint64_t from, to;
        const char *expected;
    } cases[] = {
        {11, 30, "1-3:u 11-30:n "}, /* as it seemed */
        {21, 30, "1-3:u 21-30:n "}, /* the disk had taken more than it said … */
        {31, 30, "1-3:u "},         /* … or all of it … */
        {8, 30, "1-3:u 8-30:n "},   /* … or less */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        add(1, 3, "unclean_stop");
        assert_int_equal(disk_voids_grow(&voids, 11, 20, "not_stored"), NHUB_OK);
        assert_int_equal(disk_voids_grow(&voids, 21, 30, "not_stored"), NHUB_OK);
        assert_string_equal(shown(100), "1-3:u 11-30:n ");
        assert_int_equal(disk_voids_settle(&voids, cases[i].from, cases[i].to, "not_stored"),
                         NHUB_OK);
        assert_string_equal(shown(100), cases[i].expected);
        assert_false(voids.is_open);
        disk_voids_clear(&voids);
    }
}

static void trimming_forgets_those_that_end_before(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        add(i * 10 + 1, i * 10 + 5, "unclean_stop");
    }
    disk_voids_trim(&voids, 985);
    assert_string_equal(shown(10000), "981-985:u 991-995:u ");
    disk_voids_trim(&voids, 986);
    assert_string_equal(shown(10000), "991-995:u ");
    disk_voids_trim(&voids, 5000);
    assert_string_equal(shown(10000), "");
}

#define ROW(test) cmocka_unit_test_teardown(test, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(neighbours_of_one_reason_are_one),
        ROW(a_single_number_finds_its_place),
        ROW(what_memory_has_is_not_void),
        ROW(a_growing_one_settles_for_what_the_disk_says),
        ROW(trimming_forgets_those_that_end_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
