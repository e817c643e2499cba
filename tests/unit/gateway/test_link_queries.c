/*
 * Queries: bounded in flight, answered exactly once, failed at once without a hub.
 */
#include "gateway/link_queries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { JOBS = 20 };
struct fixture {
    struct link_queries *q;
    struct query_job jobs[JOBS];
    int answered[JOBS];
    struct buf text;
};
static struct fixture *now_tested;

static void on_done(struct query_job *job)
{
    now_tested->answered[job - now_tested->jobs]++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(link_queries_create(&f->q), NHUB_OK);
    buf_init(&f->text);
    now_tested = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    link_queries_destroy(&f->q);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(f->answered[i], f->jobs[i].done != NULL);
        buf_fini(&f->jobs[i].answer);
    }
    buf_fini(&f->text);
    free(f);
    return 0;
}

static struct query_job *add(struct fixture *f, size_t i, enum query_kind kind, char *since)
{
    struct query_job *job = &f->jobs[i];

    job->kind = kind;
    job->since = since;
    job->done = on_done;
    link_queries_add(f->q, job, 1000);
    return job;
}

static uint64_t id_of(uint64_t key)
{
    return key + 1000;
}

static bool next(struct fixture *f, uint64_t *out_key)
{
    buf_reset(&f->text);
    return link_queries_next(f->q, id_of, out_key, &f->text);
}

static void answer(struct fixture *f, uint64_t key, bool success)
{
    const struct link_answer parsed = {.success = success};
    struct feed_event **none = NULL;

    link_queries_answer(f->q, key, &parsed, "{}", 2, &none, 0);
}

static void a_query_without_a_hub_fails_at_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(add(f, 0, QUERY_STATS, NULL)->err, NHUB_EUNAVAIL);
    assert_int_equal(f->answered[0], 1);
}

static void requests_are_written_by_kind(void **state)
{
    struct fixture *f = *state;
    char since[] = "ab\"c";
    uint64_t key = 0;

    link_queries_up(f->q);
    add(f, 0, QUERY_STATS, NULL);
    add(f, 1, QUERY_POSITION, since);
    assert_true(next(f, &key));
    assert_non_null(strstr(buf_cstr(&f->text), "\"stats\""));
    assert_non_null(strstr(buf_cstr(&f->text), "1001"));
    answer(f, key, true);
    assert_int_equal(f->jobs[0].err, NHUB_OK);
    assert_string_equal(buf_cstr(&f->jobs[0].answer), "{}");
    assert_true(next(f, &key));
    assert_non_null(strstr(buf_cstr(&f->text), "\"since\":\"ab\\\"c\""));
    answer(f, key, false);
    assert_int_equal(f->jobs[1].err, NHUB_EREFUSED);
}

static void few_are_in_flight_and_the_others_wait_in_order(void **state)
{
    struct fixture *f = *state;
    uint64_t keys[JOBS];
    size_t sent = 0;

    link_queries_up(f->q);
    for (size_t i = 0; i < 10; i++) {
        add(f, i, QUERY_STATS, NULL);
    }
    while (next(f, &keys[sent])) {
        sent++;
    }
    assert_int_equal(sent, 8);
    assert_int_equal(link_queries_waiting(f->q), 2);
    answer(f, keys[3], true);
    assert_int_equal(f->answered[3], 1);
    assert_true(next(f, &keys[8]));
    assert_false(next(f, &keys[9]));
    answer(f, keys[8], true);
    assert_int_equal(f->answered[8], 1);
}

static void each_query_keeps_its_deadline(void **state)
{
    struct fixture *f = *state;
    uint64_t key = 0;

    link_queries_up(f->q);
    f->jobs[1].deadline_ms = 1500;
    add(f, 0, QUERY_STATS, NULL);
    assert_true(next(f, &key));
    add(f, 1, QUERY_STATS, NULL);
    assert_int_equal(link_queries_deadline(f->q), 1500);
    link_queries_expire(f->q, 1500);
    assert_int_equal(f->jobs[1].err, NHUB_ETIMEOUT);
    assert_int_equal(f->answered[0], 0);
    assert_int_equal(link_queries_deadline(f->q), 3000);
    link_queries_expire(f->q, 3000);
    assert_int_equal(f->jobs[0].err, NHUB_ETIMEOUT);
    answer(f, key, true); /* too late: nobody there */
}

static void a_lost_link_fails_them_all(void **state)
{
    struct fixture *f = *state;
    uint64_t key = 0;

    link_queries_up(f->q);
    add(f, 0, QUERY_STATS, NULL);
    assert_true(next(f, &key));
    add(f, 1, QUERY_STATS, NULL);
    link_queries_lost(f->q);
    assert_int_equal(f->jobs[0].err, NHUB_EUNAVAIL);
    assert_int_equal(f->jobs[1].err, NHUB_EUNAVAIL);
    assert_int_equal(link_queries_deadline(f->q), INT64_MAX);
}

static void events_of_a_late_answer_are_freed(void **state)
{
    struct fixture *f = *state;
    const struct link_answer parsed = {.success = true};
    struct position position = {.epoch = "abcdefgh", .seq = 1};
    struct feed_event **events = calloc(1, sizeof *events);

    assert_int_equal(feed_event_create(&events[0], &position, "t", 1, "x", 1), NHUB_OK);
    link_queries_answer(f->q, 99, &parsed, "{}", 2, &events, 1);
    assert_null(events);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_query_without_a_hub_fails_at_once),
        TEST(requests_are_written_by_kind),
        TEST(few_are_in_flight_and_the_others_wait_in_order),
        TEST(each_query_keeps_its_deadline),
        TEST(a_lost_link_fails_them_all),
        TEST(events_of_a_late_answer_are_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
