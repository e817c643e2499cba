// with: failmalloc
/* request_group: what may be asked of a consumer group, and what is told of bad fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "failmalloc.h"
#include "wire/request.h"

struct fixture {
    struct request request;
    struct buf error;
    struct buf text;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    buf_init(&f->error);
    buf_init(&f->text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    request_free(&f->request);
    buf_fini(&f->error);
    buf_fini(&f->text);
    free(f);
    return 0;
}

static nhub_err parse(struct fixture *f, const char *text)
{
    request_free(&f->request);
    buf_reset(&f->error);
    return request_parse(text, strlen(text), &f->request, &f->error);
}

static const struct request_group *expect_good(struct fixture *f, const char *text,
                                               enum request_action action)
{
    if (parse(f, text) != NHUB_OK) {
        fail_msg("%s: %s", text, buf_cstr(&f->error));
    }
    assert_int_equal(f->request.action, action);
    return &f->request.group;
}

#define CREATE "{\"action\":\"group_create\",\"group\":\"g\","
#define FETCH  "{\"action\":\"fetch\",\"group\":\"g\","
#define ACK    "{\"action\":\"ack\",\"group\":\"g\","
#define NACK   "{\"action\":\"nack\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-1.1\"],"
#define EXTEND "{\"action\":\"extend\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-1.1\"],"

static void bad_fields_get_a_clear_error(void **state)
{
    static const struct {
        const char *text;
        const char *error;
        const char *code;
    } cases[] = {
        {"{\"action\":\"group\"}", "group is missing", "missing_field"},
        {"{\"action\":\"group_delete\",\"group\":null}", "group is missing", "missing_field"},
        {"{\"action\":\"fetch\",\"group\":7}", "group must be a string", "wrong_type"},
        {"{\"action\":\"ack\",\"group\":\"\"}", "group must have 1 to 64 of A-Z a-z 0-9 _ . -",
         "bad_group_name"},
        {"{\"action\":\"group\",\"group\":\"a b\"}", "group must have 1 to 64 of A-Z a-z 0-9 _ . -",
         "bad_group_name"},
        {"{\"action\":\"group\",\"group\":\"a\\u0000\"}",
         "group must have 1 to 64 of A-Z a-z 0-9 _ . -", "bad_group_name"},
        {"{\"action\":\"group\",\"group\":\"a/b\"}", "group must have 1 to 64 of A-Z a-z 0-9 _ . -",
         "bad_group_name"},
        {"{\"action\":\"group\",\"group\":"
         "\"12345678901234567890123456789012345678901234567890123456789012345\"}",
         "group must have 1 to 64 of A-Z a-z 0-9 _ . -", "bad_group_name"},
        {CREATE "\"event_type\":[1]}", "event_type must be a string or an array of strings",
         "wrong_type"},
        {CREATE "\"event_type\":\"\"}",
         "event_type must have 1 to 255 bytes without control characters", "bad_value"},
        {CREATE "\"since\":true}", "since must be a string or an integer", "wrong_type"},
        {CREATE "\"since\":\"soon\"}",
         "since must be a position, digits, an RFC 3339 time, \"earliest\" or \"latest\"",
         "bad_value"},
        {CREATE "\"visibility_ms\":99}", "visibility_ms must be from 100 to 43200000", "bad_value"},
        {CREATE "\"visibility_ms\":43200001}", "visibility_ms must be from 100 to 43200000",
         "bad_value"},
        {CREATE "\"visibility_ms\":\"1\"}", "visibility_ms must be an integer", "wrong_type"},
        {CREATE "\"max_attempts\":-1}", "max_attempts must not be negative", "bad_value"},
        {CREATE "\"max_attempts\":1000001}", "max_attempts must be from 0 to 1000000", "bad_value"},
        {CREATE "\"max_attempts\":1.5}", "max_attempts must be an integer", "wrong_type"},
        {CREATE "\"ordered\":1}", "ordered must be true or false", "wrong_type"},
        {CREATE "\"hold\":\"yes\"}", "hold must be true or false", "wrong_type"},
        {FETCH "\"max\":1}", "member is missing", "missing_field"},
        {FETCH "\"member\":1}", "member must be a string", "wrong_type"},
        {FETCH "\"member\":\"\"}", "member must have 1 to 128 bytes without control characters",
         "bad_value"},
        {FETCH "\"member\":\"a\\nb\"}",
         "member must have 1 to 128 bytes without control characters", "bad_value"},
        {FETCH "\"member\":\"a\\u0000\"}",
         "member must have 1 to 128 bytes without control characters", "bad_value"},
        {FETCH "\"member\":\"m\",\"max\":0}", "max must be from 1 to 1000", "bad_value"},
        {FETCH "\"member\":\"m\",\"max\":1001}", "max must be from 1 to 1000", "bad_value"},
        {FETCH "\"member\":\"m\",\"max\":[]}", "max must be an integer", "wrong_type"},
        {FETCH "\"member\":\"m\",\"max_bytes\":0}", "max_bytes must be from 1 to 4194304",
         "bad_value"},
        {FETCH "\"member\":\"m\",\"max_bytes\":4194305}", "max_bytes must be from 1 to 4194304",
         "bad_value"},
        {FETCH "\"member\":\"m\",\"wait_ms\":60001}", "wait_ms must be from 0 to 60000",
         "bad_value"},
        {FETCH "\"member\":\"m\",\"wait_ms\":true}", "wait_ms must be an integer", "wrong_type"},
        {ACK "\"x\":1}", "deliveries is missing", "missing_field"},
        {ACK "\"deliveries\":\"abcdefgh-1.1\"}", "deliveries must be an array of strings",
         "wrong_type"},
        {ACK "\"deliveries\":[]}", "deliveries must have 1 to 1000 entries", "bad_value"},
        {ACK "\"deliveries\":[\"abcdefgh-1.1\",2]}", "deliveries[1] must be a string",
         "wrong_type"},
        {ACK "\"deliveries\":[\"abcdefgh-1\"]}",
         "deliveries[0] must be position.attempt, as fetch has answered", "bad_value"},
        {NACK "\"delay_ms\":43200001}", "delay_ms must be from 0 to 43200000", "bad_value"},
        {NACK "\"delay_ms\":null,\"release\":0}", "release must be true or false", "wrong_type"},
        {EXTEND "\"visibility_ms\":0}", "visibility_ms must be from 100 to 43200000", "bad_value"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (parse(f, cases[i].text) != NHUB_EPROTO) {
            fail_msg("%s passes", cases[i].text);
        }
        assert_string_equal(buf_cstr(&f->error), cases[i].error);
        assert_string_equal(f->request.error_code, cases[i].code);
    }
}

static void group_create_has_defaults_and_options(void **state)
{
    struct fixture *f = *state;
    const struct request_group *g =
        expect_good(f, CREATE "\"event_type\":null}", ACTION_GROUP_CREATE);

    assert_string_equal(g->name, "g");
    assert_int_equal(g->visibility_ms, 30000);
    assert_int_equal(g->max_attempts, 5);
    assert_false(g->ordered);
    assert_false(g->hold);
    assert_int_equal(f->request.since.kind, SINCE_NONE);
    assert_int_equal(f->request.pattern_count, 0);
    g = expect_good(f,
                    CREATE "\"event_type\":[\"a\",\"b*\"],\"since\":\"earliest\",\"visibility_ms\":"
                           "100,\"max_attempts\":0,\"ordered\":true,\"hold\":true}",
                    ACTION_GROUP_CREATE);
    assert_int_equal(g->visibility_ms, 100);
    assert_int_equal(g->max_attempts, 0);
    assert_true(g->ordered);
    assert_true(g->hold);
    assert_int_equal(f->request.since.kind, SINCE_EARLIEST);
    assert_int_equal(f->request.pattern_count, 2);
}

static void fetch_has_defaults_and_options(void **state)
{
    struct fixture *f = *state;
    const struct request_group *g = expect_good(f, FETCH "\"member\":\"m\"}", ACTION_FETCH);

    assert_string_equal(g->member, "m");
    assert_int_equal(g->max, 1);
    assert_int_equal(g->max_bytes, 4194304);
    assert_int_equal(g->wait_ms, 0);
    g = expect_good(f, FETCH "\"member\":\"m\",\"max\":1000,\"max_bytes\":1,\"wait_ms\":60000}",
                    ACTION_FETCH);
    assert_int_equal(g->max, 1000);
    assert_int_equal(g->max_bytes, 1);
    assert_int_equal(g->wait_ms, 60000);
}

static void deliveries_are_read(void **state)
{
    struct fixture *f = *state;
    const struct request_group *g =
        expect_good(f, ACK "\"deliveries\":[\"abcdefgh-7.2\",\"abcdefgh-8.1\"]}", ACTION_ACK);

    assert_int_equal(g->delivery_count, 2);
    assert_string_equal(g->deliveries[0].position.epoch, "abcdefgh");
    assert_true(g->deliveries[0].position.seq == 7);
    assert_int_equal(g->deliveries[0].attempt, 2);
    assert_true(g->deliveries[1].position.seq == 8);
    g = expect_good(f, NACK "\"delay_ms\":43200000,\"release\":true}", ACTION_NACK);
    assert_int_equal(g->delay_ms, 43200000);
    assert_true(g->release);
    g = expect_good(f, NACK "\"release\":null}", ACTION_NACK);
    assert_int_equal(g->delay_ms, 0);
    assert_false(g->release);
    g = expect_good(f, EXTEND "\"visibility_ms\":100}", ACTION_EXTEND);
    assert_int_equal(g->visibility_ms, 100);
    g = expect_good(f, EXTEND "\"x\":0}", ACTION_EXTEND);
    assert_int_equal(g->visibility_ms, 0);
}

static void a_gap_is_given_back_with_or_without_deliveries(void **state)
{
    static const char *const bad[] = {
        "[]",
        "\"x\"",
        "{}",
        "{\"from\":\"abcdefgh-1\",\"to\":\"abcdefgh-9\"}",
        "{\"from\":\"abcdefgh-1\",\"to\":9,\"reason\":\"retention\"}",
        "{\"from\":\"nothing\",\"to\":\"abcdefgh-9\",\"reason\":\"retention\"}",
        "{\"from\":\"abcdefgh-1\",\"to\":\"abcdefgh-9\",\"reason\":7}",
        "{\"from\":\"abcdefgh-9\",\"to\":\"abcdefgh-9\",\"reason\":\"retention\"}",
    };
    struct fixture *f = *state;
    const struct request_group *g =
        expect_good(f,
                    NACK "\"gap\":{\"from\":\"abcdefgh-1\",\"to\":\"abcdefgh-9\","
                         "\"reason\":\"retention\"}}",
                    ACTION_NACK);

    assert_int_equal(g->delivery_count, 1);
    assert_true(g->gap_from.seq == 1 && g->gap_to.seq == 9);
    assert_string_equal(g->gap_reason, "retention");
    g = expect_good(f,
                    "{\"action\":\"nack\",\"group\":\"g\",\"gap\":{\"from\":\"abcdefgh-1\","
                    "\"to\":\"ijklmnop-0\",\"reason\":\"epoch_changed\"}}",
                    ACTION_NACK);
    assert_int_equal(g->delivery_count, 0);
    assert_string_equal(g->gap_to.epoch, "ijklmnop");
    assert_null(expect_good(f, NACK "\"gap\":null}", ACTION_NACK)->gap_reason);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_reset(&f->text);
        buf_printf(&f->text, NACK "\"gap\":%s}", bad[i]);
        assert_int_equal(parse(f, buf_cstr(&f->text)), NHUB_EPROTO);
        assert_string_equal(f->request.error_code, i < 2 ? "wrong_type" : "bad_value");
    }
    /* It is a nack's alone. */
    assert_int_equal(parse(f, "{\"action\":\"ack\",\"group\":\"g\",\"gap\":{\"from\":"
                              "\"abcdefgh-1\",\"to\":\"abcdefgh-9\",\"reason\":\"retention\"}}"),
                     NHUB_EPROTO);
    assert_string_equal(f->request.error_code, "missing_field");
}

