/*
 * Durability on the way to the hub: what a job gets that did not ask, that nobody waits behind a
 * slow disk who did not ask for it, and what is told when a disk fails under numbered events.
 */
#include "gateway/link_publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINE "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":1}"

enum { JOBS = 64, WINDOW = 4 };

struct fixture {
    struct link_publish *p;
    struct publish_job jobs[JOBS];
    struct publish_event events[JOBS][4];
    size_t used;
    int answered;
};
static struct fixture *now_tested;

static void on_done(struct publish_job *job)
{
    (void)job;
    now_tested->answered++;
}

static void start(struct fixture *f, int default_durability, int min_durability)
{
    const struct link_publish_options options = {.window = WINDOW,
                                                 .max_waiting_jobs = 1000,
                                                 .max_waiting_bytes = 1 << 20,
                                                 .ack_timeout_ms = 5000,
                                                 .default_durability = default_durability,
                                                 .min_durability = min_durability};

    assert_int_equal(link_publish_create(&f->p, &options), NHUB_OK);
}

static int setup(void **state)
{
    now_tested = calloc(1, sizeof *now_tested);
    *state = now_tested;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    link_publish_destroy(&f->p);
    assert_int_equal(f->answered, f->used);
    for (size_t i = 0; i < f->used; i++) {
        free(f->jobs[i].results);
    }
    free(f);
    return 0;
}

static void up(struct fixture *f, int durability)
{
    const struct link_publish_hub hub = {
        .epoch = "aaaaaaaa", .has_dedup = true, .durability = durability};

    link_publish_up(f->p, &hub);
}

static struct publish_job *add_many(struct fixture *f, int durability, size_t count)
{
    struct publish_job *job = &f->jobs[f->used];

    for (size_t i = 0; i < count; i++) {
        f->events[f->used][i] = (struct publish_event){LINE, sizeof LINE - 1};
    }
    *job = (struct publish_job){
        .events = f->events[f->used], .count = count, .durability = durability, .done = on_done};
    f->used++;
    link_publish_add(f->p, job, 1000);
    return job;
}

static struct publish_job *add(struct fixture *f, int durability)
{
    return add_many(f, durability, 1);
}

static struct link_publish_request next(struct fixture *f)
{
    struct link_publish_request request;

    assert_true(link_publish_next(f->p, &request));
    return request;
}

static bool has_next(struct fixture *f)
{
    struct link_publish_request request;

    return link_publish_next(f->p, &request);
}

static void answer(struct fixture *f, uint64_t key, const char *json)
{
    struct link_answer parsed;

    assert_int_equal(link_answer_parse(json, strlen(json), &parsed), NHUB_OK);
    link_publish_answer(f->p, key, &parsed);
}

static void the_stronger_word_counts(void **state)
{
    enum { ASK = DURABILITY_DEFAULT, MEM = DURABILITY_MEMORY };
    static const struct {
        int by_default, minimum, hub, asked, settled;
    } cases[] = {
        {ASK, MEM, MEM, ASK, ASK},
        {ASK, MEM, DURABILITY_SYNCED, ASK, ASK},
        {ASK, MEM, DURABILITY_SYNCED, MEM, MEM},
        {DURABILITY_JOURNALED, MEM, MEM, ASK, DURABILITY_JOURNALED},
        {DURABILITY_JOURNALED, MEM, MEM, MEM, MEM},
        {ASK, DURABILITY_JOURNALED, DURABILITY_SYNCED, MEM, DURABILITY_JOURNALED},
        {ASK, DURABILITY_JOURNALED, DURABILITY_SYNCED, ASK, ASK},
        {ASK, DURABILITY_JOURNALED, MEM, ASK, DURABILITY_JOURNALED},
        {ASK, DURABILITY_JOURNALED, ASK, ASK, DURABILITY_JOURNALED},
        {DURABILITY_SYNCED, DURABILITY_JOURNALED, MEM, ASK, DURABILITY_SYNCED},
        {DURABILITY_JOURNALED, DURABILITY_JOURNALED, MEM, DURABILITY_SYNCED, DURABILITY_SYNCED},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (f->p) {
            link_publish_destroy(&f->p);
        }
        start(f, cases[i].by_default, cases[i].minimum);
        up(f, cases[i].hub);
        add(f, cases[i].asked);
        assert_int_equal(next(f).durability, cases[i].settled);
    }
}

