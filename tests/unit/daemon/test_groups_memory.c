// with: failmalloc
/* groups: when an allocation fails somebody is told so, or comes again, and no event is lost. */
#include "groups_fixture.h"

#include "failmalloc.h"

#define EVENTS 6

/* A short life of a group; every step may fail. */
static void live(struct fixture *f)
{
    NHUB_IGNORE(try_send(f, "{\"action\":\"group_create\",\"group\":\"g\",\"since\":\"earliest\","
                            "\"event_type\":[\"a*\",\"b\"],\"visibility_ms\":1000,"
                            "\"max_attempts\":3,\"ordered\":true}"));
    turn(f);
    publish_events(f, "a", EVENTS / 2);
    publish_events(f, "b", EVENTS / 2);
    for (int i = 0; i < 3; i++) {
        NHUB_IGNORE(try_send(f, FETCH "\"max\":4}"));
        turn(f);
        NHUB_IGNORE(try_send(f, "{\"action\":\"ack\",\"group\":\"g\",\"deliveries\":"
                                "[\"abcdefgh-1.1\",\"abcdefgh-4.1\"]}"));
        NHUB_IGNORE(try_send(f, "{\"action\":\"nack\",\"group\":\"g\",\"deliveries\":"
                                "[\"abcdefgh-2.1\",\"abcdefgh-5.1\"],\"delay_ms\":10}"));
        NHUB_IGNORE(try_send(f, "{\"action\":\"group\",\"group\":\"g\"}"));
        pass_ms(f, 1500);
    }
}

/* With memory again: all that is left is delivered and comes to its end. */
static void finish(struct fixture *f)
{
    fixture_drop_answers(f);
    f->stats.answers_dropped = 0;
    NHUB_IGNORE(try_send(f, "{\"action\":\"group_create\",\"group\":\"g\",\"since\":\"earliest\","
                            "\"event_type\":[\"a*\",\"b\"],\"visibility_ms\":1000,"
                            "\"max_attempts\":3,\"ordered\":true}"));
    turn(f);
    fixture_drop_answers(f);
    for (int i = 0; i < 60 && figure(f, "acked") + figure(f, "dead_letters") < EVENTS; i++) {
        json_t *a = ask(f, FETCH "\"max\":9}"), *item;
        size_t k;

        json_array_foreach(json_object_get(a, "deliveries"), k, item)
        {
            const char *name = json_string_value(json_object_get(item, "delivery"));

            acknowledge(f, name + EPOCH_LEN + 1, "done");
        }
        json_decref(a);
        pass_ms(f, 500);
    }
    assert_int_equal(figure(f, "acked") + figure(f, "dead_letters"), EVENTS);
    assert_int_equal(figure(f, "lost"), 0);
    assert_int_equal(figure(f, "lag"), figure(f, "dead_letters") > 0 ? figure(f, "lag") : 0);
    assert_true(f->groups->in_flight == 0);
}

static void no_failed_allocation_loses_an_event(void **state)
{
    bool has_failed = true;

    (void)state;
    for (long n = 0; has_failed; n++) {
        void *fixture;
        struct fixture *f;

        assert_int_equal(fixture_setup(&fixture), 0);
        f = fixture;
        failmalloc_arm(n);
        live(f);
        has_failed = failmalloc_disarm();
        finish(f);
        if (n % 3 == 0) {
            die_and_start_again(f);
            finish(f);
        }
        assert_int_equal(fixture_teardown(&fixture), 0);
    }
}

static void a_start_without_memory_fails_and_leaves_nothing(void **state)
{
    void *fixture;
    struct fixture *f;
    bool has_failed = true;

    (void)state;
    assert_int_equal(fixture_setup(&fixture), 0);
    f = fixture;
    live(f);
    groups_destroy(&f->groups);
    for (long n = 0; has_failed; n++) {
        const long before = failmalloc_live();
        nhub_err err;

        failmalloc_arm(n);
        err = fixture_start(f);
        has_failed = failmalloc_disarm();
        assert_true(err == NHUB_OK || (has_failed && err == NHUB_ENOMEM && !f->groups));
        groups_destroy(&f->groups);
        assert_int_equal(failmalloc_live(), before);
    }
    assert_int_equal(fixture_start(f), NHUB_OK);
    finish(f);
    assert_int_equal(fixture_teardown(&fixture), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_allocation_loses_an_event),
        cmocka_unit_test(a_start_without_memory_fails_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("groups_memory", tests, NULL, NULL);
}
