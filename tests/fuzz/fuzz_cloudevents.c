// libs: nhub_wire nhub_base
/*
 * CloudEvents: structured mode on the whole input; binary mode on lines of "name: value", an empty
 * line and a body. What becomes an event goes there and back without a loss.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/fuzz/jansson_oracle.h"
#include "wire/cloudevents.h"

static const struct position here = {"abcdefgh", 42};
static const struct event_fill fill = {.default_source = "\"http\"",
                                       .now_us = 1700000000000000,
                                       .correlation_id = "01234567-89ab-4def-8123-456789abcdef"};

/* The event's line, if the event is one that a door takes. */
static bool to_line(const struct buf *text, struct buf *line)
{
    struct event event;
    struct event_error error;

    buf_reset(line);
    if (event_parse(text->data, text->len, EVENT_DOOR_HTTP, NULL, NULL, NULL, &event, &error) !=
        NHUB_OK) {
        EXPECT(error.reason != EVENT_BAD_JSON && error.reason != EVENT_NOT_OBJECT);
        return false;
    }
    EXPECT(buf_reserve(line, event_render_max(&event, &fill, text->len)) == NHUB_OK);
    line->len = event_render(&event, &fill, &here, line->data);
    return true;
}

/* Repeated names may change their order on the way. */
static bool has_repeated_names(const json_t *object, const struct json_span *span)
{
    struct json_span name, value;
    struct json_report report;
    size_t pos = 0, count = 0;

    while (json_scan_member(span->p, span->len, &pos, NULL, &name, &value, &report) == NHUB_OK) {
        count++;
    }
    return count != json_object_size(object);
}

static void expect_same_metadata(const struct json_span *a, const struct json_span *b)
{
    json_error_t error;
    json_t *before = json_loadb(a->p, a->len, ORACLE_FLAGS, &error);
    json_t *after = NULL;

    if (!before || has_repeated_names(before, a) || json_object_size(before) == 0) {
        json_decref(before); /* the oracle does not take halves of surrogate pairs */
        return;
    }
    after = json_loadb(b->p, b->len, ORACLE_FLAGS, &error);
    EXPECT(after && json_equal(before, after));
    json_decref(after);
    json_decref(before);
}

static void expect_same_bytes(const struct json_span *a, const struct json_span *b)
{
    EXPECT(a->kind == b->kind && a->len == b->len);
    EXPECT(a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

static void expect_same_event(const struct buf *line, const struct buf *again_line)
{
    struct event event, again;

    EXPECT(event_parse_numbered(line->data, line->len, &event, NULL) == NHUB_OK);
    EXPECT(event_parse_numbered(again_line->data, again_line->len, &again, NULL) == NHUB_OK);
    EXPECT(event.type_len == again.type_len && memcmp(event.type, again.type, event.type_len) == 0);
    if (event.field[EVENT_SOURCE].len > 2) {
        expect_same_bytes(&event.field[EVENT_SOURCE], &again.field[EVENT_SOURCE]);
    }
    expect_same_bytes(&event.field[EVENT_DATA], &again.field[EVENT_DATA]);
    expect_same_bytes(&event.field[EVENT_KIND], &again.field[EVENT_KIND]);
    if (event.field[EVENT_ID].kind == JSON_STRING) {
        expect_same_bytes(&event.field[EVENT_ID], &again.field[EVENT_ID]);
    }
    if (event.field[EVENT_METADATA].kind == JSON_OBJECT) {
        expect_same_metadata(&event.field[EVENT_METADATA], &again.field[EVENT_METADATA]);
    }
}

static void there_and_back(const struct buf *text)
{
    struct buf line, cloud, back, again;
    struct event_error error;
    struct json_span span;
    struct json_report report;

    buf_init(&line);
    buf_init(&cloud);
    buf_init(&back);
    buf_init(&again);
    if (to_line(text, &line)) {
        EXPECT(event_to_cloudevent(line.data, line.len, &cloud) == NHUB_OK);
        EXPECT(json_scan_value(cloud.data, cloud.len, NULL, &span, &report) == NHUB_OK);
        EXPECT(cloudevent_to_event(cloud.data, cloud.len, &back, &error) == NHUB_OK);
        EXPECT(to_line(&back, &again));
        expect_same_event(&line, &again);
    }
    buf_fini(&again);
    buf_fini(&back);
    buf_fini(&cloud);
    buf_fini(&line);
}

static void expect_error(nhub_err err, const struct buf *out, const struct event_error *error)
{
    EXPECT(err == NHUB_EPROTO && out->len == 0);
    EXPECT(error->reason != EVENT_OK && error->detail);
}

static void run_structured(const char *text, size_t len)
{
    struct buf event;
    struct event_error error;

    buf_init(&event);
    const nhub_err err = cloudevent_to_event(text, len, &event, &error);

    if (err == NHUB_OK) {
        there_and_back(&event);
    } else {
        expect_error(err, &event, &error);
    }
    buf_fini(&event);
}

#define MAX_HEADERS 32

static void run_binary(const char *text, size_t len)
{
    struct cloudevent_header headers[MAX_HEADERS];
    size_t count = 0;
    char *copy = malloc(len + 1);
    char *line = copy;
    const char *content_type = NULL;
    struct buf event;
    struct event_error error;

    EXPECT(copy);
    memcpy(copy, text, len);
    copy[len] = '\0';
    for (char *end = NULL; count < MAX_HEADERS && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        char *colon = strstr(line, ": ");

        *end = '\0';
        if (!colon || colon > end) {
            line = end + 1;
            break;
        }
        *colon = '\0';
        if (strcmp(line, "content-type") == 0) {
            content_type = colon + 2;
        } else {
            headers[count++] = (struct cloudevent_header){line, colon + 2};
        }
    }
    buf_init(&event);
    const nhub_err err = cloudevent_binary_to_event(headers, count, content_type, line,
                                                    (size_t)(copy + len - line), &event, &error);

    if (err == NHUB_OK) {
        there_and_back(&event);
    } else {
        expect_error(err, &event, &error);
    }
    buf_fini(&event);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = exact_copy(data, size);
    struct buf cloud;

    run_structured(text, size);
    run_binary(text, size);
    buf_init(&cloud);
    if (event_to_cloudevent(text, size, &cloud) != NHUB_OK) {
        EXPECT(cloud.len == 0);
    }
    buf_fini(&cloud);
    free(text);
    return 0;
}
