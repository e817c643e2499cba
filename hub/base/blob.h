/*
 * blob: counted, immutable bytes that many owners share without a copy or a lock.
 *
 * Whoever creates one fills `bytes` before the first share; afterwards nobody writes.
 * Threads: any may ref and unref; the last unref frees.
 */
#ifndef NHUB_BASE_BLOB_H
#define NHUB_BASE_BLOB_H

#include <notifyhub/error.h>
#include <stdatomic.h>
#include <stddef.h>

struct blob {
    atomic_uint refs;
    size_t len;
    char bytes[];
};

/* A blob of len uninitialised bytes with one reference in *out. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err blob_create(struct blob **out, size_t len);
/* The same, filled with a copy of bytes. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err blob_copy(struct blob **out, const void *bytes, size_t len);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob **b_p); /* sets *b_p to NULL; a NULL is fine */

#endif
