// with: failmalloc
/* request: what a DEALER may ask, and what it is told when it asks badly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "failmalloc.h"
#include "wire/request.h"

struct fixture {
    struct request request;
    struct buf error;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    buf_init(&f->error);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    request_free(&f->request);
    buf_fini(&f->error);
    free(f);
    return 0;
}

static nhub_err parse(struct fixture *f, const char *text)
{
    request_free(&f->request);
    buf_reset(&f->error);
    return request_parse(text, strlen(text), &f->request, &f->error);
}

static void expect_good(struct fixture *f, const char *text, enum request_action action)
{
    if (parse(f, text) != NHUB_OK) {
        fail_msg("%s: %s", text, buf_cstr(&f->error));
    }
    assert_int_equal(f->request.action, action);
}

struct error_case {
    const char *text;
    const char *error;
    const char *code;
};

static void bad_requests_get_a_clear_error(void **state)
{
    static const struct error_case cases[] = {
        /* Word for word as the original. */
        {"", "Invalid JSON format", NULL},
        {"rubbish", "Invalid JSON format", NULL},
        {"{\"action\":\"health\"", "Invalid JSON format", NULL},
        {"{\"action\":NaN}", "Invalid JSON format", NULL},
        {"{\"action\":\"\xff\"}", "Invalid JSON format", NULL},
        {"{}", "Missing required field: action", NULL},
        {"{\"action\":\"\"}", "Missing required field: action", NULL},
        {"{\"action\":null}", "Missing required field: action", NULL},
        {"{\"action\":false}", "Missing required field: action", NULL},
        {"{\"action\":0}", "Missing required field: action", NULL},
        {"{\"action\":0.0}", "Missing required field: action", NULL},
        {"{\"action\":[]}", "Missing required field: action", NULL},
        {"{\"action\":{}}", "Missing required field: action", NULL},
        /* Ours. */
        {"[]", "Request must be a JSON object", "not_an_object"},
        {"\"health\"", "Request must be a JSON object", "not_an_object"},
        {"{\"action\":\"publish\",\"durability\":1}", "durability must be a string", "wrong_type"},
        {"{\"action\":\"publish\",\"durability\":\"disk\"}",
         "durability must be \"memory\", \"journaled\" or \"synced\"", "bad_value"},
        {"{\"action\":\"publish\",\"atomic\":1}", "atomic must be true or false", "wrong_type"},
        {"{\"action\":\"publish\",\"acks\":true}", "acks must be a string", "wrong_type"},
        {"{\"action\":\"publish\",\"acks\":\"none\"}", "acks must be \"each\" or \"batched\"",
         "bad_value"},
        {"{\"action\":\"history\",\"since\":[]}", "since must be a string or an integer",
         "wrong_type"},
        {"{\"action\":\"history\",\"since\":\"yesterday\"}",
         "since must be a position, digits, an RFC 3339 time, \"earliest\" or \"latest\"",
         "bad_value"},
        {"{\"action\":\"history\",\"since\":-1}", "since must not be negative", "bad_value"},
        {"{\"action\":\"position\",\"since\":\"x\"}",
         "since must be a position, digits, an RFC 3339 time, \"earliest\" or \"latest\"",
         "bad_value"},
        {"{\"action\":\"history\",\"limit\":1.5}", "limit must be an integer", "wrong_type"},
        {"{\"action\":\"history\",\"limit\":-1}", "limit must not be negative", "bad_value"},
        {"{\"action\":\"history\",\"event_type\":1}",
         "event_type must be a string or an array of strings", "wrong_type"},
        {"{\"action\":\"history\",\"event_type\":[\"a\",1]}",
         "event_type must be a string or an array of strings", "wrong_type"},
        {"{\"action\":\"history\",\"event_type\":\"\"}",
         "event_type must have 1 to 255 bytes without control characters", "bad_value"},
        {"{\"action\":\"history\",\"event_type\":[\"a\\n\"]}",
         "event_type must have 1 to 255 bytes without control characters", "bad_value"},
        {"{\"action\":\"count\",\"from\":1,\"to\":2}", "epoch is missing", "missing_field"},
        {"{\"action\":\"count\",\"epoch\":\"abcdefgh\",\"to\":2}", "from is missing",
         "missing_field"},
        {"{\"action\":\"count\",\"epoch\":\"abcdefgh\",\"from\":2}", "to is missing",
         "missing_field"},
        {"{\"action\":\"count\",\"epoch\":7,\"from\":1,\"to\":2}", "epoch must be a string",
         "wrong_type"},
        {"{\"action\":\"count\",\"epoch\":\"x\",\"from\":1,\"to\":2}",
         "epoch must be 8 of a-z 2-7, the first a letter", "bad_value"},
        {"{\"action\":\"count\",\"epoch\":\"abcdefgh\",\"from\":3,\"to\":2}",
         "from must not be greater than to", "bad_value"},
        {"{\"action\":\"count\",\"epoch\":\"abcdefgh\",\"from\":\"1\",\"to\":2}",
         "from must be an integer", "wrong_type"},
        {"{\"action\":\"count\",\"epoch\":\"abcdefgh\",\"from\":1,\"to\":true}",
         "to must be an integer", "wrong_type"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (parse(f, cases[i].text) != NHUB_EPROTO) {
            fail_msg("%s passes", cases[i].text);
        }
        assert_string_equal(buf_cstr(&f->error), cases[i].error);
        if (cases[i].code) {
            assert_string_equal(f->request.error_code, cases[i].code);
        } else {
            assert_null(f->request.error_code);
        }
    }
}

