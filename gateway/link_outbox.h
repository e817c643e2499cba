/*
 * link_outbox: the feed items that the sequencer has made and the link has not passed on yet, in
 * order, linked by their letters.
 *
 * Each function that adds returns false when there is no memory; nothing has changed then.
 *
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_OUTBOX_H
#define GATEWAY_LINK_OUTBOX_H

#include "gateway/feed.h"

#include <stdbool.h>

struct link_outbox {
    struct feed_item *first, *last;
    struct feed_batch *batch; /* where items come from */
};

/* Frees what is left. */
void link_outbox_fini(struct link_outbox *o);

/* position NULL = not known yet. */
bool link_outbox_link(struct link_outbox *o, bool is_up, const struct position *position);
/* kind is FEED_EVENT or FEED_BACKFILL; the event is taken on success. */
bool link_outbox_event(struct link_outbox *o, enum feed_kind kind, struct feed_event **event_p);
bool link_outbox_gap(struct link_outbox *o, const struct gap *gap);

/* All of them, which are the caller's then; NULL when there are none. */
struct feed_item *link_outbox_take(struct link_outbox *o, struct feed_item **out_last);

#endif
