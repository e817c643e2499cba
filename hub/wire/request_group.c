/*
 * request_group: reading the fields of requests on consumer groups.
 */
#include "wire/request_group.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "wire/request_private.h"

bool request_group_name_valid(const char *name, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";

    return len >= 1 && len <= GROUP_NAME_MAX && strlen(name) == len && strspn(name, allowed) == len;
}

/* An optional integer from low to high. */
static nhub_err read_range(struct complaint *c, const char *name, uint32_t low, uint32_t high,
                           uint32_t *out)
{
    uint64_t value = *out;
    char text[64];
    const nhub_err err = request_read_u64(c, name, &value);

    if (err != NHUB_OK || !request_member(c->request, name)) {
        return err;
    }
    if (value < low || value > high) {
        (void)snprintf(text, sizeof text, "must be from %" PRIu32 " to %" PRIu32, low, high);
        return request_refuse_field(c, "bad_value", name, text);
    }
    *out = (uint32_t)value;
    return NHUB_OK;
}

nhub_err request_read_group_name(struct complaint *c)
{
    const json_t *name = request_member(c->request, "group");

    if (!name) {
        return request_refuse_field(c, "missing_field", "group", "is missing");
    }
    if (!json_is_string(name)) {
        return request_refuse_field(c, "wrong_type", "group", "must be a string");
    }
    if (!request_group_name_valid(json_string_value(name), json_string_length(name))) {
        return request_refuse_field(c, "bad_group_name", "group",
                                    "must have 1 to 64 of A-Z a-z 0-9 _ . -");
    }
    c->request->group.name = json_string_value(name);
    return NHUB_OK;
}

static nhub_err check_pattern_bytes(struct complaint *c)
{
    size_t bytes = 0;

    for (size_t i = 0; i < c->request->pattern_count; i++) {
        bytes += c->request->patterns[i].len;
    }
    if (bytes > GROUP_PATTERN_BYTES_MAX) {
        return request_refuse_field(c, "too_many_patterns", "event_type",
                                    "has more than 65536 bytes of patterns");
    }
    return NHUB_OK;
}

nhub_err request_read_group_create(struct complaint *c)
{
    struct request_group *g = &c->request->group;
    nhub_err err = request_read_group_name(c);

    g->visibility_ms = GROUP_VISIBILITY_MS;
    g->max_attempts = GROUP_ATTEMPTS;
    if (err == NHUB_OK) {
        err = request_read_patterns(c, "event_type", true);
    }
    if (err == NHUB_OK) {
        err = check_pattern_bytes(c);
    }
    if (err == NHUB_OK) {
        err = request_read_since(c);
    }
    if (err == NHUB_OK) {
        err = read_range(c, "visibility_ms", GROUP_VISIBILITY_MIN_MS, GROUP_VISIBILITY_MAX_MS,
                         &g->visibility_ms);
    }
    if (err == NHUB_OK) {
        err = read_range(c, "max_attempts", 0, GROUP_ATTEMPTS_MAX, &g->max_attempts);
    }
    if (err == NHUB_OK) {
        err = request_read_bool(c, "ordered", &g->ordered);
    }
    return err == NHUB_OK ? request_read_bool(c, "hold", &g->hold) : err;
}

/* ---- fetch ---- */

