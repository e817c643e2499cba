/*
 * server: listening, connections, what the network has.
 */
#include "zmtp/server_private.h"

#include "base/clock.h"
#include "base/net.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    TURN_EVENTS = 64,     /* peers that are looked at in a turn */
    TURN_ACCEPTS = 64,    /* connections that are taken in a turn */
    HANDSHAKE_MS = 30000, /* for a connection until it is open; as libzmq's ZMQ_HANDSHAKE_IVL */
    KEEP_IDLE_S = 30
};

/* ---- create ---- */

static bool watch(const struct zserver *s, int fd, int how, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data = {.ptr = what}};

    return epoll_ctl(s->epoll_fd, how, fd, &event) == 0;
}

/* "localhost" stays with IPv4, where everybody looks for it first. */
static nhub_err open_listener(struct zserver *s, uint16_t *out_port)
{
    struct net_address address = {.port = s->options.port};
    const bool is_localhost = strcasecmp(s->options.host, "localhost") == 0;
    const char *host = is_localhost ? "127.0.0.1" : s->options.host;
    const size_t len = strlen(host);
    uint16_t port = 0;
    nhub_err err;

    if (len >= sizeof address.host) {
        return NHUB_EINVAL;
    }
    memcpy(address.host, host, len);
    err = net_listen(&address, BACKLOG, &s->listen_fd, &port);
    if (err) {
        return err;
    }
    net_set_stream_options(s->listen_fd, KEEP_IDLE_S);
    if (out_port) {
        *out_port = port;
    }
    return watch(s, s->listen_fd, EPOLL_CTL_ADD, EPOLLIN, NULL) ? NHUB_OK : NHUB_ESYS;
}

nhub_err zserver_create(struct zserver **out, const struct zserver_options *options,
                        uint16_t *out_port)
{
    struct zserver *s = calloc(1, sizeof *s);
    nhub_err err = NHUB_OK;

    if (!s) {
        return NHUB_ENOMEM;
    }
    s->options = *options;
    s->listen_fd = -1;
    s->now_ms = clock_mono_ms();
    s->refused_limit = s->noise_limit = s->long_limit = s->dropped_limit = s->accept_limit =
        (struct log_limit){.burst = 5, .window_ms = 10000};
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0) {
        err = NHUB_ESYS;
    }
    if (!err && options->type == ZSERVER_PUB) {
        err = interest_create(&s->interest);
    }
    if (!err) {
        err = open_listener(s, out_port);
    }
    if (err) {
        const int saved = errno;

        zserver_destroy(&s);
        errno = saved;
        return err;
    }
    *out = s;
    return NHUB_OK;
}

