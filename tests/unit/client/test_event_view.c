/*
 * Tests of events as programs see them.
 */
#include "client/event_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char line[] =
    "{\"event_type\":\"caf\\u00e9\",\"source_service\":\"s\",\"data\":{\"n\":1e400},"
    "\"timestamp\":12.5,\"correlation_id\":null,\"id\":\"a\\\"b\",\"seq\":42,\"epoch\":"
    "\"abcdefgh\"}";

static nhub_bytes bytes_of(const char *text)
{
    return (nhub_bytes){.p = text, .len = strlen(text)};
}

static void members_are_found_byte_for_byte(void **state)
{
    nhub_event *event = NULL;
    char text[32];
    size_t len = 0;

    (void)state;
    assert_int_equal(nhub_event_create(&event, bytes_of(line)), NHUB_OK);
    assert_string_equal(nhub_event_type(event), "caf\xC3\xA9");
    assert_memory_equal(nhub_event_data(event).p, "{\"n\":1e400}", 11);
    assert_int_equal(nhub_event_data(event).len, 11);
    assert_int_equal(nhub_event_position(event).seq, 42);
    assert_string_equal(nhub_event_position(event).epoch, "abcdefgh");
    assert_true(nhub_event_timestamp(event) == 12.5);
    assert_int_equal(nhub_event_string(event, NHUB_FIELD_ID, text, sizeof text, &len), NHUB_OK);
    assert_string_equal(text, "a\"b");
    assert_int_equal(len, 3);
    assert_int_equal(nhub_event_json(event).len, strlen(line));
    nhub_event_destroy(&event);
    assert_null(event);
}

static void what_is_absent_is_said_so(void **state)
{
    nhub_event *event = NULL;
    char text[4];

    (void)state;
    assert_int_equal(nhub_event_create(&event, bytes_of(line)), NHUB_OK);
    assert_int_equal(nhub_event_string(event, NHUB_FIELD_KIND, text, sizeof text, NULL),
                     NHUB_ENOTFOUND);
    assert_int_equal(nhub_event_string(event, NHUB_FIELD_CORRELATION_ID, text, sizeof text, NULL),
                     NHUB_ENOTFOUND);
    assert_int_equal(nhub_event_string(event, NHUB_FIELD_TIMESTAMP, text, sizeof text, NULL),
                     NHUB_EINVAL);
    assert_int_equal(nhub_event_string(event, NHUB_FIELD_ID, text, 3, NULL), NHUB_ETOOBIG);
    assert_null(nhub_event_raw(event, NHUB_FIELD_METADATA).p);
    assert_null(nhub_event_raw(event, (nhub_field)99).p);
    nhub_event_destroy(&event);
}

static void an_event_of_another_hub_has_no_position(void **state)
{
    nhub_event *event = NULL;

    (void)state;
    assert_int_equal(
        nhub_event_create(&event,
                          bytes_of("{\"event_type\": \"t\", \"source_service\": \"s\", \"data\": "
                                   "NaN, \"timestamp\": 1.0, \"correlation_id\": \"c\"}")),
        NHUB_OK);
    assert_string_equal(nhub_event_position(event).epoch, "");
    nhub_event_destroy(&event);
}

static void rubbish_is_no_event(void **state)
{
    static const char *const bad[] = {
        "", "[]", "{}", "{\"event_type\":1}", "{\"event_type\":\"\"}", "{\"event_type\":\"a\""};
    nhub_event *event = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(nhub_event_create(&event, bytes_of(bad[i])), NHUB_EPROTO);
        assert_null(event);
    }
}

static void positions_go_to_text_and_back(void **state)
{
    nhub_position position;
    char text[NHUB_POSITION_TEXT_MAX];

    (void)state;
    assert_int_equal(nhub_position_parse("abcdefgh-42", &position), NHUB_OK);
    assert_int_equal(nhub_position_format(&position, text), 11);
    assert_string_equal(text, "abcdefgh-42");
    assert_int_equal(nhub_position_parse("42", &position), NHUB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_byte_for_byte),
        cmocka_unit_test(what_is_absent_is_said_so),
        cmocka_unit_test(an_event_of_another_hub_has_no_position),
        cmocka_unit_test(rubbish_is_no_event),
        cmocka_unit_test(positions_go_to_text_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
