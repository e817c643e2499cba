/* Sessions that lag: what they have of one policy when they get another, more subscriptions on the
 * way, memory while a thousand are looked at, and what holds whatever happens. */
#include "fan_bench.h"

#include "gateway/fanout/internal.h"

struct source {
    struct fan_bench *b;
    uint64_t seq;
};

static void feed(struct source *from, const char *type, size_t bytes, bool is_overdue)
{
    struct feed_event *e = make_event(EPOCH_A, ++from->seq, type, bytes);

    e->is_overdue = is_overdue;
    feed_made(from->b, FEED_EVENT, e);
}

static struct source make_source(size_t session_bytes)
{
    const struct source made = {bench_create_sized(1000, session_bytes, (size_t)1 << 40), 0};

    feed_link_up(made.b, EPOCH_A, 0);
    return made;
}

static struct fake_session *open_blocked(struct fan_bench *b, int policy, const char *pattern)
{
    struct fake_session *s = open_session(b, FORMAT_WS, policy);

    s->room = 1;
    assert_int_equal(subscribe_to(s, pattern), NHUB_OK);
    return s;
}

/* Those in lockstep get several runs in a turn: with one for those behind they would never end. */
static void who_lags_gets_more_in_a_turn_than_the_others(void **state)
{
    struct source from = make_source(8 << 20);
    struct fake_session *s = open_blocked(from.b, POLICY_DISCONNECT, "a");
    struct fake_session *other = open_session(from.b, FORMAT_WS, POLICY_DISCONNECT);

    (void)state;
    assert_int_equal(subscribe_to(other, "a"), NHUB_OK);
    for (int i = 0; i < 36; i++) { /* six to a run, so six runs */
        feed(&from, "a", 10000, false);
        bench_turns(from.b);
    }
    give_room(s, SIZE_MAX);
    NHUB_IGNORE(fanout_turn(from.b->f));
    assert_int_equal(s->session->state, STATE_READY);
    assert_string_equal(transcript(s), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 "
                                       "23 24 25 26 27 28 29 30 31 32 33 34 35 36");
    close_session(s);
    close_session(other);
    bench_destroy(from.b);
}

static void values_that_are_left_come_before_what_another_subscription_brings(void **state)
{
    struct source from = make_source(1 << 20);
    struct fake_session *s = open_blocked(from.b, POLICY_LATEST, "a*");
    char type[] = "a0";

    (void)state;
    feed(&from, type, 10, false);
    bench_turns(from.b);
    for (type[1] = '1'; type[1] <= '5'; type[1]++) {
        feed(&from, type, 15000, false);
    }
    bench_turns(from.b);
    give_room(s, SIZE_MAX); /* one write, not all of them */
    assert_false(latest_is_empty(s->session));
    assert_int_equal(subscribe_to(s, "b"), NHUB_OK);
    feed(&from, "b", 10, false);
    bench_turns(from.b);
    assert_string_equal(transcript(s), "1 2 3 4 5 6 7");
    assert_true(latest_is_empty(s->session));
    close_session(s);
    bench_destroy(from.b);
}

/* What was kept by "latest" goes out first, each gap in its place, and nothing twice. */
static void another_policy_begins_behind_the_values_of_latest(void **state)
{
    (void)state;
    for (int policy = POLICY_DISCONNECT; policy <= POLICY_DROP_OLDEST; policy++) {
        struct source from = make_source(20000);
        struct fake_session *s = open_blocked(from.b, POLICY_LATEST, NULL);
        uint64_t last = 0;
        uint64_t told = 0;
        char *words = NULL;

        feed(&from, "a", 10, false);
        bench_turns(from.b);
        for (int i = 0; i < 6; i++) {
            feed(&from, i % 2 ? "a" : "b", 1000, false);
        }
        bench_turns(from.b);
        assert_false(latest_is_empty(s->session));
        session_set_policy(s->session, policy);
        for (int i = 0; i < 30; i++) {
            feed(&from, "c", 1000, true);
        }
        bench_turns(from.b);
        give_room(s, SIZE_MAX);
        bench_turns(from.b);
        feed(&from, "z", 10, false);
        bench_turns(from.b);
        assert_int_equal(s->ends, 0);
        assert_true(latest_is_empty(s->session));
        words = strdup(transcript(s));
        for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
            uint64_t begin = 0;
            uint64_t end = 0;

            if (sscanf(word, "gap(aaaaaaaa-%" SCNu64 ",aaaaaaaa-%" SCNu64, &begin, &end) == 2) {
                assert_int_equal(begin, last);
                last = end;
            } else {
                begin = strtoull(word, NULL, 10);
                assert_int_equal(begin, last + 1);
                last = begin;
                told++;
            }
        }
        assert_int_equal(last, from.seq);
        assert_true(told >= 3);
        free(words);
        close_session(s);
        bench_destroy(from.b);
    }
}

/* They are looked at in several turns; until the last one had its own, what the first ones gave up
 * must be found by whoever looks for memory. */
