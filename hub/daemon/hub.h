/*
 * hub: the hub's loop and what it owns: the sockets, the ring, the parts between them.
 *
 *     PULL ───────────┐                       ┌▶ publisher (XPUB)
 *                     ├▶ intake ─▶ journal ───┤
 *     ROUTER ─ publish┘                       └▶ answers (ROUTER)
 *
 * One turn: timers, wait, subscriptions, requests, events (a bounded number of each), commit,
 * answers. Subscriptions come first, so that who has just subscribed gets what is read now.
 *
 * Threads: all of it belongs to the thread that calls hub_run().
 */
#ifndef NHUB_DAEMON_HUB_H
#define NHUB_DAEMON_HUB_H

#include "base/settings.h"
#include "daemon/requests.h"

struct hub;

/* Binds the three sockets. settings must outlive the hub; hub_run() re-reads what may change.
 * signal_fd: from service_signals(). On failure *error has a text for people (NUL-terminated via
 * buf_cstr). Errors: NHUB_ENOMEM; NHUB_ESYS. */
NHUB_MUST_USE nhub_err hub_create(struct hub **out, struct settings *settings, int signal_fd,
                                  struct buf *error);
const struct hub_ports *hub_ports(const struct hub *h);
const char *hub_epoch(const struct hub *h);
/* Runs until SIGTERM, SIGINT or `terminate`, then takes what publishers have sent already. */
NHUB_MUST_USE nhub_err hub_run(struct hub *h);
/* Sends out what is queued, for at most the linger time of a second. */
void hub_destroy(struct hub **h_p);

#endif
