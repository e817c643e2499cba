/*
 * problem: statuses, titles and the JSON of refusals.
 */
#include "gateway/protocols/problem.h"

#include <string.h>

static const struct row {
    unsigned status;
    unsigned retry_after_s;
    const char *title;
} rows[REJECT_REASON_COUNT] = {
    [REJECT_BAD_JSON] = {400, 0, "The body is not valid JSON"},
    [REJECT_NOT_AN_OBJECT] = {400, 0, "An event must be a JSON object"},
    [REJECT_MISSING_FIELD] = {400, 0, "A required field is missing"},
    [REJECT_WRONG_TYPE] = {400, 0, "A field has the wrong type"},
    [REJECT_BAD_VALUE] = {400, 0, "A field has a value that is not allowed"},
    [REJECT_RESERVED_TYPE] = {400, 0, "The event type is reserved for the hub"},
    [REJECT_NONFINITE] = {400, 0, "NaN and Infinity are not JSON"},
    [REJECT_TOO_BIG] = {413, 0, "Too many bytes"},
    [REJECT_TOO_MANY_EVENTS] = {413, 0, "Too many events in one request"},
    [REJECT_NO_EVENTS] = {400, 0, "There is no event in the request"},
    [REJECT_DUPLICATE_CONFLICT] = {422, 0, "Another event was published under this id"},
    [REJECT_CONTENT_TYPE] = {415, 0, "This content type is not understood"},
    [REJECT_NOT_FOUND] = {404, 0, "There is nothing at this address"},
    [REJECT_METHOD] = {405, 0, "This address does not know the method"},
    [REJECT_BAD_QUERY] = {400, 0, "The query is not valid"},
    [REJECT_TOO_MANY_PATTERNS] = {400, 0, "Too many patterns"},
    [REJECT_BAD_PATTERN] = {400, 0, "A pattern is not valid"},
    [REJECT_BAD_SINCE] = {400, 0, "The position is not valid"},
    [REJECT_FOREIGN_ORIGIN] = {403, 0, "Pages of other sites may not use this server"},
    [REJECT_BAD_UPGRADE] = {400, 0, "The WebSocket handshake is not valid"},
    [REJECT_HEAD_TIMEOUT] = {408, 0, "The head of the request did not arrive in time"},
    [REJECT_BODY_TIMEOUT] = {408, 0, "The body of the request did not arrive in time"},
    [REJECT_HEAD_TOO_LARGE] = {431, 0, "The head of the request is too large"},
    [REJECT_BAD_REQUEST] = {400, 0, "The request is not valid"},
    [REJECT_TOO_MANY_CONNECTIONS] = {503, 5, "Too many connections"},
    [REJECT_HUB_UNAVAILABLE] = {503, 1, "The hub is not available"},
    [REJECT_OUTCOME_UNKNOWN] = {503, 1, "The hub did not answer in time"},
    [REJECT_DURABILITY] = {503, 5, "The hub cannot give the wanted durability"},
    /* No Retry-After: the event is out, and a repeat without an id would be a second one. */
    [REJECT_DURABILITY_LOST] = {503, 0, "The event was sent, but could not be kept"},
    [REJECT_OVERLOADED] = {503, 1, "The gateway is overloaded"},
    [REJECT_DRAINING] = {503, 1, "The gateway is shutting down"},
    [REJECT_UNKNOWN_OP] = {400, 0, "Unknown operation"},
    [REJECT_BAD_MESSAGE] = {400, 0, "The message is not valid"},
    [REJECT_SINCE_ON_LIVE] = {409, 0, "A position can only be given before the first subscription"},
    [REJECT_BINARY] = {415, 0, "Binary messages are not understood"},
    [REJECT_BAD_UTF8] = {400, 0, "The text is not UTF-8"},
    [REJECT_CANCELLED] = {409, 0, "The request was cancelled by a later one"},
    [REJECT_UNKNOWN_GROUP] = {404, 0, "There is no such consumer group"},
    [REJECT_GROUP_EXISTS] = {409, 0, "The group exists with other settings"},
    [REJECT_BAD_GROUP_NAME] = {400, 0, "The name of the group is not valid"},
    [REJECT_TOO_MANY_GROUPS] = {409, 0, "There are too many groups"},
    [REJECT_TOO_MANY_WAITING] = {429, 1, "Too many fetches of the group wait already"},
    [REJECT_JOURNAL] = {503, 1, "The hub's journal is not available"},
    [REJECT_UNKNOWN_CLIENT] = {404, 0, "There is no such client"},
};

static const struct row *row_of(enum reject_reason reason)
{
    const unsigned i = (unsigned)reason;

    return i < REJECT_REASON_COUNT && rows[i].title ? &rows[i] : &rows[REJECT_BAD_REQUEST];
}

unsigned problem_status(enum reject_reason reason)
{
    return row_of(reason)->status;
}

const char *problem_title(enum reject_reason reason)
{
    return row_of(reason)->title;
}

unsigned problem_retry_after_s(enum reject_reason reason)
{
    return row_of(reason)->retry_after_s;
}

static void add_number(struct buf *out, const char *key, uint64_t value)
{
    buf_add_str(out, key);
    buf_add_u64(out, value);
}

void problem_render(const struct problem *p, struct buf *out)
{
    const char *code = p->code ? p->code : reject_reason_code(p->reason);

    /* A URN, because the type of a problem must be a URI that stays the same on every server. */
    buf_add_str(out, "{\"type\":\"urn:notifyhub:problem:");
    buf_add_str(out, code);
    buf_add_str(out, "\",\"title\":");
    buf_add_json_cstr(out, problem_title(p->reason));
    add_number(out, ",\"status\":", p->status ? p->status : problem_status(p->reason));
    buf_add_str(out, ",\"detail\":");
    buf_add_json_cstr(out, p->detail ? p->detail : problem_title(p->reason));
    buf_add_str(out, ",\"code\":");
    buf_add_json_cstr(out, code);
    if (p->field) {
        buf_add_str(out, ",\"field\":");
        buf_add_json_cstr(out, p->field);
    }
    if (p->has_offset) {
        add_number(out, ",\"offset\":", p->offset);
    }
    if (p->has_index) {
        add_number(out, ",\"index\":", p->index);
    }
    if (p->has_line) {
        add_number(out, ",\"line\":", p->line);
    }
    if (p->epoch) {
        add_number(out, ",\"first_seq\":", p->first_seq);
        add_number(out, ",\"last_seq\":", p->last_seq);
        buf_add_str(out, ",\"epoch\":");
        buf_add_json_cstr(out, p->epoch);
    }
    buf_add_str(out, "}\n");
}
