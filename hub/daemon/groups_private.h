/*
 * groups_private: what groups.c and groups_calls.c share.
 */
#ifndef NHUB_DAEMON_GROUPS_PRIVATE_H
#define NHUB_DAEMON_GROUPS_PRIVATE_H

#include "daemon/group_clock.h"
#include "daemon/group_host.h"
#include "daemon/group_index.h"
#include "daemon/group_log.h"
#include "daemon/groups.h"

/* A group in its place. */
struct groups_seat {
    struct group_host *host;
    struct group_log log;
    struct group_totals before; /* as they were when this run of the hub met it */
    bool is_changed;            /* there may be something to write down */
};

struct groups {
    struct groups_parts parts;
    struct group_host_parts host_parts;
    struct groups_seat *seats; /* max of them; host NULL = free */
    size_t max;
    size_t count;
    struct map *by_name; /* -> struct groups_seat */
    struct group_index *index;
    struct group_unclean unclean;
    struct group_host *first_queued, *last_queued;
    uint64_t next_serial;
    int64_t due_ms;       /* nothing is due before it */
    int64_t next_note_ms; /* when cursors are written down the next time */
    int64_t next_hold_ms;
    uint64_t held_from; /* as the journal knows */
    struct group_clock clock;
    bool is_stopping;
    bool has_changes;
    bool has_retries;         /* some group waits for the journal to come further */
    struct group_totals gone; /* of groups that were deleted */
    uint64_t in_flight;
};

struct group_now groups_now(struct groups *gs);
struct groups_seat *groups_find(const struct groups *gs, const char *name); /* NULL: none */
/* Takes the group and the patterns' reference. Errors: NHUB_EFULL too many groups; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err groups_add(struct groups *gs, const char *name,
                                  struct group_patterns **patterns_p, struct group **group_p,
                                  struct groups_seat **out);
/* Its counts stay in the figures of this run, though it goes. */
void groups_count_gone(struct groups *gs, const struct groups_seat *seat);
void groups_remove(struct groups *gs, struct groups_seat *seat);
/* Something changed: it is to be written down, and the group may have something to do. */
void groups_touch(struct groups *gs, struct groups_seat *seat);
/* Tells the journal at once what is to be kept. */
void groups_update_hold(struct groups *gs);

#endif