static void actions_are_recognised(void **state)
{
    static const char *const names[] = {"health",       "info",         "terminate", "publish",
                                        "position",     "history",      "count",     "stats",
                                        "group_create", "group_delete", "groups",    "group",
                                        "fetch",        "ack",          "nack",      "extend"};
    char text[256];
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"action\":\"%s\",\"epoch\":\"abcdefgh\",\"from\":0,\"to\":0,"
                       "\"group\":\"g\",\"member\":\"m\",\"deliveries\":[\"abcdefgh-1.1\"]}",
                       names[i]);
        expect_good(f, text, (enum request_action)i);
        assert_string_equal(f->request.action_name, names[i]);
        assert_null(f->request.request_id);
    }
}

static void an_unknown_action_is_no_error_here(void **state)
{
    struct fixture *f = *state;

    expect_good(f, "{\"action\":\"dance\"}", ACTION_UNKNOWN);
    assert_string_equal(f->request.action_name, "dance");
    expect_good(f, "{\"action\":\"health\\u0000\"}", ACTION_UNKNOWN);
    expect_good(f, "{\"action\":{\"a\": [1]},\"request_id\":5}", ACTION_UNKNOWN);
    assert_string_equal(f->request.action_name, "{\"a\":[1]}");
    assert_int_equal(json_integer_value(f->request.request_id), 5);
    expect_good(f, "{\"action\":true}", ACTION_UNKNOWN);
    assert_string_equal(f->request.action_name, "true");
}

static void the_request_id_is_kept_for_errors_too(void **state)
{
    static const char *const texts[] = {
        "{\"request_id\":[\"x\",1.50],\"action\":\"health\"}",
        "{\"request_id\":[\"x\",1.50]}",
        "{\"request_id\":[\"x\",1.50],\"action\":\"history\",\"limit\":-1}",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const nhub_err err = parse(f, texts[i]);

        assert_int_equal(err, i == 0 ? NHUB_OK : NHUB_EPROTO);
        assert_true(json_is_array(f->request.request_id));
    }
}

