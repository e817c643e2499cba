// with: failmalloc
/*
 * Every allocation of the client library fails once: each call says NHUB_ENOMEM (or copes), nothing
 * is lost, nothing crashes, and a second try succeeds.
 */
#include "client/draft.h"
#include "client/filters.h"
#include "client/gap_detector.h"
#include "failmalloc.h"

#include <notifyhub/notifyhub.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Runs it with the 0th, 1st, 2nd … allocation failing until none is left to fail. */
static void fail_each(nhub_err (*run)(void), bool may_cope)
{
    const long live = failmalloc_live();
    long tried = 0;

    for (;; tried++) {
        nhub_err err = NHUB_OK;
        bool has_failed = false;

        failmalloc_arm(tried);
        err = run();
        has_failed = failmalloc_disarm();
        assert_int_equal(failmalloc_live(), live);
        if (!has_failed) {
            assert_int_equal(err, NHUB_OK);
            break;
        }
        assert_true(err == NHUB_ENOMEM || (may_cope && err == NHUB_OK));
    }
    assert_true(tried > 0);
}

static void on_event(void *context, const nhub_event *event)
{
    (void)context;
    (void)event;
}

static nhub_err use_client(void)
{
    nhub_client *client = NULL;
    const nhub_err err = nhub_client_create(&client, NULL);

    nhub_client_destroy(&client);
    return err;
}

static nhub_err use_publisher(void)
{
    const nhub_publisher_options options = {.source_service = "s", .collector_port = 1};
    nhub_publisher *publisher = NULL;
    nhub_err err = nhub_publisher_create(&publisher, &options);

    if (err == NHUB_OK) {
        err = nhub_publisher_send(publisher, "t", "{}");
    }
    if (err == NHUB_OK) {
        err = nhub_publisher_poll(publisher, 0, NULL);
    }
    NHUB_IGNORE(nhub_publisher_close(&publisher, 0, NULL)); /* nobody is there */
    return err;
}

static nhub_err use_subscriber(void)
{
    const nhub_subscriber_options options = {.publisher_port = 1, .requests_port = 1};
    nhub_subscriber *subscriber = NULL;
    nhub_err err = nhub_subscriber_create(&subscriber, &options);

    if (err == NHUB_OK) {
        err = nhub_subscriber_on(subscriber, "t*", on_event, NULL);
    }
    if (err == NHUB_OK) {
        err = nhub_subscriber_poll(subscriber, 0, 0, NULL);
    }
    nhub_subscriber_destroy(&subscriber);
    return err;
}

static nhub_err use_consumer(void)
{
    static const char *const patterns[] = {"a", "b*"};
    static const char *const ids[] = {"aaaaaaaa-1.1", "aaaaaaaa-2.1"};
    const nhub_consumer_options options = {.requests_port = 1,
                                           .group = "g",
                                           .create = true,
                                           .patterns = patterns,
                                           .pattern_count = 2,
                                           .since = "earliest"};
    const nhub_delivery *delivery = NULL;
    nhub_consumer *consumer = NULL;
    nhub_err err = nhub_consumer_create(&consumer, &options);

    if (err == NHUB_OK) {
        err = nhub_consumer_next(consumer, 0, &delivery);
        err = err == NHUB_EAGAIN ? NHUB_OK : err;
    }
    if (err == NHUB_OK) {
        err = nhub_consumer_settle(consumer, NHUB_SETTLE_ACK, ids, 2, 0, NULL, NULL);
    }
    nhub_consumer_destroy(&consumer);
    return err;
}

