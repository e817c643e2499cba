/*
 * door_room: the connections that the front door still has to itself: those whose head is not
 * complete, and those that got an answer and are being closed.
 *
 * Two queues in order of their deadlines, each with a fixed stay and a bound. A refused connection
 * is closed in two steps: answer and end of our side, then what the peer still sends is read and
 * thrown away for a while, because closing a socket with unread data makes the kernel send a reset
 * that can overtake the answer.
 *
 * Threads: none inside; belongs to the front door's thread.
 */
#ifndef GATEWAY_PROTOCOLS_DOOR_ROOM_H
#define GATEWAY_PROTOCOLS_DOOR_ROOM_H

#include "gateway/counters.h"

#include <stdbool.h>
#include <sys/socket.h>

struct guest {
    struct guest *prev, *next;
    int fd;
    int64_t deadline_ms;
    bool is_leaving; /* has its answer */
    size_t discarded;
    struct sockaddr_storage peer;
    socklen_t peer_len;
};

struct guest_list {
    struct guest *first, *last;
    size_t count, max;
    int64_t stay_ms;
};

struct door_room {
    int epoll_fd; /* borrowed */
    struct gateway_counters *counters;
    struct guest_list undecided, leaving;
};

void door_room_init(struct door_room *room, int epoll_fd, size_t max_undecided,
                    int64_t head_timeout_ms, struct gateway_counters *counters);
void door_room_fini(struct door_room *room); /* closes all */

/* Keeps a connection whose head is not complete and watches it, edge-triggered. Takes fd; makes
 * room by refusing the oldest one. */
void door_room_keep(struct door_room *room, int fd, const struct sockaddr_storage *peer,
                    socklen_t peer_len, int64_t now_ms);
/* Gives the descriptor back, not watched any more, and frees the guest. */
int door_room_release(struct door_room *room, struct guest **guest_p);
/* Closes the connection and frees the guest. */
void door_room_drop(struct door_room *room, struct guest **guest_p);

enum door_refusal { DOOR_TIMEOUT, DOOR_TOO_LARGE, DOOR_MALFORMED, DOOR_FULL, DOOR_REFUSALS };
/* Counts, answers problem+json and begins to close. */
void door_room_refuse(struct door_room *room, struct guest **guest_p, enum door_refusal why,
                      int64_t now_ms);
/* The same for a connection that is no guest yet: answers and closes at once. Takes fd. */
void door_room_refuse_fd(struct door_room *room, int fd, enum door_refusal why);
/* A leaving guest's socket has something: reads it away, closes at its end. */
void door_room_discard(struct door_room *room, struct guest **guest_p);

void door_room_expire(struct door_room *room, int64_t now_ms);
int64_t door_room_deadline(const struct door_room *room); /* INT64_MAX = none */

#endif
