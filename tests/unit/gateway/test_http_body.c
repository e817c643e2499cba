// with: failmalloc
/* http_body: the forms of a body, what is filled in, and what is refused where. */
#include "failmalloc.h"
#include "gateway/protocols/http_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct body_context context_of(enum body_form form)
{
    return (struct body_context){.form = form,
                                 .max_event_bytes = 1000,
                                 .stats_event = "StatsEvent",
                                 .now_us = 1700000000000001};
}

static nhub_err read_text(const struct body_context *context, const char *text,
                          struct body_events *events, struct body_refusal *refusal)
{
    memset(refusal, 0, sizeof *refusal);
    return body_read(context, text, strlen(text), events, refusal);
}

static void expect_line(const struct body_events *events, size_t i, const char *line)
{
    char got[2048];

    assert_true(i < events->count);
    snprintf(got, sizeof got, "%.*s", (int)events->events[i].len, events->events[i].line);
    assert_string_equal(got, line);
}

static void expect_start(const struct body_events *events, const char *text)
{
    assert_true(events->count > 0 && events->events[0].len > strlen(text));
    assert_memory_equal(events->events[0].line, text, strlen(text));
}

static void what_is_missing_is_filled_in(void **state)
{
    struct body_context context = context_of(BODY_SNIFF);
    struct body_events events;
    struct body_refusal refusal;

    (void)state;
    assert_int_equal(read_text(&context, " {\"event_type\":\"a\"}", &events, &refusal), NHUB_OK);
    assert_int_equal(events.count, 1);
    assert_false(events.is_batch);
    assert_true(events.filled_correlation);
    assert_int_equal(events.correlation.len, 38);
    expect_start(&events, "{\"event_type\":\"a\",\"source_service\":\"http\",\"data\":{},"
                          "\"timestamp\":1700000000.000001,\"correlation_id\":\"");
    body_events_free(&events);
}

static void what_the_publisher_says_counts(void **state)
{
    struct body_context context = context_of(BODY_JSON);
    struct body_events events;
    struct body_refusal refusal;

    (void)state;
    context.idempotency_key = "\"key\"";
    context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    context.tracestate = "v=1";
    assert_int_equal(read_text(&context,
                               "{\"correlation_id\":\"c\",\"event_type\":\"a\",\"x\":1,\"y\":2,"
                               "\"x\":3,\"source_service\":\"s\",\"timestamp\":1e3,"
                               "\"data\":12345678901234567890123}",
                               &events, &refusal),
                     NHUB_OK);
    assert_string_equal(buf_cstr(&events.correlation), "\"c\"");
    assert_false(events.filled_correlation);
    assert_string_equal(buf_cstr(&events.ignored), "[\"x\",\"y\"]");
    expect_line(&events, 0,
                "{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":12345678901234567890123,"
                "\"timestamp\":1e3,\"correlation_id\":\"c\",\"id\":\"key\",\"metadata\":{"
                "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\","
                "\"tracestate\":\"v=1\"}}");
    body_events_free(&events);
}

static void arrays_and_lines_are_batches(void **state)
{
    static const struct {
        enum body_form form;
        const char *text;
    } bodies[] = {
        {BODY_JSON, "[{\"event_type\":\"a\",\"id\":\"own\"} , {\"event_type\":\"b\"}]"},
        {BODY_NDJSON, "\n{\"event_type\":\"a\",\"id\":\"own\"}\r\n\n {\"event_type\":\"b\"}"},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct body_context context = context_of(bodies[i].form);
        struct body_events events;
        struct body_refusal refusal;

        context.idempotency_key = "k";
        assert_int_equal(read_text(&context, bodies[i].text, &events, &refusal), NHUB_OK);
        assert_int_equal(events.count, 2);
        assert_true(events.is_batch);
        assert_int_equal(events.correlation.len, 0);
        assert_non_null(memmem(events.events[0].line, events.events[0].len, "\"id\":\"own\"", 10));
        assert_non_null(memmem(events.events[1].line, events.events[1].len, "\"id\":\"k/1\"", 10));
        body_events_free(&events);
    }
}

