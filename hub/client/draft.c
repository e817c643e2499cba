/*
 * draft: members in the order in which the hub writes them; data is copied byte for byte.
 */
#include "client/draft.h"

#include "base/clock.h"
#include "wire/event.h"

#include <string.h>

static void add_string(struct buf *out, const char *key, const char *value)
{
    if (value) {
        buf_add_str(out, ",\"");
        buf_add_str(out, key);
        buf_add_str(out, "\":");
        buf_add_json_cstr(out, value);
    }
}

static void add_timestamp(struct buf *out, int64_t timestamp_us)
{
    const int64_t us = timestamp_us ? timestamp_us : clock_wall_us();
    const uint64_t magnitude = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;

    buf_printf(out, ",\"timestamp\":%s%llu.%06llu", us < 0 ? "-" : "",
               (unsigned long long)(magnitude / 1000000),
               (unsigned long long)(magnitude % 1000000));
}

static void add_metadata(struct buf *out, const nhub_draft *draft)
{
    if (draft->metadata_count == 0) {
        return;
    }
    buf_add_str(out, ",\"metadata\":{");
    for (size_t i = 0; i < draft->metadata_count; i++) {
        const nhub_pair *pair = &draft->metadata[i];

        if (i > 0) {
            buf_add_char(out, ',');
        }
        buf_add_json_cstr(out, pair->name ? pair->name : "");
        buf_add_char(out, ':');
        buf_add_json_cstr(out, pair->value ? pair->value : "");
    }
    buf_add_char(out, '}');
}

/* The data must be one JSON value by itself: pasted into the object, `1,"seq":2` would be more. */
static nhub_err add_data(struct buf *out, const nhub_draft *draft, struct buf *error)
{
    const char *data = draft->data ? draft->data : "{}";
    const size_t len = draft->data && draft->data_len ? draft->data_len : strlen(data);
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_span value;
    struct json_report report;

    if (json_scan_value(data, len, &options, &value, &report) != NHUB_OK) {
        buf_printf(error, "data is not valid JSON: %s at byte %zu",
                   report.error ? report.error : "no value", report.error_offset);
        return NHUB_EINVAL;
    }
    buf_add(out, data, len);
    return NHUB_OK;
}

static void explain(const struct event_error *why, struct buf *error)
{
    buf_add_str(error, why->detail ? why->detail : event_reason_code(why->reason));
    if (why->field && (!why->detail || !strstr(why->detail, why->field))) {
        buf_printf(error, " (member \"%s\")", why->field);
    }
    if (why->reason == EVENT_BAD_JSON) {
        buf_printf(error, " at byte %zu", why->offset);
    }
}

nhub_err draft_check_line(nhub_bytes line, size_t max_bytes, struct buf *error)
{
    struct event_error why = {0};
    struct event event;

    if (line.len > max_bytes) {
        buf_printf(error, "the event has %zu bytes, %zu are allowed", line.len, max_bytes);
        return NHUB_ETOOBIG;
    }
    if (event_parse(line.p, line.len, EVENT_DOOR_ZEROMQ, NULL, NULL, NULL, &event, &why) !=
        NHUB_OK) {
        explain(&why, error);
        return NHUB_EINVAL;
    }
    return NHUB_OK;
}

nhub_err draft_write(const nhub_draft *draft, const char *source_service, size_t max_bytes,
                     struct buf *out, struct buf *error)
{
    const char *source = draft->source_service ? draft->source_service : source_service;
    const size_t start = out->len;
    nhub_err err = NHUB_OK;

    if (!draft->event_type || !source) {
        buf_add_str(error, draft->event_type ? "source_service is missing: neither the event nor "
                                               "the publisher names one"
                                             : "event_type is missing");
        return NHUB_EINVAL;
    }
    buf_add_str(out, "{\"event_type\":");
    buf_add_json_cstr(out, draft->event_type);
    add_string(out, "source_service", source);
    buf_add_str(out, ",\"data\":");
    err = add_data(out, draft, error);
    if (err != NHUB_OK) {
        return err;
    }
    add_timestamp(out, draft->timestamp_us);
    add_string(out, "correlation_id", draft->correlation_id);
    add_string(out, "id", draft->id);
    add_string(out, "kind", draft->kind);
    add_metadata(out, draft);
    buf_add_char(out, '}');
    if (out->failed) {
        return NHUB_ENOMEM;
    }
    return draft_check_line((nhub_bytes){.p = out->data + start, .len = out->len - start},
                            max_bytes, error);
}
