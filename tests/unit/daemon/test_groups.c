/* groups: what they do around a journal that is slow, forgets, fails, or begins anew. */
#include "groups_fixture.h"

#define CREATE "{\"action\":\"group_create\",\"group\":\"g\",\"since\":\"earliest\","

/* A group and events of type a. */
static void begin(struct fixture *f, const char *create, int events)
{
    do_it(f, create);
    publish_events(f, "a", events);
}

/* Asks while the journal's answers wait for answer_scan(). */
static void fetch_slowly(struct fixture *f, const char *fetch_text)
{
    f->journal.is_slow = true;
    send(f, fetch_text);
    turn(f);
}

static void answer_scan(struct fixture *f)
{
    assert_int_equal(fake_answer_scans(&f->journal), 1);
    turn(f);
}

/* Acknowledges without a look at the answer. */
static void send_ack(struct fixture *f, const char *delivery)
{
    char text[128];

    (void)snprintf(text, sizeof text,
                   "{\"action\":\"ack\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-%s\"]}",
                   delivery);
    send(f, text);
}

/* ---- scans that are answered later ---- */

static void a_fetch_waits_for_a_slow_journal(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 3);
    fetch_slowly(f, FETCH "\"max\":2,\"wait_ms\":0}");
    NOBODY_ANSWERED(f);
    pass_ms(f, 5000); /* its time is over, but it is being served */
    NOBODY_ANSWERED(f);
    answer_scan(f);
    expect_deliveries(answer(f), "1.1 2.1");
}

static void what_happens_during_a_slow_scan_counts(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"visibility_ms\":1000,\"max_attempts\":0}", 3);
    fetch(f, "1.1 2.1 3.1");
    pass_ms(f, 1000);
    fetch_slowly(f, FETCH "\"max\":9,\"wait_ms\":1000}");
    /* While it is being read, one is acknowledged after all, and one is given back for later. */
    acknowledge(f, "1.1", "done");
    do_it(f, "{\"action\":\"nack\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-2.1\"],"
             "\"delay_ms\":500}");
    answer_scan(f);
    expect_deliveries(answer(f), "3.2");
    f->journal.is_slow = false;
    /* The first of these milliseconds had begun when it was given back: never early. */
    pass_ms(f, 500);
    fetch(f, "");
    pass_ms(f, 1);
    fetch(f, "2.2");
}

static void what_is_trimmed_during_a_slow_scan_is_a_gap(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 10);
    fetch_slowly(f, FETCH "\"max\":100,\"wait_ms\":1000}");
    journal_trim(&f->journal.base, 8);
    fake_answer_scans(&f->journal);
    turn(f);
    fake_answer_scans(&f->journal);
    turn(f);
    expect_deliveries(answer(f), "8.1 9.1 10.1 gap abcdefgh-0 abcdefgh-7 retention");
    assert_int_equal(figure(f, "lost"), 7);
}

static void a_group_may_be_deleted_during_a_slow_scan(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 3);
    fetch_slowly(f, FETCH "\"max\":9,\"wait_ms\":1000}");
    send(f, "{\"action\":\"group_delete\",\"group\":\"g\"}");
    expect_text(f, "code", "unknown_group");
    turn(f);
    expect_text(f, "group", "g");
    do_it(f, CREATE "\"event_type\":\"a\"}");
    answer_scan(f);
    NOBODY_ANSWERED(f);
    f->journal.is_slow = false;
    fetch(f, "1.1 2.1 3.1");
}

static void a_hub_may_stop_during_a_slow_scan(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 3);
    fetch_slowly(f, FETCH "\"max\":9,\"wait_ms\":1000}");
    groups_set_stopping(f->groups);
    expect_deliveries(answer(f), "");
    send(f, FETCH "\"max\":9,\"wait_ms\":1000}");
    expect_text(f, "code", "shutting_down");
}

static void a_journal_that_lags_is_asked_again(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 5);
    f->journal.visible = 2;
    fetch(f, "1.1 2.1");
    send(f, FETCH "\"max\":9,\"wait_ms\":60000}");
    turn(f);
    NOBODY_ANSWERED(f);
    f->journal.visible = 4;
    turn(f); /* the commit of the turn before said that there is more */
    turn(f);
    expect_deliveries(answer(f), "3.1 4.1");
}

