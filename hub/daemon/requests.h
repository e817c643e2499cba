/*
 * requests: the hub's ROUTER socket: reads requests, carries them out, answers. (PROTOCOL.md.)
 *
 * A message is read frame by frame, and each frame or event counts in the turn, so a `publish` of
 * thousands of events does not keep others waiting; its events lie where they were received until
 * the last one was read.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_REQUESTS_H
#define NHUB_DAEMON_REQUESTS_H

#include "daemon/answers.h"
#include "daemon/intake.h"
#include "daemon/journal.h"
#include "daemon/stats.h"

struct requests;

struct requests_parts {
    const struct settings *settings;
    struct stats *stats;
    struct journal *journal;
    struct intake *intake;
    const struct hub_ports *ports; /* read when `info` is asked */
    /* Figures for `stats`. */
    void (*gauges)(void *context, struct stats_gauges *out);
    void *context;
};

/* Binds to host:port; *out_port is the real port. The parts must outlive it.
 * Errors: as zserver_create(). */
NHUB_MUST_USE nhub_err requests_create(struct requests **out, const char *host, uint16_t port,
                                       const struct requests_parts *parts, uint16_t *out_port);
/* Ends all that is under way; the last answers can still be written (requests_server). */
void requests_close(struct requests *r);
/* Closes the socket; what was not written is dropped. */
void requests_destroy(struct requests **r_p);

/* Carries out what had to wait for room in the journal. */
void requests_begin_turn(struct requests *r);
/* True while publishes wait for room in the journal. */
bool requests_is_holding(const struct requests *r);
/* Publishers that wait for their events to be kept. */
uint64_t requests_waiting(const struct requests *r);
/* Reads until `budget` frames or events are read; returns true when there is more. */
bool requests_read(struct requests *r, unsigned budget);
/* What groups have to do now, and what is to be written down; before the turn's commit.
 * is_busy: sockets have more to read. Returns true when there is more to do. */
bool requests_work(struct requests *r, bool is_busy);
/* Milliseconds until requests_work() has something to do if nothing happens. */
int requests_wait_ms(const struct requests *r, int64_t now_ms);
/* Figures of consumer groups. */
void requests_groups(const struct requests *r, struct stats_groups *out);
/* Sends batched answers and tries again for full peers; returns true while answers wait. */
bool requests_end_turn(struct requests *r);
/* From now on `publish` is refused with shutting_down. */
void requests_set_stopping(struct requests *r);
/* True when a peer asked the hub to terminate, and was allowed to. */
bool requests_wants_stop(const struct requests *r);
struct zserver *requests_server(struct requests *r);

#endif
