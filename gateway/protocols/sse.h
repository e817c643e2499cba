/*
 * sse: Server-Sent Events (WHATWG HTML, section 9.2) on sockets that the HTTP server has lent:
 * the response head is written by hand, then blocks, from the stream loop.
 *
 *   HTTP/1.1 200 OK … NotifyHub-Resume: replayed; count=3; from="e-1"; to="e-4"
 *
 *   id: e-1          a block without data: the reader's last event id, before any event
 *   retry: 2000
 *
 *   event: hub.resume
 *   data: {"result":"replayed",…}
 *
 *   id: e-2
 *   data: {…}
 *
 * When the answer to a resume has to come from the hub, the head waits for it, up to half a second,
 * and goes out then with "NotifyHub-Resume: pending". The event hub.resume tells the result in
 * every case.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_PROTOCOLS_SSE_H
#define GATEWAY_PROTOCOLS_SSE_H

#include "base/settings.h"
#include "gateway/counters.h"

struct event_loop;
struct fanout;
struct sse_open;
struct sse_server;

struct sse_options {
    struct event_loop *loop;
    struct fanout *fanout;
    const struct settings *settings;
    struct gateway_counters *counters;
};

NHUB_MUST_USE nhub_err sse_create(struct sse_server **out, const struct sse_options *options);
void sse_destroy(struct sse_server **server_p); /* ends all streams at once */

/* Takes the stream over; open->closed() follows in every case. */
void sse_open_stream(struct sse_server *server, struct sse_open *open);
size_t sse_count(const struct sse_server *server);
/* Ends up to n streams with a hint to come back soon (a retry: with jitter). */
void sse_end_some(struct sse_server *server, size_t n);
/* At the end of each turn, of which there are several a second: sends heads that have waited long
 * enough, closes what ended. */
void sse_turn(struct sse_server *server);

#endif
