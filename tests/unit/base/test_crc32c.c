/* crc32c: the vectors of RFC 3720, and both ways of computing it against each other. */
#include "base/crc32c.h"

#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void gives_the_checksums_of_rfc_3720(void **state)
{
    unsigned char bytes[32];

    (void)state;
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43u);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = (unsigned char)i;
    }
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794eu);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void portable_and_fast_agree_at_every_length_and_offset(void **state)
{
    unsigned char bytes[300];

    (void)state;
    random_bytes(bytes, sizeof bytes);
    for (size_t from = 0; from < 9; from++) {
        for (size_t len = 0; len + from <= sizeof bytes; len++) {
            assert_int_equal(crc32c(7, bytes + from, len), crc32c_portable(7, bytes + from, len));
        }
    }
}

static void parts_give_the_checksum_of_the_whole(void **state)
{
    static const char text[] = "a record is a head, a type and a line";
    const uint32_t whole = crc32c(0, text, sizeof text);

    (void)state;
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        const uint32_t first = crc32c(0, text, cut);

        assert_int_equal(crc32c(first, text + cut, sizeof text - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_checksums_of_rfc_3720),
        cmocka_unit_test(portable_and_fast_agree_at_every_length_and_offset),
        cmocka_unit_test(parts_give_the_checksum_of_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
