/*
 * disk_writer_private: what the files of the writer share. disk_writer.c has the thread, its queue
 * and its waiting; disk_commit.c the transactions; disk_recover.c failures and the end.
 *
 * Threads: the writer's, but for what the lock guards.
 */
#ifndef NHUB_DAEMON_DISK_WRITER_PRIVATE_H
#define NHUB_DAEMON_DISK_WRITER_PRIVATE_H

#include "daemon/disk_writer.h"

#include <pthread.h>
#include <stdatomic.h>

#define DISK_COMMIT_TIMES 512

/* Numbers as they stand at some moment. */
struct disk_numbers {
    char epoch[EPOCH_LEN + 1];
    uint64_t stored_to;   /* all up to here are stored, or in a void that is */
    uint64_t reserved_to; /* on the disk */
};

struct disk_writer {
    struct disk_writer_options o;
    pthread_t thread;
    struct mailbox *box;
    struct disk_post stop_post;
    _Atomic uint64_t hold_from; /* 0 = none */
    /* > 0: it sleeps until gather_ms, or until so many bytes more are posted. */
    _Atomic int64_t room;

    struct disk_batch *first, *last; /* the queue, linked by their letters */
    int64_t gather_ms;               /* when the queue is written at the latest */
    struct disk_mark *spare;         /* for the next mark; NULL while memory is short */
    bool is_stopping;
    bool has_ids;      /* ids may be in the store */
    bool has_reserve;  /* the reserve file is there */
    bool reports_late; /* the report has changed and nobody was told yet */

    struct disk_numbers numbers;
    uint64_t batch;        /* the last one that was written or lost */
    uint64_t synced_batch; /* told as synced */
    bool is_unsynced;      /* something is committed and not forced */
    int64_t unsynced_ms;   /* since when */

    bool is_degraded;
    bool needs_reopen;
    bool needs_room; /* the disk was full */
    const char *why;
    int64_t degraded_ms, recovered_ms, retry_ms; /* when */
    int64_t backoff_ms;
    uint64_t lost_from, lost_to; /* events that were not stored; 0 = none */

    int64_t housekeeping_ms; /* when it is due */
    int64_t reserve_ms;      /* when the reserve file is tried again */
    struct store_figures figures;
    int64_t figures_ms; /* when they were read */
    uint64_t trimmed, commits, syncs;

    pthread_mutex_t lock; /* guards what follows */
    struct disk_report report;
    uint32_t commit_us[DISK_COMMIT_TIMES];
};

/* ---- disk_writer.c ---- */

/* Posts a mark. Returns false when memory is short; nothing was posted then. */
bool disk_writer_mark(struct disk_writer *w, enum disk_post_kind kind, uint64_t from, uint64_t to,
                      bool is_orderly);
/* True when a mark can be posted. */
bool disk_writer_can_mark(struct disk_writer *w);
/* Gives the first `count` batches of the queue back. */
void disk_writer_return(struct disk_writer *w, size_t count, nhub_err status, int durability);
/* Brings the report up to date; told with the next letter, or by a mark of its own. */
void disk_writer_update_report(struct disk_writer *w, bool is_urgent);

/* ---- disk_commit.c ---- */

/* Writes a group from the front of the queue; fails over to disk_writer_fail(). */
void disk_commit_group(struct disk_writer *w);
/* Forces what is committed to the disk. */
void disk_commit_sync(struct disk_writer *w);
/* Trims what is too old or too much, in transactions of its own; true when there may be more. */
NHUB_MUST_USE nhub_err disk_commit_trim(struct disk_writer *w, size_t max_records, bool *out_more);
bool disk_commit_trim_is_due(const struct disk_writer *w);
/* Groups hold more back than they may. */
bool disk_commit_is_held(const struct disk_writer *w);
void disk_commit_read_figures(struct disk_writer *w);

/* ---- disk_recover.c ---- */

/* The disk did not take something: everything in the queue is lost. */
void disk_writer_fail(struct disk_writer *w, nhub_err err, const char *why);
/* Gives the whole queue back as not stored. */
void disk_writer_lose_queue(struct disk_writer *w);
void disk_writer_try_recovery(struct disk_writer *w);
/* The end in order. Returns true when the stop is marked as clean. */
bool disk_writer_finish(struct disk_writer *w);

#endif
