/*
 * WebSocket connections that go on: a client that reads in small bites and pings meanwhile, frames
 * in pieces, and one that asks faster than it is answered.
 */
#include "ws_fixture.h"

#include "gateway/hub_link.h"

static void events_arrive_whole_and_in_order(void **state)
{
    struct fixture x;
    struct buf message;
    uint64_t want = 1;
    int pongs = 0;
    char seq[32];

    (void)state;
    start(&x, "/ws?event_type=t");
    for (uint64_t i = 1; i <= 60; i++) {
        feed_made(x.bench, FEED_EVENT,
                  make_event(EPOCH_A, i, "t", i % 20 == 0 ? 150000 : (size_t)i * 50));
        turns(&x, 1);
    }
    buf_init(&message);
    for (int i = 0; i < 200000 && want <= 60; i++) {
        if (i % 50 == 0 && i < 2000) {
            say(&x, WS_PING, "hello");
        }
        read_some(&x, 1500);
        turns(&x, 1);
        while (want <= 60 && next(&x, &message, &pongs)) {
            if (strstr(buf_cstr(&message), "\"op\":")) {
                continue; /* welcome, subscribed */
            }
            (void)snprintf(seq, sizeof seq, "\"seq\":%" PRIu64 ",", want++);
            assert_non_null(strstr(buf_cstr(&message), seq));
        }
    }
    assert_int_equal(want, 61);
    assert_true(pongs > 0);
    buf_fini(&message);
    stop(&x);
}

/* The query is read from the raw head, so nothing is decoded twice. */
static void the_query_is_decoded_once(void **state)
{
    struct fixture x;
    struct buf message;
    int pongs = 0;

    (void)state;
    start(&x, "/ws?event_type=a%2525b%26c");
    feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, 1, "a%b&c", 0));
    feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, 2, "a%25b&c", 0));
    buf_init(&message);
    for (int i = 0; i < 200; i++) {
        turns(&x, 1);
        read_some(&x, 4096);
    }
    assert_true(next(&x, &message, &pongs)); /* welcome */
    assert_true(next(&x, &message, &pongs)); /* subscribed */
    assert_true(next(&x, &message, &pongs));
    assert_non_null(strstr(buf_cstr(&message), "\"seq\":2,"));
    assert_false(next(&x, &message, &pongs));
    buf_fini(&message);
    stop(&x);
}

static void control_frames_fall_between_fragments(void **state)
{
    static const char frames[] = "\x01\x86\0\0\0\0{\"op\":"
                                 "\x89\x83\0\0\0\0one"
                                 "\x80\x87\0\0\0\0\"ping\"}"
                                 "\x89\x80\0\0\0\0";
    static const char answers[] = "\x8a\x03one\x81\x0d{\"op\":\"pong\"}\x8a\0";
    struct fixture x;

    (void)state;
    start(&x, "/ws");
    for (size_t i = 0; i < sizeof frames - 1; i++) {
        say_bytes(&x, frames + i, 1);
        turns(&x, 2);
    }
    read_up_to(&x, answers, sizeof answers - 1);
    stop(&x);
}

/* Section 5.5.3 allows to answer the latest ping only; what waits stays bounded. */
static void pings_of_a_client_that_does_not_read_do_not_pile_up(void **state)
{
    char payload[100] = {0};
    struct fixture x;
    struct buf message;
    int pongs = 0;

    (void)state;
    start(&x, "/ws?event_type=t");
    for (uint64_t i = 1; i <= 120; i++) { /* until its connection is full */
        feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, i, "t", 50000));
        turns(&x, 2);
    }
    for (uint64_t i = 1; i <= 500; i++) {
        (void)snprintf(payload, sizeof payload, "%0*" PRIu64, (int)sizeof payload - 1, i);
        say(&x, WS_PING, payload);
        turns(&x, 2);
    }
    buf_init(&message);
    while (!memmem(x.got.data, x.got.len, payload, sizeof payload - 1)) {
        assert_true(read_and_turn(&x));
    }
    while (next(&x, &message, &pongs)) {
    }
    assert_true(pongs > 0 && pongs < 400);
    assert_int_equal(ws_count(x.ws), 1);
    buf_fini(&message);
    stop(&x);
}

/* Who asks and does not read is not read either, after a while; nothing that was read already is
 * lost over that. */
