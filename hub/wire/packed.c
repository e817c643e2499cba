/*
 * packed: a mark, then length and bytes of each part.
 */
#include "wire/packed.h"

#include <string.h>

/* The length that stands at p. */
static size_t length_at(const unsigned char *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

bool packed_open(struct packed_reader *r, const void *frame, size_t len)
{
    const unsigned char *begin = frame;
    const unsigned char *at = begin;
    const unsigned char *end = begin + len;

    if (len == 0 || begin[0] != PACKED_MARK) {
        return false;
    }
    for (at++; at < end;) {
        size_t part = 0;

        if ((size_t)(end - at) < PACKED_LENGTH_BYTES) {
            return false;
        }
        part = length_at(at);
        at += PACKED_LENGTH_BYTES;
        if (part > (size_t)(end - at)) {
            return false;
        }
        at += part;
    }
    *r = (struct packed_reader){.begin = begin, .at = begin + 1, .end = end};
    return true;
}

bool packed_next(struct packed_reader *r, const void **out, size_t *out_len)
{
    if (r->at == r->end) {
        return false;
    }
    *out_len = length_at(r->at);
    *out = r->at + PACKED_LENGTH_BYTES;
    r->at += PACKED_LENGTH_BYTES + *out_len;
    return true;
}

void packed_begin(struct buf *out)
{
    buf_add_char(out, PACKED_MARK);
}

void packed_add(struct buf *out, const void *part, size_t len)
{
    const unsigned char length[PACKED_LENGTH_BYTES] = {
        (unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8),
        (unsigned char)len};

    if (len > UINT32_MAX) {
        out->failed = true;
        return;
    }
    buf_add(out, length, sizeof length);
    buf_add(out, part, len);
}
