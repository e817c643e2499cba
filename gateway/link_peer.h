/*
 * link_peer: one ZeroMQ connection of the hub link, spoken by ourselves: a SUB of everything or a
 * DEALER, which connects to one address and connects again when it was refused or cut.
 *
 * Why not libzmq here: its I/O thread stands between the link's thread and the network, in both
 * directions. Each event costs two wake-ups and a handful of system calls more on its way to the
 * hub and back, which is most of the latency of a quiet stream (tests/bench/NOTES.md).
 *
 * Nothing is lost silently, and nothing goes out late: what is still to be written when the
 * connection breaks goes with it, and the peer tells that it was cut. A peer that sends faster than
 * it is read is held back by TCP.
 *
 * Threads: all calls from one thread. Names are looked up in a thread of their own (resolver).
 */
#ifndef GATEWAY_LINK_PEER_H
#define GATEWAY_LINK_PEER_H

#include "base/log.h"
#include "wire/zmtp.h"

#include <poll.h>

struct link_peer;

enum link_peer_type { LINK_PEER_SUB, LINK_PEER_DEALER };

enum {
    LINK_PEER_RETRY_MS = 100,   /* after a refused, cut or useless connection */
    LINK_PEER_LIMIT_MS = 10000, /* for a connection with its handshake */
    /* With so much to be written a peer takes nothing more. */
    LINK_PEER_OUT_BYTES = 1 << 20,
    /* A longer message is not for us: the connection is cut. The largest that a hub can be told to
     * send is an event of 256 MiB (hub.max_event_bytes) with what the hub adds to it. */
    LINK_PEER_MESSAGE_BYTES = 512 << 20
};

/* host is borrowed, and so is limit, for log lines about what is wrong there. The first
 * link_peer_turn() begins to connect. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err link_peer_create(struct link_peer **out, enum link_peer_type type,
                                        const char *host, uint16_t port, struct log_limit *limit);
/* What was not written yet is dropped. */
void link_peer_destroy(struct link_peer **p_p);

/* To be called after and before each wait: begins what is due, writes what can be written. */
void link_peer_turn(struct link_peer *p, int64_t now_ms);
/* When link_peer_turn() has to be called again at the latest, by the monotonic clock. */
int64_t link_peer_deadline(const struct link_peer *p);
/* What to wait for; fd is -1 while there is nothing. want_in: messages are wanted. */
void link_peer_poll(const struct link_peer *p, bool want_in, struct pollfd *out);
/* What poll() told. */
void link_peer_polled(struct link_peer *p, const struct pollfd *item);

/* The handshake is done, and not too much waits to be written. */
bool link_peer_can_send(const struct link_peer *p);
/* An open connection was lost since the last call. */
bool link_peer_was_cut(struct link_peer *p);
/* A message is here already: poll() would not tell. */
bool link_peer_has_message(const struct link_peer *p);

/* The next frame; a message is given once all of it is here, so that behind a frame with `more`
 * there is always another. The frame is valid until the first frame of the next message is asked
 * for, or link_peer_turn(), link_peer_polled() or link_peer_destroy() called. Errors: NHUB_EAGAIN
 * none now. */
NHUB_MUST_USE nhub_err link_peer_next(struct link_peer *p, struct zmtp_frame *out);

/* A message of one frame: the body is to be added to *out before link_peer_end(), which says
 * whether it will be written (at the next turn, with others): NHUB_OK, or NHUB_ENOMEM, nothing of
 * it will. Errors: NHUB_EAGAIN not open, or too much to write already. */
NHUB_MUST_USE nhub_err link_peer_begin(struct link_peer *p, struct buf **out);
NHUB_MUST_USE nhub_err link_peer_end(struct link_peer *p);

#endif
