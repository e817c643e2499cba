// with: failmalloc
/*
 * Consumers of a WebSocket connection, with a hub and a transport of the test's own: what was
 * handed out is acknowledged or given back exactly once, also when memory or the transport fails.
 */
#include "fan_bench.h"

#include "base/mailbox.h"
#include "failmalloc.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/ws_conn.h"
#include "gateway/protocols/ws_frame.h"

#include <stdio.h>
#include <time.h>

enum { JOBS_MAX = 64 };

struct fixture {
    struct fan_bench *bench;
    struct ws_env env;
    struct settings settings;
    struct ws_conn *conn;
    struct query_job *jobs[JOBS_MAX]; /* asked and not yet answered, in order */
    size_t job_count;
    struct buf asked; /* all questions, one on each line */
    struct buf sent;  /* what the client got, without the heads of frames */
    bool is_blocked;
    int closed;
    int there; /* stands for the link */
};
static struct fixture *now_tested;

static void query(struct hub_link *link, struct query_job *job)
{
    struct fixture *x = now_tested;

    assert_ptr_equal(link, &x->there);
    buf_add(&x->asked, job->text, job->text_len);
    buf_add_str(&x->asked, "}\n");
    buf_init(&job->answer);
    job->events = NULL;
    job->event_count = 0;
    job->was_sent = true;
    assert_true(x->job_count < JOBS_MAX);
    x->jobs[x->job_count++] = job;
}

static enum sink_result write_bytes(void *context, const void *bytes, size_t len)
{
    struct fixture *x = context;

    buf_add(&x->sent, bytes, len);
    return x->is_blocked ? SINK_BLOCKED : SINK_SENT;
}

static size_t held(const void *context)
{
    (void)context;
    return 1000;
}

static void peer(const void *context, char *out, size_t size)
{
    (void)context;
    (void)snprintf(out, size, "1.2.3.4:5");
}

static void pause_reading(void *context, bool is_paused)
{
    (void)context;
    (void)is_paused;
}

static void close_it(void *context, int code, const char *reason)
{
    struct fixture *x = context;

    (void)reason;
    x->closed = code;
}

static const struct ws_transport_ops transport = {write_bytes, held, peer, pause_reading, close_it};

static void start(struct fixture *x)
{
    static const struct stream_query nothing = {0};

    memset(x, 0, sizeof *x);
    now_tested = x;
    x->bench = bench_create_sized(1000, 8 << 20, 64 << 20);
    feed_link_up(x->bench, EPOCH_A, 0);
    x->settings.gateway.max_event_bytes = 1 << 20;
    x->settings.gateway.max_patterns = 64;
    x->settings.gateway.session_max_bytes = 1 << 20;
    x->settings.gateway.streams_max_bytes = 64 << 20;
    x->settings.gateway.ack_timeout_ms = 5000;
    x->env.settings = &x->settings;
    x->env.counters = &x->bench->counters;
    x->env.fanout = x->bench->f;
    x->env.link = (struct hub_link *)(void *)&x->there;
    x->env.query = query;
    assert_int_equal(mailbox_create(&x->env.answered), NHUB_OK);
    assert_int_equal(ws_conn_create(&x->conn, &x->env, &nothing, &transport, x), NHUB_OK);
    ws_conn_open(x->conn, &nothing);
}

static void take_answers(struct fixture *x)
{
    struct letter *letter = mailbox_take_all(x->env.answered);

    while (letter) {
        struct letter *next = letter->next;

        ws_conn_answered(&x->env, letter);
        letter = next;
    }
}

static struct query_job *first_job(struct fixture *x)
{
    struct query_job *job = x->job_count > 0 ? x->jobs[0] : NULL;

    if (job) {
        x->job_count--;
        memmove(&x->jobs[0], &x->jobs[1], x->job_count * sizeof x->jobs[0]);
    }
    return job;
}

static bool asks(const struct query_job *job, const char *action)
{
    return memmem(job->text, job->text_len, action, strlen(action)) != NULL;
}

