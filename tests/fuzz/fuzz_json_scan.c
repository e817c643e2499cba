// libs: nhub_wire nhub_base
/*
 * The scanner against jansson: they agree on every text but where jansson, by design, does not:
 *   - it refuses escapes of half a surrogate pair;
 *   - it refuses numbers beyond a double's range;
 *   - it refuses a NUL in a key;
 *   - it nests deeper (2048 levels) than we do (512);
 *   - it overlooks a NUL byte behind a number (its stream takes an unread NUL for the end of its
 *     buffer), so a text with a NUL is only expected to be refused by us.
 */
#include <stdint.h>

#include "tests/fuzz/jansson_oracle.h"

/* In a valid text: the deepest nesting, and whether a string has half a surrogate pair. */
static void walk(const char *text, size_t len, size_t *out_depth, bool *out_lone)
{
    size_t depth = 0;

    *out_depth = 0;
    *out_lone = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') {
            struct json_span span = {.p = text + i, .kind = JSON_STRING, .has_escape = true};

            for (i++; text[i] != '"'; i++) {
                i += text[i] == '\\';
            }
            span.len = (size_t)(text + i + 1 - span.p);
            *out_lone = *out_lone || json_has_lone_surrogate(&span);
        } else if (text[i] == '[' || text[i] == '{') {
            depth++;
            *out_depth = depth > *out_depth ? depth : *out_depth;
        } else if (text[i] == ']' || text[i] == '}') {
            depth--;
        }
    }
}

static enum json_kind kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case ORACLE_OBJECT:
        return JSON_OBJECT;
    case ORACLE_ARRAY:
        return JSON_ARRAY;
    case ORACLE_STRING:
        return JSON_STRING;
    case ORACLE_INTEGER:
    case ORACLE_REAL:
        return JSON_NUMBER;
    case ORACLE_TRUE:
        return JSON_TRUE;
    case ORACLE_FALSE:
        return JSON_FALSE;
    case ORACLE_NULL:
        break;
    }
    return JSON_NULL;
}

/* What stands in the span is the oracle's value. */
static void expect_value(const struct json_span *span, const json_t *expected)
{
    json_error_t error;
    json_t *value = json_loadb(span->p, span->len, ORACLE_FLAGS, &error);

    EXPECT(value && json_equal(value, expected));
    EXPECT(span->kind == kind_of(expected));
    if (span->kind == JSON_STRING) {
        char *out = malloc(span->len);
        size_t len = 0;

        EXPECT(out && json_decode_string(span, out, span->len - 2, &len) == NHUB_OK);
        EXPECT(len == json_string_length(expected));
        EXPECT(memcmp(out, json_string_value(expected), len) == 0);
        EXPECT(len == 0 || json_decode_string(span, out, len - 1, &len) == NHUB_ETOOBIG);
        free(out);
    }
    if (span->kind == JSON_NUMBER && span->len < 1024) {
        double number = 0;

        EXPECT(json_span_double(span, &number) == NHUB_OK);
        EXPECT(!(number < json_number_value(expected)) && !(number > json_number_value(expected)));
    }
    json_decref(value);
}

static void expect_elements(const char *text, size_t len, const json_t *array)
{
    struct json_span span;
    struct json_report report;
    size_t pos = 0, count = 0;
    nhub_err err = NHUB_OK;

    while ((err = json_scan_element(text, len, &pos, NULL, &span, &report)) == NHUB_OK) {
        expect_value(&span, json_array_get(array, count++));
    }
    EXPECT(err == NHUB_ENOTFOUND && count == json_array_size(array));
}

static void count_unknown(void *context, const struct json_span *name)
{
    EXPECT(name->kind == JSON_STRING);
    ++*(size_t *)context;
}

