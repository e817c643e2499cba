/* Live delivery, sharing, policies, positions: the fan-out against fake transports. */
#include "fan_bench.h"

#include "gateway/fanout/internal.h"

static int setup(void **state)
{
    *state = bench_create();
    feed_link_up(*state, EPOCH_A, 0);
    return 0;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

static void an_event_reaches_those_who_want_it_and_nobody_else(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *exact = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *glob = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *all = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *other = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    assert_int_equal(subscribe_to(exact, "a.b"), NHUB_OK);
    assert_int_equal(subscribe_to(glob, "a.*"), NHUB_OK);
    assert_int_equal(subscribe_to(all, NULL), NHUB_OK);
    assert_int_equal(subscribe_to(other, "b*"), NHUB_OK);
    feed_event(b, 1, "a.b");
    feed_event(b, 2, "a.c");
    feed_event(b, 3, "hub.started");
    feed_event(b, 4, "StatsEvent");
    bench_turns(b);
    assert_string_equal(transcript(exact), "1");
    assert_string_equal(transcript(glob), "1 2");
    assert_string_equal(transcript(all), "1 2");
    assert_string_equal(transcript(other), "");
    assert_int_equal(other->writes, 0);
    close_session(exact);
    close_session(glob);
    close_session(all);
    close_session(other);
}

static void events_of_one_turn_go_out_in_one_write(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *fakes[10];

    for (int i = 0; i < 10; i++) {
        fakes[i] = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
        assert_int_equal(subscribe_to(fakes[i], "t"), NHUB_OK);
    }
    for (uint64_t seq = 1; seq <= 50; seq++) {
        feed_event(b, seq, "t");
    }
    bench_turns(b);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(fakes[i]->writes, 1);
        assert_int_equal(fakes[i]->wire.len, fakes[0]->wire.len);
    }
    for (int i = 0; i < 10; i++) {
        close_session(fakes[i]);
    }
    assert_int_equal(counter_get(&b->counters.delivered_total[GATEWAY_DOOR_WS]), 500);
    assert_int_equal(counter_get(&b->counters.writes_total), 10);
}

static void the_forms_of_an_event_differ_by_format_only(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *sse = open_session(b, FORMAT_SSE, POLICY_DISCONNECT);
    struct fake_session *named = open_session(b, FORMAT_SSE_NAMED, POLICY_DISCONNECT);
    struct fake_session *ce = open_session(b, FORMAT_SSE_CE, POLICY_DISCONNECT);
    struct feed_event *e = make_event(EPOCH_A, 1, "t", 0);
    struct buf want;

    assert_int_equal(subscribe_to(sse, "t"), NHUB_OK);
    assert_int_equal(subscribe_to(named, "t"), NHUB_OK);
    assert_int_equal(subscribe_to(ce, "t"), NHUB_OK);
    feed_made(b, FEED_EVENT, feed_event_ref(e));
    bench_turns(b);
    buf_init(&want);
    buf_printf(&want, "id: aaaaaaaa-1\ndata: %s\n\n", e->line);
    assert_string_equal(buf_cstr(&sse->wire), buf_cstr(&want));
    buf_reset(&want);
    buf_printf(&want, "id: aaaaaaaa-1\nevent: t\ndata: %s\n\n", e->line);
    assert_string_equal(buf_cstr(&named->wire), buf_cstr(&want));
    assert_non_null(strstr(buf_cstr(&ce->wire), "\"specversion\""));
    buf_fini(&want);
    close_session(sse);
    close_session(named);
    close_session(ce);
    feed_event_unref(&e);
}

static void a_position_is_told_before_the_first_event(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    feed_event(b, 1, "t");
    feed_event(b, 2, "t");
    assert_int_equal(subscribe_to(s, "t"), NHUB_OK);
    assert_int_equal(s->starts, 1);
    assert_int_equal(s->tag, 7);
    assert_int_equal(s->start.result, RESUME_NONE);
    assert_int_equal(s->start.position.seq, 2);
    feed_event(b, 3, "t");
    bench_turns(b);
    assert_string_equal(transcript(s), "3");
    close_session(s);
}

