/*
 * stream_loop: the one thread that writes to subscribers: a libev loop with the sockets of
 * WebSockets and SSE streams, the shared streams and the history cache.
 *
 * Threads: its own. The functions below may be called from any; they post letters.
 */
#ifndef GATEWAY_STREAM_LOOP_H
#define GATEWAY_STREAM_LOOP_H

#include "base/settings.h"
#include "gateway/counters.h"
#include "gateway/feed.h"
#include "gateway/protocols/query.h"

struct stream_loop;
struct hub_link;
struct ws_opening;

NHUB_MUST_USE nhub_err stream_loop_create(struct stream_loop **out, const struct settings *settings,
                                          struct gateway_counters *counters);
struct mailbox *
stream_loop_feed(struct stream_loop *loop); /* where the hub link posts feed_items */
/* Starts the thread; link is used for publishes and history. Errors: NHUB_ESYS, NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err stream_loop_start(struct stream_loop *loop, struct hub_link *link);
void stream_loop_drain(struct stream_loop *loop,
                       int64_t over_ms);         /* closes sessions evenly; new ones are refused */
bool stream_loop_idle(struct stream_loop *loop); /* no session is left */
/* Ends what is left (WebSocket 1001/1012), stops the thread. Call after http_server has no
 * suspended stream left to hand over. */
void stream_loop_stop(struct stream_loop *loop);
void stream_loop_destroy(struct stream_loop **loop_p);
int64_t stream_loop_heartbeat_age_ms(struct stream_loop *loop);

/* Front door: a granted upgrade to /ws (protocols/ws_opening.h). Takes it. */
void stream_loop_adopt_ws(struct stream_loop *loop, struct ws_opening **opening_p);

/* HTTP: an SSE stream on a suspended connection. The stream loop writes head and events to fd,
 * never closes it, and calls closed() once (stream loop's thread) when the stream ended and fd is
 * out of its loop (it did shutdown(fd, SHUT_WR)). */
struct sse_open {
    struct letter letter;
    int fd;
    struct stream_query query; /* owned by the opener, valid until closed() */
    char extra_head[512];      /* complete header lines (CORS) for the response head, "" = none */
    void (*closed)(struct sse_open *open);
    void *context;
};
void stream_loop_open_sse(struct stream_loop *loop, struct sse_open *open);

/* HTTP: one page of history as JSON text {"epoch":…,"events":[…],"next":…,"more":…,("gap":…)}; from
 * the cache, else from the hub. */
struct history_job {
    struct letter letter;
    struct stream_query query; /* event_type, since, limit, format; owned by the maker */
    void (*done)(struct history_job *job); /* any thread, once */
    void *context;
    nhub_err err;    /* NHUB_OK, NHUB_EUNAVAIL, NHUB_ETIMEOUT, NHUB_ENOMEM */
    struct buf page; /* the maker frees it */
};
void stream_loop_history(struct stream_loop *loop, struct history_job *job);

/* HTTP: lists of clients and types, the end of a session (protocols/http_clients_page.h). */
struct clients_job;
void stream_loop_clients(struct stream_loop *loop, struct clients_job *job);

#endif
