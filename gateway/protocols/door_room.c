/*
 * door_room: two queues, so that the oldest and the next deadline are always at the front.
 */
#include "gateway/protocols/door_room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LEAVING_MAX = 1024, LEAVING_MS = 2000, DISCARD_MAX = 1 << 20 };

static const struct {
    enum reject_reason reason;
    const char *status, *title, *detail, *extra;
} refusals[DOOR_REFUSALS] = {
    [DOOR_TIMEOUT] = {REJECT_HEAD_TIMEOUT, "408", "Request Timeout",
                      "the request's head did not arrive in time", ""},
    [DOOR_TOO_LARGE] = {REJECT_HEAD_TOO_LARGE, "431", "Request Header Fields Too Large",
                        "the request's head is larger than 8192 bytes", ""},
    [DOOR_MALFORMED] = {REJECT_BAD_REQUEST, "400", "Bad Request",
                        "this is no head of an HTTP/1 request, or it lacks Host, or its "
                        "Content-Length is no length",
                        ""},
    [DOOR_FULL] = {REJECT_TOO_MANY_CONNECTIONS, "503", "Service Unavailable",
                   "too many connections are open", "Retry-After: 1\r\n"},
};

void door_room_init(struct door_room *room, int epoll_fd, size_t max_undecided,
                    int64_t head_timeout_ms, struct gateway_counters *counters)
{
    memset(room, 0, sizeof *room);
    room->epoll_fd = epoll_fd;
    room->counters = counters;
    room->undecided.max = max_undecided;
    room->undecided.stay_ms = head_timeout_ms;
    room->leaving.max = LEAVING_MAX;
    room->leaving.stay_ms = LEAVING_MS;
}

static void enlist(struct guest_list *list, struct guest *guest, int64_t now_ms)
{
    guest->deadline_ms = now_ms + list->stay_ms;
    guest->next = NULL;
    guest->prev = list->last;
    if (list->last) {
        list->last->next = guest;
    } else {
        list->first = guest;
    }
    list->last = guest;
    list->count++;
}

static struct guest_list *list_of(struct door_room *room, const struct guest *guest)
{
    return guest->is_leaving ? &room->leaving : &room->undecided;
}

static void delist(struct door_room *room, struct guest *guest)
{
    struct guest_list *list = list_of(room, guest);

    if (guest->prev) {
        guest->prev->next = guest->next;
    } else {
        list->first = guest->next;
    }
    if (guest->next) {
        guest->next->prev = guest->prev;
    } else {
        list->last = guest->prev;
    }
    list->count--;
}

static void close_fd(struct door_room *room, int fd)
{
    close(fd);
    counter_sub(&room->counters->connections_open, 1);
}

