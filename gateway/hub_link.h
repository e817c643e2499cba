/*
 * hub_link: the gateway's link to the hub: a SUB of everything that knows when it lost something,
 * and a DEALER.
 *
 * It delivers a gapless, duplicate-free, ordered feed (or a FEED_GAP that says exactly what is
 * missing) to the stream loop's mailbox, carries publishes (batched, up to gateway.publish_window
 * requests in flight) and queries, asks `position` twice a second, and re-creates its sockets when
 * the hub is gone (dead after 1.5 s without an answer). Jobs are answered exactly once, in the
 * link's thread, by their `done` callback, which must not block.
 *
 * Threads: its own; hub_link_publish*(), hub_link_query() and hub_link_status() from any.
 */
#ifndef GATEWAY_HUB_LINK_H
#define GATEWAY_HUB_LINK_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "base/settings.h"
#include "gateway/counters.h"
#include "gateway/feed.h"

struct hub_link;

NHUB_MUST_USE nhub_err hub_link_create(struct hub_link **out, const struct settings *settings,
                                       struct gateway_counters *counters,
                                       struct mailbox *feed); /* starts the thread */
/* Takes no new jobs, waits at most grace_ms for the answers under way, answers what is left
 * (unknown or unavailable) and ends the thread. Later jobs are answered at once, by the thread that
 * brings them: unavailable. */
void hub_link_stop(struct hub_link *link, int64_t grace_ms);
/* Stops if that is still to be done, and frees. */
void hub_link_destroy(struct hub_link **link_p);

enum publish_outcome {
    PUBLISH_ACCEPTED,
    PUBLISH_REFUSED,     /* by the hub: code, error, index, offset; nothing of it was numbered */
    PUBLISH_UNAVAILABLE, /* never sent: the hub is away or the gateway stops */
    PUBLISH_UNKNOWN,     /* sent, no answer in time: it may or may not have been numbered */
    PUBLISH_OVERLOADED,  /* too much is waiting already */
    PUBLISH_LOST /* numbered and sent to subscribers, but the hub's disk failed before it was kept
                    as asked: first_seq, last_seq, epoch, error */
};
struct publish_event {
    const char *line; /* event_render() without a position */
    size_t len;
};
/* One client's publish: all or nothing. Made by a door, owned by it again when done() was called.
 */
struct publish_job {
    struct letter letter;
    struct publish_event *events; /* the lines' memory stays valid until done() */
    size_t count;
    int durability;      /* enum durability asked for; the link settles it (gateway.durability,
                            gateway.min_durability) */
    int64_t deadline_ms; /* clock_mono_ms(); 0 = gateway.ack_timeout_ms from now */
    void (*done)(struct publish_job *job); /* link's thread */
    void *context;
    /* results */
    enum publish_outcome outcome;
    uint64_t first_seq, last_seq; /* for one duplicate event: the first one's seq */
    uint64_t accepted;            /* new ones */
    uint64_t duplicates;
    bool is_repeat; /* all were there already, in a row from first_seq to last_seq */
    char epoch[EPOCH_LEN + 1];
    int durability_got;
    char code[32]; /* REFUSED */
    char error[160];
    size_t index, offset;
    char *results; /* ACCEPTED, LOST of several events: the hub's JSON array that names the
                      duplicates; NULL without; the maker frees it */
    size_t results_len;
    struct { /* the link's own, whatever the maker leaves in it */
        size_t bytes;
        bool is_kept;    /* it waits for the hub's disk */
        bool was_sent;   /* it went out at least once, in sent_epoch: no answer means unknown */
        bool was_resent; /* more than once: a hub that cannot take it now may have it already */
        char sent_epoch[EPOCH_LEN + 1];
    } link;
};
void hub_link_publish(struct hub_link *link, struct publish_job *job);
/* The same for a chain of jobs (linked by their letters), of which the link hears at once: it is
 * woken once, and they go to the hub together. */
void hub_link_publish_chain(struct hub_link *link, struct publish_job *first,
                            struct publish_job *last);

enum query_kind { QUERY_HISTORY, QUERY_STATS, QUERY_POSITION, QUERY_GROUP };
struct query_job {
    struct letter letter;
    enum query_kind kind;
    char *since; /* HISTORY: since text; POSITION: NULL or a since text to resolve; owned by the
                    maker */
    const char *const *patterns; /* HISTORY; memory valid until done() */
    size_t pattern_count;
    uint64_t limit;
    const char *text; /* GROUP: the request's JSON without the closing brace, for the link to put
                         its request_id behind; memory valid until done() */
    size_t text_len;
    bool is_fetch; /* GROUP: it may wait at the hub, and changes nothing: a stop gives it up */
    int64_t deadline_ms;                 /* 0 = 2 s from now */
    void (*done)(struct query_job *job); /* link's thread */
    void *context;
    /* results */
    nhub_err err;      /* NHUB_OK, NHUB_EUNAVAIL (no hub), NHUB_ETIMEOUT, NHUB_EREFUSED (answer has
                          success false), NHUB_EPROTO; GROUP: NHUB_EFULL too many are under way */
    bool was_sent;     /* GROUP: it went out, so without an answer it may have been carried out */
    struct buf answer; /* the answer's JSON header as text; the maker frees it with buf_fini() */
    struct feed_event **events; /* HISTORY, GROUP: array and references are the maker's then */
    size_t event_count;
};
void hub_link_query(struct hub_link *link, struct query_job *job);

struct hub_link_status {
    bool connected; /* a position answer younger than 1.5 s */
    bool
        caught_up; /* the SUB side reached the seq named in a position answer at least 500 ms old */
    char reason[96]; /* why not ready, "" when ready: "no answer from hub at 127.0.0.1:4247 for 12
                        s" … */
    struct position head; /* last position seen from the hub */
    uint64_t oldest_seq;
    int64_t answer_age_ms; /* -1 = never */
    uint64_t in_flight, waiting;
    char durability[16];      /* what a publish gets without asking: "memory" … */
    char durability_max[16];  /* what can be asked for when the disk is well; "" = not told */
    char journal[16];         /* "ready", "degraded", "off"; "" = not told */
    char journal_why[96];     /* why it is degraded, for people */
    int64_t heartbeat_age_ms; /* since the link's loop last turned */
};
void hub_link_status(struct hub_link *link, struct hub_link_status *out); /* a consistent copy */

#endif
