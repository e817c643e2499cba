/*
 * Reading events: the scanner's spans, and the rules for each field. The canonical line is written
 * in event_render.c.
 */
#include "wire/event.h"

#include <string.h>

#include "wire/pattern.h"

/* What each field is called, must be, and is said about it. */
static const struct field_rule {
    struct json_key key;
    enum json_kind kind; /* JSON_ABSENT: any */
    const char *wrong_type;
} rules[EVENT_FIELDS] = {
    [EVENT_TYPE] = {JSON_KEY("event_type"), JSON_STRING, "event_type must be a string"},
    [EVENT_SOURCE] = {JSON_KEY("source_service"), JSON_STRING, "source_service must be a string"},
    [EVENT_DATA] = {JSON_KEY("data"), JSON_ABSENT, NULL},
    [EVENT_TIMESTAMP] = {JSON_KEY("timestamp"), JSON_NUMBER,
                         "timestamp must be a number (seconds since 1970)"},
    [EVENT_CORRELATION] = {JSON_KEY("correlation_id"), JSON_STRING,
                           "correlation_id must be a string"},
    [EVENT_ID] = {JSON_KEY("id"), JSON_STRING, "id must be a string"},
    [EVENT_KIND] = {JSON_KEY("kind"), JSON_STRING, "kind must be a string"},
    [EVENT_METADATA] = {JSON_KEY("metadata"), JSON_OBJECT, "metadata must be an object of strings"},
    [EVENT_SEQ] = {JSON_KEY("seq"), JSON_ABSENT, NULL},
    [EVENT_EPOCH] = {JSON_KEY("epoch"), JSON_ABSENT, NULL},
};

/* The scanner wants the keys alone. */
static const struct json_key keys[EVENT_FIELDS] = {
    JSON_KEY("event_type"), JSON_KEY("source_service"), JSON_KEY("data"),
    JSON_KEY("timestamp"),  JSON_KEY("correlation_id"), JSON_KEY("id"),
    JSON_KEY("kind"),       JSON_KEY("metadata"),       JSON_KEY("seq"),
    JSON_KEY("epoch"),
};

const char *event_reason_code(enum event_reason reason)
{
    switch (reason) {
    case EVENT_OK:
        return "ok";
    case EVENT_BAD_JSON:
        return "bad_json";
    case EVENT_NOT_OBJECT:
        return "not_an_object";
    case EVENT_MISSING_FIELD:
        return "missing_field";
    case EVENT_WRONG_TYPE:
        return "wrong_type";
    case EVENT_BAD_VALUE:
        return "bad_value";
    case EVENT_RESERVED_TYPE:
        return "reserved_type";
    case EVENT_NONFINITE:
        return "nonfinite_number";
    case EVENT_TOO_BIG:
        return "too_big";
    case EVENT_REASONS:
        break;
    }
    return "unknown";
}

const char *event_field_name(enum event_field field)
{
    return (unsigned)field < EVENT_FIELDS ? keys[field].name : "unknown";
}

static nhub_err refuse(struct event_error *error, enum event_reason reason, enum event_field field,
                       const char *detail)
{
    *error = (struct event_error){.reason = reason,
                                  .detail = detail,
                                  .field = field < EVENT_FIELDS ? keys[field].name : NULL};
    return NHUB_EPROTO;
}

static nhub_err refuse_text(struct event_error *error, const struct json_report *report)
{
    const enum event_reason reason = report->not_object ? EVENT_NOT_OBJECT : EVENT_BAD_JSON;

    NHUB_IGNORE(refuse(error, reason, EVENT_FIELDS, report->error)); /* the code is known */
    error->offset = report->error_offset;
    return NHUB_EPROTO;
}

/* One pass over the text: spans, and what concerns all of it. */
static nhub_err scan(const char *text, size_t len, enum event_door door, json_unknown_fn *unknown,
                     void *context, struct event *out, struct event_error *error)
{
    const struct json_scan_options options = {
        .allow_nonfinite = true, .unknown = unknown, .context = context};
    struct json_report report;

    if (json_scan_object(text, len, keys, EVENT_FIELDS, &options, out->field, &report) != NHUB_OK) {
        return refuse_text(error, &report);
    }
    if (report.has_nonfinite && door == EVENT_DOOR_HTTP) {
        NHUB_IGNORE(refuse(error, EVENT_NONFINITE, EVENT_FIELDS, "NaN and Infinity are not JSON"));
        error->offset = report.nonfinite_offset;
        return NHUB_EPROTO;
    }
    out->ignored = report.unknown;
    out->has_nonfinite = out->field[EVENT_DATA].has_nonfinite;
    out->has_newline = out->field[EVENT_DATA].has_newline || out->field[EVENT_METADATA].has_newline;
    return NHUB_OK;
}

