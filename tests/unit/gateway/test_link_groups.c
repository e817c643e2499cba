/* Requests about groups: answered exactly once, by their key, in any order, and never by an old
 * one. */
#include "gateway/link_groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { JOBS = 300 };

struct fixture {
    struct link_groups *g;
    struct query_job jobs[JOBS];
    int answered[JOBS];
    bool was_added[JOBS];
};
static struct fixture *now_tested;

static void on_done(struct query_job *job)
{
    now_tested->answered[job - now_tested->jobs]++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(link_groups_create(&f->g), NHUB_OK);
    now_tested = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    link_groups_destroy(&f->g);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(f->answered[i], f->was_added[i]);
    }
    free(f);
    return 0;
}

static struct query_job *add(struct fixture *f, size_t i, bool is_fetch, int64_t deadline_ms)
{
    struct query_job *job = &f->jobs[i];

    *job = (struct query_job){
        .kind = QUERY_GROUP, .is_fetch = is_fetch, .deadline_ms = deadline_ms, .done = on_done};
    f->was_added[i] = true;
    link_groups_add(f->g, job);
    return job;
}

static void finish(struct query_job *job)
{
    assert_non_null(job);
    job->err = NHUB_OK;
    job->done(job);
}

static void answers_find_their_jobs_in_any_order(void **state)
{
    struct fixture *f = *state;
    uint64_t keys[JOBS];

    for (size_t i = 0; i < JOBS; i++) {
        add(f, i, true, 60000);
        assert_ptr_equal(link_groups_next(f->g, &keys[i]), &f->jobs[i]);
        assert_true(link_groups_owns(keys[i]) && f->jobs[i].was_sent);
    }
    assert_false(link_groups_owns(1));
    for (size_t i = 0; i < JOBS; i++) {
        const size_t at = (i * 7 + 3) % JOBS;

        assert_ptr_equal(&f->jobs[at], link_groups_land(f->g, keys[at]));
        finish(&f->jobs[at]);
        assert_null(link_groups_land(f->g, keys[at]));
    }
    assert_int_equal(link_groups_count(f->g), 0);
}

static void an_old_key_does_not_find_a_new_job(void **state)
{
    struct fixture *f = *state;
    uint64_t first = 0;
    uint64_t second = 0;

    add(f, 0, true, 60000);
    assert_non_null(link_groups_next(f->g, &first));
    finish(link_groups_land(f->g, first));
    add(f, 1, true, 60000);
    assert_non_null(link_groups_next(f->g, &second));
    assert_null(link_groups_land(f->g, first));
    finish(link_groups_land(f->g, second));
}

static void what_was_not_sent_is_the_next_again(void **state)
{
    struct fixture *f = *state;
    uint64_t key = 0;

    add(f, 0, false, 60000);
    add(f, 1, false, 60000);
    assert_ptr_equal(link_groups_next(f->g, &key), &f->jobs[0]);
    link_groups_unsent(f->g, key);
    assert_false(f->jobs[0].was_sent);
    assert_null(link_groups_land(f->g, key)); /* an answer to what was not asked */
    assert_ptr_equal(link_groups_next(f->g, &key), &f->jobs[0]);
    assert_ptr_equal(link_groups_next(f->g, &key), &f->jobs[1]);
    link_groups_unsent(f->g, key);
    assert_ptr_equal(link_groups_next(f->g, &key), &f->jobs[1]);
    assert_null(link_groups_next(f->g, &key));
}

static void those_over_their_time_are_answered_sent_or_not(void **state)
{
    struct fixture *f = *state;
    uint64_t key = 0;

    assert_int_equal(link_groups_deadline(f->g), INT64_MAX);
    add(f, 0, true, 1000);
    assert_non_null(link_groups_next(f->g, &key));
    add(f, 1, true, 1100);
    add(f, 2, true, 9000);
    assert_in_range(link_groups_deadline(f->g), 1000, 1500);
    link_groups_expire(f->g, 999);
    assert_int_equal(f->answered[0] + f->answered[1], 0);
    link_groups_expire(f->g, 2000);
    assert_true(f->answered[0] && f->answered[1] && !f->answered[2]);
    assert_int_equal(f->jobs[0].err, NHUB_ETIMEOUT);
    assert_true(f->jobs[0].was_sent && !f->jobs[1].was_sent);
    assert_null(link_groups_land(f->g, key));
    assert_ptr_equal(link_groups_next(f->g, &key), &f->jobs[2]);
    assert_in_range(link_groups_deadline(f->g), 9000, 9500);
}

static void a_lost_link_answers_all(void **state)
{
    struct fixture *f = *state;
    uint64_t key = 0;

    for (size_t i = 0; i < 10; i++) {
        add(f, i, i % 2 == 0, 5000);
        if (i < 5) {
            assert_non_null(link_groups_next(f->g, &key));
        }
    }
    assert_int_equal(link_groups_changes(f->g), 5);
    link_groups_lost(f->g);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(f->jobs[i].err, NHUB_EUNAVAIL);
        assert_int_equal(f->jobs[i].was_sent, i < 5);
    }
    assert_int_equal(link_groups_changes(f->g), 0);
    assert_null(link_groups_next(f->g, &key));
    add(f, 20, true, 5000);
    assert_ptr_equal(link_groups_next(f->g, &key), &f->jobs[20]);
}

static size_t refused;

static void on_many_done(struct query_job *job)
{
    refused += job->err == NHUB_EFULL;
}

static void more_than_the_table_holds_are_refused(void **state)
{
    struct link_groups *g = NULL;
    struct query_job *jobs = calloc(LINK_GROUPS_MAX + 2, sizeof *jobs);

    (void)state;
    refused = 0;
    assert_int_equal(link_groups_create(&g), NHUB_OK);
    for (size_t i = 0; i < LINK_GROUPS_MAX + 2; i++) {
        jobs[i] = (struct query_job){.deadline_ms = 1000, .done = on_many_done};
        link_groups_add(g, &jobs[i]);
    }
    assert_int_equal(refused, 2);
    assert_int_equal(link_groups_count(g), LINK_GROUPS_MAX);
    link_groups_destroy(&g);
    assert_null(g);
    free(jobs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_find_their_jobs_in_any_order),
        TEST(an_old_key_does_not_find_a_new_job),
        TEST(what_was_not_sent_is_the_next_again),
        TEST(those_over_their_time_are_answered_sent_or_not),
        TEST(a_lost_link_answers_all),
        cmocka_unit_test(more_than_the_table_holds_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
