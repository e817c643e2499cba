/*
 * uuid: random identifiers. Threads: any (one generator a thread, seeded and refilled by
 * getrandom(2)).
 */
#ifndef NHUB_BASE_UUID_H
#define NHUB_BASE_UUID_H

#include <stddef.h>

#define UUID_TEXT_LEN 36

void random_bytes(void *out, size_t n);
/* A version 4 UUID (RFC 9562, section 5.4) as 36 lower-case characters, no NUL behind them. About
 * 0.1 µs. */
void uuid_v4(char out[UUID_TEXT_LEN]);

#endif