/* Members one by one; then all at once, by their names. */
static void expect_members(const char *text, size_t len, const json_t *object)
{
    static const struct json_key keys[] = {JSON_KEY("a"), JSON_KEY("data"), JSON_KEY("event_type"),
                                           JSON_KEY("")};
    struct json_span name, value, out[4];
    struct json_report report;
    size_t pos = 0, count = 0, unknown = 0, known = 0;
    const struct json_scan_options options = {.unknown = count_unknown, .context = &unknown};
    nhub_err err = NHUB_OK;

    while ((err = json_scan_member(text, len, &pos, NULL, &name, &value, &report)) == NHUB_OK) {
        count++;
    }
    EXPECT(err == NHUB_ENOTFOUND && count >= json_object_size(object));
    EXPECT(json_scan_object(text, len, keys, 4, &options, out, &report) == NHUB_OK);
    for (size_t i = 0; i < 4; i++) {
        const json_t *expected = json_object_getn(object, keys[i].name, keys[i].len);

        EXPECT((out[i].kind == JSON_ABSENT) == (expected == NULL));
        if (expected) {
            known++;
            expect_value(&out[i], expected);
        }
    }
    EXPECT(unknown == report.unknown && unknown + known <= count);
    EXPECT(unknown >= json_object_size(object) - known);
}

static void expect_one_line(const char *text, size_t len, const json_t *expected)
{
    char *line = malloc(len);
    json_error_t error;

    EXPECT(line && json_one_line(text, len, line) == len);
    EXPECT(!memchr(line, '\n', len) && !memchr(line, '\r', len) && !memchr(line, '\t', len));
    json_t *value = json_loadb(line, len, ORACLE_FLAGS, &error);

    EXPECT(value && json_equal(value, expected));
    json_decref(value);
    free(line);
}

/* The strict scanner and the oracle. */
static void compare(const char *text, size_t len)
{
    struct json_span span;
    struct json_report report;
    json_error_t error;
    size_t depth = 0;
    bool lone = false;
    const nhub_err err = json_scan_value(text, len, NULL, &span, &report);

    if (memchr(text, '\0', len)) {
        EXPECT(err == NHUB_EPROTO);
        return;
    }
    json_t *root = json_loadb(text, len, ORACLE_FLAGS, &error);

    EXPECT(err == NHUB_OK || (err == NHUB_EPROTO && report.error && report.error_offset <= len));
    if (err != NHUB_OK && root) {
        walk(text, len, &depth, &lone);
        EXPECT(depth > JSON_SCAN_MAX_DEPTH);
    }
    if (err == NHUB_OK) {
        walk(text, len, &depth, &lone);
        EXPECT(depth <= JSON_SCAN_MAX_DEPTH);
    }
    if (err == NHUB_OK && !root) {
        EXPECT(lone || json_error_code(&error) == json_error_numeric_overflow ||
               json_error_code(&error) == json_error_null_byte_in_key);
    }
    if (err == NHUB_OK && root) {
        EXPECT(!lone);
        expect_value(&span, root);
        expect_one_line(text, len, root);
        if (span.kind == JSON_ARRAY) {
            expect_elements(text, len, root);
        }
        if (span.kind == JSON_OBJECT) {
            expect_members(text, len, root);
        }
    }
    json_decref(root);
}

/* What Python writes: with the bare words replaced it is JSON. */
static void replace_nonfinite(const char *text, size_t len)
{
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_span span;
    struct json_report report, strict;

    if (json_scan_value(text, len, &options, &span, &report) != NHUB_OK) {
        EXPECT(json_scan_value(text, len, NULL, &span, &strict) != NHUB_OK);
        return;
    }
    EXPECT((json_scan_value(text, len, NULL, &span, &strict) == NHUB_OK) != report.has_nonfinite);
    char *out = malloc(len * 2);

    EXPECT(out);
    const size_t out_len = json_nonfinite_to_null(text, len, out);

    EXPECT(out_len <= len * 2);
    EXPECT(report.has_nonfinite || (out_len == len && memcmp(out, text, len) == 0));
    EXPECT(json_scan_value(out, out_len, NULL, &span, &strict) == NHUB_OK);
    compare(out, out_len);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = exact_copy(data, size);

    compare(text, size);
    replace_nonfinite(text, size);
    free(text);
    return 0;
}
