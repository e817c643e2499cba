/*
 * http_groups: a row for each request says what its body may hold; the members go to the hub as
 * they are.
 */
#include "gateway/protocols/http_groups.h"

#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_media.h"
#include "gateway/protocols/http_params.h"
#include "gateway/protocols/http_routes.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX 262144 /* a thousand deliveries with room to spare */

enum member {
    EVENT_TYPES,
    SINCE,
    VISIBILITY,
    MAX_ATTEMPTS,
    ORDERED,
    HOLD,
    DELIVERIES,
    DELAY,
    MEMBERS
};

static const struct json_key member_keys[MEMBERS] = {
    [EVENT_TYPES] = JSON_KEY("event_type"),   [SINCE] = JSON_KEY("since"),
    [VISIBILITY] = JSON_KEY("visibility_ms"), [MAX_ATTEMPTS] = JSON_KEY("max_attempts"),
    [ORDERED] = JSON_KEY("ordered"),          [HOLD] = JSON_KEY("hold"),
    [DELIVERIES] = JSON_KEY("deliveries"),    [DELAY] = JSON_KEY("delay_ms"),
};

#define BIT(member) (1U << (member))

enum op { OP_LIST, OP_SHOW, OP_PUT, OP_DELETE, OP_ACK, OP_NACK, OP_EXTEND };

static const struct {
    const char *action;
    unsigned members; /* of the body */
} ops[] = {
    [OP_LIST] = {"groups", 0},
    [OP_SHOW] = {"group", 0},
    [OP_PUT] = {"group_create", BIT(EVENT_TYPES) | BIT(SINCE) | BIT(VISIBILITY) |
                                    BIT(MAX_ATTEMPTS) | BIT(ORDERED) | BIT(HOLD)},
    [OP_DELETE] = {"group_delete", 0},
    [OP_ACK] = {"ack", BIT(DELIVERIES)},
    [OP_NACK] = {"nack", BIT(DELIVERIES) | BIT(DELAY)},
    [OP_EXTEND] = {"extend", BIT(DELIVERIES) | BIT(VISIBILITY)},
};

struct call {
    struct http_request *request;
    struct query_job job;
    struct buf text;
    enum op op;
};

static void free_call(void *state)
{
    struct call *c = state;

    buf_fini(&c->text);
    buf_fini(&c->job.answer);
    free(c);
}

void http_group_admit(struct http_request *r)
{
    const char *type = http_request_header(r, "Content-Type");
    const enum body_form form = media_body_form(type, type ? strlen(type) : 0, false);

    r->body_limit = BODY_MAX;
    if (form != BODY_JSON && form != BODY_SNIFF) {
        http_refuse(r, REJECT_CONTENT_TYPE, "content type \"%.80s\" is not understood here", type);
    }
}

bool http_group_name(struct http_request *r, char out[GROUP_NAME_MAX + 1])
{
    size_t len = 0;
    const char *name = http_route_word(r, &len);
    const bool fits = name && len <= GROUP_NAME_MAX;

    if (fits) {
        memcpy(out, name, len);
        out[len] = '\0';
    }
    if (!fits || !request_group_name_valid(out, len)) {
        http_refuse(r, REJECT_BAD_GROUP_NAME, "a group's name has 1 to %d of A-Z a-z 0-9 _ . and -",
                    GROUP_NAME_MAX);
        return false;
    }
    return true;
}

void http_group_refuse(struct http_request *r, const struct query_job *job)
{
    struct group_answer answer;
    enum reject_reason reason = REJECT_HUB_UNAVAILABLE;
    const char *detail = NULL;
    char code[32];
    char error[200];

    if (job->err == NHUB_EREFUSED &&
        group_answer_read(job->answer.data, job->answer.len, &answer) == NHUB_OK) {
        reason = group_answer_refusal(&answer, code, sizeof code, error, sizeof error);
        http_refuse(r, reason, "%s", error);
        return;
    }
    reason = group_failure(job, &detail);
    if (reason == REJECT_HUB_UNAVAILABLE && atomic_load(&r->gateway->draining)) {
        reason = REJECT_DRAINING;
        detail = "the gateway stops; nothing was changed";
    }
    http_refuse(r, reason, "%s", detail);
}

/* ---- the answer ---- */

/* The status of a good answer; acknowledged deliveries are counted. */
static unsigned work_off(struct http_request *r, const struct call *c)
{
    struct group_answer answer;

    if (group_answer_read(c->job.answer.data, c->job.answer.len, &answer) != NHUB_OK) {
        return 200;
    }
    if (c->op == OP_ACK) {
        counter_add(&r->gateway->counters.group_acks_total, group_answer_count(&answer));
    }
    return c->op == OP_PUT && answer.created ? 201 : 200;
}

