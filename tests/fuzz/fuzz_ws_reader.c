// libs: gateway_core
/*
 * Frames of clients: whatever the bytes, parts lie inside them, and a stream that comes in pieces
 * says the same as one that comes at once. The first byte of an input is the size of the pieces.
 */
#include "gateway/protocols/ws_reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that was said: messages and control frames each in one text, with the ends of them. */
struct said {
    struct buf text[2];
    bool is_broken;
};

static void note(struct said *said, const struct ws_part *part)
{
    struct buf *to = &said->text[part->kind == WS_PART_CONTROL];

    if (part->kind == WS_PART_BROKEN) {
        if (!part->reason) {
            abort();
        }
        said->is_broken = true;
    } else if (part->kind != WS_PART_NONE) {
        if (part->kind == WS_PART_CONTROL && (part->left > WS_CONTROL_MAX || part->opcode < 8)) {
            abort();
        }
        buf_add(to, part->bytes, part->len);
        if (part->is_last) {
            buf_printf(to, "<%d>", (int)part->opcode);
        }
    }
}

static void read_all(const uint8_t *data, size_t size, size_t piece, struct said *said)
{
    struct ws_reader reader = {0};
    struct ws_part part;

    memset(said, 0, sizeof *said);
    for (size_t at = 0; at < size && !said->is_broken; at += piece) {
        const size_t n = size - at < piece ? size - at : piece;
        char *bytes = malloc(n); /* its own block, so that a step beside it is seen */
        size_t used = 0;

        if (!bytes) {
            abort();
        }
        memcpy(bytes, data + at, n);
        while (used < n && !said->is_broken) {
            const size_t step = ws_reader_next(&reader, bytes + used, n - used, &part);

            if (step == 0 || step > n - used || part.len > step ||
                (part.len > 0 &&
                 (part.bytes < bytes + used || part.bytes + part.len > bytes + n))) {
                abort();
            }
            note(said, &part);
            used += step;
        }
        free(bytes);
    }
}

static void compare(struct buf *a, struct buf *b)
{
    if (a->len != b->len || (a->len > 0 && memcmp(a->data, b->data, a->len) != 0)) {
        abort();
    }
    buf_fini(a);
    buf_fini(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct said whole;
    struct said pieces;

    if (size < 2) {
        return 0;
    }
    read_all(data + 1, size - 1, size - 1, &whole);
    read_all(data + 1, size - 1, (size_t)(data[0] % 32) + 1, &pieces);
    if (whole.is_broken != pieces.is_broken) {
        abort();
    }
    compare(&whole.text[0], &pieces.text[0]);
    compare(&whole.text[1], &pieces.text[1]);
    return 0;
}
