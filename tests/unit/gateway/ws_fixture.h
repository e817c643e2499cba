/*
 * ws_fixture: the WebSocket room on a real socket and loop, without a daemon, and a client of one
 * connection whose bytes the test writes and reads itself.
 */
#ifndef TESTS_UNIT_GATEWAY_WS_FIXTURE_H
#define TESTS_UNIT_GATEWAY_WS_FIXTURE_H

#include "fan_bench.h"

#include "base/clock.h"
#include "gateway/event_loop.h"
#include "gateway/protocols/ws.h"
#include "gateway/protocols/ws_opening.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
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

static inline bool before_wait(void *context)
{
    struct fixture *x = context;

    return fanout_turn(x->bench->f);
}

static inline void woken(void *context)
{
    (void)context;
}

static inline void connect_pair(int *client, int *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int small = 4096;
    const int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(*client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    (void)setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(connect(*client, (struct sockaddr *)&address, sizeof address), 0);
    *server = accept(listener, NULL, NULL);
    assert_true(*server >= 0);
    assert_int_equal(fcntl(*client, F_SETFL, O_NONBLOCK), 0);
    (void)close(listener);
}

static inline void read_some(struct fixture *x, size_t most)
{
    char bytes[4096];
    const ssize_t n = recv(x->client, bytes, most < sizeof bytes ? most : sizeof bytes, 0);

    if (n > 0) {
        buf_add(&x->got, bytes, (size_t)n);
    }
}

static inline void turns(struct fixture *x, int count)
{
    for (int i = 0; i < count; i++) {
        event_loop_once(x->loop);
    }
}

static inline void say(struct fixture *x, unsigned char opcode, const char *text)
{
    unsigned char frame[256] = {(unsigned char)(0x80 | opcode),
                                (unsigned char)(0x80 | strlen(text))};

    memcpy(frame + 6, text, strlen(text)); /* a mask of zeros */
    assert_int_equal(send(x->client, frame, 6 + strlen(text), MSG_NOSIGNAL), 6 + strlen(text));
}

/* What the front door makes of an upgrade. */
static inline struct ws_opening *take_head(struct fixture *x, int fd)
{
    struct ws_opening *opening = NULL;
    struct stream_query query;
    enum reject_reason reason = REJECT_BAD_QUERY;
    struct http_head head;
    char detail[160];
    char text[1024];
    const ssize_t n = recv(fd, text, sizeof text, MSG_PEEK);

    assert_true(n > 0);
    assert_int_equal(http_head_parse(text, (size_t)n, &head), HTTP_HEAD_COMPLETE);
    assert_true(http_head_is_upgrade(&head));
    assert_int_equal(query_parse(head.query.p ? head.query.p : "", head.query.len, QUERY_DOOR_WS,
                                 (size_t)x->settings.gateway.max_patterns, &query, &reason, detail,
                                 sizeof detail),
                     NHUB_OK);
    assert_int_equal(ws_opening_create(&opening, fd, &head, &query), NHUB_OK);
    return opening;
}

static inline void open_room(struct fixture *x)
{
    const struct event_loop_hooks hooks = {before_wait, woken, x};

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
}

static inline void close_room(struct fixture *x)
{
    ws_destroy(&x->ws);
    event_loop_destroy(&x->loop);
    buf_fini(&x->got);
    bench_destroy(x->bench);
}

static inline void send_head(struct fixture *x, const char *target, const char *host)
{
    char request[512];

    (void)snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        target, host);
    assert_int_equal(send(x->client, request, strlen(request), 0), strlen(request));
}

/* behind: a frame that is sent with the head, with a payload of two bytes; "" = none. */
static inline void start_with(struct fixture *x, const char *target, const char *host,
                              const char *behind)
{
    int server = -1;
    const char *end = NULL;
    struct ws_opening *opening = NULL;

    open_room(x);
    connect_pair(&x->client, &server);
    send_head(x, target, host);
    if (behind[0] != '\0') {
        assert_int_equal(send(x->client, behind, 8, 0), 8);
    }
    opening = take_head(x, server);
    ws_adopt(x->ws, &opening);
    assert_null(opening);
    for (int i = 0; i < 1000 && !end; i++) {
        turns(x, 1);
        read_some(x, 4096);
        end = x->got.len > 0 ? memmem(x->got.data, x->got.len, "\r\n\r\n", 4) : NULL;
    }
    assert_non_null(end);
    assert_memory_equal(x->got.data, "HTTP/1.1 101 ", 13);
    x->at = (size_t)(end - x->got.data) + 4;
}

static inline void start_at(struct fixture *x, const char *target, const char *host)
{
    start_with(x, target, host, "");
}

static inline void start(struct fixture *x, const char *target)
{
    start_at(x, target, "h");
}

static inline void stop(struct fixture *x)
{
    (void)close(x->client);
    for (int i = 0; i < 1000 && ws_count(x->ws) > 0; i++) {
        turns(x, 1);
    }
    assert_int_equal(ws_count(x->ws), 0);
    close_room(x);
}

/* The next whole message, its text in out; pongs are counted. False when it is not there yet. */
static inline bool next(struct fixture *x, struct buf *out, int *pongs)
{
    size_t at_byte = x->at;
    struct ws_frame frame = {.final = false};

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

/* One look for what was sent, and a turn of the loop. False: the other end has closed. */
static inline bool read_and_turn(struct fixture *x)
{
    struct pollfd look = {.fd = x->client, .events = POLLIN};
    char bytes[4096];
    ssize_t n = 0;

    turns(x, 1);
    if (poll(&look, 1, 1) > 0) {
        n = recv(x->client, bytes, sizeof bytes, 0);
        if (n > 0) {
            buf_add(&x->got, bytes, (size_t)n);
        }
        return n > 0;
    }
    return true;
}

static inline void read_to_end(struct fixture *x)
{
    const int64_t limit_ms = clock_mono_ms() + 10000;

    while (read_and_turn(x)) {
        assert_true(clock_mono_ms() < limit_ms);
    }
}

static inline bool ends_with(const struct fixture *x, const char *bytes, size_t len)
{
    return x->got.len >= len && memcmp(x->got.data + x->got.len - len, bytes, len) == 0;
}

static inline void read_up_to(struct fixture *x, const char *bytes, size_t len)
{
    const int64_t limit_ms = clock_mono_ms() + 10000;

    while (!ends_with(x, bytes, len)) {
        assert_true(read_and_turn(x) && clock_mono_ms() < limit_ms);
    }
}

static inline void say_bytes(struct fixture *x, const char *bytes, size_t len)
{
    assert_int_equal(send(x->client, bytes, len, MSG_NOSIGNAL), len);
}

#endif
