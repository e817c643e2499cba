/*
 * group_host_private: what group_host.c and group_death.c share.
 */
#ifndef NHUB_DAEMON_GROUP_HOST_PRIVATE_H
#define NHUB_DAEMON_GROUP_HOST_PRIVATE_H

#include "daemon/group_host.h"

/* A fetch that is not answered yet. */
struct group_waiter {
    struct group_waiter *next;
    struct call call;
    uint32_t max;
    uint32_t max_bytes;
    int64_t deadline_ms;
    char member[GROUP_MEMBER_MAX + 1];
};

#endif
