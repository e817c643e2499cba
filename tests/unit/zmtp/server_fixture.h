/*
 * server_fixture: a server of the hub, its owner's loop, and peers that say exactly the bytes that
 * a test gives them and read as fast as it wants; all of it in the test's thread. Included by one
 * file of each test program.
 */
#ifndef TESTS_SERVER_FIXTURE_H
#define TESTS_SERVER_FIXTURE_H

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "exact_copy.h"
#include "zmtp/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT_MS = 20000, STEP_MS = 5, PEERS_MAX = 256 };
/* The first byte of a frame (23/ZMTP, "Framing"). */
enum { LAST = 0, MORE = 1, LONG = 2, COMMAND = 4 };

/* Somebody at the other end. */
struct peer {
    int fd;            /* -1 = none */
    bool is_deaf;      /* it does not read */
    bool is_over;      /* the server has ended the connection */
    size_t most;       /* bytes that it reads in a step; 0 = all there are */
    struct buf to_say; /* not sent yet */
    struct buf received;
    size_t parsed;
};

/* A frame that the server gave out. */
struct taken {
    uint64_t id;
    struct zmtp_frame frame; /* its bytes are a copy */
};

struct fixture {
    struct zserver_options options;
    struct zserver *s;
    uint16_t port;
    struct peer peers[PEERS_MAX];
    size_t peer_count;
    struct taken *taken;
    size_t taken_count, taken_cap;
    size_t looked_at; /* of what was taken, by expect_taken() */
    bool is_busy;     /* the owner does not ask for messages */
    int log_fd;
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

/* ---- bytes ---- */

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

/* As libzmq 4.3 sends it, or another version or mechanism. */
static inline void add_greeting(struct buf *b, char version, const char *mechanism)
{
    unsigned char greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f};

    greeting[10] = (unsigned char)version;
    greeting[11] = 1; /* the minor version */
    memcpy(greeting + 12, mechanism, strlen(mechanism));
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

/* ---- peers ---- */

static inline struct peer *dial_with(struct fixture *f, int receive_buffer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    struct peer *p = &f->peers[f->peer_count++];

    assert_true(f->peer_count <= PEERS_MAX);
    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(p->fd >= 0);
    if (receive_buffer > 0) {
        assert_int_equal(
            setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer), 0);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&address, sizeof address), 0);
    net_set_stream_options(p->fd, 30);
    return p;
}

static inline struct peer *dial(struct fixture *f)
{
    return dial_with(f, 0);
}

static inline void hang_up(struct peer *p, bool is_rude)
{
    const struct linger rude = {.l_onoff = 1, .l_linger = 0};

    if (p->fd >= 0) {
        if (is_rude) { /* a reset, not an end */
            assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &rude, sizeof rude), 0);
        }
        assert_int_equal(close(p->fd), 0);
        p->fd = -1;
    }
}

static inline void speak(struct peer *p)
{
    size_t taken = 0;

    if (p->fd < 0 || p->to_say.len == 0) {
        return;
    }
    if (net_send(p->fd, p->to_say.data, p->to_say.len, &taken)) {
        buf_consume(&p->to_say, taken);
    } else {
        buf_reset(&p->to_say);
    }
}