/* null is absent but in data; what is there must be of its type. */
static nhub_err check_types(struct event *e, struct event_error *error)
{
    for (int i = 0; i < EVENT_FIELDS; i++) {
        struct json_span *span = &e->field[i];

        if (span->kind == JSON_NULL && i != EVENT_DATA) {
            span->kind = JSON_ABSENT;
        }
        if (span->kind != JSON_ABSENT && rules[i].kind != JSON_ABSENT &&
            span->kind != rules[i].kind) {
            return refuse(error, EVENT_WRONG_TYPE, (enum event_field)i, rules[i].wrong_type);
        }
    }
    return NHUB_OK;
}

static nhub_err check_required(const struct event *e, enum event_door door,
                               struct event_error *error)
{
    if (e->field[EVENT_TYPE].kind == JSON_ABSENT) {
        return refuse(error, EVENT_MISSING_FIELD, EVENT_TYPE, "event_type is missing");
    }
    if (door == EVENT_DOOR_HTTP) {
        return NHUB_OK;
    }
    if (e->field[EVENT_SOURCE].kind == JSON_ABSENT) {
        return refuse(error, EVENT_MISSING_FIELD, EVENT_SOURCE, "source_service is missing");
    }
    if (e->field[EVENT_DATA].kind == JSON_ABSENT) {
        return refuse(error, EVENT_MISSING_FIELD, EVENT_DATA, "data is missing");
    }
    return NHUB_OK;
}

/* Decodes event_type into e->type. The scanner has checked its UTF-8. */
static nhub_err check_type(struct event *e, struct event_error *error)
{
    const struct json_span *span = &e->field[EVENT_TYPE];

    if (json_decode_string(span, e->type, EVENT_TYPE_MAX, &e->type_len) != NHUB_OK) {
        return refuse(error, EVENT_BAD_VALUE, EVENT_TYPE, "event_type is longer than 255 bytes");
    }
    if (e->type_len == 0) {
        return refuse(error, EVENT_BAD_VALUE, EVENT_TYPE, "event_type is empty");
    }
    if (json_has_lone_surrogate(span)) {
        return refuse(error, EVENT_BAD_VALUE, EVENT_TYPE,
                      "event_type has one half of a surrogate pair");
    }
    for (size_t i = 0; i < e->type_len; i++) {
        const unsigned char c = (unsigned char)e->type[i];

        if (c < 0x20 || c == 0x7F) {
            return refuse(error, EVENT_BAD_VALUE, EVENT_TYPE, "event_type has a control character");
        }
    }
    e->type[e->type_len] = '\0';
    return NHUB_OK;
}

/* The id decides what is a duplicate, so it must be exact: an empty one would make all events of a
 * careless publisher the same, and so would halves of surrogate pairs. */
static nhub_err check_id(const struct json_span *span, struct event_error *error)
{
    char decoded[EVENT_ID_MAX];
    size_t len = 0;

    if (span->kind == JSON_ABSENT) {
        return NHUB_OK;
    }
    if (json_decode_string(span, decoded, sizeof decoded, &len) != NHUB_OK) {
        return refuse(error, EVENT_BAD_VALUE, EVENT_ID, "id is longer than 1024 bytes");
    }
    if (len == 0) {
        return refuse(error, EVENT_BAD_VALUE, EVENT_ID, "id is empty");
    }
    if (json_has_lone_surrogate(span)) {
        return refuse(error, EVENT_BAD_VALUE, EVENT_ID, "id has one half of a surrogate pair");
    }
    return NHUB_OK;
}

static nhub_err check_kind(const struct json_span *span, struct event_error *error)
{
    static const char *const words[] = {"created",     "updated", "deleted", "activated",
                                        "deactivated", "error",   "custom"};
    char decoded[16];
    size_t len = 0;

    if (span->kind == JSON_ABSENT) {
        return NHUB_OK;
    }
    if (json_decode_string(span, decoded, sizeof decoded, &len) == NHUB_OK) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (strlen(words[i]) == len && memcmp(words[i], decoded, len) == 0) {
                return NHUB_OK;
            }
        }
    }
    return refuse(error, EVENT_BAD_VALUE, EVENT_KIND,
                  "kind must be one of created, updated, deleted, activated, deactivated, error, "
                  "custom");
}

static nhub_err check_metadata(const struct json_span *span, struct event_error *error)
{
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_span name, value;
    struct json_report report;
    size_t pos = 0;

    if (span->kind == JSON_ABSENT) {
        return NHUB_OK;
    }
    while (json_scan_member(span->p, span->len, &pos, &options, &name, &value, &report) ==
           NHUB_OK) {
        if (value.kind != JSON_STRING) {
            return refuse(error, EVENT_WRONG_TYPE, EVENT_METADATA,
                          rules[EVENT_METADATA].wrong_type);
        }
    }
    return NHUB_OK;
}

