/*
 * position: (epoch, seq) names an event for ever. Text form: "epoch-seq".
 *
 * epoch: 8 of a-z 2-7, the first a letter; seq: 1 … 2^63-1 (0 names the point before the first
 * event). Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_POSITION_H
#define NHUB_WIRE_POSITION_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPOCH_LEN         8
#define POSITION_TEXT_MAX 32 /* with NUL */

struct position {
    char epoch[EPOCH_LEN + 1]; /* NUL-terminated; "" = unknown */
    uint64_t seq;
};

void epoch_random(char out[EPOCH_LEN + 1]);
bool epoch_valid(const char *text, size_t len);
NHUB_MUST_USE nhub_err position_parse(const char *text, size_t len,
                                      struct position *out); /* Errors: NHUB_EINVAL */
/* Writes the text and a NUL; returns the length without it. */
size_t position_format(const struct position *p, char out[POSITION_TEXT_MAX]);
bool position_equal(const struct position *a, const struct position *b);

/* What a client may write as `since`. */
enum since_kind { SINCE_NONE, SINCE_POSITION, SINCE_SEQ, SINCE_TIME, SINCE_EARLIEST, SINCE_LATEST };
struct since {
    enum since_kind kind;
    struct position position; /* POSITION; for SEQ only .seq is set: of the current epoch */
    int64_t time_us;          /* TIME: microseconds since 1970 */
};
/* "epoch-seq", digits, RFC 3339 date-time, "earliest", "latest". Errors: NHUB_EINVAL. */
NHUB_MUST_USE nhub_err since_parse(const char *text, size_t len, struct since *out);

/* RFC 3339 date-time (section 5.6), also with a blank instead of T and any offset. Errors:
 * NHUB_EINVAL. */
NHUB_MUST_USE nhub_err time_parse_rfc3339(const char *text, size_t len, int64_t *out_us);
/* "2026-11-21T10:00:00.123456Z", 27 characters and a NUL. */
void time_format_rfc3339(int64_t us, char out[28]);

#endif
