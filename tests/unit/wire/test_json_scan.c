/* json_scan: what is JSON, where its members stand, and what their values mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exact_copy.h"
#include "wire/json_scan.h"

static nhub_err scan_bytes(const char *text, size_t len, bool allow_nonfinite,
                           struct json_span *out, struct json_report *report)
{
    const struct json_scan_options options = {.allow_nonfinite = allow_nonfinite};
    char *copy = exact_copy(text, len);
    const nhub_err err = json_scan_value(copy, len, &options, out, report);

    free(copy);
    return err;
}

struct value_case {
    const char *text;
    enum json_kind kind;
};

static void valid_texts_are_recognised(void **state)
{
    static const struct value_case cases[] = {
        {"{}", JSON_OBJECT},
        {" {} ", JSON_OBJECT},
        {"[]", JSON_ARRAY},
        {"[ ]", JSON_ARRAY},
        {"[[],{},[{}]]", JSON_ARRAY},
        {"{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":[]}", JSON_OBJECT},
        {"\t\r\n [1 , 2]\n", JSON_ARRAY},
        {"\"\"", JSON_STRING},
        {"\"plain\"", JSON_STRING},
        {"\"a string that is longer than sixteen bytes, with a \\\" in it\"", JSON_STRING},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"", JSON_STRING},
        {"\"\\ud800\"", JSON_STRING}, /* half a pair, as Python writes it */
        {"\"\x7f\"", JSON_STRING},
        {"\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"", JSON_STRING},
        {"\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", JSON_STRING},
        {"\"16 bytes and then \xe2\x82\xac and more of it, \xe2\x82\xac\"", JSON_STRING},
        {"0", JSON_NUMBER},
        {"-0", JSON_NUMBER},
        {"10", JSON_NUMBER},
        {"-1.5e+10", JSON_NUMBER},
        {"0.0E-0", JSON_NUMBER},
        {"1180591620717411303424", JSON_NUMBER},
        {"1e99999", JSON_NUMBER},
        {"true", JSON_TRUE},
        {"false", JSON_FALSE},
        {"null", JSON_NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_span span;
        struct json_report report;

        if (scan_bytes(cases[i].text, strlen(cases[i].text), false, &span, &report) != NHUB_OK) {
            fail_msg("%s: %s", cases[i].text, report.error);
        }
        assert_int_equal(span.kind, cases[i].kind);
        assert_null(report.error);
    }
}

struct bad_case {
    const char *text;
    size_t offset;
};

