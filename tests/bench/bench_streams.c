/*
 * bench_streams: many subscribers of one gateway, one publisher at the hub; CPU of the daemons for
 * each delivery.
 *
 *   bench_streams --http PORT --collector PORT --pid PID[,PID] [--door ws|sse] [--sessions N]
 *                 [--patterns same|distinct] [--events M] [--rate R] [--size BYTES]
 *
 * `same`: all sessions ask for event_type=bench. `distinct`: session i asks for bench and for
 * only-i, so that no two have the same set and yet each gets every event. Deliveries are counted by
 * the bytes "~^", which stand once in each event and never in a frame's head ('~' alone does: it is
 * the length 126), with the last byte of each read remembered. One JSON line with the figures goes
 * to stdout. Exit status 1 when something was lost or came twice, 2 for a usage or set-up error.
 */
#include "base/clock.h"
#include "base/net.h"
#include "base/zsock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARK     "~^"
#define MAX_PIDS 8
#define QUIET_MS 3000 /* nothing came for so long: what is missing counts as lost */

struct setup {
    uint16_t http_port, collector_port;
    pid_t pids[MAX_PIDS];
    size_t pid_count;
    bool ws, distinct;
    size_t sessions;
    uint64_t events;
    uint64_t rate; /* events a second, 0 = as fast as the sessions follow */
    size_t size;   /* bytes of payload */
};

static struct setup setup = {.ws = true, .sessions = 1000, .events = 500, .rate = 100, .size = 120};

static void die(const char *what)
{
    fprintf(stderr, "bench_streams: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(2);
}

/* CPU time of the daemons so far, in nanoseconds, by their process clocks. */
static int64_t daemons_cpu_ns(void)
{
    int64_t sum = 0;

    for (size_t i = 0; i < setup.pid_count; i++) {
        clockid_t clock_id;
        struct timespec ts;

        errno = clock_getcpuclockid(setup.pids[i], &clock_id);
        if (errno != 0 || clock_gettime(clock_id, &ts) != 0) {
            die("process clock");
        }
        sum += (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    }
    return sum;
}

static int open_session(size_t index)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(setup.http_port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[512];
    char only[64] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    if (setup.distinct) {
        (void)snprintf(only, sizeof only, "&event_type=only-%zu", index);
    }
    const int n = snprintf(
        request, sizeof request,
        "GET %s?event_type=bench%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n",
        setup.ws ? "/ws" : "/events/stream", only, (unsigned)setup.http_port,
        setup.ws ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 : "Accept: text/event-stream\r\n");
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        die("send");
    }
    return fd;
}

/* Waits until the session's stream has begun: the welcome of a WebSocket, the first block of SSE.
 */
static void wait_opened(int fd)
{
    char head[4096];
    size_t len = 0;

    for (;;) {
        const ssize_t n = recv(fd, head + len, sizeof head - 1 - len, 0);
        if (n <= 0) {
            die("session was refused");
        }
        len += (size_t)n;
        head[len] = '\0';
        if (strncmp(head, "HTTP/1.1 ", len < 9 ? len : 9) != 0) {
            die("no HTTP answer");
        }
        if (strstr(head, setup.ws ? "\"subscribed\"" : "retry:") != NULL) {
            return;
        }
        if (memmem(head, len, "\r\n\r\n", 4) &&
            strncmp(head + 9, setup.ws ? "101" : "200", 3) != 0) {
            errno = 0;
            die(head);
        }
        if (len >= sizeof head - 1) {
            die("answer is too long");
        }
    }
}

/* Marks in bytes; *last is the byte before them on the same connection, and is moved on. */
static uint64_t count_marks(const char *bytes, size_t len, char *last)
{
    const char *const end = bytes + len;
    const char *p = bytes;
    uint64_t count = *last == MARK[0] && bytes[0] == MARK[1] ? 1 : 0;

    while ((p = memchr(p, MARK[0], (size_t)(end - p))) != NULL) {
        p++;
        count += p < end && *p == MARK[1] ? 1 : 0;
    }
    *last = end[-1];
    return count;
}

static void publish(struct zsock *push, uint64_t seq)
{
    char text[4096];
    const int n =
        snprintf(text, sizeof text,
                 "{\"event_type\":\"bench\",\"source_service\":\"bench\",\"data\":{\"n\":%" PRIu64
                 ",\"mark\":\"%s\",\"pad\":\"%0*d\"}}",
                 seq, MARK, (int)setup.size, 0);

    while (zsock_send_bytes(push, text, (size_t)n, false) != NHUB_OK) {
        usleep(200);
    }
}

/* Reads what is there on all sessions for at most wait_ms; returns the deliveries seen. */
static uint64_t receive(int epoll_fd, const int *fds, char *last, int wait_ms)
{
    static char bytes[256 * 1024];
    struct epoll_event ready[256];
    uint64_t delivered = 0;
    const int n = epoll_wait(epoll_fd, ready, 256, wait_ms);

    for (int i = 0; i < n; i++) {
        const ssize_t got = recv(fds[ready[i].data.u32], bytes, sizeof bytes, MSG_DONTWAIT);
        if (got > 0) {
            delivered += count_marks(bytes, (size_t)got, &last[ready[i].data.u32]);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fds[ready[i].data.u32], NULL);
        }
    }
    return delivered;
}

