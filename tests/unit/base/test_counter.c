/* counter: several threads raise one number, and nothing is lost. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/counter.h"

static counter shared;

static void *raise_it(void *argument)
{
    (void)argument;
    for (int i = 0; i < 10000; i++) {
        counter_add(&shared, 2);
        counter_sub(&shared, 1);
    }
    return NULL;
}

static void adds_of_threads_sum_up(void **state)
{
    pthread_t threads[4];

    (void)state;
    counter_set(&shared, 5);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, raise_it, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(counter_get(&shared), 40005);
}

static void bump_is_enough_for_a_single_writer(void **state)
{
    counter mine = 0;

    (void)state;
    counter_bump(&mine, 3);
    counter_bump(&mine, 4);
    assert_int_equal(counter_get(&mine), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_of_threads_sum_up),
        cmocka_unit_test(bump_is_enough_for_a_single_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
