/*
 * disk_private: what the files of the journal on disk share in the loop's thread: disk.c numbers
 * and hands over, disk_scan.c reads.
 */
#ifndef NHUB_DAEMON_DISK_PRIVATE_H
#define NHUB_DAEMON_DISK_PRIVATE_H

#include "base/log.h"
#include "daemon/disk.h"
#include "daemon/disk_reader.h"
#include "daemon/disk_voids.h"
#include "daemon/disk_writer.h"

#include <string.h>

struct disk {
    struct journal base; /* first */
    struct journal *self;
    struct disk_options o;
    struct journal *ring;
    struct store *store;
    struct disk_writer *writer;
    struct disk_reader *reader;
    struct mailbox *box; /* what writer and reader say */
    struct disk_report report;
    struct disk_voids voids;

    struct disk_batch *open; /* NULL: nothing since the last commit */
    size_t hint;             /* size of the last one */
    uint64_t last_seq;
    uint64_t reserved_to;
    bool is_extending;    /* more numbers are asked for */
    bool must_tell_epoch; /* the next batch is the first of its epoch */
    int64_t newest_us;
    uint64_t pending_bytes;
    uint64_t done_batch; /* the last one that came back */
    uint64_t journaled, synced;
    uint64_t passed; /* the last number that came back as not stored */
    int64_t trimmed_us;
    uint64_t not_stored, damaged;
    uint64_t full; /* times that the backlog was full */
    struct log_limit full_limit;

    /* The slot between open and close. */
    char slot_type[UINT8_MAX];
    size_t slot_type_len;
    const char *slot_line;
    bool slot_has_id;
    struct hash128 slot_id;
    uint64_t slot_content;

    struct disk_scan *parked, *last_parked; /* scans that wait for a commit */
    size_t scans;                           /* under way */
    bool is_writer_gone, is_stopped;
};

static inline struct disk *disk_of(struct journal *j)
{
    return (struct disk *)(void *)j;
}

static inline const struct disk *disk_of_const(const struct journal *j)
{
    return (const struct disk *)(const void *)j;
}

/* ---- disk.c ---- */

/* True when the writer's report is about the epoch of now. */
static inline bool disk_is_of_report(const struct disk *d)
{
    return memcmp(d->report.epoch, d->base.epoch, sizeof d->base.epoch) == 0;
}

uint64_t disk_oldest(const struct disk *d); /* first number that can be had; last + 1 = none */
/* All up to here are in the store or were lost; those behind are on their way. */
uint64_t disk_settled_to(const struct disk *d);

/* ---- disk_append.c: the journal's operations of these names ---- */

nhub_err disk_reserve(struct journal *j, uint64_t count);
nhub_err disk_open_slot(struct journal *j, const char *type, size_t type_len, size_t line_max,
                        struct journal_slot *out);
void disk_add_id(struct journal *j, const struct hash128 *key, uint64_t content);
void disk_close_slot(struct journal *j, size_t line_len, int64_t arrival_us);
void disk_note(struct journal *j, const void *key, size_t key_len, const void *value, size_t len);
void disk_want(struct journal *j, int durability);
void disk_hold(struct journal *j, uint64_t from);
void disk_commit(struct journal *j);
/* Hands the open batch over, if there is something in it. */
void disk_commit_open(struct disk *d);
/* Says whether the backlog is full. */
void disk_check_room(struct disk *d);

/* ---- disk_turn.c ---- */

void disk_turn(struct journal *j);
int disk_fd(const struct journal *j);
/* Takes over how things stand at the writer's. */
void disk_look_at_report(struct disk *d);

/* ---- disk_scan.c ---- */

void disk_scan_start(struct journal *j, struct journal_scan *scan);
/* The reader has given it back. */
void disk_scan_back(struct disk *d, struct disk_scan *s);
/* Tries those again that wait for a commit. */
void disk_scan_parked(struct disk *d);

#endif
