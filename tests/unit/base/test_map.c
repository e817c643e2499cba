// with: failmalloc
/* map: against a plain list as the model, with removals in the middle of iterations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"
#include "failmalloc.h"

#define KEYS 3000

static char values[KEYS]; /* their addresses are the values */

static size_t key_of(size_t i, char out[16])
{
    return (size_t)snprintf(out, 16, "k%zu", i);
}

static int set_up(void **state)
{
    struct map *m = NULL;

    if (map_create(&m) != NHUB_OK) {
        return -1;
    }
    *state = m;
    return 0;
}

static int tear_down(void **state)
{
    struct map *m = *state;

    map_destroy(&m);
    map_destroy(&m); /* a NULL is fine */
    return 0;
}

static void fill(struct map *m, size_t count)
{
    char key[16];

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(map_put(m, key, key_of(i, key), &values[i], NULL), NHUB_OK);
    }
}

static void what_was_put_is_found(void **state)
{
    struct map *m = *state;
    char key[16];

    fill(m, KEYS);
    assert_int_equal(map_count(m), KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(m, key, key_of(i, key)), &values[i]);
    }
    assert_null(map_get(m, "k", 1));
    assert_null(map_get(m, "k30000", 6));
}

static void keys_are_bytes_and_copied(void **state)
{
    struct map *m = *state;
    char key[] = {'a', '\0', 'b'};

    assert_int_equal(map_put(m, key, 3, &values[0], NULL), NHUB_OK);
    assert_int_equal(map_put(m, key, 2, &values[1], NULL), NHUB_OK);
    assert_int_equal(map_put(m, "", 0, &values[2], NULL), NHUB_OK);
    key[0] = 'x';
    assert_ptr_equal(map_get(m, "a\0b", 3), &values[0]);
    assert_ptr_equal(map_get(m, "a\0", 2), &values[1]);
    assert_ptr_equal(map_get(m, NULL, 0), &values[2]);
    assert_null(map_get(m, key, 3));
}

static void a_second_put_replaces_and_gives_the_old_value_back(void **state)
{
    struct map *m = *state;
    void *old = &values[9];

    assert_int_equal(map_put(m, "a", 1, &values[0], &old), NHUB_OK);
    assert_null(old);
    assert_int_equal(map_put(m, "a", 1, &values[1], &old), NHUB_OK);
    assert_ptr_equal(old, &values[0]);
    assert_int_equal(map_count(m), 1);
    assert_ptr_equal(map_get(m, "a", 1), &values[1]);
}

static void removed_keys_are_gone_and_the_others_stay(void **state)
{
    struct map *m = *state;
    char key[16];

    fill(m, KEYS);
    for (size_t i = 0; i < KEYS; i += 3) {
        assert_ptr_equal(map_remove(m, key, key_of(i, key)), &values[i]);
        assert_null(map_remove(m, key, key_of(i, key)));
    }
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(m, key, key_of(i, key)), i % 3 == 0 ? NULL : &values[i]);
    }
    assert_int_equal(map_count(m), KEYS - KEYS / 3);
}

static void an_iteration_sees_each_entry_once(void **state)
{
    struct map *m = *state;
    static unsigned char seen[KEYS];
    struct map_iter it = {0};
    const char *key = NULL;
    size_t len = 0;
    char expected[16];
    char *value = NULL;

    memset(seen, 0, sizeof seen);
    fill(m, KEYS);
    while ((value = map_next(m, &it, &key, &len)) != NULL) {
        const size_t i = (size_t)(value - values);

        assert_int_equal(len, key_of(i, expected));
        assert_memory_equal(key, expected, len);
        assert_int_equal(seen[i]++, 0);
    }
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(seen[i], 1);
    }
    assert_null(map_next(m, &it, NULL, NULL));
}

/* The hash key is random, so that many small maps show all the ways in which runs lie, the one that
 * wraps around the end of the table included. */
