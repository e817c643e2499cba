/*
 * page: a page of history that came from the hub, shared by all sessions that need it.
 *
 * Clients that come back together ask for the same: the pages of the last moments are kept for
 * others with the same patterns, so that the hub is asked once for each page and not once for each
 * client. A session holds a reference and its place; the bytes are counted once for each page.
 * What all pages may take is a quarter of gateway.streams_max_bytes; when that is reached, nobody
 * asks for another one before there is room.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_PAGE_H
#define GATEWAY_FANOUT_PAGE_H

#include "gateway/fanout/fanout.h"
#include "gateway/fanout/list.h"

struct page {
    struct list recent; /* in the fan-out's list, which has a reference of its own */
    struct fanout *f;
    struct pattern_set *set; /* NULL for a snapshot */
    char since[64];          /* the question */
    struct position from, next, head;
    bool more;
    bool has_gap; /* in front of its first event */
    struct gap gap;
    struct feed_event **events;
    size_t count;
    size_t bytes;
    int64_t made_ms;
    uint32_t refs;
};

/* One reference for the caller. Takes the result's events, also on failure.
 * Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err page_create(struct page **out, struct fanout *f, const struct fetch *fetch,
                                   struct fetch_result *result);
/* The newest event of each type that the set wants; goes on behind `next`. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err page_snapshot(struct page **out, struct fanout *f, struct pattern_set *set,
                                     const struct position *next);
struct page *page_ref(struct page *p);
void page_unref(struct page **p_p);

/* Keeps it for others, unless it brings nobody any further. */
void pages_keep(struct page *p);
/* Where a question is answered: by a whole page with the gap in front of it, or, for a position
 * inside the page, by its events from `at` on. */
struct page_place {
    struct page *page;
    size_t at;
    bool is_part;
};
/* A page that answers this question, with a reference for the caller; false when there is none.
 * passed: epoch "" = the question is no position. */
bool pages_find(struct fanout *f, const struct pattern_set *set, const char *since,
                const struct position *passed, struct page_place *out);
/* True when there is room for one more; gives up what nobody needs now to get there. */
bool pages_have_room(struct fanout *f);
/* Gives up all that nobody needs now. */
void pages_give_up(struct fanout *f);
/* Forgets pages that are older than a moment, all with is_all. */
void pages_forget(struct fanout *f, bool is_all);

#endif
