/* uuid: the form of RFC 9562, and no two alike over threads and forks. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/uuid.h"

#define PER_THREAD 2000
#define THREADS    4

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, UUID_TEXT_LEN);
}

static void the_form_is_that_of_version_4(void **state)
{
    (void)state;
    for (int round = 0; round < 1000; round++) {
        char id[UUID_TEXT_LEN];

        uuid_v4(id);
        for (size_t i = 0; i < sizeof id; i++) {
            if (i == 8 || i == 13 || i == 18 || i == 23) {
                assert_int_equal(id[i], '-');
            } else {
                assert_non_null(memchr("0123456789abcdef", id[i], 16));
            }
        }
        assert_int_equal(id[14], '4');
        assert_non_null(memchr("89ab", id[19], 4));
    }
}

static void *make_some(void *argument)
{
    char(*ids)[UUID_TEXT_LEN] = argument;

    for (size_t i = 0; i < PER_THREAD; i++) {
        uuid_v4(ids[i]);
    }
    return NULL;
}

static void none_repeats_over_threads(void **state)
{
    static char ids[THREADS * PER_THREAD][UUID_TEXT_LEN];
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, make_some, ids[i * PER_THREAD]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    qsort(ids, THREADS * PER_THREAD, UUID_TEXT_LEN, compare);
    for (size_t i = 1; i < THREADS * PER_THREAD; i++) {
        assert_int_not_equal(memcmp(ids[i - 1], ids[i], UUID_TEXT_LEN), 0);
    }
}

static void a_forked_child_has_its_own(void **state)
{
    char mine[UUID_TEXT_LEN];
    char childs[UUID_TEXT_LEN];
    int pipe_fds[2] = {-1, -1};
    pid_t child = 0;

    (void)state;
    uuid_v4(mine); /* fills the pool that the fork copies */
    assert_int_equal(pipe(pipe_fds), 0);
    child = fork();
    assert_true(child >= 0);
    uuid_v4(child == 0 ? childs : mine);
    if (child == 0) {
        _exit(write(pipe_fds[1], childs, sizeof childs) == (ssize_t)sizeof childs ? 0 : 1);
    }
    assert_int_equal(read(pipe_fds[0], childs, sizeof childs), sizeof childs);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_memory_not_equal(mine, childs, sizeof mine);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void random_bytes_of_any_length(void **state)
{
    static const size_t lengths[] = {0, 1, 16, 1024, 1025, 4096, 10000};
    static unsigned char bytes[10001];

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t zeros = 0;

        memset(bytes, 0, sizeof bytes);
        random_bytes(bytes, lengths[i]);
        for (size_t j = 0; j < lengths[i]; j++) {
            zeros += bytes[j] == 0 ? 1 : 0;
        }
        assert_true(lengths[i] < 16 || zeros < lengths[i] / 4);
        assert_int_equal(bytes[lengths[i]], 0); /* nothing behind the end */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_is_that_of_version_4),
        cmocka_unit_test(none_repeats_over_threads),
        cmocka_unit_test(a_forked_child_has_its_own),
        cmocka_unit_test(random_bytes_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
