/*
 * Pages of history that many share: how often the hub is asked, what a crowd costs, and that each
 * of them gets everything once and in order all the same.
 */
#include "fan_bench.h"

#include "gateway/fanout/internal.h"
#include "gateway/fanout/page.h"

enum { CROWD = 200 };

/* A cache of ten events: what is older comes from the hub, which has 1 to 60. */
static int setup(void **state)
{
    struct fan_bench *b = bench_create_sized(10, 100000, 64 << 20);

    feed_link_up(b, EPOCH_A, 0);
    for (uint64_t seq = 1; seq <= 60; seq++) {
        feed_event(b, seq, "a");
    }
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

static struct fetch_result page_of(uint64_t from, uint64_t to, size_t pad)
{
    struct fetch_result r = {.result = RESUME_REPLAYED};

    r.from = at(EPOCH_A, from - 1);
    r.next = at(EPOCH_A, to);
    r.head = at(EPOCH_A, 60);
    r.more = to < 60;
    r.events = calloc(64, sizeof *r.events);
    for (uint64_t seq = from; seq <= to; seq++) {
        r.events[r.event_count++] = make_event(EPOCH_A, seq, "a", pad);
    }
    return r;
}

static void answer(struct fan_bench *b, uint64_t from, uint64_t to)
{
    struct fetch_result page = page_of(from, to, 0);

    bench_answer(b, &page);
    bench_turns(b);
}

static void resume(struct fake_session *s, uint64_t seq)
{
    char since[64];

    snprintf(since, sizeof since, EPOCH_A "-%" PRIu64, seq);
    assert_int_equal(resume_from(s, NULL, since), NHUB_OK);
}

static void expect_range(struct fake_session *s, uint64_t from, uint64_t to)
{
    struct buf m;

    buf_init(&m);
    for (uint64_t seq = from; seq <= to; seq++) {
        char want[32];

        assert_true(next_message(s, &m));
        snprintf(want, sizeof want, "\"seq\":%" PRIu64 ",", seq);
        assert_non_null(strstr(buf_cstr(&m), want));
    }
    assert_false(next_message(s, &m));
    buf_fini(&m);
}

static void a_crowd_costs_one_question_for_each_page(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *crowd[CROWD];

    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
        resume(crowd[i], 5);
    }
    bench_turns(b);
    assert_int_equal(b->fetch_count, 1);
    answer(b, 6, 30);
    assert_int_equal(b->fetch_count, 1);
    assert_string_equal(b->fetches[0]->since, EPOCH_A "-30");
    answer(b, 31, 55);
    assert_int_equal(b->fetch_count, 0); /* the rest is in the cache */
    for (size_t i = 0; i < CROWD; i++) {
        expect_range(crowd[i], 6, 60);
        assert_int_equal(crowd[i]->starts, 1);
        close_session(crowd[i]);
    }
}

static void a_page_also_answers_those_who_were_a_little_further(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *first = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *second = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    resume(first, 5);
    bench_turns(b);
    answer(b, 6, 55);
    resume(second, 17);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 0);
    assert_int_equal(second->start.result, RESUME_REPLAYED);
    assert_true(second->start.has_count);
    assert_int_equal(second->start.count, 43);
    assert_int_equal(second->start.from.seq, 17);
    assert_int_equal(second->start.position.seq, 17);
    expect_range(first, 6, 60);
    expect_range(second, 18, 60);
    close_session(first);
    close_session(second);
}

static void a_page_is_forgotten_after_a_moment(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *first = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *second = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    resume(first, 5);
    bench_turns(b);
    answer(b, 6, 55);
    close_session(first);
    assert_true(b->f->page_bytes > 0);
    bench_seconds(b, 3);
    assert_int_equal(b->f->page_bytes, 0);
    resume(second, 5);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 1);
    answer(b, 6, 55);
    close_session(second);
}

static void other_patterns_are_another_question(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *first = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *second = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    resume(first, 5);
    assert_int_equal(resume_from(second, "a", EPOCH_A "-5"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 2);
    answer(b, 6, 55);
    answer(b, 6, 55);
    expect_range(first, 6, 60);
    expect_range(second, 6, 60);
    close_session(first);
    close_session(second);
}

static void when_the_one_who_asked_fails_another_asks(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *first = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *second = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result none = {.err = NHUB_EUNAVAIL};

    resume(first, 5);
    resume(second, 5);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 1);
    close_session(first);
    bench_answer(b, &none);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 1);
    answer(b, 6, 55);
    expect_range(second, 6, 60);
    close_session(second);
}

