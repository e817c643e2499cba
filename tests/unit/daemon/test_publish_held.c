// with: failmalloc
/* publish: requests that wait for room in the journal, whose texts outlive their message. */
#include "failmalloc.h"
#include "publish_fixture.h"

static void a_publish_is_held_back_while_the_journal_is_full(void **state)
{
    (void)state;
    gate.base.is_full = true;
    add_event(EVENT(",\"id\":\"a\""));
    run(ATOMIC, false);
    add_event(EVENT(",\"id\":\"b\""));
    run(EACH, false);
    assert_int_equal(sent.len, 0);
    assert_int_equal(last_seq(), 0);
    publish_turn(publish);
    assert_true(publish_is_holding(publish));
    gate.base.is_full = false;
    add_event(EVENT(",\"id\":\"c\""));
    run(ATOMIC, false); /* behind the others */
    assert_int_equal(sent.len, 0);
    publish_turn(publish);
    assert_false(publish_is_holding(publish));
    assert_int_equal(last_seq(), 3);
    assert_true(strstr(buf_cstr(&sent), "\"first_seq\":1,") <
                strstr(buf_cstr(&sent), "\"first_seq\":2,"));
}

static void beyond_what_can_be_held_back_a_publish_is_refused(void **state)
{
    static char blanks[(1 << 20) + 1];
    int held = 0;

    (void)state;
    memset(blanks, ' ', sizeof blanks - 1);
    gate.base.is_full = true;
    for (;;) {
        for (int i = 0; i < 8; i++) {
            add_event(blanks);
        }
        run(EACH, false);
        if (sent.len > 0) {
            break;
        }
        held++;
    }
    assert_true(answer_has("\"code\":\"unavailable\""));
    assert_int_equal(held, 7); /* of 8 MiB and a little each */
}

#define EVENT_OF(data)                                                                             \
    "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":\"" data "\",\"odd " data "\":1}"

/* Lines of the journal. */
struct lines_seen {
    struct journal_scan scan; /* first: the journal gives it back to us */
    struct buf text;
};

static bool see_line(struct journal_scan *scan, const struct journal_record *record)
{
    struct lines_seen *seen = (struct lines_seen *)(void *)scan;

    buf_add(&seen->text, record->line, record->len);
    buf_add_char(&seen->text, '\n');
    return true;
}

static void see_end(struct journal_scan *scan, nhub_err status)
{
    (void)scan;
    assert_int_equal(status, NHUB_OK);
}

/* Looks whether the parts stand in the journal, in this order. */
static void expect_in_journal(const char *const *parts, size_t count)
{
    struct lines_seen seen = {
        .scan = {.after = 0, .to = last_seq(), .visit = see_line, .done = see_end}};
    const char *at;

    buf_init(&seen.text);
    journal_scan(gate.ring, &seen.scan);
    at = buf_cstr(&seen.text);
    for (size_t i = 0; i < count; i++) {
        at = strstr(at, parts[i]);
        assert_non_null(at);
    }
    buf_fini(&seen.text);
}

static void the_texts_of_a_held_publish_outlive_their_message(void **state)
{
    static const char *const parts[] = {"\"data\":\"first\"", "\"data\":\"second\"",
                                        "\"data\":\"third\""};

    (void)state;
    gate.base.is_full = true;
    add_event(EVENT_OF("first"));
    add_event(EVENT_OF("second"));
    run(ATOMIC, false); /* and the message is gone */
    add_event("");
    add_event(EVENT_OF("third"));
    run(EACH, false);
    assert_int_equal(sent.len, 0);
    gate.base.is_full = false;
    publish_turn(publish);
    assert_false(publish_is_holding(publish));
    assert_int_equal(last_seq(), 3);
    expect_in_journal(parts, 3);
    assert_true(answer_has("\"odd first\",\"odd second\""));
    assert_true(answer_has("\"odd third\""));
    assert_true(answer_has("\"code\":\"bad_json\""));
}

static void a_held_publish_of_nothing_but_an_empty_text_is_answered(void **state)
{
    (void)state;
    gate.base.is_full = true;
    add_event("");
    run(ATOMIC, false);
    assert_int_equal(sent.len, 0);
    gate.base.is_full = false;
    publish_turn(publish);
    assert_true(answer_has("\"code\":\"bad_json\",\"index\":0,\"offset\":0"));
    assert_int_equal(last_seq(), 0);
}

