/*
 * group_private: what group.c and group_state.c share.
 */
#ifndef NHUB_DAEMON_GROUP_PRIVATE_H
#define NHUB_DAEMON_GROUP_PRIVATE_H

#include "daemon/group.h"
#include "daemon/group_open.h"

struct group {
    struct group_rules rules;
    struct position cursor;
    uint64_t noted_cursor; /* as the notes say */
    uint64_t kept_from;    /* numbers smaller than this are not kept */
    struct open_set *open;
    struct group_members *members;
    struct group_totals totals;
    struct group_gap gaps[GROUP_GAPS_MAX]; /* not told yet, oldest first */
    size_t gap_count;
    struct group_note_writer changes;
    bool is_replaying; /* changes come from notes and are not written again */
};

/* Writes the change down. */
void group_record(struct group *g, const struct group_change *change);
void group_drop_oldest_gap(struct group *g);
/* As it is: gaps that are side by side by now were told apart when they came. */
void group_append_gap(struct group *g, const struct group_gap *gap);
/* Takes the event from whoever has it and forgets it. */
void group_settle(struct group *g, struct open_event *e);
/* Its member does not have it any more. */
void group_part(struct open_event *e);

#endif
