/*
 * link_status: what the hub link's thread tells other threads about the link: written once a turn,
 * read at any time.
 *
 * Threads: any; a mutex inside, held for a copy.
 */
#ifndef GATEWAY_LINK_STATUS_H
#define GATEWAY_LINK_STATUS_H

#include "gateway/hub_link.h"
#include "gateway/link_answer.h"

#include <pthread.h>

/* The link is taken for dead after so long without an answer. Readers look a little later, so that
 * they do not see it before the link's thread has acted on it. */
enum { LINK_DEAD_MS = 1500, LINK_DEAD_SEEN_MS = 1600 };

struct link_report {
    bool is_up, is_caught_up;
    char refusal[96]; /* why the hub is not used although it answers, "" = it is */
    struct position head;
    uint64_t received_seq, oldest_seq;
    int64_t answer_ms; /* when the hub last answered, 0 = never */
    uint64_t in_flight, waiting;
    char durability[16];
    struct link_journal journal;
    int64_t turn_ms;
};

struct link_status {
    pthread_mutex_t lock;
    pthread_cond_t first;
    bool has_report;
    struct link_report report; /* guarded by lock */
    char hub[64];              /* "host:port" */
    int64_t start_ms;
};

void link_status_init(struct link_status *s, const struct settings *settings);
void link_status_fini(struct link_status *s);
void link_status_write(struct link_status *s, const struct link_report *report);
void link_status_wait_first(struct link_status *s); /* until the first report is there */
void link_status_read(struct link_status *s, struct hub_link_status *out);

#endif
