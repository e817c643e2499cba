/* What a WebSocket client may say, as a table. */
#include "gateway/protocols/ws_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    const char *code; /* NULL = fine */
} cases[] = {
    {"{\"op\":\"subscribe\"}", NULL},
    {"{\"op\":\"subscribe\",\"event_type\":\"a\"}", NULL},
    {"{\"op\":\"subscribe\",\"event_type\":[\"a\",\"b*\"],\"since\":\"earliest\"}", NULL},
    {"{\"op\":\"subscribe\",\"since\":17,\"policy\":\"latest\",\"snapshot\":false}", NULL},
    {"{\"op\":\"unsubscribe\",\"id\":null}", NULL},
    {"{\"op\":\"publish\",\"event\":{},\"durability\":\"journaled\"}", NULL},
    {" { \"id\" : 7 , \"op\" : \"ping\" } ", NULL},
    {"", "bad_json"},
    {"{\"op\":\"ping\"} x", "bad_json"},
    {"\"ping\"", "bad_json"},
    {"{}", "missing_field"},
    {"{\"op\":null}", "wrong_type"},
    {"{\"op\":\"Ping\"}", "unknown_op"},
    {"{\"op\":\"ping\",\"event\":{}}", "bad_message"},
    {"{\"op\":\"unsubscribe\",\"since\":\"1\"}", "bad_message"},
    {"{\"op\":\"subscribe\",\"evnt_type\":\"a\"}", "bad_message"},
    {"{\"op\":\"subscribe\",\"event_type\":{}}", "wrong_type"},
    {"{\"op\":\"subscribe\",\"event_type\":[]}", "bad_value"},
    {"{\"op\":\"subscribe\",\"event_type\":[\"a\",NaN,\"b\"]}", "wrong_type"},
    {"{\"op\":\"subscribe\",\"event_type\":\"\"}", "bad_pattern"},
    {"{\"op\":\"subscribe\",\"event_type\":\"a\\nb\"}", "bad_pattern"},
    {"{\"op\":\"subscribe\",\"event_type\":\"a\\u0000b\"}", "bad_pattern"},
    {"{\"op\":\"subscribe\",\"event_type\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", "too_many_patterns"},
    {"{\"op\":\"subscribe\",\"since\":\"soon\"}", "bad_since"},
    {"{\"op\":\"subscribe\",\"since\":-1}", "bad_since"},
    {"{\"op\":\"subscribe\",\"since\":true}", "wrong_type"},
    {"{\"op\":\"subscribe\",\"policy\":\"all\"}", "bad_value"},
    {"{\"op\":\"subscribe\",\"policy\":1}", "wrong_type"},
    {"{\"op\":\"subscribe\",\"snapshot\":\"true\"}", "wrong_type"},
    {"{\"op\":\"publish\"}", "missing_field"},
    {"{\"op\":\"publish\",\"event\":{},\"durability\":\"best\"}", "bad_value"},
    {"{\"op\":\"ping\",\"id\":[]}", "wrong_type"},
    {"{\"op\":\"consume\",\"group\":\"g\",\"credit\":1000,\"member\":\"m\"}", NULL},
    {"{\"op\":\"consume\",\"group\":\"g\",\"credit\":0}", NULL},
    {"{\"op\":\"consume\",\"group\":\"g\"}", "missing_field"},
    {"{\"op\":\"consume\",\"group\":\"g\",\"credit\":1001}", "bad_value"},
    {"{\"op\":\"consume\",\"group\":\"g\",\"credit\":null}", "wrong_type"},
    {"{\"op\":\"consume\",\"group\":\"g g\",\"credit\":1}", "bad_group_name"},
    {"{\"op\":\"consume\",\"group\":\"g\",\"credit\":1,\"member\":\"\\u0001\"}", "bad_value"},
    {"{\"op\":\"ack\",\"group\":\"g\",\"deliveries\":[]}", NULL},
    {"{\"op\":\"ack\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-1.1\",\"abcdefgh-2.9\"]}", NULL},
    {"{\"op\":\"ack\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-1\"]}", "bad_value"},
    {"{\"op\":\"ack\",\"group\":\"g\",\"deliveries\":[NaN]}", "wrong_type"},
    {"{\"op\":\"ack\",\"group\":\"g\",\"deliveries\":{}}", "wrong_type"},
    {"{\"op\":\"nack\",\"group\":\"g\",\"deliveries\":[],\"delay_ms\":43200000}", NULL},
    {"{\"op\":\"nack\",\"group\":\"g\",\"deliveries\":[],\"delay_ms\":1.5}", "bad_value"},
    {"{\"op\":\"extend\",\"group\":\"g\",\"deliveries\":[],\"visibility_ms\":100}", NULL},
    {"{\"op\":\"extend\",\"group\":\"g\",\"deliveries\":[],\"visibility_ms\":99}", "bad_value"},
    {"{\"op\":\"extend\",\"group\":\"g\",\"deliveries\":[],\"delay_ms\":1}", "bad_message"},
};