static void a_client_that_is_not_read_for_a_while_loses_nothing(void **state)
{
    /* The answers to 2666 of them are as many bytes as may wait; what is behind that came with the
     * same look. */
    const uint64_t count = 2688;
    const int64_t limit_ms = clock_mono_ms() + 10000;
    struct fixture x;
    struct buf message;
    uint64_t want = 1;
    int pongs = 0;
    char text[64];

    (void)state;
    start(&x, "/ws?event_type=t");
    for (uint64_t i = 1; i <= 120; i++) { /* until its connection is full */
        feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, i, "t", 50000));
        turns(&x, 2);
    }
    for (uint64_t i = 1; i <= count; i++) {
        (void)snprintf(text, sizeof text, "{\"op\":\"ping\",\"id\":%" PRIu64 "}", i);
        say(&x, WS_TEXT, text);
        turns(&x, i % 64 == 0 ? 1 : 0); /* many come with one look */
    }
    buf_init(&message);
    while (want <= count) {
        assert_true(read_and_turn(&x) && clock_mono_ms() < limit_ms);
        while (next(&x, &message, &pongs)) {
            if (strstr(buf_cstr(&message), "\"pong\"")) {
                (void)snprintf(text, sizeof text, "{\"op\":\"pong\",\"id\":%" PRIu64 "}", want++);
                assert_string_equal(buf_cstr(&message), text);
            }
        }
    }
    buf_fini(&message);
    stop(&x);
}

static struct {
    struct publish_job *jobs[100];
    size_t count, answered;
} asked;

static void keep_job(struct hub_link *link, struct publish_job *job)
{
    (void)link;
    assert_true(asked.count < sizeof asked.jobs / sizeof asked.jobs[0]);
    asked.jobs[asked.count++] = job;
}

static void answer_jobs(struct fixture *x, size_t up_to)
{
    struct letter *letter = NULL;

    while (asked.answered < up_to) {
        struct publish_job *job = asked.jobs[asked.answered++];

        job->outcome = PUBLISH_UNAVAILABLE;
        job->done(job);
    }
    letter = mailbox_take_all(x->env.published);
    while (letter) {
        struct letter *one = letter;

        letter = letter->next;
        ws_conn_published(&x->env, one);
    }
}

/* 64 requests may be under way; six more have been read with them. When they may go on, nothing
 * else comes from the client that would wake its connection. */
static void what_was_read_goes_on_by_itself(void **state)
{
    const int64_t limit_ms = clock_mono_ms() + 10000;
    struct buf frames;
    struct fixture x;

    (void)state;
    memset(&asked, 0, sizeof asked);
    start(&x, "/ws");
    assert_int_equal(mailbox_create(&x.env.published), NHUB_OK);
    x.env.publish = keep_job;
    buf_init(&frames);
    for (int i = 0; i < 70; i++) {
        buf_add(&frames, "\x81\xab\0\0\0\0", 6);
        buf_add_str(&frames, "{\"op\":\"publish\",\"event\":{\"event_type\":\"a\"}}");
    }
    say_bytes(&x, frames.data, frames.len);
    while (asked.count < 64) {
        assert_true(read_and_turn(&x) && clock_mono_ms() < limit_ms);
    }
    turns(&x, 20);
    assert_int_equal(asked.count, 64);
    answer_jobs(&x, 40);
    while (asked.count < 70) {
        assert_true(read_and_turn(&x) && clock_mono_ms() < limit_ms);
    }
    answer_jobs(&x, 70);
    buf_fini(&frames);
    stop(&x);
    mailbox_destroy(&x.env.published);
}

static void what_came_with_the_head_is_carried_out(void **state)
{
    struct fixture x;

    (void)state;
    start_with(&x, "/ws", "h", "\x89\x82\0\0\0\0hi");
    read_up_to(&x, "\x8a\x02hi", 4);
    stop(&x);
}

/* RFC 9112, section 3.2: who knows no authority sends an empty Host. */
static void a_host_may_be_empty(void **state)
{
    struct fixture x;

    (void)state;
    start_at(&x, "/ws", "");
    assert_int_equal(ws_count(x.ws), 1);
    stop(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_arrive_whole_and_in_order),
        cmocka_unit_test(the_query_is_decoded_once),
        cmocka_unit_test(control_frames_fall_between_fragments),
        cmocka_unit_test(pings_of_a_client_that_does_not_read_do_not_pile_up),
        cmocka_unit_test(a_client_that_is_not_read_for_a_while_loses_nothing),
        cmocka_unit_test(what_was_read_goes_on_by_itself),
        cmocka_unit_test(what_came_with_the_head_is_carried_out),
        cmocka_unit_test(a_host_may_be_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
