/*
 * store_pages: checks the pages of an LMDB file before LMDB may follow them.
 *
 * LMDB trusts its pages: an offset that points out of its page, a page number behind the end or a
 * loop would end the process by a signal. This module reads pages by plain reads, believes nothing,
 * and says whether everything that LMDB would follow stays inside the file and is in order.
 *
 * What the values in the pages say is not looked at here: they have checksums (store_record.h).
 *
 * Threads: any.
 */
#ifndef NHUB_STORE_STORE_PAGES_H
#define NHUB_STORE_STORE_PAGES_H

#include "store/store_layout.h"

#include <notifyhub/error.h>

struct store_page_check {
    uint64_t pages;     /* looked at, result */
    uint64_t in_use;    /* of the tables, result */
    uint64_t free;      /* result; in_use + free + 2 = all, when everything was looked at */
    bool was_limited;   /* result: not everything was looked at */
    uint64_t max_pages; /* look at no more than about so many, 0 = all; then the ends of the tables
                           come first */
    void (*progress)(void *context, uint64_t pages, uint64_t of); /* may be NULL */
    void *context;
    char why[160]; /* result: what is wrong */
};

/* Errors: NHUB_EPROTO, see check->why; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err store_pages_check(const struct store_bytes *bytes,
                                         const struct store_snapshot *snapshot,
                                         struct store_page_check *check);

#endif
