/*
 * publisher: the hub's PUB socket: events out, subscriptions in.
 *
 * Sending never waits. Events are queued up to a mark for each subscriber and dropped for that one
 * beyond it, newest first; subscribers find that out by the holes in seq and fetch what is missing.
 * All queues share the bytes of an event, and together they are bounded by bytes: then those who
 * are furthest behind lose what they wait for, oldest first, and the others go on. What is dropped
 * is counted, and the log names who did not read.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_PUBLISHER_H
#define NHUB_DAEMON_PUBLISHER_H

#include "daemon/stats.h"
#include "zmtp/server.h"

/* Events that wait for one subscriber. As many as the ring keeps by default: whoever lags further
 * behind must come for history anyway, and a gateway that pauses for 50 ms at a million events a
 * second does not lose one. (libzmq's 1000 would be one millisecond.) */
#define PUBLISHER_HWM 65536
/* Bytes of all events that wait. */
#define PUBLISHER_HELD_BYTES (UINT64_C(512) << 20)
/* Events are gathered in blocks of so many bytes, and a block lives as long as one of its events
 * waits. */
#define PUBLISHER_BLOCK_BYTES (64u << 10)
/* An event type ends at 255 bytes, so a longer prefix never matches: such subscriptions are counted
 * and told, and beyond this size the connection is cut. */
#define PUBLISHER_SUBSCRIPTION_MAX 4096

struct publisher;

/* Listens on host:port; *out_port is the real port. Errors: as zserver_create(). */
NHUB_MUST_USE nhub_err publisher_create(struct publisher **out, const char *host, uint16_t port,
                                        struct stats *stats, uint16_t *out_port);
/* Closes the socket; what was not written is dropped. */
void publisher_destroy(struct publisher **p_p);

/* Sends [type, line] to whom it concerns. The bytes are copied, or not even that when nobody wants
 * them. */
void publisher_send(struct publisher *p, const char *type, size_t type_len, const char *line,
                    size_t len);
/* Reads up to `budget` subscription messages; returns true when there is more. */
bool publisher_read(struct publisher *p, unsigned budget);
/* Writes what was sent in this turn. */
void publisher_end_turn(struct publisher *p);
struct zserver *publisher_server(struct publisher *p);

#endif
