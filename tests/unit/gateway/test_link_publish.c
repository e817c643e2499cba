/*
 * Publish jobs: how they are gathered, how answers find them, and that each is answered exactly
 * once whatever happens to the link.
 */
#include "gateway/link_publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINE(id) "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":1" id "}"

static const struct publish_event plain = {LINE(""), sizeof LINE("") - 1};
static const struct publish_event with_id = {LINE(",\"id\":\"x\""),
                                             sizeof LINE(",\"id\":\"x\"") - 1};

enum { JOBS = 1200 };
struct fixture {
    struct link_publish *p;
    struct publish_job jobs[JOBS];
    struct publish_event events[JOBS][4];
    int answered[JOBS];
};
static struct fixture *now_tested;

/* Whoever made the job may have freed it by the time that done() returns. */
static void on_done(struct publish_job *job)
{
    now_tested->answered[job - now_tested->jobs]++;
    memset(&job->link, 0xa5, sizeof job->link);
    job->events = NULL;
    job->count = SIZE_MAX;
    job->letter.next = &job->letter;
}

static void up(struct fixture *f, const char *epoch, bool has_dedup)
{
    struct link_publish_hub hub = {.has_dedup = has_dedup, .max_event_bytes = 1000};

    memcpy(hub.epoch, epoch, sizeof hub.epoch);
    link_publish_up(f->p, &hub);
}

static int setup(void **state)
{
    const struct link_publish_options options = {.window = 2,
                                                 .max_waiting_jobs = 1000,
                                                 .max_waiting_bytes = 1 << 20,
                                                 .ack_timeout_ms = 5000};
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(link_publish_create(&f->p, &options), NHUB_OK);
    now_tested = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    link_publish_destroy(&f->p);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(f->answered[i], f->jobs[i].done != NULL);
        free(f->jobs[i].results);
    }
    free(f);
    return 0;
}

static struct publish_job *add(struct fixture *f, size_t i, size_t count,
                               const struct publish_event *event)
{
    struct publish_job *job = &f->jobs[i];

    for (size_t k = 0; k < count; k++) {
        f->events[i][k] = *event;
    }
    job->events = f->events[i];
    job->count = count;
    job->durability = DURABILITY_DEFAULT;
    job->done = on_done;
    link_publish_add(f->p, job, 1000);
    return job;
}

static struct link_publish_request next(struct fixture *f)
{
    struct link_publish_request request;

    assert_true(link_publish_next(f->p, &request));
    return request;
}

static void expect_nothing_to_send(struct fixture *f)
{
    struct link_publish_request request;

    assert_false(link_publish_next(f->p, &request));
}

static void answer(struct fixture *f, uint64_t key, const char *json)
{
    struct link_answer parsed;

    assert_int_equal(link_answer_parse(json, strlen(json), &parsed), NHUB_OK);
    link_publish_answer(f->p, key, &parsed);
}

static void a_publish_without_a_hub_is_refused_at_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(add(f, 0, 1, &plain)->outcome, PUBLISH_UNAVAILABLE);
    assert_int_equal(f->answered[0], 1);
}

static void jobs_that_wait_together_share_a_request(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    for (size_t i = 0; i < 3; i++) {
        add(f, i, 1, &plain);
    }
    request = next(f);
    assert_int_equal(request.events, 3);
    assert_false(request.atomic);
    assert_ptr_equal(link_publish_event(f->p, request.key, 2), &f->events[2][0]);
    answer(f, request.key,
           "{\"success\":true,\"first_seq\":7,\"last_seq\":9,\"count\":3,\"epoch\":\"aaaaaaaa\","
           "\"durability\":\"memory\",\"request_id\":1}");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(f->jobs[i].outcome, PUBLISH_ACCEPTED);
        assert_int_equal(f->jobs[i].first_seq, 7 + i);
        assert_int_equal(f->jobs[i].last_seq, 7 + i);
        assert_int_equal(f->jobs[i].accepted, 1);
        assert_string_equal(f->jobs[i].epoch, "aaaaaaaa");
        assert_int_equal(f->jobs[i].durability_got, DURABILITY_MEMORY);
    }
    assert_int_equal(link_publish_in_flight(f->p), 0);
}

