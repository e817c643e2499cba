/*
 * render: the bytes in which a record (an event or a gap) is written to subscribers, one form for
 * each stream_format, made when somebody first needs it and shared by everybody.
 *
 * Browsers know no NaN and no Infinity: lines with the bare words are rendered with null.
 * A form may be cut for writing at multiples of RENDER_SLICE only: a WebSocket form is then cut
 * between frames.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_RENDER_H
#define GATEWAY_FANOUT_RENDER_H

#include "base/blob.h"
#include "base/buf.h"
#include "gateway/feed.h"
#include "gateway/protocols/ws_frame.h"

#define RENDER_SLICE ((size_t)WS_FRAGMENT + WS_FRAGMENT_HEAD)

bool format_is_ws(enum stream_format format);
bool format_is_cloudevents(enum stream_format format);

/* The shared form in *out, owned by the record. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err render_event(struct feed_event *e, enum stream_format format,
                                    const struct blob **out);
/* Appends the form to out without keeping it, for readers of old records. Errors as above. */
NHUB_MUST_USE nhub_err render_append(const struct feed_event *e, enum stream_format format,
                                     struct buf *out);
/* Frees the shared forms; they are made again when needed. */
void render_drop(struct feed_event *e);
/* The event's JSON in strict JSON, or as a CloudEvent, without any framing. */
NHUB_MUST_USE nhub_err render_json(const struct feed_event *e, bool cloudevents, struct buf *out);

#endif
