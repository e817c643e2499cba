/*
 * Reading requests: the envelope first, so that an error can be answered with its request_id, then
 * the fields of the one action.
 */
#include "wire/request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "wire/pattern.h"
#include "wire/request_private.h"
#include "wire/request_publish.h"

static const char *const message_names[] = {"REQ", "REQ_NO_REPLY", "RESPONSE", "NOTIF", "HB"};

enum message_type message_type_parse(const void *bytes, size_t len)
{
    for (int i = 0; i < MESSAGE_UNKNOWN; i++) {
        if (strlen(message_names[i]) == len && memcmp(message_names[i], bytes, len) == 0) {
            return (enum message_type)i;
        }
    }
    return MESSAGE_UNKNOWN;
}

const char *message_type_name(enum message_type type)
{
    return (unsigned)type < MESSAGE_UNKNOWN ? message_names[type] : "UNKNOWN";
}

const char *durability_name(int durability)
{
    switch (durability) {
    case DURABILITY_MEMORY:
        return "memory";
    case DURABILITY_JOURNALED:
        return "journaled";
    case DURABILITY_SYNCED:
        return "synced";
    default:
        return "default";
    }
}

nhub_err durability_parse(const char *text, int *out)
{
    for (int i = DURABILITY_MEMORY; i <= DURABILITY_SYNCED; i++) {
        if (strcmp(text, durability_name(i)) == 0) {
            *out = i;
            return NHUB_OK;
        }
    }
    return NHUB_EINVAL;
}

nhub_err request_refuse(struct complaint *c, const char *code, const char *text)
{
    c->request->error_code = code;
    buf_reset(c->text);
    buf_add_str(c->text, text);
    return NHUB_EPROTO;
}

nhub_err request_refuse_field(struct complaint *c, const char *code, const char *field,
                              const char *text)
{
    c->request->error_code = code;
    buf_reset(c->text);
    buf_printf(c->text, "%s %s", field, text);
    return NHUB_EPROTO;
}

nhub_err request_no_memory(struct complaint *c)
{
    NHUB_IGNORE(request_refuse(c, NULL, "out of memory")); /* the code is ENOMEM here */
    return NHUB_ENOMEM;
}

json_t *request_member(const struct request *r, const char *name)
{
    json_t *value = json_object_get(r->json, name);

    return json_is_null(value) ? NULL : value;
}

nhub_err request_read_u64(struct complaint *c, const char *name, uint64_t *out)
{
    const json_t *value = request_member(c->request, name);

    if (!value) {
        return NHUB_OK;
    }
    if (!json_is_integer(value)) {
        return request_refuse_field(c, "wrong_type", name, "must be an integer");
    }
    if (json_integer_value(value) < 0) {
        return request_refuse_field(c, "bad_value", name, "must not be negative");
    }
    *out = (uint64_t)json_integer_value(value);
    return NHUB_OK;
}

nhub_err request_read_bool(struct complaint *c, const char *name, bool *out)
{
    const json_t *value = request_member(c->request, name);

    if (value && !json_is_boolean(value)) {
        return request_refuse_field(c, "wrong_type", name, "must be true or false");
    }
    if (value) {
        *out = json_is_true(value);
    }
    return NHUB_OK;
}

/* ---- the fields of each action ---- */

static nhub_err read_publish(struct complaint *c)
{
    struct request *r = c->request;
    const json_t *durability = request_member(r, "durability");
    const json_t *acks = request_member(r, "acks");

    if (durability && !json_is_string(durability)) {
        return request_refuse_field(c, "wrong_type", "durability", "must be a string");
    }
    if (durability && durability_parse(json_string_value(durability), &r->durability) != NHUB_OK) {
        return request_refuse_field(c, "bad_value", "durability",
                                    "must be \"memory\", \"journaled\" or \"synced\"");
    }
    const nhub_err err = request_read_bool(c, "atomic", &r->atomic);

    if (err != NHUB_OK) {
        return err;
    }
    if (acks && !json_is_string(acks)) {
        return request_refuse_field(c, "wrong_type", "acks", "must be a string");
    }
    r->batched_acks = acks && strcmp(json_string_value(acks), "batched") == 0;
    if (acks && !r->batched_acks && strcmp(json_string_value(acks), "each") != 0) {
        return request_refuse_field(c, "bad_value", "acks", "must be \"each\" or \"batched\"");
    }
    return NHUB_OK;
}