static void removing_while_iterating_misses_and_repeats_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        unsigned char seen[12] = {0};
        struct map *m = NULL;
        struct map_iter it = {0};
        const char *key = NULL;
        size_t len = 0;
        char *value = NULL;

        assert_int_equal(map_create(&m), NHUB_OK);
        fill(m, 12); /* as full as a table of 16 gets */
        while ((value = map_next(m, &it, &key, &len)) != NULL) {
            const size_t i = (size_t)(value - values);

            assert_int_equal(seen[i]++, 0);
            if ((round + (int)i) % 3 != 0) {
                assert_ptr_equal(map_remove(m, key, len), value);
            }
        }
        for (size_t i = 0; i < 12; i++) {
            char name[16];
            const bool is_kept = (round + (int)i) % 3 == 0;

            assert_int_equal(seen[i], 1);
            assert_ptr_equal(map_get(m, name, key_of(i, name)), is_kept ? &values[i] : NULL);
        }
        map_destroy(&m);
    }
}

static void random_work_agrees_with_a_list(void **state)
{
    struct map *m = *state;
    static bool in_list[64];
    size_t count = 0;
    unsigned seed = 12345;

    memset(in_list, 0, sizeof in_list);
    for (int step = 0; step < 200000; step++) {
        char key[16];
        size_t i = 0;
        size_t len = 0;

        seed = seed * 1103515245U + 12345U;
        i = (seed >> 16) % 64;
        len = key_of(i, key);
        assert_ptr_equal(map_get(m, key, len), in_list[i] ? &values[i] : NULL);
        if ((seed >> 24) % 2 == 0) {
            assert_int_equal(map_put(m, key, len, &values[i], NULL), NHUB_OK);
            count += in_list[i] ? 0 : 1;
            in_list[i] = true;
        } else {
            assert_ptr_equal(map_remove(m, key, len), in_list[i] ? &values[i] : NULL);
            count -= in_list[i] ? 1 : 0;
            in_list[i] = false;
        }
        assert_int_equal(map_count(m), count);
    }
}

static void memory_is_counted(void **state)
{
    struct map *m = *state;
    const size_t empty = map_memory(m);

    assert_int_equal(map_put(m, "12345", 5, &values[0], NULL), NHUB_OK);
    assert_int_equal(map_memory(m), empty + 5);
    assert_non_null(map_remove(m, "12345", 5));
    assert_int_equal(map_memory(m), empty);
}

static void each_failing_allocation_leaves_the_map_as_it_was(void **state)
{
    long n = 0;
    bool has_failed = true;

    (void)state;
    for (; has_failed; n++) {
        const long live = failmalloc_live();
        struct map *m = NULL;
        nhub_err err = NHUB_OK;

        failmalloc_arm(n);
        err = map_create(&m);
        for (size_t i = 0; err == NHUB_OK && i < 40; i++) {
            char key[16];

            err = map_put(m, key, key_of(i, key), &values[i], NULL);
            if (err != NHUB_OK) {
                assert_int_equal(map_count(m), i);
                assert_null(map_get(m, key, key_of(i, key)));
                assert_ptr_equal(map_get(m, "k0", 2), i > 0 ? &values[0] : NULL);
            }
        }
        has_failed = failmalloc_disarm();
        assert_int_equal(err, has_failed ? NHUB_ENOMEM : NHUB_OK);
        map_destroy(&m);
        assert_int_equal(failmalloc_live(), live);
    }
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_bytes_and_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_put_replaces_and_gives_the_old_value_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(removed_keys_are_gone_and_the_others_stay, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_iteration_sees_each_entry_once, set_up, tear_down),
        cmocka_unit_test(removing_while_iterating_misses_and_repeats_nothing),
        cmocka_unit_test_setup_teardown(random_work_agrees_with_a_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_counted, set_up, tear_down),
        cmocka_unit_test(each_failing_allocation_leaves_the_map_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
