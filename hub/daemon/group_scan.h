/*
 * group_scan: one look of a consumer group into the journal: forward, for events that match, or at
 * certain numbers that it knows.
 *
 * What is found is copied, with the line. A look is bounded by count, bytes and time, and says how
 * far it came. The journal may answer it later and from another thread, so it touches nothing but
 * itself; a group that is deleted meanwhile leaves it behind (group_scan_abandon).
 *
 * Threads: the loop's; matching and copying may happen in a thread of the journal.
 */
#ifndef NHUB_DAEMON_GROUP_SCAN_H
#define NHUB_DAEMON_GROUP_SCAN_H

#include "daemon/group_patterns.h"
#include "daemon/journal.h"

#define GROUP_SCAN_RECORDS   16384 /* looked at by one scan */
#define GROUP_SCAN_US        250   /* a scan ends early rather than hold up the loop for longer */
#define GROUP_SCAN_PICKS_MAX 256
/* Numbers that lie further apart are read by two scans. */
#define GROUP_SCAN_PICK_DISTANCE 64
#define GROUP_SCAN_HOLES_MAX     16

struct group_found {
    uint64_t seq;
    uint64_t lane; /* hash of the type */
    size_t offset; /* of the line, in lines */
    size_t len;
    bool is_dead_letter; /* its type is GROUP_DEAD_LETTER */
};

#define GROUP_DEAD_LETTER "hub.dead_letter"

/* Numbers from..to have no record. */
struct group_hole {
    uint64_t from, to;
};

struct group_scan;
typedef void group_scan_done_fn(void *context, struct group_scan *scan);

/* What to look for. */
struct group_scan_wish {
    uint64_t after, to;
    /* Forward: */
    struct group_patterns *patterns; /* a reference is taken while the scan is under way */
    const char *stats_event;
    size_t max_events;
    /* Known numbers, ascending, instead: */
    const uint64_t *picks;
    size_t pick_count;
    /* Both: bytes of lines; the first one always fits if first_fits. */
    size_t max_bytes;
    bool first_fits;
};

enum group_scan_state { GROUP_SCAN_IDLE, GROUP_SCAN_UNDER_WAY, GROUP_SCAN_DONE };

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_scan_create(struct group_scan **out, struct journal *journal,
                                         group_scan_done_fn *done, void *context);
/* Gives it up: frees it, now or when the journal has answered; done is not called any more. */
void group_scan_abandon(struct group_scan **s_p);

/* Begins; calls done, inside the call or later, when the result is there. */
void group_scan_begin(struct group_scan *s, const struct group_scan_wish *wish);
/* The result was used. */
void group_scan_end(struct group_scan *s);

enum group_scan_state group_scan_state(const struct group_scan *s);
nhub_err group_scan_status(const struct group_scan *s);
bool group_scan_is_forward(const struct group_scan *s);
/* What it had been asked for ended it, not the end of what there is to read. */
bool group_scan_was_full(const struct group_scan *s);
/* The number before the first that it could look at (greater than asked for: the rest is not kept
 * any more), and the one up to which it has looked. */
uint64_t group_scan_after(const struct group_scan *s);
uint64_t group_scan_reached(const struct group_scan *s);
/* Ascending. */
const struct group_found *group_scan_found(const struct group_scan *s, size_t *out_count);
const char *group_scan_line(const struct group_scan *s, const struct group_found *found);
const struct group_hole *group_scan_holes(const struct group_scan *s, size_t *out_count);
const uint64_t *group_scan_picks(const struct group_scan *s, size_t *out_count);

/* The lane of a type, the same after every start. */
uint64_t group_lane(const char *type, size_t len);

#endif
