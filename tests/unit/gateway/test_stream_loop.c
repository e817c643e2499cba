/* stream_loop: what one turn takes of what waits. */
#include "gateway/stream_loop.h"

#include "fan_bench.h"

#include "base/settings.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#define CROWD 100

static const struct settings settings = {.gateway = {.cache_events = 100,
                                                     .cache_bytes = 1 << 20,
                                                     .session_max_bytes = 1 << 20,
                                                     .streams_max_bytes = 64 << 20,
                                                     .send_buffer_bytes = 65536,
                                                     .max_event_bytes = 1 << 20,
                                                     .max_patterns = 64}};

static void close_it(struct sse_open *open)
{
    (void)close(open->fd);
}

static void post_link_up(struct mailbox *feed)
{
    struct feed_item *item = calloc(1, sizeof *item);

    item->kind = FEED_LINK;
    item->link_up = true;
    item->position = at(EPOCH_A, 0);
    mailbox_post(feed, &item->letter);
}

static void post_event(struct mailbox *feed, uint64_t seq)
{
    struct feed_item *item = calloc(1, sizeof *item);

    item->kind = FEED_EVENT;
    item->event = make_event(EPOCH_A, seq, "t", 0);
    mailbox_post(feed, &item->letter);
}

/* All that a stream was sent until its end. */
static void read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while (len < size - 1 && (n = recv(fd, out + len, size - 1 - len, 0)) > 0) {
        len += (size_t)n;
    }
    out[len] = '\0';
}

static void events_do_not_wait_for_all_of_a_crowd_that_comes(void **state)
{
    static struct sse_open opens[CROWD];
    static struct gateway_counters counters;
    struct stream_loop *loop = NULL;
    int theirs[CROWD];
    int early = 0;
    int late = 0;

    (void)state;
    assert_int_equal(stream_loop_create(&loop, &settings, &counters), NHUB_OK);
    for (int i = 0; i < CROWD; i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        theirs[i] = pair[1];
        opens[i] = (struct sse_open){.fd = pair[0], .closed = close_it};
        stream_loop_open_sse(loop, &opens[i]);
    }
    post_link_up(stream_loop_feed(loop));
    post_event(stream_loop_feed(loop), 1);
    assert_int_equal(stream_loop_start(loop, NULL), NHUB_OK);
    for (int i = 0; i < CROWD; i++) {
        struct pollfd item = {.fd = theirs[i], .events = POLLIN};

        assert_int_equal(poll(&item, 1, 60000), 1);
    }
    stream_loop_destroy(&loop);
    for (int i = 0; i < CROWD; i++) {
        char text[4096];

        read_all(theirs[i], text, sizeof text);
        assert_non_null(strstr(text, "200 OK"));
        if (strstr(text, "\"seq\":1,")) {
            early++;
        } else {
            assert_non_null(strstr(text, "id: " EPOCH_A "-1\n")); /* it begins behind the event */
            late++;
        }
        (void)close(theirs[i]);
    }
    assert_true(early > 0);
    assert_true(late > 0);
}

/* The hub was never heard, so what a resume brings is not known. */
static void a_stream_that_ends_before_its_head_gets_one(void **state)
{
    static struct sse_open open;
    static struct gateway_counters counters;
    struct stream_loop *loop = NULL;
    char text[4096];
    int pair[2];

    (void)state;
    assert_int_equal(stream_loop_create(&loop, &settings, &counters), NHUB_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    open = (struct sse_open){
        .fd = pair[0], .closed = close_it, .query = {.since = {.kind = SINCE_EARLIEST}}};
    stream_loop_open_sse(loop, &open);
    assert_int_equal(stream_loop_start(loop, NULL), NHUB_OK);
    while (counter_get(&counters.sessions[GATEWAY_DOOR_SSE]) == 0) {
        (void)sched_yield();
    }
    stream_loop_destroy(&loop);
    read_all(pair[1], text, sizeof text);
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(text, "\r\n\r\nretry: "));
    assert_memory_equal(text + strlen(text) - 2, "\n\n", 2);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_do_not_wait_for_all_of_a_crowd_that_comes),
        cmocka_unit_test(a_stream_that_ends_before_its_head_gets_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
