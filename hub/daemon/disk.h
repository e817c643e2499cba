/*
 * disk: the journal that survives: a ring with the newest events in memory, a store with all of
 * them on disk, and two threads between.
 *
 *     slot ─▶ ring ─┬─▶ batch ─▶ disk_writer ─▶ store ◀─ disk_reader
 *                   │               │                        │
 *     scan ◀────────┘      kept ◀───┴──── one mailbox ───────┘
 *
 * A slot is rendered into the ring's memory and copied into the open batch; a commit hands the
 * batch to the writer. A scan is served by the ring inside the call when the ring has its
 * beginning; otherwise the reader serves it from the store and the ring goes on where the store
 * ends. Records between the two (written by nobody yet, and gone from the ring) are waited for.
 *
 * Numbers are given out below a reservation that is synced on disk before; it grows when half of it
 * is used. When it cannot grow because the disk takes nothing, the journal takes a new epoch in
 * memory, which the disk hears of when it takes something again. (journal.h, store.h.)
 *
 * Threads: see journal.h.
 */
#ifndef NHUB_DAEMON_DISK_H
#define NHUB_DAEMON_DISK_H

#include "base/buf.h"
#include "base/settings.h"
#include "daemon/journal.h"

struct disk_options {
    const char *path;
    enum journal_sync mode;
    uint64_t interval_ms, max_age_s, max_bytes, hold_max_bytes, max_pending_bytes;
    uint64_t dedup_window_s, dedup_ids; /* of the ids that are to be remembered; 0 = none */
    uint64_t max_record_bytes;          /* largest line_max that a slot will be asked for */
    uint64_t reservation;               /* numbers reserved at a time */
    bool holds_at_start; /* nothing is trimmed before journal_hold() says what is to be kept */
};

/* The options that the settings say. */
struct disk_options disk_options_of(const struct settings *settings, uint64_t max_record_bytes);

/* Opens or makes the journal and goes on behind its last number. *ring_p holds the newest events;
 * it is taken on success, lives as long as the journal and is looked at by others for its figures
 * only. *error gets a text for people. Errors: as store_open(). */
NHUB_MUST_USE nhub_err disk_create(struct journal **out, struct journal **ring_p,
                                   const struct disk_options *options, struct buf *error);

#endif
