/*
 * journal: where numbered events are kept, behind one interface.
 *
 * The hub's loop gives numbers to events by appending them here: open a slot (which tells the
 * number), render the line into it, close it, and commit all slots of a turn as one batch. What the
 * implementation does behind commit is its own business: the ring in memory has nothing left to
 * do, an implementation with a writer thread hands the batch over and reports later, through the
 * listener, up to which number events are kept and how safely.
 *
 *     slot ─ slot ─ slot ─ commit ──▶ implementation ──▶ kept(durability, up to seq n)
 *     scan ──▶ visit, visit, visit, done
 *
 * A scan may be answered inside the call (ring) or later from journal_turn() (threads of its own);
 * callers must be ready for both. Numbers grow by 1 from 1 in each epoch.
 *
 * Threads: everything here is called from the loop's thread, and calls back in it, except visit,
 * which may run in a reader thread of the implementation and therefore touches its scan only.
 */
#ifndef NHUB_DAEMON_JOURNAL_H
#define NHUB_DAEMON_JOURNAL_H

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

/* Called when more is kept: all numbers up to seq have at least this durability (enum durability).
 */
typedef void journal_kept_fn(void *context, int durability, uint64_t seq);

struct journal_ops {
    void (*destroy)(struct journal *j);
    nhub_err (*reserve)(struct journal *j, uint64_t count);
    nhub_err (*open_slot)(struct journal *j, const char *type, size_t type_len, size_t line_max,
                          struct journal_slot *out);
    void (*close_slot)(struct journal *j, size_t line_len, int64_t arrival_us);
    void (*commit)(struct journal *j);
    void (*scan)(struct journal *j, struct journal_scan *scan);
    void (*trim)(struct journal *j, uint64_t before);
    void (*state)(const struct journal *j, struct journal_state *out);
    int (*fd)(const struct journal *j);
    void (*turn)(struct journal *j);
};

/* The head of every implementation. */
struct journal {
    const struct journal_ops *ops;
    char epoch[EPOCH_LEN + 1];
    int durability; /* the best it gives, enum durability: requests for more are refused */
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

/* Forgets records with numbers smaller than before. */
static inline void journal_trim(struct journal *j, uint64_t before)
{
    j->ops->trim(j, before);
}

static inline void journal_state(const struct journal *j, struct journal_state *out)
{
    j->ops->state(j, out);
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
