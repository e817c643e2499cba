/*
 * Reading the hub's answers and lines.
 */
#include "gateway/link_answer.h"

#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nhub_err parse(const char *text, struct link_answer *out)
{
    return link_answer_parse(text, strlen(text), out);
}

static void a_publish_answer_is_read(void **state)
{
    struct link_answer a;

    (void)state;
    assert_int_equal(parse("{\"success\":true,\"first_seq\":5,\"last_seq\":9,\"count\":5,"
                           "\"epoch\":\"abcdefg2\",\"durability\":\"synced\",\"request_id\":77}",
                           &a),
                     NHUB_OK);
    assert_true(a.success && a.has_seqs);
    assert_int_equal(a.request_id, 77);
    assert_int_equal(a.first_seq, 5);
    assert_int_equal(a.last_seq, 9);
    assert_int_equal(a.count, 5);
    assert_int_equal(a.durability, DURABILITY_SYNCED);
    assert_string_equal(a.head.epoch, "abcdefg2");
    assert_false(a.has_page);
}

static void a_refusal_is_read_with_its_code(void **state)
{
    struct link_answer a;

    (void)state;
    assert_int_equal(parse("{\"success\":false,\"error\":\"no \\\"x\\\"\",\"code\":\"bad_json\","
                           "\"index\":3,\"offset\":12,\"request_id\":1}",
                           &a),
                     NHUB_OK);
    assert_false(a.success || a.has_seqs);
    assert_string_equal(a.error, "no \"x\"");
    assert_string_equal(a.code, "bad_json");
    assert_int_equal(a.index, 3);
    assert_int_equal(a.offset, 12);
}

static void a_position_answer_is_read_with_its_voids(void **state)
{
    struct link_answer a;

    (void)state;
    assert_int_equal(
        parse("{\"success\":true,\"protocol\":1,\"epoch\":\"abcdefgh\",\"seq\":10,\"oldest\":4,"
              "\"voids\":[{\"from\":5,\"to\":6,\"reason\":\"unclean_stop\"},{\"from\":9,\"to\":8},"
              "{\"from\":\"x\"},7],\"durability\":\"memory\",\"stats_event\":\"S\","
              "\"max_event_bytes\":4194304,\"dedup\":true,\"timestamp\":1.5,\"request_id\":4}",
              &a),
        NHUB_OK);
    assert_int_equal(a.protocol, 1);
    assert_int_equal(a.head.seq, 10);
    assert_int_equal(a.head.oldest, 4);
    assert_true(a.has_dedup);
    assert_int_equal(a.max_event_bytes, 4194304);
    assert_int_equal(a.head.voids.count, 1);
    assert_int_equal(a.head.voids.list[0].from, 5);
    assert_int_equal(a.head.voids.list[0].to, 6);
    assert_int_equal(a.head.voids.list[0].reason, GAP_UNCLEAN_STOP);
}

static void a_history_answer_is_read_with_its_gap(void **state)
{
    struct link_answer a;

    (void)state;
    assert_int_equal(
        parse("{\"success\":true,\"result\":\"gap\",\"epoch\":\"abcdefgh\","
              "\"from\":\"abcdefgh-3\",\"next\":\"abcdefgh-7\",\"more\":true,\"count\":4,"
              "\"oldest\":4,\"seq\":20,\"voids\":[],\"gap\":{\"from\":\"abcdefgh-1\","
              "\"to\":\"abcdefgh-3\",\"reason\":\"retention\"},\"request_id\":5}",
              &a),
        NHUB_OK);
    assert_true(a.has_page && a.page.has_gap);
    assert_int_equal(a.page.next.seq, 7);
    assert_int_equal(a.page.seq, 20);
    assert_int_equal(a.page.gap.from.seq, 1);
    assert_int_equal(a.page.gap.to.seq, 3);
    assert_int_equal(a.page.gap.reason, GAP_RETENTION);
}

static void what_is_no_answer_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "{}",
                                        "{\"request_id\":\"x\"}",
                                        "{\"request_id\":1.5}",
                                        "{\"request_id\":-1}",
                                        "{\"request_id\":1",
                                        "{\"success\":true}"};
    struct link_answer a;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse(texts[i], &a), NHUB_EPROTO);
    }
}

