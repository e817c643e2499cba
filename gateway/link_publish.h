/*
 * link_publish: publish jobs on their way to the hub: waiting, gathered into requests, in flight,
 * matched with their answers. Each job's done() is called exactly once, at its deadline at the
 * latest.
 *
 * One-event jobs that wait together and want the same durability go out in one request in which
 * each event stands for itself ("atomic":false); a job of several events is an atomic request of
 * its own. At most `window` requests are in flight; what waits is bounded by jobs, and with
 * what is in flight by bytes
 * (PUBLISH_OVERLOADED beyond).
 *
 * There are two lanes: quick for jobs that are answered from the hub's memory, kept for those that
 * wait for its disk. Order is that of link_publish_add() within a lane, and the kept lane leaves a
 * part of the window free, so that a slow disk never holds up who did not ask for it.
 *
 * What a job asks for is settled here: nothing = gateway.durability, and less than
 * gateway.min_durability is raised to it. While the hub is away a publish is refused at once
 * (PUBLISH_UNAVAILABLE). What was in flight when the connection broke is PUBLISH_UNKNOWN, unless
 * all its events have an id and the hub told that it recognises repeats: then it waits, within its
 * deadline, and is sent again if the hub comes back in the same epoch. (In a new epoch nobody knows
 * the old ids for sure.)
 *
 * It knows no sockets: the hub link takes requests with _next(), sends them and brings answers.
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_PUBLISH_H
#define GATEWAY_LINK_PUBLISH_H

#include "gateway/hub_link.h"
#include "gateway/link_answer.h"

struct link_publish;

struct link_publish_options {
    size_t window;
    size_t max_waiting_jobs, max_waiting_bytes;
    int64_t ack_timeout_ms;
    int default_durability, min_durability; /* gateway.durability, gateway.min_durability */
};
/* What the hub said of itself. */
struct link_publish_hub {
    char epoch[EPOCH_LEN + 1];
    bool has_dedup;
    uint64_t max_event_bytes; /* 0 = not told */
    int durability;           /* what a publish gets without asking; DEFAULT = not told */
};

NHUB_MUST_USE nhub_err link_publish_create(struct link_publish **out,
                                           const struct link_publish_options *options);
/* Answers all jobs that are left. */
void link_publish_destroy(struct link_publish **p_p);

void link_publish_up(struct link_publish *p, const struct link_publish_hub *hub);
void link_publish_lost(struct link_publish *p);

/* Takes the job; refuses it at once when it cannot go out. */
void link_publish_add(struct link_publish *p, struct publish_job *job, int64_t now_ms);

struct link_publish_request {
    uint64_t key; /* names the request in its answer */
    int durability;
    bool atomic;
    size_t events;
};
/* The next request to send, if something waits and the window is open. It counts as sent. */
bool link_publish_next(struct link_publish *p, struct link_publish_request *out);
/* The i-th event of a request that was just given out. */
const struct publish_event *link_publish_event(const struct link_publish *p, uint64_t key,
                                               size_t i);
/* The request could not be sent at all: its jobs are unavailable, but for those sent before. */
void link_publish_unsent(struct link_publish *p, uint64_t key);
/* An answer; one that nobody waits for any more is ignored. */
void link_publish_answer(struct link_publish *p, uint64_t key, const struct link_answer *answer);

void link_publish_expire(struct link_publish *p, int64_t now_ms);
int64_t link_publish_deadline(const struct link_publish *p); /* INT64_MAX = none */
size_t link_publish_in_flight(const struct link_publish *p); /* requests */
size_t link_publish_waiting(const struct link_publish *p);   /* jobs */

#endif
