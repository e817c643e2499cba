/*
 * subscribers: one epoll thread that connects many subscribers and finds the marks in what they
 * get.
 *
 * Finding is cheap: events of a run have one length, so the next mark is expected where the last
 * one's distance says, and searched for only when it is not there.
 */
#include "load.h"

#include "base/zsock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (256 * 1024)
#define HEAD_MAX  8192
#define TELL_NS   1000000

enum state { CONNECTING, OPENING, GREETING, READY, CLOSED };

struct subscriber {
    int fd;
    enum state state;
    size_t hello_step;
    size_t frames; /* of the server, before it is ready */
    uint64_t next; /* the number expected now */
    char carry[MARK_LEN];
    size_t carried;
    char *head; /* while opening */
    size_t head_len;
};

struct subscribers {
    struct subscriber *all;
    int epoll_fd;
    size_t started, ready;
    size_t stride;        /* bytes from a mark to the next */
    int64_t note_from_ns; /* latencies of earlier events are the warm-up's */
    int64_t told_ns;      /* when the publisher was told of the slowest */
    struct tally tally;
    struct zctx *context; /* SUB_ZMQ */
    struct zsock *sub;
};

static char bytes[MARK_LEN + READ_SIZE];

/* ---- latencies ---- */

void latencies_add(struct latencies *l, int64_t ns)
{
    const uint64_t v = ns > 0 ? (uint64_t)ns / 125 : 0; /* eighths of a microsecond */
    const unsigned log = v < 64 ? 0 : (unsigned)(63 - __builtin_clzll(v)) - 5;
    const uint64_t index = v < 64 ? v : (uint64_t)log * 64 + ((v >> (log - 1)) & 63);
    const uint64_t last = sizeof l->counts / sizeof l->counts[0] - 1;

    l->counts[index < last ? index : last]++;
    l->total++;
}

double latencies_quantile(const struct latencies *l, double q)
{
    const uint64_t wanted = (uint64_t)((double)l->total * q);
    uint64_t seen = 0;

    for (size_t i = 0; i < sizeof l->counts / sizeof l->counts[0]; i++) {
        seen += l->counts[i];
        if (seen > wanted) {
            const unsigned log = (unsigned)(i / 64);
            const double v = log == 0 ? (double)i : (double)((64 + (uint64_t)i % 64) << (log - 1));

            return v / 8;
        }
    }
    return 0;
}

/* ---- marks ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool mark_read(const char *p, int64_t *at_ns, uint64_t *number)
{
    uint64_t a = 0;
    uint64_t b = 0;

    if (p[0] != '^' || p[MARK_LEN - 1] != '^') {
        return false;
    }
    for (int i = 1; i <= 16; i++) {
        const int d = digit(p[i]);

        if (d < 0) {
            return false;
        }
        a = a << 4 | (unsigned)d;
    }
    for (int i = 17; i <= 24; i++) {
        const int d = digit(p[i]);

        if (d < 0) {
            return false;
        }
        b = b << 4 | (unsigned)d;
    }
    *at_ns = (int64_t)a;
    *number = b;
    return true;
}

static void count(struct subscribers *s, struct subscriber *c, uint64_t number, int64_t at_ns,
                  int64_t now)
{
    s->tally.delivered++;
    if (number < c->next) {
        s->tally.out_of_order++;
    }
    if (number + 1 == c->next) {
        s->tally.duplicates++;
    }
    if (number >= c->next) {
        c->next = number + 1;
    }
    if (at_ns >= s->note_from_ns) {
        latencies_add(&s->tally.latencies, now - at_ns);
    }
}

/* Takes the marks of what one read brought, and keeps what may be the beginning of one. */
static void take(struct subscribers *s, struct subscriber *c, const char *at, size_t len,
                 int64_t now)
{
    const char *end = at + len;

    c->carried = 0;
    while (at && (at = memchr(at, '^', (size_t)(end - at))) != NULL) {
        int64_t at_ns;
        uint64_t number;

        if (end - at < MARK_LEN) {
            c->carried = (size_t)(end - at);
            memcpy(c->carry, at, c->carried);
            return;
        }
        if (!mark_read(at, &at_ns, &number)) {
            at++;
            continue;
        }
        count(s, c, number, at_ns, now);
        if ((size_t)(end - at) > s->stride && at[s->stride] == '^' && s->stride > 0) {
            at += s->stride;
        } else {
            const char *next = memchr(at + MARK_LEN, '^', (size_t)(end - at - MARK_LEN));

            s->stride = next ? (size_t)(next - at) : s->stride;
            at = next;
        }
    }
}

/* ---- connecting ---- */

static void watch(struct subscribers *s, size_t i, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.u64 = i};

    if (epoll_ctl(s->epoll_fd, how, s->all[i].fd, &event) != 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
}

