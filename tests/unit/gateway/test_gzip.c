// with: failmalloc
/* gzip: what is packed unpacks to the same bytes; what does not get smaller is left alone. */
#include "gateway/protocols/gzip.h"

#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include <cmocka.h>

/* A list of objects, as our pages are. */
static void write_page(struct buf *out, unsigned objects)
{
    buf_init(out);
    for (unsigned i = 0; i < objects; i++) {
        buf_printf(out, "{\"event_type\":\"type.%u\",\"count\":%u},", i, i * 7);
    }
    assert_false(out->failed);
}

static void expect_unpacks_to(const struct buf *packed, const struct buf *plain)
{
    char *back = malloc(plain->len + 1);
    z_stream z = {.next_in = (z_const Bytef *)packed->data,
                  .avail_in = (uInt)packed->len,
                  .next_out = (Bytef *)back,
                  .avail_out = (uInt)plain->len + 1};

    assert_non_null(back);
    assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK); /* nothing but gzip */
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, plain->len);
    assert_memory_equal(back, plain->data, plain->len);
    inflateEnd(&z);
    free(back);
}

static void what_is_packed_unpacks_to_the_same(void **state)
{
    static const unsigned sizes[] = {5, 100, 3000, 40000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf plain, small = {0}, quick = {0};

        write_page(&plain, sizes[i]);
        assert_int_equal(gzip_pack(plain.data, plain.len, GZIP_SMALL, &small), NHUB_OK);
        assert_int_equal(gzip_pack(plain.data, plain.len, GZIP_QUICK, &quick), NHUB_OK);
        expect_unpacks_to(&small, &plain);
        expect_unpacks_to(&quick, &plain);
        assert_true(small.len <= quick.len && quick.len < plain.len);
        buf_fini(&plain);
        buf_fini(&small);
        buf_fini(&quick);
    }
}

static void what_does_not_get_smaller_is_left_alone(void **state)
{
    unsigned char noise[512];
    uint32_t x = 12345;
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof noise; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (unsigned char)(x >> 24);
    }
    assert_int_equal(gzip_pack(noise, sizeof noise, GZIP_SMALL, &out), NHUB_ETOOBIG);
    assert_int_equal(gzip_pack("{}", 2, GZIP_SMALL, &out), NHUB_ETOOBIG);
    assert_int_equal(gzip_pack("", 0, GZIP_SMALL, &out), NHUB_ETOOBIG);
    assert_null(out.data);
    assert_int_equal(out.len, 0);
}

static void without_memory_nothing_is_packed(void **state)
{
    struct buf plain, out = {0};

    (void)state;
    write_page(&plain, 100);
    failmalloc_arm(0);
    assert_int_equal(gzip_pack(plain.data, plain.len, GZIP_QUICK, &out), NHUB_ENOMEM);
    assert_true(failmalloc_disarm());
    assert_null(out.data);
    assert_false(out.failed);
    buf_fini(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_unpacks_to_the_same),
        cmocka_unit_test(what_does_not_get_smaller_is_left_alone),
        cmocka_unit_test(without_memory_nothing_is_packed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
