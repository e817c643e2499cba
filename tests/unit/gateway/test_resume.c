/* Where a session goes on, and what it is told, case by case. */
#include "fan_bench.h"

#include "gateway/protocols/query.h"

static int setup(void **state)
{
    *state = bench_create_sized(10, 100000, 64 << 20);
    return 0;
}

/* The hub was there and has gone away again. */
static int setup_live(void **state)
{
    struct fan_bench *b = bench_create_sized(10, 100000, 64 << 20);

    feed_link_up(b, EPOCH_A, 0);
    feed_link_down(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

static void feed_range(struct fan_bench *b, const char *epoch, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        feed_made(b, FEED_EVENT, make_event(epoch, seq, seq % 2 ? "odd" : "even", 0));
    }
}

static nhub_err history(struct fan_bench *b, const char *query_text, bool must_serve,
                        struct buf *out)
{
    struct stream_query query;
    enum reject_reason reason = REJECT_BAD_QUERY;
    char detail[160];
    nhub_err err = query_parse(query_text, strlen(query_text), QUERY_DOOR_HISTORY, 64, &query,
                               &reason, detail, sizeof detail);

    assert_int_equal(err, NHUB_OK);
    buf_reset(out);
    err = fanout_history(b->f, &query, must_serve, out);
    query_free(&query);
    return err;
}

static struct fetch_result page_of(const char *epoch, uint64_t from, uint64_t to, uint64_t head)
{
    struct fetch_result r = {.result = RESUME_REPLAYED};

    r.from = at(epoch, from - 1);
    r.next = at(epoch, to);
    r.head = at(epoch, head);
    r.more = to < head;
    r.events = calloc(64, sizeof *r.events);
    for (uint64_t seq = from; seq <= to; seq++) {
        r.events[r.event_count++] = make_event(epoch, seq, "odd", 0);
    }
    return r;
}

static void from_the_cache_it_is_told_and_counted(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    feed_range(b, EPOCH_A, 1, 8);
    assert_int_equal(resume_from(s, "odd", "aaaaaaaa-2"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_REPLAYED);
    assert_int_equal(s->start.count, 3);
    assert_int_equal(s->start.position.seq, 2);
    assert_int_equal(s->start.to.seq, 8);
    assert_int_equal(s->tag, 9);
    feed_range(b, EPOCH_A, 9, 9);
    bench_turns(b);
    assert_string_equal(transcript(s), "3 5 7 9");
    assert_int_equal(b->fetch_count, 0);
    close_session(s);
}

static void nothing_missed_is_caught_up(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    feed_range(b, EPOCH_A, 1, 8);
    assert_int_equal(resume_from(s, "odd", "aaaaaaaa-7"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_CAUGHT_UP);
    assert_int_equal(s->start.position.seq, 8);
    assert_string_equal(transcript(s), "");
    close_session(s);
}

static void older_than_the_cache_comes_from_the_hub_page_by_page(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result first = page_of(EPOCH_A, 3, 5, 30);
    struct fetch_result second = page_of(EPOCH_A, 6, 25, 30);

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 30);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-2"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(s->starts, 0); /* nobody knows yet */
    assert_int_equal(b->fetch_count, 1);
    assert_string_equal(b->fetches[0]->since, "aaaaaaaa-2");
    bench_answer(b, &first);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_REPLAYED);
    assert_false(s->start.has_count);
    assert_string_equal(transcript(s), "3 4 5");
    assert_string_equal(b->fetches[0]->since, "aaaaaaaa-5");
    bench_answer(b, &second);
    bench_turns(b);
    feed_range(b, EPOCH_A, 31, 31);
    bench_turns(b);
    assert_string_equal(transcript(s), "6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 "
                                       "26 27 28 29 30 31");
    close_session(s);
}

static void what_the_hub_lost_is_a_gap_before_the_page(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result page = page_of(EPOCH_A, 11, 20, 30);

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 30);
    assert_int_equal(resume_from(s, "odd", "2"), NHUB_OK);
    bench_turns(b);
    page.result = RESUME_GAP;
    page.has_gap = true;
    page.gap = (struct gap){at(EPOCH_A, 2), at(EPOCH_A, 10), GAP_RETENTION};
    page.more = false;
    bench_answer(b, &page);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_GAP);
    assert_int_equal(s->start.gap.to.seq, 10);
    assert_true(s->start.has_count);
    assert_int_equal(s->start.count, 10 + 5);
    assert_string_equal(transcript(s), "gap(aaaaaaaa-2,aaaaaaaa-10,retention) 11 12 13 14 15 16 17 "
                                       "18 19 20 21 23 25 27 29");
    close_session(s);
}

