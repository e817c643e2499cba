/*
 * http_body: splits a body into events, checks and renders them.
 *
 * Lines are gathered in one buffer that may move while it grows, so each event first remembers only
 * its length; the pointers are set when the last line is in.
 */
#include "gateway/protocols/http_body.h"

#include "base/uuid.h"
#include "wire/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IGNORED_NAME_MAX 256 /* bytes of an unknown field's name that an answer repeats */

struct reader {
    const struct body_context *context;
    const char *body; /* offsets in complaints count from here */
    struct body_events *out;
    struct body_refusal *refusal;
    size_t capacity; /* of out->events */
    size_t line;     /* NDJSON: the current one, from 1; 0 else */
    struct buf metadata;
    struct buf id;                   /* scratch: the id made from the key */
    struct buf converted;            /* scratch: a CloudEvent as event */
    char (*names)[IGNORED_NAME_MAX]; /* HTTP_BODY_IGNORED_MAX of them */
    size_t name_len[HTTP_BODY_IGNORED_MAX];
    size_t name_count;
};

static nhub_err refuse(struct reader *r, enum reject_reason reason, const char *format, ...)
    NHUB_PRINTF(3, 4);
static nhub_err refuse(struct reader *r, enum reject_reason reason, const char *format, ...)
{
    struct body_refusal *refusal = r->refusal;
    va_list args;

    memset(refusal, 0, sizeof *refusal);
    refusal->reason = reason;
    va_start(args, format);
    vsnprintf(refusal->detail, sizeof refusal->detail, format, args);
    va_end(args);
    if (r->out->is_batch) {
        refusal->has_index = true;
        refusal->index = r->out->count;
    }
    if (r->line > 0) {
        refusal->has_line = true;
        refusal->line = r->line;
    }
    return NHUB_EPROTO;
}

static nhub_err refuse_at(struct reader *r, enum reject_reason reason, size_t offset,
                          const char *detail)
{
    const nhub_err err = refuse(r, reason, "%s", detail);

    r->refusal->has_offset = true;
    r->refusal->offset = offset;
    return err;
}

/* What the event module found wrong with the text at `text`; converted texts have no offsets that
 * mean anything to the sender. */
static nhub_err refuse_event(struct reader *r, const struct event_error *error, const char *text,
                             bool is_original)
{
    const enum reject_reason reason = reject_reason_from_code(event_reason_code(error->reason));
    nhub_err err;

    if (is_original && (error->reason == EVENT_BAD_JSON || error->reason == EVENT_NONFINITE)) {
        err = refuse_at(r, reason, (size_t)(text - r->body) + error->offset, error->detail);
    } else {
        err = refuse(r, reason, "%s", error->detail);
    }
    r->refusal->field = error->field;
    return err;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The first byte that is no blank; '\0' when there is none. */
static char first_byte(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len && is_blank(text[at])) {
        at++;
    }
    return at < len ? text[at] : '\0';
}

/* json_unknown_fn: remembers the name of a field that is left out. */
static void remember_ignored(void *context, const struct json_span *name)
{
    struct reader *r = context;

    if (name->len > IGNORED_NAME_MAX || r->name_count == HTTP_BODY_IGNORED_MAX) {
        return;
    }
    for (size_t i = 0; i < r->name_count; i++) {
        if (r->name_len[i] == name->len && memcmp(r->names[i], name->p, name->len) == 0) {
            return;
        }
    }
    memcpy(r->names[r->name_count], name->p, name->len);
    r->name_len[r->name_count++] = name->len;
}

/* The id of the next event as JSON text, NULL without a key. */
static const char *next_id(struct reader *r)
{
    const char *key = r->context->idempotency_key;
    size_t len = key ? strlen(key) : 0;
    char numbered[EVENT_ID_MAX + 24];
    int n;

    if (!key || !body_key_valid(&key, &len)) {
        return NULL; /* the door has refused a bad key before */
    }
    n = r->out->is_batch
            ? snprintf(numbered, sizeof numbered, "%.*s/%zu", (int)len, key, r->out->count)
            : snprintf(numbered, sizeof numbered, "%.*s", (int)len, key);
    buf_reset(&r->id);
    buf_add_json_string(&r->id, numbered, (size_t)n);
    return buf_cstr(&r->id);
}

static nhub_err grow_events(struct reader *r)
{
    struct body_events *out = r->out;
    const size_t capacity = r->capacity ? r->capacity * 2 : (out->is_batch ? 64 : 1);
    struct publish_event *grown = NULL;

    if (out->count < r->capacity) {
        return NHUB_OK;
    }
    grown = realloc(out->events, capacity * sizeof *grown);
    if (!grown) {
        return NHUB_ENOMEM;
    }
    out->events = grown;
    r->capacity = capacity;
    return NHUB_OK;
}

