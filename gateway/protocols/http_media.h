/*
 * http_media: what a request says about media types: the form of a body (Content-Type) and the form
 * of the wanted answer (Accept, Accept-Encoding).
 *
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_MEDIA_H
#define GATEWAY_PROTOCOLS_HTTP_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

/* How the body of POST /events is to be read. */
enum body_form {
    BODY_JSON,     /* one event, or an array of them */
    BODY_SNIFF,    /* the same, if the first non-blank byte is { or [ (curl -d, text/plain, none) */
    BODY_NDJSON,   /* one event on each line */
    BODY_CE,       /* one CloudEvent, structured mode */
    BODY_CE_BATCH, /* an array of them */
    BODY_CE_BINARY, /* the attributes are in ce-* headers, the body is the data */
    BODY_UNSUPPORTED
};

/* type may be NULL (no Content-Type). has_ce_headers: the request has a ce-specversion header
 * (CloudEvents HTTP binding 1.0, section 3.1). */
enum body_form media_body_form(const char *type, size_t len, bool has_ce_headers);

/* True when text/event-stream is named in the Accept header and wanted at least as much as JSON
 * (RFC 9110, section 12.5.1). accept may be NULL. */
bool media_wants_event_stream(const char *accept, size_t len);

/* True when the Accept-Encoding header takes gzip (RFC 9110, section 12.5.3). encodings may be
 * NULL: without the header nothing is packed. */
bool media_takes_gzip(const char *encodings, size_t len);

#endif
