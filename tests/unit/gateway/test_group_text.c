// with: failmalloc
/* What is said to the hub about groups, and what is understood of its answers. */
#include "gateway/protocols/group_text.h"

#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void requests_carry_values_as_they_were_written(void **state)
{
    const struct json_span value = {.p = "[ \"a\", \"b\" ]", .len = 12, .kind = JSON_ARRAY};
    struct buf text;

    (void)state;
    buf_init(&text);
    group_text_open(&text, "group_create", "g");
    group_text_add(&text, "event_type", &value);
    assert_string_equal(
        buf_cstr(&text),
        "{\"action\":\"group_create\",\"group\":\"g\",\"event_type\":[ \"a\", \"b\" ]");
    buf_reset(&text);
    group_text_open(&text, "groups", NULL);
    assert_string_equal(buf_cstr(&text), "{\"action\":\"groups\"");
    buf_fini(&text);
}

static void members_are_text(void **state)
{
    char longest[GROUP_MEMBER_MAX + 1];

    (void)state;
    memset(longest, 'm', sizeof longest);
    assert_true(group_member_valid("worker 1 \xc3\xa4", 11));
    assert_true(group_member_valid(longest, GROUP_MEMBER_MAX));
    assert_false(group_member_valid(longest, GROUP_MEMBER_MAX + 1));
    assert_false(group_member_valid("", 0));
    assert_false(group_member_valid("a\nb", 3));
    assert_false(group_member_valid("\x7f", 1));
    assert_false(group_member_valid("\xc3", 1));
}

static nhub_err read(const char *text, struct group_answer *out)
{
    return group_answer_read(text, strlen(text), out);
}

static void deliveries_are_read_one_by_one(void **state)
{
    struct group_answer a;
    struct group_delivery d;
    size_t pos = 0;

    (void)state;
    assert_int_equal(read("{\"success\":true,\"visibility_ms\":5,\"deliveries\":[{\"delivery\":"
                          "\"aaaaaaaa-17.1\",\"attempt\":1},{\"attempt\":3,\"delivery\":"
                          "\"aaaaaaaa-18.3\"}],\"created\":true}",
                          &a),
                     NHUB_OK);
    assert_true(a.created);
    assert_int_equal(group_answer_delivery(&a, &pos, &d), NHUB_OK);
    assert_string_equal(d.name, "aaaaaaaa-17.1");
    assert_int_equal(group_answer_delivery(&a, &pos, &d), NHUB_OK);
    assert_string_equal(d.name, "aaaaaaaa-18.3");
    assert_int_equal(d.id.attempt, 3);
    assert_int_equal(group_answer_delivery(&a, &pos, &d), NHUB_ENOTFOUND);
}

static void what_is_no_delivery_is_told_from_the_end(void **state)
{
    static const char *const texts[] = {"{\"deliveries\":[1]}",
                                        "{\"deliveries\":[{}]}",
                                        "{\"deliveries\":[{\"delivery\":\"x\"}]}",
                                        "{\"deliveries\":[{\"delivery\":\"aaaaaaaa-1.0\"}]}",
                                        "{\"deliveries\":[{\"delivery\":\"aaaaaaaa-1\\u002e1\"}]}",
                                        "{\"deliveries\":[[]]}"};
    struct group_answer a;
    struct group_delivery d;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t pos = 0;

        assert_int_equal(read(texts[i], &a), NHUB_OK);
        assert_int_equal(group_answer_delivery(&a, &pos, &d), NHUB_EPROTO);
    }
    assert_int_equal(read("[]", &a), NHUB_EPROTO);
    assert_int_equal(read("{\"deliveries\":NaN}", &a), NHUB_EPROTO);
    assert_int_equal(read("", &a), NHUB_EPROTO);
    assert_int_equal(read("{\"deliveries\":{}}", &a), NHUB_OK);
    assert_int_equal(group_answer_delivery(&a, &(size_t){0}, &d), NHUB_ENOTFOUND);
}

static void failed_ones_are_named_by_text_or_object(void **state)
{
    static const char text[] = "[{\"delivery\":\"aaaaaaaa-1.1\",\"code\":\"stale_delivery\"},"
                               "\"aaaaaaaa-2.1\"]";
    const struct json_span span = {.p = text, .len = sizeof text - 1, .kind = JSON_ARRAY};
    struct delivery d;
    size_t pos = 0;

    (void)state;
    assert_int_equal(group_delivery_next(&span, &pos, &d), NHUB_OK);
    assert_int_equal(d.position.seq, 1);
    assert_int_equal(group_delivery_next(&span, &pos, &d), NHUB_OK);
    assert_int_equal(d.position.seq, 2);
    assert_int_equal(group_delivery_next(&span, &pos, &d), NHUB_ENOTFOUND);
}

