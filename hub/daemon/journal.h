/*
 * journal: where numbered events are kept, behind one interface.
 *
 * The hub's loop gives numbers to events by appending them here: open a slot (which tells the
 * number), render the line into it, close it, and commit all slots of a turn as one batch. What the
 * implementation does behind commit is its own business: the ring in memory has nothing left to
 * do, an implementation with a writer thread hands the batch over and reports later, through the
 * listener, up to which number events are kept and how safely.
 *
 *     slot ─ slot ─ note ─ commit ──▶ implementation ──▶ kept(durability, up to seq n, batch b)
 *     scan ──▶ visit, visit, visit, done
 *
 * A scan may be answered inside the call (ring) or later from journal_turn() (threads of its own);
 * callers must be ready for both. Numbers grow by 1 in each epoch; those that lie in a void were
 * never used, or their events were lost.
 *
 * A note is a small key and value of somebody else (consumer groups) that is kept in the same batch
 * as the slots before and after it. Batches are numbered from 1 (journal_batch).
 *
 * Threads: everything here is called from the loop's thread, and calls back in it, except visit,
 * which may run in a reader thread of the implementation and therefore touches its scan only.
 */
#ifndef NHUB_DAEMON_JOURNAL_H
#define NHUB_DAEMON_JOURNAL_H

#include "base/hash.h"
#include "base/settings.h"
#include "wire/position.h"

struct journal;

struct journal_record {
    uint64_t seq;
    int64_t arrival_us; /* wall clock when the hub numbered it; never smaller than the one before */
    const char *type;   /* decoded, without NUL */
    size_t type_len;
    const char *line; /* canonical line, without NUL */
    size_t len;
};

/* Room for one event that is about to be numbered. */
struct journal_slot {
    struct position position; /* the number it will have */
    char *line;               /* line_max writable bytes, valid until the slot is closed */
};

enum journal_condition { JOURNAL_READY, JOURNAL_DEGRADED };

/* Numbers from..to have no event: nobody used them, or their events were lost. */
struct journal_void {
    uint64_t from, to;
    const char *reason; /* "unclean_stop" or "not_stored", static */
};

/* An id that was numbered before the last start. */
struct journal_id {
    uint64_t seq;
    int64_t arrival_us;
    struct hash128 key;
    uint64_t content;
};

struct journal_state {
    enum journal_condition condition;
    const char *why;    /* static text; "" when ready */
    uint64_t oldest;    /* first number kept; last + 1 when there is none */
    uint64_t last;      /* last number given out, 0 before the first */
    uint64_t records;   /* kept now */
    uint64_t bytes;     /* kept now */
    uint64_t trimmed;   /* dropped because of age or room since the start */
    uint64_t max_bytes; /* limits in force */
    uint64_t max_records;
    int64_t trimmed_us; /* arrival of the youngest record that is not kept any more, 0 = none */
    int64_t newest_us;  /* the latest arrival, also of before the last start, 0 = none */
    const struct journal_void *voids; /* ascending, until the next call of the journal */
    size_t void_count;
    uint64_t journaled, synced; /* all up to here have this durability; 0 without a disk */
    uint64_t pending_bytes;     /* handed over and not written yet */
    uint64_t not_stored;        /* events that went out live only, since the start */
};

/* What only people want to know; all 0 where there is no disk. */
struct journal_figures {
    bool is_on_disk;
    int64_t oldest_us;   /* arrival of the oldest record, 0 = none */
    uint64_t file_bytes; /* size of the file; it does not shrink while the hub runs */
    uint64_t commits;
    uint64_t commit_p50_us, commit_p99_us, commit_max_us; /* of the last ones */
    uint64_t syncs;                                       /* beside those of the commits */
    uint64_t backlog_full; /* times that publishers had to wait for the disk */
    uint64_t damaged;      /* records whose checksum was wrong when they were read */
};

