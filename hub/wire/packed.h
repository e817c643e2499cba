/*
 * packed: the frames of a request laid one behind the other in a single frame (PROTOCOL.md,
 * "Packed").
 *
 * A message of one frame is on a connection or not. One of several can be half on it: libzmq 4.3.4
 * aborts the process that closes a socket in that moment when the connection breaks as well
 * (session_base.cpp, clean_pipes). It is cheaper too: a frame costs both sides more than its bytes.
 *
 * Threads: any; pure.
 */
#ifndef NHUB_WIRE_PACKED_H
#define NHUB_WIRE_PACKED_H

#include "base/buf.h"

/* The first byte; no message type begins with it. */
#define PACKED_MARK 0x01
/* Bytes in front of each part: its length, unsigned, big-endian. */
#define PACKED_LENGTH_BYTES 4

/* Reads part by part. */
struct packed_reader {
    const unsigned char *begin, *at, *end;
};

/* Begins to read a frame, which must outlive the reader. False when it is not packed, or a length
 * in it is wrong: all of them are checked here. */
bool packed_open(struct packed_reader *r, const void *frame, size_t len);
/* The next part; false behind the last one. */
bool packed_next(struct packed_reader *r, const void **out, size_t *out_len);

/* Writes: an opened buffer, then each part. A part over 4 GiB sets out->failed. */
void packed_begin(struct buf *out);
void packed_add(struct buf *out, const void *part, size_t len);

#endif
