/*
 * link_sockets: the two sockets of the hub link, a SUB of everything and a DEALER, made and closed
 * together, with monitors that tell when a connection broke.
 *
 * Linger is 0 and the DEALER is given something to send only while it is connected, so that nothing
 * goes out later than it was meant to: what it still has when a connection breaks goes with it.
 * Threads: all calls from the hub link's thread.
 */
#ifndef GATEWAY_LINK_SOCKETS_H
#define GATEWAY_LINK_SOCKETS_H

#include "base/buf.h"
#include "base/zsock.h"
#include "gateway/feed.h"
#include "gateway/link_answer.h"

/* Events that may wait inside the SUB socket while the link's thread is busy. */
enum { LINK_SOCKETS_EVENTS = 65536 };

struct link_sockets {
    struct zctx *ctx;
    const char *host;
    uint16_t publisher_port, requests_port;
    int request_hwm; /* messages in each direction of the DEALER */
    struct zsock *sub, *dealer, *sub_monitor, *dealer_monitor; /* NULL while closed */
    bool is_connected; /* the DEALER, as far as its monitor was read */
    struct buf packed; /* the request that is being sent */
};

/* host is borrowed. Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err link_sockets_init(struct link_sockets *s, const char *host,
                                         uint16_t publisher_port, uint16_t requests_port,
                                         int request_hwm);
void link_sockets_fini(struct link_sockets *s);
NHUB_MUST_USE nhub_err link_sockets_open(struct link_sockets *s); /* closed on failure */
void link_sockets_close(struct link_sockets *s);
bool link_sockets_are_open(const struct link_sockets *s);

/* Adds the sockets to a poll set, which needs room for LINK_SOCKETS_POLL items: events, answers,
 * and what their monitors tell. */
enum { LINK_POLL_EVENTS, LINK_POLL_ANSWERS, LINK_POLL_MONITORS, LINK_SOCKETS_POLL = 4 };
/* want_events: look at the SUB socket; want_out: wait until the DEALER can send. */
size_t link_sockets_poll(const struct link_sockets *s, bool want_events, bool want_out,
                         struct zpoll_item *items);
/* True when a connection of either socket was lost since the last call. */
bool link_sockets_were_cut(struct link_sockets *s);

/* The next event of the SUB socket, owned by the caller. Errors: NHUB_EAGAIN none; NHUB_EPROTO a
 * message that is no event, it was dropped; NHUB_ENOMEM the same; NHUB_ECLOSED, NHUB_ESYS. */
NHUB_MUST_USE nhub_err link_sockets_event(struct link_sockets *s, struct feed_event **out);

/* An answer as it came: its text, and the events that followed it. */
struct link_message {
    struct zframe text;
    struct link_answer answer;
    struct feed_event **events; /* owned, NULL when none */
    size_t count;
};
/* The next answer of the DEALER, to be freed with link_message_fini() on success. Errors: as
 * link_sockets_event(). */
NHUB_MUST_USE nhub_err link_sockets_answer(struct link_sockets *s, struct link_message *out);
void link_message_fini(struct link_message *m);

/* Sends REQ, text and, for a publish, the events that next() gives for 0 … count - 1, packed: the
 * DEALER is closed while the gateway goes on (wire/packed.h). Errors, nothing was sent: NHUB_EAGAIN
 * no connection or its queue is full; NHUB_ENOMEM; others: the link is to be given up. */
NHUB_MUST_USE nhub_err
link_sockets_send(struct link_sockets *s, const char *text, size_t len, size_t count,
                  const void *(*next)(void *context, size_t i, size_t *out_len), void *context);

#endif