static void repeats_and_refusals_in_a_shared_request_find_their_jobs(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    for (size_t i = 0; i < 5; i++) {
        add(f, i, 1, &plain);
    }
    request = next(f);
    answer(f, request.key,
           "{\"success\":true,\"first_seq\":20,\"last_seq\":22,\"count\":3,\"epoch\":\"aaaaaaaa\","
           "\"durability\":\"memory\",\"results\":[{\"index\":1,\"seq\":4,\"duplicate\":true},"
           "{\"index\":3,\"code\":\"bad_value\",\"error\":\"event_type is empty\",\"offset\":9}],"
           "\"request_id\":1}");
    assert_int_equal(f->jobs[0].first_seq, 20);
    assert_int_equal(f->jobs[1].first_seq, 4);
    assert_int_equal(f->jobs[1].duplicates, 1);
    assert_int_equal(f->jobs[1].accepted, 0);
    assert_int_equal(f->jobs[2].first_seq, 21);
    assert_int_equal(f->jobs[3].outcome, PUBLISH_REFUSED);
    assert_string_equal(f->jobs[3].code, "bad_value");
    assert_string_equal(f->jobs[3].error, "event_type is empty");
    assert_int_equal(f->jobs[3].offset, 9);
    assert_int_equal(f->jobs[4].first_seq, 22);
}

static void only_refusals_need_no_numbers(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &plain);
    request = next(f);
    answer(f, request.key,
           "{\"success\":true,\"count\":0,\"epoch\":\"aaaaaaaa\",\"results\":[{\"index\":0,"
           "\"code\":\"duplicate_conflict\",\"error\":\"other data\"}],\"request_id\":1}");
    assert_int_equal(f->jobs[0].outcome, PUBLISH_REFUSED);
}

static void an_answer_that_contradicts_itself_is_not_believed(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &plain);
    add(f, 1, 1, &plain);
    request = next(f);
    answer(f, request.key,
           "{\"success\":true,\"first_seq\":5,\"last_seq\":5,\"count\":1,\"epoch\":\"aaaaaaaa\","
           "\"request_id\":1}");
    assert_int_equal(f->jobs[0].outcome, PUBLISH_ACCEPTED);
    assert_int_equal(f->jobs[1].outcome, PUBLISH_UNKNOWN);
}

static void a_job_of_several_events_is_a_request_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request first, second;

    up(f, "aaaaaaaa", true);
    add(f, 0, 3, &plain);
    add(f, 1, 1, &plain);
    first = next(f);
    second = next(f);
    assert_true(first.atomic);
    assert_int_equal(first.events, 3);
    assert_false(second.atomic);
    answer(f, second.key,
           "{\"success\":true,\"first_seq\":4,\"last_seq\":4,\"count\":1,\"epoch\":\"aaaaaaaa\","
           "\"request_id\":1}");
    answer(f, first.key,
           "{\"success\":false,\"error\":\"no\",\"code\":\"bad_json\",\"index\":2,\"offset\":17,"
           "\"request_id\":1}");
    assert_int_equal(f->jobs[0].outcome, PUBLISH_REFUSED);
    assert_int_equal(f->jobs[0].index, 2);
    assert_int_equal(f->jobs[0].offset, 17);
    assert_int_equal(f->jobs[1].outcome, PUBLISH_ACCEPTED);
}

static void a_batch_with_repeats_counts_them(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    add(f, 0, 3, &plain);
    request = next(f);
    answer(f, request.key,
           "{\"success\":true,\"first_seq\":8,\"last_seq\":9,\"count\":2,\"epoch\":\"aaaaaaaa\","
           "\"results\":[{\"index\":0,\"seq\":3,\"duplicate\":true}],\"request_id\":1}");
    assert_int_equal(f->jobs[0].accepted, 2);
    assert_int_equal(f->jobs[0].duplicates, 1);
    assert_int_equal(f->jobs[0].first_seq, 8);
    assert_int_equal(f->jobs[0].last_seq, 9);
}

static void a_batch_of_repeats_has_their_numbers(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    add(f, 0, 2, &plain);
    request = next(f);
    answer(f, request.key,
           "{\"success\":true,\"count\":0,\"epoch\":\"aaaaaaaa\",\"results\":["
           "{\"index\":0,\"seq\":3,\"duplicate\":true},{\"index\":1,\"seq\":4,\"duplicate\":true}],"
           "\"request_id\":1}");
    assert_int_equal(f->jobs[0].first_seq, 3);
    assert_int_equal(f->jobs[0].last_seq, 4);
    assert_int_equal(f->jobs[0].duplicates, 2);
}

static void different_durability_is_not_merged(void **state)
{
    struct fixture *f = *state;
    struct publish_job *other = &f->jobs[1];

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &plain);
    f->events[1][0] = plain;
    *other = (struct publish_job){
        .events = f->events[1], .count = 1, .durability = DURABILITY_MEMORY, .done = on_done};
    link_publish_add(f->p, other, 1000);
    assert_int_equal(next(f).durability, DURABILITY_DEFAULT);
    assert_int_equal(next(f).durability, DURABILITY_MEMORY);
}