static void a_count_that_cannot_be_known_is_told_at_the_end(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result second = page_of(26, 55, 0);

    resume(s, 5);
    bench_turns(b);
    answer(b, 6, 20);
    assert_int_equal(s->start.result, RESUME_REPLAYED);
    assert_false(s->start.has_count);
    assert_int_equal(s->resumes, 0);
    second.has_gap = true;
    second.gap = (struct gap){at(EPOCH_A, 20), at(EPOCH_A, 25), GAP_UNCLEAN_STOP};
    bench_answer(b, &second);
    bench_turns(b);
    assert_int_equal(s->resumes, 1);
    assert_int_equal(s->resumed.count, 50);
    assert_int_equal(s->resumed.gaps, 1);
    assert_int_equal(s->resumed.position.seq, 60);
    assert_int_equal(s->tag, 9);
    feed_event(b, 61, "a");
    bench_turns(b);
    assert_int_equal(s->resumes, 1);
    close_session(s);
}

static void a_count_that_was_told_is_not_told_again(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    resume(s, 55);
    bench_turns(b);
    assert_true(s->start.has_count);
    assert_int_equal(s->resumes, 0);
    close_session(s);
}

static void a_blocked_reader_gives_its_page_back_and_goes_on_later(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *slow = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result page = page_of(6, 55, 20000); /* over one write */

    slow->room = 1;
    resume(slow, 5);
    bench_turns(b);
    bench_answer(b, &page);
    bench_turns(b);
    assert_true(slow->is_blocked);
    bench_seconds(b, 3);
    b->f->options.streams_max_bytes = 1000;
    assert_true(pages_have_room(b->f));
    assert_int_equal(b->f->page_bytes, 0);
    b->f->options.streams_max_bytes = 64 << 20;
    give_room(slow, SIZE_MAX);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 1);
    page = page_of(9, 55, 20000); /* 64 KiB hold three of them */
    assert_string_equal(b->fetches[0]->since, EPOCH_A "-8");
    bench_answer(b, &page);
    bench_turns(b);
    expect_range(slow, 6, 60);
    close_session(slow);
}

static void without_room_for_pages_a_resume_waits(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *quick = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    b->f->page_bytes += 64 << 20;
    resume(s, 5);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 0);
    bench_seconds(b, 20);
    assert_int_equal(s->starts, 0);
    assert_true(s->waits > 0 && s->waiting.has_hub);
    (void)transcript(s); /* that it waits */
    b->f->page_bytes -= 64 << 20;
    bench_seconds(b, 1);
    answer(b, 6, 55);
    expect_range(s, 6, 60);
    close_session(s);
    close_session(quick);
}

/* A position inside a gap of the cache misses only what lies behind the position. */
static void a_gap_is_told_from_the_position_on(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    feed_gap(b, at(EPOCH_A, 60), at(EPOCH_A, 100), GAP_UNCLEAN_STOP);
    feed_event(b, 101, "a");
    resume(s, 70);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_GAP);
    assert_int_equal(s->start.gap.from.seq, 70);
    assert_int_equal(s->start.gap.to.seq, 100);
    assert_int_equal(s->start.count, 1);
    assert_string_equal(transcript(s), "gap(aaaaaaaa-70,aaaaaaaa-100,unclean_stop) 101");
    close_session(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_crowd_costs_one_question_for_each_page),
        TEST(a_page_also_answers_those_who_were_a_little_further),
        TEST(a_page_is_forgotten_after_a_moment),
        TEST(other_patterns_are_another_question),
        TEST(when_the_one_who_asked_fails_another_asks),
        TEST(a_count_that_cannot_be_known_is_told_at_the_end),
        TEST(a_count_that_was_told_is_not_told_again),
        TEST(a_blocked_reader_gives_its_page_back_and_goes_on_later),
        TEST(without_room_for_pages_a_resume_waits),
        TEST(a_gap_is_told_from_the_position_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
