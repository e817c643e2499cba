/* replay: what replay.c (working off) and resume.c (finding the place) share. */
#ifndef GATEWAY_FANOUT_REPLAY_H
#define GATEWAY_FANOUT_REPLAY_H

#include "gateway/fanout/internal.h"

/*
 * A session on its way to the live stream. Its place is one of:
 *   a page (from the hub, or a snapshot) that is written first,
 *   an index in the cache,
 *   or only the position that it has passed, and somebody has to be asked.
 */
struct replay {
    struct since since;
    struct position
        passed; /* everything up to here was sent or is not wanted; epoch "" = unknown */
    bool is_told;
    uint32_t tag;
    bool in_cache;
    uint64_t index; /* in_cache: of the next record */
    struct feed_event **page;
    size_t page_count, page_at;
    struct position page_next; /* where it goes on behind the page */
    bool has_page;
    struct fetch *fetch;  /* under way */
    int64_t deadline_ms;  /* when waiting for the hub ends, 0 = not waiting */
    int64_t ask_again_ms; /* not before this */
};

/* Finds the place: true when there is something to write now; else the session waits, or is done
 * with the replay, or has ended. */
bool resume_place(struct session *s);
void resume_answer(struct session *s, struct fetch_result *result);
void resume_drop_page(struct replay *r);

#endif