int door_room_release(struct door_room *room, struct guest **guest_p)
{
    const int fd = (*guest_p)->fd;

    delist(room, *guest_p);
    epoll_ctl(room->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    free(*guest_p);
    *guest_p = NULL;
    return fd;
}

void door_room_drop(struct door_room *room, struct guest **guest_p)
{
    close_fd(room, door_room_release(room, guest_p));
}

void door_room_fini(struct door_room *room)
{
    while (room->undecided.first) {
        struct guest *guest = room->undecided.first;

        door_room_drop(room, &guest);
    }
    while (room->leaving.first) {
        struct guest *guest = room->leaving.first;

        door_room_drop(room, &guest);
    }
}

enum rest {
    REST_MAY_COME,
    REST_ENDED, /* the peer sends no more, and may still read */
    REST_GONE   /* broken, or too much of it */
};

/* Reads what is there and throws it away. */
static enum rest read_away(int fd, size_t *discarded)
{
    char scrap[4096];

    for (;;) {
        const ssize_t n = recv(fd, scrap, sizeof scrap, MSG_DONTWAIT);

        if (n > 0) {
            *discarded += (size_t)n;
            if (*discarded > DISCARD_MAX) {
                return REST_GONE;
            }
        } else if (n == 0) {
            return REST_ENDED;
        } else {
            return errno == EAGAIN || errno == EINTR ? REST_MAY_COME : REST_GONE;
        }
    }
}

/* One send: the answer fits into the socket's buffer, and a peer whose buffer is full has not read
 * anything either. */
static void send_refusal(int fd, enum door_refusal why)
{
    char body[256];
    char text[640];
    const int body_len = snprintf(body, sizeof body,
                                  "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%s,"
                                  "\"detail\":\"%s\",\"code\":\"%s\"}",
                                  refusals[why].title, refusals[why].status, refusals[why].detail,
                                  reject_reason_code(refusals[why].reason));
    const int len =
        snprintf(text, sizeof text,
                 "HTTP/1.1 %s %s\r\nContent-Type: application/problem+json\r\n"
                 "Content-Length: %d\r\nCache-Control: no-store\r\n%s"
                 "Connection: close\r\n\r\n%s",
                 refusals[why].status, refusals[why].title, body_len, refusals[why].extra, body);

    if (len > 0 && send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == len) {
        shutdown(fd, SHUT_WR);
    }
}

static void count(struct door_room *room, enum door_refusal why)
{
    counter_add(&room->counters->rejected[GATEWAY_DOOR_HTTP][refusals[why].reason], 1);
}

void door_room_refuse(struct door_room *room, struct guest **guest_p, enum door_refusal why,
                      int64_t now_ms)
{
    struct guest *guest = *guest_p;
    const enum rest rest = read_away(guest->fd, &guest->discarded);

    count(room, why);
    if (rest != REST_GONE) {
        send_refusal(guest->fd, why);
    }
    if (rest != REST_MAY_COME || room->leaving.count >= room->leaving.max) {
        door_room_drop(room, guest_p);
        return;
    }
    delist(room, guest);
    guest->is_leaving = true;
    enlist(&room->leaving, guest, now_ms);
    *guest_p = NULL;
}

void door_room_refuse_fd(struct door_room *room, int fd, enum door_refusal why)
{
    size_t discarded = 0;

    count(room, why);
    if (read_away(fd, &discarded) != REST_GONE) {
        send_refusal(fd, why);
    }
    close_fd(room, fd);
}

void door_room_discard(struct door_room *room, struct guest **guest_p)
{
    if (read_away((*guest_p)->fd, &(*guest_p)->discarded) != REST_MAY_COME) {
        door_room_drop(room, guest_p);
    }
}

void door_room_keep(struct door_room *room, int fd, const struct sockaddr_storage *peer,
                    socklen_t peer_len, int64_t now_ms)
{
    struct epoll_event watch = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
    struct guest *guest = NULL;

    if (room->undecided.count >= room->undecided.max) {
        struct guest *oldest = room->undecided.first;

        door_room_refuse_fd(room, door_room_release(room, &oldest), DOOR_FULL);
    }
    guest = calloc(1, sizeof *guest);
    if (!guest) {
        door_room_refuse_fd(room, fd, DOOR_FULL);
        return;
    }
    guest->fd = fd;
    memcpy(&guest->peer, peer, peer_len);
    guest->peer_len = peer_len;
    watch.data.ptr = guest;
    enlist(&room->undecided, guest, now_ms);
    if (epoll_ctl(room->epoll_fd, EPOLL_CTL_ADD, fd, &watch) != 0) {
        door_room_refuse_fd(room, door_room_release(room, &guest), DOOR_FULL);
    }
}

void door_room_expire(struct door_room *room, int64_t now_ms)
{
    while (room->undecided.first && room->undecided.first->deadline_ms <= now_ms) {
        struct guest *guest = room->undecided.first;

        door_room_refuse(room, &guest, DOOR_TIMEOUT, now_ms);
    }
    while (room->leaving.first && room->leaving.first->deadline_ms <= now_ms) {
        struct guest *guest = room->leaving.first;

        door_room_drop(room, &guest);
    }
}

int64_t door_room_deadline(const struct door_room *room)
{
    int64_t due = INT64_MAX;

    if (room->undecided.first) {
        due = room->undecided.first->deadline_ms;
    }
    if (room->leaving.first && room->leaving.first->deadline_ms < due) {
        due = room->leaving.first->deadline_ms;
    }
    return due;
}
