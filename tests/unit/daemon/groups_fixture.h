/*
 * groups_fixture: all of the consumer groups around a fake journal, with a clock that stands still,
 * asked by JSON as over ROUTER and answered into a list.
 */
#ifndef NHUB_TESTS_GROUPS_FIXTURE_H
#define NHUB_TESTS_GROUPS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/clock.h"
#include "block_frames.h"
#include "daemon/groups.h"
#include "daemon/groups_private.h"
#include "fake_journal.h"
#include "tests/fuzz/jansson_oracle.h"

#define ANSWERS_MAX  4096
#define FIXTURE_PEER 7

struct fixture {
    struct fake_journal journal;
    struct settings settings;
    struct stats stats;
    struct publisher *publisher;
    struct intake *intake;
    struct acks *acks;
    struct replies *replies;
    struct groups *groups;
    json_t *answers[ANSWERS_MAX]; /* not looked at yet */
    size_t answer_count;
    bool peer_is_gone;
};

static int64_t fixture_ms;

static int64_t fixture_mono_ns(void)
{
    return fixture_ms * 1000000;
}

static int64_t fixture_wall_us(void)
{
    return (INT64_C(1795225771000) + fixture_ms) * 1000;
}

static const struct clock_source fixture_clock = {.mono_ns = fixture_mono_ns,
                                                  .wall_us = fixture_wall_us};

/* ---- the peer ---- */

/* As many frames follow the JSON as it tells of deliveries. */
static nhub_err fixture_take_answer(void *context, uint64_t peer, const char *json, size_t len,
                                    struct block *frames)
{
    struct fixture *f = context;
    struct zmtp_frame frame;
    size_t count = 0;
    json_t *a;

    assert_true(peer == FIXTURE_PEER);
    if (f->peer_is_gone) {
        return NHUB_ENOTFOUND;
    }
    assert_true(f->answer_count < ANSWERS_MAX);
    a = json_loadb(json, len, 0, NULL);
    assert_non_null(a);
    for (size_t at = 0; block_frame(frames, &at, &frame);) {
        count++;
    }
    assert_int_equal(count, json_array_size(json_object_get(a, "deliveries")));
    f->answers[f->answer_count++] = a;
    return NHUB_OK;
}

/* ---- life ---- */

static void fixture_kept(void *context, int durability, uint64_t seq, uint64_t batch,
                         nhub_err status)
{
    struct fixture *f = context;

    (void)seq;
    acks_kept(f->acks, durability, batch, status);
    if (f->groups) {
        groups_kept(f->groups, batch, status);
    }
}

static nhub_err fixture_start(struct fixture *f)
{
    const struct groups_parts parts = {.settings = &f->settings,
                                       .journal = &f->journal.base,
                                       .intake = f->intake,
                                       .acks = f->acks};

    return groups_create(&f->groups, &parts);
}

static int fixture_setup(void **state)
{
    static char stats_event[] = "StatsEvent", source[] = "nh_cs";
    struct fixture *f = calloc(1, sizeof *f);
    const struct replies_limits limits = REPLIES_LIMITS;
    const struct reply_sink sink = {.send = fixture_take_answer, .context = f};
    uint16_t port;

    assert_non_null(f);
    fixture_ms = 1000000;
    clock_set_source(&fixture_clock);
    fake_create(&f->journal, 1000);
    f->settings.hub.max_event_bytes = 50000;
    f->settings.hub.max_groups = 8;
    f->settings.hub.stats_event = stats_event;
    f->settings.hub.source_service = source;
    stats_init(&f->stats, 0, 0);
    assert_int_equal(publisher_create(&f->publisher, "127.0.0.1", 0, &f->stats, &port), NHUB_OK);
    const struct intake_parts parts = {.settings = &f->settings,
                                       .stats = &f->stats,
                                       .journal = &f->journal.base,
                                       .publisher = f->publisher};

    assert_int_equal(intake_create(&f->intake, &parts), NHUB_OK);
    assert_int_equal(acks_create(&f->acks, &f->journal.base), NHUB_OK);
    assert_int_equal(replies_create(&f->replies, &sink, &limits, &f->stats), NHUB_OK);
    journal_set_listener(&f->journal.base, fixture_kept, f);
    assert_int_equal(fixture_start(f), NHUB_OK);
    *state = f;
    return 0;
}

static void fixture_drop_answers(struct fixture *f)
{
    for (size_t i = 0; i < f->answer_count; i++) {
        json_decref(f->answers[i]);
    }
    f->answer_count = 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    groups_destroy(&f->groups);
    while (fake_answer_scans(&f->journal) > 0) { /* what was left behind is freed */
    }
    acks_destroy(&f->acks);
    intake_destroy(&f->intake);
    replies_destroy(&f->replies);
    publisher_destroy(&f->publisher);
    fixture_drop_answers(f);
    fake_destroy(&f->journal);
    clock_set_source(NULL);
    free(f);
    return 0;
}

/* ---- what happens ---- */

