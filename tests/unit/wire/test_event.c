/* event: what a publisher may send, what he is told, and the line that the hub makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/event.h"

#define STATS "StatsEvent"
#define UUID  "01234567-89ab-4def-8123-456789abcdef"

static struct event_fill default_fill(void)
{
    return (struct event_fill){
        .default_source = "\"http\"", .now_us = INT64_C(1700000000000007), .correlation_id = UUID};
}

static const struct position here = {"abcdefgh", 42};

static nhub_err parse(const char *text, enum event_door door, struct event *out,
                      struct event_error *error)
{
    return event_parse(text, strlen(text), door, STATS, NULL, NULL, out, error);
}

struct refusal {
    const char *text;
    enum event_reason reason;
    const char *field;
};

static void expect_refusals(const struct refusal *cases, size_t count, enum event_door door)
{
    for (size_t i = 0; i < count; i++) {
        struct event event;
        struct event_error error;

        if (parse(cases[i].text, door, &event, &error) != NHUB_EPROTO) {
            fail_msg("%s passes", cases[i].text);
        }
        if (error.reason != cases[i].reason) {
            fail_msg("%s: %s", cases[i].text, event_reason_code(error.reason));
        }
        assert_non_null(error.detail);
        if (cases[i].field) {
            assert_string_equal(error.field, cases[i].field);
        } else {
            assert_null(error.field);
        }
    }
}

#define EVENT(members) "{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":1" members "}"
#define TYPE(text)     "{\"event_type\":" text ",\"source_service\":\"s\",\"data\":1}"

static void bad_events_are_refused_with_their_reason(void **state)
{
    static const struct refusal cases[] = {
        {"", EVENT_BAD_JSON, NULL},
        {"{", EVENT_BAD_JSON, NULL},
        {"{\"event_type\":\"a\",}", EVENT_BAD_JSON, NULL},
        {"rubbish", EVENT_BAD_JSON, NULL},
        {EVENT(",\"x\":\"\xff\""), EVENT_BAD_JSON, NULL},
        {"[]", EVENT_NOT_OBJECT, NULL},
        {"\"text\"", EVENT_NOT_OBJECT, NULL},
        {"null", EVENT_NOT_OBJECT, NULL},
        {"{}", EVENT_MISSING_FIELD, "event_type"},
        {"{\"source_service\":\"s\",\"data\":1}", EVENT_MISSING_FIELD, "event_type"},
        {TYPE("null"), EVENT_MISSING_FIELD, "event_type"},
        {TYPE("1"), EVENT_WRONG_TYPE, "event_type"},
        {TYPE("[\"a\"]"), EVENT_WRONG_TYPE, "event_type"},
        {TYPE("\"\""), EVENT_BAD_VALUE, "event_type"},
        {TYPE("\"a\\nb\""), EVENT_BAD_VALUE, "event_type"},
        {TYPE("\"a\\u0000b\""), EVENT_BAD_VALUE, "event_type"},
        {TYPE("\"a\x7f\""), EVENT_BAD_VALUE, "event_type"},
        {TYPE("\"a\\ud800\""), EVENT_BAD_VALUE, "event_type"},
        {TYPE("\"\\udc00\""), EVENT_BAD_VALUE, "event_type"},
        {TYPE("\"hub.gap\""), EVENT_RESERVED_TYPE, "event_type"},
        {TYPE("\"\\u0068ub.\""), EVENT_RESERVED_TYPE, "event_type"},
        {TYPE("\"StatsEvent\""), EVENT_RESERVED_TYPE, "event_type"},
        {"{\"event_type\":\"a\",\"source_service\":5,\"data\":1}", EVENT_WRONG_TYPE,
         "source_service"},
        {EVENT(",\"timestamp\":\"now\""), EVENT_WRONG_TYPE, "timestamp"},
        {EVENT(",\"timestamp\":true"), EVENT_WRONG_TYPE, "timestamp"},
        {EVENT(",\"correlation_id\":7"), EVENT_WRONG_TYPE, "correlation_id"},
        {EVENT(",\"id\":7"), EVENT_WRONG_TYPE, "id"},
        {EVENT(",\"id\":\"\""), EVENT_BAD_VALUE, "id"},
        {EVENT(",\"id\":\"\\ud800\""), EVENT_BAD_VALUE, "id"},
        {EVENT(",\"kind\":7"), EVENT_WRONG_TYPE, "kind"},
        {EVENT(",\"kind\":\"renamed\""), EVENT_BAD_VALUE, "kind"},
        {EVENT(",\"kind\":\"Created\""), EVENT_BAD_VALUE, "kind"},
        {EVENT(",\"kind\":\"a kind of more than sixteen bytes\""), EVENT_BAD_VALUE, "kind"},
        {EVENT(",\"metadata\":[]"), EVENT_WRONG_TYPE, "metadata"},
        {EVENT(",\"metadata\":{\"a\":1}"), EVENT_WRONG_TYPE, "metadata"},
        {EVENT(",\"metadata\":{\"a\":\"x\",\"b\":null}"), EVENT_WRONG_TYPE, "metadata"},
        {EVENT(",\"metadata\":{\"a\":{}}"), EVENT_WRONG_TYPE, "metadata"},
    };
    (void)state;

    expect_refusals(cases, sizeof cases / sizeof cases[0], EVENT_DOOR_ZEROMQ);
    expect_refusals(cases, sizeof cases / sizeof cases[0], EVENT_DOOR_HTTP);
}

static void zeromq_requires_source_and_data(void **state)
{
    static const struct refusal cases[] = {
        {"{\"event_type\":\"a\",\"data\":1}", EVENT_MISSING_FIELD, "source_service"},
        {"{\"event_type\":\"a\",\"source_service\":null,\"data\":1}", EVENT_MISSING_FIELD,
         "source_service"},
        {"{\"event_type\":\"a\",\"source_service\":\"s\"}", EVENT_MISSING_FIELD, "data"},
        {EVENT(",\"timestamp\":NaN"), EVENT_WRONG_TYPE, "timestamp"},
        {EVENT(",\"metadata\":{\"a\":NaN}"), EVENT_WRONG_TYPE, "metadata"},
    };
    struct event event;
    struct event_error error;
    (void)state;

    expect_refusals(cases, sizeof cases / sizeof cases[0], EVENT_DOOR_ZEROMQ);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(parse(cases[i].text, EVENT_DOOR_HTTP, &event, &error), NHUB_OK);
    }
}

static void http_refuses_numbers_that_are_not_json(void **state)
{
    static const char *const texts[] = {EVENT(",\"x\":[1,-Infinity]"), EVENT(",\"timestamp\":NaN"),
                                        "{\"event_type\":\"a\",\"data\":NaN,\"data\":1}"};
    struct event event;
    struct event_error error;
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse(texts[i], EVENT_DOOR_HTTP, &event, &error), NHUB_EPROTO);
        assert_int_equal(error.reason, EVENT_NONFINITE);
    }
    assert_int_equal(error.offset, strstr(texts[2], "NaN") - texts[2]);
}

static void bad_json_names_the_offset(void **state)
{
    const char *text = "{\"event_type\":\"a\",\"data\":[1,}}";
    struct event event;
    struct event_error error;
    (void)state;

    assert_int_equal(parse(text, EVENT_DOOR_HTTP, &event, &error), NHUB_EPROTO);
    assert_int_equal(error.offset, strlen(text) - 2);
}

static void fields_have_their_limits(void **state)
{
    char text[2048], filler[1200];
    struct event event;
    struct event_error error;
    (void)state;

    memset(filler, 'x', sizeof filler);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof text, TYPE("\"%.*s\""), EVENT_TYPE_MAX + i, filler);
        assert_int_equal(parse(text, EVENT_DOOR_HTTP, &event, &error), i ? NHUB_EPROTO : NHUB_OK);
        (void)snprintf(text, sizeof text, EVENT(",\"id\":\"%.*s\""), EVENT_ID_MAX + i, filler);
        assert_int_equal(parse(text, EVENT_DOOR_HTTP, &event, &error), i ? NHUB_EPROTO : NHUB_OK);
    }
    assert_int_equal(error.reason, EVENT_BAD_VALUE);
    assert_string_equal(error.field, "id");
}

static void good_events_pass(void **state)
{
    static const char *const texts[] = {
        EVENT(""),
        EVENT(",\"timestamp\":5,\"correlation_id\":\"\",\"id\":\"x\",\"kind\":\"created\""),
        EVENT(",\"timestamp\":null,\"correlation_id\":null,\"id\":null,\"kind\":null,"
              "\"metadata\":null"),
        EVENT(",\"metadata\":{}"),
        EVENT(",\"metadata\":{\"traceparent\":\"00\",\"x\":\"\"}"),
        EVENT(",\"kind\":\"cre\\u0061ted\""),
        EVENT(",\"seq\":\"any\",\"epoch\":[1]"),
        EVENT(",\"timestamp\":-1e400"),
        "{\"event_type\":\"a\",\"source_service\":\"\",\"data\":null}",
        TYPE("\"hub\""),
        TYPE("\"\\ud83d\\ude00 \xc2\x85\""),
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct event event;
        struct event_error error;

        if (parse(texts[i], EVENT_DOOR_ZEROMQ, &event, &error) != NHUB_OK) {
            fail_msg("%s: %s", texts[i], error.detail);
        }
        assert_int_equal(error.reason, EVENT_OK);
    }
}

static void the_type_is_decoded(void **state)
{
    struct event event;
    struct event_error error;
    (void)state;

    assert_int_equal(parse(TYPE("\"\\u00e9\\/x\""), EVENT_DOOR_ZEROMQ, &event, &error), NHUB_OK);
    assert_string_equal(event.type, "\xc3\xa9/x");
    assert_int_equal(event.type_len, 4);
}

static void unknown_members_are_counted_and_told(void **state)
{
    struct event event;
    struct event_error error;
    (void)state;

    assert_int_equal(parse(EVENT(",\"x\":1,\"y\":2,\"seq\":3"), EVENT_DOOR_HTTP, &event, &error),
                     NHUB_OK);
    assert_int_equal(event.ignored, 2);
}

static void string_fields_can_be_read(void **state)
{
    char out[8];
    size_t len = 0;
    struct event event;
    struct event_error error;
    (void)state;

    assert_int_equal(parse(EVENT(",\"id\":\"a\\tb\",\"kind\":null,\"timestamp\":1"),
                           EVENT_DOOR_HTTP, &event, &error),
                     NHUB_OK);
    assert_int_equal(event_string(&event, EVENT_ID, out, sizeof out, &len), NHUB_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(out, "a\tb", 3);
    assert_int_equal(event_string(&event, EVENT_ID, out, 2, &len), NHUB_ETOOBIG);
    assert_int_equal(event_string(&event, EVENT_KIND, out, sizeof out, &len), NHUB_ENOTFOUND);
    assert_int_equal(event_string(&event, EVENT_TIMESTAMP, out, sizeof out, &len), NHUB_EINVAL);
}

/* Parses and renders into exactly the promised room; the caller frees the line. */
static char *render(const char *text, enum event_door door, const struct event_fill *fill,
                    const struct position *position, size_t *out_len)
{
    struct event event;
    struct event_error error;

    if (parse(text, door, &event, &error) != NHUB_OK) {
        fail_msg("%s: %s", text, error.detail);
    }
    const size_t max = event_render_max(&event, fill, strlen(text));
    char *line = malloc(max + 1);

    assert_non_null(line);
    *out_len = event_render(&event, fill, position, line);
    assert_true(*out_len <= max);
    line[*out_len] = '\0';
    return line;
}