static void a_slow_disk_leaves_room_for_those_who_do_not_wait_for_it(void **state)
{
    struct fixture *f = *state;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_MEMORY);
    for (size_t i = 0; i < 6; i++) {
        add_many(f, DURABILITY_SYNCED, 2); /* each a request of its own */
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(next(f).durability, DURABILITY_SYNCED);
    }
    assert_false(has_next(f)); /* the last quarter of the window is not for them */
    for (size_t i = 0; i < 5; i++) {
        const struct publish_job *quick = add(f, DURABILITY_MEMORY);
        const struct link_publish_request request = next(f);

        assert_int_equal(request.durability, DURABILITY_MEMORY);
        answer(f, request.key,
               "{\"success\":true,\"first_seq\":1,\"last_seq\":1,\"count\":1,"
               "\"epoch\":\"aaaaaaaa\",\"durability\":\"memory\",\"request_id\":1}");
        assert_int_equal(quick->outcome, PUBLISH_ACCEPTED);
        assert_false(has_next(f));
    }
}

static void what_the_hub_gives_by_default_decides_the_lane(void **state)
{
    struct fixture *f = *state;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_SYNCED);
    for (size_t i = 0; i < 6; i++) {
        add_many(f, DURABILITY_DEFAULT, 2);
    }
    for (size_t i = 0; i < 3; i++) {
        next(f);
    }
    assert_false(has_next(f));
    add(f, DURABILITY_MEMORY);
    assert_int_equal(next(f).durability, DURABILITY_MEMORY);
}

static void the_lanes_take_turns(void **state)
{
    struct fixture *f = *state;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_MEMORY);
    for (size_t i = 0; i < 4; i++) {
        add_many(f, DURABILITY_MEMORY, 2);
    }
    add_many(f, DURABILITY_SYNCED, 2);
    assert_int_equal(next(f).durability, DURABILITY_MEMORY);
    assert_int_equal(next(f).durability, DURABILITY_SYNCED);
    assert_int_equal(next(f).durability, DURABILITY_MEMORY);
    assert_int_equal(next(f).durability, DURABILITY_MEMORY);
    assert_false(has_next(f));
}

#define LOST "{\"success\":false,\"error\":\"no room\",\"code\":\"durability_lost\","

static void numbered_but_not_kept_is_told_with_the_numbers(void **state)
{
    struct fixture *f = *state;
    struct publish_job *one = NULL, *two = NULL, *repeat = NULL, *bad = NULL, *batch = NULL;
    struct link_publish_request request;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_MEMORY);
    one = add(f, DURABILITY_SYNCED);
    repeat = add(f, DURABILITY_SYNCED);
    bad = add(f, DURABILITY_SYNCED);
    two = add(f, DURABILITY_SYNCED);
    request = next(f);
    assert_int_equal(request.events, 4);
    answer(f, request.key,
           LOST "\"first_seq\":7,\"last_seq\":8,\"count\":2,\"epoch\":\"aaaaaaaa\",\"results\":["
                "{\"index\":1,\"seq\":3,\"duplicate\":true},"
                "{\"index\":2,\"code\":\"bad_value\",\"error\":\"x\"}],\"request_id\":1}");
    assert_int_equal(one->outcome, PUBLISH_LOST);
    assert_int_equal(one->first_seq, 7);
    assert_string_equal(one->epoch, "aaaaaaaa");
    assert_string_equal(one->error, "no room");
    assert_int_equal(two->outcome, PUBLISH_LOST);
    assert_int_equal(two->first_seq, 8);
    assert_int_equal(repeat->outcome, PUBLISH_LOST);
    assert_int_equal(repeat->first_seq, 3);
    assert_int_equal(bad->outcome, PUBLISH_REFUSED);

    batch = add_many(f, DURABILITY_SYNCED, 3);
    answer(f, next(f).key,
           LOST "\"first_seq\":9,\"last_seq\":11,\"count\":3,\"epoch\":\"aaaaaaaa\","
                "\"request_id\":1}");
    assert_int_equal(batch->outcome, PUBLISH_LOST);
    assert_int_equal(batch->first_seq, 9);
    assert_int_equal(batch->last_seq, 11);
}

static void a_lost_repeat_is_told_to_its_own_publisher_only(void **state)
{
    struct fixture *f = *state;
    struct publish_job *fresh = NULL, *lost = NULL, *kept = NULL;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_MEMORY);
    fresh = add(f, DURABILITY_SYNCED);
    lost = add(f, DURABILITY_SYNCED);
    kept = add(f, DURABILITY_SYNCED);
    answer(f, next(f).key,
           "{\"success\":true,\"first_seq\":7,\"last_seq\":7,\"count\":1,\"epoch\":\"aaaaaaaa\","
           "\"durability\":\"synced\",\"results\":[{\"index\":1,\"seq\":3,\"duplicate\":true,"
           "\"code\":\"durability_lost\",\"error\":\"no room\"},"
           "{\"index\":2,\"seq\":4,\"duplicate\":true}],\"request_id\":1}");
    assert_int_equal(fresh->outcome, PUBLISH_ACCEPTED);
    assert_int_equal(fresh->first_seq, 7);
    assert_false(fresh->is_repeat);
    assert_int_equal(lost->outcome, PUBLISH_LOST);
    assert_int_equal(lost->first_seq, 3);
    assert_string_equal(lost->error, "no room");
    assert_int_equal(kept->outcome, PUBLISH_ACCEPTED);
    assert_int_equal(kept->first_seq, 4);
    assert_true(kept->is_repeat);
}

