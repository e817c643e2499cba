/*
 * group_open: the events that a consumer group has looked at and that are not settled yet, each in
 * one state:
 *
 *     READY ── picked ──▶ PICKED ── handed out ──▶ PENDING ──▶ gone (acknowledged)
 *       ▲                   │                         │
 *       ├───────────────────┘            time is over │ given back
 *       ├──────────── DELAYED ◀───────────────────────┤
 *       │                                             ▼
 *     BLOCKED (an earlier one of its lane is here)  DEAD ── picked ──▶ DYING ──▶ gone
 *
 * A lane is a hash of the event type: in a group that keeps order only the first event of a lane
 * leaves BLOCKED; when it is gone the next one becomes READY.
 *
 * Threads: none inside.
 */
#ifndef NHUB_DAEMON_GROUP_OPEN_H
#define NHUB_DAEMON_GROUP_OPEN_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROUP_OPEN_MAX 10000

enum open_state {
    OPEN_READY,   /* waits for a fetch */
    OPEN_PICKED,  /* its line is being read for a fetch */
    OPEN_PENDING, /* a member has it until due_ms */
    OPEN_DELAYED, /* given back, to be handed out from due_ms on */
    OPEN_BLOCKED, /* waits for an earlier one of its lane */
    OPEN_DEAD,    /* all attempts failed: becomes a dead letter */
    OPEN_DYING,   /* its line is being read for the dead letter */
    OPEN_STATES
};

struct group_member;

struct open_event {
    uint64_t seq;
    uint64_t lane;
    int64_t due_ms;              /* PENDING, DELAYED */
    struct group_member *member; /* PENDING: who has it; may be NULL */
    uint32_t attempt;            /* times that it was handed out */
    uint32_t released;           /* those of them that do not count */
    enum open_state state;       /* changed by open_set_move() only */
    bool was_nacked;             /* the last attempt was given back */
    size_t heap_index;
    struct open_event *older, *newer;           /* by seq */
    struct open_event *lane_older, *lane_newer; /* by seq, in a group that keeps order */
};

struct open_set;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err open_set_create(struct open_set **out, bool has_lanes);
void open_set_destroy(struct open_set **s_p);

/* Adds an event, READY or BLOCKED; *out lives until it is removed. Errors: NHUB_EINVAL seq is not
 * greater than all that were ever added; NHUB_EFULL; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err open_set_add(struct open_set *s, uint64_t seq, uint64_t lane,
                                    struct open_event **out);
/* Removes and frees it; the next one of its lane becomes READY and is returned (NULL = none). */
struct open_event *open_set_remove(struct open_set *s, struct open_event *e);
/* Forgets all, and that numbers were added: another epoch begins. */
void open_set_clear(struct open_set *s);
/* due_ms is of use to PENDING and DELAYED. Never fails. */
void open_set_move(struct open_set *s, struct open_event *e, enum open_state state, int64_t due_ms);

struct open_event *open_set_find(const struct open_set *s, uint64_t seq); /* NULL when not here */
struct open_event *open_set_oldest(const struct open_set *s); /* smallest seq; NULL when empty */
/* The one with the smallest seq that is READY or DEAD. */
struct open_event *open_set_first(const struct open_set *s, enum open_state state);
/* The one whose due_ms comes first. */
struct open_event *open_set_next_due(const struct open_set *s);
size_t open_set_count(const struct open_set *s);
size_t open_set_count_of(const struct open_set *s, enum open_state state);

#endif