static void an_epoch_that_is_none_counts_as_absent(void **state)
{
    struct link_answer a;

    (void)state;
    assert_int_equal(parse("{\"epoch\":\"BAD\",\"seq\":1,\"request_id\":1}", &a), NHUB_OK);
    assert_string_equal(a.head.epoch, "");
    assert_int_equal(parse("{\"epoch\":\"much too long for it\",\"request_id\":1}", &a), NHUB_OK);
    assert_string_equal(a.head.epoch, "");
}

static void results_come_one_by_one(void **state)
{
    struct link_result result;
    struct link_answer a;
    size_t pos = 0;

    (void)state;
    assert_int_equal(
        parse("{\"request_id\":1,\"results\":[{\"index\":1,\"seq\":9,\"duplicate\":true}"
              ",{\"index\":2,\"code\":\"c\",\"error\":\"e\",\"offset\":7}]}",
              &a),
        NHUB_OK);
    assert_int_equal(link_answer_result(&a.results, &pos, &result), NHUB_OK);
    assert_true(result.is_duplicate);
    assert_int_equal(result.index, 1);
    assert_int_equal(result.seq, 9);
    assert_int_equal(link_answer_result(&a.results, &pos, &result), NHUB_OK);
    assert_false(result.is_duplicate);
    assert_string_equal(result.code, "c");
    assert_int_equal(result.offset, 7);
    assert_int_equal(link_answer_result(&a.results, &pos, &result), NHUB_ENOTFOUND);
}

static void an_event_is_made_of_its_line(void **state)
{
    static const char line[] =
        "{\"event_type\":\"a\\u00e9\\\"b\",\"source_service\":\"s\",\"data\":{},"
        "\"timestamp\":1,\"correlation_id\":\"c\",\"seq\":12,"
        "\"epoch\":\"abcdefgh\"}";
    struct feed_event *event = NULL;

    (void)state;
    assert_int_equal(link_event_from_line(line, sizeof line - 1, &event), NHUB_OK);
    assert_string_equal(event->type, "a\xc3\xa9\"b");
    assert_int_equal(event->position.seq, 12);
    assert_string_equal(event->position.epoch, "abcdefgh");
    assert_int_equal(event->line_len, sizeof line - 1);
    assert_memory_equal(event->line, line, sizeof line - 1);
    feed_event_unref(&event);
}

static void what_is_no_line_makes_no_event(void **state)
{
    static const char *const lines[] = {
        "",
        "{}",
        "{\"event_type\":\"a\"}",
        "{\"event_type\":1,\"seq\":12,\"epoch\":\"abcdefgh\"}",
        "{\"event_type\":\"a,\\\"seq\\\":12,\\\"epoch\\\":\\\"abcdefgh\\\"}",
        "{\"other\":\"a\",\"seq\":12,\"epoch\":\"abcdefgh\"}"};
    struct feed_event *event = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(link_event_from_line(lines[i], strlen(lines[i]), &event), NHUB_EPROTO);
    }
}

static void ids_are_found_on_the_top_level_only(void **state)
{
    static const char with[] = "{\"event_type\":\"a\",\"data\":1,\"id\":\"x\"}";
    static const char without[] = "{\"event_type\":\"a\",\"data\":{\"id\":\"x\"}}";

    (void)state;
    assert_true(link_line_has_id(with, sizeof with - 1));
    assert_false(link_line_has_id(without, sizeof without - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_answer_is_read),
        cmocka_unit_test(a_refusal_is_read_with_its_code),
        cmocka_unit_test(a_position_answer_is_read_with_its_voids),
        cmocka_unit_test(a_history_answer_is_read_with_its_gap),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(an_epoch_that_is_none_counts_as_absent),
        cmocka_unit_test(results_come_one_by_one),
        cmocka_unit_test(an_event_is_made_of_its_line),
        cmocka_unit_test(what_is_no_line_makes_no_event),
        cmocka_unit_test(ids_are_found_on_the_top_level_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
