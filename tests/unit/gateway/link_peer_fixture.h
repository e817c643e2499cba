/*
 * link_peer_fixture: a connection of the hub link, its owner's loop, and a TCP server that says
 * exactly the bytes that a test gives it; all of it in the test's thread. Included by one file of
 * each test program.
 *
 * The owner calls link_peer_turn() no more often than the header asks for: after something was told
 * or done, and when its deadline has come. While there is no connection the owner's clock leaps to
 * that deadline, so that no test waits for a pause between two tries.
 */
#ifndef TESTS_LINK_PEER_FIXTURE_H
#define TESTS_LINK_PEER_FIXTURE_H

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "gateway/link_peer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT_MS = 10000, STEP_MS = 5, FRAMES_MAX = 64 };
/* The first byte of a frame (23/ZMTP, "Framing"). */
enum { LAST = 0, MORE = 1, LONG = 2, COMMAND = 4 };

struct fixture {
    struct log_limit limit;
    struct link_peer *p;
    bool want_in;
    int64_t ahead_ms;                     /* of the system's clock */
    bool is_due;                          /* for a turn */
    size_t told;                          /* how often poll() told something */
    struct zmtp_frame frames[FRAMES_MAX]; /* of the message that came last */
    size_t count;
    /* The server, -1 = none, and the connection that it took last. */
    int listener, conn;
    uint16_t port;
    size_t accepted;
    bool is_deaf;        /* it does not read */
    bool is_over;        /* the peer has ended the connection */
    struct buf script;   /* said on each new connection */
    struct buf to_say;   /* on this one */
    struct buf received; /* on this one */
    size_t parsed;
};

/* Loops that wait for a condition give up here. */
static inline int64_t limit_ms(void)
{
    const char *factor = getenv("NHUB_TEST_TIMEOUT_FACTOR");

    return clock_mono_ms() + (int64_t)(LIMIT_MS * (factor ? strtod(factor, NULL) : 1));
}

