/*
 * front_door: accept, look, hand over. Nothing here waits on anything but epoll.
 *
 * With TCP_DEFER_ACCEPT the first look nearly always finds the whole head; what does not is watched
 * edge-triggered in the door's room, because a peeked head stays readable and would wake a
 * level-triggered set without end.
 */
#include "gateway/protocols/front_door.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "gateway/protocols/door_room.h"
#include "gateway/protocols/http_head.h"
#include "gateway/protocols/http_server.h"
#include "gateway/protocols/origin.h"
#include "gateway/protocols/query.h"
#include "gateway/protocols/ws_opening.h"
#include "gateway/stream_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    HEAD_MAX = 8192,
    HEAD_TIMEOUT_MS = 10000,
    UNDECIDED_MAX = 4096,
    BACKLOG = 4096,
    ACCEPTS_A_TURN = 128,
    EVENTS_A_TURN = 256,
    IDLE_MS = 500,  /* longest wait, keeps the heartbeat fresh */
    PAUSE_MS = 100, /* without accepting, when even the spare descriptor is gone */
    DEFER_S = 5,
    KEEP_IDLE_S = 60,   /* half-open peers are noticed after about 70 s */
    UNACKED_MS = 60000, /* what was sent may stay unacknowledged */
    FDS_WANTED = 65536,
    FDS_FOR_OURSELVES = 128
};

struct front_door {
    const struct settings *settings;
    struct gateway_counters *counters;
    struct http_server *http;
    struct stream_loop *streams;
    int listen_fd, epoll_fd, stop_fd;
    int spare_fd; /* given up for a moment when descriptors run out */
    uint16_t port;
    uint64_t max_connections;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_draining;
    _Atomic int64_t turn_ms;

    /* the thread's own */
    struct door_room room;
    int64_t paused_until_ms; /* 0 = accepting */
    struct log_limit accept_limit;
    char text[HEAD_MAX];       /* what the last look has found, */
    struct http_head head;     /* read, */
    struct stream_query query; /* and, of a good upgrade, its query */
};

/* ---- looking ---- */

enum view {
    VIEW_INCOMPLETE,
    VIEW_TOO_LARGE,
    VIEW_MALFORMED,
    VIEW_GONE,
    VIEW_HTTP,
    VIEW_SSE,
    VIEW_WS
};

/* The query is kept in door->query when it is good. */
static bool is_good_query(struct front_door *door, const struct http_text *query)
{
    enum reject_reason reason = REJECT_BAD_QUERY;
    char detail[160];
    const nhub_err err = query_parse(query->p ? query->p : "", query->len, QUERY_DOOR_WS,
                                     (size_t)door->settings->gateway.max_patterns, &door->query,
                                     &reason, detail, sizeof detail);

    if (err != NHUB_OK) {
        query_free(&door->query);
    }
    return err == NHUB_OK;
}

/* An upgrade that will be granted; every other one is answered by the HTTP server. */
static bool is_good_upgrade(struct front_door *door, const struct http_head *head)
{
    return http_text_is(&head->path, "/ws") && http_head_is_upgrade(head) &&
           !atomic_load(&door->is_draining) &&
           origin_check(head->origin.p, head->origin.len, head->host.p, head->host.len,
                        &door->settings->gateway.allowed_origins) != ORIGIN_FOREIGN &&
           is_good_query(door, &head->query);
}

static bool asks_for_events(const struct http_head *head)
{
    return http_text_is(&head->method, "GET") &&
           (http_text_is(&head->path, "/events/stream") ||
            (http_text_is(&head->path, "/events") && head->accepts_events));
}

/* A fetch may wait as long as a stream lives. */
static bool may_wait_long(const struct http_head *head)
{
    static const char start[] = "/groups/";
    static const char end[] = "/fetch";
    const size_t start_len = sizeof start - 1;
    const size_t end_len = sizeof end - 1;
    const struct http_text *path = &head->path;

    return http_text_is(&head->method, "POST") && path->len > start_len + end_len &&
           memcmp(path->p, start, start_len) == 0 &&
           memcmp(path->p + path->len - end_len, end, end_len) == 0;
}

