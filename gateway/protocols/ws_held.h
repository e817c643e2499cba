/*
 * ws_held: the deliveries of one consumer that its client has and has not answered yet, each with
 * the end of its time.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_PROTOCOLS_WS_HELD_H
#define GATEWAY_PROTOCOLS_WS_HELD_H

#include "base/buf.h"
#include "base/map.h"
#include "gateway/fanout/list.h"
#include "wire/delivery.h"

struct ws_held {
    struct map *by_id; /* made with the first one */
    struct list all;   /* in the order in which they came */
    size_t count;
    int64_t due_ms; /* not later than the earliest end */
};

void ws_held_init(struct ws_held *h);
void ws_held_fini(struct ws_held *h);

/* One that is there already only gets the new time. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err ws_held_add(struct ws_held *h, const struct delivery *d, int64_t due_ms);
bool ws_held_remove(struct ws_held *h, const struct delivery *d); /* true when it was there */
void ws_held_extend(struct ws_held *h, const struct delivery *d, int64_t due_ms);
/* Those whose time is over are not the client's any more: they are forgotten. */
void ws_held_expire(struct ws_held *h, int64_t now_ms);
/* Appends the names of all as JSON strings with commas. */
void ws_held_names(const struct ws_held *h, struct buf *out);

#endif
