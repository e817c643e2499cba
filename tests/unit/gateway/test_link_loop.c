// with: failmalloc
/*
 * The hub link's loop at a ROUTER of libzmq, which the test's thread serves: what comes in one turn
 * goes out, however much it is; and a lack of memory passes.
 */
#include "gateway/link_loop.h"

#include "base/clock.h"
#include "base/zsock.h"
#include "failmalloc.h"
#include "gateway/counters.h"
#include "wire/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* No two of them fit into one request, and two fill what may wait to be written. */
enum { JOBS = 6, EVENT_BYTES = 600 * 1000, LIMIT_MS = 60000 };

struct fixture {
    struct zctx *ctx;
    struct zsock *router, *publisher;
    struct settings settings;
    struct gateway_counters *counters;
    struct mailbox *feed, *publishes, *queries;
    struct link_status status;
    struct link_loop loop;
    struct letter stop;
    bool is_poor; /* at first */
    int64_t grace_ms;
    pthread_t thread;
    char *line;
    struct publish_event event, small;
    struct publish_job first, jobs[JOBS];
    struct query_job query;
    atomic_int answered;
};

static void on_done(struct publish_job *job)
{
    struct fixture *f = job->context;

    atomic_fetch_add(&f->answered, 1);
}

static void on_query_done(struct query_job *job)
{
    struct fixture *f = job->context;

    atomic_fetch_add(&f->answered, 1);
}

/* In the link's thread, before it looks for letters: the turn finds all of these. */
static void post_the_others(struct publish_job *job)
{
    struct fixture *f = job->context;

    for (int i = 0; i < JOBS; i++) {
        f->jobs[i] =
            (struct publish_job){.events = &f->event, .count = 1, .done = on_done, .context = f};
        f->jobs[i].letter.next = i + 1 < JOBS ? &f->jobs[i + 1].letter : NULL;
    }
    mailbox_post_chain(f->publishes, &f->jobs[0].letter, &f->jobs[JOBS - 1].letter);
    f->query = (struct query_job){.kind = QUERY_STATS, .done = on_query_done, .context = f};
    mailbox_post(f->queries, &f->query.letter);
}

static void *run(void *context)
{
    struct fixture *f = context;

    if (f->is_poor) {
        failmalloc_arm(0);
    }
    link_loop_run(&f->loop);
    return NULL;
}

static void start_server(struct fixture *f)
{
    const struct zsock_options options = {
        .sndhwm = 1000, .rcvhwm = 1000, .linger_ms = 0, .max_msg_bytes = -1};
    uint16_t port = 0;

    assert_int_equal(zctx_create(&f->ctx), NHUB_OK);
    assert_int_equal(zsock_create(&f->router, f->ctx, ZSOCK_ROUTER, &options), NHUB_OK);
    assert_int_equal(zsock_bind(f->router, "127.0.0.1", 0, &port), NHUB_OK);
    f->settings.hub.requests_port = port;
    assert_int_equal(zsock_create(&f->publisher, f->ctx, ZSOCK_XPUB, &options), NHUB_OK);
    assert_int_equal(zsock_bind(f->publisher, "127.0.0.1", 0, &port), NHUB_OK);
    f->settings.hub.publisher_port = port;
}

static int start(void **state, bool is_poor)
{
    static char host[] = "127.0.0.1";
    static const char head[] = "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":\"";
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    log_set_level(LOG_LEVEL_ERROR);
    start_server(f);
    f->settings.gateway.hub_host = host;
    f->settings.gateway.cache_events = 1000;
    f->settings.gateway.cache_bytes = 1 << 20;
    f->settings.gateway.publish_window = 256;
    f->settings.gateway.ack_timeout_ms = 600000;
    f->settings.gateway.refill_wait_ms = 2000;
    f->line = malloc(EVENT_BYTES);
    f->counters = calloc(1, sizeof *f->counters);
    assert_true(f->line && f->counters);
    memset(f->line, 'x', EVENT_BYTES);
    memcpy(f->line, head, sizeof head - 1);
    memcpy(f->line + EVENT_BYTES - 2, "\"}", 2);
    f->event = (struct publish_event){f->line, EVENT_BYTES};
    f->small = (struct publish_event){"{\"event_type\":\"t\"}", 18};
    assert_int_equal(mailbox_create(&f->feed), NHUB_OK);
    assert_int_equal(mailbox_create(&f->publishes), NHUB_OK);
    assert_int_equal(mailbox_create(&f->queries), NHUB_OK);
    link_status_init(&f->status, &f->settings);
    f->loop = (struct link_loop){.settings = &f->settings,
                                 .counters = f->counters,
                                 .feed = f->feed,
                                 .publishes = f->publishes,
                                 .queries = f->queries,
                                 .stop = &f->stop,
                                 .grace_ms = &f->grace_ms,
                                 .status = &f->status};
    assert_int_equal(link_loop_init(&f->loop), NHUB_OK);
    f->is_poor = is_poor;
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
    link_status_wait_first(&f->status);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return start(state, false);
}