static void broken_texts_are_refused_where_they_break(void **state)
{
    static const struct bad_case cases[] = {
        {"", 0},
        {"  ", 2},
        {"{", 1},
        {"[", 1},
        {"[1", 2},
        {"[1,", 3},
        {"[1,]", 3},
        {"[,1]", 1},
        {"[1 2]", 3},
        {"[1}", 2},
        {"{\"a\":1]", 6},
        {"{,}", 1},
        {"{\"a\"}", 4},
        {"{\"a\" 1}", 5},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{a:1}", 1},
        {"{1:1}", 1},
        {"{\"a\":1 \"b\":2}", 7},
        {"[{\"a\":1,\"b\" 2}]", 12},
        {"[[1,2],[3,4}]", 11},
        {"[[]", 3},
        {"[]]", 2},
        {"1 2", 2},
        {"01", 0},
        {"-01", 1},
        {"-", 1},
        {"+1", 0},
        {".5", 0},
        {"1.", 2},
        {"1.e5", 2},
        {"1e", 2},
        {"1e+", 3},
        {"0x10", 1},
        {"tru", 0},
        {"True", 0},
        {"nul", 0},
        {"none", 0},
        {"'a'", 0},
        {"\"", 1},
        {"\"abc", 4},
        {"\"abc\\", 5},
        {"\"abc\\\"", 6},
        {"\"\\x\"", 1},
        {"\"\\u12\"", 5},
        {"\"\\u12", 5},
        {"\"\\u12G4\"", 5},
        {"\"a\nb\"", 2},
        {"\"a\tb\"", 2},
        {"\"0123456789abcdef\x1f\"", 17},
        {"\"\x80\"", 1},     /* continuation without a lead */
        {"\"\xc0\xaf\"", 1}, /* overlong */
        {"\"\xc1\xbf\"", 1},
        {"\"\xe0\x9f\xbf\"", 1},
        {"\"\xf0\x8f\xbf\xbf\"", 1},
        {"\"\xed\xa0\x80\"", 1},     /* surrogate */
        {"\"\xf4\x90\x80\x80\"", 1}, /* above U+10FFFF */
        {"\"\xf5\x80\x80\x80\"", 1},
        {"\"\xff\"", 1},
        {"\"\xc3\"", 1},
        {"\"\xe2\x82\"", 1},
        {"\"\xf0\x9f\x98\"", 1},
        {"\"0123456789abcdef\xe2\x28\xa1\"", 17},
        {"\xef\xbb\xbf{}", 0}, /* a byte order mark */
        {"NaN", 0},
        {"[Infinity]", 1},
        {"[-Infinity]", 1},
        {"// comment\n1", 0},
        {"\f1", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_span span;
        struct json_report report;

        if (scan_bytes(cases[i].text, strlen(cases[i].text), false, &span, &report) !=
            NHUB_EPROTO) {
            fail_msg("%s passes", cases[i].text);
        }
        assert_non_null(report.error);
        if (report.error_offset != cases[i].offset) {
            fail_msg("%s: offset %zu instead of %zu", cases[i].text, report.error_offset,
                     cases[i].offset);
        }
    }
}

static void a_nul_byte_is_no_json(void **state)
{
    struct json_span span;
    struct json_report report;
    (void)state;

    assert_int_equal(scan_bytes("1\0", 2, false, &span, &report), NHUB_EPROTO);
    assert_int_equal(scan_bytes("\"a\0b\"", 5, false, &span, &report), NHUB_EPROTO);
    assert_int_equal(report.error_offset, 2);
}

static void bare_words_of_python_pass_only_where_allowed(void **state)
{
    static const char *const good[] = {"NaN", "Infinity", "-Infinity", "[1,NaN]",
                                       "{\"a\":[-Infinity]}"};
    static const char *const bad[] = {"nan",  "Nan",       "NaNs", "Inf",
                                      "-NaN", "+Infinity", "-Inf", "-I"};
    struct json_span span;
    struct json_report report;
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(scan_bytes(good[i], strlen(good[i]), false, &span, &report), NHUB_EPROTO);
        assert_int_equal(scan_bytes(good[i], strlen(good[i]), true, &span, &report), NHUB_OK);
        assert_true(span.has_nonfinite);
        assert_true(report.has_nonfinite);
    }
    assert_int_equal(report.nonfinite_offset, 6);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(scan_bytes(bad[i], strlen(bad[i]), true, &span, &report), NHUB_EPROTO);
    }
}

/* Every possible cut of a text with everything in it is refused, and none is read beyond its end.
 */
static void every_cut_of_a_text_is_refused(void **state)
{
    const char *text =
        "{\"key with \\u00e9\":[1.5e+3,-0,true,false,null,\"\xe2\x82\xac \xf0\x9f\x98"
        "\x80 long enough for the fast path\"],\"b\":{\"c\":[[]],\"d\":-Infinity}}";
    struct json_span span;
    struct json_report report;
    (void)state;

    for (size_t len = 0; len < strlen(text); len++) {
        assert_int_equal(scan_bytes(text, len, true, &span, &report), NHUB_EPROTO);
        assert_true(report.error_offset <= len);
    }
    assert_int_equal(scan_bytes(text, strlen(text), true, &span, &report), NHUB_OK);
}

static void special_bytes_are_seen_at_every_place_of_a_block(void **state)
{
    char text[80];
    struct json_span span;
    struct json_report report;
    (void)state;

    for (size_t at = 1; at < 70; at++) {
        memset(text, 'x', sizeof text);
        text[0] = '"';
        text[sizeof text - 1] = '"';
        text[at] = 0x1f;
        assert_int_equal(scan_bytes(text, sizeof text, false, &span, &report), NHUB_EPROTO);
        assert_int_equal(report.error_offset, at);
        text[at] = '\x80';
        assert_int_equal(scan_bytes(text, sizeof text, false, &span, &report), NHUB_EPROTO);
        assert_int_equal(report.error_offset, at);
        text[at] = '"';
        assert_int_equal(scan_bytes(text, at + 1, false, &span, &report), NHUB_OK);
        assert_int_equal(span.len, at + 1);
        text[at] = '\\';
        text[at + 1] = 'n';
        assert_int_equal(scan_bytes(text, sizeof text, false, &span, &report), NHUB_OK);
        assert_true(span.has_escape);
    }
}

