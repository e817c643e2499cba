/*
 * event: events and positions as a program sees them.
 *
 * The hub numbers every event. (epoch, seq) names one for ever; the text form "epoch-seq" is a
 * position, which a program may store and give back as `since` to go on behind it.
 *
 * Threads: an event is immutable; any thread may read one that nobody destroys meanwhile.
 */
#ifndef NOTIFYHUB_EVENT_H
#define NOTIFYHUB_EVENT_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NHUB_EPOCH_LEN         8
#define NHUB_POSITION_TEXT_MAX 32 /* with the NUL */

typedef struct nhub_position {
    char epoch[NHUB_EPOCH_LEN + 1]; /* 8 of a-z 2-7, the first a letter; "" = unknown */
    uint64_t seq;                   /* 1 and up; 0 names the point before the first event */
} nhub_position;

/* Writes "epoch-seq" and a NUL; returns the length without it. */
NHUB_API size_t nhub_position_format(const nhub_position *position,
                                     char out[NHUB_POSITION_TEXT_MAX]);
/* Errors: NHUB_EINVAL when text is no position. */
NHUB_API NHUB_MUST_USE nhub_err nhub_position_parse(const char *text, nhub_position *out);

/* Bytes in somebody else's memory; not NUL-terminated. p is NULL when there is nothing. */
typedef struct nhub_bytes {
    const char *p;
    size_t len;
} nhub_bytes;

typedef enum nhub_field {
    NHUB_FIELD_EVENT_TYPE,
    NHUB_FIELD_SOURCE_SERVICE,
    NHUB_FIELD_DATA,
    NHUB_FIELD_TIMESTAMP,
    NHUB_FIELD_CORRELATION_ID,
    NHUB_FIELD_ID,
    NHUB_FIELD_KIND,
    NHUB_FIELD_METADATA
} nhub_field;

typedef struct nhub_event nhub_event;

/* An event from its JSON line (a copy is made) in *out, owned by the caller; this is also how an
 * event that was lent is kept: nhub_event_create(&mine, nhub_event_json(lent)).
 * Errors: NHUB_EPROTO no event; NHUB_ENOMEM. */
NHUB_API NHUB_MUST_USE nhub_err nhub_event_create(nhub_event **out, nhub_bytes json);
/* Frees it and sets *event_p to NULL. NULL is fine. */
NHUB_API void nhub_event_destroy(nhub_event **event_p);

/* All that the following calls give is lent for as long as the event lives. */

/* The type, decoded and NUL-terminated, 1 to 255 bytes. */
NHUB_API const char *nhub_event_type(const nhub_event *event);
/* The whole event: one line of JSON, byte for byte as the hub wrote it. */
NHUB_API nhub_bytes nhub_event_json(const nhub_event *event);
/* The publisher's data: one JSON value, byte for byte. */
NHUB_API nhub_bytes nhub_event_data(const nhub_event *event);
/* Any member as JSON text (a string with its quotes); {NULL, 0} when it is absent. */
NHUB_API nhub_bytes nhub_event_raw(const nhub_event *event, nhub_field field);
/* A string member decoded, with a NUL behind it; *out_len (may be NULL) without the NUL.
 * Errors: NHUB_ENOTFOUND absent; NHUB_EINVAL the member is no string; NHUB_ETOOBIG over cap. */
NHUB_API NHUB_MUST_USE nhub_err nhub_event_string(const nhub_event *event, nhub_field field,
                                                  char *out, size_t cap, size_t *out_len);
/* Seconds since 1970, 0 when there is none. */
NHUB_API double nhub_event_timestamp(const nhub_event *event);
/* Where the event stands; epoch "" when it comes from a hub that gives no numbers. */
NHUB_API nhub_position nhub_event_position(const nhub_event *event);
/* True when events with a higher number were delivered before it (see subscriber.h, "Order"). */
NHUB_API bool nhub_event_is_late(const nhub_event *event);

#ifdef __cplusplus
}
#endif
#endif
