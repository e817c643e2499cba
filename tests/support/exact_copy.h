/*
 * exact_copy: bytes in memory that ends where they end, so that the address sanitizer sees a look
 * beyond them. To be freed.
 */
#ifndef TESTS_SUPPORT_EXACT_COPY_H
#define TESTS_SUPPORT_EXACT_COPY_H

#include <stdlib.h>
#include <string.h>

/* A literal and its length, NUL bytes inside it included. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static inline char *exact_copy(const void *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    if (!copy) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

#endif
