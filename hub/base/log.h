/*
 * log: one line for each thing that happened, as logfmt or JSON, on stderr.
 *
 * A line is a stable event name and fields with units in their keys:
 *   time=2026-03-01T12:00:00.123Z level=warn process=hub event=bad_event peer=tcp://…
 * refused_total=17 Levels: error: someone has to act; warn: we coped, and it cost something; info:
 * life of the process and of links; debug: everything else. What can repeat fast goes through
 * struct log_limit.
 *
 * Threads: any, after log_open(). The level may be changed at any time (SIGHUP).
 */
#ifndef NHUB_BASE_LOG_H
#define NHUB_BASE_LOG_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_field {
    const char *key; /* NULL ends a list */
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_UINT, LOG_FIELD_DOUBLE, LOG_FIELD_BOOL } type;
    union {
        struct {
            const char *p;
            size_t len;
        } str;
        int64_t i;
        uint64_t u;
        double d;
        bool b;
    } value;
};

/* Fields of a line. log_str() of NULL prints nothing for the value; long values are cut at 1024
 * bytes. */
struct log_field log_str(const char *key, const char *value);
struct log_field log_bytes(const char *key, const char *value, size_t len);
struct log_field log_int(const char *key, int64_t value);
struct log_field log_uint(const char *key, uint64_t value);
struct log_field log_double(const char *key, double value);
struct log_field log_bool(const char *key, bool value);
struct log_field log_errno(int errnum); /* error="text" */

/* process: short name in each line, static text. fd: usually 2. Before this call lines go to fd 2
 * as logfmt. */
void log_open(const char *process, int fd, enum log_level level, enum log_format format);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* Writes one line with one write(2). fields end with a NULL key. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* log_info("listening", log_uint("port", 8080), log_str("door", "http")); at least one field. */
#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_fields_[] = {__VA_ARGS__, {.key = NULL}};                   \
            log_write(level, event, log_fields_);                                                  \
        }                                                                                          \
    } while (0)
#define log_error(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

/* At most `burst` lines in each window of `window_ms`; what was held back is told with the next
 * line. */
struct log_limit {
    uint32_t burst;
    uint32_t window_ms;
    int64_t window_start_ms; /* start with 0 */
    uint32_t in_window;
    uint64_t suppressed;
};
/* True if a line may be written now; *out_suppressed (may be NULL) is then what was held back
 * before. One thread per limit. */
bool log_limit_pass(struct log_limit *limit, uint64_t *out_suppressed);

#endif
