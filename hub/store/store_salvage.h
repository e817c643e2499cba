/*
 * store_salvage: finds the events in a file that cannot be opened any more.
 *
 * It follows no page to another one: every page that looks like a part of a table is searched for
 * records, and what has a good checksum is an event, since the checksum covers its number too. So
 * a cut file gives what is in front of the cut, and a damaged page costs what was in it. Copies of
 * pages that LMDB had not yet used again are found as well: events that were trimmed may come back.
 *
 * Nothing is written, and nothing is mapped. Threads: any.
 */
#ifndef NHUB_STORE_STORE_SALVAGE_H
#define NHUB_STORE_STORE_SALVAGE_H

#include "store/store.h"

struct store_salvage {
    /* Each event once, by epoch and number. Returns false to end. */
    bool (*visit)(void *context, const struct store_record *record);
    /* Now and then; may be NULL. */
    void (*progress)(void *context, uint64_t pages, uint64_t of);
    void *context;
    /* Results */
    uint64_t pages, events;
    uint64_t unreadable; /* pages that the disk did not deliver, or a piece of one at the end */
};

/* Memory: 32 bytes for each copy of an event that is found. Errors: NHUB_ENOTFOUND there is no
 * file; NHUB_ENOMEM; NHUB_ESYS (errno). All but NHUB_ENOMEM have words in *error. */
NHUB_MUST_USE nhub_err store_salvage(const char *folder, struct store_salvage *salvage,
                                     struct buf *error);

#endif
