/*
 * zsock: the one file that sees ZeroMQ.
 *
 * A frame is the library's message under another name; the static asserts below keep its size and
 * alignment honest. Every call that waits for nothing repeats itself on EINTR, ETERM becomes
 * NHUB_ECLOSED.
 */
#include "base/zsock.h"

#include "base/clock.h"
#include "base/zblock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zmq.h>

static_assert(sizeof(struct zframe) >= sizeof(zmq_msg_t), "a frame holds the library's message");
static_assert(alignof(struct zframe) >= alignof(zmq_msg_t), "and is aligned like it");

#define MAX_POLL_ITEMS 16
/* Frames up to this long live inside the library's message. */
#define INLINE_MAX_LEN 33

struct zctx {
    void *handle;
};

struct zsock {
    void *handle;
    bool is_monitored;
    struct zblock *block; /* of the short frames that were sent last */
    /* What it can do changes only when it is used, or after its descriptor became readable. */
    bool is_settled; /* not used since `events` was asked for */
    int events;
};

static zmq_msg_t *msg(struct zframe *f)
{
    return (zmq_msg_t *)(void *)f->opaque;
}

static const zmq_msg_t *const_msg(const struct zframe *f)
{
    return (const zmq_msg_t *)(const void *)f->opaque;
}

/* The code for the library's errno. */
static nhub_err code_of_errno(void)
{
    switch (errno) {
    case EAGAIN:
        return NHUB_EAGAIN;
    case ETERM:
        return NHUB_ECLOSED;
    case EHOSTUNREACH:
        return NHUB_ENOTFOUND;
    case ENOMEM:
        return NHUB_ENOMEM;
    default:
        return NHUB_ESYS;
    }
}

nhub_err zctx_create(struct zctx **out)
{
    struct zctx *ctx = calloc(1, sizeof *ctx);

    if (!ctx) {
        return NHUB_ENOMEM;
    }
    ctx->handle = zmq_ctx_new();
    if (!ctx->handle) {
        const nhub_err err = errno == ENOMEM ? NHUB_ENOMEM : NHUB_ESYS;

        free(ctx);
        return err;
    }
    *out = ctx;
    return NHUB_OK;
}

void zctx_destroy(struct zctx **ctx_p)
{
    struct zctx *ctx = *ctx_p;

    if (!ctx) {
        return;
    }
    *ctx_p = NULL;
    while (zmq_ctx_term(ctx->handle) != 0 && errno == EINTR) {
    }
    free(ctx);
}

static int library_type(enum zsock_type type)
{
    switch (type) {
    case ZSOCK_PUSH:
        return ZMQ_PUSH;
    case ZSOCK_PULL:
        return ZMQ_PULL;
    case ZSOCK_PUB:
        return ZMQ_PUB;
    case ZSOCK_XPUB:
        return ZMQ_XPUB;
    case ZSOCK_SUB:
        return ZMQ_SUB;
    case ZSOCK_DEALER:
        return ZMQ_DEALER;
    case ZSOCK_ROUTER:
        return ZMQ_ROUTER;
    }
    return -1; /* the library answers EINVAL */
}

static bool set_int(struct zsock *s, int option, int value)
{
    return zmq_setsockopt(s->handle, option, &value, sizeof value) == 0;
}

/* What every socket gets. The keepalive finds a peer that vanished without a word after 30 s + 3
 * times 10 s; the backlog is for the moment after a restart, when all peers come back at once. */
static bool set_common(struct zsock *s, int linger_ms)
{
    return set_int(s, ZMQ_LINGER, linger_ms) && set_int(s, ZMQ_TCP_KEEPALIVE, 1) &&
           set_int(s, ZMQ_TCP_KEEPALIVE_IDLE, 30) && set_int(s, ZMQ_TCP_KEEPALIVE_INTVL, 10) &&
           set_int(s, ZMQ_TCP_KEEPALIVE_CNT, 3) && set_int(s, ZMQ_BACKLOG, 1024);
}

