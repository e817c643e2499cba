// with: failmalloc
/* cloudevents: CloudEvents 1.0 in both modes, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "failmalloc.h"
#include "wire/cloudevents.h"

#define CE(members)                                                                                \
    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"" members "}"
#define OURS "{\"id\":\"1\",\"source_service\":\"/s\",\"event_type\":\"t\""

struct translation {
    const char *in;
    const char *out;
};

static void structured_events_are_translated(void **state)
{
    static const struct translation cases[] = {
        {CE(""), OURS "}"},
        {CE(",\"data\":{\"a\":1.0}"), OURS ",\"data\":{\"a\":1.0}}"},
        {CE(",\"data\":null"), OURS ",\"data\":null}"},
        {CE(",\"time\":\"1970-01-01T01:00:01.5+01:00\""), OURS ",\"timestamp\":1.500000}"},
        {CE(",\"time\":\"1969-12-31T23:59:58.5Z\""), OURS ",\"timestamp\":-1.500000}"},
        {CE(",\"time\":null,\"subject\":null,\"x\":null"), OURS "}"},
        {CE(",\"subject\":\"a\\nb\",\"datacontenttype\":\"text/xml\",\"dataschema\":\"u\""),
         OURS ",\"metadata\":{\"ce-subject\":\"a\\nb\",\"ce-datacontenttype\":\"text/xml\","
              "\"ce-dataschema\":\"u\"}}"},
        {CE(",\"ext1\":\"v\",\"n\":5,\"b\":true,\"c\":false"),
         OURS ",\"metadata\":{\"ce-ext1\":\"v\",\"ce-n\":\"5\",\"ce-b\":\"true\","
              "\"ce-c\":\"false\"}}"},
        {CE(",\"traceparent\":\"00\",\"tracestate\":\"x\",\"encoding\":\"e\""),
         OURS ",\"metadata\":{\"traceparent\":\"00\",\"tracestate\":\"x\","
              "\"ce-ext-encoding\":\"e\"}}"},
        {CE(",\"correlationid\":\"c\",\"nhkind\":\"created\",\"nhseq\":\"1\",\"nhepoch\":7"),
         OURS ",\"correlation_id\":\"c\",\"kind\":\"created\"}"},
        {CE(",\"nhmetadata\":\"{\\\"A b\\\":\\\"v\\\"}\""), OURS ",\"metadata\":{\"A b\":\"v\"}}"},
        {CE(",\"nhmetadata\":\"{\\\"a\\\":1}\""),
         OURS ",\"metadata\":{\"ce-nhmetadata\":\"{\\\"a\\\":1}\"}}"},
        {CE(",\"x\":\"y\",\"nhmetadata\":\"{\\\"a\\\":\\\"1\\\",\""),
         OURS ",\"metadata\":{\"ce-x\":\"y\",\"ce-nhmetadata\":\"{\\\"a\\\":\\\"1\\\",\"}}"},
        {CE(",\"data_base64\":\"AP8=\""),
         OURS ",\"data\":\"AP8=\",\"metadata\":{\"ce-encoding\":\"base64\"}}"},
        {CE(",\"data_base64\":\"\\/w==\""),
         OURS ",\"data\":\"/w==\",\"metadata\":{\"ce-encoding\":\"base64\"}}"},
        {CE(",\"data_base64\":\"\""),
         OURS ",\"data\":\"\",\"metadata\":{\"ce-encoding\":\"base64\"}}"},
        {"{\"specversion\":\"1\\u002e0\",\"\\u0069d\":\"1\",\"source\":\"/s\",\"type\":\"t\"}",
         OURS "}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out;
        struct event_error error;

        buf_init(&out);
        buf_add_str(&out, "before ");
        if (cloudevent_to_event(cases[i].in, strlen(cases[i].in), &out, &error) != NHUB_OK) {
            fail_msg("%s: %s", cases[i].in, error.detail);
        }
        assert_string_equal(buf_cstr(&out) + 7, cases[i].out);
        buf_fini(&out);
    }
}

struct refusal {
    const char *text;
    enum event_reason reason;
    const char *field;
};

static void bad_structured_events_are_refused(void **state)
{
    static const struct refusal cases[] = {
        {"", EVENT_BAD_JSON, NULL},
        {CE(",\"data\":}"), EVENT_BAD_JSON, NULL},
        {CE(",\"data\":NaN"), EVENT_NONFINITE, NULL},
        {"[]", EVENT_NOT_OBJECT, NULL},
        {"{\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", EVENT_MISSING_FIELD, "specversion"},
        {"{\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\"}", EVENT_MISSING_FIELD, "id"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}", EVENT_MISSING_FIELD, "source"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":null}",
         EVENT_MISSING_FIELD, "type"},
        {"{\"specversion\":\"0.3\"}", EVENT_BAD_VALUE, "specversion"},
        {"{\"specversion\":1.0}", EVENT_WRONG_TYPE, "specversion"},
        {CE(",\"id\":1"), EVENT_WRONG_TYPE, "id"},
        {CE(",\"id\":\"\""), EVENT_BAD_VALUE, "id"},
        {CE(",\"source\":\"\""), EVENT_BAD_VALUE, "source"},
        {CE(",\"type\":\"\""), EVENT_BAD_VALUE, "type"},
        {CE(",\"subject\":\"\""), EVENT_BAD_VALUE, "subject"},
        {CE(",\"subject\":1"), EVENT_WRONG_TYPE, "subject"},
        {CE(",\"time\":\"yesterday\""), EVENT_BAD_VALUE, "time"},
        {CE(",\"time\":1"), EVENT_WRONG_TYPE, "time"},
        {CE(",\"my_ext\":\"x\""), EVENT_BAD_VALUE, NULL},
        {CE(",\"MyExt\":\"x\""), EVENT_BAD_VALUE, NULL},
        {CE(",\"\":\"x\""), EVENT_BAD_VALUE, NULL},
        {CE(",\"\\u0061 name with an escape that is longer than the sixty-four bytes of its "
            "buffer\":1"),
         EVENT_BAD_VALUE, NULL},
        {CE(",\"ext\":{}"), EVENT_WRONG_TYPE, NULL},
        {CE(",\"ext\":[1]"), EVENT_WRONG_TYPE, NULL},
        {CE(",\"data_base64\":\"A\""), EVENT_BAD_VALUE, "data_base64"},
        {CE(",\"data_base64\":\"A===\""), EVENT_BAD_VALUE, "data_base64"},
        {CE(",\"data_base64\":\"AP-_\""), EVENT_BAD_VALUE, "data_base64"},
        {CE(",\"data_base64\":\"A=BC\""), EVENT_BAD_VALUE, "data_base64"},
        {CE(",\"data_base64\":1"), EVENT_WRONG_TYPE, "data_base64"},
        {CE(",\"data_base64\":\"\",\"data\":1"), EVENT_BAD_VALUE, "data_base64"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out;
        struct event_error error;

        buf_init(&out);
        buf_add_str(&out, "before");
        if (cloudevent_to_event(cases[i].text, strlen(cases[i].text), &out, &error) !=
            NHUB_EPROTO) {
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
        assert_string_equal(buf_cstr(&out), "before");
        buf_fini(&out);
    }
}

static const struct cloudevent_header required[] = {
    {"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "t"}};

/* Binary mode with one more header; the result, or NULL after an error. The caller frees it. */
static char *binary(const struct cloudevent_header *more, const char *content_type,
                    const char *body, size_t len, struct event_error *error)
{
    struct cloudevent_header headers[5];
    struct buf out;
    size_t out_len = 0;

    memcpy(headers, required, sizeof required);
    if (more) {
        headers[4] = *more;
    }
    buf_init(&out);
    if (cloudevent_binary_to_event(headers, more ? 5 : 4, content_type, body, len, &out, error) !=
        NHUB_OK) {
        assert_int_equal(out.len, 0);
        buf_fini(&out);
        return NULL;
    }
    buf_add_char(&out, '\0');
    return buf_take(&out, &out_len);
}

