/*
 * logger: the one callback of the process.
 */
#include "client/logger.h"

#include <notifyhub/notifyhub.h>
#include <stdarg.h>
#include <stdio.h>

static struct {
    nhub_log_fn *fn;
    void *context;
    nhub_log_level level;
} sink;

void nhub_log_set(nhub_log_fn *fn, void *context, nhub_log_level level)
{
    sink.fn = fn;
    sink.context = context;
    sink.level = level;
}

void logger_write(nhub_log_level level, const char *event, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!sink.fn || level > sink.level) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sink.fn(sink.context, level, event, text);
}

const char *nhub_version(void)
{
    return NHUB_VERSION;
}
