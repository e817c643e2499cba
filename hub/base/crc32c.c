/*
 * crc32c: eight bytes at a time, by the processor's instruction or by eight tables.
 *
 * The tables are computed at first use: 2048 numbers in the source could hide a wrong one.
 */
#include "base/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* reflected */

/* table[k][b]: the effect of byte b with k further bytes behind it. */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;

        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) ? POLYNOMIAL : 0u);
        }
        table[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int k = 1; k < 8; k++) {
            const uint32_t before = table[k - 1][byte];

            table[k][byte] = (before >> 8) ^ table[0][before & 0xffu];
        }
    }
}

static uint64_t read_le64(const unsigned char *p)
{
    uint64_t word = 0;

    for (int i = 7; i >= 0; i--) {
        word = (word << 8) | p[i];
    }
    return word;
}

uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    (void)pthread_once(&table_once, make_tables); /* fails only for a bad argument */
    crc = ~crc;
    for (; len >= 8; p += 8, len -= 8) {
        const uint64_t word = read_le64(p) ^ crc;

        crc = 0;
        for (int k = 0; k < 8; k++) {
            crc ^= table[7 - k][(word >> (8 * k)) & 0xffu];
        }
    }
    for (; len > 0; p++, len--) {
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xffu];
    }
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *bytes,
                                                               size_t len)
{
    const unsigned char *p = bytes;
    uint64_t wide = ~crc;

    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word = 0;

        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; p++, len--) {
        crc = _mm_crc32_u8(crc, *p);
    }
    return ~crc;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t len)
{
    if (__builtin_cpu_supports("sse4.2")) { /* a test of one bit */
        return crc32c_sse42(crc, bytes, len);
    }
    return crc32c_portable(crc, bytes, len);
}

#else

uint32_t crc32c(uint32_t crc, const void *bytes, size_t len)
{
    return crc32c_portable(crc, bytes, len);
}

#endif
