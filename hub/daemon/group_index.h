/*
 * group_index: which consumer groups an event concerns, asked once for every event of the hub.
 *
 * Only groups that are *live* are looked for: those that have looked at everything up to the head.
 * For them an event that does not match moves nothing and costs nothing of its own; one that does
 * ends their being live, and is found again when they read the journal. While no group is live an
 * event costs one comparison; else a look-up of its type.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_GROUP_INDEX_H
#define NHUB_DAEMON_GROUP_INDEX_H

#include "daemon/group_patterns.h"

/* Types whose groups are remembered; when there are more all are forgotten. */
#define GROUP_INDEX_TYPES_MAX 8192

struct group_index;

/* For groups with the numbers 0 to slots - 1. stats_event must outlive it. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_index_create(struct group_index **out, size_t slots,
                                          const char *stats_event);
void group_index_destroy(struct group_index **ix_p);

/* The group with this number wants these. Errors: NHUB_ENOMEM, nothing has changed then. */
NHUB_MUST_USE nhub_err group_index_add(struct group_index *ix, size_t slot,
                                       const struct group_patterns *patterns);
/* It is gone; it must not be live. */
void group_index_remove(struct group_index *ix, size_t slot, const struct group_patterns *patterns);

void group_index_set_live(struct group_index *ix, size_t slot, bool is_live);
/* Calls hit for each live group that the type concerns; hit may change who is live. */
void group_index_look_up(struct group_index *ix, const char *type, size_t type_len,
                         void (*hit)(void *context, size_t slot), void *context);

#endif
