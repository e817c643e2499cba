/*
 * history: the request that asks for events again, one page at a time. (PROTOCOL.md, history.)
 *
 * A page is copied out of the journal, so frames on their way never hold its memory; what all pages
 * together hold until the network took them is bounded.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_HISTORY_H
#define NHUB_DAEMON_HISTORY_H

#include "daemon/call.h"
#include "daemon/history_target.h"

#define HISTORY_LIMIT_DEFAULT 1000
#define HISTORY_PAGE_RECORDS  50000               /* scanned for a page */
#define HISTORY_PAGE_BYTES    (UINT64_C(4) << 20) /* carried by a page, but always one event */
#define HISTORY_PAGE_MS       10   /* a page ends early rather than hold up the loop for longer */
#define HISTORY_PAGES_MAX     1024 /* being read at the same time */
/* Pages that peers asked for and do not read: more are refused with "busy". */
#define HISTORY_IN_FLIGHT_BYTES (UINT64_C(256) << 20)

struct history;

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err history_create(struct history **out, struct journal *journal,
                                      const struct settings *settings);
/* To be called when the socket is closed: until then blocks of lines may come back. */
void history_destroy(struct history **h_p);

/* Answers the call, now or when the journal has read the page. Takes the call's content. */
void history_run(struct history *h, struct call *call);
uint64_t history_in_flight(const struct history *h);

#endif