static void a_long_request_id_is_refused(void **state)
{
    char text[400], filler[300];
    struct fixture *f = *state;

    memset(filler, 'i', sizeof filler);
    (void)snprintf(text, sizeof text, "{\"action\":\"health\",\"request_id\":\"%.*s\"}",
                   REQUEST_ID_MAX - 2, filler);
    expect_good(f, text, ACTION_HEALTH);
    (void)snprintf(text, sizeof text, "{\"action\":\"health\",\"request_id\":\"%.*s\"}",
                   REQUEST_ID_MAX - 1, filler);
    assert_int_equal(parse(f, text), NHUB_EPROTO);
    assert_string_equal(buf_cstr(&f->error), "request_id is longer than 256 bytes of JSON");
    assert_null(f->request.request_id);
}

static void a_large_request_is_refused(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(REQUEST_TEXT_MAX + 1);

    assert_non_null(text);
    memset(text, ' ', REQUEST_TEXT_MAX + 1);
    memcpy(text, "{\"action\":\"health\"}", 19);
    assert_int_equal(request_parse(text, REQUEST_TEXT_MAX, &f->request, &f->error), NHUB_OK);
    request_free(&f->request);
    assert_int_equal(request_parse(text, REQUEST_TEXT_MAX + 1, &f->request, &f->error),
                     NHUB_EPROTO);
    assert_string_equal(f->request.error_code, "too_big");
    free(text);
}

static void publish_has_defaults_and_options(void **state)
{
    struct fixture *f = *state;

    expect_good(f, "{\"action\":\"publish\"}", ACTION_PUBLISH);
    assert_int_equal(f->request.durability, DURABILITY_DEFAULT);
    assert_true(f->request.atomic);
    assert_false(f->request.batched_acks);
    expect_good(f,
                "{\"action\":\"publish\",\"durability\":\"synced\",\"atomic\":false,"
                "\"acks\":\"batched\"}",
                ACTION_PUBLISH);
    assert_int_equal(f->request.durability, DURABILITY_SYNCED);
    assert_false(f->request.atomic);
    assert_true(f->request.batched_acks);
    expect_good(f, "{\"action\":\"publish\",\"durability\":null,\"atomic\":true,\"acks\":\"each\"}",
                ACTION_PUBLISH);
    assert_int_equal(f->request.durability, DURABILITY_DEFAULT);
    assert_true(f->request.atomic);
    assert_false(f->request.batched_acks);
}

static void history_takes_patterns_as_string_or_array(void **state)
{
    struct fixture *f = *state;

    expect_good(f, "{\"action\":\"history\"}", ACTION_HISTORY);
    assert_int_equal(f->request.since.kind, SINCE_NONE);
    assert_true(f->request.limit == 0);
    assert_int_equal(f->request.pattern_count, 0);
    expect_good(f, "{\"action\":\"history\",\"event_type\":\"a*\",\"since\":\"earliest\"}",
                ACTION_HISTORY);
    assert_int_equal(f->request.pattern_count, 1);
    assert_memory_equal(f->request.patterns[0].text, "a*", 2);
    assert_int_equal(f->request.since.kind, SINCE_EARLIEST);
    expect_good(f,
                "{\"action\":\"history\",\"event_type\":[\"a\",\"\\u00e9\"],\"since\":42,"
                "\"limit\":5}",
                ACTION_HISTORY);
    assert_int_equal(f->request.pattern_count, 2);
    assert_int_equal(f->request.patterns[1].len, 2);
    assert_int_equal(f->request.since.kind, SINCE_SEQ);
    assert_true(f->request.since.position.seq == 42);
    assert_true(f->request.limit == 5);
    expect_good(f, "{\"action\":\"history\",\"event_type\":[],\"limit\":1000000}", ACTION_HISTORY);
    assert_int_equal(f->request.pattern_count, 0);
    assert_true(f->request.limit == REQUEST_LIMIT_MAX);
}