#define DRIVE_UNTIL(f, condition)                                                                  \
    do {                                                                                           \
        const int64_t limit_ms_ = limit_ms();                                                      \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > limit_ms_) {                                                     \
                fail_msg("it never came true: %s", #condition);                                    \
            }                                                                                      \
            step(f);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- the server ---- */

static inline void hang_up(struct fixture *f, bool is_rude)
{
    const struct linger rude = {.l_onoff = 1, .l_linger = 0};

    if (f->conn >= 0) {
        if (is_rude) { /* a reset, not an end */
            assert_int_equal(setsockopt(f->conn, SOL_SOCKET, SO_LINGER, &rude, sizeof rude), 0);
        }
        assert_int_equal(close(f->conn), 0);
        f->conn = -1;
    }
}

static inline void take_connection(struct fixture *f)
{
    const int conn = f->listener < 0 ? -1 : accept4(f->listener, NULL, NULL, SOCK_NONBLOCK);

    if (conn >= 0) {
        hang_up(f, false);
        f->conn = conn;
        f->accepted++;
        f->is_over = false;
        f->parsed = 0;
        buf_reset(&f->received);
        buf_reset(&f->to_say);
        buf_add(&f->to_say, f->script.data, f->script.len);
    }
}

static inline void hear(struct fixture *f)
{
    ssize_t n = 0;

    do {
        assert_int_equal(buf_reserve(&f->received, 65536), NHUB_OK);
        n = recv(f->conn, f->received.data + f->received.len, 65536, 0);
        f->received.len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    f->is_over = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static inline void serve(struct fixture *f)
{
    size_t taken = 0;

    take_connection(f);
    if (f->conn < 0 || f->is_over) {
        return;
    }
    if (f->to_say.len > 0) {
        if (net_send(f->conn, f->to_say.data, f->to_say.len, &taken)) {
            buf_consume(&f->to_say, taken);
        } else {
            f->is_over = true;
            return;
        }
    }
    if (!f->is_deaf) {
        hear(f);
    }
}

static inline void add_frame(struct buf *b, int flags, const void *body, size_t len)
{
    const bool is_long = len > 255 || (flags & LONG);

    buf_add_char(b, (char)(flags | (is_long ? LONG : 0)));
    for (int i = is_long ? 7 : 0; i >= 0; i--) {
        buf_add_char(b, (char)((uint64_t)len >> (8 * i)));
    }
    buf_add(b, body, len);
}

static inline void add_text(struct buf *b, int flags, const char *text)
{
    add_frame(b, flags, text, strlen(text));
}

static inline void add_greeting(struct buf *b, char version, const char *mechanism)
{
    unsigned char greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f};

    greeting[10] = (unsigned char)version;
    greeting[11] = 1; /* the minor version */
    memcpy(greeting + 12, mechanism, strlen(mechanism));
    greeting[32] = 1; /* as a server */
    buf_add(b, greeting, sizeof greeting);
}

/* READY, with an identity as libzmq tells one. */
static inline void add_ready(struct buf *b, const char *type)
{
    char body[256] = "\5READY\10Identity\0\0\0\0\13Socket-Type\0\0\0";
    const size_t head = 6 + 9 + 4 + 12 + 3;

    body[head] = (char)strlen(type);
    memcpy(body + head + 1, type, strlen(type));
    add_frame(b, COMMAND, body, head + 1 + strlen(type));
}

static inline void add_handshake(struct buf *b, const char *type)
{
    add_greeting(b, 3, "NULL");
    add_ready(b, type);
}

/* The next frame that the server received. */
static inline bool heard(struct fixture *f, struct zmtp_frame *out)
{
    size_t used = 0;

    if (f->parsed == 0) {
        if (f->received.len < ZMTP_GREETING_LEN) {
            return false;
        }
        f->parsed = ZMTP_GREETING_LEN;
    }
    if (zmtp_frame_read(f->received.data + f->parsed, f->received.len - f->parsed, SIZE_MAX, out,
                        &used) != NHUB_OK) {
        return false;
    }
    f->parsed += used;
    return true;
}

/* ---- the owner's loop ---- */

static inline int64_t peers_clock(const struct fixture *f)
{
    return clock_mono_ms() + f->ahead_ms;
}

static inline void turn(struct fixture *f)
{
    const int64_t now_ms = peers_clock(f);

    link_peer_turn(f->p, now_ms);
    f->is_due = false;
    assert_true(link_peer_deadline(f->p) > now_ms);
}

static inline void wait_a_moment(struct fixture *f)
{
    struct pollfd item = {.fd = -1};
    int64_t rest_ms = 0;

    link_peer_poll(f->p, f->want_in, &item);
    rest_ms = link_peer_deadline(f->p) - peers_clock(f);
    if (rest_ms > 0 && item.fd < 0) {
        assert_true(rest_ms <= LINK_PEER_LIMIT_MS); /* it tries again by itself */
        f->ahead_ms += rest_ms;
        rest_ms = 1; /* for the thread that looks a name up */
    }
    rest_ms = rest_ms < 0 ? 0 : rest_ms > STEP_MS ? STEP_MS : rest_ms;
    if (poll(&item, 1, (int)rest_ms) > 0) {
        f->told++;
        f->is_due = true;
    }
    link_peer_polled(f->p, &item);
}

static inline void step(struct fixture *f)
{
    if (f->is_due || peers_clock(f) >= link_peer_deadline(f->p)) {
        turn(f);
    }
    wait_a_moment(f);
    serve(f);
}

/* The next message, if there is one: f->frames. */
static inline bool read_message(struct fixture *f)
{
    f->is_due = true;
    f->count = 0;
    do {
        const bool is_here = link_peer_has_message(f->p);
        const nhub_err err = link_peer_next(f->p, &f->frames[f->count]);

        if (err != NHUB_OK) {
            assert_int_equal(err, NHUB_EAGAIN);
            assert_int_equal(f->count, 0); /* only whole messages are given */
            assert_false(is_here);
            return false;
        }
        assert_false(f->frames[f->count].is_command);
        assert_true(++f->count < FRAMES_MAX);
    } while (f->frames[f->count - 1].more);
    return true;
}

static inline bool is_frame(const struct zmtp_frame *frame, const void *bytes, size_t len)
{
    return frame->len == len && (len == 0 || memcmp(frame->bytes, bytes, len) == 0);
}

static inline bool is_text(const struct zmtp_frame *frame, const char *text)
{
    return is_frame(frame, text, strlen(text));
}

/* Waits for a message of one frame. */
static inline void expect_text(struct fixture *f, const char *text)
{
    DRIVE_UNTIL(f, read_message(f));
    assert_int_equal(f->count, 1);
    assert_true(is_text(&f->frames[0], text));
}

/* Gives a request to the peer. */
static inline nhub_err request(struct fixture *f, const void *bytes, size_t len)
{
    struct buf *out = NULL;
    const bool can_send = link_peer_can_send(f->p);
    nhub_err err = link_peer_begin(f->p, &out);

    assert_int_equal(can_send, err == NHUB_OK);
    if (err == NHUB_OK) {
        buf_add(out, bytes, len);
        err = link_peer_end(f->p);
        f->is_due = true;
    }
    return err;
}

static inline void start_peer(struct fixture *f, enum link_peer_type type, const char *host)
{
    assert_int_equal(link_peer_create(&f->p, type, host, f->port, &f->limit), NHUB_OK);
    f->is_due = true;
}

/* ---- what tests do ---- */

static inline const char *server_of(enum link_peer_type type)
{
    return type == LINK_PEER_SUB ? "PUB" : "ROUTER";
}

/* An open peer; the server has heard its handshake and, of a SUB, its subscription. */
static inline void open_peer(struct fixture *f, enum link_peer_type type)
{
    struct zmtp_frame frame;
    const char *name = NULL;
    size_t len = 0;

    if (f->script.len == 0) {
        add_handshake(&f->script, server_of(type));
    }
    start_peer(f, type, "127.0.0.1");
    DRIVE_UNTIL(f, link_peer_can_send(f->p));
    DRIVE_UNTIL(f, heard(f, &frame));
    assert_int_equal(zmtp_ready_type(&frame, &name, &len), NHUB_OK);
    assert_int_equal(len, strlen(type == LINK_PEER_SUB ? "SUB" : "DEALER"));
    assert_memory_equal(name, type == LINK_PEER_SUB ? "SUB" : "DEALER", len);
    if (type == LINK_PEER_SUB) {
        DRIVE_UNTIL(f, heard(f, &frame));
        assert_true(is_text(&frame, "\1") && !frame.more && !frame.is_command);
    }
}

static inline void say(struct fixture *f, const struct buf *bytes)
{
    assert_false(bytes->failed);
    buf_add(&f->to_say, bytes->data, bytes->len);
    serve(f);
}

/* Says a message of one frame. */
static inline void say_text(struct fixture *f, const char *text)
{
    add_text(&f->to_say, LAST, text);
    serve(f);
}

/* The next thing the server hears is this request. */
static inline void expect_heard(struct fixture *f, const void *bytes, size_t len)
{
    struct zmtp_frame frame;

    DRIVE_UNTIL(f, heard(f, &frame));
    assert_false(frame.more || frame.is_command);
    assert_true(is_frame(&frame, bytes, len));
}

/* No request is taken, and that is told. */
static inline bool is_refusing(struct fixture *f)
{
    return !link_peer_can_send(f->p) && request(f, "refused", 7) == NHUB_EAGAIN;
}

/* Steps that let whatever must not happen happen. */
static inline void let_time_pass(struct fixture *f)
{
    for (int i = 0; i < 10; i++) {
        step(f);
    }
}

/* ---- a fresh one for each test ---- */

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct net_address address = {.host = "127.0.0.1"};

    assert_non_null(f);
    log_set_level(LOG_LEVEL_ERROR);
    f->want_in = true;
    f->conn = -1;
    assert_int_equal(net_listen(&address, 16, &f->listener, &f->port), NHUB_OK);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    link_peer_destroy(&f->p);
    assert_null(f->p);
    hang_up(f, false);
    if (f->listener >= 0) {
        assert_int_equal(close(f->listener), 0);
    }
    buf_fini(&f->script);
    buf_fini(&f->to_say);
    buf_fini(&f->received);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
