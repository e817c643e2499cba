/*
 * gateway: the parts of the daemon and what they share; start, drain and stop in order.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/settings.h"
#include "gateway/counters.h"
#include "gateway/memory_ceiling.h"

#include <stdatomic.h>

struct hub_link;
struct stream_loop;
struct http_server;
struct http_fetches;
struct front_door;

struct gateway {
    const struct settings *settings;
    struct gateway_counters counters;
    struct hub_link *link;
    struct stream_loop *streams;
    struct http_server *http;
    struct http_fetches *fetches; /* those that wait over HTTP */
    struct front_door *door;
    struct memory_ceiling ceiling; /* constant once the doors are open */
    atomic_bool draining;
    int64_t drain_mono_ms; /* main thread only */
    int64_t start_mono_ms;
    int64_t start_wall_us;
};

NHUB_MUST_USE nhub_err gateway_start(struct gateway *g,
                                     const struct settings *settings); /* logs what failed */
/* Begins the paced drain: not ready, no new streams, those that are open end over
 * gateway.drain_s. */
void gateway_drain(struct gateway *g);
/* True when no stream is left, or the time for it is over. */
bool gateway_drained(struct gateway *g);
/* Ends everything in order: front door, link, waiting requests, streams, http; frees all. */
void gateway_stop(struct gateway *g);

/* Liveness: NULL when all loops turn, else the name of the one that does not (heartbeat older than
 * 10 s). */
const char *gateway_stuck_loop(struct gateway *g);
/* Readiness: NULL, else why not, written to text. */
const char *gateway_not_ready(struct gateway *g, char *text, size_t size);

#endif
