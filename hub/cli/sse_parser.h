/*
 * sse_parser: bytes of a text/event-stream in any pieces, messages out (WHATWG HTML,
 * section 9.2.6).
 *
 * A message is dispatched at its blank line. Lines end with CR, LF or CRLF; a byte order mark at
 * the start is skipped; comments and unknown fields are passed over. An id is remembered over
 * messages, as the standard says; one with a NUL is ignored. A message larger than max_bytes is an
 * error: the rest of the stream is not parsed.
 *
 * Threads: none inside; pure but for its memory.
 */
#ifndef NHUB_CLI_SSE_PARSER_H
#define NHUB_CLI_SSE_PARSER_H

#include "base/buf.h"

struct sse_parser;

/* All lent for the call. */
struct sse_message {
    const char *name; /* "message" without an event: line */
    const char *data; /* NUL-terminated; lines joined by LF */
    size_t data_len;
    const char *id; /* the last one given, "" before */
};
/* Returns false to stop. */
typedef bool sse_message_fn(void *context, const struct sse_message *message);

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err sse_parser_create(struct sse_parser **out, size_t max_bytes,
                                         sse_message_fn *fn, void *context);
void sse_parser_destroy(struct sse_parser **p_p);
/* Errors: NHUB_ETOOBIG; NHUB_ENOMEM; NHUB_ECLOSED the callback said stop. After an error all
 * further bytes give the same. */
NHUB_MUST_USE nhub_err sse_parser_feed(struct sse_parser *p, const char *bytes, size_t len);
/* The connection was lost: what is unfinished is forgotten, the id is kept. */
void sse_parser_reset(struct sse_parser *p);
const char *sse_parser_last_id(const struct sse_parser *p);
/* The last retry: time in ms, -1 when none was given. */
int64_t sse_parser_retry_ms(const struct sse_parser *p);

#endif
