/*
 * The rules for each attribute. They are passed on in the order in which they come; of a repeated
 * one the last counts, because event_parse() reads it so.
 */
#include "wire/cloudevents_reader.h"

#include <string.h>

static const struct ce_name names[] = {
    {"specversion", CE_VERSION, NULL},
    {"id", CE_FIELD, "id"},
    {"source", CE_FIELD, "source_service"},
    {"type", CE_FIELD, "event_type"},
    {"time", CE_TIME, "timestamp"},
    {"subject", CE_OPTIONAL, NULL},
    {"datacontenttype", CE_OPTIONAL, NULL},
    {"dataschema", CE_OPTIONAL, NULL},
    {"data", CE_DATA, "data"},
    {"data_base64", CE_BASE64, "data"},
    {"correlationid", CE_FIELD, "correlation_id"},
    {"traceparent", CE_PLAIN, NULL},
    {"tracestate", CE_PLAIN, NULL},
    {"encoding", CE_RENAMED, CE_ENCODING_KEY},
    {"nhkind", CE_FIELD, "kind"},
    {"nhmetadata", CE_NESTED, NULL},
    {"nhseq", CE_IGNORED, NULL},
    {"nhepoch", CE_IGNORED, NULL},
};
#define NAMES (sizeof names / sizeof names[0])

const struct ce_name *ce_name_find(const char *name, size_t len)
{
    static const struct ce_name extension = {"", CE_EXTENSION, NULL};

    for (size_t i = 0; i < NAMES; i++) {
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0) {
            return &names[i];
        }
    }
    return &extension;
}

/* The required attributes, by bit. */
enum { HAS_VERSION = 1, HAS_ID = 2, HAS_SOURCE = 4, HAS_TYPE = 8 };

nhub_err ce_refuse(struct ce_reader *r, enum event_reason reason, const char *field,
                   const char *detail)
{
    *r->error = (struct event_error){.reason = reason, .detail = detail, .field = field};
    return NHUB_EPROTO;
}

static nhub_err refuse_at(struct ce_reader *r, enum event_reason reason, const char *field,
                          const char *detail, size_t offset)
{
    NHUB_IGNORE(ce_refuse(r, reason, field, detail)); /* the code is known */
    r->error->offset = offset;
    return NHUB_EPROTO;
}

void ce_open_field(struct ce_reader *r, const char *field)
{
    const char last = r->out->failed ? '{' : r->out->data[r->out->len - 1];

    buf_printf(r->out, "%s\"%s\":", last == '{' ? "" : ",", field);
}

/* Opens a member of the metadata: prefix and name need no escapes. */
static void add_metadata_key(struct ce_reader *r, const char *prefix, const char *name, size_t len)
{
    if (r->metadata.len > 0) {
        buf_add_char(&r->metadata, ',');
    }
    buf_add_char(&r->metadata, '"');
    buf_add_str(&r->metadata, prefix);
    buf_add(&r->metadata, name, len);
    buf_add_str(&r->metadata, "\":");
}

/* The decoded string in r->scratch. */
static nhub_err decode(struct ce_reader *r, const struct json_span *value)
{
    size_t len = 0;

    buf_reset(&r->scratch);
    if (buf_reserve(&r->scratch, value->len) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    const nhub_err err = json_decode_string(value, r->scratch.data, value->len, &len);

    r->scratch.len = err == NHUB_OK ? len : 0;
    return err;
}

static bool is_empty(const struct json_span *value)
{
    return value->kind == JSON_STRING && value->len == 2;
}

static nhub_err read_version(struct ce_reader *r, const struct json_span *value)
{
    if (decode(r, value) == NHUB_ENOMEM) {
        return NHUB_ENOMEM;
    }
    if (r->scratch.len != 3 || memcmp(r->scratch.data, "1.0", 3) != 0) {
        return ce_refuse(r, EVENT_BAD_VALUE, "specversion", "specversion must be \"1.0\"");
    }
    return NHUB_OK;
}

static nhub_err read_time(struct ce_reader *r, const struct json_span *value)
{
    int64_t us = 0;
    const nhub_err err = decode(r, value);

    if (err != NHUB_OK) {
        return err;
    }
    if (time_parse_rfc3339(r->scratch.data, r->scratch.len, &us) != NHUB_OK) {
        return ce_refuse(r, EVENT_BAD_VALUE, "time", "time must be an RFC 3339 date-time");
    }
    const int64_t magnitude = us < 0 ? -us : us;

    ce_open_field(r, "timestamp");
    buf_printf(r->out, "%s%lld.%06lld", us < 0 ? "-" : "", (long long)(magnitude / 1000000),
               (long long)(magnitude % 1000000));
    return NHUB_OK;
}

bool ce_is_base64(const char *text, size_t len)
{
    size_t padding = 0;

    if (len % 4 != 0) {
        return false;
    }
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=') {
        padding++;
    }
    for (size_t i = 0; i < len - padding; i++) {
        const char c = text[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/')) {
            return false;
        }
    }
    return true;
}

