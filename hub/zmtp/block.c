/*
 * block: created with its bytes behind it, or over bytes that exist.
 */
#include "zmtp/block.h"

#include <stdint.h>
#include <stdlib.h>

nhub_err block_create(struct block **out, size_t cap)
{
    struct block *b = cap <= SIZE_MAX - sizeof *b ? malloc(sizeof *b + cap) : NULL;

    if (!b) {
        return NHUB_ENOMEM;
    }
    *b = (struct block){.refs = 1, .cap = cap, .bytes = (char *)(b + 1)};
    *out = b;
    return NHUB_OK;
}

nhub_err block_adopt(struct block **out, char *bytes, size_t len)
{
    struct block *b = malloc(sizeof *b);

    if (!b) {
        return NHUB_ENOMEM;
    }
    *b = (struct block){.refs = 1, .len = len, .cap = len, .bytes = bytes};
    *out = b;
    return NHUB_OK;
}

struct block *block_ref(struct block *b)
{
    b->refs++;
    return b;
}

void block_unref(struct block **b_p)
{
    struct block *b = *b_p;

    *b_p = NULL;
    if (!b || --b->refs > 0) {
        return;
    }
    if (b->gone) {
        b->gone(b->context, b);
    }
    if (b->bytes != (char *)(b + 1)) {
        free(b->bytes);
    }
    free(b);
}