/* A walk over records in the order of their numbers. The caller owns it and keeps it until done. */
struct journal_scan {
    uint64_t after; /* begins behind this number … */
    uint64_t to;    /* … and ends with this one at the latest */
    bool by_time;   /* begin before the first record that arrived at or after time_us instead;
                       `after` is set before the first visit */
    int64_t time_us;
    uint64_t scanned_to; /* result: all up to here were visited and taken */
    /* Returns false to stop in front of this record. The record's bytes live during the call. */
    bool (*visit)(struct journal_scan *scan, const struct journal_record *record);
    /* Called once, in the loop's thread. */
    void (*done)(struct journal_scan *scan, nhub_err status);
};

/* Called when more is kept: all numbers up to seq and all batches up to `batch` have at least this
 * durability (enum durability). An event that could not be stored (JOURNAL_DEGRADED) is passed over
 * with status NHUB_EUNAVAIL: numbers and batches up to these will not be kept better than they are;
 * who waits for more is to be told. */
typedef void journal_kept_fn(void *context, int durability, uint64_t seq, uint64_t batch,
                             nhub_err status);

struct journal_ops {
    void (*destroy)(struct journal *j);
    nhub_err (*reserve)(struct journal *j, uint64_t count);
    nhub_err (*open_slot)(struct journal *j, const char *type, size_t type_len, size_t line_max,
                          struct journal_slot *out);
    void (*close_slot)(struct journal *j, size_t line_len, int64_t arrival_us);
    void (*commit)(struct journal *j);
    void (*scan)(struct journal *j, struct journal_scan *scan);
    void (*trim)(struct journal *j, uint64_t before);
    /* The next ones may be NULL where there is no disk. */
    void (*add_id)(struct journal *j, const struct hash128 *key, uint64_t content);
    void (*note)(struct journal *j, const void *key, size_t key_len, const void *value, size_t len);
    void (*want)(struct journal *j, int durability);
    void (*hold)(struct journal *j, uint64_t from);
    nhub_err (*each_id)(struct journal *j, uint64_t max_ids, int64_t since_us,
                        void (*visit)(void *context, const struct journal_id *id), void *context);
    nhub_err (*each_note)(struct journal *j, const void *prefix, size_t prefix_len,
                          void (*visit)(void *context, const void *key, size_t key_len,
                                        const void *value, size_t len),
                          void *context);
    bool (*is_lost)(const struct journal *j, uint64_t seq);
    void (*figures)(const struct journal *j, struct journal_figures *out);
    void (*stop)(struct journal *j);
    void (*state)(const struct journal *j, struct journal_state *out);
    int (*fd)(const struct journal *j);
    void (*turn)(struct journal *j);
};

/* The head of every implementation. */
struct journal {
    const struct journal_ops *ops;
    char epoch[EPOCH_LEN + 1]; /* may change while the hub runs (journal.h, reserve) */
    int durability;            /* what its mode gives, enum durability: the default of a publish */
    int durability_max; /* the best that can be had: requests for more are refused for good */
    int durability_now; /* the best that can be had at the moment: less than max while degraded */
    bool is_full;       /* no events are to be read from sockets until this is false again */
    uint64_t batch;     /* the number that the next commit will have, >= 1 */
    unsigned char id_seed[16]; /* keys the hashes of ids */
    journal_kept_fn *kept;
    void *kept_context;
};

static inline void journal_destroy(struct journal **j_p)
{
    if (*j_p) {
        (*j_p)->ops->destroy(*j_p);
        *j_p = NULL;
    }
}

/* Makes sure that the next `count` slots can be opened, so that a batch is numbered as a whole or
 * not at all. Errors: NHUB_EUNAVAIL. */
NHUB_MUST_USE static inline nhub_err journal_reserve(struct journal *j, uint64_t count)
{
    return j->ops->reserve(j, count);
}

/* Opens room for the next event of this type (1..255 bytes, copied) with a line of at most
 * line_max bytes. One slot is open at a time. Errors: NHUB_ETOOBIG over the implementation's
 * largest record; NHUB_EUNAVAIL no numbers can be given out now. */
