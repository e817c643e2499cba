/*
 * internal: what the files of the fan-out know of each other. Nobody else includes it.
 *
 * A session is in one of these states:
 *
 *   IDLE      subscribed to nothing
 *   REPLAY    private: works off cache or history (replay.c)
 *   READY     in lockstep with the others of its stream (stream.c)
 *   LAGGING   at a position of its own in its stream, mostly because its transport is blocked
 *   ENDED     done; the transport will destroy it
 *
 * What a session is owed goes out in this order: the rest of a long record, messages (control), a
 * gap notice, then records.
 */
#ifndef GATEWAY_FANOUT_INTERNAL_H
#define GATEWAY_FANOUT_INTERNAL_H

#include "base/blob.h"
#include "base/buf.h"
#include "gateway/fanout/cache.h"
#include "gateway/fanout/fanout.h"
#include "gateway/fanout/last_values.h"
#include "gateway/fanout/list.h"
#include "gateway/fanout/pattern_set.h"
#include "gateway/fanout/roster.h"
#include "gateway/fanout/router.h"
#include "gateway/fanout/session.h"

#define SCRATCH_BYTES    ((size_t)64 * 1024)
#define WHEEL_SLOTS      5     /* each session is looked at every 5 s */
#define POSITION_IDLE_MS 10000 /* so an idle one is told its position every 10 to 15 s */
#define STALL_MS         60000

enum session_state { STATE_IDLE, STATE_REPLAY, STATE_READY, STATE_LAGGING, STATE_ENDED };

struct replay;
struct latest;
struct page;

struct session {
    /* What a write in lockstep needs lies together, in 64 bytes: a thousand sessions are written to
     * in turn, and the kernel's work for each has its own use for the cache. */
    struct list link; /* in a list of its stream, or the fan-out's replay lists */
    const struct sink_ops *sink;
    void *context;
    struct fanout *f;
    int64_t last_write_ms;
    uint64_t delivered; /* events */
    uint8_t door, format, policy, state;
    bool is_blocked, has_gap;
    const void *near[2]; /* what the sink needs for it */

    struct list blocked; /* in the fan-out's list of blocked sessions */
    struct list wheel;
    struct stream *stream;          /* NULL while IDLE or ENDED */
    uint64_t at;                    /* LAGGING: index in the stream of the next record */
    struct feed_event *long_record; /* under way in slices of RENDER_SLICE */
    size_t long_offset;
    struct buf control;
    struct gap gap; /* to be told, when has_gap */
    uint64_t gap_dropped;
    struct replay *replay; /* REPLAY only */
    struct latest *latest; /* policy latest, while lagging; else NULL */
    size_t charge;         /* what a blocked session costs outside of its stream */
    int64_t blocked_ms;    /* since when */
    uint64_t number;       /* as a client, since … */
    int64_t created_ms;
    uint64_t dropped; /* events */
    uint32_t round;   /* stuck: the last one of its stream that had its turn with it */
};

struct stream_entry {
    struct feed_event *record; /* held */
    uint64_t bytes_before;     /* of all records ever appended before it */
    uint64_t gaps_before;      /* gap records among these */
};

/* Shared by all sessions with the same patterns and format. Records [first, end) are kept; the
 * ready sessions have been sent everything before `front`. */
struct stream {
    struct fanout *f;
    struct pattern_set *set;
    struct list ready;   /* READY */
    struct list lagging; /* LAGGING, each has its turn in a flush */
    struct list stuck;   /* LAGGING and blocked: looked at when one may be over its limit */
    struct list dirty;   /* in the fan-out's list when there is something to do */
    struct list idle;    /* in the fan-out's list when nobody uses it any more */
    struct list all;
    struct stream_entry *entries; /* ring of cap, a power of two */
    size_t cap;
    uint64_t first, end, front;
    uint64_t bytes;       /* of all records ever appended */
    uint64_t gaps;        /* gap records among these */
    uint64_t overdue_end; /* index behind the last record that is overdue */
    uint64_t stuck_limit; /* with more bytes than this, one that is stuck may be over its limit */
    uint64_t stuck_low;   /* no stuck one is before this index, … */
    bool is_stuck_gone;   /* … but the one that was there is not any more */
    uint32_t round;       /* of looking at all that are stuck */
    bool is_in_round;
    uint64_t round_limit; /* stuck_limit when the round is over */
    uint32_t users;
    enum stream_format format;
};

/* Bytes of several records in a row, as all sessions at the same place get them. */
struct run {
    const char *bytes;
    size_t len;
    uint64_t to; /* index behind the last record */
    uint64_t events, gaps;
    struct feed_event *long_record; /* instead of bytes: one that is written in slices */
};

struct scratch {
    char data[SCRATCH_BYTES];
    const struct stream *stream; /* whose run is in data; NULL = nobody's */
    uint64_t from;
    struct run run;
};