static void a_journal_that_fails_is_told(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 2);
    f->journal.scan_error = NHUB_ESYS;
    send(f, FETCH "\"max\":9,\"wait_ms\":1000}");
    turn(f);
    expect_text(f, "code", "journal_unavailable");
    f->journal.scan_error = NHUB_OK;
    pass_ms(f, 1000);
    fetch(f, "1.1 2.1");
}

/* ---- answers that wait until a change is kept ---- */

static void answers_come_when_the_change_is_kept(void **state)
{
    struct fixture *f = *state;

    f->journal.keeps_later = true;
    send(f, CREATE "\"event_type\":\"a\"}");
    turn(f);
    NOBODY_ANSWERED(f);
    fake_keep(&f->journal, true);
    expect_text(f, "durability", "synced");
    publish_events(f, "a", 1);
    send(f, FETCH "\"max\":9}");
    turn(f);
    expect_deliveries(answer(f), "1.1"); /* handing out waits for nothing */
    send_ack(f, "1.1");
    turn(f);
    turn(f);
    NOBODY_ANSWERED(f);
    fake_keep(&f->journal, true);
    expect_text(f, "durability", "synced");
}

static void what_was_not_kept_is_delivered_again_and_what_was_is_not(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"visibility_ms\":1000,\"max_attempts\":0}", 3);
    fetch(f, "1.1 2.1 3.1");
    acknowledge(f, "2.1", "done");
    f->journal.keeps_later = true;
    send_ack(f, "3.1");
    turn(f);
    f->journal.keeps_later = false;
    die_and_start_again(f);
    acknowledge(f, "1.1", "done"); /* its member still has it */
    pass_ms(f, 1000);
    fetch(f, "3.2");
}

static void lost_notes_are_made_up_for(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"visibility_ms\":1000,\"max_attempts\":0}", 4);
    f->journal.keeps_later = true;
    send(f, FETCH "\"max\":1}");
    turn(f);
    expect_deliveries(answer(f), "1.1");
    fake_keep(&f->journal, false); /* nobody knows that 1 was handed out … */
    f->journal.keeps_later = false;
    send(f, FETCH "\"max\":1}");
    turn(f); /* … and the next note says that 2 was: it has to tell of both */
    expect_deliveries(answer(f), "2.1");
    die_and_start_again(f);
    pass_ms(f, 1000);
    fetch(f, "1.2 2.2 3.1 4.1");
}

static void while_the_disk_fails_answers_say_memory(void **state)
{
    struct fixture *f = *state;
    json_t *a;

    begin(f, CREATE "\"visibility_ms\":1000,\"max_attempts\":0}", 3);
    fetch(f, "1.1 2.1 3.1");
    f->journal.keeps_later = true;
    send_ack(f, "1.1");
    turn(f);
    fake_keep(&f->journal, false);
    a = answer(f);
    assert_true(is_true(json_object_get(a, "success")));
    assert_string_equal(json_string_value(json_object_get(a, "durability")), "memory");
    json_decref(a);
    f->journal.base.durability_now = DURABILITY_MEMORY;
    const uint64_t notes = f->journal.notes_written;

    send_ack(f, "2.1");
    expect_text(f, "durability", "memory");
    turn(f);
    assert_true(f->journal.notes_written == notes); /* it would be lost */
    /* It recovers, and all of it is written down. */
    f->journal.base.durability_now = DURABILITY_SYNCED;
    f->journal.keeps_later = false;
    pass_ms(f, 10000);
    die_and_start_again(f);
    pass_ms(f, 1000);
    fetch(f, "3.2");
    assert_int_equal(figure(f, "acked"), 2);
}

/* ---- epochs and voids ---- */

static void a_new_epoch_is_told_as_a_gap(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 3);
    fetch(f, "1.1 2.1 3.1");
    acknowledge(f, "1.1", "done");
    fake_restart(&f->journal, "k3mzq7aa", 0);
    publish_events(f, "b", 1);
    publish_events(f, "a", 1);
    fetch(f, "2.1 gap abcdefgh-1 k3mzq7aa-0 epoch_changed");
    send_ack(f, "2.1");
    turn(f);
    json_t *a = answer(f);

    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(a, "failed"), 0), "code")),
        "stale_delivery");
    json_decref(a);
    assert_int_equal(figure(f, "lost"), 2);
    die_and_start_again(f);
    acknowledge(f, "2.1", "done");
    fetch(f, "");
}

