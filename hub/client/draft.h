/*
 * draft: writes a publisher's event as JSON and checks it with the rules of the hub.
 *
 * Threads: any; pure functions but for the clock.
 */
#ifndef NHUB_CLIENT_DRAFT_H
#define NHUB_CLIENT_DRAFT_H

#include "base/buf.h"

#include <notifyhub/publisher.h>

/* Appends the event to *out. source_service: for a draft that names none, may be NULL.
 * Errors: NHUB_EINVAL the event would be refused, *error says why; NHUB_ETOOBIG over max_bytes;
 * NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err draft_write(const nhub_draft *draft, const char *source_service,
                                   size_t max_bytes, struct buf *out, struct buf *error);
/* Checks an event that is JSON already. Errors: as above. */
NHUB_MUST_USE nhub_err draft_check_line(nhub_bytes line, size_t max_bytes, struct buf *error);

#endif