static bool set_options(struct zsock *s, enum zsock_type type, const struct zsock_options *o)
{
    return set_common(s, o->linger_ms) && set_int(s, ZMQ_SNDHWM, o->sndhwm) &&
           set_int(s, ZMQ_RCVHWM, o->rcvhwm) &&
           zmq_setsockopt(s->handle, ZMQ_MAXMSGSIZE, &o->max_msg_bytes, sizeof o->max_msg_bytes) ==
               0 &&
           (type != ZSOCK_XPUB || set_int(s, ZMQ_XPUB_VERBOSER, o->xpub_verboser ? 1 : 0)) &&
           (type != ZSOCK_ROUTER ||
            set_int(s, ZMQ_ROUTER_MANDATORY, o->router_mandatory ? 1 : 0)) &&
           (!o->identity ||
            zmq_setsockopt(s->handle, ZMQ_ROUTING_ID, o->identity, strlen(o->identity)) == 0);
}

static nhub_err open_socket(struct zsock **out, struct zctx *ctx, int type)
{
    struct zsock *s = calloc(1, sizeof *s);

    if (!s) {
        return NHUB_ENOMEM;
    }
    s->handle = zmq_socket(ctx->handle, type);
    if (!s->handle) {
        const nhub_err err = code_of_errno();

        free(s);
        return err;
    }
    *out = s;
    return NHUB_OK;
}

nhub_err zsock_create(struct zsock **out, struct zctx *ctx, enum zsock_type type,
                      const struct zsock_options *options)
{
    struct zsock *s = NULL;
    nhub_err err = open_socket(&s, ctx, library_type(type));

    if (err != NHUB_OK) {
        return err;
    }
    if (!set_options(s, type, options)) {
        err = errno == EINVAL ? NHUB_EINVAL : code_of_errno();
        zsock_destroy(&s);
        return err;
    }
    *out = s;
    return NHUB_OK;
}

void zsock_set_linger(struct zsock *s, int linger_ms)
{
    (void)set_int(s, ZMQ_LINGER, linger_ms);
}

void zsock_destroy(struct zsock **s_p)
{
    struct zsock *s = *s_p;

    if (!s) {
        return;
    }
    *s_p = NULL;
    if (s->is_monitored) {
        (void)zmq_socket_monitor(s->handle, NULL, 0);
    }
    (void)zmq_close(s->handle);
    zblock_close(&s->block);
    free(s);
}

/* "tcp://host:port", brackets around an IPv6 address. False when it is too long. */
static bool make_endpoint(char *out, size_t size, const char *host, uint16_t port)
{
    const bool needs_brackets = strchr(host, ':') && host[0] != '[';
    const int n =
        snprintf(out, size, needs_brackets ? "tcp://[%s]:%u" : "tcp://%s:%u", host, (unsigned)port);

    return n > 0 && (size_t)n < size;
}

/*
 * Whether the library shall use an IPv6 socket, which also carries IPv4. With it on, the library
 * resolves names to IPv6 first and never tries another address. For "localhost" this would miss a
 * hub on 127.0.0.1, so that name and plain IPv4 addresses stay with IPv4.
 */
static bool wants_ipv6(const char *host)
{
    struct in_addr v4;

    return strcasecmp(host, "localhost") != 0 && inet_pton(AF_INET, host, &v4) != 1;
}

