/*
 * top_figures: the figures that `notifyhub top` shows, read from a gateway's /stats or from the
 * hub's answer to `stats`, with rates made of two readings.
 *
 * What a daemon of another version does not tell stays 0 or "". Threads: none inside; no I/O.
 */
#ifndef NHUB_CLI_TOP_FIGURES_H
#define NHUB_CLI_TOP_FIGURES_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_TEXT_MAX    64
#define TOP_REASONS_MAX 24
#define TOP_HISTORY_MAX 240

enum top_door { TOP_HTTP, TOP_SSE, TOP_WS, TOP_DOORS };

struct top_reason {
    char name[TOP_TEXT_MAX];
    uint64_t count;
};

/* Counters by reason, as the daemon names them. Beyond the bound, the last one counts all others.
 */
struct top_reasons {
    struct top_reason rows[TOP_REASONS_MAX];
    size_t count;
};

/* One reading. Counters count since the daemon's start. */
struct top_reading {
    bool has_gateway;
    char gateway_version[TOP_TEXT_MAX];
    double gateway_uptime_s;
    bool is_draining, is_connected, is_caught_up;
    char link_reason[TOP_TEXT_MAX];
    uint64_t connections, resident_bytes, stream_bytes;
    uint64_t subscribers[TOP_DOORS], published[TOP_DOORS], delivered[TOP_DOORS],
        rejected[TOP_DOORS];
    struct top_reasons dropped, refused; /* refused: at all doors together */
    uint64_t lag_events, gaps, resumes, refilled;
    uint64_t behind_events; /* numbers of the hub that the gateway has not received yet */

    bool has_hub;
    char epoch[TOP_TEXT_MAX];
    uint64_t seq;
    double hub_start_s; /* seconds since 1970 */
    uint64_t events_received, events_published, published_bytes, duplicates, hub_rejected,
        subscriptions, answers_dropped;
    uint64_t zeromq_not_sent; /* to native subscribers whose queue was full */
    struct top_reasons hub_refused;
    bool has_journal;
    char journal_state[TOP_TEXT_MAX], journal_why[TOP_TEXT_MAX];
    uint64_t journal_bytes, journal_file_bytes, journal_pending, journal_not_stored;
    double journal_age_s;
    bool has_groups;
    uint64_t groups, group_lag, group_pending, dead_letters;
};

/* A reading of `text` (JSON): the gateway's /stats, or the hub's {"success":…,"statistics":{…}}.
 * Errors: NHUB_EPROTO it is neither. */
NHUB_MUST_USE nhub_err top_read(const char *text, size_t len, struct top_reading *out);

/* Per second, between two readings. What one of them does not tell (`knows_…` is false) is 0. */
struct top_rates {
    bool knows_hub, knows_gateway, knows_drops;
    double in;                   /* events numbered by the hub */
    double in_bytes;             /* of their lines */
    double out;                  /* deliveries of the gateway, all doors */
    double published[TOP_DOORS]; /* events accepted by the gateway */
    double delivered[TOP_DOORS];
    double zeromq; /* events that came by no door of this gateway */
    double drops;  /* dropped and refused, for whatever reason */
};

/* All readings so far, as far as they are shown. Zeroed at the start. */
struct top_figures {
    struct top_reading now;
    struct top_rates rates;
    int64_t read_ms; /* 0 before the first */
    /* Circular, newest at `next` - 1. */
    float in_history[TOP_HISTORY_MAX], out_history[TOP_HISTORY_MAX], drop_history[TOP_HISTORY_MAX];
    size_t count, next;
};

/* Takes a reading made at now_ms. Counters that fell (the daemon was started anew) make rates of 0.
 */
void top_add(struct top_figures *f, const struct top_reading *reading, int64_t now_ms);
/* "ready", "draining" …; "running" or "degraded". */
const char *top_gateway_state(const struct top_reading *r);
const char *top_hub_state(const struct top_reading *r);
uint64_t top_sum(const struct top_reasons *reasons);
/* All that was dropped or refused anywhere since the daemons' starts. */
uint64_t top_drops(const struct top_reading *r);
/* The i-th newest value of a history (0 = now); 0 beyond what there is. */
float top_history(const struct top_figures *f, const float *history, size_t i);

#endif
