/*
 * publisher: the hub's XPUB socket: events out, subscriptions in.
 *
 * Sending never waits. ZeroMQ queues up to the high-water mark for each subscriber and drops for
 * that one beyond it; subscribers find that out by the holes in seq and fetch what is missing.
 *
 * The mark counts messages, but memory is bytes, and the mark of a connection that exists must
 * never be lowered: libzmq's other end reports its progress in steps of half the old mark, and a
 * new mark below such a step stops the connection for good. So large events are bounded by their
 * bytes: while too many are still on their way to subscribers that do not read, further large ones
 * are kept and numbered as ever but not sent; that is counted and told. Small ones go on.
 *
 * Threads: belongs to the loop; ZeroMQ's thread gives large events back.
 */
#ifndef NHUB_DAEMON_PUBLISHER_H
#define NHUB_DAEMON_PUBLISHER_H

#include "base/zsock.h"
#include "daemon/stats.h"

/* As many as the ring keeps by default: whoever lags further behind must come for history anyway,
 * and a gateway that pauses for 50 ms at a million events a second does not lose one. (ZeroMQ's
 * 1000 would be one millisecond.) */
#define PUBLISHER_HWM 65536
/* An event of more bytes is a large one. */
#define PUBLISHER_LARGE_EVENT 4096
/* Bytes of large events on their way, over all subscribers; those who lag alike share them. */
#define PUBLISHER_LARGE_BYTES (UINT64_C(512) << 20)
/* An event type ends at 255 bytes, so a longer prefix never matches: such subscriptions are counted
 * and told, and beyond this size ZeroMQ closes the connection, because it keeps about 50 bytes of
 * memory for each byte of a prefix. */
#define PUBLISHER_SUBSCRIPTION_MAX 4096

struct publisher;

/* Binds to host:port; *out_port is the real port. Errors: NHUB_ENOMEM; NHUB_ESYS (errno). */
NHUB_MUST_USE nhub_err publisher_create(struct publisher **out, struct zctx *ctx, const char *host,
                                        uint16_t port, struct stats *stats, uint16_t *out_port);
/* Closes the socket; what is queued goes out for the linger time while the context ends. */
void publisher_destroy(struct publisher **p_p);

/* Sends [type, line] to whom it concerns. The bytes are copied, or not even that while nobody ever
 * subscribed. */
void publisher_send(struct publisher *p, const char *type, size_t type_len, const char *line,
                    size_t len);
/* Reads up to `budget` subscription messages; returns true when there may be more. */
bool publisher_read(struct publisher *p, unsigned budget);
struct zsock *publisher_socket(struct publisher *p);
/* Bytes of large events on their way. */
uint64_t publisher_large_in_flight(void);

#endif
