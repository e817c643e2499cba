/*
 * event: the event's JSON as it comes in and as the hub writes it (design: PROTOCOL.md, "The
 * event").
 *
 * event_parse() checks one object in one pass and remembers where each field stands; event_render()
 * writes the canonical line: event_type, source_service, data, timestamp, correlation_id, then id,
 * kind, metadata if given, then seq and epoch. Values of the publisher are copied byte for byte
 * (CR, LF, TAB outside strings become blanks).
 *
 * Threads: any; pure functions, no allocation.
 */
#ifndef NHUB_WIRE_EVENT_H
#define NHUB_WIRE_EVENT_H

#include "wire/json_scan.h"
#include "wire/position.h"

#define EVENT_TYPE_MAX 255
#define EVENT_ID_MAX   1024

enum event_field {
    EVENT_TYPE,
    EVENT_SOURCE,
    EVENT_DATA,
    EVENT_TIMESTAMP,
    EVENT_CORRELATION,
    EVENT_ID,
    EVENT_KIND,
    EVENT_METADATA,
    EVENT_SEQ, /* accepted and ignored in input; filled by event_parse_numbered() */
    EVENT_EPOCH,
    EVENT_FIELDS
};

/* Who wrote it decides what may be missing. */
enum event_door {
    EVENT_DOOR_ZEROMQ, /* event_type, source_service and the key data are required; null there (but
                          in data) is an error */
    EVENT_DOOR_HTTP    /* source_service and data have defaults; NaN and Infinity are refused */
};

/* Why an event is refused: stable words for counters, answers and problem+json. */
enum event_reason {
    EVENT_OK,
    EVENT_BAD_JSON,      /* "bad_json": with the offset */
    EVENT_NOT_OBJECT,    /* "not_an_object" */
    EVENT_MISSING_FIELD, /* "missing_field" */
    EVENT_WRONG_TYPE,    /* "wrong_type": a field of the wrong JSON type */
    EVENT_BAD_VALUE,     /* "bad_value": empty or too long event_type, control characters or half a
                            surrogate pair in it; unknown kind; id empty, too long or half a pair */
    EVENT_RESERVED_TYPE, /* "reserved_type": begins with hub. or is the statistics event */
    EVENT_NONFINITE,     /* "nonfinite_number": NaN or Infinity at a door that speaks strict JSON */
    EVENT_TOO_BIG,       /* "too_big": set by the callers, who know the limit */
    EVENT_REASONS
};
const char *event_reason_code(enum event_reason reason); /* "ok" for EVENT_OK */
const char *event_field_name(enum event_field field);    /* "event_type" … */

struct event {
    struct json_span field[EVENT_FIELDS]; /* null counts as absent except for data */
    char type[EVENT_TYPE_MAX + 1];        /* decoded, NUL behind it for convenience */
    size_t type_len;
    bool has_nonfinite; /* in data: needs a second rendering for strict readers */
    bool has_newline;   /* CR, LF or TAB outside strings in data or metadata */
    size_t ignored;     /* unknown top-level members */
};

struct event_error {
    enum event_reason reason;
    const char *detail; /* static text for the sender, "member \"data\" is missing" … */
    const char *field;  /* name of the field, or NULL */
    size_t offset;      /* for EVENT_BAD_JSON, EVENT_NOT_OBJECT and EVENT_NONFINITE; 0 else */
};

/* Parses a publisher's event. stats_event: the type that only the hub may use, or NULL.
 * Spans point into text. Errors: NHUB_EPROTO with *error. unknown may be NULL (see json_scan.h). */
NHUB_MUST_USE nhub_err event_parse(const char *text, size_t len, enum event_door door,
                                   const char *stats_event, json_unknown_fn *unknown, void *context,
                                   struct event *out, struct event_error *error);
/* Parses an event that the hub makes itself: reserved types are allowed. Errors: NHUB_EPROTO with
 * *error. */
NHUB_MUST_USE nhub_err event_parse_own(const char *text, size_t len, struct event *out,
                                       struct event_error *error);
/* Parses a line as event_render() writes it with a position: like EVENT_DOOR_ZEROMQ, reserved types
 * included; seq and epoch are required and read into *position (may be NULL). Errors: NHUB_EPROTO.
 */
NHUB_MUST_USE nhub_err event_parse_numbered(const char *line, size_t len, struct event *out,
                                            struct position *position);
/* A string field's decoded value (source_service, correlation_id, id, kind …) into out.
 * Errors: NHUB_ENOTFOUND absent; NHUB_EINVAL no string field; NHUB_ETOOBIG. */
NHUB_MUST_USE nhub_err event_string(const struct event *e, enum event_field field, char *out,
                                    size_t cap, size_t *out_len);

struct event_fill {
    const char *default_source; /* JSON text with quotes when source_service is absent; NULL if it
                                   cannot be */
    int64_t now_us;             /* for a missing timestamp: written as seconds with 6 digits */
    const char *correlation_id; /* 36 characters for a missing one */
    const char
        *id; /* JSON text with quotes used when the event has no id (Idempotency-Key), or NULL */
    const char
        *extra_metadata; /* JSON object of strings merged behind the publisher's metadata
                            (traceparent), or NULL; of a key in both the publisher's counts */
};
/* Room that event_render() needs at most. */
size_t event_render_max(const struct event *e, const struct event_fill *fill, size_t text_len);
/* Writes the canonical line; position NULL leaves seq and epoch out (a gateway that passes it on to
 * the hub). Returns the bytes written (no NUL). */
size_t event_render(const struct event *e, const struct event_fill *fill,
                    const struct position *position, char *out);

/* Reads seq and epoch from the end of a canonical line, without scanning the rest (O(1)).
 * Errors: NHUB_EPROTO when it does not end as event_render() writes it. */
NHUB_MUST_USE nhub_err event_tail_position(const char *line, size_t len, struct position *out);

#endif
