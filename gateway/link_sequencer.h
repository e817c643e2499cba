/*
 * link_sequencer: turns what arrives from the hub, with losses, repeats and pages of history, into
 * a feed that is in order, free of repeats, and gapless but for gaps that it names exactly.
 *
 * It knows no sockets: the hub link tells it events, `position` answers, pages and lost
 * connections, asks it which page to fetch next, and passes its items on. What it holds to:
 *
 *   - Within an epoch seq has no holes but voids. Events behind a hole wait for the refill, at most
 *     wait_ms without progress; what does not fit into max_held_bytes is dropped and fetched later.
 *   - A void is not refilled: it is told as a gap with its reason, once something behind it is
 * known to be out (its events may have been sent live, and then they are not missing here).
 *   - A lost tail is seen by a `position` answer. Such an answer overtakes the events, so the tail
 *     counts as lost only if it is still missing a while later (500 ms; less right after a connect,
 *     when the hub may not have known the subscription yet).
 *   - Only a `position` answer changes the epoch: first a gap (epoch_changed) up to the point
 *     before the oldest event of the new one, then everything that it still has.
 *   - At the first connect up to backfill_events older events come as FEED_BACKFILL; then FEED_LINK
 *     names the position at which live begins.
 *   - Events that come while a hole is open, while a position answer names what is not here yet,
 *     that were sent while we or the hub were away, and in the second after any of it, are marked
 *     as overdue: readers cannot be expected to keep up with their burst.
 *   - If memory for an item runs out nothing moves on: what could not be told is a hole like any
 *     other and is fetched again.
 *
 * Time is given in by the caller (milliseconds of a clock that never goes back, > 0).
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_SEQUENCER_H
#define GATEWAY_LINK_SEQUENCER_H

#include "gateway/counters.h"
#include "gateway/feed.h"
#include "gateway/link_voids.h"

struct link_sequencer;

struct link_sequencer_options {
    uint64_t backfill_events;
    size_t max_held_bytes;
    int64_t wait_ms;
    struct gateway_counters *counters; /* events_in, events_duplicate, refilled */
};

/* What a `position` answer says. */
struct link_head {
    char epoch[EPOCH_LEN + 1];
    uint64_t seq;    /* last one given out */
    uint64_t oldest; /* oldest one kept, seq + 1 when none */
    struct link_voids voids;
};

/* What a history answer says besides its events. */
struct link_page {
    char epoch[EPOCH_LEN + 1];
    struct position next; /* the page covers everything up to here */
    uint64_t seq;         /* last one given out */
    struct link_voids voids;
    bool has_gap;
    struct gap gap;
};

NHUB_MUST_USE nhub_err link_sequencer_create(struct link_sequencer **out,
                                             const struct link_sequencer_options *options);
void link_sequencer_destroy(struct link_sequencer **s_p);

/* Input. Events are taken in every case. */
void link_sequencer_event(struct link_sequencer *s, struct feed_event **event_p, int64_t now_ms);
/* An event with this position was there and is not taken now: a hole for later. */
void link_sequencer_skip(struct link_sequencer *s, const struct position *position, int64_t now_ms);
void link_sequencer_head(struct link_sequencer *s, const struct link_head *head, int64_t now_ms);
void link_sequencer_page(struct link_sequencer *s, const struct link_page *page,
                         struct feed_event **events, size_t count, int64_t now_ms);
void link_sequencer_page_failed(struct link_sequencer *s, int64_t now_ms);
void link_sequencer_lost(struct link_sequencer *s, int64_t now_ms); /* the connection is gone */
void link_sequencer_tick(struct link_sequencer *s, int64_t now_ms);
/* We were away or did not read for a while: the wait for a refill begins anew. */
void link_sequencer_excuse(struct link_sequencer *s, int64_t now_ms);
/* We were away, or the hub was: what waited for either comes in a burst, and counts as overdue. */
void link_sequencer_away(struct link_sequencer *s, int64_t now_ms);

/* True when a page of history is to be fetched: all events after *since, at most *limit. It then
 * counts as under way until _page(), _page_failed() or _lost(). */
bool link_sequencer_wants_page(struct link_sequencer *s, int64_t now_ms, struct position *since,
                               uint64_t *limit);
/* True once when an event of another epoch came: ask for the position now. */
bool link_sequencer_wants_head(struct link_sequencer *s);
/* When to call _tick() and _wants_page() again at the latest; INT64_MAX = no need. */
int64_t link_sequencer_deadline(const struct link_sequencer *s);

/* The items made since the last call, linked by their letters, oldest first; NULL when none. */
struct feed_item *link_sequencer_take(struct link_sequencer *s, struct feed_item **out_last);

bool link_sequencer_is_live(const struct link_sequencer *s); /* connected and past the backfill */
/* No hole has been open for 500 ms or longer. */
bool link_sequencer_is_caught_up(const struct link_sequencer *s, int64_t now_ms);
void link_sequencer_received(const struct link_sequencer *s, struct position *out);

#endif
