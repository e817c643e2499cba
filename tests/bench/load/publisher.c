/*
 * publisher: one process that publishes at a rate, or as fast as a window of undelivered events
 * lets, in the way of each system.
 */
#include "load.h"

#include "base/zsock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 4096
/* The average says little of those whom the receiving side reads last. */
#define SLOWEST_WINDOWS 4
#define STALL_NS        1000000000 /* a window that does not move for so long is given up */

/* A connection with at most one request under way (HTTP), or a stream of frames. */
struct line {
    int fd;
    bool is_busy;
    size_t carries; /* events of the request under way */
    char answer[ANSWER_MAX];
    size_t len;
};

static struct shared *shared;
static struct line *lines;
static struct zctx *context;
static struct zsock *push;
static char *body; /* a request, head and events */
static size_t body_size;

static char hex(unsigned digit)
{
    return "0123456789abcdef"[digit & 15];
}

void payload_write(char *out, uint64_t number, int64_t at_ns)
{
    const char *head = options.subscriber == SUB_RAW ? "" : "{\"m\":\"";
    const char *middle = options.subscriber == SUB_RAW ? "" : "\",\"p\":\"";
    const char *tail = options.subscriber == SUB_RAW ? "" : "\"}";
    char *p = out;
    size_t pad = options.size - MARK_LEN - strlen(head) - strlen(middle) - strlen(tail);

    p = stpcpy(p, head);
    *p++ = '^';
    for (int shift = 60; shift >= 0; shift -= 4) {
        *p++ = hex((unsigned)((uint64_t)at_ns >> shift));
    }
    for (int shift = 28; shift >= 0; shift -= 4) {
        *p++ = hex((unsigned)(number >> shift));
    }
    *p++ = '^';
    p = stpcpy(p, middle);
    memset(p, 'x', pad);
    memcpy(p + pad, tail, strlen(tail));
}

/* One event's body: before, payload, after. */
static size_t event_write(char *out, uint64_t number)
{
    const char *hash = options.types > 0 ? strchr(options.before, '#') : NULL;
    char *p;

    if (hash) {
        p = mempcpy(out, options.before, (size_t)(hash - options.before));
        for (uint64_t rest = number % options.types, scale = 10000000; scale > 0; scale /= 10) {
            *p++ = (char)('0' + rest / scale % 10);
        }
        p = stpcpy(p, hash + 1);
    } else {
        p = stpcpy(out, options.before);
    }
    payload_write(p, number, now_ns());
    p = stpcpy(p + options.size, options.after);
    return (size_t)(p - out);
}

static void count_published(uint64_t n)
{
    const int64_t now = now_ns();

    if (atomic_load_explicit(&shared->published, memory_order_relaxed) == 0) {
        atomic_store(&shared->first_ns, now);
    }
    atomic_store(&shared->last_ns, now);
    atomic_fetch_add(&shared->published, n);
}

/* ---- HTTP ---- */

static void http_send(struct line *l, uint64_t number, size_t count)
{
    char head[512];
    const size_t reserve = sizeof head;
    size_t len = 0;
    int n;

    for (size_t i = 0; i < count; i++) {
        len += event_write(body + reserve + len, number + i);
        if (options.per_request > 1) {
            body[reserve + len++] = '\n';
        }
    }
    n = snprintf(head, sizeof head,
                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: %s\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 options.pub_path, (unsigned)options.pub_port, options.content_type, len);
    memcpy(body + reserve - n, head, (size_t)n); /* the head right in front of the body: one send */
    send_all(l->fd, body + reserve - n, (size_t)n + len);
    l->is_busy = true;
    l->carries = count;
}

/* Reads an answer as far as it is there. */
static void http_read(struct line *l)
{
    const ssize_t n = recv(l->fd, l->answer + l->len, sizeof l->answer - 1 - l->len, MSG_DONTWAIT);
    const char *end;
    const char *length;
    size_t body_len = 0;

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        die("the server closed a publisher's connection");
    }
    if (n < 0) {
        return;
    }
    l->len += (size_t)n;
    l->answer[l->len] = '\0';
    end = strstr(l->answer, "\r\n\r\n");
    if (!end) {
        return;
    }
    length = strcasestr(l->answer, "\r\ncontent-length:");
    if (length && length < end) {
        body_len = strtoul(length + 17, NULL, 10);
    }
    if (l->len < (size_t)(end + 4 - l->answer) + body_len) {
        return;
    }
    if (l->answer[9] == '2') {
        atomic_fetch_add(&shared->accepted, l->carries);
    } else {
        atomic_fetch_add(&shared->refused, l->carries);
    }
    l->len = 0;
    l->is_busy = false;
}

