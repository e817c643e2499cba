/*
 * link_loop: what the hub link's thread does, turn by turn, until it is told to stop.
 *
 * Threads: link_loop_run() is the thread; init and fini around it belong to its maker. Other
 * threads reach it by the mailboxes and read the status.
 */
#ifndef GATEWAY_LINK_LOOP_H
#define GATEWAY_LINK_LOOP_H

#include "base/log.h"
#include "gateway/link_publish.h"
#include "gateway/link_queries.h"
#include "gateway/link_sequencer.h"
#include "gateway/link_sockets.h"
#include "gateway/link_status.h"

struct link_loop {
    /* set by the maker, borrowed */
    const struct settings *settings;
    struct gateway_counters *counters;
    struct mailbox *feed, *publishes, *queries;
    const struct letter *stop; /* this letter among the queries ends the loop … */
    const int64_t *grace_ms;   /* … after at most so long for answers under way */
    struct link_status *status;

    /* the loop's own */
    struct link_sockets sockets;
    struct link_sequencer *sequencer;
    struct link_publish *publish;
    struct link_queries *query;
    struct buf text; /* of the request being written */
    bool is_up, is_stopping, wants_out;
    bool has_publishes, has_queries; /* letters wait, as poll() said */
    bool is_held_up;    /* the stream loop has too much to do: no further events for now */
    size_t event_bytes; /* of an event of late, on average */
    int64_t stop_due_ms;
    int64_t now_ms;
    int64_t up_ms, asked_ms, unanswered_ms, answer_ms, reopen_ms;
    int64_t heard_ms; /* of the last answer of any kind */
    uint64_t asks, refills;
    uint64_t refill_key; /* of the page under way, 0 = none */
    int64_t refill_due_ms;
    char refusal[96]; /* why the hub is not used although it answers, "" = it is */
    struct link_head head;
    int durability;
    struct link_journal journal;
    struct log_limit bad_limit;
};

/* Makes the parts; the struct is zeroed but for the borrowed fields. To be followed by
 * link_loop_fini() in every case. Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err link_loop_init(struct link_loop *l);
/* Turns until the stop letter; every job that came before it has been answered then. */
void link_loop_run(struct link_loop *l);
void link_loop_fini(struct link_loop *l);

#endif
