/*
 * disk_post: what the threads of the journal on disk send each other: the head of every letter.
 *
 * Loop to writer: batches. Loop to reader: scans. Back to the loop go both, with their results, and
 * marks, in the order in which things happened: a mark that says "synced" never overtakes a batch
 * that was lost before.
 */
#ifndef NHUB_DAEMON_DISK_POST_H
#define NHUB_DAEMON_DISK_POST_H

#include "base/mailbox.h"
#include "wire/position.h"

#include <stdint.h>

enum disk_post_kind {
    POST_BATCH,     /* struct disk_batch, written or lost */
    POST_SCAN,      /* struct disk_scan, read as far as the store goes */
    POST_SYNCED,    /* struct disk_mark: all up to its batch and number are synced */
    POST_UNSYNCED,  /* struct disk_mark: they will not be synced any more */
    POST_RECOVERED, /* struct disk_mark: the disk takes events again; from..to is a void */
    POST_LOOK,      /* struct disk_mark: the writer's report has changed */
    POST_STOPPED    /* struct disk_mark: the writer has ended */
};

struct disk_post {
    struct letter letter; /* first */
    enum disk_post_kind kind;
};

struct disk_mark {
    struct disk_post post; /* first */
    uint64_t batch;
    uint64_t from, to; /* numbers; from > to: none */
    char epoch[EPOCH_LEN + 1];
    bool is_orderly; /* POST_STOPPED: marked as a clean stop */
};

#endif
