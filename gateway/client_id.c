/* client_id: digits and small letters. */
#include "gateway/client_id.h"

#include <string.h>

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

void client_id_format(uint64_t number, char out[CLIENT_ID_MAX])
{
    char reversed[CLIENT_ID_MAX];
    size_t len = 0;

    do {
        reversed[len++] = digits[number % 36];
        number /= 36;
    } while (number > 0);
    for (size_t i = 0; i < len; i++) {
        out[i] = reversed[len - 1 - i];
    }
    out[len] = '\0';
}

nhub_err client_id_parse(const char *text, size_t len, uint64_t *out)
{
    uint64_t number = 0;

    if (len == 0 || len >= CLIENT_ID_MAX || (len > 1 && text[0] == '0')) {
        return NHUB_EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        const char *found = text[i] ? strchr(digits, text[i]) : NULL;
        const uint64_t digit = found ? (uint64_t)(found - digits) : 0;

        if (!found || number > (UINT64_MAX - digit) / 36) {
            return NHUB_EINVAL;
        }
        number = number * 36 + digit;
    }
    *out = number;
    return NHUB_OK;
}
