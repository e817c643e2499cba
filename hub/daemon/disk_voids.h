/*
 * disk_voids: the ranges of numbers that have no event on disk, ascending, as the loop knows them.
 *
 * Events that a failing disk did not take may still be in memory: as long as they are, they can be
 * had, and their numbers are no void for anybody. So what is shown ends in front of the ring.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_DISK_VOIDS_H
#define NHUB_DAEMON_DISK_VOIDS_H

#include "daemon/journal.h"

struct disk_voids {
    struct journal_void *all;
    struct journal_void *shown;
    size_t count, cap;
    bool is_open; /* the last one is still growing: the disk takes nothing */
};

void disk_voids_fini(struct disk_voids *v);
void disk_voids_clear(struct disk_voids *v);
/* Adds from..to where it belongs; joins what touches and has the same reason (static text).
 * Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err disk_voids_add(struct disk_voids *v, uint64_t from, uint64_t to,
                                      const char *reason);
/* Events from..to were not stored. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err disk_voids_grow(struct disk_voids *v, uint64_t from, uint64_t to,
                                       const char *reason);
/* The one that was growing is from..to in the end; from > to: there is none. Errors: NHUB_ENOMEM.
 */
NHUB_MUST_USE nhub_err disk_voids_settle(struct disk_voids *v, uint64_t from, uint64_t to,
                                         const char *reason);
/* Forgets those that end before `seq`. */
void disk_voids_trim(struct disk_voids *v, uint64_t seq);
bool disk_voids_has(const struct disk_voids *v, uint64_t seq, const char *reason);
/* Those that end before first_in_memory; the array lives until the next call. */
const struct journal_void *disk_voids_show(struct disk_voids *v, uint64_t first_in_memory,
                                           size_t *out_count);

#endif