static void deliveries_are_limited(void **state)
{
    struct fixture *f = *state;

    buf_add_str(&f->text, ACK "\"deliveries\":[\"abcdefgh-1.1\"");
    for (int i = 1; i < GROUP_DELIVERIES_MAX; i++) {
        buf_add_str(&f->text, ",\"abcdefgh-1.1\"");
    }
    buf_add_str(&f->text, "]}");
    assert_int_equal(expect_good(f, buf_cstr(&f->text), ACTION_ACK)->delivery_count,
                     GROUP_DELIVERIES_MAX);
    f->text.len -= 2;
    buf_add_str(&f->text, ",\"abcdefgh-1.1\"]}");
    assert_int_equal(parse(f, buf_cstr(&f->text)), NHUB_EPROTO);
    assert_string_equal(f->request.error_code, "bad_value");
}

static void patterns_are_limited_in_bytes(void **state)
{
    struct fixture *f = *state;
    const char *separator = "";

    buf_add_str(&f->text, CREATE "\"event_type\":[");
    for (int i = 0; i < GROUP_PATTERN_BYTES_MAX / 128; i++) {
        buf_printf(&f->text, "%s\"%0128d\"", separator, 0);
        separator = ",";
    }
    buf_add_str(&f->text, "]}");
    (void)expect_good(f, buf_cstr(&f->text), ACTION_GROUP_CREATE);
    f->text.len -= 2;
    buf_add_str(&f->text, ",\"a\"]}");
    assert_int_equal(parse(f, buf_cstr(&f->text)), NHUB_EPROTO);
    assert_string_equal(f->request.error_code, "too_many_patterns");
}

