/*
 * notifyhub: the C client library of Notification Hub. This header brings in all the others:
 *
 *   error.h       result codes and their texts
 *   event.h       events and positions as a program sees them
 *   publisher.h   sends events: fire and forget, or acknowledged
 *   subscriber.h  receives events: handlers for each type, gap detection with refill
 *   consumer.h    takes events of a consumer group and acknowledges them: at least once
 *   client.h      asks the hub: health, info, statistics, history, any request
 *   log.h         where the library tells what happens to its connections
 *
 * Rules that hold everywhere:
 * - What can fail returns nhub_err; result parameters stay untouched on failure.
 * - A handle (publisher, subscriber, consumer, client) belongs to one thread at a time; different
 * handles are independent of each other. Each has its own ZeroMQ context with one I/O thread.
 * - Texts that go in are NUL-terminated UTF-8 unless a length stands beside them, and are copied.
 *   Texts that come out are lent for as long as their comment says.
 * - Option structs start zeroed; a field that is 0 or NULL means the default in its comment.
 * - The library never prints, never exits, and installs no signal handler.
 */
#ifndef NOTIFYHUB_NOTIFYHUB_H
#define NOTIFYHUB_NOTIFYHUB_H

#include <notifyhub/client.h>
#include <notifyhub/consumer.h>
#include <notifyhub/error.h>
#include <notifyhub/event.h>
#include <notifyhub/log.h>
#include <notifyhub/publisher.h>
#include <notifyhub/subscriber.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Ports where a hub listens unless it is told otherwise. */
#define NHUB_COLLECTOR_PORT 4245
#define NHUB_PUBLISHER_PORT 4246
#define NHUB_REQUESTS_PORT  4247

/* The library's version, "major.minor.patch"; static. */
NHUB_API const char *nhub_version(void);

#ifdef __cplusplus
}
#endif
#endif
