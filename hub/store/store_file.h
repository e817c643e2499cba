/*
 * store_file: what can be known about events.mdb before LMDB may map it, by plain reads.
 *
 * Threads: any.
 */
#ifndef NHUB_STORE_STORE_FILE_H
#define NHUB_STORE_STORE_FILE_H

#include "store/store_folder.h"
#include "store/store_pages.h"

#include <stddef.h>

struct store_file {
    size_t page_bytes;
    uint64_t pages; /* that the newest meta page knows of */
    uint64_t size;  /* of the file */
};

/* Checks both meta pages and that the file has all pages they speak of. Errors: NHUB_EPROTO, then
 * *out_why is a static text; NHUB_ESYS (errno). */
NHUB_MUST_USE nhub_err store_file_check(const char *path, struct store_file *out,
                                        const char **out_why);

/* True when LMDB made the file and nothing was ever committed to it: nothing is stored, and no
 * number can have been given out, since that takes a reservation. */
bool store_file_is_unused(const char *path);

/* The bytes of an open file as they are now; fd must outlive their use. */
struct store_bytes store_file_bytes(const int *fd);

/* After a failed sync: forgets what the page cache has of the file, so that the next look sees what
 * is on the disk. Errors: NHUB_ESYS (errno) the disk still fails. */
NHUB_MUST_USE nhub_err store_file_drop_cache(const struct folder *f);

#endif
