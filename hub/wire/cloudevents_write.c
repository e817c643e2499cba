/*
 * Our event to a CloudEvent. What of the metadata can be an attribute becomes one; the rest stays
 * together in the extension nhmetadata, so that nothing is lost on the way.
 */
#include <math.h>
#include <string.h>

#include "wire/cloudevents_reader.h"

/* What a member of the metadata becomes. */
enum place { AS_ATTRIBUTE, AS_ENCODING, AS_REST };

struct writer {
    const struct event *event;
    struct buf *out;
    struct buf rest; /* members of nhmetadata */
    bool is_base64;
};

static void add_key(struct buf *out, const char *name, size_t len)
{
    buf_add_str(out, ",\"");
    buf_add(out, name, len);
    buf_add_str(out, "\":");
}

static void add_span(struct buf *out, const struct json_span *span)
{
    buf_add(out, span->p, span->len);
}

static bool is_attribute_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9'))) {
            return false;
        }
    }
    return len > 0;
}

static bool is_text(const char *name, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(text, name, len) == 0;
}

/* Base64 of the data is only what was marked so and is it. */
static bool data_is_base64(const struct event *e)
{
    const struct json_span *data = &e->field[EVENT_DATA];

    /* base64 with an escaped slash is left a string: rare, and true as well. */
    return data->kind == JSON_STRING && !data->has_escape &&
           ce_is_base64(data->p + 1, data->len - 2);
}

/* Where the member `name` goes; *name and *len become the attribute's name. */
static enum place find_place(const struct event *e, const char **name, size_t *len,
                             const struct json_span *value)
{
    const struct ce_name *row = NULL;

    if (is_text(*name, *len, "traceparent") || is_text(*name, *len, "tracestate")) {
        return AS_ATTRIBUTE;
    }
    if (is_text(*name, *len, CE_ENCODING_KEY)) {
        *name = "encoding";
        *len = strlen("encoding");
        return AS_ATTRIBUTE;
    }
    if (is_text(*name, *len, "ce-encoding")) {
        return value->len == 8 && memcmp(value->p, "\"base64\"", 8) == 0 && data_is_base64(e)
                   ? AS_ENCODING
                   : AS_REST;
    }
    if (*len <= 3 || memcmp(*name, "ce-", 3) != 0 || !is_attribute_name(*name + 3, *len - 3)) {
        return AS_REST;
    }
    row = ce_name_find(*name + 3, *len - 3);
    if (row->role != CE_EXTENSION && (row->role != CE_OPTIONAL || value->len == 2)) {
        return AS_REST; /* it would become, or break, an attribute of another meaning */
    }
    *name += 3;
    *len -= 3;
    return AS_ATTRIBUTE;
}

static void write_metadata(struct writer *w)
{
    const struct json_span *metadata = &w->event->field[EVENT_METADATA];
    struct json_span name, value;
    struct json_report report;
    size_t pos = 0;

    while (metadata->kind == JSON_OBJECT && json_scan_member(metadata->p, metadata->len, &pos, NULL,
                                                             &name, &value, &report) == NHUB_OK) {
        const char *plain = name.p + 1;
        size_t len = name.len - 2;

        switch (name.has_escape ? AS_REST : find_place(w->event, &plain, &len, &value)) {
        case AS_ATTRIBUTE:
            add_key(w->out, plain, len);
            add_span(w->out, &value);
            break;
        case AS_ENCODING:
            w->is_base64 = true;
            break;
        case AS_REST:
            buf_add_char(&w->rest, w->rest.len == 0 ? '{' : ',');
            add_span(&w->rest, &name);
            buf_add_char(&w->rest, ':');
            add_span(&w->rest, &value);
            break;
        }
    }
    if (w->rest.len > 0) {
        buf_add_char(&w->rest, '}');
        add_key(w->out, "nhmetadata", 10);
        buf_add_json_string(w->out, w->rest.data, w->rest.len);
    }
}

/* The id of the publisher, or the position, which is as unique. */
static void write_id(struct buf *out, const struct event *e, const char *position)
{
    if (e->field[EVENT_ID].kind == JSON_STRING) {
        add_span(out, &e->field[EVENT_ID]);
    } else {
        buf_add_json_cstr(out, position);
    }
}

static void write_time(struct buf *out, const struct json_span *timestamp)
{
    const double first_s = -62167219200.0; /* 0000-01-01 */
    const double end_s = 253402300800.0;   /* 10000-01-01 */
    double seconds = 0;
    char text[28];

    if (json_span_double(timestamp, &seconds) != NHUB_OK || seconds < first_s || seconds >= end_s) {
        return;
    }
    time_format_rfc3339(llround(seconds * 1e6), text);
    add_key(out, "time", 4);
    buf_add_json_cstr(out, text);
}

static nhub_err write_data(struct writer *w)
{
    const struct json_span *data = &w->event->field[EVENT_DATA];

    add_key(w->out, w->is_base64 ? "data_base64" : "data", w->is_base64 ? 11 : 4);
    if (!data->has_nonfinite) {
        add_span(w->out, data);
        return NHUB_OK;
    }
    const nhub_err err = buf_reserve(w->out, data->len * 2);

    if (err == NHUB_OK) {
        w->out->len += json_nonfinite_to_null(data->p, data->len, w->out->data + w->out->len);
    }
    return err;
}

static nhub_err write_event(struct writer *w, const struct position *position)
{
    const struct json_span *field = w->event->field;
    char text[POSITION_TEXT_MAX];

    (void)position_format(position, text);
    buf_add_str(w->out, "{\"specversion\":\"1.0\",\"id\":");
    write_id(w->out, w->event, text);
    add_key(w->out, "source", 6);
    if (field[EVENT_SOURCE].len == 2) {
        buf_add_str(w->out, "\"/\"");
    } else {
        add_span(w->out, &field[EVENT_SOURCE]);
    }
    add_key(w->out, "type", 4);
    add_span(w->out, &field[EVENT_TYPE]);
    write_time(w->out, &field[EVENT_TIMESTAMP]);
    if (field[EVENT_CORRELATION].kind == JSON_STRING && field[EVENT_CORRELATION].len > 2) {
        add_key(w->out, "correlationid", 13);
        add_span(w->out, &field[EVENT_CORRELATION]);
    }
    if (field[EVENT_KIND].kind == JSON_STRING) {
        add_key(w->out, "nhkind", 6);
        add_span(w->out, &field[EVENT_KIND]);
    }
    write_metadata(w);
    buf_printf(w->out, ",\"nhseq\":\"%llu\",\"nhepoch\":\"%s\"", (unsigned long long)position->seq,
               position->epoch);
    const nhub_err err = write_data(w);

    buf_add_char(w->out, '}');
    return err;
}

nhub_err event_to_cloudevent(const char *line, size_t len, struct buf *out)
{
    const size_t before = out->len;
    struct event event;
    struct position position;
    struct writer w = {.event = &event, .out = out};

    if (event_parse_numbered(line, len, &event, &position) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    buf_init(&w.rest);
    nhub_err err = write_event(&w, &position);

    if (out->failed || w.rest.failed) {
        err = NHUB_ENOMEM;
    } else if (err != NHUB_OK) {
        out->len = before;
    }
    buf_fini(&w.rest);
    return err;
}