static void patterns_are_limited(void **state)
{
    struct fixture *f = *state;
    struct buf text;

    buf_init(&text);
    buf_add_str(&text, "{\"action\":\"history\",\"event_type\":[\"a\"");
    for (int i = 1; i < REQUEST_PATTERNS_MAX; i++) {
        buf_add_str(&text, ",\"a\"");
    }
    buf_add_str(&text, "]}");
    expect_good(f, buf_cstr(&text), ACTION_HISTORY);
    assert_int_equal(f->request.pattern_count, REQUEST_PATTERNS_MAX);
    text.len -= 2;
    buf_add_str(&text, ",\"a\"]}");
    assert_int_equal(parse(f, buf_cstr(&text)), NHUB_EPROTO);
    assert_string_equal(f->request.error_code, "too_many_patterns");
    buf_fini(&text);
}

static void count_reads_a_range(void **state)
{
    struct fixture *f = *state;

    expect_good(f,
                "{\"action\":\"count\",\"epoch\":\"abcdefgh\",\"from\":0,\"to\":9,"
                "\"prefixes\":[\"\",\"a\"]}",
                ACTION_COUNT);
    assert_string_equal(f->request.from.epoch, "abcdefgh");
    assert_true(f->request.from.seq == 0);
    assert_true(f->request.to.seq == 9);
    assert_int_equal(f->request.pattern_count, 2);
    assert_int_equal(f->request.patterns[0].len, 0);
}

static void position_can_resolve_a_since(void **state)
{
    struct fixture *f = *state;

    expect_good(f, "{\"action\":\"position\"}", ACTION_POSITION);
    assert_int_equal(f->request.since.kind, SINCE_NONE);
    expect_good(f, "{\"action\":\"position\",\"since\":\"2026-11-21T10:00:00Z\"}", ACTION_POSITION);
    assert_int_equal(f->request.since.kind, SINCE_TIME);
}

static void written_requests_are_read_as_meant(void **state)
{
    static const char *const patterns[] = {"a\"b", "c*"};
    const struct position from = {"abcdefgh", 3};
    struct fixture *f = *state;
    struct buf text;

    buf_init(&text);
    request_write_simple(&text, "stats", UINT64_C(9007199254740993));
    assert_string_equal(buf_cstr(&text), "{\"action\":\"stats\",\"request_id\":9007199254740993}");
    expect_good(f, buf_cstr(&text), ACTION_STATS);

    buf_reset(&text);
    request_write_publish(&text, 1, DURABILITY_DEFAULT, true);
    assert_string_equal(buf_cstr(&text), "{\"action\":\"publish\",\"request_id\":1}");
    buf_reset(&text);
    request_write_publish(&text, 2, DURABILITY_JOURNALED, false);
    expect_good(f, buf_cstr(&text), ACTION_PUBLISH);
    assert_int_equal(f->request.durability, DURABILITY_JOURNALED);
    assert_false(f->request.atomic);

    buf_reset(&text);
    request_write_history(&text, 3, NULL, NULL, 0, 0);
    assert_string_equal(buf_cstr(&text), "{\"action\":\"history\",\"request_id\":3}");
    buf_reset(&text);
    request_write_history(&text, 3, "abcdefgh-7", patterns, 2, 100);
    expect_good(f, buf_cstr(&text), ACTION_HISTORY);
    assert_true(f->request.since.position.seq == 7);
    assert_int_equal(f->request.pattern_count, 2);
    assert_memory_equal(f->request.patterns[0].text, "a\"b", 3);
    assert_true(f->request.limit == 100);

    buf_reset(&text);
    request_write_count(&text, 4, &from, 9, patterns, 2);
    expect_good(f, buf_cstr(&text), ACTION_COUNT);
    assert_true(f->request.from.seq == 3 && f->request.to.seq == 9);
    assert_int_equal(f->request.pattern_count, 2);
    buf_fini(&text);
}