struct binary_case {
    struct cloudevent_header more;
    const char *content_type;
    const char *body;
    const char *out;
};

static void binary_events_are_translated(void **state)
{
    static const struct binary_case cases[] = {
        {{NULL, NULL}, NULL, "", OURS "}"},
        {{NULL, NULL}, NULL, "a\"b", OURS ",\"data\":\"a\\\"b\"}"},
        {{NULL, NULL},
         "application/json",
         "{\"a\": 1}",
         OURS ",\"data\":{\"a\": 1},\"metadata\":{\"ce-datacontenttype\":\"application/json\"}}"},
        {{NULL, NULL},
         "application/vnd.x+JSON ; charset=\"%41\"",
         " 1 ",
         OURS ",\"data\":1,\"metadata\":{\"ce-datacontenttype\":\"application/vnd.x+JSON ; "
              "charset=\\\"%41\\\"\"}}"},
        {{NULL, NULL},
         "text/plain",
         "1",
         OURS ",\"data\":\"1\",\"metadata\":{\"ce-datacontenttype\":\"text/plain\"}}"},
        {{NULL, NULL},
         "image/png",
         "\xff",
         OURS ",\"data\":\"/w==\",\"metadata\":{\"ce-datacontenttype\":\"image/png\","
              "\"ce-encoding\":\"base64\"}}"},
        {{NULL, NULL},
         "x",
         "\xff\xfe",
         OURS ",\"data\":\"//4=\",\"metadata\":{\"ce-datacontenttype\":\"x\","
              "\"ce-encoding\":\"base64\"}}"},
        {{NULL, NULL},
         "x",
         "\xff\xfe\xfd\xfc",
         OURS ",\"data\":\"//79/A==\",\"metadata\":{\"ce-datacontenttype\":\"x\","
              "\"ce-encoding\":\"base64\"}}"},
        {{"subject", "a%20%E2%82%AC%"},
         NULL,
         "",
         OURS ",\"metadata\":{\"ce-subject\":\"a \xe2\x82"
              "\xac%\"}}"},
        {{"subject", "%zz%2"}, NULL, "", OURS ",\"metadata\":{\"ce-subject\":\"%zz%2\"}}"},
        {{"subject", "\"a\\\"b%41\\%42\""},
         NULL,
         "",
         OURS ",\"metadata\":{\"ce-subject\":\"a\\\"bAB\"}}"},
        {{"subject", "\""}, NULL, "", OURS ",\"metadata\":{\"ce-subject\":\"\\\"\"}}"},
        {{"datacontenttype", "text/html"}, NULL, "", OURS "}"}, /* Content-Type says it */
        {{"time", "1970-01-01T00:00:00Z"}, NULL, "", OURS ",\"timestamp\":0.000000}"},
        {{"ext", "%22"}, NULL, "", OURS ",\"metadata\":{\"ce-ext\":\"\\\"\"}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct event_error error;
        char *out = binary(cases[i].more.name ? &cases[i].more : NULL, cases[i].content_type,
                           cases[i].body, strlen(cases[i].body), &error);

        if (!out) {
            fail_msg("case %zu: %s", i, error.detail);
        }
        assert_string_equal(out, cases[i].out);
        free(out);
    }
}

static void bad_binary_events_are_refused(void **state)
{
    static const struct {
        struct binary_case request;
        enum event_reason reason;
        const char *field;
    } cases[] = {
        {{{NULL, NULL}, "application/json", "{\"a\":", NULL}, EVENT_BAD_JSON, "data"},
        {{{NULL, NULL}, "application/json", "[NaN]", NULL}, EVENT_NONFINITE, "data"},
        {{{"data", "1"}, NULL, "", NULL}, EVENT_BAD_VALUE, "data"},
        {{{"data_base64", "AA=="}, NULL, "", NULL}, EVENT_BAD_VALUE, "data"},
        {{{"subject", "%ff"}, NULL, "", NULL}, EVENT_BAD_VALUE, NULL},
        {{{"subject", ""}, NULL, "", NULL}, EVENT_BAD_VALUE, "subject"},
        {{{"a-b", "x"}, NULL, "", NULL}, EVENT_BAD_VALUE, NULL},
        {{{"specversion", "2.0"}, NULL, "", NULL}, EVENT_BAD_VALUE, "specversion"},
        {{{NULL, NULL}, "\xff", "", NULL}, EVENT_BAD_VALUE, NULL},
    };
    struct event_error error;
    struct buf out;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct binary_case *c = &cases[i].request;

        assert_null(binary(c->more.name ? &c->more : NULL, c->content_type, c->body,
                           strlen(c->body), &error));
        assert_int_equal(error.reason, cases[i].reason);
        if (cases[i].field) {
            assert_string_equal(error.field, cases[i].field);
        }
    }
    buf_init(&out);
    for (size_t missing = 0; missing < 4; missing++) {
        struct cloudevent_header headers[3];
        size_t count = 0;

        for (size_t i = 0; i < 4; i++) {
            if (i != missing) {
                headers[count++] = required[i];
            }
        }
        assert_int_equal(cloudevent_binary_to_event(headers, 3, NULL, NULL, 0, &out, &error),
                         NHUB_EPROTO);
        assert_int_equal(error.reason, EVENT_MISSING_FIELD);
        assert_string_equal(error.field, required[missing].name);
    }
    buf_fini(&out);
}

