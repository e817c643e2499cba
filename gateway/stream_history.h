/*
 * stream_history: the stream loop's questions to the hub: pages for sessions that resume, and pages
 * for the history door.
 *
 * A bounded number is under way at a time; the others wait in order, so that a thousand clients
 * that come back at once cost a bounded amount of memory. A page for the history door comes from
 * the cache when that has it, and from whatever the cache has when the hub is away.
 *
 * Threads: the stream loop's, but for the link's `done`, which only posts.
 */
#ifndef GATEWAY_STREAM_HISTORY_H
#define GATEWAY_STREAM_HISTORY_H

#include "gateway/hub_link.h"
#include "gateway/stream_loop.h"

struct fanout;
struct fetch;
struct stream_history;

struct stream_history_options {
    struct fanout *fanout;
    struct hub_link *link;
    void (*query)(struct hub_link *link, struct query_job *job); /* hub_link_query() */
};

/* Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err stream_history_create(struct stream_history **out,
                                             const struct stream_history_options *options);
/* All questions were answered by the link before (it answers each exactly once). */
void stream_history_destroy(struct stream_history **h_p);

int stream_history_fd(const struct stream_history *h); /* readable when answers are there */
void stream_history_take(struct stream_history *h);    /* works them off */
void stream_history_fetch(struct stream_history *h, struct fetch *fetch);
void stream_history_page(struct stream_history *h, struct history_job *job);
/* No more questions: those that wait here and those that come are answered NHUB_EUNAVAIL. */
void stream_history_close(struct stream_history *h);

#endif
