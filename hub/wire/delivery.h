/*
 * delivery: one handing out of an event to a member of a consumer group. Text form:
 * "epoch-seq.attempt", the event's position and the how-manieth time it is handed out.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_DELIVERY_H
#define NHUB_WIRE_DELIVERY_H

#include "wire/position.h"

#define DELIVERY_TEXT_MAX (POSITION_TEXT_MAX + 11) /* with NUL */

struct delivery {
    struct position position; /* seq >= 1 */
    uint32_t attempt;         /* 1 … 2^32-1 */
};

/* Strict: equal deliveries have equal texts. Errors: NHUB_EINVAL. */
NHUB_MUST_USE nhub_err delivery_parse(const char *text, size_t len, struct delivery *out);
/* Writes the text and a NUL; returns the length without it. */
size_t delivery_format(const struct delivery *d, char out[DELIVERY_TEXT_MAX]);

#endif
