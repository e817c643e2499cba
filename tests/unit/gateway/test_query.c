// with: failmalloc
/* query: what each door takes, and what is refused with which word. */
#include "failmalloc.h"
#include "gateway/protocols/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nhub_err parse(const char *text, enum query_door door, struct stream_query *q,
                      enum reject_reason *reason, char detail[160])
{
    *reason = REJECT_REASON_COUNT;
    detail[0] = '\0';
    return query_parse(text, strlen(text), door, 3, q, reason, detail, 160);
}

static void a_full_query_is_read(void **state)
{
    struct stream_query q;
    enum reject_reason reason;
    char detail[160];

    (void)state;
    assert_int_equal(parse("event_type=new+setup&&event_type=%C3%A9*&since=abcdefgh-12&"
                           "policy=drop_oldest&snapshot=true&named=1&format=cloudevents",
                           QUERY_DOOR_SSE, &q, &reason, detail),
                     NHUB_OK);
    assert_int_equal(q.pattern_count, 2);
    assert_string_equal(q.patterns[0], "new setup");
    assert_string_equal(q.patterns[1], "\xC3\xA9*");
    assert_string_equal(q.since_text, "abcdefgh-12");
    assert_int_equal(q.since.kind, SINCE_POSITION);
    assert_int_equal(q.since.position.seq, 12);
    assert_true(q.has_policy);
    assert_int_equal(q.policy, POLICY_DROP_OLDEST);
    assert_true(q.snapshot);
    assert_true(q.named);
    assert_true(q.cloudevents);
    query_free(&q);
}

static void an_empty_query_asks_for_everything(void **state)
{
    struct stream_query q;
    enum reject_reason reason;
    char detail[160];

    (void)state;
    assert_int_equal(parse("", QUERY_DOOR_WS, &q, &reason, detail), NHUB_OK);
    assert_int_equal(q.pattern_count, 0);
    assert_int_equal(q.since.kind, SINCE_NONE);
    assert_false(q.has_policy);
    query_free(&q);
}

static void the_last_event_id_wins_in_any_order(void **state)
{
    static const char *const texts[] = {"since=5&lastEventId=abcdefgh-9",
                                        "lastEventId=abcdefgh-9&since=5"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct stream_query q;
        enum reject_reason reason;
        char detail[160];

        assert_int_equal(parse(texts[i], QUERY_DOOR_SSE, &q, &reason, detail), NHUB_OK);
        assert_string_equal(q.since_text, "abcdefgh-9");
        assert_int_equal(query_set_last_event_id(&q, "abcdefgh-11", 11), NHUB_OK);
        assert_int_equal(q.since.position.seq, 11);
        assert_false(q.has_foreign_id);
        assert_int_equal(query_set_last_event_id(&q, "nonsense", 8), NHUB_OK);
        assert_true(q.has_foreign_id);
        assert_int_equal(q.since.kind, SINCE_NONE);
        query_free(&q);
    }
}

static void refusals_name_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        enum query_door door;
        enum reject_reason reason;
        const char *said;
    } cases[] = {
        {"evnt_type=a", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "evnt_type"},
        {"event_type", QUERY_DOOR_SSE, REJECT_BAD_PATTERN, "event_type"},
        {"event_type=", QUERY_DOOR_WS, REJECT_BAD_PATTERN, "event_type"},
        {"event_type=a%0Ab", QUERY_DOOR_WS, REJECT_BAD_PATTERN, "control"},
        {"event_type=a&event_type=b&event_type=c&event_type=d", QUERY_DOOR_HISTORY,
         REJECT_TOO_MANY_PATTERNS, "3"},
        {"event_type=%4", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "%XX"},
        {"event_type=%zz", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "%XX"},
        {"event_type=%00", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "event_type"},
        {"event_type=%FF", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "UTF-8"},
        {"%FF=1", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "UTF-8"},
        {"since=yesterday", QUERY_DOOR_SSE, REJECT_BAD_SINCE, "since"},
        {"since=5&since=6", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "twice"},
        {"lastEventId=abcdefgh-9&since=x", QUERY_DOOR_SSE, REJECT_BAD_SINCE, "since"},
        {"lastEventId=abcdefgh-9", QUERY_DOOR_WS, REJECT_BAD_QUERY, "not for this"},
        {"policy=none", QUERY_DOOR_WS, REJECT_BAD_QUERY, "policy"},
        {"snapshot=yes", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "snapshot"},
        {"named=", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "named"},
        {"named=1", QUERY_DOOR_WS, REJECT_BAD_QUERY, "not for this"},
        {"format=xml", QUERY_DOOR_HISTORY, REJECT_BAD_QUERY, "format"},
        {"limit=0", QUERY_DOOR_HISTORY, REJECT_BAD_QUERY, "limit"},
        {"limit=10001", QUERY_DOOR_HISTORY, REJECT_BAD_QUERY, "limit"},
        {"limit=99999999999999999999999", QUERY_DOOR_HISTORY, REJECT_BAD_QUERY, "limit"},
        {"limit=1x", QUERY_DOOR_HISTORY, REJECT_BAD_QUERY, "limit"},
        {"limit=1", QUERY_DOOR_SSE, REJECT_BAD_QUERY, "not for this"},
        {"durability=hard", QUERY_DOOR_PUBLISH, REJECT_BAD_QUERY, "durability"},
        {"event_type=a", QUERY_DOOR_PUBLISH, REJECT_BAD_QUERY, "not for this"},
        {"a=b", QUERY_DOOR_NONE, REJECT_BAD_QUERY, "unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stream_query q;
        enum reject_reason reason;
        char detail[160];

        if (parse(cases[i].text, cases[i].door, &q, &reason, detail) != NHUB_EINVAL ||
            reason != cases[i].reason || !strstr(detail, cases[i].said)) {
            fail_msg("%s: reason %d, \"%s\"", cases[i].text, (int)reason, detail);
        }
        query_free(&q);
    }
}

static void limit_and_durability_are_read(void **state)
{
    struct stream_query q;
    enum reject_reason reason;
    char detail[160];

    (void)state;
    assert_int_equal(parse("limit=10000", QUERY_DOOR_HISTORY, &q, &reason, detail), NHUB_OK);
    assert_int_equal(q.limit, 10000);
    query_free(&q);
    assert_int_equal(parse("durability=synced", QUERY_DOOR_PUBLISH, &q, &reason, detail), NHUB_OK);
    assert_int_equal(q.durability, DURABILITY_SYNCED);
    query_free(&q);
}

static void without_memory_nothing_is_accepted_and_nothing_leaks(void **state)
{
    const long live = failmalloc_live();

    (void)state;
    for (long n = 0;; n++) {
        struct stream_query q;
        enum reject_reason reason;
        char detail[160];
        nhub_err err;

        failmalloc_arm(n);
        err = parse("event_type=a&event_type=b&since=5", QUERY_DOOR_WS, &q, &reason, detail);
        query_free(&q);
        if (!failmalloc_disarm()) {
            assert_int_equal(err, NHUB_OK);
            break;
        }
        assert_int_equal(err, NHUB_ENOMEM);
        assert_int_equal(reason, REJECT_OVERLOADED);
        assert_int_equal(failmalloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_query_is_read),
        cmocka_unit_test(an_empty_query_asks_for_everything),
        cmocka_unit_test(the_last_event_id_wins_in_any_order),
        cmocka_unit_test(refusals_name_what_is_wrong),
        cmocka_unit_test(limit_and_durability_are_read),
        cmocka_unit_test(without_memory_nothing_is_accepted_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