static void each_message_is_taken_or_refused_with_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ws_op op;
        struct ws_op_error error;
        const nhub_err err = ws_op_parse(cases[i].text, strlen(cases[i].text), 4, &op, &error);

        if (!cases[i].code) {
            assert_int_equal(err, NHUB_OK);
        } else {
            assert_int_equal(err, NHUB_EPROTO);
            assert_string_equal(reject_reason_code(error.reason), cases[i].code);
            assert_true(strlen(error.detail) > 5);
        }
        ws_op_free(&op);
    }
}

static void what_is_read_is_what_was_written(void **state)
{
    static const char text[] =
        "{\"op\":\"subscribe\",\"id\":\"q-1\",\"event_type\":[\"a\",\"b\\u002a\"],"
        "\"since\":\"aaaaaaaa-9\",\"policy\":\"drop_oldest\",\"snapshot\":true}";
    struct ws_op op;
    struct ws_op_error error;

    (void)state;
    assert_int_equal(ws_op_parse(text, sizeof text - 1, 4, &op, &error), NHUB_OK);
    assert_int_equal(op.kind, WS_OP_SUBSCRIBE);
    assert_int_equal(op.id_len, 5);
    assert_memory_equal(op.id, "\"q-1\"", 5);
    assert_int_equal(op.pattern_count, 2);
    assert_string_equal(op.patterns[1], "b*");
    assert_int_equal(op.since.kind, SINCE_POSITION);
    assert_int_equal(op.since.position.seq, 9);
    assert_true(op.has_policy && op.snapshot);
    assert_int_equal(op.policy, POLICY_DROP_OLDEST);
    ws_op_free(&op);
}

static void an_event_keeps_its_bytes(void **state)
{
    static const char text[] = "{\"event\": {\"data\" : 1.50e+2} ,\"op\":\"publish\"}";
    struct ws_op op;
    struct ws_op_error error;

    (void)state;
    assert_int_equal(ws_op_parse(text, sizeof text - 1, 4, &op, &error), NHUB_OK);
    assert_int_equal(op.event.len, strlen("{\"data\" : 1.50e+2}"));
    assert_memory_equal(op.event.p, "{\"data\" : 1.50e+2}", op.event.len);
    ws_op_free(&op);
}

static void a_refused_message_still_names_its_request(void **state)
{
    static const char *const texts[] = {"{\"op\":\"dance\",\"id\":42}",
                                        "{\"op\":\"ping\",\"id\":42,\"x\":1}",
                                        "{\"op\":\"subscribe\",\"id\":42,\"since\":\"soon\"}"};
    struct ws_op op;
    struct ws_op_error error;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_op_parse(texts[i], strlen(texts[i]), 4, &op, &error), NHUB_EPROTO);
        assert_int_equal(op.id_len, 2);
        assert_memory_equal(op.id, "42", 2);
        ws_op_free(&op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_taken_or_refused_with_its_code),
        cmocka_unit_test(what_is_read_is_what_was_written),
        cmocka_unit_test(an_event_keeps_its_bytes),
        cmocka_unit_test(a_refused_message_still_names_its_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
