/*
 * wakeup: one level-triggered descriptor over several edge-triggered ZeroMQ sockets and a deadline.
 *
 * A handle gives this descriptor to its user's own loop. It is readable while a watched descriptor
 * is, after the deadline, and after wakeup_kick(). The rule that makes it safe: whoever works the
 * sockets off reads each until NHUB_EAGAIN, or kicks. Whatever else touches a socket (a send, a
 * subscription) may swallow its edge, so that kicks, too.
 *
 * Threads: none inside.
 */
#ifndef NHUB_CLIENT_WAKEUP_H
#define NHUB_CLIENT_WAKEUP_H

#include <notifyhub/error.h>
#include <stdint.h>

struct wakeup;

#define WAKEUP_NEVER INT64_MAX

NHUB_MUST_USE nhub_err wakeup_create(struct wakeup **out); /* Errors: NHUB_ENOMEM, NHUB_ESYS */
void wakeup_destroy(struct wakeup **w_p);
/* Watches fd, which stays its owner's. Errors: NHUB_ESYS. */
NHUB_MUST_USE nhub_err wakeup_watch(struct wakeup *w, int fd);
void wakeup_unwatch(struct wakeup *w, int fd);
/* Readable from deadline_ms (clock_mono_ms) on; WAKEUP_NEVER takes an earlier one back. */
void wakeup_set_deadline(struct wakeup *w, int64_t deadline_ms);
void wakeup_kick(struct wakeup *w);
/* Takes kicks back; called at the start of each turn of work. */
void wakeup_clear(struct wakeup *w);
int wakeup_fd(const struct wakeup *w);
/* Waits until it is readable, a signal comes, or timeout_ms (-1 = for ever) are over.
 * Errors: NHUB_ETIMEOUT; NHUB_EAGAIN a signal came; NHUB_ESYS. */
NHUB_MUST_USE nhub_err wakeup_wait(struct wakeup *w, int timeout_ms);

#endif