/* Events with these numbers behind a fetch's answer; without memory there is no answer. */
static void add_deliveries(struct query_job *job, int from, int count, size_t event_bytes)
{
    job->events = calloc((size_t)count + 1, sizeof(struct feed_event *));
    buf_printf(&job->answer,
               "{\"success\":true,\"group\":\"g\",\"count\":%d,\"visibility_ms\":"
               "60000,\"deliveries\":[",
               count);
    for (int i = 0; i < count && job->events && !job->answer.failed; i++) {
        const struct position p = {.epoch = EPOCH_A, .seq = (uint64_t)(from + i)};
        char *line = malloc(event_bytes + 100);
        int len = 0;

        if (line) {
            len = snprintf(line, event_bytes + 100, "{\"event_type\":\"t\",\"n\":\"%0*d\"}",
                           (int)event_bytes, from + i);
        }
        if (!line || feed_event_create(&job->events[i], &p, "t", 1, line, (size_t)len) != NHUB_OK) {
            job->answer.failed = true;
        } else {
            job->event_count++;
            buf_printf(&job->answer, "%s{\"delivery\":\"%s-%d.1\",\"attempt\":1}", i > 0 ? "," : "",
                       EPOCH_A, from + i);
        }
        free(line);
    }
    buf_add_str(&job->answer, "]}");
    if (!job->events || job->answer.failed) {
        for (size_t i = 0; i < job->event_count; i++) {
            feed_event_unref(&job->events[i]);
        }
        free(job->events);
        job->events = NULL;
        job->event_count = 0;
        buf_reset(&job->answer);
        job->err = NHUB_ENOMEM;
    }
}

/* The hub answers its oldest question; a fetch with so many events. */
static void answer(struct fixture *x, int from, int count, size_t event_bytes)
{
    struct query_job *job = first_job(x);

    if (!job) {
        return;
    }
    job->err = NHUB_OK;
    if (asks(job, "\"fetch\"")) {
        add_deliveries(job, from, count, event_bytes);
    } else {
        buf_add_str(&job->answer, "{\"success\":true,\"group\":\"g\",\"count\":1}");
    }
    job->done(job);
    take_answers(x);
}

static void fail_job(struct fixture *x, nhub_err err, const char *text)
{
    struct query_job *job = first_job(x);

    assert_non_null(job);
    job->err = err;
    buf_add_str(&job->answer, text);
    job->done(job);
    take_answers(x);
}

static void say(struct fixture *x, const char *text)
{
    ws_conn_message(x->conn, text, strlen(text));
}

static void stop(struct fixture *x)
{
    ws_conn_destroy(&x->conn);
    while (x->job_count > 0) {
        answer(x, 900, 0, 1);
    }
    assert_int_equal(x->env.group_jobs, 0);
    assert_int_equal(x->env.fetched_bytes, 0);
    mailbox_destroy(&x->env.answered);
    buf_fini(&x->asked);
    buf_fini(&x->sent);
    bench_destroy(x->bench);
}

static int count_of(const struct buf *text, const char *word)
{
    const char *at = text->data;
    const char *const end = text->data + text->len;
    int count = 0;

    while (at && (at = memmem(at, (size_t)(end - at), word, strlen(word))) != NULL) {
        at += strlen(word);
        count++;
    }
    return count;
}

static void credit_comes_back_with_each_answer(void **state)
{
    struct fixture x;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"id\":1,\"group\":\"g\",\"credit\":3}");
    assert_int_equal(count_of(&x.asked, "\"max\":3,"), 1);
    answer(&x, 1, 3, 10);
    assert_int_equal(count_of(&x.sent, "\"op\":\"consuming\""), 1);
    assert_int_equal(count_of(&x.sent, "\"op\":\"delivery\""), 3);
    assert_int_equal(x.job_count, 0); /* no credit, no fetch */
    say(&x, "{\"op\":\"ack\",\"id\":2,\"group\":\"g\",\"deliveries\":[\"" EPOCH_A
            "-1.1\",\"" EPOCH_A "-2.1\"]}");
    answer(&x, 0, 0, 1);
    assert_int_equal(count_of(&x.sent, "\"op\":\"acked\",\"id\":2"), 1);
    assert_int_equal(count_of(&x.asked, "\"max\":2,"), 1);
    stop(&x);
    assert_int_equal(count_of(&x.sent, "\"op\":\"error\""), 0);
}

static void what_is_left_at_the_end_is_given_back(void **state)
{
    struct fixture x;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":9}");
    answer(&x, 1, 2, 10); /* seen */
    assert_int_equal(x.job_count, 1);
    x.is_blocked = true;
    ws_conn_ping(x.conn);
    answer(&x, 3, 2, 10); /* fetched, not sent: the transport is blocked */
    assert_int_equal(count_of(&x.sent, "\"op\":\"delivery\""), 2);
    ws_conn_destroy(&x.conn);
    assert_int_equal(count_of(&x.asked, "\"nack\",\"group\":\"g\",\"deliveries\":[\"" EPOCH_A
                                        "-1.1\",\"" EPOCH_A "-2.1\"]}"),
                     1);
    assert_int_equal(count_of(&x.asked, "\"nack\",\"group\":\"g\",\"deliveries\":[\"" EPOCH_A
                                        "-3.1\",\"" EPOCH_A "-4.1\"],\"release\":true}"),
                     1);
    stop(&x);
}

