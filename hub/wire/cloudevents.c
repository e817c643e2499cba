/*
 * CloudEvents to our event: structured mode takes the attributes from an object, binary mode from
 * headers, each of which becomes a JSON string first.
 */
#include "wire/cloudevents.h"

#include <string.h>
#include <strings.h>

#include "wire/cloudevents_reader.h"

static nhub_err read_members(struct ce_reader *r, const char *text, size_t len)
{
    struct json_span name, value;
    struct json_report report;
    size_t pos = 0;
    nhub_err err = NHUB_OK;

    while (err == NHUB_OK &&
           json_scan_member(text, len, &pos, NULL, &name, &value, &report) == NHUB_OK) {
        char decoded[64];
        const char *plain = name.p + 1;
        size_t plain_len = name.len - 2;

        if (name.has_escape) {
            plain = decoded;
            if (json_decode_string(&name, decoded, sizeof decoded, &plain_len) != NHUB_OK) {
                plain_len = 0; /* too long: refused as a bad name below */
            }
        }
        if (ce_name_find(plain, plain_len)->role == CE_DATA) {
            ce_add_data(r, &value); /* null is a value here */
        } else {
            err = ce_add_attribute(r, plain, plain_len, &value);
        }
    }
    return err;
}

nhub_err cloudevent_to_event(const char *text, size_t len, struct buf *out,
                             struct event_error *error)
{
    struct ce_reader r;
    struct json_span value;

    ce_reader_init(&r, out, error);
    nhub_err err = ce_check_json(&r, NULL, text, len, &value);

    if (err == NHUB_OK && value.kind != JSON_OBJECT) {
        err = ce_refuse(&r, EVENT_NOT_OBJECT, NULL, "an object is expected");
    }
    if (err == NHUB_OK) {
        err = read_members(&r, text, len);
    }
    return ce_reader_end(&r, err);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A header's value as text in r->scratch: quotes of a quoted-string (RFC 9110, section 5.6.4) are
 * taken off first, then percent-encoding once. A percent sign without two digits stands for itself.
 */
static void decode_header(struct ce_reader *r, const char *value)
{
    size_t len = strlen(value);
    const bool is_quoted = len >= 2 && value[0] == '"' && value[len - 1] == '"';

    buf_reset(&r->scratch);
    len -= is_quoted ? 1 : 0;
    for (size_t i = is_quoted ? 1 : 0; i < len; i++) {
        char c = value[i];

        if (is_quoted && c == '\\' && i + 1 < len) {
            c = value[++i];
        }
        if (c == '%' && i + 2 < len && hex_digit(value[i + 1]) >= 0 &&
            hex_digit(value[i + 2]) >= 0) {
            c = (char)(hex_digit(value[i + 1]) * 16 + hex_digit(value[i + 2]));
            i += 2;
        }
        buf_add_char(&r->scratch, c);
    }
}

/* An attribute that is plain text. */
static nhub_err add_text(struct ce_reader *r, const char *name, const char *text, size_t len)
{
    struct buf json;
    struct json_span span;
    struct json_report report;
    nhub_err err = NHUB_ENOMEM;

    if (!utf8_valid(text, len)) {
        return ce_refuse(r, EVENT_BAD_VALUE, NULL, "an attribute header is not UTF-8");
    }
    buf_init(&json);
    buf_add_json_string(&json, text, len);
    if (!json.failed && json_scan_value(json.data, json.len, NULL, &span, &report) == NHUB_OK) {
        err = ce_add_attribute(r, name, strlen(name), &span);
    }
    buf_fini(&json);
    return err;
}

static nhub_err read_header(struct ce_reader *r, const struct cloudevent_header *header)
{
    decode_header(r, header->value);
    return r->scratch.failed ? NHUB_ENOMEM
                             : add_text(r, header->name, buf_cstr(&r->scratch), r->scratch.len);
}

/* application/json, text/json, anything+json; parameters do not matter. */
static bool is_json_type(const char *content_type)
{
    size_t len = content_type ? strcspn(content_type, ";") : 0;

    while (len > 0 && (content_type[len - 1] == ' ' || content_type[len - 1] == '\t')) {
        len--;
    }
    return len >= 5 && (strncasecmp(content_type + len - 5, "/json", 5) == 0 ||
                        strncasecmp(content_type + len - 5, "+json", 5) == 0);
}

static void add_base64(struct buf *out, const unsigned char *p, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (; len > 0; p += 3, len -= len < 3 ? len : 3) {
        const uint32_t bits =
            (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0) | (len > 2 ? p[2] : 0);
        const char quad[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63],
                              len > 1 ? alphabet[bits >> 6 & 63] : '=',
                              len > 2 ? alphabet[bits & 63] : '='};

        buf_add(out, quad, sizeof quad);
    }
}

static nhub_err read_body(struct ce_reader *r, const char *content_type, const char *body,
                          size_t len)
{
    struct json_span value;

    if (len == 0) {
        return NHUB_OK;
    }
    if (is_json_type(content_type)) {
        const nhub_err err = ce_check_json(r, "data", body, len, &value);

        if (err == NHUB_OK) {
            ce_add_data(r, &value);
        }
        return err;
    }
    ce_open_field(r, "data");
    if (utf8_valid(body, len)) {
        buf_add_json_string(r->out, body, len);
        return NHUB_OK;
    }
    buf_add_char(r->out, '"');
    add_base64(r->out, (const unsigned char *)body, len);
    buf_add_char(r->out, '"');
    ce_mark_base64(r);
    return NHUB_OK;
}

nhub_err cloudevent_binary_to_event(const struct cloudevent_header *headers, size_t count,
                                    const char *content_type, const char *body, size_t body_len,
                                    struct buf *out, struct event_error *error)
{
    struct ce_reader r;
    nhub_err err = NHUB_OK;

    ce_reader_init(&r, out, error);
    for (size_t i = 0; i < count && err == NHUB_OK; i++) {
        const enum ce_role role = ce_name_find(headers[i].name, strlen(headers[i].name))->role;

        if (role == CE_DATA || role == CE_BASE64) {
            err = ce_refuse(&r, EVENT_BAD_VALUE, "data", "data is the body, it cannot be a header");
        } else if (strcmp(headers[i].name, "datacontenttype") != 0) { /* it is Content-Type */
            err = read_header(&r, &headers[i]);
        }
    }
    if (err == NHUB_OK && content_type && content_type[0] != '\0') {
        err = add_text(&r, "datacontenttype", content_type, strlen(content_type));
    }
    if (err == NHUB_OK) {
        err = read_body(&r, content_type, body, body_len);
    }
    return ce_reader_end(&r, err);
}
