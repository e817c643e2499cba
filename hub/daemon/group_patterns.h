/*
 * group_patterns: what a consumer group wants, immutable and counted, because a scan of the journal
 * may still look at it when its group is gone.
 *
 * No patterns at all mean everything, but for the types of the hub and the statistics event, which
 * come only to patterns that name them.
 *
 * Threads: matching: any. Counting: the loop's.
 */
#ifndef NHUB_DAEMON_GROUP_PATTERNS_H
#define NHUB_DAEMON_GROUP_PATTERNS_H

#include "wire/request.h"

struct group_pattern {
    const char *text; /* NUL-terminated */
    size_t len;
};

struct group_patterns {
    unsigned refs;
    size_t count; /* >= 1: "*" stands for everything */
    bool is_everything;
    struct group_pattern items[];
};

/* Copies them. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_patterns_create(struct group_patterns **out,
                                             const struct request_pattern *patterns, size_t count);
struct group_patterns *group_patterns_ref(struct group_patterns *p);
void group_patterns_unref(struct group_patterns **p_p);

bool group_patterns_select(const struct group_patterns *p, const char *type, size_t type_len,
                           const char *stats_event);
bool group_patterns_equal(const struct group_patterns *a, const struct group_patterns *b);
/* ["a","b*"]; [] for everything. */
void group_patterns_write(const struct group_patterns *p, struct buf *out);

#endif
