/*
 * notice: what a stream tells its reader besides events, in the form of its door.
 *
 *   WebSocket: {"op":"gap","from":"e-1","to":"e-9","reason":"slow","dropped":8}
 *              {"op":"position","position":"e-42"}
 *   SSE:       id: e-9            id: e-42
 *              event: hub.gap     (no data: only the reader's last event id moves)
 *              data: {"from":…
 *
 * A gap's block carries the id behind the gap, so that a reader that comes back goes on there
 * instead of being told the same gap again. Threads: any; pure functions.
 */
#ifndef GATEWAY_FANOUT_NOTICE_H
#define GATEWAY_FANOUT_NOTICE_H

#include "base/buf.h"
#include "gateway/feed.h"

/* dropped: events left out as far as they were counted, 0 = not known. */
void notice_gap(struct buf *out, enum stream_format format, const struct gap *gap,
                uint64_t dropped);
void notice_position(struct buf *out, enum stream_format format, const struct position *position);
/* "from":…,"to":…,"reason":… without braces. */
void notice_gap_members(struct buf *out, const struct gap *gap);

#endif