static void names_of_64_bytes_pass(void **state)
{
    struct fixture *f = *state;

    (void)expect_good(f,
                      "{\"action\":\"group\",\"group\":"
                      "\"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_."
                      "\"}",
                      ACTION_GROUP);
    assert_true(request_group_name_valid("-", 1));
    assert_false(request_group_name_valid("", 0));
}

static void written_requests_are_read_as_meant(void **state)
{
    static const char *const patterns[] = {"a\"b", "c*"};
    static const char *const deliveries[] = {"abcdefgh-7.2", "abcdefgh-8.1"};
    const struct group_options plain = {.max_attempts = -1};
    const struct group_options full = {.patterns = patterns,
                                       .pattern_count = 2,
                                       .since = "earliest",
                                       .visibility_ms = 500,
                                       .max_attempts = 0,
                                       .ordered = true,
                                       .hold = true};
    struct fixture *f = *state;
    const struct request_group *g;

    request_write_group_create(&f->text, 9, "g", &plain);
    assert_string_equal(buf_cstr(&f->text),
                        "{\"action\":\"group_create\",\"request_id\":9,\"group\":\"g\"}");
    buf_reset(&f->text);
    request_write_group_create(&f->text, 9, "g", &full);
    g = expect_good(f, buf_cstr(&f->text), ACTION_GROUP_CREATE);
    assert_int_equal(f->request.pattern_count, 2);
    assert_int_equal(f->request.since.kind, SINCE_EARLIEST);
    assert_int_equal(g->visibility_ms, 500);
    assert_int_equal(g->max_attempts, 0);
    assert_true(g->ordered && g->hold);

    buf_reset(&f->text);
    request_write_group(&f->text, "group_delete", 1, "g");
    assert_string_equal(expect_good(f, buf_cstr(&f->text), ACTION_GROUP_DELETE)->name, "g");

    buf_reset(&f->text);
    request_write_fetch(&f->text, 2, "g", "m\"1", 10, 0, 500);
    g = expect_good(f, buf_cstr(&f->text), ACTION_FETCH);
    assert_string_equal(g->member, "m\"1");
    assert_int_equal(g->max, 10);
    assert_int_equal(g->max_bytes, GROUP_FETCH_BYTES_MAX);
    assert_int_equal(g->wait_ms, 500);
    buf_reset(&f->text);
    request_write_fetch(&f->text, 2, "g", "m", 10, 4096, 0);
    assert_int_equal(expect_good(f, buf_cstr(&f->text), ACTION_FETCH)->max_bytes, 4096);

    buf_reset(&f->text);
    request_write_ack(&f->text, 3, "g", deliveries, 2);
    assert_int_equal(expect_good(f, buf_cstr(&f->text), ACTION_ACK)->delivery_count, 2);
    buf_reset(&f->text);
    request_write_nack(&f->text, 4, "g", deliveries, 1, 250, true);
    g = expect_good(f, buf_cstr(&f->text), ACTION_NACK);
    assert_int_equal(g->delay_ms, 250);
    assert_true(g->release);
    buf_reset(&f->text);
    request_write_nack(&f->text, 4, "g", deliveries, 1, 0, false);
    assert_false(expect_good(f, buf_cstr(&f->text), ACTION_NACK)->release);
    buf_reset(&f->text);
    request_write_extend(&f->text, 5, "g", deliveries, 2, 1000);
    assert_int_equal(expect_good(f, buf_cstr(&f->text), ACTION_EXTEND)->visibility_ms, 1000);
    buf_reset(&f->text);
    request_write_extend(&f->text, 5, "g", deliveries, 2, 0);
    assert_int_equal(expect_good(f, buf_cstr(&f->text), ACTION_EXTEND)->visibility_ms, 0);
}

static void a_failed_allocation_is_told(void **state)
{
    struct fixture *f = *state;

    failmalloc_arm(0);
    assert_int_equal(parse(f, ACK "\"deliveries\":[\"abcdefgh-1.1\"]}"), NHUB_ENOMEM);
    assert_true(failmalloc_disarm());
    (void)expect_good(f, ACK "\"deliveries\":[\"abcdefgh-1.1\"]}", ACTION_ACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_fields_get_a_clear_error, setup, teardown),
        cmocka_unit_test_setup_teardown(group_create_has_defaults_and_options, setup, teardown),
        cmocka_unit_test_setup_teardown(fetch_has_defaults_and_options, setup, teardown),
        cmocka_unit_test_setup_teardown(deliveries_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_is_given_back_with_or_without_deliveries, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(deliveries_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(patterns_are_limited_in_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(names_of_64_bytes_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(written_requests_are_read_as_meant, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_is_told, setup, teardown),
    };
    return cmocka_run_group_tests_name("request_group", tests, NULL, NULL);
}