static void an_answer_for_a_session_that_is_gone_goes_back_unseen(void **state)
{
    struct fixture x;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":9}");
    answer(&x, 1, 0, 10);
    ws_conn_destroy(&x.conn);
    answer(&x, 7, 1, 10);
    assert_int_equal(count_of(&x.asked, EPOCH_A "-7.1\"],\"release\":true}"), 1);
    stop(&x);
}

/* Nobody but the hub knows of it then. */
static void a_gap_that_comes_for_a_session_that_is_gone_goes_back(void **state)
{
    static const char gap[] =
        "\"gap\":{\"from\":\"" EPOCH_A "-0\",\"to\":\"" EPOCH_A "-1\",\"reason\":\"retention\"}";
    struct query_job *job = NULL;
    struct fixture x;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":9}");
    answer(&x, 1, 0, 10);
    ws_conn_destroy(&x.conn);
    job = first_job(&x);
    assert_non_null(job);
    buf_printf(&job->answer, "{\"success\":true,\"group\":\"g\",\"count\":0,\"deliveries\":[],%s}",
               gap);
    job->err = NHUB_OK;
    job->done(job);
    take_answers(&x);
    assert_int_equal(count_of(&x.asked, "\"action\":\"nack\",\"group\":\"g\",\"release\":true"), 1);
    assert_int_equal(count_of(&x.asked, gap), 1);
    stop(&x);
}

static void who_comes_back_takes_over_the_fetch_that_waits(void **state)
{
    static const struct stream_query nothing = {0};
    struct fixture x;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":9}");
    answer(&x, 1, 0, 10);
    assert_int_equal(x.job_count, 1); /* it waits at the hub */
    ws_conn_destroy(&x.conn);
    assert_int_equal(ws_conn_create(&x.conn, &x.env, &nothing, &transport, &x), NHUB_OK);
    ws_conn_open(x.conn, &nothing);
    say(&x, "{\"op\":\"consume\",\"group\":\"h\",\"credit\":9}");
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":9}");
    assert_int_equal(x.job_count, 3);
    x.jobs[3] = x.jobs[0]; /* the one that waits is answered last */
    memmove(&x.jobs[0], &x.jobs[1], 3 * sizeof x.jobs[0]);
    answer(&x, 1, 0, 10); /* there is a group h; its own fetch waits now */
    answer(&x, 1, 0, 10); /* there is a group g */
    assert_int_equal(x.job_count, 2);
    answer(&x, 5, 1, 10);
    assert_int_equal(count_of(&x.sent, "\"op\":\"delivery\",\"group\":\"g\""), 1);
    assert_int_equal(count_of(&x.asked, "\"nack\""), 0);
    stop(&x);
}

/* Else the group would show what bob has as alice's. */
static void a_member_takes_over_no_fetch_of_another_name(void **state)
{
    static const char *const members[] = {"alice", "bob", "alice"};
    static const int fetches[] = {1, 2, 2}; /* that wait at the hub */
    static const struct stream_query nothing = {0};
    struct fixture x;
    char text[128];

    (void)state;
    start(&x);
    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            ws_conn_destroy(&x.conn);
            assert_int_equal(ws_conn_create(&x.conn, &x.env, &nothing, &transport, &x), NHUB_OK);
            ws_conn_open(x.conn, &nothing);
        }
        (void)snprintf(text, sizeof text,
                       "{\"op\":\"consume\",\"group\":\"g\",\"credit\":9,\"member\":\"%s\"}",
                       members[i]);
        say(&x, text);
        x.jobs[JOBS_MAX - 1] = x.jobs[x.job_count - 1]; /* that there is a group is told first */
        memmove(&x.jobs[1], &x.jobs[0], (x.job_count - 1) * sizeof(struct query_job *));
        x.jobs[0] = x.jobs[JOBS_MAX - 1];
        answer(&x, 1, 0, 10);
        assert_int_equal(x.job_count, fetches[i]);
    }
    answer(&x, 5, 1, 10); /* alice's first one, which she has again */
    assert_int_equal(count_of(&x.sent, "\"op\":\"delivery\""), 1);
    stop(&x);
}

static void a_blocked_client_gets_one_batch_each_time_it_reads(void **state)
{
    struct fixture x;
    int got = 0;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":100}");
    x.is_blocked = true;
    answer(&x, 1, 20, 20000);
    for (int i = 0; i < 20 && got < 20; i++) {
        const int before = got;

        ws_conn_writable(x.conn);
        got = count_of(&x.sent, "\"op\":\"delivery\"");
        assert_in_range(got - before, 1, 3); /* at most 60 KiB */
    }
    assert_int_equal(got, 20);
    stop(&x);
}

static void long_events_go_out_whole(void **state)
{
    struct fixture x;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":100}");
    x.is_blocked = true;
    answer(&x, 1, 2, 200000);
    for (int i = 0; i < 12; i++) {
        ws_conn_writable(x.conn);
    }
    assert_int_equal(count_of(&x.sent, "\"op\":\"delivery\""), 2);
    assert_true(x.sent.len > 400000);
    stop(&x);
}

