/* utf8: table 3-7 of the Unicode standard as code. */
#include "base/utf8.h"

size_t utf8_sequence(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char c = p[0];
    size_t n = 0;

    if (c < 0x80) {
        return 1;
    }
    n = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    /* The second byte has a narrower range behind four of the first bytes. */
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

bool utf8_is_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t n = utf8_sequence(text + i, len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}