struct render_case {
    const char *text;
    const char *line;
};

#define HEAD "{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":1"
#define TAIL ",\"seq\":42,\"epoch\":\"abcdefgh\"}"

static void lines_are_canonical(void **state)
{
    static const struct render_case cases[] = {
        /* Order of the fields, blanks between them, unknown members. */
        {" { \"correlation_id\" : \"c\" , \"x\":0, \"timestamp\" : 5 , \"data\" : { \"b\" : 1 } , "
         "\"source_service\":\"s\" , \"event_type\" : \"a\" } ",
         "{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":{ \"b\" : 1 },\"timestamp\":5,"
         "\"correlation_id\":\"c\"" TAIL},
        /* What is missing is filled in. */
        {"{\"event_type\":\"a\"}",
         "{\"event_type\":\"a\",\"source_service\":\"http\",\"data\":{},\"timestamp\":1700000000."
         "000007,\"correlation_id\":\"" UUID "\"" TAIL},
        /* The publisher's bytes stay: escapes, big numbers, floats. */
        {"{\"event_type\":\"\\u0061\",\"source_service\":\"\\/s\",\"data\":[1180591620717411303424,"
         "0.10,1E+2,\"\\u00e9\xc3\xa9\"],\"timestamp\":1.50,\"correlation_id\":\"\\n\"}",
         "{\"event_type\":\"\\u0061\",\"source_service\":\"\\/s\",\"data\":[1180591620717411303424,"
         "0.10,1E+2,\"\\u00e9\xc3\xa9\"],\"timestamp\":1.50,\"correlation_id\":\"\\n\"" TAIL},
        /* One line: breaks outside of strings become blanks. */
        {"{\"event_type\":\"a\",\n\"source_service\":\"s\",\r\n\"data\":\t{\n\t\"x\":\r\n\"\\n\"},"
         "\"timestamp\":1,\"correlation_id\":\"c\",\"metadata\":{\n\"m\":\"1\"\n}}",
         "{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":{  \"x\":  "
         "\"\\n\"},\"timestamp\":"
         "1,\"correlation_id\":\"c\",\"metadata\":{ \"m\":\"1\" }" TAIL},
        /* Optional fields in their order. */
        {EVENT(",\"metadata\":{\"m\":\"1\"},\"kind\":\"error\",\"id\":\"i\",\"timestamp\":1,"
               "\"correlation_id\":\"c\",\"epoch\":\"zzzzzzzz\",\"seq\":1"),
         HEAD ",\"timestamp\":1,\"correlation_id\":\"c\",\"id\":\"i\",\"kind\":\"error\","
              "\"metadata\":{\"m\":\"1\"}" TAIL},
    };
    const struct event_fill fill = default_fill();
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = 0;
        char *line = render(cases[i].text, EVENT_DOOR_HTTP, &fill, &here, &len);

        assert_string_equal(line, cases[i].line);
        free(line);
    }
}

static void python_numbers_pass_between_zeromq_peers(void **state)
{
    const struct event_fill fill = default_fill();
    struct event event;
    struct event_error error;
    const char *text = "{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":[NaN,-Infinity],"
                       "\"timestamp\":1,\"correlation_id\":\"c\"}";
    size_t len = 0;
    char *line = render(text, EVENT_DOOR_ZEROMQ, &fill, NULL, &len);
    (void)state;

    assert_string_equal(line, text);
    free(line);
    assert_int_equal(parse(text, EVENT_DOOR_ZEROMQ, &event, &error), NHUB_OK);
    assert_true(event.has_nonfinite);
}

static void without_a_position_the_line_has_none(void **state)
{
    const struct event_fill fill = default_fill();
    size_t len = 0;
    char *line = render(EVENT(",\"timestamp\":1,\"correlation_id\":\"c\",\"seq\":9"),
                        EVENT_DOOR_ZEROMQ, &fill, NULL, &len);
    (void)state;

    assert_string_equal(line, HEAD ",\"timestamp\":1,\"correlation_id\":\"c\"}");
    free(line);
}

static void timestamps_before_1970_are_negative(void **state)
{
    struct event_fill fill = default_fill();
    size_t len = 0;
    (void)state;

    fill.now_us = -1500000;
    char *line = render(EVENT(""), EVENT_DOOR_ZEROMQ, &fill, NULL, &len);

    assert_non_null(strstr(line, "\"timestamp\":-1.500000,"));
    free(line);
    fill.now_us = INT64_MIN;
    line = render(EVENT(""), EVENT_DOOR_ZEROMQ, &fill, NULL, &len);
    assert_non_null(strstr(line, "\"timestamp\":-9223372036854.775808,"));
    free(line);
}

static void an_idempotency_key_is_the_id_of_events_without_one(void **state)
{
    struct event_fill fill = default_fill();
    size_t len = 0;
    (void)state;

    fill.id = "\"key\"";
    char *line = render(EVENT(""), EVENT_DOOR_HTTP, &fill, NULL, &len);

    assert_non_null(strstr(line, ",\"id\":\"key\"}"));
    free(line);
    line = render(EVENT(",\"id\":\"own\""), EVENT_DOOR_HTTP, &fill, NULL, &len);
    assert_non_null(strstr(line, ",\"id\":\"own\"}"));
    free(line);
}

static void metadata_is_merged_and_the_publishers_counts(void **state)
{
    static const struct render_case cases[] = {
        {EVENT(""), ",\"metadata\":{\"traceparent\":\"t\",\"tracestate\":\"u\"}}"},
        {EVENT(",\"metadata\":{}"), ",\"metadata\":{\"traceparent\":\"t\",\"tracestate\":\"u\"}}"},
        {EVENT(",\"metadata\":{ }"), ",\"metadata\":{\"traceparent\":\"t\",\"tracestate\":\"u\"}}"},
        {EVENT(",\"metadata\":{\"a\":\"}\" \n }"),
         ",\"metadata\":{\"a\":\"}\",\"traceparent\":\"t\",\"tracestate\":\"u\"}}"},
        {EVENT(",\"metadata\":{\"traceparent\":\"own\"}"),
         ",\"metadata\":{\"traceparent\":\"own\",\"tracestate\":\"u\"}}"},
    };
    struct event_fill fill = default_fill();
    (void)state;

    fill.extra_metadata = "{\"traceparent\":\"t\",\"tracestate\":\"u\"}";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = 0;
        char *line = render(cases[i].text, EVENT_DOOR_HTTP, &fill, NULL, &len);

        if (!strstr(line, cases[i].line)) {
            fail_msg("%s", line);
        }
        free(line);
    }
}

