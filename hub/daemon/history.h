/*
 * history: the request that asks for events again, one page at a time. (PROTOCOL.md, history.)
 *
 * A page is copied out of the journal, so frames on their way never hold its memory; what all pages
 * together hold until the network took them is bounded.
 *
 * Threads: the loop's; frames are given back by ZeroMQ's thread, through atomic counts.
 */
#ifndef NHUB_DAEMON_HISTORY_H
#define NHUB_DAEMON_HISTORY_H

#include "daemon/call.h"
#include "daemon/journal.h"

#define HISTORY_LIMIT_DEFAULT 1000
#define HISTORY_PAGE_RECORDS  50000               /* scanned for a page */
#define HISTORY_PAGE_BYTES    (UINT64_C(4) << 20) /* carried by a page, but always one event */
#define HISTORY_PAGE_MS       10 /* a page ends early rather than hold up the loop for longer */
/* Pages that peers asked for and do not read: more are refused with "busy". */
#define HISTORY_IN_FLIGHT_BYTES (UINT64_C(256) << 20)

struct history;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err history_create(struct history **out, struct journal *journal,
                                      const struct settings *settings);
/* To be called when the ZeroMQ context has ended: until then frames may be given back. */
void history_destroy(struct history **h_p);

/* Answers the call, now or when the journal has read the page. Takes the call's content. */
void history_run(struct history *h, struct call *call);
uint64_t history_in_flight(const struct history *h);

/* Where a `since` points: the number before the first event wanted. */
struct since_target {
    uint64_t after;
    bool by_time; /* the journal is to find `after` from time_us */
    int64_t time_us;
    bool is_unknown; /* a number that was never given out */
    const char *gap; /* reason why something before is not to be had, or NULL */
    struct position gap_from;
};
/* `after` is at least the number before the oldest record kept. */
void history_target(const struct since *since, const char *epoch, const struct journal_state *state,
                    struct since_target *out);

#endif