static void nobody_is_ended_for_what_others_have_given_up(void **state)
{
    enum { STUCK = 300 };
    struct source from = make_source(100000);
    struct fake_session *first = open_blocked(from.b, POLICY_DROP_OLDEST, "a");
    struct fake_session *others[STUCK];

    (void)state;
    feed(&from, "a", 10, false);
    bench_turns(from.b);
    for (int i = 0; i < 90; i++) {
        feed(&from, "a", 900, false);
    }
    bench_turns(from.b);
    for (int i = 0; i < STUCK; i++) {
        others[i] = open_blocked(from.b, POLICY_DROP_OLDEST, "a");
    }
    do {
        feed(&from, "a", 10, false);
        bench_turns(from.b);
    } while (stream_lag_bytes(first->session) + 1000 <= 100000);
    from.b->f->options.streams_max_bytes = from.b->f->held_bytes + from.b->f->blocked_bytes;
    feed(&from, "a", 1500, false);
    bench_turns(from.b);
    assert_int_equal(first->ends, 0);
    assert_true(first->session->dropped > 0);
    close_session(first);
    for (int i = 0; i < STUCK; i++) {
        assert_int_equal(others[i]->ends, 0);
        close_session(others[i]);
    }
    bench_destroy(from.b);
}

static void expect_in_window(const struct stream *st, const struct session *s, bool is_blocked)
{
    assert_int_equal(s->state, STATE_LAGGING);
    assert_int_equal(s->is_blocked, is_blocked);
    assert_ptr_equal(s->stream, st);
    assert_true(s->at >= st->first && s->at <= st->end);
}

static void expect_order(const struct fan_bench *b)
{
    struct list *stream = NULL;
    struct list *next_stream = NULL;
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (stream, next_stream, &b->f->streams) {
        struct stream *st = list_entry(stream, struct stream, all);

        assert_true(st->end - st->first <= st->cap);
        list_foreach (pos, tmp, &st->ready) {
            assert_int_equal(list_entry(pos, struct session, link)->state, STATE_READY);
            assert_true(st->front >= st->first && st->front <= st->end);
        }
        list_foreach (pos, tmp, &st->lagging) {
            expect_in_window(st, list_entry(pos, struct session, link), false);
        }
        list_foreach (pos, tmp, &st->stuck) {
            const struct session *s = list_entry(pos, struct session, link);

            expect_in_window(st, s, true);
            assert_true(st->is_stuck_gone || st->stuck_low <= s->at);
            assert_true(st->is_in_round || st->stuck_limit <= stream_bytes_before(s) +
                                                                  b->f->options.session_max_bytes);
        }
    }
}

static unsigned roll_state;

static unsigned roll(unsigned sides)
{
    roll_state = roll_state * 1664525u + 1013904223u;
    return (roll_state >> 8) % sides;
}

static bool is_open(const struct fake_session *s)
{
    return s && !session_has_ended(s->session);
}

static const char *const patterns[] = {"a", "b", "*", "a*", NULL};

static void do_something(struct source *from, struct fake_session **s)
{
    switch (roll(10)) {
    case 0:
        if (!*s) {
            *s = open_session(from->b, roll(2) ? FORMAT_WS : FORMAT_SSE, (int)roll(3));
            (*s)->room = roll(4) ? 1 + roll(3000) : SIZE_MAX;
        }
        break;
    case 1:
        if (*s && roll(3) == 0) {
            close_session(*s);
            *s = NULL;
        }
        break;
    case 2:
        if (is_open(*s)) {
            give_room(*s, roll(5) ? 1 + roll(9000) : SIZE_MAX);
        }
        break;
    case 3:
        if (is_open(*s)) {
            session_set_policy((*s)->session, (int)roll(3));
        }
        break;
    case 4:
    case 5:
        if (is_open(*s)) {
            NHUB_IGNORE(subscribe_to(*s, patterns[roll(5)]));
        }
        break;
    case 6:
        if (*s && roll(20) == 0) {
            (*s)->is_dead = true;
        }
        break;
    default:
        for (unsigned left = 1 + roll(8); left > 0; left--) {
            feed(from, roll(2) ? "a" : roll(2) ? "b" : "a1", roll(600), roll(5) == 0);
        }
    }
    for (struct fetch_result none = {.err = NHUB_EUNAVAIL}; from->b->fetch_count > 0;) {
        bench_answer(from->b, &none);
    }
}

static void the_lists_are_in_order_whatever_happens(void **state)
{
    enum { SESSIONS = 260, STEPS = 5000 };

    (void)state;
    for (unsigned seed = 1; seed <= 4; seed++) {
        struct source from = make_source(20000);
        struct fake_session *sessions[SESSIONS] = {0};

        roll_state = seed;
        if (seed % 2) {
            from.b->f->options.streams_max_bytes = 600000;
        }
        for (int step = 0; step < STEPS; step++) {
            do_something(&from, &sessions[roll(SESSIONS)]);
            expect_order(from.b);
            if (roll(3) == 0) {
                (void)fanout_turn(from.b->f);
                expect_order(from.b);
            }
        }
        bench_turns(from.b);
        for (int i = 0; i < SESSIONS; i++) {
            if (sessions[i]) {
                close_session(sessions[i]);
            }
        }
        bench_turns(from.b);
        assert_int_equal(from.b->f->held_bytes, 0);
        assert_int_equal(from.b->f->blocked_bytes, 0);
        bench_destroy(from.b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_lags_gets_more_in_a_turn_than_the_others),
        cmocka_unit_test(values_that_are_left_come_before_what_another_subscription_brings),
        cmocka_unit_test(another_policy_begins_behind_the_values_of_latest),
        cmocka_unit_test(nobody_is_ended_for_what_others_have_given_up),
        cmocka_unit_test(the_lists_are_in_order_whatever_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