static void begin(struct subscribers *s, size_t i)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(options.sub_port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct subscriber *c = &s->all[i];
    const int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || (connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
                      errno != EINPROGRESS)) {
        die("cannot connect subscriber %zu: %s", i, strerror(errno));
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->state = CONNECTING;
    watch(s, i, EPOLLOUT, EPOLL_CTL_ADD);
}

static void become_ready(struct subscribers *s, struct subscriber *c)
{
    c->state = READY;
    s->ready++;
    free(c->head);
    c->head = NULL;
}

static void send_hello(struct subscriber *c)
{
    char out[1024];
    const size_t len = wire_hello(out, sizeof out, c->hello_step);

    if (len > 0) {
        send_all(c->fd, out, len);
        c->hello_step++;
    }
}

/* Counts the server's frames in head, which begins with one; returns the bytes of whole ones. */
static size_t count_frames(struct subscriber *c)
{
    size_t at = 0;

    while (c->head_len - at >= 2) {
        const unsigned char *p = (const unsigned char *)c->head + at;
        size_t len = p[1] & 127;
        size_t head = 2;

        if (len == 126) {
            head = 4;
            len = c->head_len - at >= 4 ? (size_t)p[2] << 8 | p[3] : SIZE_MAX / 2;
        }
        if (c->head_len - at < head + len) {
            break;
        }
        at += head + len;
        c->frames++;
        send_hello(c);
    }
    return at;
}

/* Goes on with the opening after bytes came. */
static void greet(struct subscribers *s, struct subscriber *c)
{
    if (c->state == OPENING) {
        const char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
        const char *expected = options.subscriber == SUB_SSE ? "200" : "101";
        const size_t len = end ? (size_t)(end + 4 - c->head) : 0;

        if (!end) {
            return;
        }
        if (memcmp(c->head + 9, expected, 3) != 0) {
            die("a subscriber was refused: %.*s", (int)c->head_len, c->head);
        }
        memmove(c->head, c->head + len, c->head_len - len);
        c->head_len -= len;
        c->state = GREETING;
        if (options.subscriber != SUB_NATS_WS) { /* there the server speaks first */
            send_hello(c);
        }
    }
    if (options.subscriber != SUB_SSE) {
        const size_t used = count_frames(c);

        memmove(c->head, c->head + used, c->head_len - used);
        c->head_len -= used;
    }
    if (c->frames >= options.ready_frames) {
        become_ready(s, c);
    }
}

static void read_head(struct subscribers *s, struct subscriber *c)
{
    const ssize_t n = recv(c->fd, c->head + c->head_len, HEAD_MAX - c->head_len, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        die("the server closed a subscriber that was opening: %.*s", (int)c->head_len, c->head);
    }
    if (n > 0) {
        c->head_len += (size_t)n;
        greet(s, c);
    }
}

static void finish_connect(struct subscribers *s, size_t i)
{
    struct subscriber *c = &s->all[i];
    char request[1024];
    int error = 0;
    socklen_t len = sizeof error;
    const size_t n = wire_open(request, sizeof request);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        die("cannot connect subscriber %zu: %s", i, strerror(error));
    }
    watch(s, i, EPOLLIN, EPOLL_CTL_MOD);
    if (n == 0) {
        become_ready(s, c);
        return;
    }
    c->head = malloc(HEAD_MAX);
    if (!c->head) {
        die("out of memory");
    }
    send_all(c->fd, request, n);
    c->state = OPENING;
}

static void subscribe_zmq(struct zsock *sub)
{
    char topic[256];

    for (size_t i = 0; i < (options.filters > 0 ? options.filters : 1); i++) {
        const int n = options.filters > 0
                          ? snprintf(topic, sizeof topic, "%s%07zu", options.sub_topic, i)
                          : snprintf(topic, sizeof topic, "%s", options.sub_topic);

        if (zsock_subscribe(sub, topic, (size_t)n) != NHUB_OK) {
            die("cannot subscribe");
        }
    }
}

static struct subscribers *open_zmq(struct subscribers *s)
{
    const struct zsock_options sub_options = {.sndhwm = 100000, /* of subscriptions */
                                              .rcvhwm = 1000000,
                                              .linger_ms = 0,
                                              .max_msg_bytes = -1};

    s->all = calloc(1, sizeof *s->all);
    if (!s->all || zctx_create(&s->context) ||
        zsock_create(&s->sub, s->context, ZSOCK_SUB, &sub_options) ||
        zsock_connect(s->sub, "127.0.0.1", options.sub_port)) {
        die("cannot subscribe");
    }
    subscribe_zmq(s->sub);
    (void)usleep(500000); /* a SUB does not tell when its subscription has arrived */
    return s;
}

