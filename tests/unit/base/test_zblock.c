/*
 * zblock: copies stay as they are until they are given back, by whichever thread and in whichever
 * order; the sanitizers see a block that is freed too early, twice or never.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/zblock.h"

#define COPIES 20000

struct copy {
    char *bytes;
    void *block;
    size_t len;
};

static struct copy copies[COPIES];

static size_t length_of(size_t i)
{
    return 1 + (i * 37) % ZBLOCK_MAX_LEN;
}

static void make_copies(struct zblock **block)
{
    char text[ZBLOCK_MAX_LEN];

    for (size_t i = 0; i < COPIES; i++) {
        memset(text, (int)(i % 251), sizeof text);
        copies[i].len = length_of(i);
        copies[i].bytes = zblock_copy(block, text, copies[i].len);
        copies[i].block = *block;
        assert_non_null(copies[i].bytes);
    }
}

static void give_back(size_t i)
{
    for (size_t at = 0; at < copies[i].len; at++) {
        if ((unsigned char)copies[i].bytes[at] != i % 251) {
            fail_msg("copy %zu has changed", i);
        }
    }
    zblock_give_back(copies[i].bytes, copies[i].block);
}

static void copies_outlive_their_owner(void **state)
{
    struct zblock *block = NULL;

    (void)state;
    make_copies(&block);
    zblock_close(&block);
    assert_null(block);
    for (size_t i = 0; i < COPIES; i++) {
        give_back((i * 7919) % COPIES); /* each once: 7919 is prime */
    }
}

static void an_owner_may_close_last(void **state)
{
    struct zblock *block = NULL;

    (void)state;
    zblock_close(&block);
    make_copies(&block);
    for (size_t i = 0; i < COPIES; i++) {
        give_back(i);
    }
    zblock_close(&block);
    zblock_close(&block);
}

static void *return_half(void *context)
{
    for (size_t i = *(size_t *)context; i < COPIES; i += 2) {
        zblock_give_back(copies[i].bytes, copies[i].block);
    }
    return NULL;
}

static void threads_give_back_at_once(void **state)
{
    struct zblock *block = NULL;
    size_t starts[2] = {0, 1};
    pthread_t threads[2];

    (void)state;
    make_copies(&block);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, return_half, &starts[i]), 0);
    }
    zblock_close(&block);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_outlive_their_owner),
        cmocka_unit_test(an_owner_may_close_last),
        cmocka_unit_test(threads_give_back_at_once),
    };

    return cmocka_run_group_tests_name("zblock", tests, NULL, NULL);
}
