/*
 * group_log_private: the keys of the notes, for group_log.c and group_restore.c.
 */
#ifndef NHUB_DAEMON_GROUP_LOG_PRIVATE_H
#define NHUB_DAEMON_GROUP_LOG_PRIVATE_H

#include "daemon/group_log.h"

#define GROUP_LOG_PREFIX  "group/"
#define GROUP_LOG_KEY_MAX (sizeof GROUP_LOG_PREFIX + GROUP_NAME_MAX + 10)

/* In this order they stand in the journal. */
#define GROUP_LOG_MAKING '0'
#define GROUP_LOG_STATE  '1'
#define GROUP_LOG_CHANGE '2'

/* number: of a change. Returns the length. */
size_t group_log_key(char out[GROUP_LOG_KEY_MAX], const char *name, char kind, uint64_t number);

#endif
