/* buf: growable bytes; the capacity doubles, so that n adds cost O(n) in all. */
#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

nhub_err buf_reserve(struct buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : FIRST_CAP;
    char *grown = NULL;

    if (b->failed) {
        return NHUB_ENOMEM;
    }
    if (n <= b->cap - b->len && b->data) {
        return NHUB_OK;
    }
    if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
        b->failed = true;
        return NHUB_ENOMEM;
    }
    /* Cannot wrap: len + n is at most half of SIZE_MAX, so the doubling stops in time. */
    while (cap < b->len + n) {
        cap *= 2;
    }
    grown = realloc(b->data, cap);
    if (!grown) {
        b->failed = true;
        return NHUB_ENOMEM;
    }
    b->data = grown;
    b->cap = cap;
    return NHUB_OK;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0 || buf_reserve(b, n) != NHUB_OK) {
        return;
    }
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20]; /* 2^64 has 20 digits */
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(b, digits + at, sizeof digits - at);
}

void buf_add_i64(struct buf *b, int64_t value)
{
    if (value < 0) {
        buf_add_char(b, '-');
        buf_add_u64(b, (uint64_t)0 - (uint64_t)value); /* also right for INT64_MIN */
        return;
    }
    buf_add_u64(b, (uint64_t)value);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    int length = 0;

    va_copy(again, args);
    /* The first try goes into the room that is there; most texts fit. */
    if (buf_reserve(b, 1) == NHUB_OK) {
        length = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
        if (length < 0) {
            b->failed = true;
        } else if ((size_t)length < b->cap - b->len) {
            b->len += (size_t)length;
        } else if (buf_reserve(b, (size_t)length + 1) == NHUB_OK) {
            (void)vsnprintf(b->data + b->len, b->cap - b->len, format, again);
            b->len += (size_t)length;
        }
    }
    va_end(again);
}

/* The letter behind the backslash for a byte that has a short escape, 0 for all others. */
static char short_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

void buf_add_json_string(struct buf *b, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t plain = 0; /* start of the run that needs no escape */

    buf_add_char(b, '"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char letter = short_escape(c);

        if (c >= 0x20 && letter == 0) {
            continue;
        }
        buf_add(b, text + plain, i - plain);
        plain = i + 1;
        if (letter != 0) {
            const char escape[] = {'\\', letter};
            buf_add(b, escape, sizeof escape);
        } else {
            const char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            buf_add(b, escape, sizeof escape);
        }
    }
    if (n > plain) {
        buf_add(b, text + plain, n - plain);
    }
    buf_add_char(b, '"');
}

void buf_add_json_cstr(struct buf *b, const char *text)
{
    buf_add_json_string(b, text, strlen(text));
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0) {
        return;
    }
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

const char *buf_cstr(struct buf *b)
{
    if (b->len == 0 || buf_reserve(b, 1) != NHUB_OK) {
        return "";
    }
    b->data[b->len] = '\0';
    return b->data;
}

char *buf_take(struct buf *b, size_t *out_len)
{
    char *data = b->data;

    if (b->failed || b->len == 0) {
        buf_fini(b);
        return NULL;
    }
    *out_len = b->len;
    buf_init(b);
    return data;
}