void ce_mark_base64(struct ce_reader *r)
{
    r->has_base64 = true;
    add_metadata_key(r, "ce-", "encoding", 8);
    buf_add_str(&r->metadata, "\"base64\"");
}

static nhub_err read_base64(struct ce_reader *r, const struct json_span *value)
{
    const nhub_err err = decode(r, value);

    if (err != NHUB_OK) {
        return err;
    }
    if (!ce_is_base64(r->scratch.data, r->scratch.len)) {
        return ce_refuse(r, EVENT_BAD_VALUE, "data_base64", "data_base64 is not base64");
    }
    ce_open_field(r, "data");
    buf_add_json_string(r->out, r->scratch.data, r->scratch.len);
    ce_mark_base64(r);
    return NHUB_OK;
}

/* The members of the JSON object that the string holds, if it does; else it is an extension like
 * any other. */
static nhub_err read_nested(struct ce_reader *r, const struct json_span *value)
{
    struct json_span name, item;
    struct json_report report;
    size_t pos = 0;
    const size_t before = r->metadata.len;
    nhub_err err = value->kind == JSON_STRING ? decode(r, value) : NHUB_EINVAL;

    if (err == NHUB_ENOMEM) {
        return err;
    }
    while (err == NHUB_OK) {
        err = json_scan_member(r->scratch.data, r->scratch.len, &pos, NULL, &name, &item, &report);
        if (err == NHUB_OK && item.kind != JSON_STRING) {
            err = NHUB_EPROTO;
        }
        if (err == NHUB_OK) {
            if (r->metadata.len > 0) {
                buf_add_char(&r->metadata, ',');
            }
            buf_add(&r->metadata, name.p, name.len);
            buf_add_char(&r->metadata, ':');
            buf_add(&r->metadata, item.p, item.len);
        }
    }
    if (err != NHUB_ENOTFOUND && !r->metadata.failed) { /* not read to its end */
        r->metadata.len = before;
        add_metadata_key(r, "ce-", "nhmetadata", 10);
        buf_add(&r->metadata, value->p, value->len);
    }
    return NHUB_OK;
}

/* An extension: strings as they are, integers and booleans as text. */
static nhub_err read_extension(struct ce_reader *r, const char *prefix, const char *name,
                               size_t len, const struct json_span *value)
{
    switch (value->kind) {
    case JSON_STRING:
        add_metadata_key(r, prefix, name, len);
        buf_add(&r->metadata, value->p, value->len);
        return NHUB_OK;
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
        add_metadata_key(r, prefix, name, len);
        buf_add_json_string(&r->metadata, value->p, value->len);
        return NHUB_OK;
    default:
        return ce_refuse(r, EVENT_WRONG_TYPE, NULL,
                         "an extension attribute must be a string, a number or a boolean");
    }
}

static void mark_required(struct ce_reader *r, const char *name)
{
    r->has |= strcmp(name, "specversion") == 0 ? HAS_VERSION
              : strcmp(name, "id") == 0        ? HAS_ID
              : strcmp(name, "source") == 0    ? HAS_SOURCE
              : strcmp(name, "type") == 0      ? HAS_TYPE
                                               : 0;
}