NHUB_MUST_USE static inline nhub_err journal_open_slot(struct journal *j, const char *type,
                                                       size_t type_len, size_t line_max,
                                                       struct journal_slot *out)
{
    return j->ops->open_slot(j, type, type_len, line_max, out);
}

/* Closes the open slot with line_len bytes of its line used: the event is numbered now. Its line
 * stays where it is until the next open. */
static inline void journal_close_slot(struct journal *j, size_t line_len, int64_t arrival_us)
{
    j->ops->close_slot(j, line_len, arrival_us);
}

/* All slots closed since the last commit are one batch. */
static inline void journal_commit(struct journal *j)
{
    j->ops->commit(j);
}

static inline void journal_scan(struct journal *j, struct journal_scan *scan)
{
    j->ops->scan(j, scan);
}

/* Forgets records with numbers smaller than before, as far as they are in memory: a disk's
 * retention is its own. */
static inline void journal_trim(struct journal *j, uint64_t before)
{
    j->ops->trim(j, before);
}

static inline void journal_state(const struct journal *j, struct journal_state *out)
{
    j->ops->state(j, out);
}

/* Remembers the id of the open slot's event over restarts. */
static inline void journal_add_id(struct journal *j, const struct hash128 *key, uint64_t content)
{
    if (j->ops->add_id) {
        j->ops->add_id(j, key, content);
    }
}

/* Keeps a note (key: 1..400 bytes) with the batch that is open; value NULL deletes it. Copied. */
static inline void journal_note(struct journal *j, const void *key, size_t key_len,
                                const void *value, size_t len)
{
    if (j->ops->note) {
        j->ops->note(j, key, key_len, value, len);
    }
}

/* Somebody waits until the open batch has this durability: it is to come soon. */
static inline void journal_want(struct journal *j, int durability)
{
    if (j->ops->want) {
        j->ops->want(j, durability);
    }
}

/* Records with numbers >= from are not to be trimmed (0 = no such wish), within
 * hub.journal.hold_max_bytes; beyond it durability_now falls to memory until there is room. */
static inline void journal_hold(struct journal *j, uint64_t from)
{
    if (j->ops->hold) {
        j->ops->hold(j, from);
    }
}

/* At the start: ids of before, newest first; notes whose key begins with prefix, by key. */
NHUB_MUST_USE static inline nhub_err
journal_each_id(struct journal *j, uint64_t max_ids, int64_t since_us,
                void (*visit)(void *context, const struct journal_id *id), void *context)
{
    return j->ops->each_id ? j->ops->each_id(j, max_ids, since_us, visit, context) : NHUB_OK;
}
NHUB_MUST_USE static inline nhub_err journal_each_note(
    struct journal *j, const void *prefix, size_t prefix_len,
    void (*visit)(void *context, const void *key, size_t key_len, const void *value, size_t len),
    void *context)
{
    return j->ops->each_note ? j->ops->each_note(j, prefix, prefix_len, visit, context) : NHUB_OK;
}

/* True when the event with this number was not stored and will not be: who waits for it to be kept
 * waits in vain. */
static inline bool journal_is_lost(const struct journal *j, uint64_t seq)
{
    return j->ops->is_lost && j->ops->is_lost(j, seq);
}

static inline void journal_figures(const struct journal *j, struct journal_figures *out)
{
    *out = (struct journal_figures){.is_on_disk = false};
    if (j->ops->figures) {
        j->ops->figures(j, out);
    }
}

/* The end in order: writes and syncs all that was committed, reports it as kept, and marks the stop
 * as clean. Nothing may be appended afterwards. */
static inline void journal_stop(struct journal *j)
{
    if (j->ops->stop) {
        j->ops->stop(j);
    }
}

/* A descriptor that becomes readable when journal_turn() has something to do; -1 = never. */
static inline int journal_fd(const struct journal *j)
{
    return j->ops->fd(j);
}

static inline void journal_turn(struct journal *j)
{
    j->ops->turn(j);
}

static inline void journal_set_listener(struct journal *j, journal_kept_fn *kept, void *context)
{
    j->kept = kept;
    j->kept_context = context;
}

#endif
