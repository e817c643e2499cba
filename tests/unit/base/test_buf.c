// with: failmalloc
/* buf: what was added comes out, a failed allocation is remembered and harms nothing. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "failmalloc.h"

static void adds_stand_one_behind_the_other(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_add_str(&b, "a");
    buf_add_char(&b, 'b');
    buf_add(&b, "c\0d", 3);
    buf_add_u64(&b, 0);
    buf_add_u64(&b, UINT64_MAX);
    buf_add_i64(&b, INT64_MIN);
    buf_add_i64(&b, 42);
    assert_int_equal(b.len, 5 + 1 + 20 + 20 + 2);
    assert_memory_equal(b.data, "abc\0d018446744073709551615-922337203685477580842", b.len);
    buf_fini(&b);
}

static void printf_grows_as_far_as_needed(void **state)
{
    struct buf b = {0};
    char expected[301];

    (void)state;
    memset(expected, 'x', 300);
    expected[300] = '\0';
    buf_printf(&b, "%d-", 7);
    buf_printf(&b, "%s", expected);
    assert_int_equal(b.len, 302);
    assert_memory_equal(b.data, "7-", 2);
    assert_string_equal(buf_cstr(&b) + 2, expected);
    buf_fini(&b);
}

/* The text that exactly fills the room leaves none for the NUL of vsnprintf(). */
static void printf_at_the_edge_of_the_room_is_whole(void **state)
{
    (void)state;
    for (int width = 1; width < 200; width++) {
        struct buf b = {0};

        buf_printf(&b, "%*d", width, 1);
        assert_int_equal(b.len, width);
        assert_int_equal(b.data[width - 1], '1');
        buf_fini(&b);
    }
}

static void json_strings_are_escaped(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", 3, "\"\\u0001\\u001f\x7f\""},
        {"\0", 1, "\"\\u0000\""},
        {"\xc3\xa4/", 3, "\"\xc3\xa4/\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = {0};

        buf_add_json_string(&b, cases[i].in, cases[i].len);
        assert_string_equal(buf_cstr(&b), cases[i].out);
        buf_fini(&b);
    }
}

static void consume_takes_from_the_front(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_add_str(&b, "abcdef");
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    assert_string_equal(buf_cstr(&b), "cdef");
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_cstr(&b), "");
    buf_consume(&b, 0);
    buf_fini(&b);
}

static void cstr_does_not_change_the_content(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_string_equal(buf_cstr(&b), "");
    buf_add_str(&b, "ab");
    assert_string_equal(buf_cstr(&b), "ab");
    buf_add_str(&b, "c");
    assert_int_equal(b.len, 3);
    assert_string_equal(buf_cstr(&b), "abc");
    buf_fini(&b);
}

static void take_gives_the_memory_away(void **state)
{
    struct buf b = {0};
    size_t len = 99;
    char *taken = NULL;

    (void)state;
    assert_null(buf_take(&b, &len));
    assert_int_equal(len, 99);
    buf_add_str(&b, "gone");
    taken = buf_take(&b, &len);
    assert_int_equal(len, 4);
    assert_memory_equal(taken, "gone", 4);
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
    free(taken);
    buf_fini(&b);
}

static void a_size_that_cannot_be_is_refused(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_add_str(&b, "x");
    assert_int_equal(buf_reserve(&b, SIZE_MAX), NHUB_ENOMEM);
    assert_true(b.failed);
    buf_reset(&b);
    assert_false(b.failed);
    assert_int_equal(buf_reserve(&b, 1), NHUB_OK);
    buf_fini(&b);
}

static void after_a_failure_adds_are_ignored_until_reset(void **state)
{
    struct buf b = {0};
    size_t len = 0;

    (void)state;
    buf_add_str(&b, "kept");
    failmalloc_arm(0);
    buf_printf(&b, "%200d", 1);
    assert_true(failmalloc_disarm());
    assert_true(b.failed);
    buf_add_str(&b, "ignored");
    buf_add_char(&b, '!');
    buf_printf(&b, "%d", 1);
    assert_int_equal(b.len, 4);
    assert_string_equal(buf_cstr(&b), "");
    assert_null(buf_take(&b, &len));
    assert_false(b.failed); /* empty and usable */
    buf_add_str(&b, "again");
    assert_string_equal(buf_cstr(&b), "again");
    buf_fini(&b);
}

static void build(struct buf *b)
{
    buf_add_str(b, "start");
    buf_printf(b, "%100d", 1);
    buf_add_json_cstr(b, "some \"quoted\" text with\ncontrol characters");
    for (int i = 0; i < 200; i++) {
        buf_add_i64(b, i);
    }
}

static void each_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    struct buf whole = {0};
    long n = 0;

    (void)state;
    build(&whole);
    for (;; n++) {
        const long live = failmalloc_live();
        struct buf b = {0};
        bool has_failed = false;

        failmalloc_arm(n);
        build(&b);
        has_failed = failmalloc_disarm();
        assert_int_equal(b.failed, has_failed);
        if (!has_failed) {
            assert_int_equal(b.len, whole.len);
            assert_memory_equal(b.data, whole.data, whole.len);
        }
        buf_fini(&b);
        assert_int_equal(failmalloc_live(), live);
        if (!has_failed) {
            break;
        }
    }
    assert_true(n > 2);
    buf_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_stand_one_behind_the_other),
        cmocka_unit_test(printf_grows_as_far_as_needed),
        cmocka_unit_test(printf_at_the_edge_of_the_room_is_whole),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(consume_takes_from_the_front),
        cmocka_unit_test(cstr_does_not_change_the_content),
        cmocka_unit_test(take_gives_the_memory_away),
        cmocka_unit_test(a_size_that_cannot_be_is_refused),
        cmocka_unit_test(after_a_failure_adds_are_ignored_until_reset),
        cmocka_unit_test(each_failing_allocation_is_reported_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
