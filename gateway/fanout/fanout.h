/*
 * fanout: the heart of the gateway: takes the feed in, keeps the cache and the last values, and
 * hands each event to the shared streams of the sessions that want it.
 *
 * Pure: no socket, no thread, no clock of its own. The owner feeds it, calls fanout_turn() once in
 * each turn of its loop and fanout_tick() each second, and fetches pages of history when asked.
 *
 *   feed ─▶ cache, last values ─▶ router: type ─▶ pattern sets ─▶ streams (one for each format)
 *                                                                  └▶ sessions, one write each
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_FANOUT_H
#define GATEWAY_FANOUT_FANOUT_H

#include "gateway/counters.h"
#include "gateway/fanout/list.h"
#include "gateway/fanout/session.h"
#include "gateway/feed.h"

struct fanout;
struct pattern_set;

/* A page of history that a session needs from the hub. */
struct fetch {
    struct list link;        /* the fan-out's: those under way */
    struct session *session; /* NULL: nobody waits for it any more */
    struct pattern_set *set; /* its patterns; kept alive by the fetch */
    char since[64];
    uint64_t limit;
};
struct fetch_result {
    nhub_err err; /* of the question; the rest counts only with NHUB_OK */
    enum resume_result result;
    struct position from, next, head;
    bool more;
    bool has_gap;
    struct gap gap;
    struct feed_event **events; /* array and references go to the fan-out */
    size_t event_count;
};

struct fanout_options {
    size_t cache_events, cache_bytes;
    size_t session_max_bytes, streams_max_bytes, send_buffer_bytes;
    const char *stats_event; /* lives as long as the fan-out */
    struct gateway_counters *counters;
    /* Asks the hub; fanout_fetched() follows, also inside the call. */
    void (*fetch)(void *context, struct fetch *fetch);
    void *context;
};

NHUB_MUST_USE nhub_err fanout_create(struct fanout **out, const struct fanout_options *options);
/* All sessions were destroyed and all fetches answered before. */
void fanout_destroy(struct fanout **f_p);

/* The time of this turn, milliseconds of a clock that never goes back. */
void fanout_set_now(struct fanout *f, int64_t now_ms);
/* Takes the item. What it means for sessions happens in fanout_turn(). */
void fanout_feed(struct fanout *f, struct feed_item **item_p);
/* Writes what is pending, goes on with replays. True when there is more to do right away. */
bool fanout_turn(struct fanout *f);
/* Each second: positions for idle sessions, stalled sessions, memory, gauges. */
void fanout_tick(struct fanout *f);
/* The answer to a fetch; takes both. */
void fanout_fetched(struct fanout *f, struct fetch **fetch_p, struct fetch_result *result);

/* What SO_SNDBUF a new session's socket should have: send_buffer_bytes, less when there are many
 * sessions, so that the kernel's memory for all of them stays within half of streams_max_bytes and
 * 32 KiB for each. To be given back when the socket is closed. */
size_t fanout_take_send_buffer(struct fanout *f);
void fanout_return_send_buffer(struct fanout *f, size_t bytes);
/* The kernel allows itself double of what is asked for (socket(7), SO_SNDBUF). */
#define FANOUT_KERNEL_BYTES(send_buffer) (2 * (size_t)(send_buffer))

struct position fanout_head(const struct fanout *f); /* epoch "" = not known */
size_t fanout_session_count(const struct fanout *f);

/* One page of history from the cache as JSON text: {"epoch":…,"result":…,"events":[…],"next":…,
 * "more":…,"gap":{…}}. With must_serve (the hub is away) it gives what it has, behind a gap if that
 * is not all. Errors: NHUB_EAGAIN the cache does not have it: ask the hub; NHUB_EUNAVAIL the same
 * with must_serve; NHUB_ENOMEM. */
struct stream_query;
NHUB_MUST_USE nhub_err fanout_history(struct fanout *f, const struct stream_query *query,
                                      bool must_serve, struct buf *out);
/* The same page from a hub's answer; its events stay the caller's. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err fanout_history_answer(const struct fetch_result *result, bool cloudevents,
                                             struct buf *out);
/* The text of a since for the hub. out has room for 64 bytes. */
void since_text(const struct since *since, char out[64]);

#define HISTORY_LIMIT_DEFAULT 1000
#define HISTORY_LIMIT_MAX     10000

#endif
