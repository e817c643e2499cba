/*
 * group_note: the changes of a consumer group as bytes, for the journal's notes.
 *
 * A note is a list of changes, one after the other, and a checksum. What a group is after a
 * restart comes of one note with its whole state (written in the same words) and the notes with
 * what changed since:
 *
 *     version (1 byte) · change · change · … · CRC-32C of all before (4 bytes, little-endian)
 *     change: op (1 byte) · its fields, in the order of struct group_change
 *
 * Numbers are LEB128; seq and time are differences to those of the change before (zigzag), so that
 * a usual change takes 2 to 5 bytes.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_DAEMON_GROUP_NOTE_H
#define NHUB_DAEMON_GROUP_NOTE_H

#include "base/buf.h"
#include "wire/position.h"

enum group_op {
    GROUP_OP_EPOCH = 1,  /* from: the group goes on behind this position; what was open is lost */
    GROUP_OP_TOTALS,     /* totals */
    GROUP_OP_CURSOR,     /* seq: all up to it was looked at */
    GROUP_OP_TAKEN,      /* seq, lane: matches, and was not handed out yet */
    GROUP_OP_HANDED,     /* seq, attempt, released, at_ms: a member has it until then */
    GROUP_OP_ACKED,      /* seq */
    GROUP_OP_GIVEN_BACK, /* seq, attempt, released, at_ms: to be handed out again from then on */
    GROUP_OP_EXTENDED,   /* seq, at_ms */
    GROUP_OP_BURIED,     /* seq: it is a dead letter */
    GROUP_OP_LOST,       /* seq, reason: open, and not to be had any more */
    GROUP_OP_MISSED,     /* seq, to_seq, reason: not looked at, and not to be had any more */
    GROUP_OP_GAP,        /* from, to, reason: to be told by the next fetch */
    GROUP_OP_GAP_TOLD,   /* the oldest gap was told */
    GROUP_OP_NEXT,       /* seq: number of the first note behind this whole state */
    GROUP_OPS
};

enum group_gap_reason {
    GROUP_GAP_RETENTION,
    GROUP_GAP_UNCLEAN_STOP,
    GROUP_GAP_NOT_STORED,
    GROUP_GAP_EPOCH_CHANGED,
    GROUP_GAP_REASONS
};

struct group_totals {
    uint64_t acked, redelivered, dead_letters, lost;
};

struct group_change {
    enum group_op op;
    uint64_t seq;
    uint64_t to_seq;
    uint32_t attempt;
    uint32_t released;
    int64_t at_ms; /* wall clock */
    uint64_t lane;
    enum group_gap_reason reason;
    struct position from, to;
    struct group_totals totals;
};

/* What the next change is written or read relative to. Starts as {0} for each note. */
struct group_note_context {
    uint64_t seq;
    int64_t at_ms;
};

struct group_note_writer {
    struct buf bytes; /* the note so far; empty = no change yet */
    struct group_note_context context;
};

void group_note_init(struct group_note_writer *w);
void group_note_fini(struct group_note_writer *w);
void group_note_reset(struct group_note_writer *w);
/* Appends a change; a failed allocation shows in bytes.failed. */
void group_note_add(struct group_note_writer *w, const struct group_change *change);
/* Appends the checksum: the note is complete and nothing may be added before the next reset. */
void group_note_end(struct group_note_writer *w);

struct group_note_reader {
    const unsigned char *p, *end;
    struct group_note_context context;
};

/* Checks version and checksum. Errors: NHUB_EPROTO. */
NHUB_MUST_USE nhub_err group_note_open(struct group_note_reader *r, const void *bytes, size_t len);
/* The next change. Errors: NHUB_ENOTFOUND at the end; NHUB_EPROTO. */
NHUB_MUST_USE nhub_err group_note_next(struct group_note_reader *r, struct group_change *out);

#endif
