/*
 * server: a listening ZeroMQ socket of the hub: PULL, PUB or ROUTER, with all its connections,
 * spoken by ourselves (wire/zmtp.h) in the hub's own loop.
 *
 * Why not libzmq: its I/O thread stands between the loop and the network. Each event costs a
 * hand-over in each direction, each message memory that one thread takes and the other gives back,
 * and each quiet event two wake-ups (tests/bench/NOTES.md). And libzmq does not say whose queue was
 * full.
 *
 * A message is written once, into a block, and every connection that it goes to counts on that
 * block: a connection's queue is a list of stretches of blocks. It is bounded by messages
 * (queue_max), and all blocks together by bytes (held_max): beyond that the oldest messages of
 * those who are furthest behind are dropped. What is dropped is counted. A peer that sends faster
 * than it is read is held back by TCP.
 *
 * A peer that does not speak ZMTP 3 with the mechanism NULL, or as the wrong type of socket, gets
 * an ERROR if it can read one, a counter and a log line, and is cut.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_ZMTP_SERVER_H
#define NHUB_ZMTP_SERVER_H

#include "wire/zmtp.h"
#include "zmtp/block.h"
#include "zmtp/interest.h"

enum zserver_type { ZSERVER_PULL, ZSERVER_PUB, ZSERVER_ROUTER };

struct zserver_options {
    enum zserver_type type;
    const char *host; /* an address, an interface's name, or "*" */
    uint16_t port;    /* 0 = any free one */
    size_t
        message_max; /* bytes of a message (PULL: of a frame); a longer one cuts the connection */
    size_t block_bytes; /* of the blocks that messages are gathered in */
    uint64_t held_max;  /* PUB: bytes of all blocks that wait to be written; 0 = no limit */
    unsigned queue_max; /* messages that wait for one peer */
};

struct zserver;
struct zpeer;

struct zserver_counts {
    uint64_t connections;              /* now, with those in their handshake */
    uint64_t refused;                  /* connections that were no good */
    uint64_t noise;                    /* PUB: messages that are no subscriptions */
    uint64_t subscribed, unsubscribed; /* PUB */
    uint64_t too_long;                 /* PUB: subscriptions longer than any type */
    uint64_t dropped;                  /* messages that somebody did not get for want of room */
    uint64_t failed;                   /* messages that nobody got for want of memory */
};

/* Listens. *out_port (may be NULL): the port really bound. Errors: NHUB_EINVAL no such address;
 * NHUB_ENOMEM; NHUB_ESYS (errno EADDRINUSE …). */
NHUB_MUST_USE nhub_err zserver_create(struct zserver **out, const struct zserver_options *options,
                                      uint16_t *out_port);
/* Closes everything at once; what was not written is dropped. */
void zserver_destroy(struct zserver **s_p);

/* Readable when zserver_turn() has something to do. */
int zserver_fd(const struct zserver *s);
/* Takes what the network has: connections, bytes to be read, room to write. */
void zserver_turn(struct zserver *s);
/* To be called about once a second: ends handshakes that take too long, listens again. */
void zserver_tick(struct zserver *s, int64_t now_ms);
/* Messages are here already, or may be: do not wait for the descriptor. */
bool zserver_is_busy(const struct zserver *s);

/* The next frame (PULL: of any message; ROUTER: a message is given frame by frame once all of it is
 * here). Peers take turns. The frame is valid until the next message is asked for. PUB: a
 * subscription, which was carried out already. Errors: NHUB_EAGAIN. */
NHUB_MUST_USE nhub_err zserver_next(struct zserver *s, struct zpeer **out_peer,
                                    struct zmtp_frame *out);

/* A name for a connection that is never given to another one. */
uint64_t zpeer_id(const struct zpeer *p);
/* "1.2.3.4:5"; "-" when it is not known any more. size >= 64. */
void zserver_address(const struct zserver *s, uint64_t id, char *out, size_t size);

/* PUB: sends [type, line] to all who subscribed. The bytes are copied, once. */
void zserver_publish(struct zserver *s, const void *type, size_t type_len, const void *line,
                     size_t len);

/* ROUTER: sends [name, json, frames…] to one peer, all or nothing; frames: complete ZMTP frames, or
 * NULL, which stay shared until they are written. Errors: NHUB_EAGAIN its queue is full;
 * NHUB_ENOTFOUND it is gone; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err zserver_answer(struct zserver *s, uint64_t id, const char *name,
                                      const void *json, size_t len, struct block *frames);

/* Writes what was sent since the last call. */
void zserver_flush(struct zserver *s);
/* True while something waits to be written. */
bool zserver_is_writing(const struct zserver *s);

const struct zserver_counts *zserver_counts(const struct zserver *s);

#endif
