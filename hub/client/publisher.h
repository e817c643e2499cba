/*
 * publisher: the inside of nhub_publisher, for its two halves: publisher.c (life, fire and forget)
 * and publisher_ack.c (acknowledged publishes).
 *
 * Threads: one; `queued` is also lowered by the library's I/O thread.
 */
#ifndef NHUB_CLIENT_PUBLISHER_H
#define NHUB_CLIENT_PUBLISHER_H

#include "base/buf.h"
#include "base/zsock.h"
#include "client/ack.h"
#include "client/wakeup.h"

#include <stdatomic.h>

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
    struct ack_box ack;          /* the one that is lent by a publish that was waited for */
    struct buf scratch, error;
    size_t acks_called; /* callbacks since the publisher was made */
    int callback_depth;
};

/* Starts a public call: forgets the error text and the ack that was lent. */
void publisher_begin(struct nhub_publisher *p);
/* Ends one with err, making the error text ready to be lent. */
nhub_err publisher_refuse(struct nhub_publisher *p, nhub_err err);

#endif
