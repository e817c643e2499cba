/*
 * link_peer: from a name to an open connection, and bytes in and out of it.
 */
#include "gateway/link_peer.h"

#include "base/net.h"
#include "gateway/resolver.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LOOK_MS = 20,         /* between two looks at a look-up of a name */
    NAME_RETRY_MS = 1000, /* after a name that is not known */
    READ_LEAST = 16 * 1024,
    READ_BYTES = 128 * 1024,
    KEEP_BYTES = 1 << 20, /* of a larger buffer the memory is given back */
    COMMAND_MAX = 64 * 1024,
    KEEP_IDLE_S = 30 /* requests without an answer mostly tell before */
};

enum state { IDLE, RESOLVING, CONNECTING, GREETING, READYING, OPEN };

struct link_peer {
    enum link_peer_type type;
    const char *host;
    uint16_t port;
    enum state state;
    int64_t now_ms;
    int64_t due_ms;   /* IDLE: of the next try; OPEN: none; otherwise: of the end of this one */
    int64_t pause_ms; /* IDLE: from the next turn on; 0 = it has begun */
    struct resolver *resolver;
    struct addrinfo *addresses, *untried;
    int fd; /* -1 = none */
    bool was_cut;
    bool may_read, may_write; /* as far as poll() told, and read() and write() since */
    bool is_broken;           /* open, but only for reading what is left */
    bool is_bad;              /* what follows the whole messages is no message */
    /* What came: given out up to `at`, whole messages up to `whole`, whole frames up to `seen`. */
    struct buf in;
    size_t at, whole, seen;
    /* What is to be written from `written` on; the message that is being built begins at begin. */
    struct buf out;
    size_t written, begin;
    struct log_limit *limit;
};

/* ---- up and down ---- */

static void give_back(struct buf *b)
{
    if (b->cap > KEEP_BYTES) {
        buf_fini(b);
    }
    buf_reset(b);
}

static void close_connection(struct link_peer *p)
{
    if (p->fd >= 0) {
        (void)close(p->fd);
        p->fd = -1;
    }
    p->at = p->whole = p->seen = p->written = 0;
    give_back(&p->in);
    give_back(&p->out);
    p->may_read = p->may_write = p->is_broken = p->is_bad = false;
}

static void forget_addresses(struct link_peer *p)
{
    resolver_destroy(&p->resolver);
    if (p->addresses) {
        freeaddrinfo(p->addresses);
    }
    p->addresses = p->untried = NULL;
}

static void rest(struct link_peer *p, int64_t pause_ms)
{
    p->was_cut = p->was_cut || p->state == OPEN;
    close_connection(p);
    forget_addresses(p);
    p->state = IDLE;
    p->pause_ms = pause_ms;
    p->due_ms = p->now_ms + pause_ms;
}

static void try_next(struct link_peer *p);

/* The connection is over. Before it was open, the name's next address may be the right one. */
static void give_up(struct link_peer *p, int64_t pause_ms)
{
    if (p->state == OPEN || !p->untried) {
        rest(p, pause_ms);
    } else {
        try_next(p);
    }
}

/* The other side is there, and is not what we need. */
static void refuse(struct link_peer *p, const char *why, int64_t pause_ms)
{
    uint64_t suppressed = 0;

    if (log_limit_pass(p->limit, &suppressed)) {
        log_warn("hub_connection_refused", log_str("hub", p->host), log_uint("port", p->port),
                 log_str("why", why), log_uint("suppressed", suppressed));
    }
    give_up(p, pause_ms);
}

nhub_err link_peer_create(struct link_peer **out, enum link_peer_type type, const char *host,
                          uint16_t port, struct log_limit *limit)
{
    struct link_peer *p = calloc(1, sizeof *p);

    if (!p) {
        return NHUB_ENOMEM;
    }
    p->type = type;
    p->host = host;
    p->port = port;
    p->fd = -1;
    p->limit = limit;
    *out = p;
    return NHUB_OK;
}

void link_peer_destroy(struct link_peer **p_p)
{
    struct link_peer *p = *p_p;

    if (!p) {
        return;
    }
    *p_p = NULL;
    close_connection(p);
    forget_addresses(p);
    buf_fini(&p->in);
    buf_fini(&p->out);
    free(p);
}