static void all_consumers_together_keep_within_their_memory(void **state)
{
    struct fixture x;

    (void)state;
    start(&x);
    x.settings.gateway.streams_max_bytes = 400000; /* a quarter of it for what is fetched */
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":100}");
    say(&x, "{\"op\":\"consume\",\"group\":\"h\",\"credit\":100}");
    x.is_blocked = true;
    answer(&x, 1, 4, 20000);
    answer(&x, 5, 4, 20000); /* too much: it goes back */
    assert_int_equal(count_of(&x.asked, EPOCH_A "-5.1"), 1);
    assert_int_equal(count_of(&x.asked, "\"release\":true"), 1);
    assert_in_range(x.env.fetched_bytes, 1, 100000);
    stop(&x);
}

static void refusals_end_a_consumer_or_are_tried_again(void **state)
{
    struct fixture x;

    (void)state;
    start(&x);
    say(&x, "{\"op\":\"consume\",\"id\":7,\"group\":\"g\",\"credit\":1}");
    fail_job(&x, NHUB_EREFUSED,
             "{\"success\":false,\"code\":\"unknown_group\",\"error\":\"no g\"}");
    assert_int_equal(count_of(&x.sent, "\"op\":\"error\",\"id\":7,\"group\":\"g\",\"code\":"
                                       "\"unknown_group\""),
                     1);
    say(&x, "{\"op\":\"consume\",\"group\":\"g\",\"credit\":1}");
    answer(&x, 1, 0, 1);
    fail_job(&x, NHUB_EUNAVAIL, "");
    assert_int_equal(x.job_count, 0);
    assert_int_equal(count_of(&x.sent, "\"op\":\"error\""), 1);
    for (int i = 0; i < 1000 && x.job_count == 0; i++) {
        const struct timespec nap = {.tv_nsec = 2000000};

        ws_conn_tick(x.conn); /* a time passes before it tries again, but not much */
        (void)nanosleep(&nap, NULL);
    }
    assert_int_equal(x.job_count, 1);
    stop(&x);
}

static void script(struct fixture *x)
{
    say(x, "{\"op\":\"consume\",\"id\":1,\"group\":\"g\",\"credit\":4,\"member\":\"m\"}");
    answer(x, 1, 3, 100);
    say(x, "{\"op\":\"ack\",\"id\":2,\"group\":\"g\",\"deliveries\":[\"" EPOCH_A "-1.1\"]}");
    answer(x, 10, 1, 100);
    answer(x, 10, 1, 70000);
    say(x, "{\"op\":\"nack\",\"id\":3,\"group\":\"g\",\"deliveries\":[\"" EPOCH_A
           "-2.1\"],\"delay_ms\":5}");
    say(x, "{\"op\":\"extend\",\"id\":4,\"group\":\"g\",\"deliveries\":[\"" EPOCH_A
           "-3.1\"],\"visibility_ms\":5000}");
    for (int i = 0; i < 4; i++) {
        answer(x, 20 + i, 1, 100);
    }
    ws_conn_tick(x->conn);
    ws_conn_writable(x->conn);
    say(x, "{\"op\":\"consume\",\"id\":5,\"group\":\"g\",\"credit\":0}");
    answer(x, 30, 1, 100);
}

/* Whatever allocation fails: each job is answered for, nothing is left, the charge is back at 0. */
static void without_memory_nothing_is_kept_or_lost(void **state)
{
    struct fixture x;
    bool has_failed = true;

    (void)state;
    for (long n = 0; has_failed; n++) {
        long live = 0;

        assert_true(n < 2000);
        live = failmalloc_live();
        start(&x);
        failmalloc_arm(n);
        script(&x);
        has_failed = failmalloc_disarm();
        stop(&x);
        assert_int_equal(failmalloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_comes_back_with_each_answer),
        cmocka_unit_test(what_is_left_at_the_end_is_given_back),
        cmocka_unit_test(an_answer_for_a_session_that_is_gone_goes_back_unseen),
        cmocka_unit_test(a_gap_that_comes_for_a_session_that_is_gone_goes_back),
        cmocka_unit_test(who_comes_back_takes_over_the_fetch_that_waits),
        cmocka_unit_test(a_member_takes_over_no_fetch_of_another_name),
        cmocka_unit_test(a_blocked_client_gets_one_batch_each_time_it_reads),
        cmocka_unit_test(long_events_go_out_whole),
        cmocka_unit_test(all_consumers_together_keep_within_their_memory),
        cmocka_unit_test(refusals_end_a_consumer_or_are_tried_again),
        cmocka_unit_test(without_memory_nothing_is_kept_or_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