/* Which side of the HTTP server it is for. */
static enum view http_view(const struct http_head *head)
{
    return asks_for_events(head) || may_wait_long(head) ? VIEW_SSE : VIEW_HTTP;
}

static enum view look(struct front_door *door, int fd)
{
    const ssize_t n = recv(fd, door->text, sizeof door->text, MSG_PEEK | MSG_DONTWAIT);

    if (n == 0) {
        return VIEW_GONE;
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? VIEW_INCOMPLETE : VIEW_GONE;
    }
    switch (http_head_parse(door->text, (size_t)n, &door->head)) {
    case HTTP_HEAD_INCOMPLETE:
        return (size_t)n == sizeof door->text ? VIEW_TOO_LARGE : VIEW_INCOMPLETE;
    case HTTP_HEAD_COMPLETE:
        if (!http_head_is_acceptable(&door->head)) {
            return VIEW_MALFORMED;
        }
        if (is_good_upgrade(door, &door->head)) {
            return VIEW_WS;
        }
        return http_view(&door->head);
    case HTTP_HEAD_MALFORMED:
    default:
        return VIEW_MALFORMED;
    }
}

static void hand_over_ws(struct front_door *door, int fd)
{
    struct ws_opening *opening = NULL;

    if (ws_opening_create(&opening, fd, &door->head, &door->query) == NHUB_OK) {
        stream_loop_adopt_ws(door->streams, &opening);
    } else {
        query_free(&door->query);
        close(fd);
        counter_sub(&door->counters->connections_open, 1);
    }
}

static void hand_over(struct front_door *door, int fd, enum view view,
                      const struct sockaddr_storage *peer, socklen_t peer_len)
{
    if (view == VIEW_WS) {
        hand_over_ws(door, fd);
    } else {
        http_server_take(door->http, fd, (const struct sockaddr *)peer, peer_len,
                         view == VIEW_SSE ? HTTP_SIDE_STREAMS : HTTP_SIDE_REQUESTS);
    }
}

/* ---- connections ---- */

static void welcome(struct front_door *door, int fd, const struct sockaddr_storage *peer,
                    socklen_t peer_len, int64_t now_ms)
{
    enum view view = VIEW_INCOMPLETE;

    counter_add(&door->counters->connections_total, 1);
    counter_add(&door->counters->connections_open, 1);
    if (counter_get(&door->counters->connections_open) > door->max_connections) {
        door_room_refuse_fd(&door->room, fd, DOOR_FULL);
        return;
    }
    view = look(door, fd);
    switch (view) {
    case VIEW_INCOMPLETE:
    case VIEW_TOO_LARGE: /* its first event looks again and refuses it with an orderly close */
    case VIEW_MALFORMED:
        door_room_keep(&door->room, fd, peer, peer_len, now_ms);
        break;
    case VIEW_GONE:
        close(fd);
        counter_sub(&door->counters->connections_open, 1);
        break;
    case VIEW_HTTP:
    case VIEW_SSE:
    case VIEW_WS:
    default:
        hand_over(door, fd, view, peer, peer_len);
        break;
    }
}

/* Descriptors have run out: the spare one lets us take a connection and tell it so, instead of
 * being woken for it without end. */
static void accept_without_descriptors(struct front_door *door, int64_t now_ms)
{
    uint64_t suppressed = 0;
    int fd = -1;

    if (log_limit_pass(&door->accept_limit, &suppressed)) {
        log_error("descriptors_exhausted",
                  log_uint("connections", counter_get(&door->counters->connections_open)),
                  log_uint("suppressed", suppressed));
    }
    if (door->spare_fd >= 0) {
        close(door->spare_fd);
        fd = accept4(door->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            counter_add(&door->counters->connections_total, 1);
            counter_add(&door->counters->connections_open, 1);
            door_room_refuse_fd(&door->room, fd, DOOR_FULL);
        }
        door->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0) {
        epoll_ctl(door->epoll_fd, EPOLL_CTL_DEL, door->listen_fd, NULL);
        door->paused_until_ms = now_ms + PAUSE_MS;
    }
}

