/*
 * http_chunks: takes the chunked coding off a body (RFC 9112, section 7.1), piece by piece.
 *
 * Extensions and trailers are read and forgotten, and bounded. A line ends with CR LF, nothing
 * else: where two readers could see different ends, a stranger could hide a request between them.
 * Threads: none inside; pure; a fuzz target drives it.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_CHUNKS_H
#define GATEWAY_PROTOCOLS_HTTP_CHUNKS_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CHUNKS_DIGITS_MAX    16   /* of the size of a chunk, zeros before it among them */
#define HTTP_CHUNKS_EXTENSION_MAX 1024 /* bytes behind the size of a chunk */
#define HTTP_CHUNKS_TRAILERS_MAX  8192 /* bytes behind the last chunk */

enum http_chunks_state {
    HTTP_CHUNKS_SIZE, /* before the first digit, the state of a zeroed struct */
    HTTP_CHUNKS_DIGITS,
    HTTP_CHUNKS_BLANKS, /* behind the digits */
    HTTP_CHUNKS_EXTENSION,
    HTTP_CHUNKS_SIZE_LF,
    HTTP_CHUNKS_DATA,
    HTTP_CHUNKS_DATA_CR,
    HTTP_CHUNKS_DATA_LF,
    HTTP_CHUNKS_TRAILER, /* at the start of a line */
    HTTP_CHUNKS_TRAILER_LINE,
    HTTP_CHUNKS_TRAILER_LF,
    HTTP_CHUNKS_LAST_LF,
    HTTP_CHUNKS_DONE
};

struct http_chunks {
    enum http_chunks_state state;
    uint64_t left;   /* of the chunk, or of its size what was read */
    size_t overhead; /* of the size, the extension, or the trailers */
};

/* Takes bytes from *text until it has a piece of the body, which lies in them, or they are used up
 * (*data_len is 0 then), or the body ends. Errors: NHUB_EPROTO. */
NHUB_MUST_USE nhub_err http_chunks_next(struct http_chunks *c, const char **text, size_t *len,
                                        const char **data, size_t *data_len);
bool http_chunks_is_done(const struct http_chunks *c);

#endif
