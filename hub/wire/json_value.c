/*
 * The second half of json_scan: what the values mean that the scanner found, and copies of valid
 * texts with small changes. Everything here relies on the scanner's check and only looks at
 * structure.
 */
#include "wire/json_scan.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define REPLACEMENT 0xFFFDu /* U+FFFD for what is no Unicode character */

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        const uint32_t c = (unsigned char)p[i];

        value = value << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static bool is_high(uint32_t code)
{
    return code >= 0xD800 && code <= 0xDBFF;
}

static bool is_low(uint32_t code)
{
    return code >= 0xDC00 && code <= 0xDFFF;
}

/* The \u escape at p, a pair taken as one; *out_code may be a lone surrogate. Returns its length.
 */
static size_t unicode_escape(const char *p, const char *end, uint32_t *out_code)
{
    const uint32_t code = hex4(p + 2);

    if (is_high(code) && end - p >= 12 && p[6] == '\\' && p[7] == 'u' && is_low(hex4(p + 8))) {
        *out_code = 0x10000 + ((code - 0xD800) << 10) + (hex4(p + 8) - 0xDC00);
        return 12;
    }
    *out_code = code;
    return 6;
}

/* The escape at p as UTF-8 in out. Returns its length in the text. */
static size_t decode_escape(const char *p, const char *end, char out[4], size_t *out_len)
{
    uint32_t code = 0;

    *out_len = 1;
    switch (p[1]) {
    case 'b':
        out[0] = '\b';
        return 2;
    case 'f':
        out[0] = '\f';
        return 2;
    case 'n':
        out[0] = '\n';
        return 2;
    case 'r':
        out[0] = '\r';
        return 2;
    case 't':
        out[0] = '\t';
        return 2;
    case 'u': {
        const size_t n = unicode_escape(p, end, &code);

        *out_len = utf8_encode(is_high(code) || is_low(code) ? REPLACEMENT : code, out);
        return n;
    }
    default: /* quote, backslash, slash */
        out[0] = p[1];
        return 2;
    }
}

nhub_err json_decode_string(const struct json_span *span, char *out, size_t cap, size_t *out_len)
{
    size_t used = 0;

    if (span->kind != JSON_STRING) {
        return NHUB_EINVAL;
    }
    const char *p = span->p + 1;
    const char *end = span->p + span->len - 1;

    if (!span->has_escape) {
        if ((size_t)(end - p) > cap) {
            return NHUB_ETOOBIG;
        }
        memcpy(out, p, (size_t)(end - p));
        *out_len = (size_t)(end - p);
        return NHUB_OK;
    }
    while (p < end) {
        char piece[4] = {*p};
        size_t n = 1;

        p += *p == '\\' ? decode_escape(p, end, piece, &n) : 1;
        if (n > cap - used) {
            return NHUB_ETOOBIG;
        }
        memcpy(out + used, piece, n);
        used += n;
    }
    *out_len = used;
    return NHUB_OK;
}

bool json_has_lone_surrogate(const struct json_span *span)
{
    if (span->kind != JSON_STRING || !span->has_escape) {
        return false;
    }
    const char *p = span->p + 1;
    const char *end = span->p + span->len - 1;

    while (p < end) {
        uint32_t code = 0;

        if (*p != '\\') {
            p++;
        } else if (p[1] != 'u') {
            p += 2;
        } else {
            p += unicode_escape(p, end, &code);
            if (is_high(code) || is_low(code)) {
                return true;
            }
        }
    }
    return false;
}

nhub_err json_span_double(const struct json_span *span, double *out)
{
    char text[1024];

    if (span->kind != JSON_NUMBER) {
        return NHUB_EINVAL;
    }
    if (span->len >= sizeof text) {
        return NHUB_ETOOBIG;
    }
    memcpy(text, span->p, span->len);
    text[span->len] = '\0';
    /* The program around libnotifyhub may have set a locale with a decimal comma. glibc and musl
     * hand out a static object for "C", so this costs no allocation. */
    const locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const double value = strtod_l(text, NULL, c_locale);

    freelocale(c_locale);
    if (isinf(value)) {
        return NHUB_ETOOBIG;
    }
    *out = value;
    return NHUB_OK;
}

nhub_err json_span_u64(const struct json_span *span, uint64_t *out)
{
    uint64_t value = 0;

    if (span->kind != JSON_NUMBER || !span->integer) {
        return NHUB_EINVAL;
    }
    for (size_t i = 0; i < span->len; i++) {
        const uint64_t digit = (uint64_t)(span->p[i] - '0');

        if (span->p[i] == '-' || value > (UINT64_MAX - digit) / 10) {
            return NHUB_ETOOBIG;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return NHUB_OK;
}

/* p is at an opening quote; the byte behind the closing one. */
static const char *skip_string(const char *p)
{
    p++;
    while (*p != '"') {
        p += *p == '\\' ? 2 : 1;
    }
    return p + 1;
}

size_t json_one_line(const char *text, size_t len, char *out)
{
    const char *p = text;
    const char *end = text + len;

    while (p < end) {
        if (*p == '"') {
            const char *behind = skip_string(p);

            memcpy(out + (p - text), p, (size_t)(behind - p));
            p = behind;
        } else {
            out[p - text] = *p == '\n' || *p == '\r' || *p == '\t' ? ' ' : *p;
            p++;
        }
    }
    return len;
}

/* The length of the bare word at p that stands for no finite number, 0 when there is none. */
static size_t nonfinite_length(const char *p, const char *end)
{
    switch (*p) {
    case 'N':
        return 3;
    case 'I':
        return 8;
    case '-':
        return end - p > 1 && p[1] == 'I' ? 9 : 0;
    default:
        return 0;
    }
}

size_t json_nonfinite_to_null(const char *text, size_t len, char *out)
{
    const char *p = text;
    const char *end = text + len;
    size_t used = 0;

    while (p < end) {
        const char *behind = *p == '"' ? skip_string(p) : p + 1;
        const size_t word = nonfinite_length(p, end);

        if (word > 0) {
            memcpy(out + used, "null", 4);
            used += 4;
            p += word;
            continue;
        }
        memcpy(out + used, p, (size_t)(behind - p));
        used += (size_t)(behind - p);
        p = behind;
    }
    return used;
}

bool utf8_valid(const char *text, size_t len)
{
    return utf8_is_valid(text, len);
}
