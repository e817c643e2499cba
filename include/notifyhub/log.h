/*
 * log: where the library tells what happens to its connections.
 *
 * Nothing is printed: without a callback these lines go nowhere. Errors of a call are its result,
 * not a log line; what comes here is the life of links (connected, lost, refilled) and odd answers.
 *
 * Threads: nhub_log_set() before handles are made in other threads; the callback is called in the
 * thread that uses a handle, never in one of the library's own.
 */
#ifndef NOTIFYHUB_LOG_H
#define NOTIFYHUB_LOG_H

#include <notifyhub/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nhub_log_level {
    NHUB_LOG_ERROR, /* someone has to act */
    NHUB_LOG_WARN,  /* it was coped with, and it cost something */
    NHUB_LOG_INFO,  /* life of links */
    NHUB_LOG_DEBUG
} nhub_log_level;

/* event: a stable name, "hub_connected". text: details as key=value pairs, "" when there are none.
 * Both are lent for the call. */
typedef void nhub_log_fn(void *context, nhub_log_level level, const char *event, const char *text);

/* Sets the one callback of the process, NULL for silence. Lines above `level` are not made. */
NHUB_API void nhub_log_set(nhub_log_fn *fn, void *context, nhub_log_level level);

#ifdef __cplusplus
}
#endif
#endif