static char *nested(size_t depth)
{
    char *text = malloc(2 * depth);

    assert_non_null(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return text;
}

static void nesting_ends_at_the_limit(void **state)
{
    struct json_span span;
    struct json_report report;
    char *text = nested(JSON_SCAN_MAX_DEPTH + 1);
    (void)state;

    assert_int_equal(json_scan_value(text + 1, 2 * JSON_SCAN_MAX_DEPTH, NULL, &span, &report),
                     NHUB_OK);
    assert_int_equal(json_scan_value(text, 2 * JSON_SCAN_MAX_DEPTH + 2, NULL, &span, &report),
                     NHUB_EPROTO);
    assert_int_equal(report.error_offset, JSON_SCAN_MAX_DEPTH);
    assert_int_equal(json_scan_value(text, JSON_SCAN_MAX_DEPTH + 1, NULL, &span, &report),
                     NHUB_EPROTO);
    free(text);
}

static void levels_of_both_kinds_close_in_order(void **state)
{
    char text[8 * JSON_SCAN_MAX_DEPTH];
    size_t len = 0;
    struct json_span span;
    struct json_report report;
    (void)state;

    for (int i = 0; i < JSON_SCAN_MAX_DEPTH; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, i % 3 == 1 ? "[" : "{\"k\":");
    }
    text[len++] = '1';
    for (int i = JSON_SCAN_MAX_DEPTH - 1; i >= 0; i--) {
        text[len++] = i % 3 == 1 ? ']' : '}';
    }
    assert_int_equal(json_scan_value(text, len, NULL, &span, &report), NHUB_OK);
    text[len - 2] = text[len - 2] == ']' ? '}' : ']';
    assert_int_equal(json_scan_value(text, len, NULL, &span, &report), NHUB_EPROTO);
    assert_int_equal(report.error_offset, len - 2);
}

static const struct json_key keys[] = {JSON_KEY("a"), JSON_KEY("bb"), JSON_KEY("key"),
                                       JSON_KEY("absent")};
#define KEYS (sizeof keys / sizeof keys[0])

static void expect_span(const struct json_span *span, const char *text)
{
    assert_int_equal(span->len, strlen(text));
    assert_memory_equal(span->p, text, span->len);
}

static void members_are_found_in_any_order(void **state)
{
    const char *text = "{ \"key\" : [ 1 ] , \"other\":2,\"bb\":\"x\\ny\",\"a\":1.0, \"more\": {}}";
    struct json_span out[KEYS];
    struct json_report report;
    (void)state;

    assert_int_equal(json_scan_object(text, strlen(text), keys, KEYS, NULL, out, &report), NHUB_OK);
    expect_span(&out[0], "1.0");
    assert_false(out[0].integer);
    expect_span(&out[1], "\"x\\ny\"");
    assert_true(out[1].has_escape);
    expect_span(&out[2], "[ 1 ]");
    assert_int_equal(out[2].kind, JSON_ARRAY);
    assert_int_equal(out[3].kind, JSON_ABSENT);
    assert_int_equal(report.unknown, 2);
}

static void the_last_of_repeated_members_counts(void **state)
{
    const char *text = "{\"a\":1,\"a\":2,\"bb\":1,\"a\":\"x\"}";
    struct json_span out[KEYS];
    struct json_report report;
    (void)state;

    assert_int_equal(json_scan_object(text, strlen(text), keys, KEYS, NULL, out, &report), NHUB_OK);
    expect_span(&out[0], "\"x\"");
    assert_int_equal(report.unknown, 0);
}

static void keys_with_escapes_are_recognised(void **state)
{
    const char *text =
        "{\"\\u006b\\u0065y\":1,\"k\\u0065yy\":2,\"b\\b\":3,"
        "\"a\\u0000 key that is longer than all of the keys that anyone of us asks for\":4}";
    struct json_span out[KEYS];
    struct json_report report;
    (void)state;

    assert_int_equal(json_scan_object(text, strlen(text), keys, KEYS, NULL, out, &report), NHUB_OK);
    expect_span(&out[2], "1");
    assert_int_equal(report.unknown, 3);
}

