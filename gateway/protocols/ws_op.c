/* ws_op: one scan finds the members; a table says which op may have which. */
#include "gateway/protocols/ws_op.h"

#include "gateway/protocols/group_text.h"
#include "gateway/protocols/query.h"
#include "wire/pattern.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum member {
    OP,
    ID,
    EVENT_TYPES,
    SINCE,
    POLICY,
    SNAPSHOT,
    EVENT,
    DURABILITY,
    GROUP,
    MEMBER,
    CREDIT,
    DELIVERIES,
    DELAY,
    VISIBILITY,
    MEMBERS
};

static const struct json_key member_keys[MEMBERS] = {
    [OP] = JSON_KEY("op"),
    [ID] = JSON_KEY("id"),
    [EVENT_TYPES] = JSON_KEY("event_type"),
    [SINCE] = JSON_KEY("since"),
    [POLICY] = JSON_KEY("policy"),
    [SNAPSHOT] = JSON_KEY("snapshot"),
    [EVENT] = JSON_KEY("event"),
    [DURABILITY] = JSON_KEY("durability"),
    [GROUP] = JSON_KEY("group"),
    [MEMBER] = JSON_KEY("member"),
    [CREDIT] = JSON_KEY("credit"),
    [DELIVERIES] = JSON_KEY("deliveries"),
    [DELAY] = JSON_KEY("delay_ms"),
    [VISIBILITY] = JSON_KEY("visibility_ms"),
};

#define BIT(member) (1U << (member))

static const struct {
    const char *name;
    unsigned members;
} ops[] = {
    [WS_OP_SUBSCRIBE] = {"subscribe", BIT(OP) | BIT(ID) | BIT(EVENT_TYPES) | BIT(SINCE) |
                                          BIT(POLICY) | BIT(SNAPSHOT)},
    [WS_OP_UNSUBSCRIBE] = {"unsubscribe", BIT(OP) | BIT(ID) | BIT(EVENT_TYPES)},
    [WS_OP_PUBLISH] = {"publish", BIT(OP) | BIT(ID) | BIT(EVENT) | BIT(DURABILITY)},
    [WS_OP_PING] = {"ping", BIT(OP) | BIT(ID)},
    [WS_OP_CONSUME] = {"consume", BIT(OP) | BIT(ID) | BIT(GROUP) | BIT(MEMBER) | BIT(CREDIT)},
    [WS_OP_ACK] = {"ack", BIT(OP) | BIT(ID) | BIT(GROUP) | BIT(DELIVERIES)},
    [WS_OP_NACK] = {"nack", BIT(OP) | BIT(ID) | BIT(GROUP) | BIT(DELIVERIES) | BIT(DELAY)},
    [WS_OP_EXTEND] = {"extend", BIT(OP) | BIT(ID) | BIT(GROUP) | BIT(DELIVERIES) | BIT(VISIBILITY)},
};

/* NaN passes here, so that an event with it gets the event's own error; so it does in the arrays of
 * other members, where it is no string. */
static const struct json_scan_options lenient = {.allow_nonfinite = true};

static nhub_err refuse(struct ws_op_error *error, enum reject_reason reason, const char *detail)
{
    error->reason = reason;
    (void)snprintf(error->detail, sizeof error->detail, "%s", detail);
    return NHUB_EPROTO;
}

static nhub_err refuse_member(struct ws_op_error *error, enum reject_reason reason, int member,
                              const char *what)
{
    error->reason = reason;
    (void)snprintf(error->detail, sizeof error->detail, "member \"%s\" %s",
                   member_keys[member].name, what);
    return NHUB_EPROTO;
}

/* A short string member into out (with a NUL). */
static nhub_err read_text(const struct json_span *f, int member, char *out, size_t size,
                          struct ws_op_error *error)
{
    size_t len = 0;

    if (f[member].kind != JSON_STRING) {
        return refuse_member(error, REJECT_WRONG_TYPE, member, "must be a string");
    }
    if (json_decode_string(&f[member], out, size - 1, &len) != NHUB_OK ||
        memchr(out, '\0', len) != NULL) {
        return refuse_member(error, REJECT_BAD_VALUE, member, "has a value that is not allowed");
    }
    out[len] = '\0';
    return NHUB_OK;
}

static bool is_present(const struct json_span *f, int member)
{
    return f[member].kind != JSON_ABSENT;
}