static void accept_some(struct front_door *door, int64_t now_ms)
{
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof peer;
        const int fd = accept4(door->listen_fd, (struct sockaddr *)&peer, &peer_len,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            welcome(door, fd, &peer, peer_len, now_ms);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            accept_without_descriptors(door, now_ms);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return; /* EAGAIN: all were taken */
        }
    }
}

static void look_again(struct front_door *door, struct guest *guest, uint32_t events,
                       int64_t now_ms)
{
    enum view view = VIEW_GONE;

    if (guest->is_leaving) {
        door_room_discard(&door->room, &guest);
        return;
    }
    view = look(door, guest->fd);
    if (view == VIEW_INCOMPLETE) {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            door_room_drop(&door->room, &guest); /* it will never be complete */
        }
    } else if (view == VIEW_TOO_LARGE) {
        door_room_refuse(&door->room, &guest, DOOR_TOO_LARGE, now_ms);
    } else if (view == VIEW_MALFORMED) {
        door_room_refuse(&door->room, &guest, DOOR_MALFORMED, now_ms);
    } else if (view == VIEW_GONE) {
        door_room_drop(&door->room, &guest);
    } else {
        const struct sockaddr_storage peer = guest->peer;
        const socklen_t peer_len = guest->peer_len;

        hand_over(door, door_room_release(&door->room, &guest), view, &peer, peer_len);
    }
}

/* ---- the loop ---- */

static int watch_listener(struct front_door *door)
{
    struct epoll_event watch = {.events = EPOLLIN, .data.ptr = &door->listen_fd};

    door->paused_until_ms = 0;
    return epoll_ctl(door->epoll_fd, EPOLL_CTL_ADD, door->listen_fd, &watch);
}

static int wait_ms(const struct front_door *door, int64_t now_ms)
{
    int64_t due_ms = door_room_deadline(&door->room);

    if (door->paused_until_ms != 0 && door->paused_until_ms < due_ms) {
        due_ms = door->paused_until_ms;
    }
    if (due_ms > now_ms + IDLE_MS) {
        due_ms = now_ms + IDLE_MS;
    }
    return due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
}

static void *run(void *context)
{
    struct front_door *door = context;
    bool is_stopping = false;

    while (!is_stopping) {
        struct epoll_event events[EVENTS_A_TURN];
        int64_t now_ms = clock_mono_ms();
        bool has_new = false;
        int count = 0;

        atomic_store(&door->turn_ms, now_ms);
        count = epoll_wait(door->epoll_fd, events, EVENTS_A_TURN, wait_ms(door, now_ms));
        now_ms = clock_mono_ms();
        /* New connections come last: making room for them can end guests that are still to be
         * looked at in this list. */
        for (int i = 0; i < count; i++) {
            void *who = events[i].data.ptr;

            if (who == &door->listen_fd) {
                has_new = true;
            } else if (who == &door->stop_fd) {
                is_stopping = true;
            } else {
                look_again(door, who, events[i].events, now_ms);
            }
        }
        if (has_new) {
            accept_some(door, now_ms);
        }
        door_room_expire(&door->room, now_ms);
        if (door->paused_until_ms != 0 && now_ms >= door->paused_until_ms) {
            NHUB_IGNORE(watch_listener(door) != 0);
        }
    }
    door_room_fini(&door->room);
    return NULL;
}

/* ---- life ---- */

/* Accepted sockets inherit these from the listener, which saves a call for each of them. */
static void set_inherited_options(int fd)
{
    const int defer_s = DEFER_S;
    const int unacked_ms = UNACKED_MS;

    net_set_stream_options(fd, KEEP_IDLE_S);
    /* Each is an improvement, none a need. */
    NHUB_IGNORE(setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof defer_s) != 0);
    NHUB_IGNORE(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms) != 0);
}