static uint16_t last_port(struct zsock *s)
{
    char endpoint[512] = "";
    size_t size = sizeof endpoint;
    const char *colon = NULL;

    if (zmq_getsockopt(s->handle, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
        return 0;
    }
    colon = strrchr(endpoint, ':');
    return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

nhub_err zsock_bind(struct zsock *s, const char *host, uint16_t port, uint16_t *out_port)
{
    const bool is_any = strcmp(host, "*") == 0;
    const bool is_v6 = strchr(host, ':') != NULL;
    char endpoint[512];

    if (!make_endpoint(endpoint, sizeof endpoint, host, port)) {
        return NHUB_EINVAL;
    }
    /* The name of an interface means its IPv4 address, its IPv6 address only if it has no other. */
    (void)set_int(s, ZMQ_IPV6, is_any || is_v6 ? 1 : 0);
    s->is_settled = false;
    if (zmq_bind(s->handle, endpoint) != 0) {
        if (errno != ENODEV || is_any || is_v6 || !set_int(s, ZMQ_IPV6, 1) ||
            zmq_bind(s->handle, endpoint) != 0) {
            return code_of_errno();
        }
    }
    if (out_port) {
        *out_port = last_port(s);
    }
    return NHUB_OK;
}

nhub_err zsock_connect(struct zsock *s, const char *host, uint16_t port)
{
    char endpoint[512];

    if (!make_endpoint(endpoint, sizeof endpoint, host, port)) {
        return NHUB_EINVAL;
    }
    (void)set_int(s, ZMQ_IPV6, wants_ipv6(host) ? 1 : 0);
    return zsock_connect_endpoint(s, endpoint);
}

nhub_err zsock_bind_endpoint(struct zsock *s, const char *endpoint)
{
    s->is_settled = false;
    return zmq_bind(s->handle, endpoint) == 0 ? NHUB_OK : code_of_errno();
}

nhub_err zsock_connect_endpoint(struct zsock *s, const char *endpoint)
{
    s->is_settled = false;
    return zmq_connect(s->handle, endpoint) == 0 ? NHUB_OK : code_of_errno();
}

nhub_err zsock_subscribe(struct zsock *s, const void *prefix, size_t len)
{
    s->is_settled = false;
    return zmq_setsockopt(s->handle, ZMQ_SUBSCRIBE, prefix, len) == 0 ? NHUB_OK : code_of_errno();
}

nhub_err zsock_unsubscribe(struct zsock *s, const void *prefix, size_t len)
{
    s->is_settled = false;
    return zmq_setsockopt(s->handle, ZMQ_UNSUBSCRIBE, prefix, len) == 0 ? NHUB_OK : code_of_errno();
}

int zsock_fd(struct zsock *s)
{
    int fd = -1;
    size_t size = sizeof fd;

    return zmq_getsockopt(s->handle, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

static nhub_err ask_events(struct zsock *s)
{
    size_t size = sizeof s->events;

    s->is_settled = false;
    while (zmq_getsockopt(s->handle, ZMQ_EVENTS, &s->events, &size) != 0) {
        if (errno != EINTR) {
            s->events = 0;
            return code_of_errno();
        }
    }
    s->is_settled = true;
    return NHUB_OK;
}

static bool has_event(struct zsock *s, int event)
{
    return ask_events(s) == NHUB_OK && (s->events & event) != 0;
}

bool zsock_readable(struct zsock *s)
{
    return has_event(s, ZMQ_POLLIN);
}

bool zsock_writable(struct zsock *s)
{
    return has_event(s, ZMQ_POLLOUT);
}

void zframe_init(struct zframe *f)
{
    (void)zmq_msg_init(msg(f)); /* always succeeds */
}

nhub_err zframe_init_size(struct zframe *f, size_t len)
{
    return zmq_msg_init_size(msg(f), len) == 0 ? NHUB_OK : NHUB_ENOMEM;
}

nhub_err zframe_init_copy(struct zframe *f, const void *bytes, size_t len)
{
    if (zframe_init_size(f, len) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    if (len > 0) {
        memcpy(zframe_data(f), bytes, len);
    }
    return NHUB_OK;
}

nhub_err zframe_init_foreign(struct zframe *f, void *bytes, size_t len,
                             void (*give_back)(void *bytes, void *hint), void *hint)
{
    return zmq_msg_init_data(msg(f), bytes, len, give_back, hint) == 0 ? NHUB_OK : NHUB_ENOMEM;
}

void zframe_close(struct zframe *f)
{
    (void)zmq_msg_close(msg(f));
}

void *zframe_data(struct zframe *f)
{
    return zmq_msg_data(msg(f));
}

size_t zframe_size(const struct zframe *f)
{
    return zmq_msg_size(const_msg(f));
}

bool zframe_more(const struct zframe *f)
{
    return zmq_msg_more(const_msg(f)) != 0;
}

const char *zframe_property(struct zframe *f, const char *name)
{
    return zmq_msg_gets(msg(f), name);
}

nhub_err zframe_share(struct zframe *to, struct zframe *from)
{
    return zmq_msg_copy(msg(to), msg(from)) == 0 ? NHUB_OK : code_of_errno();
}

void zframe_move(struct zframe *to, struct zframe *from)
{
    (void)zmq_msg_move(msg(to), msg(from)); /* fails for what is no message only */
}

nhub_err zsock_recv(struct zsock *s, struct zframe *f)
{
    s->is_settled = false;
    while (zmq_msg_recv(msg(f), s->handle, ZMQ_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return code_of_errno();
        }
    }
    return NHUB_OK;
}

nhub_err zsock_send(struct zsock *s, struct zframe *f, bool more)
{
    s->is_settled = false;
    while (zmq_msg_send(msg(f), s->handle, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
        if (errno != EINTR) {
            return code_of_errno();
        }
    }
    return NHUB_OK;
}

/* A copy in the socket's block. */
static nhub_err send_short(struct zsock *s, const void *bytes, size_t len, bool more)
{
    void *copy = zblock_copy(&s->block, bytes, len);
    struct zframe frame;
    nhub_err err = NHUB_ENOMEM;

    if (!copy) {
        return err;
    }
    err = zframe_init_foreign(&frame, copy, len, zblock_give_back, s->block);
    if (err != NHUB_OK) {
        zblock_give_back(copy, s->block);
        return err;
    }
    err = zsock_send(s, &frame, more);
    zframe_close(&frame);
    return err;
}

nhub_err zsock_send_bytes(struct zsock *s, const void *bytes, size_t len, bool more)
{
    if (len > INLINE_MAX_LEN && len <= ZBLOCK_MAX_LEN) {
        return send_short(s, bytes, len, more);
    }
    s->is_settled = false;
    while (zmq_send(s->handle, bytes, len, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
        if (errno != EINTR) {
            return code_of_errno();
        }
    }
    return NHUB_OK;
}

void zsock_skip_message(struct zsock *s, const struct zframe *last)
{
    bool has_more = zframe_more(last);
    struct zframe f;

    zframe_init(&f);
    /* The library hands out messages whole, so the rest is there and this never waits. */
    while (has_more && zsock_recv(s, &f) == NHUB_OK) {
        has_more = zframe_more(&f);
    }
    zframe_close(&f);
}

/* Sets the item's results; true when there are any. */
static bool note_events(struct zpoll_item *item, short seen)
{
    /* What is broken shows itself when it is used; and to wait for it would never end. */
    const bool is_broken = (seen & (POLLERR | POLLHUP | POLLNVAL)) != 0;

    item->in = item->want_in && (is_broken || (seen & POLLIN) != 0);
    item->out = item->want_out && (is_broken || (seen & POLLOUT) != 0);
    return item->in || item->out;
}

static bool note_sock(struct zpoll_item *item)
{
    const int events = item->sock->events;

    return note_events(
        item, (short)((events & ZMQ_POLLIN ? POLLIN : 0) | (events & ZMQ_POLLOUT ? POLLOUT : 0)));
}

/* Asks sockets that were used since they were asked last; polled becomes what poll() wants. */
static nhub_err prepare_poll(struct zpoll_item *items, size_t count, struct pollfd *polled,
                             size_t *out_ready)
{
    *out_ready = 0;
    for (size_t i = 0; i < count; i++) {
        struct zsock *s = items[i].sock;

        /* poll() tells of errors without being asked, and not of negative descriptors. */
        polled[i] = (struct pollfd){
            .fd = items[i].want_in || items[i].want_out ? items[i].fd : -1,
        };
        if (!s) {
            polled[i].events =
                (short)((items[i].want_in ? POLLIN : 0) | (items[i].want_out ? POLLOUT : 0));
            continue;
        }
        if (!s->is_settled) {
            const nhub_err err = ask_events(s);

            if (err != NHUB_OK) {
                return err;
            }
        }
        polled[i].fd = zsock_fd(s);
        polled[i].events = POLLIN; /* also for POLLOUT: it means that there is news */
        *out_ready += note_sock(&items[i]) ? 1 : 0;
    }
    return NHUB_OK;
}

static nhub_err note_poll(struct zpoll_item *items, size_t count, const struct pollfd *polled,
                          size_t *out_ready)
{
    *out_ready = 0;
    for (size_t i = 0; i < count; i++) {
        if (!items[i].sock) {
            *out_ready += note_events(&items[i], polled[i].revents) ? 1 : 0;
            continue;
        }
        if (polled[i].revents != 0) {
            const nhub_err err = ask_events(items[i].sock);

            if (err != NHUB_OK) {
                return err;
            }
        }
        *out_ready += note_sock(&items[i]) ? 1 : 0;
    }
    return NHUB_OK;
}

/* zmq_poll() would ask every socket twice in each turn, used or not, at two system calls each:
 * more than all else in the turn of a loop with one event. */
nhub_err zpoll_wait(struct zpoll_item *items, size_t count, int timeout_ms, size_t *out_ready)
{
    const int64_t until_ms = timeout_ms > 0 ? clock_mono_ms() + timeout_ms : 0;
    struct pollfd polled[MAX_POLL_ITEMS];
    int left_ms = timeout_ms;

    if (count > MAX_POLL_ITEMS) {
        return NHUB_EINVAL;
    }
    for (;;) {
        nhub_err err = prepare_poll(items, count, polled, out_ready);

        if (err == NHUB_OK && poll(polled, (nfds_t)count, *out_ready > 0 ? 0 : left_ms) < 0) {
            if (errno != EINTR) {
                return code_of_errno();
            }
            for (size_t i = 0; i < count; i++) {
                polled[i].revents = 0;
            }
            left_ms = 0;
        }
        if (err == NHUB_OK) {
            err = note_poll(items, count, polled, out_ready);
        }
        if (err != NHUB_OK || *out_ready > 0 || left_ms == 0) {
            return err;
        }
        /* News that nobody asked for, or the time is over. */
        if (timeout_ms > 0) {
            const int64_t rest_ms = until_ms - clock_mono_ms();

            if (rest_ms <= 0) {
                return NHUB_OK;
            }
            left_ms = (int)rest_ms;
        }
    }
}

nhub_err zsock_monitor(struct zsock *s, struct zctx *ctx, struct zsock **out_events)
{
    static atomic_uint next_name;
    struct zsock *events = NULL;
    char endpoint[64];
    nhub_err err = open_socket(&events, ctx, ZMQ_PAIR);

    if (err != NHUB_OK) {
        return err;
    }
    (void)snprintf(endpoint, sizeof endpoint, "inproc://monitor-%u",
                   atomic_fetch_add_explicit(&next_name, 1, memory_order_relaxed));
    if (!set_int(events, ZMQ_LINGER, 0) ||
        zmq_socket_monitor(s->handle, endpoint,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0) {
        err = code_of_errno();
        zsock_destroy(&events);
        return err;
    }
    s->is_monitored = true;
    err = zsock_connect_endpoint(events, endpoint);
    if (err != NHUB_OK) {
        zsock_destroy(&events);
        return err;
    }
    *out_events = events;
    return NHUB_OK;
}

nhub_err zmonitor_next(struct zsock *events, enum zmonitor_event *out)
{
    struct zframe f;
    uint16_t event = 0;
    nhub_err err = NHUB_OK;

    zframe_init(&f);
    err = zsock_recv(events, &f);
    if (err == NHUB_OK) {
        if (zframe_size(&f) >= sizeof event) {
            memcpy(&event, zframe_data(&f), sizeof event); /* the library's own byte order */
        }
        zsock_skip_message(events, &f); /* the second frame is the endpoint */
        *out = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? ZMONITOR_CONNECTED
               : event == ZMQ_EVENT_DISCONNECTED      ? ZMONITOR_DISCONNECTED
                                                      : ZMONITOR_OTHER;
    }
    zframe_close(&f);
    return err;
}
