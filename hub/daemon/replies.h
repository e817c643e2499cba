/*
 * replies: answers on their way to the peers of the ROUTER socket.
 *
 * An answer goes out at once. A peer whose queue there is full gets a queue of its own, bounded by
 * count, bytes and time, and all queues together are bounded too; beyond that an answer is dropped
 * and counted. A peer that is gone costs a counter. Answers to one peer keep their order.
 *
 * Answers to requests with "acks":"batched" are gathered per peer until the end of the turn and
 * then go out as one message: a JSON array, or the plain object when it stayed alone.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_REPLIES_H
#define NHUB_DAEMON_REPLIES_H

#include "daemon/stats.h"
#include "zmtp/server.h"

struct replies_limits {
    size_t peer_answers; /* waiting for one peer */
    size_t peer_bytes;
    size_t total_bytes; /* waiting for all peers */
    int64_t max_wait_ms;
};
/* A publisher with 256 requests in flight never reaches these; a peer that does not read does. */
#define REPLIES_LIMITS                                                                             \
    {                                                                                              \
        .peer_answers = 1024, .peer_bytes = 16u << 20, .total_bytes = 64u << 20,                   \
        .max_wait_ms = 30000                                                                       \
    }

/* Frames behind the JSON of an answer. */
struct reply_frames {
    struct block *block; /* as they go over the wire; NULL = none */
    size_t bytes;        /* of them */
    bool was_sent;       /* the socket has them */
    /* Called, if it is not NULL, when they are destroyed: was_sent tells whether the answer went
     * out. It must not send anything. */
    void (*gone)(void *context, bool was_sent);
    void *context;
};
/* Without frames yet. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err reply_frames_create(struct reply_frames **out);
void reply_frames_destroy(struct reply_frames **frames_p);

/* How answers reach a peer: the ROUTER socket, or a test's own. Sends [RESPONSE, json, frames…]
 * (frames may be NULL) without waiting, all or nothing; errors as zserver_answer(). */
struct reply_sink {
    nhub_err (*send)(void *context, uint64_t peer, const char *json, size_t len,
                     struct block *frames);
    void *context;
};
/* The sink that is a socket. */
struct reply_sink reply_sink_server(struct zserver *server);

struct replies;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err replies_create(struct replies **out, const struct reply_sink *sink,
                                      const struct replies_limits *limits, struct stats *stats);
void replies_destroy(struct replies **r_p); /* with all that waits */

/* Sends [RESPONSE, json, frames…] to the peer. Takes the frames (may be NULL) in every case. */
void replies_send(struct replies *r, uint64_t peer, const char *json, size_t len,
                  struct reply_frames **frames_p);
/* Adds the answer to the peer's batch of this turn. */
void replies_add_batched(struct replies *r, uint64_t peer, const char *json, size_t len);
/* Sends what is batched. */
void replies_end_turn(struct replies *r);
/* Tries again for those whose queue was full. Returns true while answers wait. */
bool replies_retry(struct replies *r);

#endif
