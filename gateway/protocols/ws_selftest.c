/* ws_selftest: the request goes out before the library sees the socket, as from the front door. */
#include "gateway/protocols/ws_selftest.h"

#include "gateway/protocols/ws_frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 1 /* between two looks */

static const char request[] = "GET /ws HTTP/1.1\r\n"
                              "Host: localhost\r\n"
                              "Upgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: c2VsZi10ZXN0IG9mIHVzIQ==\r\n\r\n";

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* A connected pair over TCP on the loopback; the library expects TCP sockets. */
static bool connect_pair(struct ws_selftest *t)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_good = false;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    t->client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener >= 0 && t->client_fd >= 0 &&
        bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
        connect(t->client_fd, (struct sockaddr *)&address, sizeof address) == 0) {
        t->server_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        is_good = t->server_fd >= 0;
    }
    close_fd(&listener);
    return is_good;
}

static void make_frames(struct buf *out)
{
    struct buf text;

    buf_init(&text);
    for (size_t i = 0; i < WS_FRAGMENT + 1000; i++) {
        buf_add_char(&text, (char)('a' + i % 26));
    }
    ws_message_add(out, "first", 5);
    ws_message_add(out, text.data, 200);
    ws_message_add(out, text.data, text.len);
    ws_message_add(out, "last", 4);
    buf_fini(&text);
}

bool ws_selftest_open(struct ws_selftest *t)
{
    memset(t, 0, sizeof *t);
    t->client_fd = -1;
    t->server_fd = -1;
    buf_init(&t->frames);
    buf_init(&t->got);
    make_frames(&t->frames);
    if (t->frames.failed || !connect_pair(t) ||
        send(t->client_fd, request, sizeof request - 1, MSG_NOSIGNAL) !=
            (ssize_t)(sizeof request - 1)) {
        ws_selftest_close(t);
        return false;
    }
    return true;
}

/* Where the frames begin: behind the empty line of the response head; NULL before that came. */
static const char *body_of(struct ws_selftest *t, size_t *out_len)
{
    const char *end = t->got.len > 0 ? memmem(t->got.data, t->got.len, "\r\n\r\n", 4) : NULL;

    if (!end) {
        return NULL;
    }
    end += 4;
    *out_len = t->got.len - (size_t)(end - t->got.data);
    return end;
}

bool ws_selftest_is_done(struct ws_selftest *t)
{
    struct pollfd look = {.fd = t->client_fd, .events = POLLIN};
    char bytes[16384];
    size_t len = 0;
    ssize_t n = 0;

    if (poll(&look, 1, WAIT_MS) > 0) {
        n = recv(t->client_fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return true;
        }
        if (n > 0) {
            buf_add(&t->got, bytes, (size_t)n);
        }
    }
    return body_of(t, &len) != NULL && len >= t->frames.len;
}

bool ws_selftest_passed(struct ws_selftest *t)
{
    size_t len = 0;
    const char *body = body_of(t, &len);

    return body && !t->got.failed && len == t->frames.len &&
           memcmp(t->got.data, "HTTP/1.1 101 ", 13) == 0 && memcmp(body, t->frames.data, len) == 0;
}

void ws_selftest_close(struct ws_selftest *t)
{
    close_fd(&t->client_fd);
    close_fd(&t->server_fd);
    buf_fini(&t->frames);
    buf_fini(&t->got);
}
