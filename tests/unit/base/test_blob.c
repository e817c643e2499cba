// with: failmalloc
/* blob: the bytes live as long as the last reference, whichever thread holds it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/blob.h"
#include "failmalloc.h"

static void a_copy_holds_the_bytes(void **state)
{
    struct blob *b = NULL;

    (void)state;
    assert_int_equal(blob_copy(&b, "a\0b", 3), NHUB_OK);
    assert_int_equal(b->len, 3);
    assert_memory_equal(b->bytes, "a\0b", 3);
    blob_unref(&b);
    assert_null(b);
    blob_unref(&b); /* a NULL is fine */
}

static void an_empty_blob_is_possible(void **state)
{
    struct blob *b = NULL;

    (void)state;
    assert_int_equal(blob_copy(&b, NULL, 0), NHUB_OK);
    assert_int_equal(b->len, 0);
    blob_unref(&b);
}

static void the_last_unref_frees(void **state)
{
    const long live = failmalloc_live();
    struct blob *b = NULL;
    struct blob *second = NULL;

    (void)state;
    assert_int_equal(blob_create(&b, 10), NHUB_OK);
    second = blob_ref(b);
    assert_ptr_equal(second, b);
    blob_unref(&b);
    assert_int_equal(failmalloc_live(), live + 1);
    memset(second->bytes, 'x', 10);
    blob_unref(&second);
    assert_int_equal(failmalloc_live(), live);
}

static void a_failure_leaves_the_result_untouched(void **state)
{
    struct blob *b = NULL;

    (void)state;
    failmalloc_arm(0);
    assert_int_equal(blob_copy(&b, "abc", 3), NHUB_ENOMEM);
    assert_true(failmalloc_disarm());
    assert_null(b);
    assert_int_equal(blob_create(&b, SIZE_MAX), NHUB_ENOMEM);
    assert_null(b);
}

static void *ref_and_unref(void *argument)
{
    struct blob *mine = argument; /* the reference that the thread was given */

    for (int i = 0; i < 20000; i++) {
        struct blob *extra = blob_ref(mine);

        blob_unref(&extra);
    }
    blob_unref(&mine);
    return NULL;
}

static void threads_share_without_a_lock(void **state)
{
    struct blob *b = NULL;
    pthread_t threads[4];

    (void)state;
    assert_int_equal(blob_copy(&b, "shared", 6), NHUB_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, blob_ref(b)), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&b->refs), 1);
    assert_memory_equal(b->bytes, "shared", 6);
    blob_unref(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_holds_the_bytes),
        cmocka_unit_test(an_empty_blob_is_possible),
        cmocka_unit_test(the_last_unref_frees),
        cmocka_unit_test(a_failure_leaves_the_result_untouched),
        cmocka_unit_test(threads_share_without_a_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