#define REPEATS      "{\"success\":true,\"count\":0,\"epoch\":\"aaaaaaaa\",\"results\":["
#define ITEM(i, seq) "{\"index\":" #i ",\"seq\":" #seq ",\"duplicate\":true}"

static void a_repeat_of_a_whole_batch_has_its_numbers(void **state)
{
    static const struct {
        const char *json;
        bool is_repeat;
    } cases[] = {
        {REPEATS ITEM(0, 4) "," ITEM(1, 5) "," ITEM(2, 6) "],\"request_id\":1}", true},
        /* The numbers of three batches, and one event twice. */
        {REPEATS ITEM(0, 4) "," ITEM(1, 9) "," ITEM(2, 6) "],\"request_id\":1}", false},
        {REPEATS ITEM(0, 4) "," ITEM(1, 4) "," ITEM(2, 5) "],\"request_id\":1}", false},
        {"{\"success\":true,\"first_seq\":6,\"last_seq\":6,\"count\":1,\"epoch\":\"aaaaaaaa\","
         "\"results\":[" ITEM(0, 4) "," ITEM(1, 5) "],\"request_id\":1}",
         false},
    };
    struct fixture *f = *state;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_MEMORY);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct publish_job *job = add_many(f, DURABILITY_DEFAULT, 3);

        answer(f, next(f).key, cases[i].json);
        assert_int_equal(job->outcome, PUBLISH_ACCEPTED);
        assert_int_equal(job->is_repeat, cases[i].is_repeat);
        if (job->is_repeat) {
            assert_int_equal(job->first_seq, 4);
            assert_int_equal(job->last_seq, 6);
        }
    }
}

static void a_hub_that_gives_no_numbers_is_unavailable(void **state)
{
    static const struct {
        const char *code;
        enum publish_outcome outcome;
    } cases[] = {
        {"unavailable", PUBLISH_UNAVAILABLE},
        {"shutting_down", PUBLISH_UNAVAILABLE},
        {"no_memory", PUBLISH_OVERLOADED},
        {"durability_unavailable", PUBLISH_REFUSED},
    };
    struct fixture *f = *state;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_MEMORY);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct publish_job *job = add(f, DURABILITY_SYNCED);
        struct link_answer parsed = {.request_id = 1};

        memcpy(parsed.code, cases[i].code, strlen(cases[i].code) + 1);
        link_publish_answer(f->p, next(f).key, &parsed);
        assert_int_equal(job->outcome, cases[i].outcome);
    }
}

static void a_batch_gets_the_hubs_list_of_repeats(void **state)
{
    static const char results[] = "[{\"index\":0,\"seq\":3,\"duplicate\":true}]";
    struct fixture *f = *state;
    struct publish_job *job = NULL;

    start(f, DURABILITY_DEFAULT, DURABILITY_MEMORY);
    up(f, DURABILITY_MEMORY);
    job = add_many(f, DURABILITY_DEFAULT, 2);
    answer(f, next(f).key,
           "{\"success\":true,\"first_seq\":8,\"last_seq\":8,\"count\":1,\"epoch\":\"aaaaaaaa\","
           "\"results\":[{\"index\":0,\"seq\":3,\"duplicate\":true}],\"request_id\":1}");
    assert_int_equal(job->results_len, sizeof results - 1);
    assert_memory_equal(job->results, results, sizeof results - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_stronger_word_counts),
        TEST(a_slow_disk_leaves_room_for_those_who_do_not_wait_for_it),
        TEST(what_the_hub_gives_by_default_decides_the_lane),
        TEST(the_lanes_take_turns),
        TEST(numbered_but_not_kept_is_told_with_the_numbers),
        TEST(a_lost_repeat_is_told_to_its_own_publisher_only),
        TEST(a_repeat_of_a_whole_batch_has_its_numbers),
        TEST(a_hub_that_gives_no_numbers_is_unavailable),
        TEST(a_batch_gets_the_hubs_list_of_repeats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
