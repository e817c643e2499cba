/*
 * journal_void: a void as a line of an export.
 *
 * Missing numbers become a void by themselves when lines are imported, but they do not say why they
 * are missing. Where import could not find out, export says it, with a line of the form of an event
 * of the hub, which stands in the place of the numbers:
 *
 *     {"event_type":"hub.void","source_service":"notifyhub","data":{"from":3,"to":90,
 *      "reason":"unclean_stop"},"timestamp":…,"correlation_id":"k3mzq7aa-3","seq":3,"epoch":…}
 *
 * Threads: any.
 */
#ifndef NHUB_CLI_JOURNAL_VOID_H
#define NHUB_CLI_JOURNAL_VOID_H

#include "base/buf.h"
#include "store/store.h"

#define JOURNAL_VOID_TYPE "hub.void"

/* Writes the line, with its end; a failed allocation shows in out->failed. */
void journal_void_write(struct buf *out, const struct store_void_range *range, const char *epoch);
/* Reads numbers and reason out of the value of the event's data. Errors: NHUB_EPROTO it is no void.
 */
NHUB_MUST_USE nhub_err journal_void_read(const char *data, size_t len,
                                         struct store_void_range *out);

#endif
