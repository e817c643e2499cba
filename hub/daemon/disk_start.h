/*
 * disk_start: what happens between opening the store and the first number: whether the last stop
 * was in order, which numbers are void, and the reservation.
 *
 * Threads: the loop's, before the writer's thread starts.
 */
#ifndef NHUB_DAEMON_DISK_START_H
#define NHUB_DAEMON_DISK_START_H

#include "base/buf.h"
#include "daemon/disk_voids.h"
#include "store/store.h"

struct disk_start {
    struct store_meta meta; /* as it is on disk now: reserved, not clean */
    struct store_figures figures;
};

/* Writes down the void that an unclean stop left and reserves numbers, synced; fills *voids.
 * Errors: as store_commit(), with a text in *error. */
NHUB_MUST_USE nhub_err disk_start(struct store *store, uint64_t reservation,
                                  struct disk_voids *voids, struct disk_start *out,
                                  struct buf *error);

#endif
