/*
 * publisher: the inside of nhub_publisher, for its parts: publisher.c (life, fire and forget),
 * publisher_ack.c (the public calls of acknowledged publishing) and publisher_flight.c (publishes
 * on their way: sending, answers, and what happens when the connection breaks).
 *
 * Threads: one; `queued` is also lowered by the library's I/O thread.
 */
#ifndef NHUB_CLIENT_PUBLISHER_H
#define NHUB_CLIENT_PUBLISHER_H

#include "base/buf.h"
#include "base/zsock.h"
#include "client/ack.h"
#include "client/wakeup.h"
#include "wire/position.h"

#include <stdatomic.h>

struct pending;

/* What is known of the hub behind the connection of now. */
enum flight_knowledge { FLIGHT_UNKNOWN, FLIGHT_ASKED, FLIGHT_KNOWN };

struct nhub_publisher {
    struct zctx *ctx;
    char *host;
    uint16_t collector_port, requests_port;
    char *source_service; /* NULL = none */
    uint32_t queue_events, window;
    int ack_timeout_ms;
    size_t max_bytes;
    int durability;
    struct zsock *push;          /* NULL until first use */
    atomic_size_t queued;        /* PUSH messages not yet given back; the I/O thread lowers it */
    struct requester *requester; /* NULL until first use */
    struct wakeup *wakeup;       /* made with the requester */

    /* Publishes whose connection broke and that may be sent again, oldest first. */
    struct pending *lost_first, *lost_last;
    size_t lost_count;
    uint64_t next_order;
    uint64_t losses; /* of the requester, when `knowledge` was last true */
    enum flight_knowledge knowledge;
    char epoch[EPOCH_LEN + 1]; /* of the connection of now, "" = not told yet */
    bool is_epoch_mixed;       /* it changed on this connection */
    bool is_hub_leaving;       /* it said that it stops: its connection breaks soon */
    int64_t memory_ms;         /* how long the hub remembers ids; 0 = it does not */

    struct ack_box ack; /* the one that is lent by a publish that was waited for */
    struct buf scratch, error;
    size_t acks_called; /* callbacks since the publisher was made */
    int callback_depth;
    bool is_closing;
};

/* Starts a public call: forgets the error text and the ack that was lent. */
void publisher_begin(struct nhub_publisher *p);
/* Ends one with err, making the error text ready to be lent. */
nhub_err publisher_refuse(struct nhub_publisher *p, nhub_err err);

/* A publish to be sent. */
struct flight_job {
    const nhub_bytes *lines;
    size_t count;
    int mode;       /* NHUB_PUBLISH_EACH or _ATOMIC */
    int durability; /* enum durability */
    int64_t deadline_ms;
    bool has_ids;    /* every event carries one: it may be sent twice */
    nhub_ack_fn *fn; /* NULL when a call waits for it */
    void *context;
    bool *out_done; /* the waiting call's */
};

/* Makes the requester. Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err flight_open(struct nhub_publisher *p);
/* Sends it. *out may be given to flight_cancel() until it is answered. Errors: NHUB_EFULL the
 * window; NHUB_EAGAIN not connected, or something older has to be sent again first; NHUB_ENOMEM;
 * NHUB_ESYS. */
NHUB_MUST_USE nhub_err flight_send(struct nhub_publisher *p, const struct flight_job *job,
                                   struct pending **out);
/* Forgets it without calling anybody. */
void flight_cancel(struct nhub_publisher *p, struct pending *pending);
/* Takes answers, expires what is overdue, asks a hub that is new, and sends again what may be. */
void flight_turn(struct nhub_publisher *p);
/* Waits for something to happen, at most until deadline_ms, and takes a turn. Errors: NHUB_ESYS. */
NHUB_MUST_USE nhub_err flight_wait(struct nhub_publisher *p, int64_t deadline_ms);
/* Ends everything that is on its way with NHUB_ECLOSED. */
void flight_give_up(struct nhub_publisher *p);
size_t flight_count(const struct nhub_publisher *p);
/* When flight_turn() has something to do at the latest; INT64_MAX = never. */
int64_t flight_deadline_ms(const struct nhub_publisher *p);

#endif
