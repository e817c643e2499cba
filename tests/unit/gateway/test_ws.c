/*
 * The WebSocket room on a real socket and loop, without a daemon: shared frames and, as if the
 * self-test had failed, plain ones, with a client that reads in small bites and pings meanwhile.
 */
#include "fan_bench.h"

#include "base/clock.h"
#include "gateway/event_loop.h"
#include "gateway/protocols/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct fan_bench *bench;
    struct event_loop *loop;
    struct ws_server *ws;
    struct ws_env env;
    struct settings settings;
    int client;
    struct buf got;
    size_t at;
};

static bool before_wait(void *context)
{
    struct fixture *x = context;

    return fanout_turn(x->bench->f);
}

static void woken(void *context)
{
    (void)context;
}

static void connect_pair(int *client, int *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int small = 4096;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(*client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(*client, (struct sockaddr *)&address, sizeof address), 0);
    *server = accept(listener, NULL, NULL);
    assert_true(*server >= 0);
    assert_int_equal(fcntl(*client, F_SETFL, O_NONBLOCK), 0);
    (void)close(listener);
}

static void read_some(struct fixture *x, size_t most)
{
    char bytes[4096];
    const ssize_t n = recv(x->client, bytes, most < sizeof bytes ? most : sizeof bytes, 0);

    if (n > 0) {
        buf_add(&x->got, bytes, (size_t)n);
    }
}

static void turns(struct fixture *x, int count)
{
    for (int i = 0; i < count; i++) {
        event_loop_once(x->loop);
    }
}

static void say(struct fixture *x, unsigned char opcode, const char *text)
{
    unsigned char frame[256] = {(unsigned char)(0x80 | opcode),
                                (unsigned char)(0x80 | strlen(text))};

    memcpy(frame + 6, text, strlen(text)); /* a mask of zeros */
    assert_int_equal(send(x->client, frame, 6 + strlen(text), MSG_NOSIGNAL), 6 + strlen(text));
}

static void start_at(struct fixture *x, const char *target, const char *host)
{
    const struct event_loop_hooks hooks = {before_wait, woken, x};
    char request[512];
    int server = -1;
    const char *end = NULL;

    memset(x, 0, sizeof *x);
    x->bench = bench_create_sized(1000, 8 << 20, 64 << 20);
    feed_link_up(x->bench, EPOCH_A, 0);
    x->settings.gateway.max_event_bytes = 1 << 20;
    x->settings.gateway.max_patterns = 64;
    x->env.settings = &x->settings;
    x->env.counters = &x->bench->counters;
    x->env.fanout = x->bench->f;
    assert_int_equal(event_loop_create(&x->loop, &hooks), NHUB_OK);
    assert_int_equal(ws_create(&x->ws, x->loop, &x->env), NHUB_OK);
    assert_true(ws_is_preframed(x->ws));
    connect_pair(&x->client, &server);
    (void)snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        target, host);
    assert_int_equal(send(x->client, request, strlen(request), 0), strlen(request));
    ws_adopt(x->ws, server);
    for (int i = 0; i < 1000 && !end; i++) {
        turns(x, 1);
        read_some(x, 4096);
        end = x->got.len > 0 ? memmem(x->got.data, x->got.len, "\r\n\r\n", 4) : NULL;
    }
    assert_non_null(end);
    assert_memory_equal(x->got.data, "HTTP/1.1 101 ", 13);
    x->at = (size_t)(end - x->got.data) + 4;
}

static void start(struct fixture *x, const char *target)
{
    start_at(x, target, "h");
}

static void stop(struct fixture *x)
{
    (void)close(x->client);
    for (int i = 0; i < 1000 && ws_count(x->ws) > 0; i++) {
        turns(x, 1);
    }
    assert_int_equal(ws_count(x->ws), 0);
    ws_destroy(&x->ws);
    event_loop_destroy(&x->loop);
    buf_fini(&x->got);
    bench_destroy(x->bench);
}