static void the_window_bounds_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request first;

    up(f, "aaaaaaaa", true);
    add(f, 0, 2, &plain);
    add(f, 1, 2, &plain);
    add(f, 2, 2, &plain);
    first = next(f);
    next(f);
    expect_nothing_to_send(f);
    answer(f, first.key,
           "{\"success\":true,\"first_seq\":1,\"last_seq\":2,\"count\":2,\"epoch\":\"aaaaaaaa\","
           "\"request_id\":1}");
    next(f);
    expect_nothing_to_send(f);
}

static void too_many_waiting_jobs_are_refused(void **state)
{
    struct fixture *f = *state;

    up(f, "aaaaaaaa", true);
    for (size_t i = 0; i < 1001; i++) {
        add(f, i, 1, &plain);
    }
    assert_int_equal(f->answered[999], 0);
    assert_int_equal(f->jobs[1000].outcome, PUBLISH_OVERLOADED);
    assert_int_equal(next(f).events, 512); /* the bound of one request */
}

static void bytes_in_flight_count_too(void **state)
{
    static char text[1 << 19];
    const struct publish_event half = {text, sizeof text};
    struct fixture *f = *state;
    struct link_publish_hub hub = {.epoch = "aaaaaaaa"};
    struct link_publish_request request;

    link_publish_up(f->p, &hub);
    add(f, 0, 1, &half);
    add(f, 1, 1, &half);
    request = next(f);
    assert_int_equal(request.events, 2);
    assert_int_equal(add(f, 2, 1, &plain)->outcome, PUBLISH_OVERLOADED);
    answer(f, request.key,
           "{\"success\":true,\"first_seq\":1,\"last_seq\":2,\"count\":2,\"epoch\":\"aaaaaaaa\","
           "\"request_id\":1}");
    add(f, 3, 1, &plain);
    assert_int_equal(f->answered[3], 0);
}

static void an_event_over_the_hubs_limit_is_refused_here(void **state)
{
    struct fixture *f = *state;
    const struct publish_event big = {"x", 1001};

    up(f, "aaaaaaaa", true);
    assert_int_equal(add(f, 0, 1, &big)->outcome, PUBLISH_REFUSED);
    assert_string_equal(f->jobs[0].code, "too_big");
}

/* The hub would cut the connection, and with it everything that is under way. */
static void a_batch_over_the_hubs_limit_is_refused_here(void **state)
{
    struct fixture *f = *state;
    const struct link_publish_hub hub = {.max_event_bytes = 12 << 20, .epoch = "aaaaaaaa"};
    const struct link_publish_hub large_hub = {.max_event_bytes = 18 << 20, .epoch = "aaaaaaaa"};
    const struct publish_event big = {"x", 9 << 20};

    link_publish_up(f->p, &hub);
    assert_int_equal(add(f, 0, 2, &big)->outcome, PUBLISH_REFUSED);
    assert_string_equal(f->jobs[0].code, "too_big");
    link_publish_up(f->p, &large_hub);
    assert_int_equal(add(f, 1, 2, &big)->outcome, PUBLISH_OVERLOADED); /* by max_waiting_bytes */
}

static void a_deadline_in_flight_means_unknown_while_waiting_unavailable(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request first;

    up(f, "aaaaaaaa", true);
    for (size_t i = 0; i < 3; i++) {
        add(f, i, 2, &plain);
    }
    first = next(f);
    next(f);
    assert_int_equal(link_publish_deadline(f->p), 6000);
    link_publish_expire(f->p, 5999);
    assert_int_equal(f->answered[0], 0);
    link_publish_expire(f->p, 6000);
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNKNOWN);
    assert_int_equal(f->jobs[1].outcome, PUBLISH_UNKNOWN);
    assert_int_equal(f->jobs[2].outcome, PUBLISH_UNAVAILABLE);
    assert_int_equal(link_publish_in_flight(f->p), 0);
    assert_int_equal(link_publish_deadline(f->p), INT64_MAX);
    answer(f, first.key, "{\"success\":true,\"request_id\":1}"); /* too late: nobody there */
}

static void an_expired_job_keeps_its_number_in_a_shared_request(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    f->jobs[0].deadline_ms = 2000;
    add(f, 0, 1, &plain);
    add(f, 1, 1, &plain);
    request = next(f);
    link_publish_expire(f->p, 2000);
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNKNOWN);
    answer(f, request.key,
           "{\"success\":true,\"first_seq\":7,\"last_seq\":8,\"count\":2,\"epoch\":\"aaaaaaaa\","
           "\"request_id\":1}");
    assert_int_equal(f->jobs[1].first_seq, 8);
}

static void a_lost_link_leaves_the_outcome_unknown(void **state)
{
    struct fixture *f = *state;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &plain);
    next(f);
    add(f, 1, 1, &plain);
    link_publish_lost(f->p);
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNKNOWN);
    assert_int_equal(f->jobs[1].outcome, PUBLISH_UNAVAILABLE);
}

