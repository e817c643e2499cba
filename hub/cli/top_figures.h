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
#define TOP_REASONS_MAX 12
#define TOP_HISTORY_MAX 240

enum top_door { TOP_HTTP, TOP_SSE, TOP_WS, TOP_DOORS };

struct top_reason {
    char name[TOP_TEXT_MAX];
    uint64_t count;
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
    struct top_reason dropped[TOP_REASONS_MAX]; /* as the gateway names them */
    size_t dropped_count;
    uint64_t lag_events, gaps, resumes, refilled;

    bool has_hub;
    char epoch[TOP_TEXT_MAX];
    uint64_t seq;
    double hub_start_s; /* seconds since 1970 */
    uint64_t events_received, events_published, published_bytes, duplicates, hub_rejected,
        subscriptions, answers_dropped;
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

/* Per second, between two readings. */
struct top_rates {
    double in;                   /* events numbered by the hub */
    double in_bytes;             /* of their lines */
    double out;                  /* deliveries of the gateway, all doors */
    double published[TOP_DOORS]; /* events accepted by the gateway */
    double delivered[TOP_DOORS];
};

/* All readings so far, as far as they are shown. Zeroed at the start. */
struct top_figures {
    struct top_reading now;
    struct top_rates rates;
    int64_t read_ms; /* 0 before the first */
    float in_history[TOP_HISTORY_MAX],
        out_history[TOP_HISTORY_MAX]; /* circular, newest at `next` - 1 */
    size_t count, next;
};

/* Takes a reading made at now_ms. Counters that fell (the daemon was started anew) make rates of 0.
 */
void top_add(struct top_figures *f, const struct top_reading *reading, int64_t now_ms);
/* The i-th newest value of a history (0 = now); 0 beyond what there is. */
float top_history(const struct top_figures *f, const float *history, size_t i);

#endif