static int setup_poor(void **state)
{
    return start(state, true);
}

static void drop_feed(struct mailbox *feed)
{
    struct letter *letter = mailbox_take_all(feed);

    while (letter) {
        struct feed_item *item = (struct feed_item *)(void *)letter;

        letter = letter->next;
        feed_item_free(&item);
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    mailbox_post(f->queries, &f->stop);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    link_loop_fini(&f->loop);
    link_status_fini(&f->status);
    drop_feed(f->feed);
    mailbox_destroy(&f->feed);
    mailbox_destroy(&f->publishes);
    mailbox_destroy(&f->queries);
    zsock_destroy(&f->router);
    zsock_destroy(&f->publisher);
    zctx_destroy(&f->ctx);
    for (int i = 0; i < JOBS; i++) {
        free(f->jobs[i].results);
    }
    free(f->first.results);
    buf_fini(&f->query.answer);
    free(f->query.events);
    free(f->counters);
    free(f->line);
    free(f);
    return 0;
}

/* ---- the hub ---- */

static void answer(struct fixture *f, struct zframe *from, const char *json, size_t len)
{
    static const char rest[] = "\"success\":true,\"protocol\":1,\"epoch\":\"k3mzq7aa\",\"seq\":0,"
                               "\"oldest\":1,\"first_seq\":1,\"last_seq\":1,\"count\":1,"
                               "\"durability\":\"memory\",\"max_event_bytes\":4194304,"
                               "\"dedup\":false,\"request_id\":";
    static const char key[] = "\"request_id\":";
    char text[1024];
    char out[1024];
    const char *id = NULL;

    assert_true(len < sizeof text);
    memcpy(text, json, len);
    text[len] = '\0';
    id = strstr(text, key);
    assert_non_null(id);
    NHUB_IGNORE(
        snprintf(out, sizeof out, "{%s%llu}", rest, strtoull(id + sizeof key - 1, NULL, 10)) < 0);
    assert_int_equal(zsock_send(f->router, from, true), NHUB_OK);
    assert_int_equal(zsock_send_bytes(f->router, "RESPONSE", 8, true), NHUB_OK);
    assert_int_equal(zsock_send_bytes(f->router, out, strlen(out), false), NHUB_OK);
}

/* Answers all requests that are here. */
static void serve(struct fixture *f)
{
    struct zframe from;
    struct zframe request;
    struct packed_reader parts;
    const void *part = NULL;
    size_t len = 0;

    zframe_init(&from);
    zframe_init(&request);
    while (zsock_recv(f->router, &from) == NHUB_OK) {
        assert_int_equal(zsock_recv(f->router, &request), NHUB_OK);
        assert_true(packed_open(&parts, zframe_data(&request), zframe_size(&request)));
        assert_true(packed_next(&parts, &part, &len));
        assert_true(packed_next(&parts, &part, &len));
        answer(f, &from, part, len);
    }
    zframe_close(&from);
    zframe_close(&request);
}

static bool is_up(struct fixture *f)
{
    struct hub_link_status status;

    link_status_read(&f->status, &status);
    return status.connected;
}

static int64_t limit_ms(void)
{
    const char *factor = getenv("NHUB_TEST_TIMEOUT_FACTOR");

    return clock_mono_ms() + (int64_t)(LIMIT_MS * (factor ? strtod(factor, NULL) : 1));
}

#define SERVE_UNTIL(f, condition)                                                                  \
    do {                                                                                           \
        const int64_t limit_ms_ = limit_ms();                                                      \
        struct zpoll_item item_ = {.sock = (f)->router, .want_in = true};                          \
        size_t ready_ = 0;                                                                         \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > limit_ms_) {                                                     \
                fail_msg("it never came true: %s", #condition);                                    \
            }                                                                                      \
            assert_int_equal(zpoll_wait(&item_, 1, 5, &ready_), NHUB_OK);                          \
            serve(f);                                                                              \
        }                                                                                          \
    } while (0)

/* The hub is there and takes everything, so nobody is told that it is away. */
static void more_than_is_written_at_once_waits(void **state)
{
    struct fixture *f = *state;

    SERVE_UNTIL(f, is_up(f));
    f->first = (struct publish_job){
        .events = &f->small, .count = 1, .done = post_the_others, .context = f};
    mailbox_post(f->publishes, &f->first.letter);
    SERVE_UNTIL(f, atomic_load(&f->answered) == JOBS + 1);
    assert_int_equal(f->first.outcome, PUBLISH_ACCEPTED);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(f->jobs[i].outcome, PUBLISH_ACCEPTED);
    }
    assert_int_equal(f->query.err, NHUB_OK);
    assert_int_equal(counter_get(&f->counters->link_losses_total), 0);
}

/* The first allocation of the loop is for a socket. */
static void sockets_that_could_not_be_made_are_made_later(void **state)
{
    struct fixture *f = *state;

    assert_true(failmalloc_disarm());
    SERVE_UNTIL(f, is_up(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(more_than_is_written_at_once_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(sockets_that_could_not_be_made_are_made_later, setup_poor,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
