/*
 * group_members: who fetches from a consumer group: name, what it holds, when it was last seen.
 *
 * Bounded: when the table is full the member that was seen longest ago and holds nothing makes
 * room; when all of them hold something a newcomer is served like any other but not listed. Members
 * that hold nothing are forgotten after a while.
 *
 * Threads: none inside.
 */
#ifndef NHUB_DAEMON_GROUP_MEMBERS_H
#define NHUB_DAEMON_GROUP_MEMBERS_H

#include "wire/request_group.h"

#include <notifyhub/error.h>

#define GROUP_MEMBERS_MAX      1000
#define GROUP_MEMBER_FORGET_MS 600000

struct group_member {
    struct group_member *next, *previous; /* by last_seen_ms, oldest first */
    int64_t last_seen_ms;
    size_t pending; /* events that it holds */
    char name[GROUP_MEMBER_MAX + 1];
};

struct group_members;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_members_create(struct group_members **out);
void group_members_destroy(struct group_members **m_p);

/* The member asks for something now. Returns it, or NULL when it cannot be listed. */
struct group_member *group_members_see(struct group_members *m, const char *name, int64_t now_ms);
/* Forgets those who hold nothing and were not seen for GROUP_MEMBER_FORGET_MS. */
void group_members_forget(struct group_members *m, int64_t now_ms);
/* The one seen longest ago, then on by ->next. */
const struct group_member *group_members_first(const struct group_members *m);

#endif