static void an_idle_session_is_told_its_position(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    assert_int_equal(subscribe_to(s, "never"), NHUB_OK);
    feed_event(b, 1, "other");
    bench_seconds(b, 15);
    assert_string_equal(transcript(s), "pos(aaaaaaaa-1)");
    feed_event(b, 2, "other");
    bench_seconds(b, 15);
    assert_string_equal(transcript(s), "pos(aaaaaaaa-2)");
    close_session(s);
}

static void a_slow_session_is_ended_and_others_do_not_notice(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *slow = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *quick = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    slow->room = 1;
    assert_int_equal(subscribe_to(slow, "t"), NHUB_OK);
    assert_int_equal(subscribe_to(quick, "t"), NHUB_OK);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        feed_made(b, FEED_EVENT, make_event(EPOCH_A, seq, "t", 1000));
        bench_turns(b);
    }
    assert_int_equal(slow->ends, 1);
    assert_int_equal(slow->why, SESSION_END_SLOW);
    assert_int_equal(quick->writes, 200);
    assert_true(counter_get(&b->counters.dropped[DROP_SLOW_DISCONNECT]) > 50);
    close_session(slow);
    close_session(quick);
}

/* What was missed comes in a burst, faster than anybody reads. */
static void feed_overdue(struct fan_bench *b, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        struct feed_event *e = make_event(EPOCH_A, seq, "t", 1000);

        e->is_overdue = true;
        feed_made(b, FEED_EVENT, e);
        bench_turns(b);
    }
}

static void expect_all(struct fake_session *s, uint64_t from, uint64_t to)
{
    const char *words = transcript(s);

    for (uint64_t seq = from; seq <= to; seq++) {
        char *end = NULL;

        assert_int_equal(strtoull(words, &end, 10), seq);
        words = end;
    }
    assert_string_equal(words, "");
}

static void a_burst_after_a_loss_is_not_held_against_a_reader(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *slow = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    slow->room = 1;
    assert_int_equal(subscribe_to(slow, "t"), NHUB_OK);
    feed_overdue(b, 1, 400);
    assert_int_equal(slow->ends, 0);
    assert_int_equal(counter_get(&b->counters.set_aside_total), 1);
    /* Nothing is piled up for it: its transport's own bytes are all that it costs. */
    assert_int_equal(b->f->held_bytes, 0);
    for (int i = 0; i < 20; i++) {
        give_room(slow, 10000);
        bench_turns(b);
    }
    feed_made(b, FEED_EVENT, make_event(EPOCH_A, 401, "t", 1000)); /* meanwhile life goes on */
    give_room(slow, SIZE_MAX);
    bench_turns(b);
    feed_event(b, 402, "t");
    bench_turns(b);
    expect_all(slow, 1, 402);
    assert_int_equal(slow->resumes, 0); /* it did not ask for a resume */
    /* Who is too slow for what is live is ended as ever. */
    slow->room = 1;
    for (uint64_t seq = 403; seq <= 603; seq++) {
        feed_made(b, FEED_EVENT, make_event(EPOCH_A, seq, "t", 1000));
        bench_turns(b);
    }
    assert_int_equal(slow->why, SESSION_END_SLOW);
    assert_int_equal(slow->ends, 1);
    close_session(slow);
}

static void a_burst_that_would_cost_too_much_memory_ends_nobody(void **state)
{
    struct fan_bench *b = bench_create_sized(1000, 1 << 20, 100000);
    struct fake_session *slow = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    (void)state;
    feed_link_up(b, EPOCH_A, 0);
    slow->room = 1;
    assert_int_equal(subscribe_to(slow, "t"), NHUB_OK);
    feed_overdue(b, 1, 400);
    assert_int_equal(slow->ends, 0);
    assert_int_equal(counter_get(&b->counters.set_aside_total), 1);
    give_room(slow, SIZE_MAX);
    bench_turns(b);
    expect_all(slow, 1, 400);
    close_session(slow);
    bench_destroy(b);
}

/* They want what is new, and are told what they missed. */
static void the_other_policies_act_in_a_burst_as_ever(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *oldest = open_session(b, FORMAT_WS, POLICY_DROP_OLDEST);
    struct fake_session *latest = open_session(b, FORMAT_WS, POLICY_LATEST);

    oldest->room = 1;
    latest->room = 1;
    assert_int_equal(subscribe_to(oldest, "t"), NHUB_OK);
    assert_int_equal(subscribe_to(latest, "t"), NHUB_OK);
    feed_overdue(b, 1, 400);
    assert_int_equal(counter_get(&b->counters.set_aside_total), 0);
    assert_true(counter_get(&b->counters.dropped[DROP_SLOW_OLDEST]) > 200);
    assert_true(counter_get(&b->counters.dropped[DROP_SLOW_LATEST]) > 200);
    close_session(oldest);
    close_session(latest);
}