/* Rendering what was rendered changes nothing, and data keeps its bytes. */
static void rendering_is_stable(void **state)
{
    static const char *const texts[] = {
        EVENT(""),
        ("{\"data\":{\"x\":[1.0, -0, 1e5,\"\\ud800\"]},\"event_type\":\"b\\u0062\","
         "\"source_service\":\"q\",\"metadata\":{ \"k\" : \"v\" "
         "},\"id\":\"i\",\"kind\":\"custom\"}"),
        "{\"event_type\":\"n\",\"source_service\":\"s\",\"data\":[\n1,\n2]}",
    };
    const struct event_fill fill = default_fill();
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t len = 0, again_len = 0;
        char *line = render(texts[i], EVENT_DOOR_ZEROMQ, &fill, &here, &len);
        char *again = render(line, EVENT_DOOR_ZEROMQ, &fill, &here, &again_len);
        struct event event;
        struct position position;

        assert_string_equal(again, line);
        assert_null(strpbrk(line, "\r\n\t"));
        assert_int_equal(event_parse_numbered(line, len, &event, &position), NHUB_OK);
        assert_true(position_equal(&position, &here));
        free(again);
        free(line);
    }
}

static void numbered_lines_may_be_the_hubs(void **state)
{
    static const char *const bad[] = {
        "{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":1}",
        EVENT(",\"seq\":0,\"epoch\":\"abcdefgh\""),
        EVENT(",\"seq\":-1,\"epoch\":\"abcdefgh\""),
        EVENT(",\"seq\":9223372036854775808,\"epoch\":\"abcdefgh\""),
        EVENT(",\"seq\":\"1\",\"epoch\":\"abcdefgh\""),
        EVENT(",\"seq\":1,\"epoch\":\"short\""),
        EVENT(",\"seq\":1,\"epoch\":7"),
        EVENT(",\"seq\":1,\"epoch\":\"\\u0061bcdefgh\""),
        "{\"event_type\":\"a\",\"data\":1,\"seq\":1,\"epoch\":\"abcdefgh\"}",
        "rubbish",
    };
    const char *stats =
        "{\"event_type\":\"StatsEvent\",\"source_service\":\"nh_cs\",\"data\":{},"
        "\"timestamp\":1,\"correlation_id\":\"c\",\"seq\":7,\"epoch\":\"abcdefgh\"}";
    struct event event;
    struct position position;
    (void)state;

    assert_int_equal(event_parse_numbered(stats, strlen(stats), &event, &position), NHUB_OK);
    assert_true(position.seq == 7);
    assert_int_equal(event_parse_numbered(stats, strlen(stats), &event, NULL), NHUB_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(event_parse_numbered(bad[i], strlen(bad[i]), &event, &position),
                         NHUB_EPROTO);
    }
}