static void who_waits_is_told_of_a_new_epoch(void **state)
{
    struct fixture *f = *state;

    do_it(f, CREATE "\"event_type\":\"a\"}");
    send(f, FETCH "\"max\":9,\"wait_ms\":60000}");
    turn(f);
    NOBODY_ANSWERED(f);
    fake_restart(&f->journal, "k3mzq7aa", 0);
    publish_events(f, "a", 1);
    turn(f);
    expect_deliveries(answer(f), "1.1 gap abcdefgh-0 k3mzq7aa-0 epoch_changed");
}

/* The hub goes on at 91 behind two events; why there is nothing between is told in two ways. */
static void go_on_behind_a_void(struct fixture *f, const char *reason)
{
    begin(f, CREATE "\"event_type\":\"a\",\"visibility_ms\":1000}", 2);
    fetch(f, "1.1 2.1");
    acknowledge(f, "1.1", "done");
    f->journal.voids[0] = (struct journal_void){.from = 3, .to = 90, .reason = reason};
    f->journal.void_count = 1;
    f->journal.oldest = 1;
    groups_destroy(&f->groups);
    fake_restart(&f->journal, "abcdefgh", 90);
    assert_int_equal(fixture_start(f), NHUB_OK);
    turn(f);
    publish_events(f, "b", 1);
    publish_events(f, "a", 1);
}

static void a_void_is_told_as_a_gap(void **state)
{
    struct fixture *f = *state;

    go_on_behind_a_void(f, "unclean_stop");
    assert_int_equal(figure(f, "lag"), 2); /* 91 and 92: nothing is to be done in a void */
    fetch(f, "92.1 gap abcdefgh-2 abcdefgh-90 unclean_stop");
    fetch(f, "");
    acknowledge(f, "2.1", "done"); /* its member had it all the time */
    assert_int_equal(figure(f, "lost"), 0);
}

static void events_that_were_not_stored_are_told_and_counted(void **state)
{
    struct fixture *f = *state;

    go_on_behind_a_void(f, "not_stored");
    fetch(f, "92.1 gap abcdefgh-2 abcdefgh-90 not_stored");
    assert_int_equal(figure(f, "lost"), 88);
    /* Number 2 has no record either, which shows when it is to be delivered again. */
    f->journal.voids[0].from = 2;
    pass_ms(f, 1000);
    acknowledge(f, "92.1", "done");
    fetch(f, " gap abcdefgh-1 abcdefgh-2 not_stored");
    assert_int_equal(figure(f, "lost"), 89);
    acknowledge(f, "2.1", "stale_delivery");
}

/* ---- hold ---- */

static void what_a_group_holds_goes_by_what_is_settled(void **state)
{
    struct fixture *f = *state;

    do_it(f, "{\"action\":\"group_create\",\"group\":\"free\",\"since\":\"earliest\"}");
    assert_int_equal(f->journal.held_from, 0);
    publish_events(f, "a", 10);
    do_it(f, CREATE "\"hold\":true}");
    assert_int_equal(f->journal.held_from, 1);
    fetch(f, "1.1 2.1 3.1 4.1 5.1 6.1 7.1 8.1 9.1 10.1");
    pass_ms(f, 1000);
    assert_int_equal(f->journal.held_from, 1);
    acknowledge(f, "1.1", "done");
    acknowledge(f, "3.1", "done");
    pass_ms(f, 1000);
    assert_int_equal(f->journal.held_from, 2);
    acknowledge(f, "2.1", "done");
    pass_ms(f, 1000);
    assert_int_equal(f->journal.held_from, 4);
    /* While no note can be written, because too much is held, acknowledging is the way out. */
    f->journal.base.durability_now = DURABILITY_MEMORY;
    send_ack(f, "4.1");
    expect_text(f, "durability", "memory");
    pass_ms(f, 1000);
    assert_int_equal(f->journal.held_from, 5);
    f->journal.base.durability_now = DURABILITY_SYNCED;
    do_it(f, "{\"action\":\"group_delete\",\"group\":\"g\"}");
    assert_int_equal(f->journal.held_from, 0);
}

static void what_a_restart_would_look_at_again_is_held_as_well(void **state)
{
    struct fixture *f = *state;

    do_it(f, CREATE "\"event_type\":\"rare\",\"hold\":true}");
    pass_ms(f, 1000);
    assert_int_equal(f->journal.held_from, 1);
    publish_events(f, "often", 100);
    assert_int_equal(figure(f, "lag"), 0);
    pass_ms(f, 1000);
    assert_int_equal(f->journal.held_from, 1);
    pass_ms(f, 10000); /* the place is written down now and then */
    pass_ms(f, 1000);
    assert_int_equal(f->journal.held_from, 101);
}