static nhub_err read_id(const struct json_span *f, struct ws_op *out, struct ws_op_error *error)
{
    if (!is_present(f, ID)) {
        return NHUB_OK;
    }
    if (f[ID].kind == JSON_OBJECT || f[ID].kind == JSON_ARRAY || f[ID].kind == JSON_NONFINITE) {
        return refuse_member(error, REJECT_WRONG_TYPE, ID, "must be a string, a number or null");
    }
    if (f[ID].len > WS_OP_ID_MAX) {
        return refuse_member(error, REJECT_BAD_VALUE, ID, "is longer than 256 bytes");
    }
    out->id = f[ID].p;
    out->id_len = f[ID].len;
    return NHUB_OK;
}

static nhub_err read_op(const struct json_span *f, struct ws_op *out, struct ws_op_error *error)
{
    char name[32];

    if (!is_present(f, OP)) {
        return refuse(error, REJECT_MISSING_FIELD, "member \"op\" is missing");
    }
    if (f[OP].kind != JSON_STRING) {
        return refuse_member(error, REJECT_WRONG_TYPE, OP, "must be a string");
    }
    if (read_text(f, OP, name, sizeof name, error) == NHUB_OK) {
        for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
            if (strcmp(name, ops[i].name) == 0) {
                out->kind = (enum ws_op_kind)i;
                return NHUB_OK;
            }
        }
    }
    return refuse(error, REJECT_UNKNOWN_OP,
                  "unknown op; there are subscribe, unsubscribe, publish, ping, consume, ack, nack "
                  "and extend");
}

static nhub_err check_members(const struct json_span *f, const struct ws_op *op,
                              struct ws_op_error *error)
{
    for (int i = 0; i < MEMBERS; i++) {
        if (is_present(f, i) && (ops[op->kind].members & BIT(i)) == 0) {
            return refuse_member(error, REJECT_BAD_MESSAGE, i, "does not belong to this op");
        }
    }
    return NHUB_OK;
}

static nhub_err add_pattern(struct ws_op *out, const struct json_span *span,
                            struct ws_op_error *error)
{
    char text[PATTERN_MAX + 1];
    size_t len = 0;
    char *copy = NULL;

    if (span->kind != JSON_STRING) {
        return refuse_member(error, REJECT_WRONG_TYPE, EVENT_TYPES,
                             "must be a string or an array of strings");
    }
    if (json_decode_string(span, text, PATTERN_MAX, &len) != NHUB_OK ||
        pattern_check(text, len) != NHUB_OK) {
        return refuse(error, REJECT_BAD_PATTERN,
                      "a pattern has 1 to 255 bytes and no control characters");
    }
    copy = malloc(len + 1);
    if (!copy) {
        return NHUB_ENOMEM;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    out->patterns[out->pattern_count++] = copy;
    return NHUB_OK;
}

static nhub_err read_patterns(const struct json_span *f, size_t max_patterns, struct ws_op *out,
                              struct ws_op_error *error)
{
    struct json_report report;
    struct json_span element;
    size_t pos = 0;
    nhub_err err = NHUB_OK;

    if (!is_present(f, EVENT_TYPES)) {
        return NHUB_OK;
    }
    out->patterns = calloc(max_patterns + 1, sizeof *out->patterns);
    if (!out->patterns) {
        return NHUB_ENOMEM;
    }
    if (f[EVENT_TYPES].kind != JSON_ARRAY) {
        return add_pattern(out, &f[EVENT_TYPES], error);
    }
    while (err == NHUB_OK && json_scan_element(f[EVENT_TYPES].p, f[EVENT_TYPES].len, &pos, &lenient,
                                               &element, &report) == NHUB_OK) {
        if (out->pattern_count == max_patterns) {
            return refuse(error, REJECT_TOO_MANY_PATTERNS, "too many patterns");
        }
        err = add_pattern(out, &element, error);
    }
    if (err == NHUB_OK && out->pattern_count == 0) {
        err = refuse_member(error, REJECT_BAD_VALUE, EVENT_TYPES,
                            "is empty; leave it out to mean everything");
    }
    return err;
}

static nhub_err read_since(const struct json_span *f, struct ws_op *out, struct ws_op_error *error)
{
    char text[64];
    size_t len = 0;

    if (!is_present(f, SINCE)) {
        return NHUB_OK;
    }
    if (f[SINCE].kind == JSON_NUMBER && f[SINCE].len < sizeof text) {
        len = f[SINCE].len; /* a seq, written as a number */
        memcpy(text, f[SINCE].p, len);
    } else {
        if (read_text(f, SINCE, text, sizeof text, error) != NHUB_OK) {
            return NHUB_EPROTO;
        }
        len = strlen(text);
    }
    if (since_parse(text, len, &out->since) != NHUB_OK) {
        return refuse(error, REJECT_BAD_SINCE,
                      "since is a position, a seq, an RFC 3339 time, earliest or latest");
    }
    return NHUB_OK;
}

static nhub_err read_policy(const struct json_span *f, struct ws_op *out, struct ws_op_error *error)
{
    char text[32];

    if (!is_present(f, POLICY)) {
        return NHUB_OK;
    }
    if (f[POLICY].kind != JSON_STRING) {
        return refuse_member(error, REJECT_WRONG_TYPE, POLICY, "must be a string");
    }
    if (read_text(f, POLICY, text, sizeof text, error) != NHUB_OK ||
        query_policy(text, strlen(text), &out->policy) != NHUB_OK) {
        return refuse_member(error, REJECT_BAD_VALUE, POLICY,
                             "is one of disconnect, drop_oldest, latest");
    }
    out->has_policy = true;
    return NHUB_OK;
}

static nhub_err read_subscribe(const struct json_span *f, struct ws_op *out,
                               struct ws_op_error *error)
{
    nhub_err err = read_since(f, out, error);

