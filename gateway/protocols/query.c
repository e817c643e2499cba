/*
 * query: splits, decodes and checks a query string (WHATWG application/x-www-form-urlencoded:
 * '&' between parameters, '+' is a blank, %XX is a byte).
 */
#include "gateway/protocols/query.h"

#include "base/buf.h"
#include "wire/json_scan.h"
#include "wire/pattern.h"
#include "wire/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_LIMIT_MAX 10000u

enum parameter {
    PARAM_EVENT_TYPE,
    PARAM_SINCE,
    PARAM_LAST_EVENT_ID,
    PARAM_POLICY,
    PARAM_SNAPSHOT,
    PARAM_NAMED,
    PARAM_FORMAT,
    PARAM_LIMIT,
    PARAM_DURABILITY,
    PARAM_COUNT
};

#define AT(door) (1u << (door))
static const struct {
    const char *name;
    unsigned doors; /* where it may be used */
} parameters[PARAM_COUNT] = {
    {"event_type", AT(QUERY_DOOR_SSE) | AT(QUERY_DOOR_WS) | AT(QUERY_DOOR_HISTORY)},
    {"since", AT(QUERY_DOOR_SSE) | AT(QUERY_DOOR_WS) | AT(QUERY_DOOR_HISTORY)},
    {"lastEventId", AT(QUERY_DOOR_SSE)},
    {"policy", AT(QUERY_DOOR_SSE) | AT(QUERY_DOOR_WS)},
    {"snapshot", AT(QUERY_DOOR_SSE) | AT(QUERY_DOOR_WS)},
    {"named", AT(QUERY_DOOR_SSE)},
    {"format", AT(QUERY_DOOR_SSE) | AT(QUERY_DOOR_WS) | AT(QUERY_DOOR_HISTORY)},
    {"limit", AT(QUERY_DOOR_HISTORY)},
    {"durability", AT(QUERY_DOOR_PUBLISH)},
};

/* One run over a query string: what was given so far, and where complaints go. */
struct parse {
    enum query_door door;
    size_t max_patterns;
    struct stream_query *q;
    unsigned seen; /* bit set over enum parameter */
    enum reject_reason *reason;
    char *detail;
    size_t detail_size;
};

static nhub_err complain(struct parse *p, enum reject_reason reason, const char *format, ...)
    NHUB_PRINTF(3, 4);
static nhub_err complain(struct parse *p, enum reject_reason reason, const char *format, ...)
{
    va_list args;

    *p->reason = reason;
    if (p->detail_size > 0) {
        va_start(args, format);
        vsnprintf(p->detail, p->detail_size, format, args);
        va_end(args);
    }
    return NHUB_EINVAL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

nhub_err query_decode(const char *text, size_t len, bool plus_is_blank, char *out, size_t *out_len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '%') {
            const int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
            const int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return NHUB_EINVAL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == '\0') {
            return NHUB_EINVAL;
        }
        out[n++] = c;
    }
    if (!utf8_valid(out, n)) {
        return NHUB_EINVAL;
    }
    out[n] = '\0';
    *out_len = n;
    return NHUB_OK;
}

static bool equals(const char *value, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(value, word, len) == 0;
}

static char *copy_of(const char *value, size_t len)
{
    char *copy = malloc(len + 1);

    if (copy) {
        memcpy(copy, value, len);
        copy[len] = '\0';
    }
    return copy;
}

