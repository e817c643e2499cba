/*
 * The WebSocket room on a real socket and loop, without a daemon: a client that reads in small
 * bites and pings meanwhile, frames in pieces, and every way in which a connection ends.
 */
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

/* What the front door makes of an upgrade. */
static struct ws_opening *take_head(struct fixture *x, int fd)
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

/* behind: a frame that is sent with the head, with a payload of two bytes; "" = none. */
static void start_with(struct fixture *x, const char *target, const char *host, const char *behind)
{
    const struct event_loop_hooks hooks = {before_wait, woken, x};
    char request[512];
    int server = -1;
    const char *end = NULL;
    struct ws_opening *opening = NULL;

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
    connect_pair(&x->client, &server);
    (void)snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        target, host);
    assert_int_equal(send(x->client, request, strlen(request), 0), strlen(request));
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

static void start_at(struct fixture *x, const char *target, const char *host)
{
    start_with(x, target, host, "");
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

/* RFC 6455, section 5.5.1. */
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

/* One look for what was sent, and a turn of the loop. False: the other end has closed. */
static bool read_and_turn(struct fixture *x)
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

static void read_to_end(struct fixture *x)
{
    const int64_t limit_ms = clock_mono_ms() + 10000;

    while (read_and_turn(x)) {
        assert_true(clock_mono_ms() < limit_ms);
    }
}

static bool ends_with(const struct fixture *x, const char *bytes, size_t len)
{
    return x->got.len >= len && memcmp(x->got.data + x->got.len - len, bytes, len) == 0;
}

static void read_up_to(struct fixture *x, const char *bytes, size_t len)
{
    const int64_t limit_ms = clock_mono_ms() + 10000;

    while (!ends_with(x, bytes, len)) {
        assert_true(read_and_turn(x) && clock_mono_ms() < limit_ms);
    }
}

static void say_bytes(struct fixture *x, const char *bytes, size_t len)
{
    assert_int_equal(send(x->client, bytes, len, MSG_NOSIGNAL), len);
}

/* RFC 6455, section 7.1.7: it is told why, and then its connection ends, whatever it goes on to
 * send. A mask of zeros keeps payloads as they are. */
static void a_client_that_breaks_the_rules_is_told_and_left(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *code;
    } cases[] = {
        {"\x81\x02hi", 4, "\x03\xea"},
        {"\xc1\x80\0\0\0\0", 6, "\x03\xea"},
        {"\x09\x80\0\0\0\0", 6, "\x03\xea"},
        {"\x80\x80\0\0\0\0", 6, "\x03\xea"},
        {"\x81\xfe\0\1\0\0\0\0x", 9, "\x03\xea"},
        {"\x88\x81\0\0\0\0\x03", 7, "\x03\xea"},         /* half a code */
        {"\x88\x82\0\0\0\0\x03\xed", 8, "\x03\xea"},     /* 1005 is never sent */
        {"\x88\x82\0\0\0\0\0\1", 8, "\x03\xea"},         /* no code is below 1000 */
        {"\x88\x82\0\0\0\0\x13\x88", 8, "\x03\xea"},     /* nor above 4999 */
        {"\x88\x83\0\0\0\0\x03\xe8\xff", 9, "\x03\xef"}, /* the reason is no UTF-8 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture x;
        const char *frame = NULL;

        start(&x, "/ws?event_type=t");
        say_bytes(&x, cases[i].bytes, cases[i].len);
        read_to_end(&x);
        assert_int_equal(ws_count(x.ws), 1); /* it may still be sending, and would be reset */
        say_bytes(&x, "more", 4);
        turns(&x, 10);
        frame = memrchr(x.got.data, '\x88', x.got.len);
        assert_non_null(frame);
        assert_int_equal(frame[1], x.got.data + x.got.len - frame - 2);
        assert_memory_equal(frame + 2, cases[i].code, 2);
        stop(&x);
    }
}

static void a_close_is_answered_with_its_own_code(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *answer;
        size_t answer_len;
    } cases[] = {
        {"\x88\x80\0\0\0\0", 6, "\x88\0", 2},
        {"\x88\x82\0\0\0\0\x03\xe8", 8, "\x88\x02\x03\xe8", 4},
        {"\x88\x85\0\0\0\0\x0f\xa0"
         "bye",
         11, "\x88\x02\x0f\xa0", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture x;

        start(&x, "/ws?event_type=t");
        for (size_t k = 0; k < cases[i].len; k++) { /* in the smallest pieces */
            say_bytes(&x, cases[i].bytes + k, 1);
            turns(&x, 2);
        }
        read_to_end(&x);
        assert_true(ends_with(&x, cases[i].answer, cases[i].answer_len));
        assert_int_equal(ws_count(x.ws), 0);
        stop(&x);
    }
}

static void our_close_waits_for_the_clients(void **state)
{
    static const char ours[] = "\x88\x13\x03\xe9the gateway stops";
    struct fixture x;

    (void)state;
    start(&x, "/ws?event_type=t");
    ws_end_some(x.ws, SIZE_MAX, SESSION_END_STOP);
    read_up_to(&x, ours, sizeof ours - 1);
    assert_int_equal(ws_count(x.ws), 1);
    say(&x, WS_PING, "too late");
    say(&x, WS_TEXT, "{\"op\":\"ping\"}");
    say(&x, WS_CLOSE, "\x03\xe9");
    read_to_end(&x);
    assert_true(ends_with(&x, ours, sizeof ours - 1));
    assert_int_equal(ws_count(x.ws), 0);
    stop(&x);
}

static void a_close_that_is_not_answered_ends_by_itself(void **state)
{
    struct fixture x;

    (void)state;
    start(&x, "/ws?event_type=t");
    ws_end_some(x.ws, SIZE_MAX, SESSION_END_STOP);
    ws_tick(x.ws, clock_mono_ms() + 9000);
    turns(&x, 5);
    assert_int_equal(ws_count(x.ws), 1);
    ws_tick(x.ws, clock_mono_ms() + 11000);
    turns(&x, 5);
    assert_int_equal(ws_count(x.ws), 0);
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

/* Too long is known from the head of a frame already. */
static void a_message_is_refused_before_it_is_read(void **state)
{
    static const char head[] = "\x81\xff\0\0\0\0\x7f\0\0\0\0\0\0\0";
    static const char closing[] = "\x88\x1a\x03\xf1the message is too large";
    struct fixture x;

    (void)state;
    start(&x, "/ws");
    say_bytes(&x, head, sizeof head - 1);
    read_up_to(&x, closing, sizeof closing - 1);
    stop(&x);
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
        cmocka_unit_test(events_arrive_whole_and_in_order),
        cmocka_unit_test(the_query_is_decoded_once),
        cmocka_unit_test(nothing_follows_the_close_frame),
        cmocka_unit_test(a_client_that_breaks_the_rules_is_told_and_left),
        cmocka_unit_test(a_close_is_answered_with_its_own_code),
        cmocka_unit_test(our_close_waits_for_the_clients),
        cmocka_unit_test(a_close_that_is_not_answered_ends_by_itself),
        cmocka_unit_test(control_frames_fall_between_fragments),
        cmocka_unit_test(pings_of_a_client_that_does_not_read_do_not_pile_up),
        cmocka_unit_test(a_client_that_is_not_read_for_a_while_loses_nothing),
        cmocka_unit_test(a_message_is_refused_before_it_is_read),
        cmocka_unit_test(what_came_with_the_head_is_carried_out),
        cmocka_unit_test(a_host_may_be_empty),
        cmocka_unit_test(a_silent_peer_is_asked_and_then_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