    if (err == NHUB_OK) {
        err = read_policy(f, out, error);
    }
    if (err == NHUB_OK && is_present(f, SNAPSHOT)) {
        if (f[SNAPSHOT].kind != JSON_TRUE && f[SNAPSHOT].kind != JSON_FALSE) {
            return refuse_member(error, REJECT_WRONG_TYPE, SNAPSHOT, "must be true or false");
        }
        out->snapshot = f[SNAPSHOT].kind == JSON_TRUE;
    }
    return err;
}

static nhub_err read_publish(const struct json_span *f, struct ws_op *out,
                             struct ws_op_error *error)
{
    char text[32];

    if (!is_present(f, EVENT)) {
        return refuse(error, REJECT_MISSING_FIELD, "member \"event\" is missing");
    }
    out->event = f[EVENT];
    if (!is_present(f, DURABILITY)) {
        return NHUB_OK;
    }
    if (f[DURABILITY].kind != JSON_STRING) {
        return refuse_member(error, REJECT_WRONG_TYPE, DURABILITY, "must be a string");
    }
    if (read_text(f, DURABILITY, text, sizeof text, error) != NHUB_OK ||
        durability_parse(text, &out->durability) != NHUB_OK) {
        return refuse_member(error, REJECT_BAD_VALUE, DURABILITY,
                             "is one of memory, journaled, synced");
    }
    return NHUB_OK;
}

static nhub_err read_group(const struct json_span *f, struct ws_op *out, struct ws_op_error *error)
{
    if (!is_present(f, GROUP)) {
        return refuse(error, REJECT_MISSING_FIELD, "member \"group\" is missing");
    }
    if (f[GROUP].kind != JSON_STRING) {
        return refuse_member(error, REJECT_WRONG_TYPE, GROUP, "must be a string");
    }
    if (read_text(f, GROUP, out->group, sizeof out->group, error) != NHUB_OK ||
        !request_group_name_valid(out->group, strlen(out->group))) {
        return refuse(error, REJECT_BAD_GROUP_NAME,
                      "a group's name has 1 to 64 of A-Z a-z 0-9 _ . and -");
    }
    return NHUB_OK;
}

/* A number from min to max. */
static nhub_err read_number(const struct json_span *f, int member, uint64_t min, uint64_t max,
                            uint64_t *out, struct ws_op_error *error)
{
    if (f[member].kind != JSON_NUMBER) {
        return refuse_member(error, REJECT_WRONG_TYPE, member, "must be a number");
    }
    if (json_span_u64(&f[member], out) != NHUB_OK || *out < min || *out > max) {
        return refuse_member(error, REJECT_BAD_VALUE, member, "is out of range");
    }
    return NHUB_OK;
}

static nhub_err read_consume(const struct json_span *f, struct ws_op *out,
                             struct ws_op_error *error)
{
    uint64_t credit = 0;
    nhub_err err = NHUB_OK;

    if (!is_present(f, CREDIT)) {
        return refuse(error, REJECT_MISSING_FIELD, "member \"credit\" is missing");
    }
    err = read_number(f, CREDIT, 0, GROUP_FETCH_MAX, &credit, error);
    out->credit = (uint32_t)credit;
    if (err != NHUB_OK || !is_present(f, MEMBER)) {
        return err;
    }
    err = read_text(f, MEMBER, out->member, sizeof out->member, error);
    if (err == NHUB_OK && !group_member_valid(out->member, strlen(out->member))) {
        err = refuse_member(error, REJECT_BAD_VALUE, MEMBER,
                            "has 1 to 128 bytes and no control characters");
    }
    return err;
}

static nhub_err read_deliveries(const struct json_span *f, struct ws_op *out,
                                struct ws_op_error *error)
{
    struct json_report report;
    struct json_span element;
    size_t pos = 0;
    size_t count = 0;