#define LINE(members)                                                                              \
    "{\"event_type\":\"t\",\"source_service\":\"s\"," members ",\"seq\":42,\"epoch\":"             \
    "\"abcdefgh\"}"
#define CLOUD(id)    "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"s\",\"type\":\"t\""
#define CLOUD_NUMBER ",\"nhseq\":\"42\",\"nhepoch\":\"abcdefgh\""

static void lines_become_cloud_events(void **state)
{
    static const struct translation cases[] = {
        {LINE("\"data\":{\"a\":1.0},\"timestamp\":1.5,\"correlation_id\":\"c\""),
         CLOUD("abcdefgh-42") ",\"time\":\"1970-01-01T00:00:01.500000Z\",\"correlationid\":"
                              "\"c\"" CLOUD_NUMBER ",\"data\":{\"a\":1.0}}"},
        {LINE("\"data\":[NaN,-Infinity],\"timestamp\":1e300,\"correlation_id\":\"\",\"id\":\"i\","
              "\"kind\":\"error\""),
         CLOUD("i") ",\"nhkind\":\"error\"" CLOUD_NUMBER ",\"data\":[null,null]}"},
        {LINE("\"data\":1,\"timestamp\":-99999999999,\"correlation_id\":\"\""),
         CLOUD("abcdefgh-42") CLOUD_NUMBER ",\"data\":1}"},
        {LINE("\"data\":\"AP8=\",\"timestamp\":1e300,\"correlation_id\":\"\",\"metadata\":{"
              "\"ce-encoding\":\"base64\",\"ce-subject\":\"x\",\"ce-ext-encoding\":\"y\","
              "\"traceparent\":\"00\"}"),
         CLOUD("abcdefgh-42") ",\"subject\":\"x\",\"encoding\":\"y\",\"traceparent\":"
                              "\"00\"" CLOUD_NUMBER ",\"data_base64\":\"AP8=\"}"},
        /* Names that are, or would break, other attributes stay together. */
        {LINE("\"data\":\"no base64\",\"timestamp\":1e300,\"correlation_id\":\"\",\"metadata\":{"
              "\"ce-encoding\":\"base64\",\"ce-id\":\"x\",\"A b\":\"y\",\"plain\":\"z\","
              "\"ce-subject\":\"\",\"ce-A\":\"1\",\"ce-\":\"2\"}"),
         CLOUD("abcdefgh-42") ",\"nhmetadata\":\"{\\\"ce-encoding\\\":\\\"base64\\\",\\\"ce-id\\\":"
                              "\\\"x\\\",\\\"A "
                              "b\\\":\\\"y\\\",\\\"plain\\\":\\\"z\\\",\\\"ce-subject\\\":\\\"\\\","
                              "\\\"ce-A\\\":\\\"1\\\",\\\"ce-\\\":\\\"2\\\"}\"" CLOUD_NUMBER
                              ",\"data\":\"no base64\"}"},
        {"{\"event_type\":\"t\",\"source_service\":\"\",\"data\":null,\"timestamp\":1e300,"
         "\"correlation_id\":\"\",\"seq\":42,\"epoch\":\"abcdefgh\"}",
         "{\"specversion\":\"1.0\",\"id\":\"abcdefgh-42\",\"source\":\"/"
         "\",\"type\":\"t\"" CLOUD_NUMBER ",\"data\":null}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out;

        buf_init(&out);
        assert_int_equal(event_to_cloudevent(cases[i].in, strlen(cases[i].in), &out), NHUB_OK);
        assert_string_equal(buf_cstr(&out), cases[i].out);
        buf_fini(&out);
    }
}

static void only_numbered_lines_become_cloud_events(void **state)
{
    struct buf out;
    const char *line = "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":1}";
    (void)state;

    buf_init(&out);
    assert_int_equal(event_to_cloudevent(line, strlen(line), &out), NHUB_EPROTO);
    assert_int_equal(out.len, 0);
}