static void drop_oldest_names_the_gap_exactly(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *slow = open_session(b, FORMAT_WS, POLICY_DROP_OLDEST);
    uint64_t first = 0;
    char want[128];
    const char *words = NULL;

    slow->room = 1;
    assert_int_equal(subscribe_to(slow, "t"), NHUB_OK);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        feed_made(b, FEED_EVENT, make_event(EPOCH_A, seq, "t", 1000));
        bench_turns(b);
    }
    assert_string_equal(transcript(slow), "1");
    give_room(slow, SIZE_MAX);
    bench_turns(b);
    words = transcript(slow);
    assert_int_equal(slow->ends, 0);
    assert_int_equal(sscanf(words, "gap(aaaaaaaa-1,aaaaaaaa-%" SCNu64, &first), 1);
    (void)snprintf(want, sizeof want,
                   "gap(aaaaaaaa-1,aaaaaaaa-%" PRIu64 ",slow,%" PRIu64 ") %" PRIu64 " ", first,
                   first - 1, first + 1);
    assert_memory_equal(words, want, strlen(want));
    assert_string_equal(words + strlen(words) - 4, " 200");
    assert_int_equal(counter_get(&b->counters.dropped[DROP_SLOW_OLDEST]), first - 1);
    feed_event(b, 201, "t");
    bench_turns(b);
    assert_string_equal(transcript(slow), "201");
    close_session(slow);
}

/* Readers that began at different times are over their limit together from the first drop on, so
 * that they need not be looked at each time. */
static void those_that_do_not_read_drop_at_the_same_places_a_quarter_at_most(void **state)
{
    enum { READERS = 5, EVENT_BYTES = 1000 };
    struct fan_bench *b = *state;
    const size_t most = b->f->options.session_max_bytes;
    struct fake_session *slow[READERS];
    size_t opened = 0;

    for (uint64_t seq = 1; seq <= 800; seq++) {
        if (seq % 7 == 0 && opened < READERS) {
            slow[opened] = open_session(b, FORMAT_WS, POLICY_DROP_OLDEST);
            slow[opened]->room = 1;
            assert_int_equal(subscribe_to(slow[opened++], "t"), NHUB_OK);
        }
        feed_made(b, FEED_EVENT, make_event(EPOCH_A, seq, "t", EVENT_BYTES));
        bench_turns(b);
        for (size_t i = 0; i < opened; i++) {
            const uint64_t lag = stream_lag_bytes(slow[i]->session);

            assert_true(lag <= most);
            assert_true(slow[i]->session->dropped == 0 ||
                        lag > most - most / 4 - (uint64_t)2 * EVENT_BYTES);
        }
    }
    for (size_t i = 0; i < opened; i++) {
        assert_true(slow[i]->session->dropped > 0);
        assert_int_equal(slow[i]->session->at, slow[0]->session->at);
        assert_int_equal(slow[i]->session->stream->first, slow[0]->session->at);
    }
    for (size_t i = 0; i < opened; i++) {
        close_session(slow[i]);
    }
}

static void latest_gets_the_newest_of_each_type_and_is_told_what_it_missed(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *slow = open_session(b, FORMAT_WS, POLICY_LATEST);

    slow->room = 1;
    assert_int_equal(subscribe_to(slow, NULL), NHUB_OK);
    feed_event(b, 1, "a");
    bench_turns(b);
    feed_event(b, 2, "a");
    bench_turns(b);
    feed_event(b, 3, "b");
    feed_event(b, 4, "a");
    bench_turns(b);
    feed_event(b, 5, "c");
    bench_turns(b);
    feed_event(b, 6, "b");
    give_room(slow, SIZE_MAX);
    bench_turns(b);
    assert_string_equal(transcript(slow), "1 gap(aaaaaaaa-1,aaaaaaaa-3,slow,2) 4 5 6");
    feed_event(b, 7, "a");
    feed_event(b, 8, "a");
    bench_turns(b);
    assert_string_equal(transcript(slow), "7 8");
    assert_int_equal(counter_get(&b->counters.dropped[DROP_SLOW_LATEST]), 2);
    close_session(slow);
}

