/*
 * scratch: files and folders of a test's own, in $TMPDIR or else in /tmp, and their end.
 *
 *     char folder[SCRATCH_BYTES];
 *
 *     if (!scratch_folder(folder, "store")) { fail }
 *     …
 *     scratch_remove(folder); // with everything in it
 */
#ifndef NHUB_TESTS_SCRATCH_H
#define NHUB_TESTS_SCRATCH_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Room for a path; those of files inside want some more. */
#define SCRATCH_BYTES 256

/* The pattern of a new name; false when $TMPDIR is too long for it. */
static inline bool scratch_pattern(char out[SCRATCH_BYTES], const char *name)
{
    const char *parent = getenv("TMPDIR");
    const int len = snprintf(out, SCRATCH_BYTES, "%s/nhub-%s-XXXXXX",
                             parent && *parent ? parent : "/tmp", name);

    return len > 0 && len < SCRATCH_BYTES;
}

/* Makes an empty folder, whose path is in `out`; `name` says whose it is. False: errno tells. */
static inline bool scratch_folder(char out[SCRATCH_BYTES], const char *name)
{
    return scratch_pattern(out, name) && mkdtemp(out);
}

/* Makes an empty file and returns its descriptor, -1 on failure. */
static inline int scratch_file(char out[SCRATCH_BYTES], const char *name)
{
    return scratch_pattern(out, name) ? mkstemp(out) : -1;
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int kind,
                                     struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* Removes the file, or the folder with everything in it. */
static inline void scratch_remove(const char *path)
{
    (void)nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