static void resumed(struct http_request *r)
{
    struct call *c = r->state;
    const struct buf *answer = &c->job.answer;
    const bool has_failed = c->op >= OP_ACK;
    struct buf body;

    if (c->job.err != NHUB_OK) {
        http_group_refuse(r, &c->job);
        return;
    }
    http_answer_header(r, "Cache-Control", "no-store");
    if (c->op == OP_DELETE) {
        http_answer_empty(r, 204);
        return;
    }
    buf_init(&body);
    if (group_answer_copy(answer->data, answer->len, has_failed, &body) != NHUB_OK) {
        buf_fini(&body);
        http_refuse(r, REJECT_HUB_UNAVAILABLE, "the hub's answer is not understood");
        return;
    }
    buf_add_char(&body, '\n');
    http_answer_buf(r, work_off(r, c), "application/json", &body);
}

/* query_job.done, in the link's thread. */
static void done(struct query_job *job)
{
    struct call *c = job->context;

    http_request_wake(c->request);
}

/* ---- the request ---- */

static void refuse_json(struct http_request *r, const struct json_report *report)
{
    const struct problem problem = {
        .reason = report->not_object ? REJECT_NOT_AN_OBJECT : REJECT_BAD_JSON,
        .detail = report->not_object ? "the body must be a JSON object" : report->error,
        .has_offset = !report->not_object,
        .offset = report->error_offset};

    http_refuse_problem(r, &problem);
}

struct unknown {
    const struct json_span *first;
    struct json_span room;
};

static void note_unknown(void *context, const struct json_span *name)
{
    struct unknown *unknown = context;

    if (!unknown->first) {
        unknown->room = *name;
        unknown->first = &unknown->room;
    }
}

/* The body's members behind the request's text. False: refused. */
static bool add_body(struct http_request *r, struct call *c)
{
    struct unknown unknown = {0};
    const struct json_scan_options options = {.unknown = note_unknown, .context = &unknown};
    struct json_span f[MEMBERS];
    struct json_report report = {0};

    if (r->body.len == 0) {
        return true; /* the same as {} */
    }
    if (json_scan_object(r->body.data, r->body.len, member_keys, MEMBERS, &options, f, &report) !=
        NHUB_OK) {
        refuse_json(r, &report);
        return false;
    }
    if (unknown.first) {
        http_refuse(r, REJECT_BAD_VALUE, "member %.*s is not known here",
                    (int)(unknown.room.len < 80 ? unknown.room.len : 80), unknown.room.p);
        return false;
    }
    for (int i = 0; i < MEMBERS; i++) {
        if (f[i].kind == JSON_ABSENT) {
            continue;
        }
        if ((ops[c->op].members & BIT(i)) == 0) {
            http_refuse(r, REJECT_BAD_VALUE, "member \"%s\" does not belong here",
                        member_keys[i].name);
            return false;
        }
        group_text_add(&c->text, member_keys[i].name, &f[i]);
    }
    return true;
}

static bool make_text(struct http_request *r, struct call *c)
{
    char group[GROUP_NAME_MAX + 1];

    if (!http_params_read(r, NULL, 0)) {
        return false;
    }
    if (c->op != OP_LIST && !http_group_name(r, group)) {
        return false;
    }
    group_text_open(&c->text, ops[c->op].action, c->op == OP_LIST ? NULL : group);
    if (ops[c->op].members != 0 && !add_body(r, c)) {
        return false;
    }
    if (c->text.failed) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return false;
    }
    return true;
}

static void start(struct http_request *r, enum op op)
{
    struct call *c = calloc(1, sizeof *c);

    if (!c) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return;
    }
    c->request = r;
    c->op = op;
    r->state = c;
    r->free_state = free_call;
    if (!make_text(r, c)) {
        return;
    }
    c->job = (struct query_job){
        .kind = QUERY_GROUP,
        .text = c->text.data,
        .text_len = c->text.len,
        .deadline_ms = clock_mono_ms() + (int64_t)r->gateway->settings->gateway.ack_timeout_ms,
        .done = done,
        .context = c};
    if (!http_request_suspend(r, HTTP_WAIT_ANSWER, resumed)) {
        http_refuse(r, REJECT_DRAINING, "nothing was changed: the gateway stops");
        return;
    }
    buf_fini(&r->body);
    hub_link_query(r->gateway->link, &c->job);
}

void http_groups_list_run(struct http_request *r)
{
    start(r, OP_LIST);
}

void http_group_show_run(struct http_request *r)
{
    start(r, OP_SHOW);
}

void http_group_put_run(struct http_request *r)
{
    start(r, OP_PUT);
}

void http_group_delete_run(struct http_request *r)
{
    start(r, OP_DELETE);
}

void http_group_ack_run(struct http_request *r)
{
    start(r, OP_ACK);
}

void http_group_nack_run(struct http_request *r)
{
    start(r, OP_NACK);
}

void http_group_extend_run(struct http_request *r)
{
    start(r, OP_EXTEND);
}