static void a_position_of_the_future_is_asked_for_and_unknown(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result none = {.result = RESUME_UNKNOWN};

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 5);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-900"), NHUB_OK);
    bench_turns(b);
    none.next = at(EPOCH_A, 5);
    none.head = none.next;
    bench_answer(b, &none);
    feed_range(b, EPOCH_A, 6, 6);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_UNKNOWN);
    assert_int_equal(s->start.position.seq, 5);
    assert_string_equal(transcript(s), "6");
    close_session(s);
}

/* Another gateway was quicker: the hub knows the position, we do not have it yet. */
static void a_position_a_little_ahead_waits_and_nothing_comes_twice(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result known = {.result = RESUME_CAUGHT_UP};

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 5);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-7"), NHUB_OK);
    bench_turns(b);
    known.from = at(EPOCH_A, 7);
    known.next = known.from;
    known.head = known.from;
    bench_answer(b, &known);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_CAUGHT_UP);
    feed_range(b, EPOCH_A, 6, 9);
    bench_turns(b);
    assert_string_equal(transcript(s), "8 9");
    close_session(s);
}

/* What is not in the cache is not gone: the stream stays open, says why nothing comes, and goes on
 * with the hub's history. */
static void without_a_hub_it_waits_and_then_gets_everything(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result page = page_of(EPOCH_A, 3, 30, 31);

    feed_range(b, EPOCH_A, 1, 31);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-2"), NHUB_OK);
    bench_seconds(b, 9);
    assert_string_equal(transcript(s), "");
    bench_seconds(b, 51);
    assert_int_equal(s->starts, 0);
    assert_in_range(s->waits, 4, 6);
    assert_string_equal(s->waiting.position.epoch, EPOCH_A);
    assert_int_equal(s->waiting.position.seq, 2);
    assert_false(s->waiting.has_hub);
    assert_int_equal(s->tag, 9);
    (void)transcript(s);
    assert_int_equal(b->fetch_count, 0);
    feed_link_up(b, EPOCH_A, 31);
    bench_turns(b);
    bench_answer(b, &page);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_REPLAYED);
    assert_int_equal(s->start.count, 29);
    assert_string_equal(transcript(s), "3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 "
                                       "25 26 27 28 29 30 31");
    close_session(s);
}

/* The same in the middle of a replay: the pages that are still to come are worth waiting for. */
static void a_hub_that_goes_away_between_two_pages_is_waited_for(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result first = page_of(EPOCH_A, 3, 5, 30);
    struct fetch_result lost = {.err = NHUB_EUNAVAIL};
    struct fetch_result second = page_of(EPOCH_A, 6, 25, 30);

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 30);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-2"), NHUB_OK);
    bench_turns(b);
    bench_answer(b, &first);
    bench_turns(b);
    assert_string_equal(transcript(s), "3 4 5");
    feed_link_down(b);
    bench_answer(b, &lost);
    bench_seconds(b, 40);
    assert_in_range(s->waits, 2, 4);
    assert_int_equal(s->waiting.position.seq, 5);
    (void)transcript(s);
    feed_link_up(b, EPOCH_A, 30);
    bench_turns(b);
    bench_answer(b, &second);
    bench_turns(b);
    assert_string_equal(transcript(s), "6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 "
                                       "26 27 28 29 30");
    close_session(s);
}