/* ---- connecting ---- */

static int make_socket(int family)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        net_set_stream_options(fd, KEEP_IDLE_S);
    }
    return fd;
}

/* Begins with the next address that does not refuse at once. */
static void try_next(struct link_peer *p)
{
    close_connection(p);
    while (p->untried) {
        const struct addrinfo *to = p->untried;

        p->untried = to->ai_next;
        p->fd = make_socket(to->ai_family);
        if (p->fd >= 0 &&
            (connect(p->fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS)) {
            p->state = CONNECTING;
            p->due_ms = p->now_ms + LINK_PEER_LIMIT_MS;
            return;
        }
        close_connection(p);
    }
    rest(p, LINK_PEER_RETRY_MS);
}

static void look_at_name(struct link_peer *p)
{
    const nhub_err err = resolver_take(p->resolver, &p->addresses);

    if (err == NHUB_EAGAIN) {
        p->due_ms = p->now_ms + LOOK_MS;
    } else if (err != NHUB_OK) {
        refuse(p, "the host's name is not known", NAME_RETRY_MS);
    } else {
        resolver_destroy(&p->resolver);
        p->untried = p->addresses;
        try_next(p);
    }
}

static void begin_connect(struct link_peer *p)
{
    if (resolver_start(&p->resolver, p->host, p->port) != NHUB_OK) {
        rest(p, NAME_RETRY_MS);
        return;
    }
    p->state = RESOLVING;
    look_at_name(p);
}

static void finish_connect(struct link_peer *p)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        try_next(p);
        return;
    }
    p->state = GREETING; /* may_write holds on */
    zmtp_add_greeting(&p->out);
}

/* ---- bytes in ---- */

/* Room for what comes next; what was given out makes room first. */
static nhub_err make_room(struct link_peer *p)
{
    if (p->at == p->in.len) {
        p->at = p->whole = p->seen = 0;
        give_back(&p->in);
    }
    if (p->in.cap - p->in.len >= READ_LEAST) {
        return NHUB_OK;
    }
    buf_consume(&p->in, p->at);
    p->whole -= p->at;
    p->seen -= p->at;
    p->at = 0;
    return p->in.cap - p->in.len >= READ_LEAST ? NHUB_OK : buf_reserve(&p->in, READ_BYTES);
}

/* Reads once. False when nothing came: there is nothing now, no memory, or the connection ended. */
static bool read_more(struct link_peer *p)
{
    ssize_t n = 0;
    size_t room = 0;

    if (make_room(p) != NHUB_OK) {
        buf_reset(&p->in);
        rest(p, LINK_PEER_RETRY_MS); /* what came cannot be kept */
        return false;
    }
    room = p->in.cap - p->in.len;
    do {
        n = recv(p->fd, p->in.data + p->in.len, room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        p->in.len += (size_t)n;
        p->may_read = (size_t)n == room; /* a short read took all there was */
        return true;
    }
    p->may_read = false;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return false;
    }
    if (p->state == OPEN) {
        rest(p, LINK_PEER_RETRY_MS);
    } else {
        refuse(p, "it ends the connection within the handshake", LINK_PEER_RETRY_MS);
    }
    return false;
}

/* What lies between messages is not given out. */
static void pass_commands(struct link_peer *p)
{
    struct zmtp_frame frame;
    size_t used = 0;

    while (p->at < p->whole &&
           zmtp_frame_read(p->in.data + p->at, p->whole - p->at, LINK_PEER_MESSAGE_BYTES, &frame,
                           &used) == NHUB_OK &&
           frame.is_command) {
        p->at += used;
    }
}

/* Looks at each frame once, for where messages end. */
static void look_for_messages(struct link_peer *p)
{
    struct zmtp_frame frame;
    size_t used = 0;
    nhub_err err = NHUB_OK;

    while ((err = zmtp_frame_read(p->in.data + p->seen, p->in.len - p->seen,
                                  LINK_PEER_MESSAGE_BYTES, &frame, &used)) == NHUB_OK) {
        const bool ends = frame.is_command ? p->whole == p->seen : !frame.more;

        p->seen += used;
        if (ends) {
            p->whole = p->seen;
        }
    }
    p->is_bad = err == NHUB_EPROTO || p->in.len - p->whole > LINK_PEER_MESSAGE_BYTES;
    pass_commands(p);
}

