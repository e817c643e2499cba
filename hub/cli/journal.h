/*
 * journal: the four words of `notifyhub journal`. They open the hub's folder themselves, so they
 * need no hub; beside a running one they only read.
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_JOURNAL_H
#define NHUB_CLI_JOURNAL_H

#include "cli/cli.h"
#include "store/store.h"

struct journal_job {
    const struct cli *cli;
    const char *path;      /* the folder */
    const char *since;     /* export: NULL = everything */
    struct cli_list types; /* export: patterns, none = everything */
    const char *file;      /* import: NULL = stdin */
    bool new_epoch;        /* import */
    bool salvage;          /* export: also from a journal that cannot be opened */
};

/* Each prints its result and its errors, and returns an enum cli_exit. */
int journal_info(const struct journal_job *job);
int journal_verify(const struct journal_job *job);
int journal_export(const struct journal_job *job);
int journal_import(const struct journal_job *job);

/* Opens the folder to read; prints why not. NULL then, and *out_exit. */
struct store *journal_open(const struct journal_job *job, int *out_exit);
/* The exit status for an opening that failed. */
int journal_open_exit(nhub_err err);

/* How far a long work is: one line on stderr that is written over, at a terminal only. */
struct journal_progress {
    const struct cli *cli;
    int64_t next_ms;
    bool is_shown;
};
void journal_progress_tell(struct journal_progress *p, const char *what, uint64_t done,
                           uint64_t of);
void journal_progress_end(struct journal_progress *p); /* clears the line */

#endif
