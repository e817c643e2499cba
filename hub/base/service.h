/*
 * service: what a daemon owes its supervisor: the ready line on stdout, systemd's notifications,
 * signals.
 *
 * The notification protocol is the one of sd_notify(3): a datagram to $NOTIFY_SOCKET.
 * Without a supervisor every call is a no-op.
 */
#ifndef NHUB_BASE_SERVICE_H
#define NHUB_BASE_SERVICE_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stdint.h>

/* Blocks SIGINT, SIGTERM, SIGHUP for all threads (call first in main) and ignores SIGPIPE;
 * returns a signalfd for them in *out_fd. Errors: NHUB_ESYS. */
NHUB_MUST_USE nhub_err service_signals(int *out_fd);
/* The next pending signal number, 0 when there is none. */
int service_next_signal(int fd);

/* Prints "ready …" (one line, flushed) and tells systemd READY=1. */
void service_ready(const char *line);
void service_reloading(void); /* RELOADING=1 … followed by service_reloaded() */
void service_reloaded(void);
void service_stopping(void);                /* STOPPING=1 */
void service_watchdog(void);                /* WATCHDOG=1 */
void service_status(const char *text);      /* STATUS=… */
int64_t service_watchdog_interval_ms(void); /* half of WATCHDOG_USEC, 0 = no watchdog asked for */

#endif