static void free_dead(struct zserver *s)
{
    while (s->dead) {
        struct zpeer *p = s->dead;

        s->dead = p->next;
        buf_fini(&p->in);
        free(p);
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void zserver_destroy(struct zserver **s_p)
{
    struct zserver *s = *s_p;

    if (!s) {
        return;
    }
    *s_p = NULL;
    while (s->peers) {
        zpeer_close(s->peers);
    }
    free_dead(s);
    zserver_drop_blocks(s);
    interest_destroy(&s->interest);
    buf_fini(&s->spare);
    close_fd(&s->listen_fd);
    close_fd(&s->epoll_fd);
    free(s->slots);
    free(s);
}

/* ---- names of connections ---- */

static uint64_t id_of(const struct zserver *s, uint32_t slot)
{
    return (uint64_t)s->slots[slot].generation << 32 | slot;
}

struct zpeer *zserver_find(const struct zserver *s, uint64_t id)
{
    const uint32_t slot = (uint32_t)id;

    return slot < s->slot_count && id_of(s, slot) == id ? s->slots[slot].peer : NULL;
}

static bool grow_slots(struct zserver *s)
{
    const uint32_t cap = s->slot_cap == 0 ? 16 : s->slot_cap * 2;
    struct slot *slots = realloc(s->slots, cap * sizeof *slots);

    if (!slots) {
        return false;
    }
    s->slots = slots;
    s->slot_cap = cap;
    return true;
}

static bool take_slot(struct zserver *s, struct zpeer *p)
{
    uint32_t slot = s->first_free - 1;

    if (s->first_free > 0) {
        s->first_free = s->slots[slot].next_free;
    } else {
        if (s->slot_count == s->slot_cap && !grow_slots(s)) {
            return false;
        }
        slot = s->slot_count++;
        s->slots[slot] = (struct slot){.generation = 1};
    }
    s->slots[slot].peer = p;
    p->id = id_of(s, slot);
    p->interested.number = p->id;
    return true;
}

static void give_back_slot(struct zserver *s, const struct zpeer *p)
{
    struct slot *slot = &s->slots[(uint32_t)p->id];

    slot->peer = NULL;
    slot->generation++;
    slot->next_free = s->first_free;
    s->first_free = (uint32_t)p->id + 1;
}

uint64_t zpeer_id(const struct zpeer *p)
{
    return p->id;
}

void zpeer_address(const struct zpeer *p, char *out, size_t size)
{
    net_peer_of(p->fd, out, size);
}

void zserver_address(const struct zserver *s, uint64_t id, char *out, size_t size)
{
    const struct zpeer *p = zserver_find(s, id);

    net_peer_of(p ? p->fd : -1, out, size);
}

/* ---- connections ---- */

static void remove_from(struct peer_queue *queue, struct zpeer *p,
                        struct zpeer **(*next)(struct zpeer *))
{
    struct zpeer *before = NULL;
    struct zpeer **at = &queue->first;

    while (*at != p) {
        before = *at;
        at = next(*at);
    }
    *at = *next(p);
    if (queue->last == p) {
        queue->last = before;
    }
}

static struct zpeer **ready_link(struct zpeer *p)
{
    return &p->next_ready;
}

static struct zpeer **unflushed_link(struct zpeer *p)
{
    return &p->next_unflushed;
}

/* What was read stays until the next turn: somebody may be looking at it. */
void zpeer_close(struct zpeer *p)
{
    struct zserver *s = p->server;

    if (p->fd < 0) {
        return;
    }
    if (p->is_ready) {
        remove_from(&s->ready, p, ready_link);
    }
    if (p->is_unflushed) {
        remove_from(&s->unflushed, p, unflushed_link);
    }
    zpeer_drop_output(p);
    zpeer_forget_subscriptions(p);
    give_back_slot(s, p);
    close_fd(&p->fd);
    if (p->prev) {
        p->prev->next = p->next;
    } else {
        s->peers = p->next;
    }
    if (p->next) {
        p->next->prev = p->prev;
    }
    p->next = s->dead;
    s->dead = p;
    s->counts.connections--;
}

static const char *const type_names[] = {
    [ZSERVER_PULL] = "PULL", [ZSERVER_PUB] = "PUB", [ZSERVER_ROUTER] = "ROUTER"};

void zpeer_refuse(struct zpeer *p, const char *why)
{
    struct zserver *s = p->server;
    char address[64];
    uint64_t suppressed;

    s->counts.refused++;
    if (log_limit_pass(&s->refused_limit, &suppressed)) {
        zpeer_address(p, address, sizeof address);
        log_warn("zeromq_peer_refused", log_str("socket", type_names[s->options.type]),
                 log_str("peer", address), log_str("why", why),
                 log_uint("refused_total", s->counts.refused), log_uint("suppressed", suppressed));
    }
    zpeer_close(p);
}

static const char no_memory[] = "there is no memory for the handshake with it";

static void add_peer(struct zserver *s, int fd)
{
    struct zpeer *p = calloc(1, sizeof *p);
    struct buf greeting;

    if (!p || !take_slot(s, p) || !watch(s, fd, EPOLL_CTL_ADD, EPOLLIN, p)) {
        if (p && p->id > 0) {
            give_back_slot(s, p);
        }
        (void)close(fd);
        free(p);
        s->counts.refused++;
        return;
    }
    p->server = s;
    p->fd = fd;
    p->since_ms = s->now_ms;
    p->next = s->peers;
    if (p->next) {
        p->next->prev = p;
    }
    s->peers = p;
    s->counts.connections++;
    buf_init(&greeting);
    zmtp_add_greeting(&greeting);
    if (zpeer_queue_bytes(p, &greeting)) {
        zpeer_flush(p);
    } else {
        zpeer_refuse(p, no_memory);
    }
    buf_fini(&greeting);
}

/* Without descriptors the listener would be ready for ever, and the loop never rest. */
static void pause_listening(struct zserver *s)
{
    const int error = errno;
    uint64_t suppressed;

    s->is_paused = watch(s, s->listen_fd, EPOLL_CTL_MOD, 0, NULL);
    if (log_limit_pass(&s->accept_limit, &suppressed)) {
        log_error("accept_failed", log_str("socket", type_names[s->options.type]), log_errno(error),
                  log_uint("connections", s->counts.connections),
                  log_uint("suppressed", suppressed));
    }
}

static void accept_peers(struct zserver *s)
{
    for (int i = 0; i < TURN_ACCEPTS; i++) {
        const int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            add_peer(s, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_listening(s);
            return;
        } /* else it was gone before it was taken */
    }
}

void zpeer_want_room(struct zpeer *p, bool wants)
{
    if (p->waits != wants && p->fd >= 0 &&
        watch(p->server, p->fd, EPOLL_CTL_MOD, EPOLLIN | (wants ? EPOLLOUT : 0), p)) {
        p->waits = wants;
    }
}

/* ---- turns ---- */

int zserver_fd(const struct zserver *s)
{
    return s->epoll_fd;
}

void zserver_turn(struct zserver *s)
{
    struct epoll_event events[TURN_EVENTS];
    int count;

    free_dead(s);
    count = epoll_wait(s->epoll_fd, events, TURN_EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct zpeer *p = events[i].data.ptr;

        if (!p) {
            accept_peers(s);
            continue;
        }
        if (p->fd >= 0 && (events[i].events & EPOLLOUT)) {
            zpeer_want_room(p, false);
            zpeer_flush(p);
        }
        if (p->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
            p->may_read = true;
            zpeer_make_ready(p);
        }
    }
}

void zserver_tick(struct zserver *s, int64_t now_ms)
{
    struct zpeer *next = NULL;

    s->now_ms = now_ms;
    if (s->is_paused) {
        s->is_paused = !watch(s, s->listen_fd, EPOLL_CTL_MOD, EPOLLIN, NULL);
    }
    for (struct zpeer *p = s->peers; p; p = next) {
        next = p->next;
        if (p->state != PEER_OPEN && now_ms - p->since_ms > HANDSHAKE_MS) {
            zpeer_refuse(p, "its handshake takes too long");
        }
    }
}

bool zserver_is_busy(const struct zserver *s)
{
    return s->ready.first != NULL;
}

const struct zserver_counts *zserver_counts(const struct zserver *s)
{
    return &s->counts;
}
