// with: failmalloc
/*
 * block: counted bytes, of its own or adopted, and who is told of their end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "zmtp/block.h"

static void a_block_is_there_until_the_last_lets_go(void **state)
{
    const long live = failmalloc_live();
    struct block *b = NULL;
    struct block *other = NULL;

    (void)state;
    assert_int_equal(block_create(&b, 100), NHUB_OK);
    assert_int_equal(b->refs, 1);
    assert_int_equal(b->len, 0);
    assert_int_equal(b->cap, 100);
    memset(b->bytes, 'x', 100);
    other = block_ref(b);
    assert_ptr_equal(other, b);
    assert_int_equal(b->refs, 2);
    block_unref(&b);
    assert_null(b);
    assert_int_equal(other->refs, 1);
    assert_int_equal(other->bytes[99], 'x');
    block_unref(&other);
    assert_null(other);
    assert_int_equal(failmalloc_live(), live);
}

static void a_block_may_have_no_bytes(void **state)
{
    struct block *b = NULL;

    (void)state;
    assert_int_equal(block_create(&b, 0), NHUB_OK);
    assert_int_equal(b->cap, 0);
    block_unref(&b);
}

static void nothing_is_let_go_twice(void **state)
{
    struct block *none = NULL;

    (void)state;
    block_unref(&none);
    assert_null(none);
}

static void a_block_takes_over_memory(void **state)
{
    const long live = failmalloc_live();
    char *bytes = malloc(5);
    struct block *b = NULL;

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, "bytes", 5);
    assert_int_equal(block_adopt(&b, bytes, 5), NHUB_OK);
    assert_int_equal(b->refs, 1);
    assert_int_equal(b->len, 5);
    assert_int_equal(b->cap, 5);
    assert_ptr_equal(b->bytes, bytes);
    block_unref(&b);
    assert_int_equal(failmalloc_live(), live);
}

static void note_end(void *context, struct block *b)
{
    assert_int_equal(b->refs, 0);
    assert_memory_equal(b->bytes, "bytes", 5); /* they are still there */
    ++*(int *)context;
}

static void the_end_is_told_once(void **state)
{
    struct block *b = NULL;
    struct block *other = NULL;
    int ends = 0;

    (void)state;
    assert_int_equal(block_create(&b, 5), NHUB_OK);
    memcpy(b->bytes, "bytes", 5);
    b->gone = note_end;
    b->context = &ends;
    other = block_ref(b);
    block_unref(&other);
    assert_int_equal(ends, 0);
    block_unref(&b);
    assert_int_equal(ends, 1);
}

static void without_memory_nothing_changes(void **state)
{
    const long live = failmalloc_live();
    struct block *const before = (struct block *)(void *)&(int){0};
    struct block *b = before;
    char *bytes = malloc(3);

    (void)state;
    assert_non_null(bytes);
    failmalloc_arm(0);
    assert_int_equal(block_create(&b, 10), NHUB_ENOMEM);
    assert_true(failmalloc_disarm());
    assert_ptr_equal(b, before);
    failmalloc_arm(0);
    assert_int_equal(block_adopt(&b, bytes, 3), NHUB_ENOMEM);
    assert_true(failmalloc_disarm());
    assert_ptr_equal(b, before);
    memcpy(bytes, "abc", 3); /* it is still ours */
    free(bytes);
    assert_int_equal(block_create(&b, SIZE_MAX), NHUB_ENOMEM);
    assert_int_equal(block_create(&b, SIZE_MAX - sizeof *b + 1), NHUB_ENOMEM);
    assert_ptr_equal(b, before);
    assert_int_equal(failmalloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_there_until_the_last_lets_go),
        cmocka_unit_test(a_block_may_have_no_bytes),
        cmocka_unit_test(nothing_is_let_go_twice),
        cmocka_unit_test(a_block_takes_over_memory),
        cmocka_unit_test(the_end_is_told_once),
        cmocka_unit_test(without_memory_nothing_changes),
    };

    return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
