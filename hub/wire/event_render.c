/*
 * Writing the canonical line. The publisher's values are copied as they stand; only blanks between
 * the top-level members are ours.
 */
#include "wire/event.h"

#include <string.h>

#define MICROSECONDS INT64_C(1000000)

/* All keys, colons, commas and brackets of a line with every field, generously. */
#define FRAME_MAX 256
/* Minus, 13 digits of seconds at most for an int64_t of microseconds, point, 6 digits. */
#define TIMESTAMP_MAX   24
#define CORRELATION_LEN 36

static size_t text_length(const char *text)
{
    return text ? strlen(text) : 0;
}

size_t event_render_max(const struct event *e, const struct event_fill *fill, size_t text_len)
{
    (void)e; /* every value of the publisher is a part of the text */
    return text_len + FRAME_MAX + TIMESTAMP_MAX + CORRELATION_LEN +
           text_length(fill->default_source) + text_length(fill->id) +
           text_length(fill->extra_metadata) + POSITION_TEXT_MAX;
}

static char *put(char *out, const char *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return out + len;
}

#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

static char *put_text(char *out, const char *text)
{
    return put(out, text, strlen(text));
}

static char *put_span(char *out, const struct json_span *span)
{
    return span->has_newline ? out + json_one_line(span->p, span->len, out)
                             : put(out, span->p, span->len);
}

static char *put_u64(char *out, uint64_t value)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(out, digits + sizeof digits - count, count);
}

/* Seconds with 6 digits behind the point. */
static char *put_timestamp(char *out, int64_t us)
{
    const uint64_t magnitude = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    uint64_t fraction = magnitude % (uint64_t)MICROSECONDS;

    if (us < 0) {
        *out++ = '-';
    }
    out = put_u64(out, magnitude / (uint64_t)MICROSECONDS);
    *out++ = '.';
    for (int i = 5; i >= 0; i--) {
        out[i] = (char)('0' + fraction % 10);
        fraction /= 10;
    }
    return out + 6;
}

/* True when the publisher's metadata has the key that name spells. */
static bool has_key(const struct json_span *metadata, const struct json_span *name)
{
    struct json_span other, value;
    struct json_report report;
    size_t pos = 0;

    while (json_scan_member(metadata->p, metadata->len, &pos, NULL, &other, &value, &report) ==
           NHUB_OK) {
        /* A key that the publisher spells with escapes is not found: then both stand in the
         * object, and readers take the last one. */
        if (other.len == name->len && memcmp(other.p, name->p, name->len) == 0) {
            return true;
        }
    }
    return false;
}

/* {publisher's members, extra members that he has not}. */
static char *put_merged(char *out, const struct json_span *metadata, const char *extra)
{
    struct json_span name, value;
    struct json_report report;
    size_t pos = 0;
    char *end = put_span(out, metadata) - 1;

    while (end[-1] == ' ') {
        end--;
    }
    while (json_scan_member(extra, strlen(extra), &pos, NULL, &name, &value, &report) == NHUB_OK) {
        if (has_key(metadata, &name)) {
            continue;
        }
        if (end[-1] != '{') {
            *end++ = ',';
        }
        end = put(end, name.p, name.len);
        *end++ = ':';
        end = put_span(end, &value);
    }
    *end++ = '}';
    return end;
}

static char *put_optional(char *out, const struct event *e, const struct event_fill *fill)
{
    if (e->field[EVENT_ID].kind != JSON_ABSENT) {
        out = put_span(PUT(out, ",\"id\":"), &e->field[EVENT_ID]);
    } else if (fill->id) {
        out = put_text(PUT(out, ",\"id\":"), fill->id);
    }
    if (e->field[EVENT_KIND].kind != JSON_ABSENT) {
        out = put_span(PUT(out, ",\"kind\":"), &e->field[EVENT_KIND]);
    }
    if (e->field[EVENT_METADATA].kind != JSON_ABSENT && fill->extra_metadata) {
        out =
            put_merged(PUT(out, ",\"metadata\":"), &e->field[EVENT_METADATA], fill->extra_metadata);
    } else if (e->field[EVENT_METADATA].kind != JSON_ABSENT) {
        out = put_span(PUT(out, ",\"metadata\":"), &e->field[EVENT_METADATA]);
    } else if (fill->extra_metadata) {
        out = put_text(PUT(out, ",\"metadata\":"), fill->extra_metadata);
    }
    return out;
}

size_t event_render(const struct event *e, const struct event_fill *fill,
                    const struct position *position, char *out)
{
    const struct json_span *field = e->field;
    char *p = PUT(out, "{\"event_type\":");

    p = put_span(p, &field[EVENT_TYPE]);
    p = PUT(p, ",\"source_service\":");
    p = field[EVENT_SOURCE].kind != JSON_ABSENT ? put_span(p, &field[EVENT_SOURCE])
                                                : put_text(p, fill->default_source);
    p = PUT(p, ",\"data\":");
    p = field[EVENT_DATA].kind != JSON_ABSENT ? put_span(p, &field[EVENT_DATA]) : PUT(p, "{}");
    p = PUT(p, ",\"timestamp\":");
    p = field[EVENT_TIMESTAMP].kind != JSON_ABSENT ? put_span(p, &field[EVENT_TIMESTAMP])
                                                   : put_timestamp(p, fill->now_us);
    p = PUT(p, ",\"correlation_id\":");
    if (field[EVENT_CORRELATION].kind != JSON_ABSENT) {
        p = put_span(p, &field[EVENT_CORRELATION]);
    } else {
        *p++ = '"';
        p = put(p, fill->correlation_id, CORRELATION_LEN);
        *p++ = '"';
    }
    p = put_optional(p, e, fill);
    if (position) {
        p = put_u64(PUT(p, ",\"seq\":"), position->seq);
        p = put(PUT(p, ",\"epoch\":\""), position->epoch, EPOCH_LEN);
        *p++ = '"';
    }
    *p++ = '}';
    return (size_t)(p - out);
}
