/*
 * store_folder: the folder of a journal: who owns it, on what disk it lies, its reserve file.
 *
 * Threads: none inside.
 */
#ifndef NHUB_STORE_STORE_FOLDER_H
#define NHUB_STORE_STORE_FOLDER_H

#include "base/buf.h"

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stdint.h>

#define FOLDER_DATA      "events.mdb"
#define FOLDER_NEW_DATA  "events.mdb.new"  /* a journal that is being made */
#define FOLDER_LMDB_LOCK "events.mdb-lock" /* LMDB's own: places of readers */

struct folder {
    char *path; /* owned */
    int fd;     /* of the folder, -1 = closed */
    int lock;   /* hub.lock with our flock, -1 = not ours */
};

/* The state of a folder that is not open; folder_close() copes with it. */
#define FOLDER_CLOSED                                                                              \
    {                                                                                              \
        NULL, -1, -1                                                                               \
    }

/* Opens the folder, and makes it (not its parents) when `own`: then it is also locked, and its
 * lock file names this process. On failure *error says what is wrong and what to do.
 * Errors: NHUB_EEXIST another process owns it; NHUB_ENOTFOUND no such folder (not `own`);
 * NHUB_EUNAVAIL a network file system; NHUB_ENOMEM; NHUB_ESYS (errno). */
NHUB_MUST_USE nhub_err folder_open(struct folder *f, const char *path, bool own, struct buf *error);
void folder_close(struct folder *f);

/* Appends what the owner of a folder wrote into its lock file, nothing when nobody owns it. */
void folder_owner(const char *path, struct buf *out);
/* Deletes events.mdb and what LMDB keeps beside it. */
void folder_remove_data(const struct folder *f);

/* The path of a file in it; free() it. NULL without memory. */
char *folder_file(const struct folder *f, const char *name);
/* A new name in the folder survives a power cut afterwards. Errors: NHUB_ESYS. */
NHUB_MUST_USE nhub_err folder_sync(const struct folder *f);
/* True when the disk has next to nothing left: LMDB reports a short write as EIO. */
bool folder_is_full(const struct folder *f);

/* The reserve file. Making it takes its room on the disk; NHUB_OK when it is there already.
 * Errors: NHUB_EFULL no room (nothing is left behind); NHUB_ESYS (errno). */
NHUB_MUST_USE nhub_err folder_make_reserve(const struct folder *f, uint64_t bytes);
bool folder_use_reserve(const struct folder *f); /* true when there was one */

/* The file system types that are refused, for tests: NULL when `type` (statfs.f_type) is not one
 * of them, else its name. */
const char *folder_network_name(uint64_t type);

#endif