static void without_a_hub_the_earliest_is_what_begins_with_the_first_number(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *whole = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *late = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *timed = open_session(b, FORMAT_WS, POLICY_DISCONNECT);

    feed_range(b, EPOCH_A, 1, 9);
    assert_int_equal(resume_from(whole, "odd", "earliest"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(whole->start.result, RESUME_REPLAYED);
    assert_string_equal(transcript(whole), "1 3 5 7 9");
    feed_range(b, EPOCH_A, 10, 12); /* the first ones are trimmed away */
    assert_int_equal(resume_from(late, "odd", "earliest"), NHUB_OK);
    assert_int_equal(resume_from(timed, "odd", "2020-01-01T00:00:00Z"), NHUB_OK);
    bench_seconds(b, 60);
    assert_int_equal(late->starts, 0);
    assert_int_equal(timed->starts, 0);
    assert_string_equal(timed->waiting.position.epoch, "");
    close_session(whole);
    close_session(late);
    close_session(timed);
}

/* The hub may have given it out; only the hub can say that it did not. */
static void without_a_hub_nobody_calls_a_position_unknown(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result page = page_of(EPOCH_A, 8, 9, 9);
    struct buf text;

    feed_range(b, EPOCH_A, 1, 5);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-7"), NHUB_OK);
    bench_seconds(b, 30);
    assert_int_equal(s->starts, 0);
    buf_init(&text);
    assert_int_equal(history(b, "since=aaaaaaaa-7", true, &text), NHUB_EUNAVAIL);
    assert_int_equal(history(b, "since=bbbbbbbb-2", true, &text), NHUB_EUNAVAIL);
    buf_fini(&text);
    feed_link_up(b, EPOCH_A, 5);
    bench_seconds(b, 1);
    (void)transcript(s); /* that it waited */
    bench_answer(b, &page);
    feed_range(b, EPOCH_A, 6, 10);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_REPLAYED);
    assert_string_equal(transcript(s), "8 9 10");
    close_session(s);
}

/* A gateway that has just started, and whose hub goes away while it fetches what was before. */
static void in_the_backfill_a_history_page_begins_where_it_is_asked_to(void **state)
{
    struct fan_bench *b = *state;
    struct buf page;

    buf_init(&page);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        feed_made(b, FEED_BACKFILL, make_event(EPOCH_A, seq, "odd", 0));
    }
    assert_int_equal(history(b, "since=aaaaaaaa-3", true, &page), NHUB_OK);
    assert_null(strstr(buf_cstr(&page), "\"gap\""));
    assert_null(strstr(buf_cstr(&page), "\"seq\":3,"));
    assert_non_null(strstr(buf_cstr(&page), "\"seq\":4,"));
    assert_int_equal(history(b, "since=aaaaaaaa-9", true, &page), NHUB_EUNAVAIL);
    buf_fini(&page);
}

static void an_answer_that_never_comes_does_not_end_the_wait_early(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result late = {.err = NHUB_ETIMEOUT};
    struct fetch_result page = page_of(EPOCH_A, 3, 30, 30);

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 30);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-2"), NHUB_OK);
    bench_turns(b);
    bench_answer(b, &late);
    bench_seconds(b, 2);
    assert_int_equal(b->fetch_count, 1); /* asked again */
    assert_int_equal(s->starts, 0);
    bench_answer(b, &page);
    bench_turns(b);
    assert_int_equal(s->start.count, 28);
    close_session(s);
}

/* Else a page that never comes in time, on a slow network, would be asked for for ever. */
static void a_page_that_comes_too_late_is_followed_by_shorter_ones(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *other = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    uint64_t limit = 1000;

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 30);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-2"), NHUB_OK);
    bench_turns(b);
    for (int i = 0; i < 12; i++) {
        struct fetch_result late = {.err = NHUB_ETIMEOUT};

        assert_int_equal(b->fetch_count, 1);
        assert_int_equal(b->fetches[0]->limit, limit);
        bench_answer(b, &late);
        bench_seconds(b, 1);
        limit = limit > 1 ? limit / 2 : 1;
    }
    (void)transcript(s); /* that it waits */
    for (uint64_t seq = 3; seq < 20; seq++) {
        struct fetch_result page = page_of(EPOCH_A, seq, seq, 30);

        assert_int_equal(b->fetch_count, 1);
        assert_true(b->fetches[0]->limit >= limit);
        limit = b->fetches[0]->limit;
        bench_answer(b, &page);
        bench_turns(b);
    }
    assert_in_range(limit, 10, 100); /* and by and by by longer ones again */
    assert_string_equal(transcript(s), "3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19");
    /* A crowd does not find it out one by one. */
    assert_int_equal(resume_from(other, NULL, "aaaaaaaa-1"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(b->fetch_count, 2);
    assert_in_range(b->fetches[1]->limit, limit, 100);
    close_session(other);
    close_session(s);
}

static void an_old_epoch_that_is_still_here_is_replayed_with_its_end(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *older = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result page = page_of(EPOCH_B, 1, 2, 2);

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 12);
    feed_gap(b, at(EPOCH_A, 12), at(EPOCH_B, 0), GAP_EPOCH_CHANGED);
    feed_range(b, EPOCH_B, 1, 2);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-10"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_GAP);
    assert_int_equal(s->start.gap.reason, GAP_EPOCH_CHANGED);
    assert_int_equal(s->start.count, 4);
    assert_string_equal(transcript(s), "11 12 gap(aaaaaaaa-12,bbbbbbbb-0,epoch_changed) 1 2");
    /* Before the floor: the hub knows nothing of that epoch, so what is here is better. */
    assert_int_equal(resume_from(older, NULL, "aaaaaaaa-3"), NHUB_OK);
    bench_turns(b);
    page.has_gap = true;
    page.result = RESUME_GAP;
    page.gap = (struct gap){at(EPOCH_A, 3), at(EPOCH_B, 0), GAP_EPOCH_CHANGED};
    bench_answer(b, &page);
    bench_turns(b);
    assert_int_equal(older->start.gap.reason, GAP_RETENTION);
    assert_string_equal(transcript(older), "gap(aaaaaaaa-3,aaaaaaaa-5,retention) 6 7 8 9 10 11 12 "
                                           "gap(aaaaaaaa-12,bbbbbbbb-0,epoch_changed) 1 2");
    close_session(s);
    close_session(older);
}

