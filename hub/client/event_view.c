/*
 * event_view: one pass of the scanner finds the members; values stay where they are.
 */
#include "client/event_view.h"

#include "client/position_public.h"

#include <stdlib.h>
#include <string.h>

/* In the order of enum nhub_field. */
static const struct json_key keys[] = {
    JSON_KEY("event_type"), JSON_KEY("source_service"), JSON_KEY("data"),
    JSON_KEY("timestamp"),  JSON_KEY("correlation_id"), JSON_KEY("id"),
    JSON_KEY("kind"),       JSON_KEY("metadata"),
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

_Static_assert(KEY_COUNT == NHUB_FIELD_METADATA + 1, "one key for each public field");
nhub_err event_view_init(struct nhub_event *view, const char *line, size_t len)
{
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_report report;
    struct position position = {0};
    size_t type_len = 0;
    nhub_err err = NHUB_OK;

    *view = (struct nhub_event){.line = {.p = line, .len = len}};
    err = json_scan_object(line, len, keys, KEY_COUNT, &options, view->field, &report);
    if (err != NHUB_OK) {
        return NHUB_EPROTO;
    }
    err = json_decode_string(&view->field[NHUB_FIELD_EVENT_TYPE], view->type, EVENT_TYPE_MAX,
                             &type_len);
    if (err != NHUB_OK || type_len == 0) {
        return NHUB_EPROTO;
    }
    view->type[type_len] = '\0';
    /* A hub that gives no numbers is fine; the event then has no position. */
    if (event_tail_position(line, len, &position) == NHUB_OK) {
        view->position = position_to_public(&position);
    }
    return NHUB_OK;
}

nhub_err nhub_event_create(nhub_event **out, nhub_bytes json)
{
    struct nhub_event *event = NULL;
    char *own = malloc(json.len + 1);
    nhub_err err = NHUB_ENOMEM;

    event = malloc(sizeof *event);
    if (!own || !event) {
        goto failed;
    }
    memcpy(own, json.p, json.len);
    own[json.len] = '\0';
    err = event_view_init(event, own, json.len);
    if (err != NHUB_OK) {
        goto failed;
    }
    event->own = own;
    *out = event;
    return NHUB_OK;

failed:
    free(event);
    free(own);
    return err;
}

void nhub_event_destroy(nhub_event **event_p)
{
    if (*event_p) {
        free((*event_p)->own);
        free(*event_p);
        *event_p = NULL;
    }
}

const char *nhub_event_type(const nhub_event *event)
{
    return event->type;
}

nhub_bytes nhub_event_json(const nhub_event *event)
{
    return event->line;
}

nhub_bytes nhub_event_data(const nhub_event *event)
{
    return nhub_event_raw(event, NHUB_FIELD_DATA);
}

static const struct json_span *span_of(const nhub_event *event, nhub_field field)
{
    static const struct json_span absent = {.kind = JSON_ABSENT};

    return (size_t)field < KEY_COUNT ? &event->field[field] : &absent;
}

nhub_bytes nhub_event_raw(const nhub_event *event, nhub_field field)
{
    const struct json_span *span = span_of(event, field);

    if (span->kind == JSON_ABSENT) {
        return (nhub_bytes){.p = NULL, .len = 0};
    }
    return (nhub_bytes){.p = span->p, .len = span->len};
}

nhub_err nhub_event_string(const nhub_event *event, nhub_field field, char *out, size_t cap,
                           size_t *out_len)
{
    const struct json_span *span = span_of(event, field);
    size_t len = 0;
    nhub_err err = NHUB_OK;

    if (span->kind == JSON_ABSENT || span->kind == JSON_NULL) {
        return NHUB_ENOTFOUND;
    }
    if (cap == 0) {
        return NHUB_ETOOBIG;
    }
    err = json_decode_string(span, out, cap - 1, &len);
    if (err != NHUB_OK) {
        return err;
    }
    out[len] = '\0';
    if (out_len) {
        *out_len = len;
    }
    return NHUB_OK;
}

double nhub_event_timestamp(const nhub_event *event)
{
    double seconds = 0;

    return json_span_double(&event->field[NHUB_FIELD_TIMESTAMP], &seconds) == NHUB_OK ? seconds : 0;
}

nhub_position nhub_event_position(const nhub_event *event)
{
    return event->position;
}

bool nhub_event_is_late(const nhub_event *event)
{
    return event->is_late;
}
