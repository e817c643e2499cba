/*
 * delivery: the text form.
 */
#include "wire/delivery.h"

#include <string.h>

/* Digits without a leading zero, 1 to 2^32-1. */
static bool parse_attempt(const char *text, size_t len, uint32_t *out)
{
    uint64_t value = 0;

    if (len == 0 || len > 10 || text[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

nhub_err delivery_parse(const char *text, size_t len, struct delivery *out)
{
    const char *dot = memchr(text, '.', len);
    struct delivery d = {.attempt = 0};

    if (!dot || position_parse(text, (size_t)(dot - text), &d.position) != NHUB_OK ||
        d.position.seq == 0 ||
        !parse_attempt(dot + 1, len - (size_t)(dot - text) - 1, &d.attempt)) {
        return NHUB_EINVAL;
    }
    *out = d;
    return NHUB_OK;
}

size_t delivery_format(const struct delivery *d, char out[DELIVERY_TEXT_MAX])
{
    char digits[10];
    size_t count = 0;
    size_t len = position_format(&d->position, out);
    uint32_t attempt = d->attempt;

    do {
        digits[count++] = (char)('0' + attempt % 10);
        attempt /= 10;
    } while (attempt > 0);
    out[len++] = '.';
    while (count > 0) {
        out[len++] = digits[--count];
    }
    out[len] = '\0';
    return len;
}