static void cloudevents_come_in_three_modes(void **state)
{
    static const struct cloudevent_header headers[] = {
        {"specversion", "1.0"}, {"id", "7"}, {"source", "/s"}, {"type", "t"}, {"ext", "e%20x"}};
    static const char structured[] =
        "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"t\",\"ext\":\"e x\","
        "\"datacontenttype\":\"application/json\",\"data\":{\"n\":1}}";
    char batch[400];

    (void)state;
    snprintf(batch, sizeof batch, "[%s]", structured);
    for (int i = 0; i < 3; i++) {
        struct body_context context = context_of(i == 0   ? BODY_CE
                                                 : i == 1 ? BODY_CE_BATCH
                                                          : BODY_CE_BINARY);
        struct body_events events;
        struct body_refusal refusal;

        context.ce_headers = headers;
        context.ce_header_count = sizeof headers / sizeof headers[0];
        context.content_type = "application/json";
        assert_int_equal(read_text(&context,
                                   i == 0   ? structured
                                   : i == 1 ? batch
                                            : "{\"n\":1}",
                                   &events, &refusal),
                         NHUB_OK);
        assert_int_equal(events.count, 1);
        assert_int_equal(events.is_batch, i == 1);
        expect_start(&events,
                     "{\"event_type\":\"t\",\"source_service\":\"/s\",\"data\":{\"n\":1},");
        assert_non_null(memmem(events.events[0].line, events.events[0].len, "\"id\":\"7\"", 8));
        assert_non_null(
            memmem(events.events[0].line, events.events[0].len, "\"ce-ext\":\"e x\"", 14));
        body_events_free(&events);
    }
}

