// with: failmalloc
/* group_open: states, lanes and the three orders in which open events are looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "daemon/group_open.h"
#include "failmalloc.h"

static struct open_event *add(struct open_set *s, uint64_t seq, uint64_t lane)
{
    struct open_event *e = NULL;

    assert_int_equal(open_set_add(s, seq, lane, &e), NHUB_OK);
    return e;
}

static int setup(void **state)
{
    struct open_set *s = NULL;

    assert_int_equal(open_set_create(&s, false), NHUB_OK);
    *state = s;
    return 0;
}

static int setup_lanes(void **state)
{
    struct open_set *s = NULL;

    assert_int_equal(open_set_create(&s, true), NHUB_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct open_set *s = *state;

    open_set_destroy(&s);
    assert_null(s);
    return 0;
}

static void numbers_only_grow(void **state)
{
    struct open_set *s = *state;
    struct open_event *e = NULL;

    (void)add(s, 5, 0);
    assert_int_equal(open_set_add(s, 5, 0, &e), NHUB_EINVAL);
    assert_int_equal(open_set_add(s, 4, 0, &e), NHUB_EINVAL);
    (void)open_set_remove(s, open_set_find(s, 5));
    assert_int_equal(open_set_add(s, 5, 0, &e), NHUB_EINVAL);
    open_set_clear(s);
    (void)add(s, 1, 0);
    assert_int_equal(open_set_count(s), 1);
}

static void the_smallest_that_is_ready_comes_first(void **state)
{
    struct open_set *s = *state;

    for (uint64_t seq = 1; seq <= 50; seq++) {
        (void)add(s, seq, 0);
    }
    open_set_move(s, open_set_find(s, 1), OPEN_PICKED, 0);
    open_set_move(s, open_set_find(s, 2), OPEN_PENDING, 7);
    assert_int_equal(open_set_first(s, OPEN_READY)->seq, 3);
    open_set_move(s, open_set_find(s, 2), OPEN_READY, 0);
    assert_int_equal(open_set_first(s, OPEN_READY)->seq, 2);
    open_set_move(s, open_set_find(s, 40), OPEN_DEAD, 0);
    open_set_move(s, open_set_find(s, 30), OPEN_DEAD, 0);
    assert_int_equal(open_set_first(s, OPEN_DEAD)->seq, 30);
    assert_int_equal(open_set_oldest(s)->seq, 1);
    assert_int_equal(open_set_count_of(s, OPEN_READY), 47);
    assert_int_equal(open_set_count_of(s, OPEN_DEAD), 2);
}

static void what_is_due_first_is_found_first(void **state)
{
    static const int64_t due[] = {50, 10, 40, 20, 30, 20, 60, 5};
    const size_t count = sizeof due / sizeof due[0];
    struct open_set *s = *state;
    int64_t before = 0;

    assert_null(open_set_next_due(s));
    for (size_t i = 0; i < count; i++) {
        open_set_move(s, add(s, i + 1, 0), i % 2 ? OPEN_PENDING : OPEN_DELAYED, due[i]);
    }
    for (size_t i = 0; i < count; i++) {
        struct open_event *e = open_set_next_due(s);

        assert_true(e->due_ms >= before);
        before = e->due_ms;
        (void)open_set_remove(s, e);
    }
    assert_null(open_set_next_due(s));
    assert_null(open_set_oldest(s));
}

static void a_lane_lets_one_through_at_a_time(void **state)
{
    struct open_set *s = *state;
    struct open_event *next;

    assert_int_equal(add(s, 1, 7)->state, OPEN_READY);
    assert_int_equal(add(s, 2, 7)->state, OPEN_BLOCKED);
    assert_int_equal(add(s, 3, 8)->state, OPEN_READY);
    assert_int_equal(add(s, 4, 7)->state, OPEN_BLOCKED);
    /* One from the middle of the lane lets nobody through. */
    assert_null(open_set_remove(s, open_set_find(s, 2)));
    next = open_set_remove(s, open_set_find(s, 1));
    assert_int_equal(next->seq, 4);
    assert_int_equal(next->state, OPEN_READY);
    assert_null(open_set_remove(s, next));
    assert_int_equal(add(s, 5, 7)->state, OPEN_READY);
    assert_int_equal(open_set_count(s), 2);
}

static void there_is_a_limit(void **state)
{
    struct open_set *s = *state;
    struct open_event *e = NULL;

    for (uint64_t seq = 1; seq <= GROUP_OPEN_MAX; seq++) {
        (void)add(s, seq, 0);
    }
    assert_int_equal(open_set_add(s, GROUP_OPEN_MAX + 1, 0, &e), NHUB_EFULL);
    (void)open_set_remove(s, open_set_find(s, 77));
    (void)add(s, GROUP_OPEN_MAX + 1, 0);
}

/* The orders agree with a look at all of them, whatever is moved where. */
static void heaps_keep_their_order(void **state)
{
    struct open_set *s = *state;
    uint64_t random = 88172645463325252u;
    uint64_t seq = 0;

    for (int i = 0; i < 20000; i++) {
        struct open_event *e = open_set_oldest(s), *due = NULL, *ready = NULL;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for (uint64_t k = random % 40; e && e->newer && k > 0; k--) {
            e = e->newer;
        }
        if (!e || (random >> 32) % 3 == 0) {
            if (open_set_count(s) < 60) {
                (void)add(s, ++seq, 0);
            }
        } else if ((random >> 32) % 7 == 1) {
            (void)open_set_remove(s, e);
        } else {
            open_set_move(s, e, (enum open_state)((random >> 40) % OPEN_STATES),
                          (int64_t)(random >> 44) % 100);
        }
        for (e = open_set_oldest(s); e; e = e->newer) {
            const bool waits = e->state == OPEN_PENDING || e->state == OPEN_DELAYED;

            assert_ptr_equal(open_set_find(s, e->seq), e);
            due = waits && (!due || e->due_ms < due->due_ms) ? e : due;
            ready = !ready && e->state == OPEN_READY ? e : ready;
        }
        assert_ptr_equal(open_set_next_due(s), due);
        assert_ptr_equal(open_set_first(s, OPEN_READY), ready);
    }
}

static void failed_allocations_change_nothing(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        const long before = failmalloc_live();
        struct open_set *s = NULL;
        struct open_event *e = NULL;
        nhub_err err;

        failmalloc_arm(n);
        err = open_set_create(&s, true);
        for (uint64_t seq = 1; !err && seq <= 20; seq++) {
            const size_t count = open_set_count(s);

            err = open_set_add(s, seq, seq % 3, &e);
            assert_int_equal(open_set_count(s), count + (err ? 0 : 1));
            assert_true(!err || !open_set_find(s, seq));
        }
        if (s) {
            while (open_set_oldest(s)) {
                (void)open_set_remove(s, open_set_oldest(s));
            }
            open_set_destroy(&s);
        }
        assert_int_equal(failmalloc_live(), before);
        if (!failmalloc_disarm()) {
            assert_int_equal(err, NHUB_OK);
            break;
        }
        assert_int_equal(err, NHUB_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_only_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(the_smallest_that_is_ready_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_due_first_is_found_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lane_lets_one_through_at_a_time, setup_lanes, teardown),
        cmocka_unit_test_setup_teardown(there_is_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(heaps_keep_their_order, setup, teardown),
        cmocka_unit_test(failed_allocations_change_nothing),
    };
    return cmocka_run_group_tests_name("group_open", tests, NULL, NULL);
}
