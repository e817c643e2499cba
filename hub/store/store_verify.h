/*
 * store_verify: looks at everything in a journal, also beside a running hub.
 *
 * First all pages as they are linked, in one snapshot, then every value of every table in short
 * read transactions: checksums, ascending numbers and times, numbers below the reservation, holes
 * that are no voids, events inside voids, ids without events, epochs without a name, and whether
 * the totals add up (only when nobody wrote meanwhile).
 *
 * Threads: one that reads.
 */
#ifndef NHUB_STORE_STORE_VERIFY_H
#define NHUB_STORE_STORE_VERIFY_H

#include "store/store.h"

struct store_verify {
    /* A sentence about something that is wrong, without full stop. */
    void (*problem)(void *context, const char *text);
    /* Now and then; `what` is a static word: "pages", "events". May be NULL. */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t of);
    void *context;
    /* Results */
    uint64_t pages, records, ids, voids, notes;
    uint64_t problems;
    bool is_partial; /* the pages are damaged, so the tables were not looked at */
};

/* NHUB_OK: it looked at everything; whether all is well is in v->problems. When the pages are
 * damaged, nothing else is looked at (v->is_partial).
 * Errors: NHUB_ENOMEM; NHUB_ESYS (errno); NHUB_EAGAIN commits come too fast. */
NHUB_MUST_USE nhub_err store_verify(struct store *s, struct store_verify *v);

#endif
