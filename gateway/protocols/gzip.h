/*
 * gzip: packs the body of an answer for a client that takes it so (RFC 1952).
 *
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_PROTOCOLS_GZIP_H
#define GATEWAY_PROTOCOLS_GZIP_H

#include "base/buf.h"

/* As small as it gets, for what is packed at the start and sent often; or quickly, for what is
 * packed while somebody waits. */
enum gzip_effort { GZIP_SMALL, GZIP_QUICK };

/* Puts the packed form of the bytes into out, which must be empty. Errors: NHUB_ENOMEM;
 * NHUB_ETOOBIG it would not be smaller. out is empty then, too. */
NHUB_MUST_USE nhub_err gzip_pack(const void *bytes, size_t len, enum gzip_effort effort,
                                 struct buf *out);

#endif