static void events_with_an_id_are_sent_again_in_the_same_epoch(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &with_id);
    next(f);
    link_publish_lost(f->p);
    assert_int_equal(f->answered[0], 0);
    expect_nothing_to_send(f);
    up(f, "aaaaaaaa", true);
    request = next(f);
    answer(f, request.key,
           "{\"success\":true,\"first_seq\":3,\"last_seq\":3,\"count\":1,\"epoch\":\"aaaaaaaa\","
           "\"request_id\":1}");
    assert_int_equal(f->jobs[0].outcome, PUBLISH_ACCEPTED);
}

/* The hub has the first one, perhaps, and refuses the second before it looks. */
static void a_refusal_of_the_moment_does_not_undo_what_was_sent_before(void **state)
{
    static const char *const codes[] = {"durability_unavailable", "unavailable", "shutting_down",
                                        "no_memory"};
    struct fixture *f = *state;
    struct link_publish_request request;
    char json[160];

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        up(f, "aaaaaaaa", true);
        add(f, i, 1, &with_id);
        next(f);
        link_publish_lost(f->p);
        up(f, "aaaaaaaa", true);
        request = next(f);
        (void)snprintf(json, sizeof json,
                       "{\"success\":false,\"error\":\"no\",\"code\":\"%s\",\"request_id\":1}",
                       codes[i]);
        answer(f, request.key, json);
        assert_int_equal(f->jobs[i].outcome, PUBLISH_UNKNOWN);
    }
    add(f, 10, 1, &with_id);
    request = next(f);
    answer(f, request.key, json);
    assert_int_equal(f->jobs[10].outcome, PUBLISH_OVERLOADED);
}

static void nothing_is_sent_again_to_another_epoch(void **state)
{
    struct fixture *f = *state;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &with_id);
    next(f);
    link_publish_lost(f->p);
    up(f, "bbbbbbbb", true);
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNKNOWN);
    expect_nothing_to_send(f);
}

static void nothing_is_sent_again_without_deduplication(void **state)
{
    struct fixture *f = *state;

    up(f, "aaaaaaaa", false);
    add(f, 0, 1, &with_id);
    next(f);
    link_publish_lost(f->p);
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNKNOWN);
}

static void what_waits_to_be_sent_again_keeps_its_deadline(void **state)
{
    struct fixture *f = *state;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &with_id);
    next(f);
    link_publish_lost(f->p);
    link_publish_expire(f->p, 6000);
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNKNOWN);
}

static void a_hub_that_stops_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct link_publish_request request;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &plain);
    request = next(f);
    answer(f, request.key,
           "{\"success\":false,\"error\":\"stopping\",\"code\":\"shutting_down\","
           "\"request_id\":1}");
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNAVAILABLE);
}

static void stopping_answers_everything(void **state)
{
    struct fixture *f = *state;

    up(f, "aaaaaaaa", true);
    add(f, 0, 1, &with_id);
    next(f);
    add(f, 1, 1, &with_id);
    link_publish_destroy(&f->p);
    assert_int_equal(f->jobs[0].outcome, PUBLISH_UNKNOWN);
    assert_int_equal(f->jobs[1].outcome, PUBLISH_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_publish_without_a_hub_is_refused_at_once),
        TEST(jobs_that_wait_together_share_a_request),
        TEST(repeats_and_refusals_in_a_shared_request_find_their_jobs),
        TEST(only_refusals_need_no_numbers),
        TEST(an_answer_that_contradicts_itself_is_not_believed),
        TEST(a_job_of_several_events_is_a_request_of_its_own),
        TEST(a_batch_with_repeats_counts_them),
        TEST(a_batch_of_repeats_has_their_numbers),
        TEST(different_durability_is_not_merged),
        TEST(the_window_bounds_what_is_in_flight),
        TEST(too_many_waiting_jobs_are_refused),
        TEST(bytes_in_flight_count_too),
        TEST(an_event_over_the_hubs_limit_is_refused_here),
        TEST(a_batch_over_the_hubs_limit_is_refused_here),
        TEST(a_deadline_in_flight_means_unknown_while_waiting_unavailable),
        TEST(an_expired_job_keeps_its_number_in_a_shared_request),
        TEST(a_lost_link_leaves_the_outcome_unknown),
        TEST(events_with_an_id_are_sent_again_in_the_same_epoch),
        TEST(a_refusal_of_the_moment_does_not_undo_what_was_sent_before),
        TEST(nothing_is_sent_again_to_another_epoch),
        TEST(nothing_is_sent_again_without_deduplication),
        TEST(what_waits_to_be_sent_again_keeps_its_deadline),
        TEST(a_hub_that_stops_is_unavailable),
        TEST(stopping_answers_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