static void before_the_hub_was_ever_seen_the_position_is_told_later(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *latest = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fake_session *earlier = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct buf page;

    assert_int_equal(subscribe_to(s, "odd"), NHUB_OK);
    assert_int_equal(resume_from(latest, "odd", "latest"), NHUB_OK);
    assert_int_equal(resume_from(earlier, "odd", "aaaaaaaa-0"), NHUB_OK);
    bench_turns(b);
    assert_string_equal(s->start.position.epoch, "");
    assert_int_equal(latest->starts, 1);
    buf_init(&page);
    assert_int_equal(history(b, "since=latest", false, &page), NHUB_EAGAIN);
    assert_int_equal(history(b, "since=latest", true, &page), NHUB_EUNAVAIL);
    feed_made(b, FEED_BACKFILL, make_event(EPOCH_A, 1, "odd", 0));
    bench_turns(b);
    assert_string_equal(fanout_head(b->f).epoch, ""); /* more of the past may come */
    assert_int_equal(earlier->starts, 0);
    feed_link_up(b, EPOCH_A, 2);
    feed_range(b, EPOCH_A, 3, 3);
    bench_turns(b);
    assert_string_equal(transcript(s), "pos(aaaaaaaa-2) 3");
    assert_string_equal(transcript(latest), "pos(aaaaaaaa-2) 3");
    assert_string_equal(transcript(earlier), "1 3");
    buf_fini(&page);
    close_session(earlier);
    close_session(s);
    close_session(latest);
}

static void a_snapshot_comes_first_and_live_follows(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    const struct session_request request = {.snapshot = true, .tag = 3};

    feed_range(b, EPOCH_A, 1, 40);
    s->room = 1;
    assert_int_equal(session_subscribe(s->session, &request), NHUB_OK);
    bench_turns(b);
    feed_range(b, EPOCH_A, 41, 44); /* while it is blocked */
    bench_turns(b);
    give_room(s, SIZE_MAX);
    bench_turns(b);
    assert_int_equal(s->start.result, RESUME_NONE);
    assert_int_equal(s->start.position.seq, 40);
    assert_string_equal(transcript(s), "39 40 41 42 43 44");
    close_session(s);
}

static void who_unsubscribes_in_a_resume_gets_no_late_answer(void **state)
{
    struct fan_bench *b = *state;
    struct fake_session *s = open_session(b, FORMAT_WS, POLICY_DISCONNECT);
    struct fetch_result page = page_of(EPOCH_A, 3, 5, 30);

    feed_link_up(b, EPOCH_A, 0);
    feed_range(b, EPOCH_A, 1, 30);
    assert_int_equal(resume_from(s, NULL, "aaaaaaaa-2"), NHUB_OK);
    bench_turns(b);
    assert_int_equal(session_unsubscribe(s->session, NULL, 0), NHUB_OK);
    assert_null(b->fetches[0]->session);
    bench_answer(b, &page);
    bench_turns(b);
    assert_int_equal(s->starts, 0);
    assert_string_equal(transcript(s), "");
    close_session(s);
}

static void the_answer_is_written_as_json(void **state)
{
    struct session_start start = {.result = RESUME_GAP,
                                  .from = at(EPOCH_A, 1),
                                  .to = at(EPOCH_A, 9),
                                  .has_count = true,
                                  .count = 4,
                                  .gap = {at(EPOCH_A, 1), at(EPOCH_A, 3), GAP_SLOW}};
    struct buf b;

    (void)state;
    buf_init(&b);
    session_start_members(&b, &start);
    assert_string_equal(
        buf_cstr(&b), "\"result\":\"gap\",\"from\":\"aaaaaaaa-1\",\"to\":\"aaaaaaaa-9\",\"count\":"
                      "4,\"gap\":{\"from\":\"aaaaaaaa-1\",\"to\":\"aaaaaaaa-3\",\"reason\":"
                      "\"slow\"}");
    buf_fini(&b);
    assert_int_equal(resume_result_parse("caught_up"), RESUME_CAUGHT_UP);
    assert_int_equal(resume_result_parse("none"), RESUME_NONE);
}

