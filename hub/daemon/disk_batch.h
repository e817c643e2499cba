/*
 * disk_batch: what one commit of the loop hands to the writer: events, ids and notes, packed one
 * behind the other in one block.
 *
 * The loop fills it, the writer reads it, and it comes back with what became of it. When memory
 * runs out while it is filled it is incomplete: its events have numbers by then and went out live,
 * so nothing can be refused any more; the writer counts them as not stored.
 *
 * Threads: one owner at a time.
 */
#ifndef NHUB_DAEMON_DISK_BATCH_H
#define NHUB_DAEMON_DISK_BATCH_H

#include "base/buf.h"
#include "base/hash.h"
#include "daemon/disk_post.h"
#include "wire/position.h"

#include <notifyhub/error.h>

struct disk_batch {
    struct disk_post post; /* first */
    struct buf bytes;
    uint64_t number;              /* journal_batch */
    uint64_t first_seq, last_seq; /* last < first: no events */
    uint64_t reserve_to;          /* != 0: numbers up to this one are to be reserved */
    int wants;                    /* the best durability that somebody waits for */
    bool has_entries;             /* something is to be written */
    bool is_new_epoch;            /* its events are the first ones of `epoch` */
    char epoch[EPOCH_LEN + 1];
    uint64_t charged; /* bytes counted as pending */

    /* What became of it. */
    bool is_incomplete;
    nhub_err status; /* NHUB_EUNAVAIL: not stored */
    int durability;
};

/* An empty batch behind number last_seq, with memory for about `hint` bytes. Errors: NHUB_ENOMEM.
 */
NHUB_MUST_USE nhub_err disk_batch_create(struct disk_batch **out, uint64_t number,
                                         uint64_t last_seq, size_t hint);
void disk_batch_destroy(struct disk_batch **b_p);
/* Frees what was filled in; the rest stays. */
void disk_batch_drop_bytes(struct disk_batch *b);

/* The next number's id; comes in front of its event. */
void disk_batch_add_id(struct disk_batch *b, const struct hash128 *key, uint64_t content,
                       int64_t arrival_us);
void disk_batch_add_event(struct disk_batch *b, int64_t arrival_us, const char *type,
                          size_t type_len, const char *line, size_t len);
/* value NULL: the key goes. */
void disk_batch_add_note(struct disk_batch *b, const void *key, size_t key_len, const void *value,
                         size_t len);
uint64_t disk_batch_events(const struct disk_batch *b);
bool disk_batch_is_incomplete(const struct disk_batch *b);

enum disk_entry_kind { DISK_ENTRY_ID, DISK_ENTRY_EVENT, DISK_ENTRY_NOTE, DISK_ENTRY_NO_NOTE };

struct disk_entry {
    enum disk_entry_kind kind;
    uint64_t seq;       /* of the event, of the id */
    int64_t arrival_us; /* likewise */
    struct hash128 id;
    uint64_t content;
    const char *key; /* the event's type, the note's key */
    size_t key_len;
    const char *value; /* the event's line, the note's value */
    size_t len;
};

/* Start with {0}. */
struct disk_batch_iter {
    size_t offset;
    uint64_t events;
};
/* The next entry, which lives as long as the batch's bytes; false at the end. */
bool disk_batch_next(const struct disk_batch *b, struct disk_batch_iter *it,
                     struct disk_entry *out);

#endif