static void a_held_publish_that_is_bad_leaves_no_ids_behind(void **state)
{
    (void)state;
    gate.base.is_full = true;
    add_event(EVENT(",\"id\":\"a\""));
    add_event("bad");
    run(ATOMIC, false);
    gate.base.is_full = false;
    publish_turn(publish);
    assert_true(answer_has("\"code\":\"bad_json\",\"index\":1,\"offset\":0"));
    assert_int_equal(intake_dedup_ids(intake), 0);
    assert_int_equal(last_seq(), 0);
}

/* The hold, and the copy of the texts. */
static void a_publish_that_cannot_be_held_for_want_of_memory_is_refused_and_told(void **state)
{
    bool has_failed = true;
    long n;

    (void)state;
    assert_int_equal(buf_reserve(&sent, 1000), NHUB_OK); /* not counted below */
    for (n = 0; has_failed; n++) {
        struct call call;
        long before;

        gate.base.is_full = true;
        add_event(EVENT(",\"id\":\"a\""));
        add_event(EVENT(""));
        call = read_request(ATOMIC);
        before = failmalloc_live();
        failmalloc_arm(n);
        publish_run(publish, &call, false);
        has_failed = failmalloc_disarm();
        assert_int_equal(publish_is_holding(publish), !has_failed);
        assert_int_equal(answer_has("{\"success\":false,"), has_failed);
        assert_int_equal(answer_has("\"code\":\"no_memory\""), has_failed);
        if (has_failed) {
            assert_int_equal(failmalloc_live(), before);
        }
        end_request(&call);
        gate.base.is_full = false;
        publish_turn(publish);
        assert_int_equal(last_seq(), has_failed ? 0 : 2);
        assert_int_equal(intake_dedup_ids(intake), has_failed ? 0 : 1);
    }
    assert_int_equal(n, 3);
    assert_true(answer_has("{\"success\":true,\"first_seq\":1,\"last_seq\":2,\"count\":2,"));
}

static void a_refused_hold_leaves_those_before_and_behind_it_alone(void **state)
{
    struct call call;

    (void)state;
    gate.base.is_full = true;
    add_event(EVENT(",\"id\":\"a\""));
    run(ATOMIC, false);
    add_event(EVENT(",\"id\":\"b\""));
    call = read_request(ATOMIC);
    failmalloc_arm(1); /* the copy */
    publish_run(publish, &call, false);
    assert_true(failmalloc_disarm());
    assert_true(answer_has("\"code\":\"no_memory\""));
    end_request(&call);
    add_event(EVENT(",\"id\":\"c\""));
    run(ATOMIC, false);
    assert_int_equal(sent.len, 0);
    gate.base.is_full = false;
    publish_turn(publish);
    assert_int_equal(last_seq(), 2);
    assert_true(strstr(buf_cstr(&sent), "\"first_seq\":1,") <
                strstr(buf_cstr(&sent), "\"first_seq\":2,"));
    add_event(EVENT(",\"id\":\"b\"")); /* may come again */
    run(ATOMIC, false);
    assert_true(answer_has("\"first_seq\":3,"));
}

static void what_is_held_at_the_end_is_freed_and_not_answered(void **state)
{
    (void)state;
    gate.base.is_full = true;
    for (int i = 0; i < 3; i++) {
        add_event(EVENT(""));
        run(ATOMIC, false);
    }
    publish_destroy(&publish);
    assert_null(publish);
    assert_int_equal(sent.len, 0); /* the sanitizer looks at the rest */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_publish_is_held_back_while_the_journal_is_full),
        ROW(beyond_what_can_be_held_back_a_publish_is_refused),
        ROW(the_texts_of_a_held_publish_outlive_their_message),
        ROW(a_held_publish_of_nothing_but_an_empty_text_is_answered),
        ROW(a_held_publish_that_is_bad_leaves_no_ids_behind),
        ROW(a_publish_that_cannot_be_held_for_want_of_memory_is_refused_and_told),
        ROW(a_refused_hold_leaves_those_before_and_behind_it_alone),
        ROW(what_is_held_at_the_end_is_freed_and_not_answered),
    };
    const int failed = cmocka_run_group_tests_name("publish_held", tests, NULL, NULL);

    is_packing = true;
    return cmocka_run_group_tests_name("publish_held, packed", tests, NULL, NULL) + failed;
}
