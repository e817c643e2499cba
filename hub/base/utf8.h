/*
 * utf8: whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above
 * U+10FFFF), and which characters they are. Inline, because the scanner of events asks for each
 * character.
 *
 * Threads: any; pure.
 */
#ifndef NHUB_BASE_UTF8_H
#define NHUB_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length, 1 to 4, of the well-formed sequence that begins at p; 0 when there is none.
 * left: bytes from p on, >= 1. */
static inline size_t utf8_sequence(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char lead = p[0];
    unsigned char low = 0x80, high = 0xBF; /* what the second byte may be */

    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4 || left < 2) {
        return 0;
    }
    if (lead < 0xE0) {
        return (p[1] & 0xC0) == 0x80 ? 2 : 0;
    }
    if (lead == 0xE0) {
        low = 0xA0; /* no overlong form */
    } else if (lead == 0xED) {
        high = 0x9F; /* no surrogate */
    } else if (lead == 0xF0) {
        low = 0x90; /* no overlong form */
    } else if (lead == 0xF4) {
        high = 0x8F; /* nothing above U+10FFFF */
    }
    if (p[1] < low || p[1] > high || left < 3 || (p[2] & 0xC0) != 0x80) {
        return 0;
    }
    if (lead < 0xF0) {
        return 3;
    }
    return left >= 4 && (p[3] & 0xC0) == 0x80 ? 4 : 0;
}
bool utf8_is_valid(const char *text, size_t len);

/* The code point of a well-formed sequence of len bytes. */
static inline uint32_t utf8_decode(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;

    switch (len) {
    case 1:
        return p[0];
    case 2:
        return ((uint32_t)(p[0] & 0x1F) << 6) | (p[1] & 0x3Fu);
    case 3:
        return ((uint32_t)(p[0] & 0x0F) << 12) | ((uint32_t)(p[1] & 0x3F) << 6) | (p[2] & 0x3Fu);
    default:
        return ((uint32_t)(p[0] & 0x07) << 18) | ((uint32_t)(p[1] & 0x3F) << 12) |
               ((uint32_t)(p[2] & 0x3F) << 6) | (p[3] & 0x3Fu);
    }
}

/* Writes a code point that is no surrogate; returns 1 to 4. */
static inline size_t utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((code >> 6) & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

#endif