nhub_err request_read_since(struct complaint *c)
{
    struct since *out = &c->request->since;
    const json_t *since = request_member(c->request, "since");

    if (json_is_integer(since)) {
        out->kind = SINCE_SEQ;
        return request_read_u64(c, "since", &out->position.seq);
    }
    if (since && !json_is_string(since)) {
        return request_refuse_field(c, "wrong_type", "since", "must be a string or an integer");
    }
    if (since && since_parse(json_string_value(since), json_string_length(since), out) != NHUB_OK) {
        return request_refuse_field(c, "bad_value", "since",
                                    "must be a position, digits, an RFC 3339 time, \"earliest\" or "
                                    "\"latest\"");
    }
    return NHUB_OK;
}

static nhub_err read_pattern(struct complaint *c, const char *name, const json_t *value,
                             bool is_pattern)
{
    struct request *r = c->request;
    struct request_pattern *p = &r->patterns[r->pattern_count];

    if (!json_is_string(value)) {
        return request_refuse_field(c, "wrong_type", name,
                                    "must be a string or an array of strings");
    }
    p->text = json_string_value(value);
    p->len = json_string_length(value);
    if (is_pattern && pattern_check(p->text, p->len) != NHUB_OK) {
        return request_refuse_field(c, "bad_value", name,
                                    "must have 1 to 255 bytes without control characters");
    }
    r->pattern_count++;
    return NHUB_OK;
}

nhub_err request_read_patterns(struct complaint *c, const char *name, bool is_pattern)
{
    struct request *r = c->request;
    const json_t *value = request_member(r, name);
    const size_t count = json_is_array(value) ? json_array_size(value) : value ? 1 : 0;

    if (count > REQUEST_PATTERNS_MAX) {
        return request_refuse_field(c, "too_many_patterns", name, "has more than 1024 entries");
    }
    if (count == 0) {
        return NHUB_OK;
    }
    r->patterns = calloc(count, sizeof *r->patterns);
    if (!r->patterns) {
        return request_no_memory(c);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        const nhub_err err = read_pattern(c, name, item, is_pattern);

        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

static nhub_err read_history(struct complaint *c)
{
    nhub_err err = request_read_since(c);

    if (err == NHUB_OK) {
        err = request_read_u64(c, "limit", &c->request->limit);
    }
    if (c->request->limit > REQUEST_LIMIT_MAX) {
        c->request->limit = REQUEST_LIMIT_MAX;
    }
    return err == NHUB_OK ? request_read_patterns(c, "event_type", true) : err;
}

static nhub_err read_count(struct complaint *c)
{
    struct request *r = c->request;
    static const char *const needed[] = {"epoch", "from", "to"};
    nhub_err err = NHUB_OK;

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!request_member(r, needed[i])) {
            return request_refuse_field(c, "missing_field", needed[i], "is missing");
        }
    }
    const json_t *epoch = request_member(r, "epoch");

    if (!json_is_string(epoch)) {
        return request_refuse_field(c, "wrong_type", "epoch", "must be a string");
    }
    if (!epoch_valid(json_string_value(epoch), json_string_length(epoch))) {
        return request_refuse_field(c, "bad_value", "epoch",
                                    "must be 8 of a-z 2-7, the first a letter");
    }
    memcpy(r->from.epoch, json_string_value(epoch), EPOCH_LEN);
    memcpy(r->to.epoch, json_string_value(epoch), EPOCH_LEN);
    err = request_read_u64(c, "from", &r->from.seq);
    if (err == NHUB_OK) {
        err = request_read_u64(c, "to", &r->to.seq);
    }
    if (err == NHUB_OK && r->from.seq > r->to.seq) {
        err = request_refuse_field(c, "bad_value", "from", "must not be greater than to");
    }
    return err == NHUB_OK ? request_read_patterns(c, "prefixes", false) : err;
}

static const struct action_row {
    const char *name;
    enum request_action action;
    nhub_err (*read)(struct complaint *c); /* NULL: no fields */
} actions[] = {
    {"health", ACTION_HEALTH, NULL},
    {"info", ACTION_INFO, NULL},
    {"terminate", ACTION_TERMINATE, NULL},
    {"publish", ACTION_PUBLISH, read_publish},
    {"position", ACTION_POSITION, request_read_since},
    {"history", ACTION_HISTORY, read_history},
    {"count", ACTION_COUNT, read_count},
    {"stats", ACTION_STATS, NULL},
    {"group_create", ACTION_GROUP_CREATE, request_read_group_create},
    {"group_delete", ACTION_GROUP_DELETE, request_read_group_name},
    {"groups", ACTION_GROUPS, NULL},
    {"group", ACTION_GROUP, request_read_group_name},
    {"fetch", ACTION_FETCH, request_read_fetch},
    {"ack", ACTION_ACK, request_read_ack},
    {"nack", ACTION_NACK, request_read_nack},
    {"extend", ACTION_EXTEND, request_read_extend},
};