nhub_err link_peer_next(struct link_peer *p, struct zmtp_frame *out)
{
    while (p->state == OPEN) {
        size_t used = 0;

        if (p->at < p->whole && zmtp_frame_read(p->in.data + p->at, p->whole - p->at,
                                                LINK_PEER_MESSAGE_BYTES, out, &used) == NHUB_OK) {
            p->at += used;
            pass_commands(p);
            return NHUB_OK;
        }
        if (p->is_bad) {
            refuse(p, "what it sends is no ZMTP, or too long", LINK_PEER_RETRY_MS);
        }
        if (!p->may_read || !read_more(p)) {
            return NHUB_EAGAIN;
        }
        look_for_messages(p);
    }
    return NHUB_EAGAIN;
}

/* ---- handshake ---- */

static bool is_peer_type(const struct link_peer *p, const char *type, size_t len)
{
    static const char *const wanted[][2] = {
        [LINK_PEER_SUB] = {"PUB", "XPUB"}, [LINK_PEER_DEALER] = {"ROUTER", "ROUTER"}};

    for (size_t i = 0; i < 2; i++) {
        const char *name = wanted[p->type][i];

        if (len == strlen(name) && memcmp(type, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static void read_greeting(struct link_peer *p)
{
    const nhub_err err = zmtp_greeting_check(p->in.data + p->at, p->in.len - p->at);

    if (err == NHUB_EPROTO) {
        refuse(p, "no ZMTP 3 with the mechanism NULL is spoken there", LINK_PEER_RETRY_MS);
    } else if (err == NHUB_OK) {
        p->at = p->whole = p->seen = p->at + ZMTP_GREETING_LEN;
        p->state = READYING;
        zmtp_add_ready(&p->out, p->type == LINK_PEER_SUB ? "SUB" : "DEALER");
    }
}

static void read_ready(struct link_peer *p)
{
    struct zmtp_frame frame;
    size_t used = 0;
    const char *type = NULL;
    size_t type_len = 0;
    const nhub_err err =
        zmtp_frame_read(p->in.data + p->at, p->in.len - p->at, COMMAND_MAX, &frame, &used);

    if (err == NHUB_EAGAIN) {
        return;
    }
    if (err != NHUB_OK || zmtp_ready_type(&frame, &type, &type_len) != NHUB_OK) {
        refuse(p, "its handshake is not ZMTP's, or it refuses ours", LINK_PEER_RETRY_MS);
        return;
    }
    if (!is_peer_type(p, type, type_len)) {
        refuse(p,
               p->type == LINK_PEER_SUB ? "no PUB socket is there: is it the publisher port?"
                                        : "no ROUTER socket is there: is it the requests port?",
               LINK_PEER_RETRY_MS);
        return;
    }
    p->at = p->whole = p->seen = p->at + used;
    p->state = OPEN;
    p->due_ms = INT64_MAX;
    if (p->type == LINK_PEER_SUB) {
        /* 1 and a prefix, here the empty one (23/ZMTP, "The PUB-SUB Pattern"). */
        const size_t begin = zmtp_begin(&p->out);

        buf_add_char(&p->out, 1);
        zmtp_end(&p->out, begin);
    }
    look_for_messages(p);
}

static void shake_hands(struct link_peer *p)
{
    if (!p->may_read || !read_more(p)) {
        return;
    }
    if (p->state == GREETING) {
        read_greeting(p);
    }
    if (p->state == READYING) {
        read_ready(p);
    }
}

/* ---- bytes out ---- */

/* Nothing can be written ever more. What the other side said before is read first. */
static void break_off(struct link_peer *p)
{
    if (p->state != OPEN) {
        give_up(p, LINK_PEER_RETRY_MS);
        return;
    }
    p->is_broken = true;
    p->may_read = true;
    p->may_write = false;
    p->written = 0;
    buf_reset(&p->out);
}

static void write_out(struct link_peer *p)
{
    size_t taken = 0;

    if (p->out.failed) {
        rest(p, LINK_PEER_RETRY_MS); /* the handshake lacks memory */
        return;
    }
    if (p->written == p->out.len || !p->may_write) {
        return;
    }
    if (!net_send(p->fd, p->out.data + p->written, p->out.len - p->written, &taken)) {
        break_off(p);
        return;
    }
    p->written += taken;
    p->may_write = p->written == p->out.len;
    if (p->may_write) {
        p->written = 0;
        give_back(&p->out);
    }
}

bool link_peer_can_send(const struct link_peer *p)
{
    return p->state == OPEN && !p->is_broken && p->out.len - p->written <= LINK_PEER_OUT_BYTES;
}

nhub_err link_peer_begin(struct link_peer *p, struct buf **out)
{
    if (!link_peer_can_send(p)) {
        return NHUB_EAGAIN;
    }
    buf_consume(&p->out, p->written);
    p->written = 0;
    p->begin = zmtp_begin(&p->out);
    *out = &p->out;
    return NHUB_OK;
}

nhub_err link_peer_end(struct link_peer *p)
{
    zmtp_end(&p->out, p->begin);
    if (p->out.failed) {
        /* What was complete before is still there. */
        p->out.failed = false;
        p->out.len = p->begin;
        return NHUB_ENOMEM;
    }
    return NHUB_OK;
}

/* ---- the owner's loop ---- */

static bool is_connected(const struct link_peer *p)
{
    return p->state >= GREETING;
}

void link_peer_turn(struct link_peer *p, int64_t now_ms)
{
    p->now_ms = now_ms;
    if (p->state == IDLE && p->pause_ms != 0) {
        p->due_ms = now_ms + p->pause_ms;
        p->pause_ms = 0;
    }
    if (p->state == IDLE && now_ms >= p->due_ms) {
        begin_connect(p);
    } else if (p->state == RESOLVING && now_ms >= p->due_ms) {
        look_at_name(p);
    } else if (p->state == CONNECTING && p->may_write) {
        finish_connect(p);
    }
    if (p->state == GREETING || p->state == READYING) {
        shake_hands(p);
    }
    if (is_connected(p)) {
        write_out(p);
    }
    if (p->state == CONNECTING && now_ms >= p->due_ms) {
        try_next(p);
    } else if (is_connected(p) && now_ms >= p->due_ms) {
        refuse(p, "it does not end its handshake", LINK_PEER_RETRY_MS);
    }
    p->pause_ms = 0; /* what began to rest in this turn knows the time */
}

int64_t link_peer_deadline(const struct link_peer *p)
{
    return p->due_ms;
}

void link_peer_poll(const struct link_peer *p, bool want_in, struct pollfd *out)
{
    const bool is_shaking = p->state == GREETING || p->state == READYING;
    const bool wants_out = p->state == CONNECTING || (is_connected(p) && p->written < p->out.len);

    *out = (struct pollfd){.fd = p->fd};
    if (is_shaking || (p->state == OPEN && want_in)) {
        out->events |= POLLIN;
    }
    if (wants_out) {
        out->events |= POLLOUT;
    }
}

void link_peer_polled(struct link_peer *p, const struct pollfd *item)
{
    if (item->fd < 0 || item->fd != p->fd) {
        return;
    }
    p->may_write = p->may_write || (item->revents & (POLLOUT | POLLERR | POLLHUP));
    p->may_read = p->may_read || (item->revents & (POLLIN | POLLERR | POLLHUP));
    /* Nobody reads now, so the end is not found by reading; poll() would tell it again and again.
     */
    if (p->state == OPEN && !(item->events & POLLIN) && (item->revents & (POLLERR | POLLHUP))) {
        rest(p, LINK_PEER_RETRY_MS);
    }
}

bool link_peer_was_cut(struct link_peer *p)
{
    const bool was_cut = p->was_cut;

    p->was_cut = false;
    return was_cut;
}

bool link_peer_has_message(const struct link_peer *p)
{
    return p->at < p->whole;
}
