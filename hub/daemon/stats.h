/*
 * stats: what the hub counts, and how it is told: the four figures of `info`, and the object that
 * `stats` answers, the statistics event carries and the log summarises.
 *
 * Threads: none inside; the loop's thread counts and reads.
 */
#ifndef NHUB_DAEMON_STATS_H
#define NHUB_DAEMON_STATS_H

#include "base/buf.h"
#include "daemon/journal.h"
#include "wire/event.h"
#include "wire/request.h"

#define STATS_RATE_WINDOW_S 10

struct stats_sample {
    uint64_t events;
    uint64_t bytes;
    int64_t at_ms;
};

struct stats {
    int64_t start_us;
    int64_t last_message_us; /* arrival of the last well-formed event, 0 = none yet */

    /* Events. received = published + duplicates; what the hub publishes about itself is neither. */
    uint64_t events_received;
    uint64_t events_published;
    uint64_t received_bytes;  /* as the publishers sent them */
    uint64_t published_bytes; /* canonical lines */
    uint64_t duplicates;
    uint64_t conflicts; /* refused: a known id with other content */
    uint64_t rejected[EVENT_REASONS];
    uint64_t not_numbered;   /* refused because the journal could not number them */
    uint64_t ignored_fields; /* unknown top-level members left out */
    uint64_t nonfinite;      /* events with NaN or Infinity in their data */
    uint64_t own_events;     /* statistics events */

    /* Subscriptions. */
    uint64_t subscribes;
    uint64_t unsubscribes;
    uint64_t long_subscriptions; /* longer than any event type, so they never match */
    uint64_t upstream_noise;     /* messages of subscribers that are none */
    uint64_t send_failures;      /* events that nobody got, for want of memory */
    uint64_t not_sent;           /* times that a subscriber that does not read missed one */

    /* Requests. */
    uint64_t requests[ACTION_UNKNOWN + 1];
    uint64_t requests_bad;     /* not JSON, no action, bad fields */
    uint64_t requests_refused; /* publish that was not carried out, terminate refused … */
    uint64_t durability_lost;  /* publishes numbered and not kept as they asked for */
    uint64_t no_reply;         /* carried out without an answer */
    uint64_t unknown_messages; /* message type that does not exist */
    uint64_t short_messages;   /* fewer than three frames, or packed wrongly */
    uint64_t answers_sent;
    uint64_t answers_queued_total; /* had to wait because the peer's pipe was full */
    uint64_t answers_dropped; /* the queue of the peer, or of all, was full, or waited too long */
    uint64_t answers_unroutable; /* the peer was gone */
    uint64_t waiting_answers;    /* now */
    uint64_t waiting_bytes;      /* now */
    uint64_t waiting_peers;      /* now */

    struct stats_sample samples[STATS_RATE_WINDOW_S + 1]; /* one a second, circular */
    unsigned sample_count;
    unsigned sample_next;
};

/* Consumer groups: since the start, but for those of now. */
struct stats_groups {
    uint64_t count, lag_max, pending, delayed, waiting; /* now */
    uint64_t acked, redelivered, dead_letters, lost;
};

/* Connections of ZeroMQ peers. */
struct stats_connections {
    uint64_t collector, publisher, requests; /* now */
    uint64_t refused;                        /* since the start */
};

/* Figures that others keep. */
struct stats_gauges {
    struct stats_connections connections;
    struct journal_state journal;
    struct journal_state ring; /* the part in memory */
    struct journal_figures disk;
    uint64_t waiting_acks; /* publishers that wait for the disk */
    const char *epoch;
    uint64_t dedup_ids;
    struct stats_groups groups;
};

void stats_init(struct stats *s, int64_t now_us, int64_t now_ms);
/* Takes a sample for the rates; to be called about once a second. */
void stats_tick(struct stats *s, int64_t now_ms);
/* Events and bytes per second over the last seconds. */
void stats_rates(const struct stats *s, double *out_events_per_s, double *out_bytes_per_s);

uint64_t stats_rejected_total(const struct stats *s);
/* Subscriptions now, never below 0 whatever peers send. */
uint64_t stats_subscriptions(const struct stats *s);

/* {"events_received":…,"events_published":…,"last_message_time":…,"start_time":…} */
void stats_write_basic(const struct stats *s, struct buf *out);
/* The whole object. */
void stats_write(const struct stats *s, const struct stats_gauges *gauges, struct buf *out);
/* "ready", "degraded" or "off". */
const char *stats_journal_word(const struct stats_gauges *gauges);
/* One info line. */
void stats_log(const struct stats *s, const struct stats_gauges *gauges);

/* Seconds with six digits, as a JSON number that readers take for a float; "0.0" for 0. */
void stats_write_seconds(struct buf *out, int64_t us);

#endif