static nhub_err add_pattern(struct parse *p, const char *value, size_t len)
{
    struct stream_query *q = p->q;
    char **grown = NULL;
    char *copy = NULL;

    if (pattern_check(value, len) != NHUB_OK) {
        return complain(p, REJECT_BAD_PATTERN,
                        "event_type must be 1 to %d bytes of UTF-8 without control characters",
                        PATTERN_MAX);
    }
    if (q->pattern_count == p->max_patterns) {
        return complain(p, REJECT_TOO_MANY_PATTERNS, "more than %zu event_type parameters",
                        p->max_patterns);
    }
    copy = copy_of(value, len);
    grown = copy ? realloc(q->patterns, (q->pattern_count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(copy);
        return NHUB_ENOMEM;
    }
    q->patterns = grown;
    q->patterns[q->pattern_count++] = copy;
    return NHUB_OK;
}

/* Replaces what was asked for earlier: the callers know whose word counts. */
static nhub_err set_since(struct stream_query *q, const char *value, size_t len)
{
    struct since since;
    char *copy = NULL;

    if (since_parse(value, len, &since) != NHUB_OK) {
        return NHUB_EINVAL;
    }
    copy = copy_of(value, len);
    if (!copy) {
        return NHUB_ENOMEM;
    }
    free(q->since_text);
    q->since_text = copy;
    q->since = since;
    return NHUB_OK;
}

static nhub_err take_since(struct parse *p, enum parameter which, const char *value, size_t len)
{
    nhub_err err;

    if (which == PARAM_SINCE && (p->seen & (1u << PARAM_LAST_EVENT_ID))) {
        struct since ignored; /* lastEventId wins, but a wrong since is still told */

        err = since_parse(value, len, &ignored);
    } else {
        err = set_since(p->q, value, len);
    }
    if (err == NHUB_EINVAL) {
        return complain(p, REJECT_BAD_SINCE,
                        "%s must be a position (epoch-seq), a number, an RFC 3339 time, earliest "
                        "or latest",
                        parameters[which].name);
    }
    return err;
}

static nhub_err take_bool(struct parse *p, enum parameter which, const char *value, size_t len,
                          bool *out)
{
    if (equals(value, len, "true") || equals(value, len, "1")) {
        *out = true;
    } else if (equals(value, len, "false") || equals(value, len, "0")) {
        *out = false;
    } else {
        return complain(p, REJECT_BAD_QUERY, "%s must be true or false", parameters[which].name);
    }
    return NHUB_OK;
}

nhub_err query_policy(const char *value, size_t len, int *out)
{
    static const char *const words[] = {"disconnect", "drop_oldest", "latest"};

    for (int i = 0; i < 3; i++) {
        if (equals(value, len, words[i])) {
            *out = i; /* the order of enum slow_policy */
            return NHUB_OK;
        }
    }
    return NHUB_EINVAL;
}

static nhub_err take_limit(struct parse *p, const char *value, size_t len)
{
    uint64_t limit = 0;

    for (size_t i = 0; i < len && limit <= HISTORY_LIMIT_MAX; i++) {
        if (value[i] < '0' || value[i] > '9') {
            limit = 0;
            break;
        }
        limit = limit * 10 + (uint64_t)(value[i] - '0');
    }
    if (limit == 0 || limit > HISTORY_LIMIT_MAX) {
        return complain(p, REJECT_BAD_QUERY, "limit must be a number from 1 to %u",
                        HISTORY_LIMIT_MAX);
    }
    p->q->limit = limit;
    return NHUB_OK;
}

static nhub_err take_value(struct parse *p, enum parameter which, const char *value, size_t len)
{
    struct stream_query *q = p->q;

    switch (which) {
    case PARAM_EVENT_TYPE:
        return add_pattern(p, value, len);
    case PARAM_SINCE:
    case PARAM_LAST_EVENT_ID:
        return take_since(p, which, value, len);
    case PARAM_POLICY:
        if (query_policy(value, len, &q->policy) != NHUB_OK) {
            return complain(p, REJECT_BAD_QUERY,
                            "policy must be disconnect, drop_oldest or latest");
        }
        q->has_policy = true;
        return NHUB_OK;
    case PARAM_SNAPSHOT:
        return take_bool(p, which, value, len, &q->snapshot);
    case PARAM_NAMED:
        return take_bool(p, which, value, len, &q->named);
    case PARAM_FORMAT:
        q->cloudevents = equals(value, len, "cloudevents");
        if (!q->cloudevents && !equals(value, len, "json")) {
            return complain(p, REJECT_BAD_QUERY, "format must be json or cloudevents");
        }
        return NHUB_OK;
    case PARAM_LIMIT:
        return take_limit(p, value, len);
    case PARAM_DURABILITY:
        if (durability_parse(value, &q->durability) != NHUB_OK) {
            return complain(p, REJECT_BAD_QUERY, "durability must be memory, journaled or synced");
        }
        return NHUB_OK;
    case PARAM_COUNT:
        break;
    }
    return NHUB_EINVAL;
}

/* name and value are decoded and NUL-terminated. */
static nhub_err take_parameter(struct parse *p, const char *name, size_t name_len,
                               const char *value, size_t value_len)
{
    for (unsigned i = 0; i < PARAM_COUNT; i++) {
        if (!equals(name, name_len, parameters[i].name)) {
            continue;
        }
        if (!(parameters[i].doors & AT(p->door))) {
            return complain(p, REJECT_BAD_QUERY, "parameter \"%s\" is not for this address",
                            parameters[i].name);
        }
        if (i != PARAM_EVENT_TYPE && (p->seen & (1u << i))) {
            return complain(p, REJECT_BAD_QUERY, "parameter \"%s\" is given twice",
                            parameters[i].name);
        }
        p->seen |= 1u << i;
        return take_value(p, (enum parameter)i, value, value_len);
    }
    return complain(p, REJECT_BAD_QUERY, "unknown parameter \"%.64s\"", name);
}

/* One "name=value"; scratch has room for len + 2 bytes. */
static nhub_err take_pair(struct parse *p, const char *pair, size_t len, char *scratch)
{
    const char *equal_sign = memchr(pair, '=', len);
    const size_t raw_name_len = equal_sign ? (size_t)(equal_sign - pair) : len;
    const size_t raw_value_len = equal_sign ? len - raw_name_len - 1 : 0;
    char *value = NULL;
    size_t name_len = 0;
    size_t value_len = 0;

    if (query_decode(pair, raw_name_len, true, scratch, &name_len) != NHUB_OK) {
        return complain(p, REJECT_BAD_QUERY,
                        "the query holds a bad %%XX sequence or text that is "
                        "not UTF-8");
    }
    value = scratch + name_len + 1;
    if (query_decode(equal_sign ? equal_sign + 1 : "", raw_value_len, true, value, &value_len) !=
        NHUB_OK) {
        return complain(p, REJECT_BAD_QUERY,
                        "the value of \"%.64s\" holds a bad %%XX sequence or text that is not "
                        "UTF-8",
                        scratch);
    }
    return take_parameter(p, scratch, name_len, value, value_len);
}

nhub_err query_parse(const char *text, size_t len, enum query_door door, size_t max_patterns,
                     struct stream_query *out, enum reject_reason *reason, char *detail,
                     size_t detail_size)
{
    struct parse p = {.door = door,
                      .max_patterns = max_patterns,
                      .q = out,
                      .reason = reason,
                      .detail = detail,
                      .detail_size = detail_size};
    nhub_err err = NHUB_OK;
    char *scratch = NULL;

    memset(out, 0, sizeof *out);
    if (len == 0) {
        return NHUB_OK;
    }
    scratch = malloc(len + 2);
    for (size_t at = 0; scratch && at < len && err == NHUB_OK;) {
        const char *amp = memchr(text + at, '&', len - at);
        const size_t pair_len = amp ? (size_t)(amp - text) - at : len - at;

        if (pair_len > 0) {
            err = take_pair(&p, text + at, pair_len, scratch);
        }
        at += pair_len + 1;
    }
    if (!scratch || err == NHUB_ENOMEM) {
        complain(&p, REJECT_OVERLOADED, "out of memory");
        err = NHUB_ENOMEM;
    }
    free(scratch);
    return err;
}

nhub_err query_set_last_event_id(struct stream_query *q, const char *value, size_t len)
{
    const nhub_err err = set_since(q, value, len);

    if (err == NHUB_EINVAL) {
        q->has_foreign_id = true;
        q->since = (struct since){.kind = SINCE_NONE};
        return NHUB_OK;
    }
    return err;
}

void query_free(struct stream_query *q)
{
    for (size_t i = 0; i < q->pattern_count; i++) {
        free(q->patterns[i]);
    }
    free(q->patterns);
    free(q->since_text);
    memset(q, 0, sizeof *q);
}
