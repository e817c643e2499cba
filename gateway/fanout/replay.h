/* replay: what replay.c (working off) and resume.c (finding the place) share. */
#ifndef GATEWAY_FANOUT_REPLAY_H
#define GATEWAY_FANOUT_REPLAY_H

#include "gateway/fanout/internal.h"
#include "gateway/fanout/page.h"

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
    bool has_count; /* what is replayed was counted when it was told */
    bool in_cache;
    bool wants_snapshot; /* the page is made at the first step */
    uint64_t index;      /* in_cache: of the next record */
    struct page *page;
    size_t page_at;
    uint64_t events, gaps; /* written so far */
    struct fetch *fetch;   /* under way */
    int64_t ask_again_ms;  /* not before this */
};

/* Finds the place: true when there is something to write now; else the session waits, or is done
 * with the replay, or has ended. */
bool resume_place(struct session *s);
/* The answer to its fetch. page: made of the result, NULL unless that is good and brings one. */
void resume_answer(struct session *s, const struct fetch_result *result, struct page *page);
/* A gap in front of what comes next. */
void resume_note_gap(struct session *s, const struct gap *gap);

#endif
