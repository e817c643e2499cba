// libs: gateway_core nhub_wire nhub_base
/*
 * A body in the chunked coding: read byte by byte it is the same, and as long, as read at once.
 */
#include "gateway/protocols/http_chunks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    nhub_err err;
    bool is_done;
    size_t used, body_len;
    uint32_t sum; /* over the body */
};

static struct result read_in_steps(const char *text, size_t size, size_t step)
{
    struct http_chunks c = {0};
    struct result r = {.err = NHUB_OK};

    while (r.err == NHUB_OK && r.used < size && !http_chunks_is_done(&c)) {
        const char *p = text + r.used;
        const size_t given = size - r.used < step ? size - r.used : step;
        const char *data = NULL;
        size_t left = given;
        size_t len = 0;

        r.err = http_chunks_next(&c, &p, &left, &data, &len);
        if (left == given && r.err == NHUB_OK) {
            abort(); /* it would never end */
        }
        for (size_t i = 0; r.err == NHUB_OK && i < len; i++) {
            r.sum = r.sum * 31 + (unsigned char)data[i];
        }
        r.body_len += r.err == NHUB_OK ? len : 0;
        r.used += given - left;
    }
    r.is_done = http_chunks_is_done(&c);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    struct result whole;
    struct result bytes;

    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    whole = read_in_steps(copy, size, size);
    bytes = read_in_steps(copy, size, 1);
    if (whole.err != bytes.err || whole.body_len != bytes.body_len || whole.sum != bytes.sum ||
        whole.is_done != bytes.is_done || (whole.is_done && whole.used != bytes.used)) {
        abort();
    }
    free(copy);
    return 0;
}
