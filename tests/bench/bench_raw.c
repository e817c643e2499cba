/*
 * bench_raw: the limit of TCP fan-out: what comes in goes out to every connection, with nothing
 * around the send() calls.
 *
 *   bench_raw each|batch SIZE
 *
 * Prints "ready SUB_PORT PUB_PORT". A publisher sends messages of SIZE bytes on the second port;
 * every connection on the first gets them. each: one send() for each message and connection, as a
 * server pays that writes events when they come. batch: one send() for all that is pending on a
 * connection, as one that gathers. A connection that takes no more is waited for: nothing is lost,
 * and the publisher is held back.
 */
#include "base/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX    65536
#define BUFFER_MAX (256 * 1024)

static int subscribers[FDS_MAX];
static size_t subscriber_count;
static char buffer[BUFFER_MAX];

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static int listen_any(unsigned *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        die("listen");
    }
    *out_port = ntohs(address.sin_port);
    return fd;
}

/* Sends all of it, waiting when the connection is full. False when it is gone. */
static int send_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd full = {.fd = fd, .events = POLLOUT};

            (void)poll(&full, 1, 1000);
            continue;
        }
        if (n < 0) {
            return 0;
        }
        p += n;
        len -= (size_t)n;
    }
    return 1;
}

static void send_everybody(const char *p, size_t len)
{
    for (size_t i = 0; i < subscriber_count; i++) {
        if (!send_all(subscribers[i], p, len)) {
            (void)close(subscribers[i]);
            subscribers[i--] = subscribers[--subscriber_count];
        }
    }
}

static void add_subscribers(int listener)
{
    const int on = 1;
    int fd;

    while (subscriber_count < FDS_MAX &&
           (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        subscribers[subscriber_count++] = fd;
    }
}

int main(int argc, char **argv)
{
    const int is_each = argc == 3 && strcmp(argv[1], "each") == 0;
    const size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    unsigned sub_port;
    unsigned pub_port;
    size_t held = 0;

    if (size == 0 || size > BUFFER_MAX || (!is_each && strcmp(argv[1], "batch") != 0)) {
        (void)fputs("usage: bench_raw each|batch SIZE\n", stderr);
        return 2;
    }
    (void)net_raise_fd_limit(FDS_MAX);
    const int sub_listener = listen_any(&sub_port);
    const int pub_listener = listen_any(&pub_port);
    struct pollfd polls[] = {{.fd = sub_listener, .events = POLLIN},
                             {.fd = pub_listener, .events = POLLIN},
                             {.fd = -1, .events = POLLIN}};
    printf("ready %u %u\n", sub_port, pub_port);
    (void)fflush(stdout);
    while (poll(polls, 3, -1) > 0) {
        if (polls[0].revents) {
            add_subscribers(sub_listener);
        }
        if (polls[1].revents && polls[2].fd < 0) {
            polls[2].fd = accept4(pub_listener, NULL, NULL, SOCK_CLOEXEC);
        }
        if (polls[2].revents) {
            /* 64 KiB at most, as the gateway gathers for one write. */
            const size_t room = is_each ? sizeof buffer : 65536;
            const ssize_t n = recv(polls[2].fd, buffer + held, room - held, MSG_DONTWAIT);

            if (n == 0) {
                (void)close(polls[2].fd);
                polls[2].fd = -1;
                held = 0;
            } else if (n > 0) {
                const size_t whole = (held + (size_t)n) / size * size;

                if (is_each) {
                    for (size_t at = 0; at < whole; at += size) {
                        send_everybody(buffer + at, size);
                    }
                } else if (whole > 0) {
                    send_everybody(buffer, whole);
                }
                held += (size_t)n - whole;
                memmove(buffer, buffer + whole, held);
            }
        }
    }
    return 0;
}