/* The name turns up in answers and logs: no control characters. */
static bool is_member_name(const char *text, size_t len)
{
    if (len < 1 || len > GROUP_MEMBER_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static nhub_err read_member_name(struct complaint *c)
{
    const json_t *name = request_member(c->request, "member");

    if (!name) {
        return request_refuse_field(c, "missing_field", "member", "is missing");
    }
    if (!json_is_string(name)) {
        return request_refuse_field(c, "wrong_type", "member", "must be a string");
    }
    if (!is_member_name(json_string_value(name), json_string_length(name))) {
        return request_refuse_field(c, "bad_value", "member",
                                    "must have 1 to 128 bytes without control characters");
    }
    c->request->group.member = json_string_value(name);
    return NHUB_OK;
}

nhub_err request_read_fetch(struct complaint *c)
{
    struct request_group *g = &c->request->group;
    nhub_err err = request_read_group_name(c);

    g->max = 1;
    g->max_bytes = GROUP_FETCH_BYTES_MAX;
    if (err == NHUB_OK) {
        err = read_member_name(c);
    }
    if (err == NHUB_OK) {
        err = read_range(c, "max", 1, GROUP_FETCH_MAX, &g->max);
    }
    if (err == NHUB_OK) {
        err = read_range(c, "max_bytes", 1, GROUP_FETCH_BYTES_MAX, &g->max_bytes);
    }
    return err == NHUB_OK ? read_range(c, "wait_ms", 0, GROUP_FETCH_WAIT_MAX_MS, &g->wait_ms) : err;
}

/* ---- ack, nack, extend ---- */

static nhub_err read_delivery(struct complaint *c, const json_t *value, size_t index)
{
    char field[32];

    (void)snprintf(field, sizeof field, "deliveries[%zu]", index);
    if (!json_is_string(value)) {
        return request_refuse_field(c, "wrong_type", field, "must be a string");
    }
    if (delivery_parse(json_string_value(value), json_string_length(value),
                       &c->request->group.deliveries[index]) != NHUB_OK) {
        return request_refuse_field(c, "bad_value", field,
                                    "must be position.attempt, as fetch has answered");
    }
    return NHUB_OK;
}

static nhub_err read_deliveries(struct complaint *c)
{
    struct request_group *g = &c->request->group;
    const json_t *array = request_member(c->request, "deliveries");
    const size_t count = json_array_size(array);

    if (!array && g->gap_reason) {
        return NHUB_OK; /* there was nothing but the gap */
    }
    if (!array) {
        return request_refuse_field(c, "missing_field", "deliveries", "is missing");
    }
    if (!json_is_array(array)) {
        return request_refuse_field(c, "wrong_type", "deliveries", "must be an array of strings");
    }
    if (count < 1 || count > GROUP_DELIVERIES_MAX) {
        return request_refuse_field(c, "bad_value", "deliveries", "must have 1 to 1000 entries");
    }
    g->deliveries = calloc(count, sizeof *g->deliveries);
    if (!g->deliveries) {
        return request_no_memory(c);
    }
    for (size_t i = 0; i < count; i++) {
        const nhub_err err = read_delivery(c, json_array_get(array, i), i);

        if (err != NHUB_OK) {
            return err;
        }
    }
    g->delivery_count = count;
    return NHUB_OK;
}

nhub_err request_read_ack(struct complaint *c)
{
    const nhub_err err = request_read_group_name(c);

    return err == NHUB_OK ? read_deliveries(c) : err;
}

static bool is_position(const json_t *value, struct position *out)
{
    return json_is_string(value) &&
           position_parse(json_string_value(value), json_string_length(value), out) == NHUB_OK;
}

/* As the answer to fetch had it. */
static nhub_err read_gap(struct complaint *c)
{
    struct request_group *g = &c->request->group;
    const json_t *gap = request_member(c->request, "gap");
    const json_t *reason = json_object_get(gap, "reason");

    if (!gap) {
        return NHUB_OK;
    }
    if (!json_is_object(gap)) {
        return request_refuse_field(c, "wrong_type", "gap", "must be an object");
    }
    if (!is_position(json_object_get(gap, "from"), &g->gap_from) ||
        !is_position(json_object_get(gap, "to"), &g->gap_to) || !json_is_string(reason)) {
        return request_refuse_field(c, "bad_value", "gap",
                                    "must have from, to and reason, as fetch has answered");
    }
    if (strcmp(g->gap_from.epoch, g->gap_to.epoch) == 0 && g->gap_from.seq >= g->gap_to.seq) {
        return request_refuse_field(c, "bad_value", "gap", "must end behind its beginning");
    }
    g->gap_reason = json_string_value(reason);
    return NHUB_OK;
}

nhub_err request_read_nack(struct complaint *c)
{
    struct request_group *g = &c->request->group;
    nhub_err err = request_read_group_name(c);

    if (err == NHUB_OK) {
        err = read_gap(c);
    }
    if (err == NHUB_OK) {
        err = read_deliveries(c);
    }
    if (err == NHUB_OK) {
        err = read_range(c, "delay_ms", 0, GROUP_DELAY_MAX_MS, &g->delay_ms);
    }
    return err == NHUB_OK ? request_read_bool(c, "release", &g->release) : err;
}

nhub_err request_read_extend(struct complaint *c)
{
    struct request_group *g = &c->request->group;
    const nhub_err err = request_read_ack(c);

    return err == NHUB_OK ? read_range(c, "visibility_ms", GROUP_VISIBILITY_MIN_MS,
                                       GROUP_VISIBILITY_MAX_MS, &g->visibility_ms)
                          : err;
}