static void parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        {"http", required_argument, NULL, 'h'},     {"collector", required_argument, NULL, 'c'},
        {"pid", required_argument, NULL, 'p'},      {"door", required_argument, NULL, 'd'},
        {"sessions", required_argument, NULL, 's'}, {"patterns", required_argument, NULL, 'P'},
        {"events", required_argument, NULL, 'e'},   {"rate", required_argument, NULL, 'r'},
        {"size", required_argument, NULL, 'z'},     {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            setup.http_port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            setup.collector_port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'd':
            setup.ws = strcmp(optarg, "sse") != 0;
            break;
        case 's':
            setup.sessions = strtoul(optarg, NULL, 10);
            break;
        case 'P':
            setup.distinct = strcmp(optarg, "distinct") == 0;
            break;
        case 'e':
            setup.events = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            setup.rate = strtoull(optarg, NULL, 10);
            break;
        case 'z':
            setup.size = strtoul(optarg, NULL, 10);
            break;
        case 'p':
            for (char *text = strtok(optarg, ","); text && setup.pid_count < MAX_PIDS;
                 text = strtok(NULL, ",")) {
                setup.pids[setup.pid_count++] = (pid_t)strtol(text, NULL, 10);
            }
            break;
        default:
            exit(2);
        }
    }
    if (!setup.http_port || !setup.collector_port || !setup.sessions || setup.size > 3000) {
        fprintf(stderr, "usage: bench_streams --http PORT --collector PORT --pid PID[,PID] …\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    const struct zsock_options push_options = {
        .sndhwm = 100000, .rcvhwm = 1000, .linger_ms = 1000, .max_msg_bytes = -1};
    struct zctx *context = NULL;
    struct zsock *push = NULL;

    parse_arguments(argc, argv);
    (void)net_raise_fd_limit(65536);
    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int *fds = calloc(setup.sessions, sizeof *fds);
    char *last = calloc(setup.sessions, sizeof *last);
    if (epoll_fd < 0 || !fds || !last || zctx_create(&context) != NHUB_OK ||
        zsock_create(&push, context, ZSOCK_PUSH, &push_options) != NHUB_OK ||
        zsock_connect(push, "127.0.0.1", setup.collector_port) != NHUB_OK) {
        die("set-up");
    }
    for (size_t i = 0; i < setup.sessions; i++) {
        struct epoll_event event = {.events = EPOLLIN};

        fds[i] = open_session(i);
        event.data.u32 = (uint32_t)i;
        wait_opened(fds[i]);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event) != 0) {
            die("epoll_ctl");
        }
    }

    const int64_t cpu_before = daemons_cpu_ns();
    const int64_t start_ns = clock_mono_ns();
    const uint64_t expected = setup.events * setup.sessions;
    uint64_t published = 0;
    uint64_t delivered = 0;
    int64_t last_ns = start_ns;

    while (delivered < expected) {
        const int64_t now_ns = clock_mono_ns();
        uint64_t due = setup.events;

        if (setup.rate > 0) {
            due = (uint64_t)(now_ns - start_ns) * setup.rate / 1000000000 + 1;
        } else if (published >= delivered / setup.sessions + 64) {
            due = published; /* never more than 64 events ahead of the slowest on average */
        }
        for (; published < due && published < setup.events; published++) {
            publish(push, published);
        }
        const uint64_t got = receive(epoll_fd, fds, last, 1);
        delivered += got;
        if (got > 0) {
            last_ns = clock_mono_ns();
        } else if (published == setup.events && clock_mono_ns() - last_ns > QUIET_MS * 1000000LL) {
            break;
        }
    }
    const int64_t cpu_ns = daemons_cpu_ns() - cpu_before;
    const double seconds = (double)(last_ns - start_ns) / 1e9;
    printf("{\"bench\":\"streams\",\"door\":\"%s\",\"patterns\":\"%s\",\"sessions\":%zu,\"events\":"
           "%" PRIu64 ",\"rate\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"lost\":%" PRId64
           ",\"cpu_us_per_delivery\":%.3f,\"deliveries_per_s\":%.0f}\n",
           setup.ws ? "ws" : "sse", setup.distinct ? "distinct" : "same", setup.sessions,
           setup.events, setup.rate, delivered, (int64_t)(expected - delivered),
           delivered ? (double)cpu_ns / 1e3 / (double)delivered : 0.0, (double)delivered / seconds);
    for (size_t i = 0; i < setup.sessions; i++) {
        close(fds[i]);
    }
    free(fds);
    free(last);
    zsock_destroy(&push);
    zctx_destroy(&context);
    return delivered == expected ? 0 : 1;
}
