/* publish and intake: batches, their answers, and how well their events are kept. */
#include "publish_fixture.h"

#include <stdio.h>

static void a_batch_is_numbered_in_a_row(void **state)
{
    (void)state;
    add_event(EVENT(""));
    add_event(EVENT(""));
    run(ATOMIC, false);
    assert_true(answer_has("{\"success\":true,\"first_seq\":1,\"last_seq\":2,\"count\":2,"));
    assert_int_equal(stats.events_published, 2);
}

static void a_refused_batch_leaves_no_ids_behind(void **state)
{
    (void)state;
    add_event(EVENT(",\"id\":\"a\""));
    add_event("bad");
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"bad_json\",\"index\":1,\"offset\":0"));
    assert_int_equal(last_seq(), 0);
    assert_int_equal(intake_dedup_ids(intake), 0);
    add_event(EVENT(",\"id\":\"a\""));
    run(ATOMIC, false);
    assert_true(answer_has("\"first_seq\":1,"));
}

static void a_refused_batch_costs_nobody_elses_ids(void **state)
{
    char text[120];

    (void)state;
    for (int i = 0; i < 100; i++) { /* as many as are remembered */
        snprintf(text, sizeof text, EVENT(",\"id\":\"old %d\""), i);
        add_event(text);
    }
    run(ATOMIC, false);
    for (int i = 0; i < 150; i++) {
        snprintf(text, sizeof text, EVENT(",\"id\":\"new %d\""), i);
        add_event(text);
    }
    add_event("bad");
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"bad_json\",\"index\":150"));
    assert_int_equal(intake_dedup_ids(intake), 100);
    add_event(EVENT(",\"id\":\"old 0\""));
    run(ATOMIC, false);
    assert_true(answer_has("\"results\":[{\"index\":0,\"seq\":1,\"duplicate\":true}]"));
}

static void without_numbers_nothing_happens(void **state)
{
    static const char *const requests[] = {ATOMIC, EACH};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        gate.is_shut = true;
        add_event(EVENT(",\"id\":\"a\""));
        run(requests[i], false);
        assert_true(answer_has("\"code\":\"unavailable\""));
        assert_int_equal(last_seq(), i);
        assert_int_equal(intake_dedup_ids(intake), 0);
        gate.is_shut = false;
        add_event(EVENT(""));
        run(requests[i], false);
        assert_true(answer_has("\"success\":true"));
    }
}

static void push(const char *text)
{
    const struct intake_origin unknown = {.server = NULL};

    intake_push(intake, text, strlen(text), &unknown);
}

static void a_pushed_event_without_a_number_is_counted_and_may_come_again(void **state)
{
    const char *text = EVENT(",\"id\":\"a\"");

    (void)state;
    gate.slots_are_shut = true;
    push(text);
    assert_int_equal(stats.not_numbered, 1);
    assert_int_equal(stats.events_received, 0);
    gate.slots_are_shut = false;
    push(text);
    push(text);
    assert_int_equal(stats.events_published, 1);
    assert_int_equal(stats.duplicates, 1);
}

static void a_stopping_hub_numbers_nothing(void **state)
{
    (void)state;
    add_event(EVENT(""));
    run(ATOMIC, true);
    assert_true(answer_has("\"code\":\"shutting_down\""));
    assert_int_equal(last_seq(), 0);
}

static void the_limits_of_a_request_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < PUBLISH_MAX_EVENTS; i++) {
        add_event(EVENT(""));
    }
    run(ATOMIC, false);
    assert_true(answer_has("\"count\":10000,"));
    for (int i = 0; i <= PUBLISH_MAX_EVENTS; i++) {
        add_event(EVENT(""));
    }
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"too_many_events\""));
    add_event(EVENT("")); /* the next request begins anew */
    run(ATOMIC, false);
    assert_true(answer_has("\"first_seq\":10001,"));
}

static void bytes_of_a_request_are_bounded(void **state)
{
    static char blanks[(1 << 20) + 1];

    (void)state;
    memset(blanks, ' ', sizeof blanks - 1);
    for (int i = 0; i < 16; i++) {
        add_event(blanks);
    }
    run(EACH, false);
    assert_true(answer_has("\"code\":\"too_big\",\"error\"")); /* each event for itself */
    for (int i = 0; i < 17; i++) {
        add_event(blanks);
    }
    run(EACH, false);
    assert_true(answer_has("{\"success\":false,"));
    assert_true(answer_has("\"code\":\"too_big\"}"));
}

