/*
 * lookup: the requests `position` and `count`, which ask the journal and carry no events.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_LOOKUP_H
#define NHUB_DAEMON_LOOKUP_H

#include "daemon/call.h"
#include "daemon/journal.h"

/* A count that would take longer is refused with "range_too_large": where it would hold up the
 * loop, and where it would only hold up other readers of the disk. */
#define LOOKUP_COUNT_MS       20
#define LOOKUP_COUNT_ASIDE_MS 500

/* Both answer the call, now or when the journal has looked. They take the call's content. */
void lookup_position(struct journal *journal, const struct settings *settings, struct call *call);
void lookup_count(struct journal *journal, struct call *call);

#endif