/* ---- dead letters ---- */

static void dead_letters_wait_for_room_in_the_journal(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\",\"max_attempts\":1}", 2);
    fetch(f, "1.1 2.1");
    f->journal.base.is_full = true;
    do_it(f, "{\"action\":\"nack\",\"group\":\"g\",\"deliveries\":[\"abcdefgh-1.1\"]}");
    assert_int_equal(figure(f, "dead_letters"), 0);
    f->journal.base.is_full = false;
    f->journal.refuses_slots = true;
    pass_ms(f, 100);
    pass_ms(f, 2000);
    assert_int_equal(figure(f, "dead_letters"), 0);
    assert_int_equal(figure(f, "delayed"), 1);
    f->journal.refuses_slots = false;
    pass_ms(f, 2000);
    assert_int_equal(figure(f, "dead_letters"), 1);
    assert_int_equal(f->stats.own_events, 1);
    acknowledge(f, "2.1", "done");
}

static void a_dead_letter_is_not_repeated_after_a_restart(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\",\"max_attempts\":1,\"visibility_ms\":1000}", 1);
    fetch(f, "1.1");
    pass_ms(f, 1000);
    assert_int_equal(f->stats.own_events, 1);
    die_and_start_again(f);
    pass_ms(f, 5000);
    assert_int_equal(f->stats.own_events, 1);
    assert_int_equal(figure(f, "dead_letters"), 1);
}

/* ---- answers that do not arrive ---- */

static void what_cannot_be_routed_is_given_back(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\",\"max_attempts\":1}", 2);
    f->peer_is_gone = true;
    send(f, FETCH "\"max\":9}");
    turn(f);
    f->peer_is_gone = false;
    fetch(f, "1.2 2.2");
    assert_int_equal(figure(f, "dead_letters"), 0);
    assert_true(f->groups->in_flight == 0);
}

static void a_gap_that_was_told_to_nobody_is_told_again(void **state)
{
    struct fixture *f = *state;

    begin(f, CREATE "\"event_type\":\"a\"}", 5);
    journal_trim(&f->journal.base, 4);
    f->peer_is_gone = true;
    send(f, FETCH "\"max\":9}");
    turn(f);
    f->peer_is_gone = false;
    fetch(f, "4.2 5.2 gap abcdefgh-0 abcdefgh-3 retention");
    /* Also when there was nothing else in the answer. */
    publish_events(f, "b", 5);
    journal_trim(&f->journal.base, 11);
    groups_destroy(&f->groups);
    publish_events(f, "b", 1);
    journal_trim(&f->journal.base, 12);
    assert_int_equal(fixture_start(f), NHUB_OK);
    f->peer_is_gone = true;
    send(f, FETCH "\"max\":9}");
    turn(f);
    f->peer_is_gone = false;
    json_t *a = ask(f, FETCH "\"max\":9}");

    assert_non_null(json_object_get(a, "gap"));
    json_decref(a);
    fetch(f, "");
}

/* ---- notes ---- */

static void notes_do_not_pile_up(void **state)
{
    struct fixture *f = *state;

    do_it(f, CREATE "\"event_type\":\"a\",\"visibility_ms\":43200000}");
    for (int i = 1; i <= 2 * GROUP_LOG_NOTES_MAX; i++) {
        char delivery[32];

        publish_events(f, "a", 1);
        do_it(f, FETCH "\"max\":1}");
        (void)snprintf(delivery, sizeof delivery, "%d.1", i);
        acknowledge(f, delivery, "done");
        assert_true(fake_count_notes(&f->journal) <= GROUP_LOG_NOTES_MAX + 2);
    }
    die_and_start_again(f);
    assert_int_equal(figure(f, "acked"), 2 * GROUP_LOG_NOTES_MAX);
    do_it(f, "{\"action\":\"group_delete\",\"group\":\"g\"}");
    assert_int_equal(fake_count_notes(&f->journal), 0);
}

static struct fake_note *find_note(struct fixture *f, char kind, size_t skip)
{
    qsort(f->journal.kept->items, f->journal.kept->count, sizeof f->journal.kept->items[0],
          fake_compare);
    for (size_t i = 0; i < f->journal.kept->count; i++) {
        struct fake_note *n = &f->journal.kept->items[i];

        if (n->value && n->key[8] == kind && skip-- == 0) {
            return n; /* group/g/K… */
        }
    }
    return NULL;
}

