/*
 * gateway: the parts of the daemon and what they share; start, drain and stop in order.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/settings.h"
#include "gateway/counters.h"

#include <stdatomic.h>

struct hub_link;
struct stream_loop;
struct http_server;
struct front_door;

struct gateway {
    const struct settings *settings;
    struct gateway_counters counters;
    struct hub_link *link;
    struct stream_loop *streams;
    struct http_server *http;
    struct front_door *door;
    atomic_bool draining;
    int64_t start_mono_ms;
    int64_t start_wall_us;
};

NHUB_MUST_USE nhub_err gateway_start(struct gateway *g,
                                     const struct settings *settings); /* logs what failed */
void gateway_drain(struct gateway *g);                                 /* begins the paced drain */
bool gateway_drained(struct gateway *g);
void gateway_stop(struct gateway *g); /* in order: waits, streams, http, link; frees all */

/* Liveness: NULL when all loops turn, else the name of the one that does not (heartbeat older than
 * 10 s). */
const char *gateway_stuck_loop(struct gateway *g);
/* Readiness: NULL, else why not, written to text. */
const char *gateway_not_ready(struct gateway *g, char *text, size_t size);

#endif