struct subscribers *subscribers_open(double *out_seconds)
{
    struct subscribers *s = calloc(1, sizeof *s);
    const int64_t start_ns = now_ns();
    struct epoll_event ready[256];

    if (!s) {
        die("out of memory");
    }
    *out_seconds = 0;
    if (options.subscriber == SUB_ZMQ) {
        return open_zmq(s);
    }
    s->all = calloc(options.subscribers + 1, sizeof *s->all);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!s->all || s->epoll_fd < 0) {
        die("cannot start the subscribers");
    }
    while (s->ready < options.subscribers) {
        while (s->started < options.subscribers && s->started - s->ready < options.connecting) {
            begin(s, s->started++);
        }
        const int n = epoll_wait(s->epoll_fd, ready, 256, 20000);

        if (n <= 0) {
            die("%zu of %zu subscribers are ready, and nothing happens", s->ready,
                options.subscribers);
        }
        for (int i = 0; i < n; i++) {
            struct subscriber *c = &s->all[ready[i].data.u64];

            if (c->state == CONNECTING) {
                finish_connect(s, ready[i].data.u64);
            } else if (c->state != READY) {
                read_head(s, c);
            }
        }
    }
    *out_seconds = (double)(now_ns() - start_ns) / 1e9;
    return s;
}

/* ---- receiving ---- */

static void turn_zmq(struct subscribers *s, int wait_ms)
{
    struct zpoll_item item = {.sock = s->sub, .want_in = true};
    struct zframe frame;
    size_t ready;
    const int64_t now = now_ns();

    if (!zsock_readable(s->sub)) {
        NHUB_IGNORE(zpoll_wait(&item, 1, wait_ms, &ready)); /* a time-out is no event */
    }
    zframe_init(&frame);
    for (int i = 0; i < 1000 && zsock_recv(s->sub, &frame) == NHUB_OK; i++) {
        const size_t len = zframe_size(&frame);

        s->tally.bytes += len;
        if (!zframe_more(&frame)) { /* behind the topic */
            char *data = zframe_data(&frame);

            s->tally.reads++;
            take(s, &s->all[0], data, len, i == 0 ? now : now_ns());
        }
    }
    zframe_close(&frame);
}

static void turn_tcp(struct subscribers *s, int wait_ms)
{
    struct epoll_event ready[256];
    const int n = epoll_wait(s->epoll_fd, ready, 256, wait_ms);

    for (int i = 0; i < n; i++) {
        struct subscriber *c = &s->all[ready[i].data.u64];
        const size_t carried = c->carried;
        char *begin_at = bytes + MARK_LEN - carried;
        const ssize_t got = recv(c->fd, bytes + MARK_LEN, READ_SIZE, MSG_DONTWAIT);

        if (got > 0) {
            memcpy(begin_at, c->carry, carried);
            s->tally.reads++;
            s->tally.bytes += (uint64_t)got;
            take(s, c, begin_at, (size_t)got + carried, now_ns());
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            s->tally.closed++;
            (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
            c->state = CLOSED;
        }
    }
}

/* Now and then: the publisher's window depends on it. */
static void tell_slowest(struct subscribers *s, struct shared *shared)
{
    const int64_t now = now_ns();
    uint64_t slowest = UINT64_MAX;

    if (options.window == 0 || now < s->told_ns + TELL_NS) {
        return;
    }
    s->told_ns = now;
    for (size_t i = 0; i < s->started; i++) {
        const struct subscriber *c = &s->all[i];

        if (c->state != CLOSED && c->next < slowest) {
            slowest = c->next;
        }
    }
    atomic_store(&shared->slowest, slowest);
}

void subscribers_turn(struct subscribers *s, struct shared *shared, int wait_ms)
{
    const uint64_t before = s->tally.delivered;

    s->note_from_ns =
        (options.warm_s > 0 ? atomic_load(&shared->first_ns) + (int64_t)(options.warm_s * 1e9) : 0);
    if (options.subscriber == SUB_ZMQ) {
        turn_zmq(s, wait_ms);
    } else {
        turn_tcp(s, wait_ms);
        tell_slowest(s, shared);
    }
    if (s->tally.delivered != before) {
        s->tally.last_ns = now_ns();
        if (before == 0) {
            s->tally.first_ns = s->tally.last_ns;
        }
        atomic_fetch_add(&shared->delivered, s->tally.delivered - before);
    }
}

const struct tally *subscribers_tally(const struct subscribers *s)
{
    return &s->tally;
}

void subscribers_close(struct subscribers *s)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* RST: no TIME_WAIT is left */

    for (size_t i = 0; i < s->started; i++) {
        (void)setsockopt(s->all[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        (void)close(s->all[i].fd);
        free(s->all[i].head);
    }
    zsock_destroy(&s->sub);
    zctx_destroy(&s->context);
    free(s->all);
    free(s);
}
