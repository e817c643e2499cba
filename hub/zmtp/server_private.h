/*
 * server_private: what the files of the server share.
 *
 * server.c         listening, connections, what the network has
 * server_read.c    handshakes and messages in
 * server_write.c   queues and messages out
 * server_publish.c subscriptions and fan-out
 */
#ifndef NHUB_ZMTP_SERVER_PRIVATE_H
#define NHUB_ZMTP_SERVER_PRIVATE_H

#include "base/log.h"
#include "zmtp/server.h"

#include <sys/uio.h>

enum peer_state { PEER_GREETING, PEER_READYING, PEER_OPEN };

/* Messages that lie side by side in a block. */
struct run {
    struct block *block;
    size_t from, to;
    unsigned messages;
};

/* A queue of runs in a circle. */
struct runs {
    struct run *array;
    size_t cap, first, count;
};

struct zpeer {
    struct zserver *server;
    int fd; /* -1 = closed; freed at the next turn */
    enum peer_state state;
    uint64_t id;
    int64_t since_ms;          /* of its handshake */
    struct zpeer *prev, *next; /* of all, or of the dead */
    struct zpeer *next_ready;  /* to be read */
    struct zpeer *next_unflushed;
    bool is_ready, is_unflushed;
    bool may_read;     /* as far as epoll told, and recv() since */
    bool waits;        /* for room to write, told by epoll */
    bool is_broken;    /* nothing can be written any more: what came before is still read */
    bool is_bad;       /* what follows the whole messages is no message */
    bool is_inside;    /* a message: the frame given out last is not its last */
    unsigned turn;     /* messages given out since it was its turn */
    unsigned commands; /* since the last message, or since it had nothing to say */
    /* What came: given out up to `at`, whole messages up to `whole`, whole frames up to `seen`. */
    struct buf in;
    size_t at, whole, seen;
    struct runs runs;
    unsigned queued; /* messages in them */
    size_t written;  /* of the first run */
    struct interested interested;
};

/* A list of those that have something to do, first come, first served. */
struct peer_queue {
    struct zpeer *first, *last;
};

struct slot {
    struct zpeer *peer; /* NULL = free */
    uint32_t generation;
    uint32_t next_free; /* of a free one; 0 = none: counted from 1 */
};

struct zserver {
    struct zserver_options options;
    int epoll_fd, listen_fd;
    bool is_paused; /* no descriptors are left: not listening until the next tick */
    int64_t now_ms;
    struct zpeer *peers, *dead;
    struct slot *slots;
    uint32_t slot_count, slot_cap, first_free;
    struct peer_queue ready, unflushed;
    struct buf spare;                        /* memory for the next who reads */
    size_t waiting;                          /* peers with something to be written */
    struct block *current, *oldest, *newest; /* blocks of messages */
    uint64_t held_bytes;
    size_t unflushed_bytes; /* of messages since the last flush */
    struct interest *interest;
    struct zserver_counts counts;
    struct log_limit refused_limit, noise_limit, long_limit, dropped_limit, accept_limit;
};

/* server.c */
struct zpeer *zserver_find(const struct zserver *s, uint64_t id);
void zpeer_close(struct zpeer *p);
/* Cuts the connection for a reason that people should know. */
void zpeer_refuse(struct zpeer *p, const char *why);
void zpeer_address(const struct zpeer *p, char *out, size_t size);
void zpeer_want_room(struct zpeer *p, bool wants);

/* server_read.c */
void zpeer_make_ready(struct zpeer *p);

/* server_write.c */
/* Room for a message of len bytes; NULL when there is no memory. */
char *zserver_begin(struct zserver *s, size_t len, struct run *out);
/* The message was queued for all whom it concerns. */
void zserver_end(struct run *message);
/* Begins a message, or the front of one (more), of two frames. False when there is no memory. */
bool zserver_write_two(struct zserver *s, const struct iovec parts[2], bool more, struct run *out);
bool zpeer_is_full(const struct zpeer *p);
/* Queues a run of one message. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err zpeer_queue(struct zpeer *p, const struct run *message);
/* Queues bytes of the handshake and of commands. False when there is no memory for them. */
bool zpeer_queue_bytes(struct zpeer *p, const struct buf *bytes);
void zpeer_flush(struct zpeer *p);
void zpeer_drop_output(struct zpeer *p);
void zserver_drop_blocks(struct zserver *s);
/* Counts what a peer does not get. */
void zserver_note_dropped(struct zpeer *p, uint64_t messages, const char *why);

/* server_publish.c */
void zpeer_take_subscription(struct zpeer *p, const struct zmtp_frame *frame);
void zpeer_forget_subscriptions(struct zpeer *p);

#endif
