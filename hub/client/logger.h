/*
 * logger: hands lines to the callback of nhub_log_set(). Nothing is formatted while nobody listens.
 *
 * Threads: any that uses a handle; the callback is set before.
 */
#ifndef NHUB_CLIENT_LOGGER_H
#define NHUB_CLIENT_LOGGER_H

#include <notifyhub/log.h>

/* format makes the details: "epoch=%s seq=%llu"; "" for none. Lines are cut at 512 bytes. */
void logger_write(nhub_log_level level, const char *event, const char *format, ...)
    NHUB_PRINTF(3, 4);

#endif