/* ---- a journal with a disk ---- */

static void an_answer_waits_for_the_durability_that_was_asked_for(void **state)
{
    (void)state;
    give_disk();
    add_event(EVENT(""));
    run("{\"action\":\"publish\",\"durability\":\"memory\"}", false);
    assert_true(answer_has("\"durability\":\"memory\""));
    add_event(EVENT(""));
    run("{\"action\":\"publish\",\"durability\":\"journaled\"}", false);
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_MEMORY, 1, NHUB_OK);
    acks_kept(acks, DURABILITY_SYNCED, 0, NHUB_OK); /* of an earlier batch */
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_JOURNALED, 1, NHUB_OK);
    assert_true(answer_has("\"first_seq\":2,\"last_seq\":2,\"count\":1"));
    assert_true(answer_has("\"durability\":\"journaled\""));
    add_event(EVENT(""));
    run(ATOMIC, false); /* what the mode gives */
    acks_kept(acks, DURABILITY_JOURNALED, 1, NHUB_OK);
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_SYNCED, 1, NHUB_OK);
    assert_true(answer_has("\"durability\":\"synced\""));
    assert_int_equal(acks_count(acks), 0);
}

static void what_the_disk_did_not_take_is_told_with_its_numbers(void **state)
{
    (void)state;
    give_disk();
    add_event(EVENT(""));
    add_event(EVENT(""));
    run(ATOMIC, false);
    acks_kept(acks, DURABILITY_MEMORY, 1, NHUB_EUNAVAIL);
    assert_true(answer_has("{\"success\":false,"));
    assert_true(
        answer_has("\"code\":\"durability_lost\",\"first_seq\":1,\"last_seq\":2,\"count\":2"));
    assert_true(answer_has("\"durability\":\"memory\""));
    assert_int_equal(stats.durability_lost, 1);
}

static void while_the_disk_takes_nothing_only_memory_is_given(void **state)
{
    (void)state;
    give_disk();
    gate.base.durability_now = DURABILITY_MEMORY;
    add_event(EVENT(""));
    run("{\"action\":\"publish\",\"durability\":\"journaled\"}", false);
    assert_true(answer_has("\"code\":\"durability_unavailable\""));
    assert_int_equal(last_seq(), 0);
    add_event(EVENT(""));
    run(ATOMIC, false);
    assert_true(answer_has("\"durability\":\"memory\""));
    assert_int_equal(last_seq(), 1);
}

#define LOST_ONE                                                                                   \
    "{\"index\":0,\"seq\":1,\"duplicate\":true,\"code\":\"durability_lost\",\"error\":\""
#define SYNCED(more) "{\"action\":\"publish\",\"durability\":\"synced\"" more "}"

/* Numbers 1 and 2 with ids a and b, of which the disk has only the second. */
static void lose_the_first(void)
{
    give_disk();
    add_event(EVENT(",\"id\":\"a\""));
    add_event(EVENT(",\"id\":\"b\""));
    run("{\"action\":\"publish\",\"durability\":\"memory\"}", false);
    gate.lost = 1;
    gate.synced = 2;
}

static void a_lost_duplicate_takes_nothing_from_those_who_share_its_request(void **state)
{
    (void)state;
    lose_the_first();
    add_event(EVENT(",\"id\":\"a\""));
    add_event(EVENT(""));
    run(SYNCED(",\"atomic\":false"), false);
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_SYNCED, 1, NHUB_OK);
    assert_true(answer_has("{\"success\":true,\"first_seq\":3,\"last_seq\":3,\"count\":1,"));
    assert_true(answer_has("\"durability\":\"synced\",\"results\":[" LOST_ONE));
    assert_int_equal(stats.durability_lost, 1);
    add_event(EVENT(",\"id\":\"a\""));
    add_event(EVENT(",\"id\":\"b\""));
    run(SYNCED(",\"atomic\":false"), false);
    assert_true(answer_has("{\"success\":true,\"count\":0,"));
    assert_true(answer_has("\"durability\":\"synced\",\"results\":[" LOST_ONE));
    assert_true(answer_has("\"},{\"index\":1,\"seq\":2,\"duplicate\":true}]"));
}

