/*
 * front_door: accepts connections on the one public port, looks at the head of each (MSG_PEEK,
 * bounded in time and size) and hands it over: a good WebSocket upgrade to the stream loop, all
 * else to the HTTP server. A first request that asks for SSE goes to the HTTP server's `streams`
 * side. Its own thread, so that probes are never behind a fan-out.
 */
#ifndef GATEWAY_PROTOCOLS_FRONT_DOOR_H
#define GATEWAY_PROTOCOLS_FRONT_DOOR_H

#include "base/settings.h"
#include "gateway/counters.h"

struct front_door;
struct http_server;
struct stream_loop;

/* Binds gateway.listen and starts the thread. Errors: NHUB_ESYS (errno EADDRINUSE …), NHUB_EINVAL.
 */
NHUB_MUST_USE nhub_err front_door_create(struct front_door **out, const struct settings *settings,
                                         struct gateway_counters *counters,
                                         struct http_server *http, struct stream_loop *streams);
/* How many connections of all doors may be open, by the settings and by what the process may open.
 */
uint64_t front_door_limit(const struct settings *settings);
uint16_t front_door_port(const struct front_door *door);
/* From now on upgrades go to the HTTP server too, which refuses them. Any thread. */
void front_door_drain(struct front_door *door);
int64_t front_door_heartbeat_age_ms(const struct front_door *door);
/* Closes the listener and undecided connections, ends the thread. Its heartbeat can still be asked
 * for: HTTP threads may be answering a probe. */
void front_door_stop(struct front_door *door);
/* Stops if that is still to be done, and frees. */
void front_door_destroy(struct front_door **door_p);

#endif
