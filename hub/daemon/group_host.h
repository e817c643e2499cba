/*
 * group_host: one consumer group at work: its waiting fetches, its looks into the journal, its dead
 * letters.
 *
 * Fetches are served in the order in which they came. The first one is given what can be had at
 * once: events whose next attempt is due, then new ones. What is left of the work when the turn's
 * time is over goes on in the next turn.
 *
 *     fetch ─▶ waiters ─▶ first ─▶ scan ─▶ hand out ─▶ parcel ─▶ answer
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_GROUP_HOST_H
#define NHUB_DAEMON_GROUP_HOST_H

#include "daemon/call.h"
#include "daemon/group.h"
#include "daemon/group_hole.h"
#include "daemon/group_parcel.h"
#include "daemon/group_scan.h"
#include "daemon/intake.h"

#define GROUP_WAITERS_MAX 1000
/* A fetch that finds nothing at once gets so much time to look, whatever its wait_ms. */
#define GROUP_LOOK_MS 1000
/* Lines that peers asked for and do not read: more fetches are refused with "busy". */
#define GROUP_IN_FLIGHT_BYTES (UINT64_C(256) << 20)

struct group_host;

/* What all groups share. */
struct group_host_parts {
    struct journal *journal;
    struct intake *intake;
    const struct settings *settings;
    const struct group_unclean *unclean;
    uint64_t *in_flight; /* bytes of lines on their way */
    /* There is something to do for the group. */
    void (*wake)(void *context, struct group_host *h);
    void (*set_live)(void *context, struct group_host *h, bool is_live);
    /* An answer that never reached its peer. */
    group_parcel_fn *undelivered;
    void *context;
};

struct group_waiter;

/* Open to groups*.c, which keep them in their lists. */
struct group_host {
    char name[GROUP_NAME_MAX + 1];
    uint64_t serial; /* no other group ever has it, in this run of the hub */
    size_t slot;
    struct group_patterns *patterns;
    struct group *group;
    const struct group_host_parts *parts;
    struct group_waiter *first, *last;
    size_t waiting;
    int64_t expiry_ms; /* no waiter's time is over before this */
    int64_t retry_ms;  /* 0 = none */
    struct group_scan *scan;
    uint64_t scan_after;             /* where the scan was to begin */
    struct group_death death;        /* seq 0 = none is being read */
    struct group_parcel_draft draft; /* what the first waiter will get */
    size_t draft_before;             /* what was in it before the last scan */
    bool is_live;                    /* all up to the head was looked at */
    bool is_queued;                  /* in the list of those with something to do */
    bool is_at_work;
    struct group_host *next_queued;
};

/* Takes the patterns' reference and the group. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err group_host_create(struct group_host **out, const char *name,
                                         struct group_patterns **patterns_p, struct group **group_p,
                                         const struct group_host_parts *parts);
/* Waiting fetches are not answered. */
void group_host_destroy(struct group_host **h_p);

/* Takes the call's content and answers it, now or later. */
void group_host_fetch(struct group_host *h, struct call *call, int64_t now_ms);
/* Answers all fetches that wait: with a refusal, or (code NULL) with nothing. */
void group_host_send_away(struct group_host *h, const char *error, const char *code);
/* An event that it wants was numbered while it was live. */
void group_host_note_event(struct group_host *h, uint64_t seq);

/* Works until there is nothing to do now (false) or the time is over (true). */
bool group_host_work(struct group_host *h, const struct group_now *now, int64_t deadline_ns);
/* Brings it up to date with the journal: epoch, retention, time. */
void group_host_follow(struct group_host *h, int64_t now_ms);
/* When there is something to do next, if nothing happens; INT64_MAX = never. */
int64_t group_host_due_ms(const struct group_host *h);

#endif