static nhub_err check_fields(struct event *e, enum event_door door, struct event_error *error)
{
    nhub_err err = check_types(e, error);

    if (err == NHUB_OK) {
        err = check_required(e, door, error);
    }
    if (err == NHUB_OK) {
        err = check_type(e, error);
    }
    if (err == NHUB_OK) {
        err = check_id(&e->field[EVENT_ID], error);
    }
    if (err == NHUB_OK) {
        err = check_kind(&e->field[EVENT_KIND], error);
    }
    if (err == NHUB_OK) {
        err = check_metadata(&e->field[EVENT_METADATA], error);
    }
    return err;
}

nhub_err event_parse(const char *text, size_t len, enum event_door door, const char *stats_event,
                     json_unknown_fn *unknown, void *context, struct event *out,
                     struct event_error *error)
{
    *error = (struct event_error){.reason = EVENT_OK};
    if (scan(text, len, door, unknown, context, out, error) != NHUB_OK ||
        check_fields(out, door, error) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    if (type_is_reserved(out->type, out->type_len, stats_event)) {
        return refuse(error, EVENT_RESERVED_TYPE, EVENT_TYPE, "event_type is reserved for the hub");
    }
    return NHUB_OK;
}

nhub_err event_parse_own(const char *text, size_t len, struct event *out, struct event_error *error)
{
    *error = (struct event_error){.reason = EVENT_OK};
    if (scan(text, len, EVENT_DOOR_ZEROMQ, NULL, NULL, out, error) != NHUB_OK ||
        check_fields(out, EVENT_DOOR_ZEROMQ, error) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    return NHUB_OK;
}

nhub_err event_parse_numbered(const char *line, size_t len, struct event *out,
                              struct position *position)
{
    const struct json_span *epoch = &out->field[EVENT_EPOCH];
    struct event_error error;
    struct position p = {0};

    if (scan(line, len, EVENT_DOOR_ZEROMQ, NULL, NULL, out, &error) != NHUB_OK ||
        check_fields(out, EVENT_DOOR_ZEROMQ, &error) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    if (json_span_u64(&out->field[EVENT_SEQ], &p.seq) != NHUB_OK || p.seq == 0 ||
        p.seq > INT64_MAX || epoch->kind != JSON_STRING || epoch->has_escape ||
        !epoch_valid(epoch->p + 1, epoch->len - 2)) {
        return NHUB_EPROTO;
    }
    memcpy(p.epoch, epoch->p + 1, EPOCH_LEN);
    if (position) {
        *position = p;
    }
    return NHUB_OK;
}

nhub_err event_string(const struct event *e, enum event_field field, char *out, size_t cap,
                      size_t *out_len)
{
    if (e->field[field].kind == JSON_ABSENT) {
        return NHUB_ENOTFOUND;
    }
    return json_decode_string(&e->field[field], out, cap, out_len);
}

/* The end of each line: ,"seq":<digits>,"epoch":"<8>"} */
#define SEQ_KEY   ",\"seq\":"
#define EPOCH_KEY ",\"epoch\":\""
#define TAIL_LEN  (sizeof EPOCH_KEY - 1 + EPOCH_LEN + 2) /* from the comma of the epoch on */

nhub_err event_tail_position(const char *line, size_t len, struct position *out)
{
    struct position p = {0};
    uint64_t unit = 1;
    size_t digits = 0;

    if (len < TAIL_LEN) {
        return NHUB_EPROTO;
    }
    const char *tail = line + len - TAIL_LEN;
    const char *epoch = tail + sizeof EPOCH_KEY - 1;

    if (memcmp(tail, EPOCH_KEY, sizeof EPOCH_KEY - 1) != 0 || !epoch_valid(epoch, EPOCH_LEN) ||
        epoch[EPOCH_LEN] != '"' || epoch[EPOCH_LEN + 1] != '}') {
        return NHUB_EPROTO;
    }
    while (digits < 19 && tail > line && tail[-1] >= '0' && tail[-1] <= '9') {
        tail--;
        digits++;
        p.seq += unit * (uint64_t)(*tail - '0');
        unit *= 10;
    }
    if (digits == 0 || *tail == '0' || p.seq > INT64_MAX ||
        (size_t)(tail - line) < sizeof SEQ_KEY - 1 ||
        memcmp(tail - (sizeof SEQ_KEY - 1), SEQ_KEY, sizeof SEQ_KEY - 1) != 0) {
        return NHUB_EPROTO;
    }
    memcpy(p.epoch, epoch, EPOCH_LEN);
    *out = p;
    return NHUB_OK;
}
