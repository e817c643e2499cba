/*
 * hash: the vectors of the public reference. Key 00 01 … 0f, input 00 01 … of each length;
 * SipHash-2-4-128 as in the table vectors_sip128 of the reference implementation, SipHash-1-3 as
 * OpenSSL computes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

static const struct {
    size_t len;
    uint64_t lo, hi;     /* SipHash-2-4-128 */
    uint64_t short_hash; /* SipHash-1-3 */
} vectors[] = {
    {0, UINT64_C(0xe6a825ba047f81a3), UINT64_C(0x930255c71472f66d), UINT64_C(0xabac0158050fc4dc)},
    {1, UINT64_C(0x44af996bd8c187da), UINT64_C(0x45fc229b11597634), UINT64_C(0xc9f49bf37d57ca93)},
    {7, UINT64_C(0x53c1dbd8beebf1a1), UINT64_C(0x3982f01fa64ab8c0), UINT64_C(0xd3927d989bb11140)},
    {8, UINT64_C(0x61f55862baa9623b), UINT64_C(0xb49714f364e2830f), UINT64_C(0x369095118d299a8e)},
    {9, UINT64_C(0xabbad90a06994426), UINT64_C(0xed716dbb028b7fc4), UINT64_C(0x25a48eb36c063de4)},
    {15, UINT64_C(0x11a8b03399e99354), UINT64_C(0xd9c3cf970fec087e), UINT64_C(0xd320d86d2a519956)},
    {16, UINT64_C(0xbb54b067caa4e26e), UINT64_C(0x77052385bf1533fd), UINT64_C(0xcc4fdd1a7d908b66)},
    {63, UINT64_C(0x4a83502f77d15051), UINT64_C(0x7cbd3f979a063e50), UINT64_C(0x9d199062b7bbb3a8)},
};

static const struct hash_key reference_key = {UINT64_C(0x0706050403020100),
                                              UINT64_C(0x0f0e0d0c0b0a0908)};

static void vectors_of_the_reference_hold(void **state)
{
    unsigned char input[64];

    (void)state;
    for (size_t i = 0; i < sizeof input; i++) {
        input[i] = (unsigned char)i;
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct hash128 h = hash_sip128(&reference_key, input, vectors[i].len);

        assert_true(h.lo == vectors[i].lo);
        assert_true(h.hi == vectors[i].hi);
        assert_true(hash_sip64(&reference_key, input, vectors[i].len) == vectors[i].short_hash);
    }
}

static void the_place_in_memory_does_not_matter(void **state)
{
    char room[40] = "";
    const uint64_t expected = hash_sip64(&reference_key, "an unaligned text", 17);

    (void)state;
    for (size_t shift = 0; shift < 16; shift++) {
        memcpy(room + shift, "an unaligned text", 17);
        assert_true(hash_sip64(&reference_key, room + shift, 17) == expected);
    }
}

static void keys_differ_and_change_the_hash(void **state)
{
    struct hash_key a = {0, 0};
    struct hash_key b = {0, 0};

    (void)state;
    hash_key_random(&a);
    hash_key_random(&b);
    assert_true(a.k0 != b.k0 && a.k1 != b.k1);
    assert_true(hash_sip64(&a, "x", 1) != hash_sip64(&b, "x", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_reference_hold),
        cmocka_unit_test(the_place_in_memory_does_not_matter),
        cmocka_unit_test(keys_differ_and_change_the_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
