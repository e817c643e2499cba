/*
 * disk_writer: the thread that writes the journal: group commit, forcing to the disk, retention,
 * and what happens when the disk is full or fails.
 *
 * Everything that waits when a commit begins goes into it, up to a limit, so a slow disk makes
 * larger groups rather than a longer queue. What nobody waits for is gathered for 20 ms before.
 * Modes (hub.journal.sync): commit, each commit is forced to the disk; interval, the data of a
 * commit are written and what points to them is forced each interval or when somebody wants it;
 * off, commits are gathered for an interval and nothing is forced.
 *
 * When the disk does not take what it should, the writer is *degraded*: it keeps no backlog, every
 * batch comes back as not stored, and it tries to recover, rarer and rarer. A full disk has
 * recovered when the reserve file can be made again; after any other failure the store is opened
 * anew, because what is in the system's memory after a failed fsync says nothing about the disk.
 * What was not stored becomes one void.
 *
 * Threads: create, post, stop and destroy are the loop's; the report may be read by it at any time.
 */
#ifndef NHUB_DAEMON_DISK_WRITER_H
#define NHUB_DAEMON_DISK_WRITER_H

#include "base/settings.h"
#include "daemon/disk_batch.h"
#include "store/store.h"

struct disk_writer;

struct disk_writer_options {
    struct store *store;  /* the writer's until it is destroyed; others only read in it */
    struct mailbox *loop; /* where batches come back and marks go */
    enum journal_sync mode;
    uint64_t interval_ms;
    int64_t max_age_us;
    uint64_t max_bytes, hold_max_bytes;
    uint64_t max_pending_bytes; /* the backlog of the loop, see disk_check_room() */
    uint64_t reservation;
    int64_t ids_window_us; /* 0 = no ids are kept */
    uint64_t max_ids;
    bool holds_at_start; /* as if disk_writer_hold() had asked for everything */
};

/* How things stand; a copy. */
struct disk_report {
    bool is_degraded;
    const char *why;           /* static; "" */
    char epoch[EPOCH_LEN + 1]; /* that of the next three */
    uint64_t reserved_to;      /* numbers up to here may be given out */
    uint64_t oldest;           /* first number stored; 0 = none */
    uint64_t stored_to;        /* all up to here are stored or lost */
    int64_t oldest_us;
    int64_t trimmed_us;
    uint64_t records, bytes, file_bytes;
    uint64_t trimmed; /* records, since the start */
    uint64_t commits, syncs;
    uint64_t commit_p50_us, commit_p99_us, commit_max_us; /* only from disk_writer_figures() */
};

/* Starts the thread. The store's meta must be that of a running hub: reserved and not clean.
 * Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err disk_writer_create(struct disk_writer **out,
                                          const struct disk_writer_options *options);
/* To be called when POST_STOPPED has come; waits for the thread. */
void disk_writer_destroy(struct disk_writer **w_p);

/* Gives the batch to the writer; it comes back through the loop's mailbox. */
void disk_writer_post(struct disk_writer *w, struct disk_batch *b);
/* Numbers >= from are not to be trimmed; 0 = no such wish. */
void disk_writer_hold(struct disk_writer *w, uint64_t from);
/* The writer writes what it has, marks the stop as clean and says POST_STOPPED. */
void disk_writer_stop(struct disk_writer *w);
void disk_writer_report(struct disk_writer *w, struct disk_report *out);
/* The same with the times of the last commits. */
void disk_writer_figures(struct disk_writer *w, struct disk_report *out);

#endif