static void the_tail_of_a_line_tells_its_position(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        ",\"epoch\":\"abcdefgh\"}",
        "1,\"epoch\":\"abcdefgh\"}",
        ":1,\"epoch\":\"abcdefgh\"}",
        ",\"seq\":,\"epoch\":\"abcdefgh\"}",
        ",\"seq\":01,\"epoch\":\"abcdefgh\"}",
        ",\"seq\":0,\"epoch\":\"abcdefgh\"}",
        ",\"seq\":-1,\"epoch\":\"abcdefgh\"}",
        ",\"seq\":1,\"epoch\":\"1bcdefgh\"}",
        ",\"seq\":1,\"epoch\":\"abcdefgh\"} ",
        ",\"seq\":1,\"epoch\":\"abcdefgh\"]",
        ",\"seq\":1,\"epoch\":\"abcdefghi\"}",
        ",\"seq\": 1,\"epoch\":\"abcdefgh\"}",
        ",\"seq\":9223372036854775808,\"epoch\":\"abcdefgh\"}",
        ",\"seq\":19223372036854775807,\"epoch\":\"abcdefgh\"}",
    };
    const char *longest = "{\"x\":1,\"seq\":9223372036854775807,\"epoch\":\"abcdefgh\"}";
    struct position position = {"", 77};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (event_tail_position(bad[i], strlen(bad[i]), &position) != NHUB_EPROTO) {
            fail_msg("%s", bad[i]);
        }
    }
    assert_true(position.seq == 77);
    assert_int_equal(event_tail_position(longest, strlen(longest), &position), NHUB_OK);
    assert_true(position.seq == INT64_MAX);
    assert_string_equal(position.epoch, "abcdefgh");
}