static void message_types_go_there_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < MESSAGE_UNKNOWN; i++) {
        const char *name = message_type_name((enum message_type)i);

        assert_int_equal(message_type_parse(name, strlen(name)), i);
        assert_int_equal(message_type_parse(name, strlen(name) - 1), MESSAGE_UNKNOWN);
    }
    assert_int_equal(message_type_parse("req", 3), MESSAGE_UNKNOWN);
    assert_int_equal(message_type_parse("", 0), MESSAGE_UNKNOWN);
    assert_string_equal(message_type_name(MESSAGE_UNKNOWN), "UNKNOWN");
}

static void a_request_that_waits_keeps_its_id_only(void **state)
{
    struct fixture *f = *state;

    expect_good(f, "{\"action\":\"groups\",\"request_id\":{\"a\":[7]}}", ACTION_GROUPS);
    request_keep_id(&f->request);
    assert_int_equal(f->request.action, ACTION_GROUPS);
    assert_int_equal(
        json_integer_value(json_array_get(json_object_get(f->request.request_id, "a"), 0)), 7);
    expect_good(f, "{\"action\":\"groups\"}", ACTION_GROUPS);
    request_keep_id(&f->request);
    assert_null(f->request.request_id);
}

static void durabilities_go_there_and_back(void **state)
{
    int durability = 99;
    (void)state;

    for (int i = DURABILITY_MEMORY; i <= DURABILITY_SYNCED; i++) {
        assert_int_equal(durability_parse(durability_name(i), &durability), NHUB_OK);
        assert_int_equal(durability, i);
    }
    assert_string_equal(durability_name(DURABILITY_DEFAULT), "default");
    assert_int_equal(durability_parse("default", &durability), NHUB_EINVAL);
    assert_int_equal(durability_parse("", &durability), NHUB_EINVAL);
}

/* The patterns are the one allocation of our own; jansson's are let fail through its hooks. */
static void a_failed_allocation_is_told(void **state)
{
    struct fixture *f = *state;
    const char *text = "{\"action\":\"history\",\"event_type\":[\"a\"]}";

    failmalloc_arm(0);
    assert_int_equal(parse(f, text), NHUB_ENOMEM);
    assert_true(failmalloc_disarm());
    expect_good(f, text, ACTION_HISTORY);
}

static long allocations_left;

static void *failing_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void a_failed_allocation_of_jansson_is_told(void **state)
{
    static const char *const texts[] = {"{\"action\":\"health\",\"request_id\":1}",
                                        "{\"action\":[{\"a\":\"b\"}]}"};
    struct fixture *f = *state;

    json_set_alloc_funcs(failing_malloc, free);
    for (size_t i = 0; i < 2; i++) {
        nhub_err err = NHUB_ENOMEM;

        for (long n = 0; err != NHUB_OK && n < 1000; n++) {
            allocations_left = n;
            err = parse(f, texts[i]);
            /* jansson reports some of its failures as bad JSON. */
            assert_true(err == NHUB_OK || err == NHUB_ENOMEM || err == NHUB_EPROTO);
            assert_true(err == NHUB_OK || f->error.len > 0);
        }
        assert_int_equal(err, NHUB_OK);
        allocations_left = 1000;
        request_free(&f->request);
    }
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_requests_get_a_clear_error, setup, teardown),
        cmocka_unit_test_setup_teardown(actions_are_recognised, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_action_is_no_error_here, setup, teardown),
        cmocka_unit_test_setup_teardown(the_request_id_is_kept_for_errors_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_request_id_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_request_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(publish_has_defaults_and_options, setup, teardown),
        cmocka_unit_test_setup_teardown(history_takes_patterns_as_string_or_array, setup, teardown),
        cmocka_unit_test_setup_teardown(patterns_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(count_reads_a_range, setup, teardown),
        cmocka_unit_test_setup_teardown(position_can_resolve_a_since, setup, teardown),
        cmocka_unit_test_setup_teardown(written_requests_are_read_as_meant, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_that_waits_keeps_its_id_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_of_jansson_is_told, setup, teardown),
        cmocka_unit_test(message_types_go_there_and_back),
        cmocka_unit_test(durabilities_go_there_and_back),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