static void a_session_that_takes_nothing_for_a_minute_is_ended(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DROP_OLDEST);

    s->room = 1;
    assert_int_equal(subscribe_to(s, "t"), NHUB_OK);
    feed_event(b, 1, "t");
    bench_turns(b);
    feed_event(b, 2, "t");
    feed_event(b, 3, "t");
    bench_turns(b);
    bench_seconds(b, 59);
    assert_int_equal(s->ends, 0);
    bench_seconds(b, 2);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->why, SESSION_END_STALLED);
    assert_int_equal(counter_get(&b->counters.dropped[DROP_STALLED]), 2);
    close_session(s);
}

static void a_long_event_goes_out_in_slices_and_messages_wait_for_its_end(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct buf note, m;

    assert_int_equal(subscribe_to(s, "t"), NHUB_OK);
    s->room = 1;
    feed_made(b, FEED_EVENT, make_event(EPOCH_A, 1, "t", 300000));
    feed_event(b, 2, "t");
    bench_turns(b);
    assert_int_equal(s->writes, 1);
    assert_int_equal(s->wire.len, 61444);
    buf_init(&note);
    buf_init(&m);
    ws_message_add(&note, "{\"x\":1}", 7);
    session_send(s->session, note.data, note.len);
    assert_int_equal(session_waiting_bytes(s->session), note.len);
    give_room(s, SIZE_MAX);
    bench_turns(b);
    assert_true(next_message(s, &m));
    assert_true(m.len > 300000);
    assert_true(next_message(s, &m));
    assert_string_equal(buf_cstr(&m), "{\"x\":1}");
    assert_string_equal(transcript(s), "2");
    buf_fini(&note);
    buf_fini(&m);
    close_session(s);
}

static void a_gap_in_the_feed_is_told_to_everybody(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *sse = open_session(b, FORMAT_SSE, POLICY_DISCONNECT);

    assert_int_equal(subscribe_to(s, "never"), NHUB_OK);
    assert_int_equal(subscribe_to(sse, "t"), NHUB_OK);
    feed_event(b, 1, "t");
    feed_gap(b, at(EPOCH_A, 1), at(EPOCH_B, 0), GAP_EPOCH_CHANGED);
    feed_made(b, FEED_EVENT, make_event(EPOCH_B, 1, "t", 0));
    bench_turns(b);
    assert_string_equal(transcript(s), "gap(aaaaaaaa-1,bbbbbbbb-0,epoch_changed)");
    assert_non_null(strstr(buf_cstr(&sse->wire),
                           "id: bbbbbbbb-0\nevent: hub.gap\ndata: {\"from\":\"aaaaaaaa-1\",\"to\":"
                           "\"bbbbbbbb-0\",\"reason\":\"epoch_changed\"}\n\nid: bbbbbbbb-1\n"));
    assert_int_equal(counter_get(&b->counters.gaps_total), 2);
    close_session(s);
    close_session(sse);
}

static void several_subscriptions_form_one_stream(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    const char *both[] = {"a", "b*"};

    assert_int_equal(subscribe_to(s, "a"), NHUB_OK);
    assert_int_equal(subscribe_to(s, "*"), NHUB_OK);
    assert_int_equal(s->starts, 2);
    feed_event(b, 1, "a");
    feed_event(b, 2, "b");
    bench_turns(b);
    assert_string_equal(transcript(s), "1 2");
    assert_int_equal(resume_from(s, "c", "latest"), NHUB_ESTATE);
    assert_int_equal(session_unsubscribe(s->session, (const char *const[]){"*"}, 1), NHUB_OK);
    feed_event(b, 3, "b");
    feed_event(b, 4, "a");
    bench_turns(b);
    assert_string_equal(transcript(s), "4");
    assert_int_equal(session_unsubscribe(s->session, both, 2), NHUB_OK);
    assert_false(session_is_subscribed(s->session));
    feed_event(b, 5, "a");
    bench_turns(b);
    assert_string_equal(transcript(s), "");
    assert_int_equal(resume_from(s, "a", "4"), NHUB_OK);
    bench_turns(b);
    assert_string_equal(transcript(s), "5");
    close_session(s);
}