static nhub_err add_known(struct ce_reader *r, const struct ce_name *row,
                          const struct json_span *value)
{
    mark_required(r, row->name);
    switch (row->role) {
    case CE_FIELD:
        ce_open_field(r, row->target);
        buf_add(r->out, value->p, value->len);
        return NHUB_OK;
    case CE_VERSION:
        return read_version(r, value);
    case CE_TIME:
        return read_time(r, value);
    case CE_BASE64:
        return read_base64(r, value);
    case CE_OPTIONAL:
        return read_extension(r, "ce-", row->name, strlen(row->name), value);
    case CE_PLAIN:
        return read_extension(r, "", row->name, strlen(row->name), value);
    case CE_RENAMED:
        return read_extension(r, "", row->target, strlen(row->target), value);
    case CE_NESTED:
        return read_nested(r, value);
    case CE_DATA: /* the caller's */
    case CE_EXTENSION:
    case CE_IGNORED:
        break;
    }
    return NHUB_OK;
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

nhub_err ce_add_attribute(struct ce_reader *r, const char *name, size_t len,
                          const struct json_span *value)
{
    const struct ce_name *row = ce_name_find(name, len);
    const bool wants_string = row->role == CE_FIELD || row->role == CE_VERSION ||
                              row->role == CE_TIME || row->role == CE_BASE64 ||
                              row->role == CE_OPTIONAL;

    if (value->kind == JSON_NULL) {
        return NHUB_OK;
    }
    if (row->role == CE_EXTENSION) {
        return is_attribute_name(name, len)
                   ? read_extension(r, "ce-", name, len, value)
                   : ce_refuse(r, EVENT_BAD_VALUE, NULL, "attribute names have a-z and 0-9 only");
    }
    if (wants_string && value->kind != JSON_STRING) {
        return ce_refuse(r, EVENT_WRONG_TYPE, row->name, "the attribute must be a string");
    }
    if (wants_string && row->role != CE_BASE64 && is_empty(value)) {
        return ce_refuse(r, EVENT_BAD_VALUE, row->name, "the attribute must not be empty");
    }
    return add_known(r, row, value);
}

static nhub_err check_required(struct ce_reader *r)
{
    if (!(r->has & HAS_VERSION)) {
        return ce_refuse(r, EVENT_MISSING_FIELD, "specversion", "specversion is missing");
    }
    if (!(r->has & HAS_ID)) {
        return ce_refuse(r, EVENT_MISSING_FIELD, "id", "id is missing");
    }
    if (!(r->has & HAS_SOURCE)) {
        return ce_refuse(r, EVENT_MISSING_FIELD, "source", "source is missing");
    }
    if (!(r->has & HAS_TYPE)) {
        return ce_refuse(r, EVENT_MISSING_FIELD, "type", "type is missing");
    }
    if (r->has_data && r->has_base64) {
        return ce_refuse(r, EVENT_BAD_VALUE, "data_base64",
                         "data and data_base64 exclude each other");
    }
    return NHUB_OK;
}

void ce_reader_init(struct ce_reader *r, struct buf *out, struct event_error *error)
{
    *r = (struct ce_reader){.out = out, .before = out->len, .error = error};
    *error = (struct event_error){.reason = EVENT_OK};
    buf_init(&r->metadata);
    buf_init(&r->scratch);
    buf_add_char(out, '{');
}

nhub_err ce_reader_end(struct ce_reader *r, nhub_err err)
{
    if (err == NHUB_OK) {
        err = check_required(r);
    }
    if (err == NHUB_OK && r->metadata.len > 0) {
        ce_open_field(r, "metadata");
        buf_add_char(r->out, '{');
        buf_add(r->out, r->metadata.data, r->metadata.len);
        buf_add_char(r->out, '}');
    }
    buf_add_char(r->out, '}');
    if (r->out->failed || r->metadata.failed || r->scratch.failed) {
        err = NHUB_ENOMEM;
    }
    if (err != NHUB_OK && !r->out->failed) {
        r->out->len = r->before;
    }
    buf_fini(&r->metadata);
    buf_fini(&r->scratch);
    return err;
}

nhub_err ce_check_json(struct ce_reader *r, const char *field, const char *text, size_t len,
                       struct json_span *out)
{
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_report report;

    if (json_scan_value(text, len, &options, out, &report) != NHUB_OK) {
        return refuse_at(r, EVENT_BAD_JSON, field, report.error, report.error_offset);
    }
    if (report.has_nonfinite) {
        return refuse_at(r, EVENT_NONFINITE, field, "NaN and Infinity are not JSON",
                         report.nonfinite_offset);
    }
    return NHUB_OK;
}

void ce_add_data(struct ce_reader *r, const struct json_span *value)
{
    r->has_data = true;
    ce_open_field(r, "data");
    buf_add(r->out, value->p, value->len);
}
