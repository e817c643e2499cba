/*
 * group: what one consumer group knows: how far it has looked, which events are under way, who has
 * them, and what it lost. The rules of PROTOCOL.md, "Consumer groups", without any input or output:
 * its owner looks at the journal, tells what matches, hands lines to members and publishes dead
 * letters.
 *
 *     take ▶ hand out ▶ ack
 *               ▲  │ nack, time-out
 *               └──┴──▶ after max_attempts: dying ▶ buried
 *
 * Each change is also written down as bytes (group_note.h), for the owner to keep in the journal;
 * group_apply() makes a group out of them again. What was handed out and whose note was lost is
 * handed out again: never the other way round.
 *
 * Times are given by the caller: mono_ms for deadlines, wall_ms for what must survive a restart.
 * Threads: none inside.
 */
#ifndef NHUB_DAEMON_GROUP_H
#define NHUB_DAEMON_GROUP_H

#include "daemon/group_members.h"
#include "daemon/group_note.h"

#define GROUP_GAPS_MAX 16

struct group;

struct group_rules {
    uint32_t visibility_ms;
    uint32_t max_attempts; /* 0 = for ever */
    bool is_ordered;
    bool holds; /* the journal is to keep what is not settled */
};

struct group_now {
    int64_t mono_ms;
    int64_t wall_ms;
};

/* What lies behind `from` up to and including `to` is not to be had. */
struct group_gap {
    struct position from, to;
    enum group_gap_reason reason;
};

struct group_figures {
    struct group_totals totals;
    uint64_t pending; /* members have them */
    uint64_t delayed; /* wait for an attempt */
};

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_create(struct group **out, const struct group_rules *rules,
                                    const struct position *cursor);
void group_destroy(struct group **g_p);

const struct group_rules *group_rules(const struct group *g);
/* All numbers up to it were looked at. */
const struct position *group_cursor(const struct group *g);
/* All numbers up to it are settled. */
uint64_t group_floor(const struct group *g);
void group_figures(const struct group *g, struct group_figures *out);
struct group_members *group_members(struct group *g);
const char *group_gap_reason_name(enum group_gap_reason reason);
/* False: there is no such reason. */
bool group_gap_reason_parse(const char *name, enum group_gap_reason *out);

/* ---- looking at events; numbers only grow ---- */

/* How many new events it can take. */
size_t group_room(const struct group *g);
/* seq matches; lane: a hash of its type. Errors: NHUB_EINVAL not behind the cursor; NHUB_EFULL;
 * NHUB_ENOMEM; nothing has changed then. */
NHUB_MUST_USE nhub_err group_take(struct group *g, uint64_t seq, uint64_t lane);
/* Nothing else up to and including seq matches. */
void group_pass(struct group *g, uint64_t seq);
/* What follows the cursor up to and including seq is not to be had. */
void group_miss(struct group *g, uint64_t seq, enum group_gap_reason reason);
/* Numbers smaller than this are not kept any more. */
void group_retain(struct group *g, uint64_t oldest);
/* The record of an event that is open is not to be had. */
void group_lose(struct group *g, uint64_t seq, enum group_gap_reason reason);
/* Another epoch: goes on behind this position; what was open is lost. */
void group_change_epoch(struct group *g, const struct position *start);
/* A gap that lies before the group's beginning, or that was told to nobody after all. */
void group_note_gap(struct group *g, const struct group_gap *gap);
/* The oldest gap that nobody was told of yet, which is told now; false when there is none. */
bool group_tell_gap(struct group *g, struct group_gap *out);
bool group_has_gap(const struct group *g);

/* ---- handing out ---- */

/* The first event that can be handed out, to have its line read; 0 = none. */
uint64_t group_pick(struct group *g);
/* Its line was not read after all. */
void group_unpick(struct group *g, uint64_t seq);
/* member has it now. Returns the attempt's number; 0 when it cannot be handed out. */
uint32_t group_hand_out(struct group *g, uint64_t seq, struct group_member *member,
                        const struct group_now *now);

enum group_verdict {
    GROUP_DONE,
    GROUP_STALE,  /* a later attempt is under way, or the event is settled */
    GROUP_UNKNOWN /* never handed out */
};
enum group_verdict group_ack(struct group *g, uint64_t seq, uint32_t attempt);
/* Gives it back, to be handed out again after delay_ms; release: the attempt does not count. */
enum group_verdict group_nack(struct group *g, uint64_t seq, uint32_t attempt, uint32_t delay_ms,
                              bool release, const struct group_now *now);
/* The member has it for visibility_ms from now on. */
enum group_verdict group_extend(struct group *g, uint64_t seq, uint32_t attempt,
                                uint32_t visibility_ms, const struct group_now *now);

/* Attempts whose time is over, and delays that are. */
void group_tick(struct group *g, int64_t mono_ms);
/* When group_tick() has something to do next; INT64_MAX = never. */
int64_t group_due_ms(const struct group *g);

/* ---- dead letters ---- */

struct group_death {
    uint64_t seq;
    uint32_t attempts;
    bool was_nacked; /* else its time was over */
};

/* The first event whose attempts have all failed, to have its line read. group_unpick() gives it
 * back. */
bool group_next_dying(struct group *g, struct group_death *out);
bool group_has_dying(const struct group *g); /* group_next_dying() would find one */
bool group_is_dying(const struct group *g, uint64_t seq);
/* It is a dead letter now. */
void group_bury(struct group *g, uint64_t seq);

/* ---- notes ---- */

/* How far the cursor is ahead of what the notes say. */
uint64_t group_unnoted(const struct group *g);
/* What changed since group_changes_taken() as a complete note, with the cursor if with_cursor; NULL
 * when nothing did. With bytes.failed some of it is lost, and the whole state has to be written.
 * Nothing else may be done with g before group_changes_taken(). */
struct buf *group_take_changes(struct group *g, bool with_cursor);
void group_changes_taken(struct group *g);
/* The whole state as a complete note (changes so far are part of it and are forgotten); next: the
 * number of the first note of changes behind it. */
void group_write_state(struct group *g, uint64_t next, const struct group_now *now,
                       struct group_note_writer *out);
/* Carries out a change that was written before. Errors: NHUB_EPROTO it does not fit the group;
 * NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_apply(struct group *g, const struct group_change *change,
                                   const struct group_now *now);

#endif
