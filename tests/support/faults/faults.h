/*
 * faults: a library that is loaded in front of libc (LD_PRELOAD) and lies between a program and the
 * files of one folder. tests/support/faults.py builds the environment and reads the log.
 *
 * It is set up by environment variables, each of which may be missing:
 *
 *   NHUB_FAULTS_DIR     the folder, as realpath(3) names it; files below it are watched. Required.
 *   NHUB_FAULTS_LOG     a file to which every change is appended, as below.
 *   NHUB_FAULTS_STOP    "N before", "N mid" or "N after": the process ends by SIGKILL before, in
 * the middle of (only half of the bytes are written), or after its N-th operation. Operations are
 * writes, truncations, syncs, renames and removals. NHUB_FAULTS_FAIL    a control file. While it
 * exists, operations fail with the error that its first word names (ENOSPC, EIO, EDQUOT, EROFS); a
 * second word says which (writes, syncs, all = default), a third how many operations still pass.
 *   NHUB_FAULTS_DELAY   a control file. While it exists, each sync takes so many milliseconds more.
 *   NHUB_FAULTS_CLOCK   a control file. While it exists, CLOCK_REALTIME is so many seconds ahead
 *                       (negative: behind). Looked at every 10 ms at most.
 *   NHUB_FAULTS_FSTYPE  a number: what fstatfs(2) says is the type of any file system.
 *
 * Control files are looked at for each operation, so a test may make and remove them while the
 * program runs; make them under another name and rename them, so that no half-written one is read.
 *
 * The log is a sequence of entries in the machine's byte order:
 *
 *   uint32 'F','L','T','1' | uint32 operation | uint64 offset | uint64 length | uint32 name length
 * | uint32 0 | name (relative to the folder) | bytes
 *
 * A write is logged before it is done, since a power cut may meet it half-way; a sync only when it
 * has come back, since until then it promises nothing. A write to a file that was opened with
 * O_SYNC or O_DSYNC is followed by FAULT_SYNC_RANGE.
 *
 * What it does not see: writes through memory maps (the store has none: it never sets
 * MDB_WRITEMAP; LMDB's lock file is no data), and descriptors that were duplicated.
 *
 * With AddressSanitizer or ThreadSanitizer their library has to be loaded first.
 *
 * Threads: any; operations on watched files run one after the other.
 */
#ifndef NHUB_TESTS_SUPPORT_FAULTS_FAULTS_H
#define NHUB_TESTS_SUPPORT_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_operation {
    FAULT_CREATE = 1,     /* a file came into being */
    FAULT_WRITE = 2,      /* offset, bytes */
    FAULT_TRUNCATE = 3,   /* offset = the new size; also what fallocate() adds */
    FAULT_SYNC = 4,       /* everything of this file is safe */
    FAULT_SYNC_RANGE = 5, /* the write before is safe */
    FAULT_RENAME = 6,     /* bytes = the new name */
    FAULT_REMOVE = 7,
    FAULT_SYNC_FOLDER = 8 /* names of before are safe */
};

/* The name of a file relative to the folder, or NULL when it is not in it. */
const char *fault_name(const char *path);

/* The three steps of an operation. fault_begin() takes the lock, and decides: it returns 0, or the
 * error that the operation is to fail with, after which nothing else is to be called. */
int fault_begin(bool is_sync);
/* Appends an entry; between begin and end. */
void fault_log(enum fault_operation operation, const char *name, uint64_t offset, const void *bytes,
               size_t len);
/* True when only half of the operation is to be done, before fault_end() ends the process. */
bool fault_is_torn(void);
void fault_end(void); /* keeps errno */

/* Reads a control file into text. False when it does not exist. */
bool fault_control(const char *path, char *text, size_t size);

#endif