/* One turn of the hub. */
static inline void turn(struct fixture *f)
{
    for (int i = 0; groups_work(f->groups, false) && i < 1000; i++) {
    }
    journal_commit(&f->journal.base);
}

static inline void pass_ms(struct fixture *f, int64_t ms)
{
    fixture_ms += ms;
    turn(f);
}

/* Carries out a request. Errors: of request_parse(). */
static inline nhub_err try_send(struct fixture *f, const char *text)
{
    struct call call = {
        .replies = f->replies, .stats = &f->stats, .peer = FIXTURE_PEER, .wants_answer = true};
    struct buf error;
    nhub_err err;

    buf_init(&error);
    err = request_parse(text, strlen(text), &call.request, &error);
    buf_fini(&error);
    if (!err) {
        groups_run(f->groups, &call);
    }
    call_fini(&call);
    return err;
}

/* A good request; what it answers is in the list, now or later. */
static inline void send(struct fixture *f, const char *text)
{
    if (try_send(f, text) != NHUB_OK) {
        fail_msg("%s is no good request", text);
    }
}

/* The oldest answer that was not looked at; the caller frees it. */
static inline json_t *answer(struct fixture *f)
{
    assert_true(f->answer_count > 0);
    json_t *first = f->answers[0];

    memmove(&f->answers[0], &f->answers[1], --f->answer_count * sizeof f->answers[0]);
    return first;
}

#define FETCH              "{\"action\":\"fetch\",\"group\":\"g\",\"member\":\"m\","
#define NOBODY_ANSWERED(f) assert_int_equal((f)->answer_count, 0)

/* Looks at the oldest answer: a text of it, "" when it has none. */
static inline void expect_text(struct fixture *f, const char *member, const char *text)
{
    json_t *a = answer(f);
    const char *value = json_string_value(json_object_get(a, member));

    assert_string_equal(value ? value : "", text);
    json_decref(a);
}

static inline bool is_true(const json_t *value)
{
    return value && json_typeof(value) == ORACLE_TRUE;
}

/* Asks now and expects a good answer after a turn. */
static inline json_t *ask(struct fixture *f, const char *text)
{
    json_t *a;

    send(f, text);
    turn(f);
    a = answer(f);
    if (!is_true(json_object_get(a, "success"))) {
        fail_msg("%s: %s", text, json_string_value(json_object_get(a, "error")));
    }
    return a;
}

static inline void do_it(struct fixture *f, const char *text)
{
    json_decref(ask(f, text));
}

/* "17.1 18.2": the deliveries of an answer, without their epoch; then its gap as " gap 3-9 reason".
 */
static inline void expect_deliveries(json_t *a, const char *expected)
{
    json_t *deliveries = json_object_get(a, "deliveries"), *item;
    json_t *gap = json_object_get(a, "gap");
    char text[4096] = "";
    size_t i;

    json_array_foreach(deliveries, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "delivery"));

        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                       strchr(name, '-') + 1);
    }
    if (gap) {
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), " gap %s %s %s",
                       json_string_value(json_object_get(gap, "from")),
                       json_string_value(json_object_get(gap, "to")),
                       json_string_value(json_object_get(gap, "reason")));
    }
    assert_string_equal(text, expected);
    json_decref(a);
}

static inline void fetch(struct fixture *f, const char *expected)
{
    expect_deliveries(ask(f, FETCH "\"max\":100}"), expected);
}

static inline void acknowledge(struct fixture *f, const char *delivery, const char *code)
{
    char text[256];
    json_t *a;

    (void)snprintf(text, sizeof text,
                   "{\"action\":\"ack\",\"group\":\"g\",\"deliveries\":[\"%s-%s\"]}",
                   f->journal.base.epoch, delivery);
    a = ask(f, text);
    json_t *failed = json_array_get(json_object_get(a, "failed"), 0);

    assert_string_equal(failed ? json_string_value(json_object_get(failed, "code")) : "done", code);
    json_decref(a);
}

static inline void publish_events(struct fixture *f, const char *type, int count)
{
    const struct intake_origin unknown = {.server = NULL};

    for (int i = 0; i < count; i++) {
        char text[256];

        (void)snprintf(text, sizeof text,
                       "{\"event_type\":\"%s\",\"source_service\":\"t\",\"data\":%d}", type, i);
        intake_push(f->intake, text, strlen(text), &unknown);
    }
}

/* A figure of the group. */
static inline long long figure(struct fixture *f, const char *name)
{
    json_t *a = ask(f, "{\"action\":\"group\",\"group\":\"g\"}");
    const long long value = json_integer_value(json_object_get(a, name));

    json_decref(a);
    return value;
}

/* The hub dies and comes again; what was not kept did not happen. */
static inline void die_and_start_again(struct fixture *f)
{
    groups_destroy(&f->groups);
    fake_end_notes(&f->journal, false);
    fake_answer_scans(&f->journal);
    acks_destroy(&f->acks);
    assert_int_equal(acks_create(&f->acks, &f->journal.base), NHUB_OK);
    assert_int_equal(fixture_start(f), NHUB_OK);
    turn(f);
    fixture_drop_answers(f);
}

#endif