static void keep_correlation(struct reader *r, const struct event *e, const char *ours)
{
    const struct json_span *span = &e->field[EVENT_CORRELATION];
    struct body_events *out = r->out;

    if (out->is_batch) {
        return;
    }
    out->filled_correlation = span->kind == JSON_ABSENT;
    if (out->filled_correlation) {
        buf_add_json_string(&out->correlation, ours, UUID_TEXT_LEN);
    } else {
        buf_add(&out->correlation, span->p, span->len);
    }
}

static nhub_err add_rendered(struct reader *r, const struct event *e, size_t len)
{
    char correlation[UUID_TEXT_LEN + 1] = "";
    const struct event_fill fill = {
        .default_source = "\"http\"",
        .now_us = r->context->now_us,
        .correlation_id = correlation,
        .id = next_id(r),
        .extra_metadata = r->metadata.len > 0 ? buf_cstr(&r->metadata) : NULL,
    };
    struct buf *lines = &r->out->lines;
    size_t written;

    if (e->field[EVENT_CORRELATION].kind == JSON_ABSENT) {
        uuid_v4(correlation);
    }
    if (r->id.failed || r->metadata.failed || grow_events(r) != NHUB_OK ||
        buf_reserve(lines, event_render_max(e, &fill, len)) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    written = event_render(e, &fill, NULL, lines->data + lines->len);
    lines->len += written;
    r->out->events[r->out->count++] = (struct publish_event){.line = NULL, .len = written};
    keep_correlation(r, e, correlation);
    return NHUB_OK;
}

/* One event's JSON. original: text is a part of the body, so offsets can be told. */
static nhub_err add_event(struct reader *r, const char *text, size_t len, bool is_original)
{
    struct event event;
    struct event_error error;

    if (!is_original && r->converted.failed) {
        return NHUB_ENOMEM;
    }
    if (event_parse(text, len, EVENT_DOOR_HTTP, r->context->stats_event, remember_ignored, r,
                    &event, &error) != NHUB_OK) {
        return refuse_event(r, &error, text, is_original);
    }
    return add_rendered(r, &event, len);
}

/* One event or CloudEvent as it stands in the body. */
static nhub_err add_text(struct reader *r, const char *text, size_t len, bool is_cloudevent)
{
    struct event_error error;
    nhub_err err;

    if (r->out->count == HTTP_BODY_EVENTS_MAX) {
        return refuse(r, REJECT_TOO_MANY_EVENTS, "more than %d events in one request",
                      HTTP_BODY_EVENTS_MAX);
    }
    if (len > r->context->max_event_bytes) {
        return refuse(r, REJECT_TOO_BIG, "the event has %zu bytes, at most %zu are allowed", len,
                      r->context->max_event_bytes);
    }
    if (!is_cloudevent) {
        return add_event(r, text, len, true);
    }
    buf_reset(&r->converted);
    err = cloudevent_to_event(text, len, &r->converted, &error);
    if (err != NHUB_OK) {
        return err == NHUB_EPROTO ? refuse_event(r, &error, text, true) : err;
    }
    return add_event(r, buf_cstr(&r->converted), r->converted.len, false);
}

static nhub_err read_array(struct reader *r, const char *text, size_t len, bool is_cloudevent)
{
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_report report = {0};
    struct json_span element;
    size_t pos = 0;
    nhub_err err;

    r->out->is_batch = true;
    for (;;) {
        err = json_scan_element(text, len, &pos, &options, &element, &report);
        if (err == NHUB_ENOTFOUND) {
            break;
        }
        if (err != NHUB_OK) {
            return refuse_at(r, REJECT_BAD_JSON, report.error_offset, report.error);
        }
        err = add_text(r, element.p, element.len, is_cloudevent);
        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

static nhub_err read_lines(struct reader *r, const char *text, size_t len)
{
    r->out->is_batch = true;
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        const size_t line_len = newline ? (size_t)(newline - text) - at : len - at;

        r->line++;
        if (first_byte(text + at, line_len) != '\0') {
            const nhub_err err = add_text(r, text + at, line_len, false);

            if (err != NHUB_OK) {
                return err;
            }
        }
        at += line_len + 1;
    }
    return NHUB_OK;
}

static nhub_err read_binary(struct reader *r, const char *text, size_t len)
{
    const struct body_context *c = r->context;
    struct event_error error;
    nhub_err err;

    if (len > c->max_event_bytes) {
        return refuse(r, REJECT_TOO_BIG, "the event has %zu bytes, at most %zu are allowed", len,
                      c->max_event_bytes);
    }
    err = cloudevent_binary_to_event(c->ce_headers, c->ce_header_count, c->content_type, text, len,
                                     &r->converted, &error);
    if (err != NHUB_OK) {
        return err == NHUB_EPROTO ? refuse_event(r, &error, text, true) : err;
    }
    return add_event(r, buf_cstr(&r->converted), r->converted.len, false);
}

static nhub_err read_form(struct reader *r, const char *text, size_t len)
{
    const enum body_form form = r->context->form;
    const char first = first_byte(text, len);

    if (form == BODY_UNSUPPORTED ||
        (form == BODY_SNIFF && first != '{' && first != '[' && first != '\0')) {
        return refuse(r, REJECT_CONTENT_TYPE,
                      "send application/json, application/x-ndjson or CloudEvents");
    }
    if (form == BODY_CE_BINARY) {
        return read_binary(r, text, len);
    }
    if (form == BODY_NDJSON) {
        return read_lines(r, text, len);
    }
    if (first == '\0') {
        return refuse_at(r, REJECT_BAD_JSON, len, "the body is empty");
    }
    if (form == BODY_CE_BATCH && first != '[') {
        return refuse(r, REJECT_WRONG_TYPE, "a batch of CloudEvents must be an array");
    }
    if (first == '[' && form != BODY_CE) {
        return read_array(r, text, len, form == BODY_CE_BATCH);
    }
    return add_text(r, text, len, form == BODY_CE);
}

/* traceparent and tracestate as a JSON object; nothing when the trace context is not valid, as its
 * specification wants. */
static void read_trace(struct reader *r)
{
    const struct body_context *c = r->context;

    if (!c->traceparent || !body_traceparent_valid(c->traceparent)) {
        return;
    }
    buf_add_str(&r->metadata, "{\"traceparent\":");
    buf_add_json_cstr(&r->metadata, c->traceparent);
    if (c->tracestate && strlen(c->tracestate) <= 512 &&
        utf8_valid(c->tracestate, strlen(c->tracestate))) {
        buf_add_str(&r->metadata, ",\"tracestate\":");
        buf_add_json_cstr(&r->metadata, c->tracestate);
    }
    buf_add_char(&r->metadata, '}');
}

static nhub_err complete(struct reader *r)
{
    struct body_events *out = r->out;
    const char *line = out->lines.data;

    if (out->count == 0) {
        return refuse(r, REJECT_NO_EVENTS, "the body holds no event");
    }
    for (size_t i = 0; i < out->count; i++) {
        out->events[i].line = line;
        line += out->events[i].len;
    }
    for (size_t i = 0; i < r->name_count; i++) {
        buf_add_char(&out->ignored, i == 0 ? '[' : ',');
        buf_add(&out->ignored, r->names[i], r->name_len[i]);
    }
    if (r->name_count > 0) {
        buf_add_char(&out->ignored, ']');
    }
    return out->correlation.failed || out->ignored.failed ? NHUB_ENOMEM : NHUB_OK;
}

nhub_err body_read(const struct body_context *context, const char *text, size_t len,
                   struct body_events *out, struct body_refusal *refusal)
{
    char names[HTTP_BODY_IGNORED_MAX][IGNORED_NAME_MAX]; /* not cleared: it is only rarely used */
    struct reader r = {
        .context = context, .body = text, .out = out, .refusal = refusal, .names = names};
    nhub_err err;

    memset(out, 0, sizeof *out);
    read_trace(&r);
    err = read_form(&r, text, len);
    if (err == NHUB_OK) {
        err = complete(&r);
    }
    buf_fini(&r.metadata);
    buf_fini(&r.id);
    buf_fini(&r.converted);
    return err;
}

void body_events_free(struct body_events *b)
{
    free(b->events);
    buf_fini(&b->lines);
    buf_fini(&b->correlation);
    buf_fini(&b->ignored);
    memset(b, 0, sizeof *b);
}

bool body_key_valid(const char **value, size_t *len)
{
    if (*len >= 2 && (*value)[0] == '"' && (*value)[*len - 1] == '"') {
        (*value)++;
        *len -= 2;
    }
    for (size_t i = 0; i < *len; i++) {
        const unsigned char c = (unsigned char)(*value)[i];

        if (c < 0x20 || c == 0x7F) {
            return false;
        }
    }
    return *len > 0 && *len <= BODY_KEY_MAX && utf8_valid(*value, *len);
}

/* "00-" 32 hex digits "-" 16 hex digits "-" 2 hex digits, in lower case, neither id all zero. */
bool body_traceparent_valid(const char *text)
{
    static const char shape[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

    if (strlen(text) != sizeof shape - 1) {
        return false;
    }
    for (size_t i = 0; shape[i]; i++) {
        const bool is_hex =
            (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');

        if (shape[i] == 'x' ? !is_hex : text[i] != shape[i]) {
            return false;
        }
    }
    return strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}