/* The next whole message, its text in out; pongs are counted. False when it is not there yet. */
static bool next(struct fixture *x, struct buf *out, int *pongs)
{
    size_t at_byte = x->at;
    struct ws_frame frame;

    buf_reset(out);
    while (ws_frame_parse(x->got.data + at_byte, x->got.len - at_byte, &frame) == NHUB_OK) {
        const char *payload = x->got.data + at_byte + frame.head_len;

        at_byte += frame.head_len + frame.payload_len;
        if (frame.opcode == WS_PONG) {
            (*pongs)++;
            if (out->len == 0) {
                x->at = at_byte;
            }
            continue;
        }
        assert_int_equal(frame.opcode, out->len == 0 ? WS_TEXT : WS_CONTINUATION);
        buf_add(out, payload, frame.payload_len);
        if (frame.final) {
            x->at = at_byte;
            return true;
        }
    }
    return false;
}

static void events_arrive_whole_and_in_order(bool is_preframed)
{
    struct fixture x;
    struct buf message;
    uint64_t want = 1;
    int pongs = 0;
    char seq[32];

    start(&x, "/ws?event_type=t");
    ws_set_preframed(x.ws, is_preframed);
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

static void shared_frames_survive_a_slow_reader(void **state)
{
    (void)state;
    events_arrive_whole_and_in_order(true);
}

static void plain_frames_do_the_same(void **state)
{
    (void)state;
    events_arrive_whole_and_in_order(false);
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

/* RFC 6455, section 5.5.1. Here it is the library that closes, by itself. */
static void nothing_follows_the_close_frame(void **state)
{
    static const char closing[] = "\x88\x09\x03\xea"
                                  "bad opc";
    struct fixture x;
    const char *found = NULL;
    size_t at_close = 0;
    uint64_t seq = 0;

    (void)state;
    start(&x, "/ws?event_type=t");
    say(&x, 0x3, "x"); /* there is no such opcode */
    for (uint64_t i = 1; i <= 200000 && !found; i++) {
        feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, i, "t", 0));
        turns(&x, 1);
        read_some(&x, 4096);
        found = memmem(x.got.data, x.got.len, closing, sizeof closing - 1);
        seq = i;
    }
    assert_non_null(found);
    at_close = (size_t)(found - x.got.data);
    for (int i = 0; i < 200; i++) {
        feed_made(x.bench, FEED_EVENT, make_event(EPOCH_A, ++seq, "t", 0));
        turns(&x, 1);
        read_some(&x, 4096);
    }
    assert_int_equal(x.got.len, at_close + sizeof closing - 1);
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

static void a_silent_peer_is_asked_and_then_given_up(void **state)
{
    struct fixture x;
    int64_t now_ms = 0;
    bool has_ping = false;

    (void)state;
    start(&x, "/ws");
    now_ms = clock_mono_ms();
    ws_tick(x.ws, now_ms + 31000);
    for (int i = 0; i < 100; i++) {
        turns(&x, 1);
        read_some(&x, 4096);
    }
    has_ping = memmem(x.got.data, x.got.len, "\x89\x02nh", 4) != NULL;
    assert_true(has_ping);
    assert_int_equal(ws_count(x.ws), 1);
    ws_tick(x.ws, now_ms + 76000);
    for (int i = 0; i < 1000 && ws_count(x.ws) > 0; i++) {
        turns(&x, 1);
    }
    assert_int_equal(ws_count(x.ws), 0);
    stop(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_frames_survive_a_slow_reader),
        cmocka_unit_test(plain_frames_do_the_same),
        cmocka_unit_test(the_query_is_decoded_once),
        cmocka_unit_test(nothing_follows_the_close_frame),
        cmocka_unit_test(a_host_may_be_empty),
        cmocka_unit_test(a_silent_peer_is_asked_and_then_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
