/*
 * ack: reads the hub's answer to a publish into the public nhub_ack.
 *
 * The texts in the ack point into the answer's JSON; the ack box keeps that alive.
 * Threads: none inside.
 */
#ifndef NHUB_CLIENT_ACK_H
#define NHUB_CLIENT_ACK_H

#include "client/requester.h"

#include <notifyhub/publisher.h>

struct ack_box {
    nhub_ack ack;
    struct json_t *json; /* owned reference, NULL when there is no answer */
    char *text;          /* owned: the answer as text */
    nhub_item *items;    /* owned */
};

/* Fills *box, which is zeroed or was read into before; what it held is freed. With a failed request
 * the ack is its error code alone. */
void ack_read(struct ack_box *box, const struct requester_answer *answer);
void ack_fini(struct ack_box *box);

#endif
