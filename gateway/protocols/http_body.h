/*
 * http_body: the body of POST /events as events: one, an array, NDJSON, or CloudEvents in their
 * three modes. All or nothing: the first bad event refuses the whole body.
 *
 * No JSON tree is built: each event is scanned once and rendered as the canonical line without a
 * position. What is missing is filled in here, so that the answer can name it: source_service
 * "http", timestamp, correlation_id, the id from an Idempotency-Key, trace context in metadata.
 *
 * Pure but for the random correlation_id; a fuzz target drives it. Threads: any.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_BODY_H
#define GATEWAY_PROTOCOLS_HTTP_BODY_H

#include "base/buf.h"
#include "gateway/counters.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/http_media.h"
#include "wire/cloudevents.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_BODY_EVENTS_MAX  10000 /* the hub's limit for one request */
#define HTTP_BODY_IGNORED_MAX 16    /* unknown fields that an answer names */

/* What the head says about the body. Texts may be NULL and are lent for the call. */
struct body_context {
    enum body_form form;
    size_t max_event_bytes;
    const char *stats_event; /* the type that only the hub may use */
    int64_t now_us;
    const char *idempotency_key;
    const char *traceparent, *tracestate;
    const char *content_type;                   /* CE_BINARY */
    const struct cloudevent_header *ce_headers; /* CE_BINARY */
    size_t ce_header_count;
};

struct body_events {
    struct publish_event *events; /* owned; their lines are in `lines` */
    size_t count;
    bool is_batch;           /* the body had a form for many events: the answer has one, too */
    struct buf lines;        /* all rendered lines, one behind the other */
    struct buf correlation;  /* of a single event: its correlation_id as JSON text */
    bool filled_correlation; /* it is ours */
    struct buf ignored;      /* unknown fields: a JSON array of their names, empty without any */
};

/* Why the body is refused. */
struct body_refusal {
    enum reject_reason reason;
    char detail[200];
    const char *field; /* static, or NULL */
    bool has_offset, has_index, has_line;
    size_t offset; /* bytes from the start of the body */
    size_t index;  /* of the event, from 0 */
    size_t line;   /* NDJSON: from 1 */
};

/* Reads a complete body. *out is to be freed in every case.
 * Errors: NHUB_EPROTO with *refusal; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err body_read(const struct body_context *context, const char *text, size_t len,
                                 struct body_events *out, struct body_refusal *refusal);
void body_events_free(struct body_events *b);

#define BODY_KEY_MAX 1018 /* with the longest "/9999" it is still an id of 1024 bytes */
/* True for a header value of UTF-8 without control characters that may become an event's id.
 * Quotes around it (a structured string, RFC 9651) are taken off: *value and *len move. */
bool body_key_valid(const char **value, size_t *len);
/* True for a W3C Trace Context traceparent of version 00. */
bool body_traceparent_valid(const char *text);

#endif