static void a_lost_duplicate_that_is_alone_or_a_part_is_the_answer(void **state)
{
    static const char *const requests[] = {SYNCED(",\"atomic\":false"), SYNCED(""), SYNCED("")};

    (void)state;
    lose_the_first();
    for (size_t i = 0; i < 3; i++) {
        add_event(EVENT(",\"id\":\"a\""));
        if (i == 2) {
            add_event(EVENT(",\"id\":\"b\""));
        }
        run(requests[i], false);
        assert_true(answer_has("{\"success\":false,"));
        assert_true(answer_has("\"code\":\"durability_lost\",\"count\":0,"));
        assert_true(answer_has("\"durability\":\"memory\""));
        assert_true(answer_has("\"results\":[{\"index\":0,\"seq\":1,\"duplicate\":true}"));
    }
}

static void who_asks_for_memory_is_told_no_more_of_a_lost_duplicate(void **state)
{
    static const char *const requests[] = {
        "{\"action\":\"publish\",\"durability\":\"memory\"}",
        "{\"action\":\"publish\",\"durability\":\"memory\",\"atomic\":false}"};

    (void)state;
    lose_the_first();
    for (size_t i = 0; i < 2; i++) {
        add_event(EVENT(",\"id\":\"a\""));
        add_event(EVENT(",\"id\":\"b\"")); /* the newest of them is synced */
        run(requests[i], false);
        assert_true(answer_has("{\"success\":true,\"count\":0,"));
        assert_true(answer_has("\"durability\":\"memory\",\"results\":["
                               "{\"index\":0,\"seq\":1,\"duplicate\":true},"));
    }
}

static void nobody_waits_where_no_answer_is_wanted(void **state)
{
    struct call call;

    (void)state;
    give_disk();
    add_event(EVENT(""));
    call = read_request(ATOMIC);
    call.wants_answer = false;
    publish_run(publish, &call, false);
    assert_int_equal(acks_count(acks), 0);
    assert_int_equal(stats.no_reply, 1);
    assert_int_equal(last_seq(), 1);
    end_request(&call);
}

static void an_event_of_the_hub_may_have_the_reserved_type(void **state)
{
    (void)state;
    intake_own_event(intake, "StatsEvent", "{\"a\":1}", 7);
    assert_int_equal(last_seq(), 1);
    assert_int_equal(stats.own_events, 1);
    assert_int_equal(stats.events_published, 0);
    add_event("{\"event_type\":\"StatsEvent\",\"source_service\":\"s\",\"data\":1}");
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"reserved_type\",\"index\":0,\"field\":\"event_type\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_batch_is_numbered_in_a_row),
        ROW(a_refused_batch_leaves_no_ids_behind),
        ROW(a_refused_batch_costs_nobody_elses_ids),
        ROW(without_numbers_nothing_happens),
        ROW(a_pushed_event_without_a_number_is_counted_and_may_come_again),
        ROW(a_stopping_hub_numbers_nothing),
        ROW(the_limits_of_a_request_are_exact),
        ROW(bytes_of_a_request_are_bounded),
        ROW(an_event_of_the_hub_may_have_the_reserved_type),
        ROW(an_answer_waits_for_the_durability_that_was_asked_for),
        ROW(what_the_disk_did_not_take_is_told_with_its_numbers),
        ROW(a_lost_duplicate_takes_nothing_from_those_who_share_its_request),
        ROW(a_lost_duplicate_that_is_alone_or_a_part_is_the_answer),
        ROW(who_asks_for_memory_is_told_no_more_of_a_lost_duplicate),
        ROW(while_the_disk_takes_nothing_only_memory_is_given),
        ROW(nobody_waits_where_no_answer_is_wanted),
    };
    const int failed = cmocka_run_group_tests_name("publish", tests, NULL, NULL);

    is_packing = true;
    return cmocka_run_group_tests_name("publish, packed", tests, NULL, NULL) + failed;
}
