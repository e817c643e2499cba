/* utf8: what is not inline. */
#include "base/utf8.h"

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
