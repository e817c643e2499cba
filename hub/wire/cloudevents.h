/*
 * cloudevents: CloudEvents 1.0 (JSON event format; HTTP protocol binding) to and from our event.
 *
 *   type <-> event_type, source <-> source_service, id <-> id, time <-> timestamp, data <-> data,
 *   correlationid <-> correlation_id, nhkind <-> kind; traceparent, tracestate <-> metadata of the
 *   same names; subject, datacontenttype, dataschema and other extensions <-> metadata "ce-<name>";
 *   data_base64 <-> data as string plus metadata "ce-encoding": "base64" (an extension that is
 *   called encoding <-> "ce-ext-encoding"); nhmetadata, a string with a JSON object, <-> the
 *   metadata whose names are no attribute's. nhseq and nhepoch are written, and ignored in input.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_CLOUDEVENTS_H
#define NHUB_WIRE_CLOUDEVENTS_H

#include "base/buf.h"
#include "wire/event.h"

/* One structured CloudEvent (JSON object) to an event's JSON object, appended to *out: for
 * event_parse(), which checks the values. Without data the event has none. Errors: NHUB_EPROTO with
 * *error, NHUB_ENOMEM; *out is as before then. */
NHUB_MUST_USE nhub_err cloudevent_to_event(const char *text, size_t len, struct buf *out,
                                           struct event_error *error);

struct cloudevent_header {
    const char *name;  /* without "ce-", lower case */
    const char *value; /* unquoted and percent-decoded here (HTTP binding, section 3.1.3.2) */
};
/* Binary mode: attributes from ce-* headers, the body as data (JSON when content_type says so, else
 * a string; base64 when it is not UTF-8; no data when it is empty). Errors as above. */
NHUB_MUST_USE nhub_err cloudevent_binary_to_event(const struct cloudevent_header *headers,
                                                  size_t count, const char *content_type,
                                                  const char *body, size_t body_len,
                                                  struct buf *out, struct event_error *error);
/* A canonical event line to a structured CloudEvent, appended to *out (specversion 1.0; without an
 * id the position is the id; seq and epoch become extensions "nhseq" and "nhepoch", strings because
 * integers of CloudEvents end at 2^31-1; an empty source is "/"; a timestamp outside the years 0 to
 * 9999 is left out; NaN and Infinity become null). Errors: NHUB_EPROTO, NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err event_to_cloudevent(const char *line, size_t len, struct buf *out);

#endif
