/*
 * log: a line is built in one buffer on the stack and leaves with one write(2), so that lines of
 * several threads and processes never mix and logging never allocates.
 *
 * A field that does not fit is left out whole and the line says truncated=true. Lines that the
 * descriptor did not take (a full pipe that nobody reads) are counted, and the next line says so.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES    16384
#define TAIL_BYTES    128 /* kept free for what closes a line */
#define MAX_VALUE_LEN 1024

struct line {
    size_t len;
    size_t limit;
    bool overflow; /* the bytes of the field that is being added did not fit */
    bool truncated;
    char bytes[LINE_BYTES];
};

static const char *const level_words[] = {"error", "warn", "info", "debug"};

static const char *process_name = "notifyhub";
static int out_fd = 2;
static enum log_format out_format = LOG_FORMAT_LOGFMT;
static atomic_int current_level = LOG_LEVEL_INFO;
static counter lost_lines;

struct log_field log_str(const char *key, const char *value)
{
    return log_bytes(key, value, value ? strlen(value) : 0);
}

struct log_field log_bytes(const char *key, const char *value, size_t len)
{
    return (struct log_field){
        .key = key, .type = LOG_FIELD_STR, .value.str = {.p = value, .len = len}};
}

struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_INT, .value.i = value};
}

struct log_field log_uint(const char *key, uint64_t value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_UINT, .value.u = value};
}

struct log_field log_double(const char *key, double value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_DOUBLE, .value.d = value};
}

struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_BOOL, .value.b = value};
}

struct log_field log_errno(int errnum)
{
    /* The text must live until the line is written, which the same thread does next. */
    static _Thread_local char text[128];

    return log_str("error", strerror_r(errnum, text, sizeof text));
}

void log_open(const char *process, int fd, enum log_level level, enum log_format format)
{
    process_name = process;
    out_fd = fd;
    out_format = format;
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

static void put(struct line *l, const char *bytes, size_t n)
{
    if (n > l->limit - l->len) {
        l->overflow = true;
        return;
    }
    memcpy(l->bytes + l->len, bytes, n);
    l->len += n;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

static void put_escape(struct line *l, unsigned c)
{
    char text[8];

    switch (c) {
    case '"':
        put_text(l, "\\\"");
        break;
    case '\\':
        put_text(l, "\\\\");
        break;
    case '\n':
        put_text(l, "\\n");
        break;
    case '\r':
        put_text(l, "\\r");
        break;
    case '\t':
        put_text(l, "\\t");
        break;
    default:
        (void)snprintf(text, sizeof text, "\\u%04x", c);
        put_text(l, text);
    }
}

/* A string in quotes, the same for JSON and for logfmt. Control characters, those of a terminal
 * from U+0080 to U+009F included, are escaped; bytes that are not UTF-8 become U+FFFD. */
static void put_quoted(struct line *l, const char *value, size_t len, bool was_cut)
{
    const unsigned char *p = (const unsigned char *)value;

    put(l, "\"", 1);
    for (size_t i = 0; i < len;) {
        const size_t n = utf8_sequence(value + i, len - i);

        if (n == 0) {
            put_text(l, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (n == 1 && (p[i] < 0x20 || p[i] == 0x7f || p[i] == '"' || p[i] == '\\')) {
            put_escape(l, p[i]);
        } else if (n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0) {
            put_escape(l, p[i + 1]);
        } else {
            put(l, value + i, n);
        }
        i += n;
    }
    if (was_cut) {
        put_text(l, "\xe2\x80\xa6");
    }
    put(l, "\"", 1);
}

static bool is_plain(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)value[i];

        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
            return false;
        }
    }
    return len > 0;
}

static void put_string(struct line *l, const char *value, size_t len)
{
    const bool is_cut = len > MAX_VALUE_LEN;

    if (!value) {
        if (out_format == LOG_FORMAT_JSON) {
            put_text(l, "null");
        }
        return;
    }
    if (is_cut) {
        len = MAX_VALUE_LEN;
        /* Not in the middle of a character: step back over at most three continuation bytes. */
        for (int i = 0; i < 3 && ((unsigned char)value[len] & 0xc0) == 0x80; i++) {
            len--;
        }
    }
    if (out_format == LOG_FORMAT_LOGFMT && !is_cut && is_plain(value, len)) {
        put(l, value, len);
        return;
    }
    put_quoted(l, value, len, is_cut);
}

static void put_double(struct line *l, double value)
{
    char text[40];

    if (!isfinite(value)) {
        put_text(l, out_format == LOG_FORMAT_JSON ? "null" : isnan(value) ? "nan" : "inf");
        return;
    }
    (void)snprintf(text, sizeof text, "%.9g", value);
    put_text(l, text);
}

static void put_value(struct line *l, const struct log_field *field)
{
    char text[32];

    switch (field->type) {
    case LOG_FIELD_STR:
        put_string(l, field->value.str.p, field->value.str.len);
        break;
    case LOG_FIELD_INT:
        (void)snprintf(text, sizeof text, "%" PRId64, field->value.i);
        put_text(l, text);
        break;
    case LOG_FIELD_UINT:
        (void)snprintf(text, sizeof text, "%" PRIu64, field->value.u);
        put_text(l, text);
        break;
    case LOG_FIELD_DOUBLE:
        put_double(l, field->value.d);
        break;
    case LOG_FIELD_BOOL:
        put_text(l, field->value.b ? "true" : "false");
        break;
    }
}

/* Adds the field whole or not at all. */
static void put_field(struct line *l, const struct log_field *field)
{
    const size_t before = l->len;

    l->overflow = false;
    if (out_format == LOG_FORMAT_JSON) {
        put(l, before > 0 ? "," : "{", 1);
        put_quoted(l, field->key, strlen(field->key), false);
        put(l, ":", 1);
    } else {
        if (before > 0) {
            put(l, " ", 1);
        }
        put_text(l, field->key);
        put(l, "=", 1);
    }
    put_value(l, field);
    if (l->overflow) {
        l->len = before;
        l->truncated = true;
    }
}

static void put_time(struct line *l)
{
    const int64_t now_us = clock_wall_us();
    const time_t seconds = (time_t)(now_us / 1000000);
    struct tm tm = {0};
    char text[64];
    struct log_field field = {0};

    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (int)(now_us / 1000 % 1000));
    field = log_str("time", text);
    put_field(l, &field);
}