/* ---- the envelope ---- */

static nhub_err read_request_id(struct complaint *c)
{
    json_t *id = json_object_get(c->request->json, "request_id");

    if (id && json_dumpb(id, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT) > REQUEST_ID_MAX) {
        return request_refuse_field(c, "bad_value", "request_id",
                                    "is longer than 256 bytes of JSON");
    }
    c->request->request_id = id;
    return NHUB_OK;
}

/* What Python calls false: the original asks for the action in these words. */
static bool is_nothing(const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        return json_string_length(value) == 0;
    case JSON_OBJECT:
        return json_object_size(value) == 0;
    case JSON_ARRAY:
        return json_array_size(value) == 0;
    case JSON_INTEGER:
    case JSON_REAL:
        return json_number_value(value) == 0.0;
    case JSON_TRUE:
        return false;
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    return true;
}

/* An action that is no string is answered by its JSON text, which takes its place. */
static nhub_err name_strange_action(struct complaint *c, const json_t *action)
{
    struct request *r = c->request;
    char *text = json_dumps(action, JSON_ENCODE_ANY | JSON_COMPACT);
    json_t *name = text ? json_string(text) : NULL;

    free(text);
    if (!name || json_object_set_new(r->json, "action", name) != 0) {
        return request_no_memory(c);
    }
    r->action_name = json_string_value(name);
    return NHUB_OK;
}

static nhub_err read_action(struct complaint *c)
{
    struct request *r = c->request;
    const json_t *action = json_object_get(r->json, "action");

    if (is_nothing(action)) {
        return request_refuse(c, NULL, "Missing required field: action");
    }
    if (!json_is_string(action)) {
        return name_strange_action(c, action);
    }
    r->action_name = json_string_value(action);
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strlen(actions[i].name) == json_string_length(action) &&
            strcmp(actions[i].name, r->action_name) == 0) {
            r->action = actions[i].action;
            return actions[i].read ? actions[i].read(c) : NHUB_OK;
        }
    }
    return NHUB_OK;
}

/* True when the text was a publish request in its usual form; *out_err: NHUB_OK, NHUB_ENOMEM. */
static bool parse_publish(struct complaint *c, const char *text, size_t len, nhub_err *out_err)
{
    struct request *r = c->request;
    struct request_publish publish;

    if (!request_publish_scan(text, len, &publish)) {
        return false;
    }
    r->action = ACTION_PUBLISH;
    r->action_name = "publish";
    r->durability = publish.durability;
    r->atomic = publish.atomic;
    r->batched_acks = publish.batched_acks;
    r->json = publish.has_id ? json_integer((json_int_t)publish.id) : NULL;
    r->request_id = r->json;
    *out_err = publish.has_id && !r->json ? request_no_memory(c) : NHUB_OK;
    return true;
}

nhub_err request_parse(const char *text, size_t len, struct request *out, struct buf *error_text)
{
    struct complaint c = {out, error_text};
    json_error_t error;
    nhub_err err = NHUB_OK;

    *out = (struct request){.action = ACTION_UNKNOWN,
                            .action_name = "",
                            .durability = DURABILITY_DEFAULT,
                            .atomic = true};
    if (parse_publish(&c, text, len, &err)) {
        return err;
    }
    if (len > REQUEST_TEXT_MAX) {
        return request_refuse(&c, "too_big", "Request is larger than 1 MiB");
    }
    out->json = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (!out->json) {
        const bool no_memory = json_error_code(&error) == json_error_out_of_memory;

        err = request_refuse(&c, NULL, no_memory ? "out of memory" : "Invalid JSON format");
        return no_memory ? NHUB_ENOMEM : err;
    }
    if (!json_is_object(out->json)) {
        return request_refuse(&c, "not_an_object", "Request must be a JSON object");
    }
    err = read_request_id(&c);
    return err == NHUB_OK ? read_action(&c) : err;
}

void request_free(struct request *r)
{
    json_decref(r->json);
    free(r->patterns);
    free(r->group.deliveries);
    *r = (struct request){.action = ACTION_UNKNOWN, .action_name = ""};
}

void request_keep_id(struct request *r)
{
    const enum request_action action = r->action;
    json_t *id = json_incref(r->request_id);

    request_free(r);
    r->action = action;
    r->json = id;
    r->request_id = id;
}