static nhub_err translate_structured(struct buf *out)
{
    static const char text[] =
        CE(",\"time\":\"1970-01-01T00:00:01Z\",\"ext\":\"a value that is long enough to make the "
           "metadata grow beyond its first piece of memory\",\"n\":5,\"data_base64\":\"AP8=\","
           "\"nhmetadata\":\"{\\\"A b\\\":\\\"v\\\"}\"");
    struct event_error error;

    return cloudevent_to_event(text, sizeof text - 1, out, &error);
}

static nhub_err translate_binary(struct buf *out)
{
    struct event_error error;

    return cloudevent_binary_to_event(required, 4, "image/png", "\xff\xfe", 2, out, &error);
}

static nhub_err translate_back(struct buf *out)
{
    static const char line[] = LINE("\"data\":[NaN],\"timestamp\":1,\"correlation_id\":\"c\","
                                    "\"metadata\":{\"A b\":\"v\",\"ce-x\":\"y\"}");

    return event_to_cloudevent(line, sizeof line - 1, out);
}

static void a_failed_allocation_is_told_and_leaks_nothing(void **state)
{
    nhub_err (*const runs[])(struct buf *) = {translate_structured, translate_binary,
                                              translate_back};
    (void)state;

    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const long live = failmalloc_live();
        bool failed = true;
        long n = 0;

        for (; failed; n++) {
            struct buf out;

            buf_init(&out);
            failmalloc_arm(n);
            const nhub_err err = runs[i](&out);

            failed = failmalloc_disarm();
            assert_int_equal(err, failed ? NHUB_ENOMEM : NHUB_OK);
            buf_fini(&out);
            assert_int_equal(failmalloc_live(), live);
        }
        assert_true(n > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structured_events_are_translated),
        cmocka_unit_test(bad_structured_events_are_refused),
        cmocka_unit_test(binary_events_are_translated),
        cmocka_unit_test(bad_binary_events_are_refused),
        cmocka_unit_test(lines_become_cloud_events),
        cmocka_unit_test(only_numbered_lines_become_cloud_events),
        cmocka_unit_test(a_failed_allocation_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("cloudevents", tests, NULL, NULL);
}
