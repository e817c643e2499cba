/*
 * group_settings: the options that say how a new consumer group is made, for `consume --create` and
 * `groups create`.
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_GROUP_SETTINGS_H
#define NHUB_CLI_GROUP_SETTINGS_H

#include "base/buf.h"
#include "cli/args.h"

#define GROUP_SETTINGS_ROWS 5
#define GROUP_ATTEMPTS_NONE UINT64_MAX /* the option was not given */

struct group_settings {
    struct cli_list patterns; /* none = every event */
    const char *since;        /* NULL = latest */
    int visibility_ms;        /* 0 = the hub's default */
    uint64_t attempts;        /* 0 = for ever */
    bool is_ordered, is_held;
};

void group_settings_init(struct group_settings *s);
/* Puts the rows of the options at the beginning of rows. */
void group_settings_rows(struct group_settings *s, struct arg rows[GROUP_SETTINGS_ROWS]);
/* Whether any of the options was given. */
bool group_settings_given(const struct group_settings *s);
/* NULL, or what is wrong with them. */
const char *group_settings_mistake(const struct group_settings *s);
/* Whether it can be a group's name. */
bool group_name_valid(const char *name);
/* Appends the members as they stand in requests and bodies, each with a comma before it:
 * ,"event_type":["a"],"since":"earliest" … since: instead of the option when it is not NULL. */
void group_settings_write(const struct group_settings *s, const char *since, struct buf *out);

#endif
