/*
 * utf8: whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above
 * U+10FFFF). Threads: any; pure.
 */
#ifndef NHUB_BASE_UTF8_H
#define NHUB_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length, 1 to 4, of the well-formed sequence that begins at p; 0 when there is none.
 * left: bytes from p on, >= 1. */
size_t utf8_sequence(const char *p, size_t left);
bool utf8_is_valid(const char *text, size_t len);

#endif
