/*
 * link_sockets: the two connections of the hub link, a SUB of everything and a DEALER, made and
 * closed together.
 *
 * The DEALER is given something to send only while it is connected, so that nothing goes out later
 * than it was meant to: what it still has when the connection breaks goes with it.
 * Threads: all calls from the hub link's thread.
 */
#ifndef GATEWAY_LINK_SOCKETS_H
#define GATEWAY_LINK_SOCKETS_H

#include "gateway/feed.h"
#include "gateway/link_answer.h"
#include "gateway/link_peer.h"

struct link_sockets {
    const char *host;
    uint16_t publisher_port, requests_port;
    struct log_limit bad_limit;     /* outlives the peers */
    struct link_peer *sub, *dealer; /* NULL while closed */
};

/* host is borrowed. */
void link_sockets_init(struct link_sockets *s, const char *host, uint16_t publisher_port,
                       uint16_t requests_port);
NHUB_MUST_USE nhub_err link_sockets_open(struct link_sockets *s); /* closed on failure */
void link_sockets_close(struct link_sockets *s);                  /* at any time */
bool link_sockets_are_open(const struct link_sockets *s);

/* After and before each wait: connects what is due, writes what was sent, all in one piece. */
void link_sockets_turn(struct link_sockets *s, int64_t now_ms);
bool link_sockets_can_send(const struct link_sockets *s);
/* When the next turn has to come at the latest. */
int64_t link_sockets_deadline(const struct link_sockets *s);
/* The items to wait for, LINK_SOCKETS_POLL of them. want_events: read the SUB. True when there is
 * something to read already, which poll() would not tell. */
enum { LINK_POLL_EVENTS, LINK_POLL_ANSWERS, LINK_SOCKETS_POLL };
bool link_sockets_poll(const struct link_sockets *s, bool want_events, struct pollfd *items);
/* What poll() told. */
void link_sockets_polled(struct link_sockets *s, const struct pollfd *items);
/* True when either connection was lost since the last call. */
bool link_sockets_were_cut(struct link_sockets *s);

/* The next event of the SUB, owned by the caller. Errors: NHUB_EAGAIN none; NHUB_EPROTO a message
 * that is no event, it was dropped; NHUB_ENOMEM the same. */
NHUB_MUST_USE nhub_err link_sockets_event(struct link_sockets *s, struct feed_event **out);

/* An answer as it came: its text, which lies where it was received and is gone with the next
 * answer, and the events that followed it. */
struct link_message {
    const char *text;
    size_t text_len;
    struct link_answer answer;
    struct feed_event **events; /* owned, NULL when none */
    size_t count;
};
/* The next answer of the DEALER, to be freed with link_message_fini() on success. Errors: as
 * link_sockets_event(). */
NHUB_MUST_USE nhub_err link_sockets_answer(struct link_sockets *s, struct link_message *out);
void link_message_fini(struct link_message *m);

/* Sends REQ, text and, for a publish, the events that next() gives for 0 … count - 1, packed
 * (wire/packed.h). It is written by the turn. Errors, nothing was sent: NHUB_EAGAIN no connection,
 * or too much waits to be written; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err
link_sockets_send(struct link_sockets *s, const char *text, size_t len, size_t count,
                  const void *(*next)(void *context, size_t i, size_t *out_len), void *context);

#endif
