/*
 * answers: the answers that need nothing but figures: those of the original, word for word, and
 * `stats`.
 *
 * Each appends one complete JSON object; now_us is the wall clock. (PROTOCOL.md; the members, their
 * order and their JSON types of health, info and terminate are the original's.)
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_DAEMON_ANSWERS_H
#define NHUB_DAEMON_ANSWERS_H

#include "daemon/stats.h"
#include "wire/request.h"

/* The ports that the hub's sockets are really bound to. */
struct hub_ports {
    uint16_t collector, publisher, requests;
};

/* journal: a hub whose disk fails is alive and says so beside the original's members. */
void answer_health(struct buf *out, const struct request *request,
                   const struct journal_state *journal, int64_t now_us);
void answer_info(struct buf *out, const struct request *request, const struct hub_ports *ports,
                 const struct stats *stats, const char *epoch, int64_t now_us);
void answer_terminating(struct buf *out, const struct request *request, int64_t now_us);
void answer_unknown_action(struct buf *out, const struct request *request);
void answer_stats(struct buf *out, const struct request *request, const struct stats *stats,
                  const struct stats_gauges *gauges);

#endif
