/*
 * event_view: an event's line with its members found: what stands behind nhub_event.
 *
 * The view refers to bytes that somebody else owns (a frame, an answer) or, made by
 * nhub_event_create(), to its own copy. Threads: any; immutable.
 */
#ifndef NHUB_CLIENT_EVENT_VIEW_H
#define NHUB_CLIENT_EVENT_VIEW_H

#include "wire/event.h"

#include <notifyhub/event.h>

struct nhub_event {
    nhub_bytes line;
    struct json_span field[NHUB_FIELD_METADATA + 1]; /* by enum nhub_field */
    char type[EVENT_TYPE_MAX + 1];
    nhub_position position;
    bool is_late;
    char *own; /* the line's memory when it is the event's own, else NULL */
};

/* Reads a line as the hub sends it; the line is lent for the view's life. Numbers at its end are
 * optional. Errors: NHUB_EPROTO it is no event. */
NHUB_MUST_USE nhub_err event_view_init(struct nhub_event *view, const char *line, size_t len);

#endif