static inline void hear(struct peer *p)
{
    const size_t most = p->most > 0 ? p->most : 65536;
    ssize_t n = 0;

    if (p->fd < 0 || p->is_deaf || p->is_over) {
        return;
    }
    do {
        assert_int_equal(buf_reserve(&p->received, most), NHUB_OK);
        n = recv(p->fd, p->received.data + p->received.len, most, MSG_DONTWAIT);
        p->received.len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && p->most == 0);
    p->is_over = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

/* The next frame that the peer received. */
static inline bool heard(struct peer *p, struct zmtp_frame *out)
{
    size_t used = 0;

    if (p->parsed == 0) {
        if (p->received.len < ZMTP_GREETING_LEN) {
            return false;
        }
        p->parsed = ZMTP_GREETING_LEN;
    }
    if (zmtp_frame_read(p->received.data + p->parsed, p->received.len - p->parsed, SIZE_MAX, out,
                        &used) != NHUB_OK) {
        return false;
    }
    p->parsed += used;
    return true;
}

static inline void say(struct peer *p, const struct buf *bytes)
{
    assert_false(bytes->failed);
    buf_add(&p->to_say, bytes->data, bytes->len);
    speak(p);
}

/* Says a message of one frame. */
static inline void say_text(struct peer *p, const char *text)
{
    add_text(&p->to_say, LAST, text);
    speak(p);
}

/* ---- the owner's loop ---- */

static inline bool is_frame(const struct zmtp_frame *frame, const void *bytes, size_t len)
{
    return frame->len == len && (len == 0 || memcmp(frame->bytes, bytes, len) == 0);
}

static inline bool is_text(const struct zmtp_frame *frame, const char *text)
{
    return is_frame(frame, text, strlen(text));
}

static inline bool take(struct fixture *f)
{
    struct zpeer *peer = NULL;
    struct zmtp_frame frame;
    const nhub_err err = zserver_next(f->s, &peer, &frame);

    if (err != NHUB_OK) {
        assert_int_equal(err, NHUB_EAGAIN);
        assert_false(zserver_is_busy(f->s));
        return false;
    }
    assert_false(frame.is_command);
    if (f->taken_count == f->taken_cap) {
        f->taken_cap = f->taken_cap == 0 ? 1024 : f->taken_cap * 2;
        f->taken = realloc(f->taken, f->taken_cap * sizeof *f->taken);
        assert_non_null(f->taken);
    }
    f->taken[f->taken_count] = (struct taken){.id = zpeer_id(peer), .frame = frame};
    f->taken[f->taken_count++].frame.bytes = exact_copy(frame.bytes, frame.len);
    return true;
}

static inline void serve(struct fixture *f)
{
    if (!f->s) {
        return;
    }
    zserver_turn(f->s);
    while (!f->is_busy && take(f)) {
    }
    zserver_flush(f->s);
}

/* Waits until somebody has something to do. */
static inline void wait_a_moment(const struct fixture *f)
{
    struct pollfd items[PEERS_MAX + 1];
    nfds_t count = 0;

    items[count++] = (struct pollfd){.fd = f->s ? zserver_fd(f->s) : -1, .events = POLLIN};
    for (size_t i = 0; i < f->peer_count; i++) {
        const struct peer *p = &f->peers[i];
        const short out = p->to_say.len > 0 ? POLLOUT : 0;
        const short in = p->is_deaf ? 0 : POLLIN;

        if (p->fd >= 0 && !p->is_over && (in || out)) {
            items[count++] = (struct pollfd){.fd = p->fd, .events = (short)(in | out)};
        }
    }
    NHUB_IGNORE(poll(items, count, f->is_busy ? 0 : STEP_MS) < 0);
}

static inline void step(struct fixture *f)
{
    serve(f);
    wait_a_moment(f);
    for (size_t i = 0; i < f->peer_count; i++) {
        speak(&f->peers[i]);
        hear(&f->peers[i]);
    }
}

/* Steps that let whatever must not happen happen. */
static inline void let_time_pass(struct fixture *f)
{
    for (int i = 0; i < 10; i++) {
        step(f);
    }
}

/* ---- what tests do ---- */

static inline const struct zserver_counts *counts(const struct fixture *f)
{
    return zserver_counts(f->s);
}

static inline void start(struct fixture *f, enum zserver_type type)
{
    f->options.type = type;
    assert_int_equal(zserver_create(&f->s, &f->options, &f->port), NHUB_OK);
    assert_true(f->port > 0);
}

static inline const char *type_of_peer(const struct fixture *f)
{
    static const char *const types[] = {
        [ZSERVER_PULL] = "PUSH", [ZSERVER_PUB] = "SUB", [ZSERVER_ROUTER] = "DEALER"};

    return types[f->options.type];
}

/* Waits for the server's half of the handshake. */
static inline void expect_ready(struct fixture *f, struct peer *p)
{
    static const char *const types[] = {
        [ZSERVER_PULL] = "PULL", [ZSERVER_PUB] = "XPUB", [ZSERVER_ROUTER] = "ROUTER"};
    const char *wanted = types[f->options.type];
    struct zmtp_frame frame;
    const char *type = NULL;
    size_t len = 0;

    DRIVE_UNTIL(f, heard(p, &frame));
    assert_int_equal(zmtp_greeting_check(p->received.data, p->received.len), NHUB_OK);
    assert_int_equal(zmtp_ready_type(&frame, &type, &len), NHUB_OK);
    assert_int_equal(len, strlen(wanted));
    assert_memory_equal(type, wanted, len);
}

static inline struct peer *open_with(struct fixture *f, int receive_buffer)
{
    struct peer *p = dial_with(f, receive_buffer);

    add_handshake(&p->to_say, type_of_peer(f));
    expect_ready(f, p);
    return p;
}

static inline struct peer *open_peer(struct fixture *f)
{
    return open_with(f, 0);
}

/* The next frame that the server gives out. */
static inline const struct taken *next_taken(struct fixture *f)
{
    DRIVE_UNTIL(f, f->taken_count > f->looked_at);
    return &f->taken[f->looked_at++];
}

static inline uint64_t expect_taken(struct fixture *f, const void *bytes, size_t len, bool more)
{
    const struct taken *t = next_taken(f);

    assert_true(is_frame(&t->frame, bytes, len));
    assert_int_equal(t->frame.more, more);
    return t->id;
}

static inline uint64_t expect_text(struct fixture *f, const char *text, bool more)
{
    return expect_taken(f, text, strlen(text), more);
}

/* What was logged so far contains the text. */
static inline bool was_logged(const struct fixture *f, const char *text)
{
    char all[65536];
    const ssize_t n = pread(f->log_fd, all, sizeof all, 0);

    return n > 0 && memmem(all, (size_t)n, text, strlen(text)) != NULL;
}

/* The connection ends, and so do all traces of it. */
static inline void expect_cut(struct fixture *f, struct peer *p)
{
    DRIVE_UNTIL(f, p->is_over);
}

/* ---- a fresh one for each test ---- */

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->options = (struct zserver_options){
        .host = "127.0.0.1", .message_max = 1 << 20, .block_bytes = 64 << 10, .queue_max = 100000};
    f->log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(f->log_fd >= 0);
    for (size_t i = 0; i < PEERS_MAX; i++) {
        f->peers[i].fd = -1;
    }
    log_open("test", f->log_fd, LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    *state = f;
    return 0;
}

static inline void forget_taken(struct fixture *f)
{
    for (size_t i = 0; i < f->taken_count; i++) {
        free((void *)(uintptr_t)f->taken[i].frame.bytes);
    }
    free(f->taken);
    f->taken = NULL;
    f->taken_count = f->taken_cap = f->looked_at = 0;
}

static inline void forget_peers(struct fixture *f)
{
    for (size_t i = 0; i < f->peer_count; i++) {
        hang_up(&f->peers[i], false);
        buf_fini(&f->peers[i].to_say);
        buf_fini(&f->peers[i].received);
    }
    f->peer_count = 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    zserver_destroy(&f->s);
    assert_null(f->s);
    forget_peers(f);
    forget_taken(f);
    assert_int_equal(close(f->log_fd), 0);
    log_open("test", 2, LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
