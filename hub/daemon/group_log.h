/*
 * group_log: a consumer group's notes in the journal.
 *
 *     group/<name>/0          how it was made: the JSON of its group_create
 *     group/<name>/1          its whole state, with the number of the first change behind it
 *     group/<name>/2<number>  what changed since (number: 8 bytes, big-endian)
 *
 * A turn's changes are one note, so that the cost of a change is a few bytes; when they have grown
 * larger than the state itself, the state is written anew and they are deleted. Changes are read
 * only as far as their numbers follow each other: what is behind a note that was lost is not taken
 * for the truth. A failing disk loses notes; then the state is written as soon as it takes some.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_GROUP_LOG_H
#define NHUB_DAEMON_GROUP_LOG_H

#include "daemon/group.h"
#include "daemon/group_patterns.h"
#include "daemon/journal.h"

/* The state is written anew after so many notes, … */
#define GROUP_LOG_NOTES_MAX 256
/* … or so many bytes, or twice its own size. */
#define GROUP_LOG_BYTES_MIN 16384

struct group_log {
    struct journal *journal;
    const char *name; /* the group's; lent */
    struct buf stale; /* uint64_t each: numbers of changes to be deleted with the next state */
    uint64_t first;   /* number of the oldest change that may be in the journal */
    uint64_t next;    /* of the next one */
    size_t bytes;     /* of changes since the state */
    size_t state_bytes;
    uint64_t batch;       /* the last one with a note of ours; 0 = none */
    uint64_t noted_floor; /* as the notes say, all up to it is settled */
    bool needs_state;
};

void group_log_init(struct group_log *log, struct journal *journal);
void group_log_fini(struct group_log *log);
/* The next change has this number. */
void group_log_go_on(struct group_log *log, uint64_t next);
/* A new group: notes how it was made and what it is. Errors: NHUB_ENOMEM, nothing was noted. */
NHUB_MUST_USE nhub_err group_log_create(struct group_log *log, const char *name,
                                        const struct group_patterns *patterns, struct group *g,
                                        const struct group_now *now);
/* Writes what changed; with_cursor: also when nothing but the cursor did. */
void group_log_write(struct group_log *log, struct group *g, const struct group_now *now,
                     bool with_cursor);
/* Up to here the journal need not keep anything for the group: all of it is settled, and a restart
 * would know. While the journal takes no notes it goes by the group alone, because what is held may
 * be the very reason. */
uint64_t group_log_settled(const struct group_log *log, const struct group *g);
/* The group is no more. */
void group_log_delete(struct group_log *log);
/* Batches up to this one were not kept. Returns true when notes of ours are lost, and
 * group_log_write() has something to do. */
bool group_log_lose(struct group_log *log, uint64_t batch);

/* A group that was found at the start. */
struct group_restored {
    const char *name;
    struct group_patterns **patterns_p; /* to be taken */
    struct group **group_p;             /* to be taken */
    struct group_log *log_p;            /* to be moved away, and then made empty by
                                           group_log_init(); its name is not set */
};
/* Calls found for each group whose notes are in the journal. Damaged notes are logged and told
 * apart: a group is restored as far as they can be read. Errors: NHUB_ENOMEM and those of the
 * journal. */
NHUB_MUST_USE nhub_err group_log_restore(struct journal *journal, const struct group_now *now,
                                         nhub_err (*found)(void *context,
                                                           struct group_restored *restored),
                                         void *context);

#endif