    if (!is_present(f, DELIVERIES)) {
        return refuse(error, REJECT_MISSING_FIELD, "member \"deliveries\" is missing");
    }
    if (f[DELIVERIES].kind != JSON_ARRAY) {
        return refuse_member(error, REJECT_WRONG_TYPE, DELIVERIES, "must be an array of strings");
    }
    while (json_scan_element(f[DELIVERIES].p, f[DELIVERIES].len, &pos, &lenient, &element,
                             &report) == NHUB_OK) {
        struct delivery d;

        if (element.kind != JSON_STRING) {
            return refuse_member(error, REJECT_WRONG_TYPE, DELIVERIES,
                                 "must be an array of strings");
        }
        if (delivery_parse(element.p + 1, element.len - 2, &d) != NHUB_OK) {
            return refuse_member(error, REJECT_BAD_VALUE, DELIVERIES,
                                 "holds what is no delivery (position.attempt)");
        }
        if (++count > GROUP_DELIVERIES_MAX) {
            return refuse_member(error, REJECT_BAD_VALUE, DELIVERIES, "has more than 1000");
        }
    }
    out->deliveries = f[DELIVERIES];
    return NHUB_OK;
}

static nhub_err read_change(const struct json_span *f, struct ws_op *out, struct ws_op_error *error)
{
    uint64_t value = 0;
    nhub_err err = read_deliveries(f, out, error);

    if (err == NHUB_OK && is_present(f, DELAY)) {
        err = read_number(f, DELAY, 0, GROUP_DELAY_MAX_MS, &value, error);
        out->delay_ms = f[DELAY];
    }
    if (err == NHUB_OK && is_present(f, VISIBILITY)) {
        err = read_number(f, VISIBILITY, GROUP_VISIBILITY_MIN_MS, GROUP_VISIBILITY_MAX_MS, &value,
                          error);
        out->visibility_ms = f[VISIBILITY];
    }
    return err;
}

static nhub_err read_rest(const struct json_span *f, struct ws_op *out, struct ws_op_error *error)
{
    nhub_err err = NHUB_OK;

    switch (out->kind) {
    case WS_OP_SUBSCRIBE:
        return read_subscribe(f, out, error);
    case WS_OP_PUBLISH:
        return read_publish(f, out, error);
    case WS_OP_CONSUME:
        err = read_group(f, out, error);
        return err == NHUB_OK ? read_consume(f, out, error) : err;
    case WS_OP_ACK:
    case WS_OP_NACK:
    case WS_OP_EXTEND:
        err = read_group(f, out, error);
        return err == NHUB_OK ? read_change(f, out, error) : err;
    case WS_OP_UNSUBSCRIBE:
    case WS_OP_PING:
        break;
    }
    return err;
}

static nhub_err scan(const char *text, size_t len, struct json_span *f, struct ws_op_error *error)
{
    struct json_report report = {0};

    if (json_scan_object(text, len, member_keys, MEMBERS, &lenient, f, &report) != NHUB_OK) {
        error->reason = REJECT_BAD_JSON;
        (void)snprintf(error->detail, sizeof error->detail, "%s at byte %zu",
                       report.error ? report.error : "not a JSON object", report.error_offset);
        return NHUB_EPROTO;
    }
    return report.unknown == 0
               ? NHUB_OK
               : refuse(error, REJECT_BAD_MESSAGE, "the message has a member that no op knows");
}

nhub_err ws_op_parse(const char *text, size_t len, size_t max_patterns, struct ws_op *out,
                     struct ws_op_error *error)
{
    struct json_span f[MEMBERS];
    nhub_err err = NHUB_OK;

    memset(out, 0, sizeof *out);
    memset(f, 0, sizeof f);
    *error = (struct ws_op_error){.reason = REJECT_BAD_MESSAGE};
    err = scan(text, len, f, error);
    if (err != NHUB_OK && error->reason == REJECT_BAD_JSON) {
        return err;
    }
    if (err != NHUB_OK) {
        struct ws_op_error ignored;

        NHUB_IGNORE(read_id(f, out, &ignored)); /* only to name the request in the answer */
        return err;
    }
    err = read_id(f, out, error);
    if (err == NHUB_OK) {
        err = read_op(f, out, error);
    }
    if (err == NHUB_OK) {
        err = check_members(f, out, error);
    }
    if (err == NHUB_OK) {
        err = read_patterns(f, max_patterns, out, error);
    }
    return err == NHUB_OK ? read_rest(f, out, error) : err;
}

void ws_op_free(struct ws_op *op)
{
    for (size_t i = 0; i < op->pattern_count; i++) {
        free(op->patterns[i]);
    }
    free(op->patterns);
    op->patterns = NULL;
    op->pattern_count = 0;
}