uint64_t front_door_limit(const struct settings *settings)
{
    const uint64_t fds = net_raise_fd_limit(FDS_WANTED);
    const uint64_t possible = fds > 2 * FDS_FOR_OURSELVES ? fds - FDS_FOR_OURSELVES : fds / 2;
    const uint64_t wanted = settings->gateway.max_connections;

    return wanted == 0 || wanted > possible ? possible : wanted;
}

static nhub_err open_descriptors(struct front_door *door)
{
    struct epoll_event watch = {.events = EPOLLIN, .data.ptr = &door->stop_fd};
    struct net_address address;
    nhub_err err = net_parse_address(door->settings->gateway.listen, &address);

    if (err == NHUB_OK) {
        err = net_listen(&address, BACKLOG, &door->listen_fd, &door->port);
    }
    if (err != NHUB_OK) {
        return err;
    }
    set_inherited_options(door->listen_fd);
    door->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    door->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    door->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (door->epoll_fd < 0 || door->stop_fd < 0 || watch_listener(door) != 0 ||
        epoll_ctl(door->epoll_fd, EPOLL_CTL_ADD, door->stop_fd, &watch) != 0) {
        return NHUB_ESYS;
    }
    return NHUB_OK;
}

nhub_err front_door_create(struct front_door **out, const struct settings *settings,
                           struct gateway_counters *counters, struct http_server *http,
                           struct stream_loop *streams)
{
    struct front_door *door = calloc(1, sizeof *door);
    nhub_err err = NHUB_OK;
    size_t undecided = UNDECIDED_MAX;

    if (!door) {
        return NHUB_ENOMEM;
    }
    door->settings = settings;
    door->counters = counters;
    door->http = http;
    door->streams = streams;
    door->listen_fd = door->epoll_fd = door->stop_fd = door->spare_fd = -1;
    door->accept_limit = (struct log_limit){.burst = 1, .window_ms = 10000};
    door->max_connections = front_door_limit(settings);
    atomic_store(&door->turn_ms, clock_mono_ms());
    err = open_descriptors(door);
    if (err == NHUB_OK) {
        /* Whoever is served by the thread may look at it through the caller's pointer. */
        *out = door;
        if (undecided > door->max_connections / 2) {
            undecided = (size_t)(door->max_connections + 1) / 2;
        }
        door_room_init(&door->room, door->epoll_fd, undecided, HEAD_TIMEOUT_MS, counters);
        door->has_thread = pthread_create(&door->thread, NULL, run, door) == 0;
        err = door->has_thread ? NHUB_OK : NHUB_ESYS;
    }
    if (err != NHUB_OK) {
        const int saved_errno = errno;

        front_door_destroy(&door);
        *out = NULL;
        errno = saved_errno; /* the caller explains it */
    }
    return err;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void front_door_stop(struct front_door *door)
{
    if (door->has_thread) {
        NHUB_IGNORE(eventfd_write(door->stop_fd, 1) != 0);
        pthread_join(door->thread, NULL);
        door->has_thread = false;
    }
    close_if_open(door->listen_fd);
    door->listen_fd = -1;
}

void front_door_destroy(struct front_door **door_p)
{
    struct front_door *door = *door_p;

    if (!door) {
        return;
    }
    front_door_stop(door);
    close_if_open(door->epoll_fd);
    close_if_open(door->stop_fd);
    close_if_open(door->spare_fd);
    free(door);
    *door_p = NULL;
}

uint16_t front_door_port(const struct front_door *door)
{
    return door->port;
}

void front_door_drain(struct front_door *door)
{
    atomic_store(&door->is_draining, true);
}

int64_t front_door_heartbeat_age_ms(const struct front_door *door)
{
    return clock_mono_ms() - atomic_load(&door->turn_ms);
}