static void a_blocked_session_can_widen_without_a_seam(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    assert_int_equal(subscribe_to(s, "a"), NHUB_OK);
    s->room = 1;
    feed_event(b, 1, "a");
    bench_turns(b);
    feed_event(b, 2, "a");
    feed_event(b, 3, "a");
    bench_turns(b);
    assert_int_equal(subscribe_to(s, "b"), NHUB_OK);
    assert_int_equal(s->start.position.seq, 1);
    feed_event(b, 4, "b");
    give_room(s, SIZE_MAX);
    feed_event(b, 5, "a");
    bench_turns(b);
    assert_string_equal(transcript(s), "1 2 3 4 5");
    close_session(s);
}

static void too_much_memory_over_all_ends_the_largest_lag(void **state)
{
    struct fan_bench *b = NULL;
    struct fake_session *s[3];

    (void)state;
    b = bench_create_sized(1000, 10 << 20, 100000);
    feed_link_up(b, EPOCH_A, 0);
    for (int i = 0; i < 3; i++) {
        s[i] = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
        assert_int_equal(subscribe_to(s[i], "t"), NHUB_OK);
    }
    s[1]->room = 1;
    for (uint64_t seq = 1; seq <= 100; seq++) {
        feed_made(b, FEED_EVENT, make_event(EPOCH_A, seq, "t", 2000));
        bench_turns(b);
    }
    assert_int_equal(s[0]->ends + s[2]->ends, 0);
    assert_int_equal(s[1]->ends, 1);
    assert_int_equal(s[1]->why, SESSION_END_MEMORY);
    bench_seconds(b, 1);
    assert_int_equal(counter_get(&b->counters.stream_bytes), 0);
    for (int i = 0; i < 3; i++) {
        close_session(s[i]);
    }
    bench_destroy(b);
}

static void a_dead_transport_is_left_alone(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    assert_int_equal(subscribe_to(s, "t"), NHUB_OK);
    s->is_dead = true;
    feed_event(b, 1, "t");
    bench_turns(b);
    feed_event(b, 2, "t");
    bench_turns(b);
    assert_true(session_has_ended(s->session));
    assert_int_equal(s->ends, 0);
    assert_int_equal(subscribe_to(s, "t"), NHUB_ECLOSED);
    close_session(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_reaches_those_who_want_it_and_nobody_else),
        cmocka_unit_test(events_of_one_turn_go_out_in_one_write),
        cmocka_unit_test(the_forms_of_an_event_differ_by_format_only),
        cmocka_unit_test(a_position_is_told_before_the_first_event),
        cmocka_unit_test(an_idle_session_is_told_its_position),
        cmocka_unit_test(a_slow_session_is_ended_and_others_do_not_notice),
        cmocka_unit_test(drop_oldest_names_the_gap_exactly),
        cmocka_unit_test(those_that_do_not_read_drop_at_the_same_places_a_quarter_at_most),
        cmocka_unit_test(latest_gets_the_newest_of_each_type_and_is_told_what_it_missed),
        cmocka_unit_test(a_session_that_takes_nothing_for_a_minute_is_ended),
        cmocka_unit_test(a_long_event_goes_out_in_slices_and_messages_wait_for_its_end),
        cmocka_unit_test(a_gap_in_the_feed_is_told_to_everybody),
        cmocka_unit_test(several_subscriptions_form_one_stream),
        cmocka_unit_test(a_blocked_session_can_widen_without_a_seam),
        cmocka_unit_test(too_much_memory_over_all_ends_the_largest_lag),
        cmocka_unit_test(a_dead_transport_is_left_alone),
        cmocka_unit_test(a_burst_after_a_loss_is_not_held_against_a_reader),
        cmocka_unit_test(a_burst_that_would_cost_too_much_memory_ends_nobody),
        cmocka_unit_test(the_other_policies_act_in_a_burst_as_ever),
    };
    struct CMUnitTest with_bench[sizeof tests / sizeof tests[0]];

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        with_bench[i] = tests[i];
        with_bench[i].setup_func = setup;
        with_bench[i].teardown_func = teardown;
    }
    return cmocka_run_group_tests(with_bench, NULL, NULL);
}