static void collect(void *context, const struct json_span *name)
{
    strncat(context, name->p, name->len);
}

static void unknown_members_are_reported(void **state)
{
    char seen[64] = "";
    const struct json_scan_options options = {.unknown = collect, .context = seen};
    const char *text = "{\"x\":1,\"a\":2,\"y\\n\":3}";
    struct json_span out[KEYS];
    struct json_report report;
    (void)state;

    assert_int_equal(json_scan_object(text, strlen(text), keys, KEYS, &options, out, &report),
                     NHUB_OK);
    assert_string_equal(seen, "\"x\"\"y\\n\"");
}

static void an_object_is_told_from_other_json(void **state)
{
    static const char *const others[] = {"[]", " [1]", "1", "\"{}\"", "null", "NaN"};
    static const char *const broken[] = {"", "{", "[", "x", "[1", "1 2", "{}{}", "{} x"};
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_span out[KEYS];
    struct json_report report;
    (void)state;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(
            json_scan_object(others[i], strlen(others[i]), keys, KEYS, &options, out, &report),
            NHUB_EPROTO);
        assert_true(report.not_object);
        assert_non_null(report.error);
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(
            json_scan_object(broken[i], strlen(broken[i]), keys, KEYS, &options, out, &report),
            NHUB_EPROTO);
        assert_false(report.not_object);
        assert_non_null(report.error);
    }
}

static void flags_belong_to_the_value_they_are_in(void **state)
{
    const char *text = "{\n\"a\":[1,\n2],\n\"bb\":[\"\\n\",NaN] ,\t\"key\":{\"x\": 1}\r\n}";
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_span out[KEYS];
    struct json_report report;
    (void)state;

    assert_int_equal(json_scan_object(text, strlen(text), keys, KEYS, &options, out, &report),
                     NHUB_OK);
    assert_true(out[0].has_newline);
    assert_false(out[0].has_nonfinite);
    assert_false(out[1].has_newline);
    assert_true(out[1].has_nonfinite);
    assert_false(out[2].has_newline);
    assert_false(out[2].has_nonfinite);
    assert_true(report.has_nonfinite);
    assert_int_equal(report.nonfinite_offset, strstr(text, "NaN") - text);
}

static void elements_come_one_by_one(void **state)
{
    const char *text = " [ 1 , \"a,]\" ,{\"x\":[2]}\n,[] ] ";
    static const char *const expected[] = {"1", "\"a,]\"", "{\"x\":[2]}", "[]"};
    struct json_span span;
    struct json_report report;
    size_t pos = 0;
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(json_scan_element(text, strlen(text), &pos, NULL, &span, &report),
                         NHUB_OK);
        expect_span(&span, expected[i]);
    }
    assert_int_equal(json_scan_element(text, strlen(text), &pos, NULL, &span, &report),
                     NHUB_ENOTFOUND);
    assert_int_equal(json_scan_element(text, strlen(text), &pos, NULL, &span, &report),
                     NHUB_ENOTFOUND);
}

/* How many elements come before the end or the error. */
static size_t count_elements(const char *text, nhub_err expected, size_t offset)
{
    struct json_span span;
    struct json_report report;
    size_t pos = 0, count = 0;
    nhub_err err = NHUB_OK;

    while ((err = json_scan_element(text, strlen(text), &pos, NULL, &span, &report)) == NHUB_OK) {
        count++;
    }
    assert_int_equal(err, expected);
    if (err == NHUB_EPROTO) {
        assert_int_equal(report.error_offset, offset);
        assert_non_null(report.error);
    }
    return count;
}

static void arrays_are_checked_as_they_are_passed(void **state)
{
    (void)state;
    assert_int_equal(count_elements("[]", NHUB_ENOTFOUND, 0), 0);
    assert_int_equal(count_elements("[1,2,3]", NHUB_ENOTFOUND, 0), 3);
    assert_int_equal(count_elements("[1,2", NHUB_EPROTO, 4), 2);
    assert_int_equal(count_elements("[1,2,", NHUB_EPROTO, 5), 2);
    assert_int_equal(count_elements("[1,]", NHUB_EPROTO, 3), 1);
    assert_int_equal(count_elements("[1 2]", NHUB_EPROTO, 3), 1);
    assert_int_equal(count_elements("[1,x]", NHUB_EPROTO, 3), 1);
    assert_int_equal(count_elements("[1] 2", NHUB_EPROTO, 4), 1);
    assert_int_equal(count_elements("[1]]", NHUB_EPROTO, 3), 1);
    assert_int_equal(count_elements("{}", NHUB_EPROTO, 0), 0);
    assert_int_equal(count_elements("", NHUB_EPROTO, 0), 0);
    assert_int_equal(count_elements("[", NHUB_EPROTO, 1), 0);
}

