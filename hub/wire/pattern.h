/*
 * pattern: what a subscriber asks for: an exact event type, or one with * ? [seq] [!seq] (fnmatch
 * without escapes and without character classes; * also matches ':' '.' '/' and the empty run; ?
 * and sets match one UTF-8 character). An unclosed [ is a literal. Case counts. The whole type must
 * match.
 *
 * hub.* types and the statistics event match only patterns that name them literally or begin with
 * "hub.". Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_PATTERN_H
#define NHUB_WIRE_PATTERN_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>

#define PATTERN_MAX 255

bool pattern_is_exact(const char *pattern, size_t len);
/* Bytes before the first special character. */
size_t pattern_literal_prefix(const char *pattern, size_t len);
/* Linear in len * type_len at worst, never exponential. */
bool pattern_match(const char *pattern, size_t len, const char *type, size_t type_len);
/* A pattern as a client may send it: 1..255 bytes, UTF-8, no control characters. Errors:
 * NHUB_EINVAL. */
NHUB_MUST_USE nhub_err pattern_check(const char *pattern, size_t len);
/* True when `type` is only for those who name it: begins with "hub." or equals stats_event (may be
 * NULL or ""). */
bool type_is_reserved(const char *type, size_t len, const char *stats_event);
/* pattern_match() plus the rule for reserved types. */
bool pattern_selects(const char *pattern, size_t len, const char *type, size_t type_len,
                     const char *stats_event);

#endif