static void history_pages_from_the_cache(void **state)
{
    struct fan_bench *b = *state;
    struct buf page;

    buf_init(&page);
    assert_int_equal(history(b, "since=latest", false, &page), NHUB_OK);
    feed_range(b, EPOCH_A, 1, 12);
    assert_int_equal(history(b, "since=2", false, &page), NHUB_OK);
    assert_non_null(strstr(buf_cstr(&page), "\"next\":\"aaaaaaaa-12\",\"more\":false}"));
    assert_int_equal(history(b, "since=aaaaaaaa-4&limit=2&event_type=odd", false, &page), NHUB_OK);
    assert_non_null(strstr(buf_cstr(&page), "\"seq\":5,"));
    assert_non_null(strstr(buf_cstr(&page), "\"seq\":7,"));
    assert_null(strstr(buf_cstr(&page), "\"seq\":9,"));
    assert_non_null(strstr(buf_cstr(&page), "\"next\":\"aaaaaaaa-7\",\"more\":true}"));
    assert_int_equal(history(b, "since=1", false, &page), NHUB_EAGAIN);
    assert_int_equal(history(b, "since=1", true, &page), NHUB_EUNAVAIL);
    assert_int_equal(history(b, "", false, &page), NHUB_EAGAIN); /* the hub may have older ones */
    assert_int_equal(history(b, "", true, &page), NHUB_EUNAVAIL);
    assert_int_equal(history(b, "since=99", true, &page), NHUB_EUNAVAIL);
    buf_fini(&page);
}

static void a_history_page_ends_before_a_gap_that_follows_events(void **state)
{
    struct fan_bench *b = *state;
    struct buf page;

    buf_init(&page);
    feed_range(b, EPOCH_A, 1, 3);
    feed_gap(b, at(EPOCH_A, 3), at(EPOCH_B, 0), GAP_EPOCH_CHANGED);
    feed_range(b, EPOCH_B, 1, 2);
    assert_int_equal(history(b, "since=aaaaaaaa-1", false, &page), NHUB_OK);
    assert_non_null(strstr(buf_cstr(&page), "\"next\":\"aaaaaaaa-3\",\"more\":true}"));
    assert_int_equal(history(b, "since=aaaaaaaa-3", false, &page), NHUB_OK);
    assert_non_null(strstr(buf_cstr(&page), "\"reason\":\"epoch_changed\""));
    assert_non_null(strstr(buf_cstr(&page), "\"next\":\"bbbbbbbb-2\",\"more\":false,"));
    buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_cache_it_is_told_and_counted),
        cmocka_unit_test(nothing_missed_is_caught_up),
        cmocka_unit_test(older_than_the_cache_comes_from_the_hub_page_by_page),
        cmocka_unit_test(what_the_hub_lost_is_a_gap_before_the_page),
        cmocka_unit_test(a_position_of_the_future_is_asked_for_and_unknown),
        cmocka_unit_test(a_position_a_little_ahead_waits_and_nothing_comes_twice),
        cmocka_unit_test(without_a_hub_it_waits_and_then_gets_everything),
        cmocka_unit_test(an_answer_that_never_comes_does_not_end_the_wait_early),
        cmocka_unit_test(an_old_epoch_that_is_still_here_is_replayed_with_its_end),
        cmocka_unit_test(before_the_hub_was_ever_seen_the_position_is_told_later),
        cmocka_unit_test(a_snapshot_comes_first_and_live_follows),
        cmocka_unit_test(who_unsubscribes_in_a_resume_gets_no_late_answer),
        cmocka_unit_test(the_answer_is_written_as_json),
        cmocka_unit_test(history_pages_from_the_cache),
        cmocka_unit_test(a_history_page_ends_before_a_gap_that_follows_events),
        cmocka_unit_test(without_a_hub_nobody_calls_a_position_unknown),
        cmocka_unit_test(in_the_backfill_a_history_page_begins_where_it_is_asked_to),
        cmocka_unit_test(a_hub_that_goes_away_between_two_pages_is_waited_for),
        cmocka_unit_test(without_a_hub_the_earliest_is_what_begins_with_the_first_number),
        cmocka_unit_test(a_page_that_comes_too_late_is_followed_by_shorter_ones),
    };
    struct CMUnitTest with_bench[sizeof tests / sizeof tests[0]];

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        with_bench[i] = tests[i];
        with_bench[i].setup_func = setup_live;
        with_bench[i].teardown_func = teardown;
    }
    with_bench[9].setup_func = setup;  /* before_the_hub_was_ever_seen… */
    with_bench[16].setup_func = setup; /* in_the_backfill… */
    return cmocka_run_group_tests(with_bench, NULL, NULL);
}