static void reasons_and_fields_have_words(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_REASONS; i++) {
        assert_string_not_equal(event_reason_code((enum event_reason)i), "unknown");
    }
    assert_string_equal(event_reason_code(EVENT_REASONS), "unknown");
    assert_string_equal(event_reason_code(EVENT_TOO_BIG), "too_big");
    assert_string_equal(event_field_name(EVENT_CORRELATION), "correlation_id");
    assert_string_equal(event_field_name(EVENT_FIELDS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_events_are_refused_with_their_reason),
        cmocka_unit_test(zeromq_requires_source_and_data),
        cmocka_unit_test(http_refuses_numbers_that_are_not_json),
        cmocka_unit_test(bad_json_names_the_offset),
        cmocka_unit_test(fields_have_their_limits),
        cmocka_unit_test(good_events_pass),
        cmocka_unit_test(the_type_is_decoded),
        cmocka_unit_test(unknown_members_are_counted_and_told),
        cmocka_unit_test(string_fields_can_be_read),
        cmocka_unit_test(lines_are_canonical),
        cmocka_unit_test(python_numbers_pass_between_zeromq_peers),
        cmocka_unit_test(without_a_position_the_line_has_none),
        cmocka_unit_test(timestamps_before_1970_are_negative),
        cmocka_unit_test(an_idempotency_key_is_the_id_of_events_without_one),
        cmocka_unit_test(metadata_is_merged_and_the_publishers_counts),
        cmocka_unit_test(rendering_is_stable),
        cmocka_unit_test(numbered_lines_may_be_the_hubs),
        cmocka_unit_test(the_tail_of_a_line_tells_its_position),
        cmocka_unit_test(reasons_and_fields_have_words),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