struct fanout {
    struct fanout_options options;
    struct gateway_counters *counters;
    struct cache *cache;
    struct last_values *last;
    struct pattern_sets *sets;
    struct router *router;
    struct list streams; /* all */
    struct list dirty;   /* streams */
    struct list idle;    /* streams */
    struct list replays; /* sessions that can go on */
    struct list waiting; /* sessions that wait for a fetch, the link or the head */
    struct list blocked; /* sessions */
    struct list fetches; /* under way */
    struct list recent_pages;
    struct list wheel[WHEEL_SLOTS];
    unsigned wheel_next, wheel_now;
    struct scratch *scratch;
    struct latest *digest; /* of the records digest_from … digest_to of a stream; NULL = none */
    const struct stream *digest_stream;
    uint64_t digest_from, digest_to;
    struct buf text; /* for short texts and replays */
    int64_t now_ms;
    uint64_t held_bytes;    /* records and their forms that streams and sessions keep */
    uint64_t blocked_bytes; /* charges of blocked sessions */
    uint64_t send_buffers;  /* what the kernel may hold for all sessions */
    uint64_t page_bytes;    /* pages of history, each once */
    uint64_t page_limit;    /* events of a page that are asked for at once */
    size_t stream_count, session_count;
    struct roster clients; /* sessions by number */
    bool link_up, feed_moved;
    bool is_live; /* the link was up once: before that the cache is still being filled */
    /* memory of which types a set wants, for scans of the cache */
    uint8_t *memo;
    uint32_t memo_cap;
    uint64_t memo_version;
    struct pattern_set *memo_set;
};

/* fanout.c: the cache's head as sessions may know it */
struct position known_head(const struct fanout *f);

/* session.c */
/* Writes; false when the session is blocked or gone afterwards. */
bool session_write(struct session *s, const void *bytes, size_t len, uint64_t events);
bool session_write_run(struct session *s, const struct run *run);
/* The rest of a long record, messages, a gap; true when nothing of it is left and it can write. */
bool session_flush(struct session *s);
void session_note_gap(struct session *s, const struct gap *gap, uint64_t dropped);
void session_tell_start(struct session *s, uint32_t tag, struct session_start *start);
void session_fail(struct session *s, enum session_end why);

/* stream.c */
void hold(struct fanout *f, struct feed_event *record);
void release(struct fanout *f, struct feed_event **record_p);
/* A held record's form; what it newly takes is counted. NULL when out of memory. */
const struct blob *held_form(struct fanout *f, struct feed_event *record,
                             enum stream_format format);
NHUB_MUST_USE nhub_err stream_get(struct fanout *f, struct pattern_set *set,
                                  enum stream_format format, struct stream **out);
void stream_attach(struct session *s, struct stream *st);
void stream_leave(struct session *s); /* the session uses its stream no more */
void stream_join(struct session *s);  /* at the end: everything before was sent or is not wanted */
void stream_append(struct stream *st, struct feed_event *record); /* no memory: its sessions end */
void stream_fail(struct stream *st); /* its sessions end: they would miss something unawares */
void stream_flush(struct stream *st);
void stream_trim(struct stream *st); /* gives up what no session needs any more */
void stream_free(struct stream *st);
void stream_mark(struct stream *st); /* there is something to do */
struct feed_event *stream_at(const struct stream *st, uint64_t index);
/* Bytes of all records ever appended before the session's place. */
uint64_t stream_bytes_before(const struct session *s);
uint64_t stream_lag_bytes(const struct session *s);
/* The first index behind the session's from which no more than max_bytes are left; *out_gaps: gap
 * records on the way there. */
uint64_t stream_skip(const struct session *s, uint64_t max_bytes, uint64_t *out_gaps);

/* lag.c */
void lag_stick(struct session *s);     /* LAGGING: its transport is blocked */
void lag_unstick(struct session *s);   /* it is free again: what was held up goes on */
size_t lag_advance(struct session *s); /* its transport is free: one write; bytes of records */
void lag_enforce(struct stream *st);   /* keeps those that are stuck within their limits */
/* No stuck session needs what is before this index. */
uint64_t lag_low(struct stream *st);
/* The session goes on by itself if it is a burst that has put it behind; false when it does not. */
bool lag_set_aside(struct session *s);

/* latest.c */
bool latest_is_empty(const struct session *s);
void latest_absorb(struct session *s); /* the stream's records from s->at on become its values */
void latest_write(struct session *s);  /* one write */
void latest_free(struct session *s);
void latest_forget_digest(struct fanout *f); /* it holds records; to be called in each turn */
struct position latest_position(const struct session *s); /* before its first value */

/* replay.c */
struct replay_from {
    const struct since *since; /* NULL: from the given position or with a snapshot */
    struct position position;
    bool snapshot;
    bool is_told; /* started() was called already */
    uint32_t tag;
};
NHUB_MUST_USE nhub_err replay_begin(struct session *s, const struct replay_from *from);
/* From a place in its stream: what is pending there comes from the cache, at its own pace and in
 * the patterns of `st`, which it joins at the end. Errors: NHUB_ENOMEM: nothing changed. */
NHUB_MUST_USE nhub_err replay_instead(struct session *s, struct stream *st);
void replay_end(struct session *s); /* frees it; s->state is the caller's */
void replay_step(struct session *s, size_t *budget);
void replay_fetched(struct session *s, const struct fetch_result *result, struct page *page);
/* A blocked session's page, if it can go on without it. */
void replay_give_up_page(struct session *s);
struct position replay_position(const struct session *s);

/* scan.c */
struct scan {
    uint64_t events;
    bool has_gap;
    struct gap gap;
};
/* True when the set wants the record with this index (gaps are always wanted). */
bool scan_wants(struct fanout *f, struct pattern_set *set, uint64_t index);
void scan_count(struct fanout *f, struct pattern_set *set, uint64_t from, struct scan *out);

#endif
