/* ack: every answer to a publish becomes one result that says what became of the events. */
#include "client/ack.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Reads the answer; the box is to be freed. */
static void read_answer(const char *text, struct ack_box *box)
{
    struct requester_answer answer = {.err = NHUB_OK, .text = text, .text_len = strlen(text)};

    *box = (struct ack_box){0};
    answer.json = json_loads(text, 0, NULL);
    assert_non_null(answer.json);
    ack_read(box, &answer);
    json_decref(answer.json);
}

static void an_event_is_numbered_and_kept(void **state)
{
    struct ack_box box;

    (void)state;
    read_answer(
        "{\"success\":true,\"first_seq\":45,\"last_seq\":45,\"count\":1,\"epoch\":\"k3mzq7aa\","
        "\"durability\":\"synced\",\"correlation_id\":\"c-1\"}",
        &box);
    assert_int_equal(box.ack.result, NHUB_OK);
    assert_int_equal(box.ack.first.seq, 45);
    assert_string_equal(box.ack.last.epoch, "k3mzq7aa");
    assert_int_equal(box.ack.durability, NHUB_DURABILITY_SYNCED);
    assert_string_equal(box.ack.correlation_id, "c-1");
    assert_false(box.ack.is_duplicate);
    assert_non_null(strstr(box.ack.json, "\"first_seq\":45"));
    ack_fini(&box);
}

static void a_duplicate_has_the_first_ones_position(void **state)
{
    struct ack_box box;

    (void)state;
    read_answer("{\"success\":true,\"count\":0,\"epoch\":\"k3mzq7aa\",\"durability\":\"journaled\","
                "\"results\":[{\"index\":0,\"seq\":43,\"duplicate\":true}]}",
                &box);
    assert_int_equal(box.ack.result, NHUB_OK);
    assert_true(box.ack.is_duplicate);
    assert_int_equal(box.ack.first.seq, 43);
    assert_int_equal(box.ack.duplicates, 1);
    assert_int_equal(box.ack.durability, NHUB_DURABILITY_JOURNALED);
    ack_fini(&box);
}

static void each_refusal_has_a_result_of_its_own(void **state)
{
    static const struct {
        const char *json;
        nhub_err result;
        bool has_index;
        size_t index;
    } cases[] = {
        {"{\"success\":false,\"error\":\"event 3: a value is expected\",\"code\":\"bad_json\","
         "\"index\":3,\"offset\":17}",
         NHUB_EREFUSED, true, 3},
        {"{\"success\":false,\"error\":\"too many\",\"code\":\"too_many_events\"}", NHUB_EREFUSED,
         false, 0},
        {"{\"success\":false,\"error\":\"the disk is full\",\"code\":\"durability_unavailable\"}",
         NHUB_ENODURABILITY, false, 0},
        {"{\"success\":false,\"error\":\"the disk failed\",\"code\":\"durability_lost\","
         "\"first_seq\":7,\"last_seq\":8,\"count\":2,\"epoch\":\"k3mzq7aa\","
         "\"durability\":\"memory\"}",
         NHUB_ENOTKEPT, false, 0},
        {"{\"success\":false}", NHUB_EREFUSED, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ack_box box;

        read_answer(cases[i].json, &box);
        assert_int_equal(box.ack.result, cases[i].result);
        assert_int_equal(box.ack.has_index, cases[i].has_index);
        assert_int_equal(box.ack.index, cases[i].index);
        assert_true(*box.ack.code && *box.ack.error);
        ack_fini(&box);
    }
}

/* They went out live, so the caller has to know which ones they are. */
static void what_was_not_kept_is_named(void **state)
{
    struct ack_box box;

    (void)state;
    read_answer("{\"success\":false,\"error\":\"the disk failed\",\"code\":\"durability_lost\","
                "\"first_seq\":7,\"last_seq\":8,\"count\":2,\"epoch\":\"k3mzq7aa\"}",
                &box);
    assert_int_equal(box.ack.result, NHUB_ENOTKEPT);
    assert_int_equal(box.ack.first.seq, 7);
    assert_int_equal(box.ack.last.seq, 8);
    assert_string_equal(box.ack.first.epoch, "k3mzq7aa");
    assert_int_equal(box.ack.accepted, 2);
    ack_fini(&box);
}

static void a_request_that_failed_has_its_code_alone(void **state)
{
    const struct requester_answer answer = {.err = NHUB_ETIMEOUT};
    struct ack_box box = {0};

    (void)state;
    ack_read(&box, &answer);
    assert_int_equal(box.ack.result, NHUB_ETIMEOUT);
    assert_string_equal(box.ack.code, "");
    assert_string_equal(box.ack.error, "");
    assert_string_equal(box.ack.json, "");
    ack_fini(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_numbered_and_kept),
        cmocka_unit_test(a_duplicate_has_the_first_ones_position),
        cmocka_unit_test(each_refusal_has_a_result_of_its_own),
        cmocka_unit_test(what_was_not_kept_is_named),
        cmocka_unit_test(a_request_that_failed_has_its_code_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