static void members_come_one_by_one(void **state)
{
    const char *text = "{\"a\" : 1, \"a\":[\"b\"]}";
    struct json_span name, value;
    struct json_report report;
    size_t pos = 0;
    (void)state;

    assert_int_equal(json_scan_member(text, strlen(text), &pos, NULL, &name, &value, &report),
                     NHUB_OK);
    expect_span(&name, "\"a\"");
    expect_span(&value, "1");
    assert_int_equal(json_scan_member(text, strlen(text), &pos, NULL, &name, &value, &report),
                     NHUB_OK);
    expect_span(&value, "[\"b\"]");
    assert_int_equal(json_scan_member(text, strlen(text), &pos, NULL, &name, &value, &report),
                     NHUB_ENOTFOUND);
    pos = 0;
    assert_int_equal(json_scan_member("[1]", 3, &pos, NULL, &name, &value, &report), NHUB_EPROTO);
}

static struct json_span span_of(const char *text)
{
    struct json_span span = {0};
    struct json_report report;

    assert_int_equal(json_scan_value(text, strlen(text), NULL, &span, &report), NHUB_OK);
    return span;
}

struct decode_case {
    const char *text;
    const char *decoded;
    size_t len;
    bool lone;
};

static void strings_are_decoded(void **state)
{
    static const struct decode_case cases[] = {
        {"\"\"", "", 0, false},
        {"\"abc\"", "abc", 3, false},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8, false},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 6, false},
        {"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80", 4, false},
        {"\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf", 4, false},
        {"\"a\\u0000b\"", "a\0b", 3, false},
        {"\"\\ud83d\"", "\xef\xbf\xbd", 3, true},
        {"\"\\ude00x\"", "\xef\xbf\xbdx", 4, true},
        {"\"\\ud83d\\u0041\"",
         "\xef\xbf\xbd"
         "A",
         4, true},
        {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7, true},
        {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n", 4, true},
        {"\"\\\\ud83d\"", "\\ud83d", 6, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct json_span span = span_of(cases[i].text);
        char out[16];
        size_t len = 99;

        assert_int_equal(json_decode_string(&span, out, cases[i].len, &len), NHUB_OK);
        assert_int_equal(len, cases[i].len);
        assert_memory_equal(out, cases[i].decoded, len);
        assert_int_equal(json_has_lone_surrogate(&span), cases[i].lone);
        if (cases[i].len > 0) {
            assert_int_equal(json_decode_string(&span, out, cases[i].len - 1, &len), NHUB_ETOOBIG);
        }
    }
    const struct json_span number = span_of("1");
    size_t len = 0;

    assert_int_equal(json_decode_string(&number, NULL, 0, &len), NHUB_EINVAL);
    assert_false(json_has_lone_surrogate(&number));
}

static void numbers_become_doubles(void **state)
{
    char digits[1030];
    struct json_span span = span_of("-12.5e1");
    double value = 0;
    (void)state;

    assert_int_equal(json_span_double(&span, &value), NHUB_OK);
    assert_true(value == -125.0);
    span = span_of("1e400");
    assert_int_equal(json_span_double(&span, &value), NHUB_ETOOBIG);
    span = span_of("\"1\"");
    assert_int_equal(json_span_double(&span, &value), NHUB_EINVAL);
    memset(digits, '1', sizeof digits);
    digits[sizeof digits - 1] = '\0';
    span = span_of(digits);
    assert_int_equal(json_span_double(&span, &value), NHUB_ETOOBIG);
}

/* libnotifyhub may live in a program that has set a locale with a decimal comma. */
static void doubles_do_not_depend_on_the_locale(void **state)
{
    const struct json_span span = span_of("1.5");
    double value = 0;
    (void)state;

    if (setlocale(LC_ALL, "de_DE.UTF-8")) {
        assert_int_equal(json_span_double(&span, &value), NHUB_OK);
        (void)setlocale(LC_ALL, "C");
        assert_true(value == 1.5);
    }
}