/* ---- streams of frames ---- */

static size_t frame_write(char *out, uint64_t number)
{
    char event[65536];
    const size_t len = event_write(event, number);

    switch (options.publisher) {
    case PUB_WS:
        return wire_ws_frame(out, 1, event, len);
    case PUB_MQTT:
        return wire_mqtt_publish(out, options.pub_topic, event, len);
    case PUB_NATS:
        return (size_t)sprintf(out, "PUB %s %zu\r\n%.*s\r\n", options.pub_topic, len, (int)len,
                               event);
    default:
        memcpy(out, event, len);
        return len;
    }
}

static void stream_send(uint64_t number, size_t count)
{
    size_t len = 0;

    if (options.publisher == PUB_ZMQ) {
        for (size_t i = 0; i < count; i++) {
            const size_t n = event_write(body, number + i);

            while (zsock_send_bytes(push, body, n, false) != NHUB_OK) {
                (void)usleep(50);
            }
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        len += frame_write(body + len, number + i);
    }
    send_all(lines[0].fd, body, len);
}

/* Answers of a WebSocket, PONGs of NATS: read so that the server does not wait; {"op":"published"
 * is counted. */
static void stream_read(struct line *l)
{
    static char bytes[65536];
    const ssize_t n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    for (const char *p = bytes; n > 0 && options.publisher == PUB_WS; p++) {
        p = memmem(p, (size_t)(bytes + n - p), "\"published\"", 11);
        if (!p) {
            break;
        }
        atomic_fetch_add(&shared->accepted, 1);
    }
    if (n > 4 && options.publisher == PUB_NATS && memcmp(bytes, "PING", 4) == 0) {
        send_all(l->fd, "PONG\r\n", 6);
    }
}

static void open_stream(struct line *l)
{
    char bytes[512];
    char answer[4096];
    size_t len = 0;

    if (options.publisher == PUB_MQTT) {
        len = wire_mqtt_connect(bytes, "bench-publisher");
    } else if (options.publisher == PUB_NATS) {
        len = (size_t)sprintf(bytes, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    } else if (options.publisher == PUB_WS) {
        len = (size_t)sprintf(bytes,
                              "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                              options.pub_path, (unsigned)options.pub_port);
    }
    if (len > 0) {
        send_all(l->fd, bytes, len);
        if (recv(l->fd, answer, sizeof answer, 0) <= 0) {
            die("the publisher was refused");
        }
    }
}

/* ---- the run ---- */

static void open_all(void)
{
    const struct zsock_options push_options = {
        .sndhwm = 10000, .rcvhwm = 1000, .linger_ms = 1000, .max_msg_bytes = -1};

    body_size = 1024 + (options.per_request > 256 ? options.per_request : 256) *
                           (options.size + strlen(options.before) + strlen(options.after) + 256);
    body = malloc(body_size);
    lines = calloc(options.pub_connections, sizeof *lines);
    if (!body || !lines) {
        die("out of memory");
    }
    if (options.publisher == PUB_ZMQ) {
        if (zctx_create(&context) || zsock_create(&push, context, ZSOCK_PUSH, &push_options) ||
            zsock_connect(push, "127.0.0.1", options.pub_port)) {
            die("cannot connect to the collector");
        }
        return;
    }
    for (size_t i = 0; i < options.pub_connections; i++) {
        lines[i].fd = tcp_connect(options.pub_port);
        if (options.publisher != PUB_HTTP) {
            open_stream(&lines[i]);
        }
    }
}

/* How many events may go out now. */
static uint64_t allowed(int64_t start_ns)
{
    const uint64_t published = atomic_load(&shared->published);
    const int64_t now = now_ns();
    uint64_t room = 256;

    if (atomic_load(&shared->stop) || (options.events > 0 && published >= options.events) ||
        (options.seconds > 0 && (double)(now - start_ns) > options.seconds * 1e9)) {
        return UINT64_MAX; /* the end */
    }
    if (options.rate > 0) {
        const uint64_t due = (uint64_t)((double)(now - start_ns) * (double)options.rate / 1e9) + 1;

        room = due > published ? due - published : 0;
    } else if (options.window > 0 && options.subscribers > 0) {
        const uint64_t delivered = atomic_load(&shared->delivered) / options.subscribers;
        const uint64_t slowest = atomic_load(&shared->slowest);
        const uint64_t behind = slowest < published ? published - slowest : 0;
        static uint64_t given_up;
        static uint64_t given_up_slow;
        static uint64_t last_delivered;
        static int64_t moved_ns;

        if (delivered != last_delivered || moved_ns == 0) {
            last_delivered = delivered;
            moved_ns = now;
        } else if (now - moved_ns > STALL_NS && published > delivered + given_up) {
            given_up = published - delivered; /* lost; the run goes on */
            given_up_slow = behind;
            moved_ns = now;
        }
        room = published - (delivered + given_up) < options.window
                   ? options.window - (published - (delivered + given_up))
                   : 0;
        if (options.subscriber != SUB_ZMQ &&
            behind >= given_up_slow + SLOWEST_WINDOWS * options.window) {
            room = 0;
        }
    }
    if (options.events > 0 && room > options.events - published) {
        room = options.events - published;
    }
    return room;
}

/* Sends on free connections; returns how many events went out. */
static uint64_t publish_http(uint64_t room)
{
    static size_t next;
    uint64_t sent = 0;

    for (size_t i = 0; i < options.pub_connections && sent < room; i++) {
        struct line *l = &lines[(next + i) % options.pub_connections];
        const uint64_t count =
            room - sent < options.per_request ? room - sent : options.per_request;

        /* Requests are full; only a fixed number of events may end with a smaller one. */
        if (count < options.per_request && options.events == 0) {
            break;
        }
        if (!l->is_busy) {
            const uint64_t number = atomic_load(&shared->published);

            count_published(count); /* before it is sent: nothing arrives uncounted */
            http_send(l, number, (size_t)count);
            sent += count;
        }
    }
    next = (next + 1) % options.pub_connections;
    return sent;
}

static void read_answers(int wait_ms)
{
    struct pollfd *polls = calloc(options.pub_connections, sizeof *polls);

    if (!polls) {
        die("out of memory");
    }
    for (size_t i = 0; i < options.pub_connections; i++) {
        polls[i] = (struct pollfd){.fd = options.publisher == PUB_ZMQ ? -1 : lines[i].fd,
                                   .events = POLLIN};
    }
    if (poll(polls, options.pub_connections, wait_ms) > 0) {
        for (size_t i = 0; i < options.pub_connections; i++) {
            if (polls[i].revents && options.publisher == PUB_HTTP) {
                http_read(&lines[i]);
            } else if (polls[i].revents) {
                stream_read(&lines[i]);
            }
        }
    }
    free(polls);
}

static bool is_busy(void)
{
    for (size_t i = 0; i < options.pub_connections; i++) {
        if (lines[i].is_busy) {
            return true;
        }
    }
    return options.publisher == PUB_WS &&
           atomic_load(&shared->accepted) < atomic_load(&shared->published);
}

static void run(void)
{
    const int64_t start_ns = now_ns();
    uint64_t room;

    while ((room = allowed(start_ns)) != UINT64_MAX) {
        uint64_t sent = 0;

        if (options.publisher == PUB_HTTP) {
            sent = publish_http(room);
        } else if (room > 0) {
            sent = room < 256 ? room : 256;
            const uint64_t number = atomic_load(&shared->published);

            count_published(sent);
            stream_send(number, (size_t)sent);
        }
        /* A paced publisher sleeps until the next event is due, within a tenth of its distance. */
        if (sent == 0 && options.rate > 0 && !is_busy()) {
            const int64_t step = (int64_t)(1e8 / (double)options.rate);
            const struct timespec pause = {.tv_nsec = step < 50000     ? 50000
                                                      : step > 1000000 ? 1000000
                                                                       : step};

            (void)nanosleep(&pause, NULL);
        } else {
            read_answers(sent == 0 ? 1 : 0);
        }
    }
    for (const int64_t end = now_ns() + 3000000000; is_busy() && now_ns() < end;) {
        read_answers(10);
    }
}

pid_t publisher_start(struct shared *memory, int *out_go)
{
    int go[2];
    pid_t pid;
    char byte;

    if (pipe(go) != 0 || (pid = fork()) < 0) {
        die("cannot start the publisher");
    }
    if (pid > 0) {
        (void)close(go[0]);
        *out_go = go[1];
        return pid;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close(go[1]);
    shared = memory;
    open_all();
    if (read(go[0], &byte, 1) == 1) {
        const int64_t cpu_ns = own_cpu_ns();

        run();
        atomic_store(&shared->publisher_cpu_ns, (uint64_t)(own_cpu_ns() - cpu_ns));
    }
    zsock_destroy(&push);
    zctx_destroy(&context);
    atomic_store(&shared->is_over, true);
    _exit(0);
}