static void refusals_say_where_and_why(void **state)
{
    static const struct {
        enum body_form form;
        const char *text;
        enum reject_reason reason;
        int offset, index, line; /* -1 = not told */
        const char *field;
    } cases[] = {
        {BODY_JSON, "{\"event_type\":\"a\"", REJECT_BAD_JSON, 17, -1, -1, NULL},
        {BODY_JSON, "{\"event_type\":\"a\"} x", REJECT_BAD_JSON, 19, -1, -1, NULL},
        {BODY_JSON, "", REJECT_BAD_JSON, 0, -1, -1, NULL},
        {BODY_SNIFF, "  \n", REJECT_BAD_JSON, 3, -1, -1, NULL},
        {BODY_JSON, "12", REJECT_NOT_AN_OBJECT, -1, -1, -1, NULL},
        {BODY_SNIFF, "event_type=a", REJECT_CONTENT_TYPE, -1, -1, -1, NULL},
        {BODY_UNSUPPORTED, "{}", REJECT_CONTENT_TYPE, -1, -1, -1, NULL},
        {BODY_JSON, "{}", REJECT_MISSING_FIELD, -1, -1, -1, "event_type"},
        {BODY_JSON, "{\"event_type\":1}", REJECT_WRONG_TYPE, -1, -1, -1, "event_type"},
        {BODY_JSON, "{\"event_type\":\"\"}", REJECT_BAD_VALUE, -1, -1, -1, "event_type"},
        {BODY_JSON, "{\"event_type\":\"hub.x\"}", REJECT_RESERVED_TYPE, -1, -1, -1, "event_type"},
        {BODY_JSON, "{\"event_type\":\"StatsEvent\"}", REJECT_RESERVED_TYPE, -1, -1, -1,
         "event_type"},
        {BODY_JSON, "{\"event_type\":\"a\",\"data\":NaN}", REJECT_NONFINITE, 25, -1, -1, NULL},
        {BODY_JSON, "[]", REJECT_NO_EVENTS, -1, 0, -1, NULL},
        {BODY_JSON, "[{\"event_type\":\"a\"},{}]", REJECT_MISSING_FIELD, -1, 1, -1, "event_type"},
        {BODY_JSON, "[{\"event_type\":\"a\"},3]", REJECT_NOT_AN_OBJECT, -1, 1, -1, NULL},
        {BODY_JSON, "[{\"event_type\":\"a\"},{]", REJECT_BAD_JSON, 21, 1, -1, NULL},
        {BODY_JSON, "[{\"event_type\":\"a\"}", REJECT_BAD_JSON, 19, 1, -1, NULL},
        {BODY_NDJSON, "{\"event_type\":\"a\"}\n\n{\"event_type\":}", REJECT_BAD_JSON, 34, 1, 3,
         NULL},
        {BODY_NDJSON, "\n\n", REJECT_NO_EVENTS, -1, 0, 2, NULL},
        {BODY_CE_BATCH, "{}", REJECT_WRONG_TYPE, -1, -1, -1, NULL},
        {BODY_CE, "[]", REJECT_NOT_AN_OBJECT, -1, -1, -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct body_context context = context_of(cases[i].form);
        struct body_events events;
        struct body_refusal r;

        if (read_text(&context, cases[i].text, &events, &r) != NHUB_EPROTO ||
            r.reason != cases[i].reason || (cases[i].offset >= 0) != r.has_offset ||
            (r.has_offset && r.offset != (size_t)cases[i].offset) ||
            (cases[i].index >= 0) != r.has_index ||
            (r.has_index && r.index != (size_t)cases[i].index) ||
            (cases[i].line >= 0) != r.has_line || (r.has_line && r.line != (size_t)cases[i].line) ||
            r.detail[0] == '\0' ||
            (cases[i].field && (!r.field || strcmp(r.field, cases[i].field) != 0))) {
            fail_msg("%s: reason %d offset %d/%zu index %d/%zu line %d/%zu field %s: %s",
                     cases[i].text, (int)r.reason, r.has_offset, r.offset, r.has_index, r.index,
                     r.has_line, r.line, r.field ? r.field : "-", r.detail);
        }
        body_events_free(&events);
    }
}

static void sizes_and_counts_are_limited(void **state)
{
    struct body_context context = context_of(BODY_JSON);
    struct body_events events;
    struct body_refusal refusal;
    struct buf body;

    (void)state;
    buf_init(&body);
    buf_printf(&body, "[{\"event_type\":\"a\"},{\"event_type\":\"b\",\"data\":\"%01000d\"}]", 0);
    assert_int_equal(read_text(&context, buf_cstr(&body), &events, &refusal), NHUB_EPROTO);
    assert_int_equal(refusal.reason, REJECT_TOO_BIG);
    assert_int_equal(refusal.index, 1);
    body_events_free(&events);
    buf_reset(&body);
    for (int i = 0; i <= HTTP_BODY_EVENTS_MAX; i++) {
        buf_add_str(&body, i == 0 ? "[{\"event_type\":\"a\"}" : ",{\"event_type\":\"a\"}");
    }
    buf_add_char(&body, ']');
    assert_int_equal(read_text(&context, buf_cstr(&body), &events, &refusal), NHUB_EPROTO);
    assert_int_equal(refusal.reason, REJECT_TOO_MANY_EVENTS);
    body_events_free(&events);
    buf_fini(&body);
}

static void keys_and_trace_contexts_are_checked(void **state)
{
    static const char *const bad_traces[] = {
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    };
    char long_key[BODY_KEY_MAX + 2];
    const char *key = long_key;
    size_t len = BODY_KEY_MAX + 1;

    (void)state;
    for (size_t i = 0; i < sizeof bad_traces / sizeof bad_traces[0]; i++) {
        assert_false(body_traceparent_valid(bad_traces[i]));
    }
    assert_true(body_traceparent_valid("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
    memset(long_key, 'k', sizeof long_key);
    assert_false(body_key_valid(&key, &len));
    len = BODY_KEY_MAX;
    assert_true(body_key_valid(&key, &len));
    key = "\"\"";
    len = 2;
    assert_false(body_key_valid(&key, &len));
    key = "a\tb";
    len = 3;
    assert_false(body_key_valid(&key, &len));
}

static nhub_err read_form(enum body_form form, const char *text)
{
    static const struct cloudevent_header headers[] = {
        {"specversion", "1.0"}, {"id", "7"}, {"source", "/s"}, {"type", "t"}};
    struct body_context context = context_of(form);
    struct body_events events;
    struct body_refusal refusal;
    nhub_err err;

    context.idempotency_key = "k";
    context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    context.ce_headers = headers;
    context.ce_header_count = 4;
    context.content_type = "application/json";
    err = read_text(&context, text, &events, &refusal);
    body_events_free(&events);
    return err;
}

static void without_memory_nothing_is_accepted_and_nothing_leaks(void **state)
{
    static const struct {
        enum body_form form;
        const char *text;
    } bodies[] = {
        {BODY_JSON, "{\"event_type\":\"a\",\"x\":1}"},
        {BODY_JSON, "[{\"event_type\":\"a\"},{\"event_type\":\"b\",\"y\":[1,2]}]"},
        {BODY_NDJSON, "{\"event_type\":\"a\"}\n{\"event_type\":\"b\"}"},
        {BODY_CE, "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"t\"}"},
        {BODY_CE_BINARY, "{\"n\":1}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const long live = failmalloc_live();

        for (long n = 0;; n++) {
            nhub_err err;

            failmalloc_arm(n);
            err = read_form(bodies[i].form, bodies[i].text);
            if (!failmalloc_disarm()) {
                assert_int_equal(err, NHUB_OK);
                break;
            }
            assert_int_equal(err, NHUB_ENOMEM);
            assert_int_equal(failmalloc_live(), live);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_filled_in),
        cmocka_unit_test(what_the_publisher_says_counts),
        cmocka_unit_test(arrays_and_lines_are_batches),
        cmocka_unit_test(cloudevents_come_in_three_modes),
        cmocka_unit_test(refusals_say_where_and_why),
        cmocka_unit_test(sizes_and_counts_are_limited),
        cmocka_unit_test(keys_and_trace_contexts_are_checked),
        cmocka_unit_test(without_memory_nothing_is_accepted_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
