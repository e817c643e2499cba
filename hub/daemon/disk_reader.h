/*
 * disk_reader: the thread that reads the journal for scans.
 *
 * A few scans are read side by side, each in turn a bounded piece in a read transaction of its own,
 * so that no page of the store stays pinned for long and no scan waits for the end of a long one;
 * the others wait in line, so that what scans gather in memory is bounded too.
 *
 * Threads: create, post and destroy are the loop's. visit is called in the reader's thread.
 */
#ifndef NHUB_DAEMON_DISK_READER_H
#define NHUB_DAEMON_DISK_READER_H

#include "daemon/disk_post.h"
#include "daemon/journal.h"
#include "store/store.h"

struct disk_reader;

/* A scan on its way through the reader. */
struct disk_scan {
    struct disk_post post; /* first */
    struct journal_scan *scan;
    struct disk_scan *next; /* in the loop's list of those that wait for a commit */
    bool must_find;         /* look for scan->time_us first */
    uint64_t to;            /* what may be read: all up to here is in the store, or lost */

    /* Results. */
    bool is_stopped; /* by its visitor */
    nhub_err status; /* NHUB_EPROTO: the record behind scan->scanned_to is damaged */
};

/* Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err disk_reader_create(struct disk_reader **out, struct store *store,
                                          struct mailbox *loop);
/* Ends the thread when all scans have come back. */
void disk_reader_destroy(struct disk_reader **r_p);

/* Reads on from scan->scanned_to up to `to`, then gives the scan back by the loop's mailbox. */
void disk_reader_post(struct disk_reader *r, struct disk_scan *scan);

#endif