static void numbers_become_unsigned_integers(void **state)
{
    struct json_span span = span_of("18446744073709551615");
    uint64_t value = 0;
    (void)state;

    assert_int_equal(json_span_u64(&span, &value), NHUB_OK);
    assert_true(value == UINT64_MAX);
    span = span_of("18446744073709551616");
    assert_int_equal(json_span_u64(&span, &value), NHUB_ETOOBIG);
    span = span_of("-1");
    assert_int_equal(json_span_u64(&span, &value), NHUB_ETOOBIG);
    span = span_of("1.0");
    assert_int_equal(json_span_u64(&span, &value), NHUB_EINVAL);
    span = span_of("1e3");
    assert_int_equal(json_span_u64(&span, &value), NHUB_EINVAL);
    span = span_of("true");
    assert_int_equal(json_span_u64(&span, &value), NHUB_EINVAL);
}

static void breaks_outside_strings_become_blanks(void **state)
{
    const char *text = "{\n\t\"a\\\"\\n\": [1,\r\n2]}";
    char out[64];
    (void)state;

    assert_int_equal(json_one_line(text, strlen(text), out), strlen(text));
    assert_memory_equal(out, "{  \"a\\\"\\n\": [1,  2]}", strlen(text));
}

static void bare_words_become_null(void **state)
{
    static const char *const cases[][2] = {
        {"NaN", "null"},
        {"[NaN,Infinity,-Infinity,-1]", "[null,null,null,-1]"},
        {"{\"NaN\":\"-Infinity \\\" NaN\",\"x\":NaN}",
         "{\"NaN\":\"-Infinity \\\" NaN\",\"x\":null}"},
        {"[NaN,NaN,NaN,NaN]", "[null,null,null,null]"},
        {"[null,-0,true]", "[null,-0,true]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t len = strlen(cases[i][0]);
        char *text = exact_copy(cases[i][0], len);
        char *out = malloc(2 * len);

        assert_non_null(out);
        assert_int_equal(json_nonfinite_to_null(text, len, out), strlen(cases[i][1]));
        assert_memory_equal(out, cases[i][1], strlen(cases[i][1]));
        free(out);
        free(text);
    }
}

static void utf8_is_checked(void **state)
{
    (void)state;
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("a\0b", 3));
    assert_true(utf8_valid("\xe2\x82\xac", 3));
    assert_false(utf8_valid("\xe2\x82", 2));
    assert_false(utf8_valid("a\xff", 2));
    assert_false(utf8_valid("\xed\xa0\x80", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_recognised),
        cmocka_unit_test(broken_texts_are_refused_where_they_break),
        cmocka_unit_test(a_nul_byte_is_no_json),
        cmocka_unit_test(bare_words_of_python_pass_only_where_allowed),
        cmocka_unit_test(every_cut_of_a_text_is_refused),
        cmocka_unit_test(special_bytes_are_seen_at_every_place_of_a_block),
        cmocka_unit_test(nesting_ends_at_the_limit),
        cmocka_unit_test(levels_of_both_kinds_close_in_order),
        cmocka_unit_test(members_are_found_in_any_order),
        cmocka_unit_test(the_last_of_repeated_members_counts),
        cmocka_unit_test(keys_with_escapes_are_recognised),
        cmocka_unit_test(unknown_members_are_reported),
        cmocka_unit_test(an_object_is_told_from_other_json),
        cmocka_unit_test(flags_belong_to_the_value_they_are_in),
        cmocka_unit_test(elements_come_one_by_one),
        cmocka_unit_test(arrays_are_checked_as_they_are_passed),
        cmocka_unit_test(members_come_one_by_one),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(numbers_become_doubles),
        cmocka_unit_test(doubles_do_not_depend_on_the_locale),
        cmocka_unit_test(numbers_become_unsigned_integers),
        cmocka_unit_test(breaks_outside_strings_become_blanks),
        cmocka_unit_test(bare_words_become_null),
        cmocka_unit_test(utf8_is_checked),
    };
    return cmocka_run_group_tests_name("json_scan", tests, NULL, NULL);
}