static void refusals_keep_the_hub_s_words(void **state)
{
    static const struct {
        const char *text;
        enum reject_reason reason;
        const char *error;
    } cases[] = {
        {"{\"code\":\"unknown_group\",\"error\":\"no g\"}", REJECT_UNKNOWN_GROUP, "no g"},
        {"{\"code\":\"shutting_down\",\"error\":\"bye\"}", REJECT_HUB_UNAVAILABLE, "bye"},
        {"{\"code\":\"no_memory\"}", REJECT_OVERLOADED, "refused by the hub"},
        {"{\"code\":\"from the future\",\"error\":\"\"}", REJECT_BAD_REQUEST, "refused by the hub"},
        {"{\"error\":\"Unknown action: fetch\"}", REJECT_HUB_UNAVAILABLE, "Unknown action: fetch"},
    };
    struct group_answer a;
    char code[32];
    char error[40];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read(cases[i].text, &a), NHUB_OK);
        assert_int_equal(group_answer_refusal(&a, code, sizeof code, error, sizeof error),
                         cases[i].reason);
        assert_string_equal(error, cases[i].error);
    }
}

static void failures_say_whether_it_may_have_been_done(void **state)
{
    const char *detail = NULL;

    (void)state;
    assert_int_equal(group_failure(&(struct query_job){.err = NHUB_EUNAVAIL}, &detail),
                     REJECT_HUB_UNAVAILABLE);
    assert_int_equal(
        group_failure(&(struct query_job){.err = NHUB_ETIMEOUT, .was_sent = true}, &detail),
        REJECT_OUTCOME_UNKNOWN);
    assert_int_equal(
        group_failure(&(struct query_job){.err = NHUB_ETIMEOUT, .was_sent = true, .is_fetch = true},
                      &detail),
        REJECT_HUB_UNAVAILABLE);
    assert_int_equal(group_failure(&(struct query_job){.err = NHUB_EFULL}, &detail),
                     REJECT_OVERLOADED);
    assert_int_equal(group_failure(&(struct query_job){.err = NHUB_EPROTO}, &detail),
                     REJECT_HUB_UNAVAILABLE);
    assert_non_null(detail);
}

static void answers_are_copied_without_their_envelope(void **state)
{
    static const char text[] = "{\"success\":true, \"group\" : \"g\",\"count\":0,\"request_id\":7}";
    struct buf out;

    (void)state;
    buf_init(&out);
    assert_int_equal(group_answer_copy(text, sizeof text - 1, true, &out), NHUB_OK);
    assert_string_equal(buf_cstr(&out), "{\"group\":\"g\",\"count\":0,\"failed\":[]}");
    buf_reset(&out);
    assert_int_equal(group_answer_copy("{\"success\":true}", 16, true, &out), NHUB_OK);
    assert_string_equal(buf_cstr(&out), "{\"failed\":[]}");
    buf_reset(&out);
    assert_int_equal(group_answer_copy("{\"a\":[1,}", 9, false, &out), NHUB_EPROTO);
    buf_fini(&out);
}

static struct buf asked;

static void on_query(struct hub_link *link, struct query_job *job)
{
    (void)link;
    buf_reset(&asked);
    buf_add(&asked, job->text, job->text_len);
    job->err = NHUB_EUNAVAIL;
    buf_init(&job->answer);
    job->done(job);
}

static void give_back(const char *names, bool is_unseen, const char *gap_text)
{
    const struct json_span gap = {.p = gap_text,
                                  .len = gap_text ? strlen(gap_text) : 0,
                                  .kind = gap_text ? JSON_OBJECT : JSON_ABSENT};
    struct buf list;
    int there = 0;

    buf_init(&list);
    buf_add_str(&list, names);
    buf_reset(&asked);
    group_give_back((struct hub_link *)(void *)&there, on_query, "g", &list, is_unseen, &gap);
    assert_int_equal(list.len, 0);
}

static void deliveries_are_given_back_and_nothing_is_left(void **state)
{
    (void)state;
    give_back("\"aaaaaaaa-1.1\"", false, NULL);
    assert_string_equal(buf_cstr(&asked),
                        "{\"action\":\"nack\",\"group\":\"g\",\"deliveries\":[\"aaaaaaaa-1.1\"]");
    give_back("\"aaaaaaaa-1.1\"", true, "{\"from\":1}");
    assert_string_equal(buf_cstr(&asked),
                        "{\"action\":\"nack\",\"group\":\"g\",\"deliveries\":[\"aaaaaaaa-1.1\"],"
                        "\"release\":true,\"gap\":{\"from\":1}");
    give_back("", true, "{\"from\":1}");
    assert_string_equal(
        buf_cstr(&asked),
        "{\"action\":\"nack\",\"group\":\"g\",\"release\":true,\"gap\":{\"from\":1}");
    give_back("", true, NULL);
    assert_int_equal(asked.len, 0);
    for (int nth = 0; nth < 6; nth++) { /* without memory they come back by their time */
        struct buf list;

        buf_init(&list);
        buf_add_str(&list, "\"aaaaaaaa-1.1\"");
        failmalloc_arm(nth);
        group_give_back((struct hub_link *)(void *)&list, on_query, "g", &list, true, NULL);
        (void)failmalloc_disarm();
    }
    buf_fini(&asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_carry_values_as_they_were_written),
        cmocka_unit_test(members_are_text),
        cmocka_unit_test(deliveries_are_read_one_by_one),
        cmocka_unit_test(what_is_no_delivery_is_told_from_the_end),
        cmocka_unit_test(failed_ones_are_named_by_text_or_object),
        cmocka_unit_test(refusals_keep_the_hub_s_words),
        cmocka_unit_test(failures_say_whether_it_may_have_been_done),
        cmocka_unit_test(answers_are_copied_without_their_envelope),
        cmocka_unit_test(deliveries_are_given_back_and_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