static nhub_err use_filters(void)
{
    static const char *const patterns[] = {"a", "b*", "c?", "d", "*", "x.y*"};
    struct filters *filters = NULL;
    struct filter_change change;
    nhub_err err = filters_create(&filters);

    for (size_t i = 0; err == NHUB_OK && i < sizeof patterns / sizeof patterns[0]; i++) {
        err = filters_add(filters, patterns[i], on_event, NULL, &change);
        /* What could not be added is not there: taking it back says so. */
        if (err != NHUB_OK) {
            assert_int_equal(filters_remove(filters, patterns[i], &change), NHUB_ENOTFOUND);
        }
    }
    if (err == NHUB_OK) {
        err = filters_add_prefix(filters, "p", &change);
    }
    filters_destroy(&filters);
    return err;
}

static nhub_err use_event(void)
{
    static const char line[] = "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":1}";
    nhub_event *event = NULL;
    const nhub_err err = nhub_event_create(&event, (nhub_bytes){.p = line, .len = strlen(line)});

    nhub_event_destroy(&event);
    return err;
}

static nhub_err use_draft(void)
{
    const nhub_draft draft = {.event_type = "t", .id = "i"};
    struct buf out, error;
    nhub_err err = NHUB_OK;

    buf_init(&out);
    buf_init(&error);
    err = draft_write(&draft, "s", 1000, &out, &error);
    buf_fini(&error);
    buf_fini(&out);
    return err;
}

/* A detector counts what it gets: an event for which there is no room to wait is one that history
 * has to bring again, so every number is delivered or discarded, never forgotten. */
static size_t taken;

static void take(void *context, void *item, bool refilled, bool late)
{
    (void)context;
    (void)item;
    (void)refilled;
    (void)late;
    taken++;
}

static void discard(void *context, void *item)
{
    (void)context;
    (void)item;
    taken++;
}

static void note_gap(void *context, const struct gap_range *gap)
{
    (void)context;
    (void)gap;
}

static nhub_err use_detector(void)
{
    const struct gap_options options = {.is_filtered = true,
                                        .has_requests = true,
                                        .held_events = 1000,
                                        .held_bytes = 100000,
                                        .received_max = 1000,
                                        .check_interval_ms = 1000,
                                        .check_events = 1000,
                                        .settle_ms = 500,
                                        .refill_wait_ms = 5000,
                                        .retry_ms = 100};
    const struct gap_callbacks callbacks = {.deliver = take, .discard = discard, .gap = note_gap};
    struct gap_detector *detector = NULL;
    struct position position = {.epoch = "aaaaaaaa"};
    nhub_err err = gap_detector_create(&detector, &options, &callbacks);

    if (err != NHUB_OK) {
        return err;
    }
    taken = 0;
    (void)gap_detector_next_request(detector, 0);
    gap_detector_position(detector, &(struct gap_head){.newest = position}, 0);
    for (position.seq = 1; position.seq <= 100; position.seq++) {
        gap_detector_event(detector, &position, &position, 10, 0);
    }
    gap_detector_destroy(&detector);
    assert_int_equal(taken, 100);
    return NHUB_OK;
}

static void a_client_copes(void **state)
{
    (void)state;
    fail_each(use_client, false);
}

static void a_publisher_copes(void **state)
{
    (void)state;
    fail_each(use_publisher, true);
}

static void a_subscriber_copes(void **state)
{
    (void)state;
    fail_each(use_subscriber, true);
}

/* What cannot be sent for lack of memory is sent later. */
static void a_consumer_copes(void **state)
{
    (void)state;
    fail_each(use_consumer, true);
}

static void filters_cope(void **state)
{
    (void)state;
    fail_each(use_filters, false);
}

static void events_and_drafts_cope(void **state)
{
    (void)state;
    fail_each(use_event, false);
    fail_each(use_draft, false);
}

static void a_detector_forgets_nothing(void **state)
{
    (void)state;
    fail_each(use_detector, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_copes),
        cmocka_unit_test(a_publisher_copes),
        cmocka_unit_test(a_subscriber_copes),
        cmocka_unit_test(a_consumer_copes),
        cmocka_unit_test(filters_cope),
        cmocka_unit_test(events_and_drafts_cope),
        cmocka_unit_test(a_detector_forgets_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
