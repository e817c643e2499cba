/*
 * ring: the journal in memory: the last events, bounded by count and by bytes.
 *
 * Records stand one after the other in one block of memory, each as its type and its line, and wrap
 * around at its end; a record is never split. Appending drops the oldest records until the new one
 * fits, so the ring always ends with the newest event, even with one that alone is over max_bytes
 * (that one is dropped by the next append). Each ring is an epoch of its own. Every event is "kept"
 * with durability memory as soon as its slot is closed.
 *
 * Threads: none inside; see journal.h.
 */
#ifndef NHUB_DAEMON_RING_H
#define NHUB_DAEMON_RING_H

#include "daemon/journal.h"

struct ring_limits {
    uint64_t max_events;       /* >= 1 */
    uint64_t max_bytes;        /* types and lines of all records, >= 1 */
    uint64_t max_record_bytes; /* largest line_max that a slot will be asked for, >= 1 */
};

/* An empty ring with a fresh epoch. Its memory is set aside now, so appending cannot fail for lack
 * of it; pages are touched as events come. Errors: NHUB_EINVAL a limit is 0; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err ring_create(struct journal **out, const struct ring_limits *limits);

/* The rest is for an implementation on disk, whose newest records a ring holds. */

/* Empties the ring; it goes on in this epoch behind last_seq, with arrivals not before newest_us.
 */
void ring_restart(struct journal *j, const char *epoch, uint64_t last_seq, int64_t newest_us);
uint64_t ring_oldest(const struct journal *j);   /* last number + 1 when it is empty */
int64_t ring_oldest_us(const struct journal *j); /* its arrival; INT64_MAX when it is empty */
/* The number before the first record that arrived at or after time_us. */
uint64_t ring_before_time(const struct journal *j, int64_t time_us);
/* Goes on with a scan from scan->scanned_to, which must not lie before the oldest record. Does not
 * call done. Returns false when visit stopped it. */
bool ring_walk(const struct journal *j, struct journal_scan *scan);

#endif