static void put_head(struct line *l, enum log_level level, const char *event)
{
    const struct log_field head[] = {
        log_str("level", level_words[level]),
        log_str("process", process_name),
        log_str("event", event),
    };

    put_time(l);
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        put_field(l, &head[i]);
    }
}

/* Closes the line in the room that was kept free for it. Returns the losses it tells of. */
static uint64_t put_tail(struct line *l)
{
    const uint64_t lost = counter_get(&lost_lines);
    const struct log_field tail[] = {log_bool("truncated", true), log_uint("lost_lines", lost)};

    l->limit = sizeof l->bytes;
    if (l->truncated) {
        put_field(l, &tail[0]);
    }
    if (lost > 0) {
        put_field(l, &tail[1]);
    }
    put_text(l, out_format == LOG_FORMAT_JSON ? "}\n" : "\n");
    return lost;
}

static bool write_once(const char *bytes, size_t len)
{
    ssize_t written = 0;

    do {
        written = write(out_fd, bytes, len);
    } while (written < 0 && errno == EINTR);
    return written == (ssize_t)len;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    const int saved_errno = errno; /* a log line between a call and a look at errno is harmless */
    struct line l;
    uint64_t lost = 0;

    l.len = 0;
    l.limit = sizeof l.bytes - TAIL_BYTES;
    l.truncated = false;
    put_head(&l, level, event);
    for (const struct log_field *field = fields; field && field->key; field++) {
        put_field(&l, field);
    }
    lost = put_tail(&l);
    if (write_once(l.bytes, l.len)) {
        counter_sub(&lost_lines, lost);
    } else {
        counter_add(&lost_lines, 1);
    }
    errno = saved_errno;
}

bool log_limit_pass(struct log_limit *limit, uint64_t *out_suppressed)
{
    const int64_t now_ms = clock_mono_ms();

    if (limit->window_start_ms == 0 ||
        now_ms - limit->window_start_ms >= (int64_t)limit->window_ms) {
        limit->window_start_ms = now_ms > 0 ? now_ms : 1;
        limit->in_window = 0;
    }
    if (limit->in_window >= limit->burst) {
        limit->suppressed++;
        return false;
    }
    limit->in_window++;
    if (out_suppressed) {
        *out_suppressed = limit->suppressed;
    }
    limit->suppressed = 0;
    return true;
}