static void hand_out_in_three_notes(struct fixture *f)
{
    begin(f, CREATE "\"event_type\":\"a\",\"visibility_ms\":1000,\"max_attempts\":0}", 3);
    for (int i = 0; i < 3; i++) {
        do_it(f, FETCH "\"max\":1}");
    }
    assert_non_null(find_note(f, '2', 2));
}

static void a_damaged_change_brings_back_what_is_behind_it(void **state)
{
    struct fixture *f = *state;

    hand_out_in_three_notes(f);
    find_note(f, '2', 1)->value[2] ^= 1;
    die_and_start_again(f);
    assert_int_equal(figure(f, "pending"), 1);
    fetch(f, "2.1 3.1");
    die_and_start_again(f);
    assert_int_equal(figure(f, "pending"), 3);
}

static void a_missing_change_brings_back_what_is_behind_it(void **state)
{
    struct fixture *f = *state;
    struct fake_note *note;

    hand_out_in_three_notes(f);
    note = find_note(f, '2', 1);
    free(note->value);
    note->value = NULL;
    die_and_start_again(f);
    fetch(f, "2.1 3.1");
    die_and_start_again(f);
    assert_int_equal(figure(f, "pending"), 3);
    assert_int_equal(fake_count_notes(&f->journal), 2);
}

static void a_group_whose_making_is_damaged_can_be_made_again(void **state)
{
    struct fixture *f = *state;

    hand_out_in_three_notes(f);
    find_note(f, '0', 0)->value[0] = 'x';
    die_and_start_again(f);
    send(f, "{\"action\":\"group\",\"group\":\"g\"}");
    expect_text(f, "code", "unknown_group");
    fixture_ms += 10;
    do_it(f, CREATE "\"event_type\":\"a\",\"visibility_ms\":1000,\"max_attempts\":0}");
    die_and_start_again(f);
    assert_int_equal(figure(f, "pending"), 0);
    fetch(f, "1.1 2.1 3.1");
    die_and_start_again(f);
    assert_int_equal(figure(f, "pending"), 3);
    /* What the damaged one left behind is gone as well. */
    assert_int_equal(fake_count_notes(&f->journal), 2);
}

static void a_damaged_state_begins_with_nothing_known(void **state)
{
    struct fixture *f = *state;

    hand_out_in_three_notes(f);
    find_note(f, '1', 0)->value[1] ^= 1;
    die_and_start_again(f);
    /* Not even the epoch is known: all that is kept is delivered again, and the gap says why. */
    json_t *a = ask(f, FETCH "\"max\":9}");

    assert_int_equal(json_array_size(json_object_get(a, "deliveries")), 3);
    json_decref(a);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_fetch_waits_for_a_slow_journal),
        TEST(what_happens_during_a_slow_scan_counts),
        TEST(what_is_trimmed_during_a_slow_scan_is_a_gap),
        TEST(a_group_may_be_deleted_during_a_slow_scan),
        TEST(a_hub_may_stop_during_a_slow_scan),
        TEST(a_journal_that_lags_is_asked_again),
        TEST(a_journal_that_fails_is_told),
        TEST(answers_come_when_the_change_is_kept),
        TEST(what_was_not_kept_is_delivered_again_and_what_was_is_not),
        TEST(lost_notes_are_made_up_for),
        TEST(while_the_disk_fails_answers_say_memory),
        TEST(a_new_epoch_is_told_as_a_gap),
        TEST(who_waits_is_told_of_a_new_epoch),
        TEST(a_void_is_told_as_a_gap),
        TEST(events_that_were_not_stored_are_told_and_counted),
        TEST(what_a_group_holds_goes_by_what_is_settled),
        TEST(what_a_restart_would_look_at_again_is_held_as_well),
        TEST(dead_letters_wait_for_room_in_the_journal),
        TEST(a_dead_letter_is_not_repeated_after_a_restart),
        TEST(what_cannot_be_routed_is_given_back),
        TEST(a_gap_that_was_told_to_nobody_is_told_again),
        TEST(notes_do_not_pile_up),
        TEST(a_damaged_change_brings_back_what_is_behind_it),
        TEST(a_missing_change_brings_back_what_is_behind_it),
        TEST(a_group_whose_making_is_damaged_can_be_made_again),
        TEST(a_damaged_state_begins_with_nothing_known),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
