/* blob: counted bytes in one allocation with their count. */
#include "base/blob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

nhub_err blob_create(struct blob **out, size_t len)
{
    struct blob *b = NULL;

    if (len > SIZE_MAX - sizeof *b) {
        return NHUB_ENOMEM;
    }
    b = malloc(sizeof *b + len);
    if (!b) {
        return NHUB_ENOMEM;
    }
    atomic_init(&b->refs, 1);
    b->len = len;
    *out = b;
    return NHUB_OK;
}

nhub_err blob_copy(struct blob **out, const void *bytes, size_t len)
{
    struct blob *b = NULL;
    const nhub_err err = blob_create(&b, len);

    if (err != NHUB_OK) {
        return err;
    }
    if (len > 0) {
        memcpy(b->bytes, bytes, len);
    }
    *out = b;
    return NHUB_OK;
}

struct blob *blob_ref(struct blob *b)
{
    /* Relaxed is enough: whoever refs already holds a reference that keeps the blob alive. */
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_unref(struct blob **b_p)
{
    struct blob *b = *b_p;

    if (!b) {
        return;
    }
    *b_p = NULL;
    /* Release orders our reads before the count falls, acquire orders them before the free. */
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) {
        free(b);
    }
}
