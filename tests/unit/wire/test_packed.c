/*
 * packed: what is written is read again, and a frame with a wrong length is refused as a whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/packed.h"

static void parts_come_back_as_they_were(void **state)
{
    static const char *const texts[] = {"REQ", "", "{\"action\":\"health\"}", "x"};
    struct packed_reader reader;
    const void *part = NULL;
    struct buf out;
    size_t len = 0;

    (void)state;
    buf_init(&out);
    packed_begin(&out);
    for (size_t i = 0; i < 4; i++) {
        packed_add(&out, texts[i], strlen(texts[i]));
    }
    assert_false(out.failed);
    assert_true(packed_open(&reader, out.data, out.len));
    for (size_t i = 0; i < 4; i++) {
        assert_true(packed_next(&reader, &part, &len));
        assert_int_equal(len, strlen(texts[i]));
        assert_memory_equal(part, texts[i], len);
    }
    assert_false(packed_next(&reader, &part, &len));
    assert_false(packed_next(&reader, &part, &len));
    buf_fini(&out);
}

static void lengths_are_big_endian(void **state)
{
    static const char expected[] = "\x01\x00\x01\x02\x03";
    struct buf out;
    char *part = calloc(1, 0x010203);

    (void)state;
    assert_non_null(part);
    buf_init(&out);
    packed_begin(&out);
    packed_add(&out, part, 0x010203);
    assert_int_equal(out.len, 5 + 0x010203);
    assert_memory_equal(out.data, expected, 5);
    buf_fini(&out);
    free(part);
}

/* Every shorter form of a good frame is refused, unless it ends between two parts. */
static void a_cut_frame_is_refused(void **state)
{
    struct packed_reader reader;
    struct buf out;

    (void)state;
    buf_init(&out);
    packed_begin(&out);
    packed_add(&out, "ab", 2);
    packed_add(&out, "cde", 3);
    for (size_t len = 0; len <= out.len; len++) {
        char *exact = malloc(len ? len : 1); /* so that reading over the end is seen */

        assert_non_null(exact);
        memcpy(exact, out.data, len);
        assert_int_equal(packed_open(&reader, exact, len), len == 1 || len == 7 || len == 14);
        free(exact);
    }
    buf_fini(&out);
}

static void what_has_no_mark_is_not_packed(void **state)
{
    struct packed_reader reader;

    (void)state;
    assert_false(packed_open(&reader, "REQ", 3));
    assert_false(packed_open(&reader, "\x02\0\0\0\0", 5));
    assert_false(packed_open(&reader, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_back_as_they_were),
        cmocka_unit_test(lengths_are_big_endian),
        cmocka_unit_test(a_cut_frame_is_refused),
        cmocka_unit_test(what_has_no_mark_is_not_packed),
    };

    return cmocka_run_group_tests_name("packed", tests, NULL, NULL);
}
