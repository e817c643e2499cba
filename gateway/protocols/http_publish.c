/*
 * http_publish: POST /events.
 *
 * The request is suspended before its job goes to the hub link, and the link's done() wakes it: a
 * job has exactly one owner at any time, and is freed with its request.
 */
#include "gateway/protocols/http_publish.h"

#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_body.h"
#include "gateway/protocols/query.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CE_HEADERS_MAX 64

struct publish {
    struct http_request *request;
    struct publish_job job;
    struct body_events events;
    enum body_form form;
    int durability; /* enum durability; DURABILITY_DEFAULT = the publisher did not say */
};

static void free_publish(void *state)
{
    struct publish *p = state;

    body_events_free(&p->events);
    free(p->job.results);
    free(p);
}

/* ---- the head ---- */

static void read_query(struct http_request *r, struct publish *p)
{
    struct stream_query query;
    enum reject_reason reason = REJECT_BAD_QUERY;
    char detail[160] = "";
    const nhub_err err = query_parse(r->query, strlen(r->query), QUERY_DOOR_PUBLISH, 0, &query,
                                     &reason, detail, sizeof detail);

    if (err != NHUB_OK) {
        http_refuse(r, reason, "%s", detail);
    } else {
        p->durability = query.durability;
    }
    query_free(&query);
}

void http_publish_admit(struct http_request *r)
{
    const char *type = http_request_header(r, "Content-Type");
    const char *key = http_request_header(r, "Idempotency-Key");
    size_t key_len = key ? strlen(key) : 0;
    struct publish *p = malloc(sizeof *p); /* calloc() goes round the thread's own free lists */

    if (!p) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return;
    }
    *p = (struct publish){.request = r};
    r->state = p;
    r->free_state = free_publish;
    r->body_limit = (size_t)r->gateway->settings->gateway.max_body_bytes;
    p->form = media_body_form(type, type ? strlen(type) : 0,
                              http_request_header(r, "ce-specversion") != NULL);
    if (p->form == BODY_UNSUPPORTED) {
        http_answer_header(r, "Accept-Post",
                           "application/json, application/x-ndjson, application/cloudevents+json, "
                           "application/cloudevents-batch+json");
        http_refuse(r, REJECT_CONTENT_TYPE, "content type \"%.80s\" is not understood here", type);
        return;
    }
    if (key && !body_key_valid(&key, &key_len)) {
        http_refuse(r, REJECT_BAD_VALUE,
                    "Idempotency-Key must be 1 to %d bytes of UTF-8 without control characters",
                    BODY_KEY_MAX);
        return;
    }
    read_query(r, p);
}

/* ---- the answer ---- */

static void answer_single(const struct publish *p, struct buf *out)
{
    const struct publish_job *job = &p->job;

    buf_add_str(out, "{\"seq\":");
    buf_add_u64(out, job->first_seq);
    buf_add_str(out, ",\"epoch\":\"");
    buf_add_str(out, job->epoch);
    buf_add_char(out, '"');
    /* The event that is kept of two duplicates is the first one: the correlation_id that was filled
     * in here belongs to none. */
    if (job->duplicates == 0 || !p->events.filled_correlation) {
        buf_add_str(out, ",\"correlation_id\":");
        buf_add(out, p->events.correlation.data, p->events.correlation.len);
    }
}

static void answer_batch(const struct publish *p, struct buf *out)
{
    const struct publish_job *job = &p->job;

    buf_add_str(out, "{\"accepted\":");
    buf_add_u64(out, job->accepted);
    if (job->accepted > 0 || job->is_repeat) {
        buf_add_str(out, ",\"first_seq\":");
        buf_add_u64(out, job->first_seq);
        buf_add_str(out, ",\"last_seq\":");
        buf_add_u64(out, job->last_seq);
    }
    buf_add_str(out, ",\"epoch\":\"");
    buf_add_str(out, job->epoch);
    buf_add_char(out, '"');
    if (job->duplicates > 0) {
        buf_add_str(out, ",\"duplicates\":");
        buf_add_u64(out, job->duplicates);
    }
    if (job->results) {
        buf_add_str(out, ",\"results\":");
        buf_add(out, job->results, job->results_len);
    } else if (job->count == 1 && job->duplicates == 1) {
        /* A batch of one shares its request with others, so its list is not the hub's. */
        buf_add_str(out, ",\"results\":[{\"index\":0,\"seq\":");
        buf_add_u64(out, job->first_seq);
        buf_add_str(out, ",\"duplicate\":true}]");
    }
}

static void answer_accepted(struct http_request *r, struct publish *p)
{
    struct gateway_counters *counters = &r->gateway->counters;
    struct buf out;

    buf_init(&out);
    if (buf_reserve(&out, 256) == NHUB_OK) {
        if (p->events.is_batch) {
            answer_batch(p, &out);
        } else {
            answer_single(p, &out);
        }
        buf_add_str(&out, ",\"durability\":\"");
        buf_add_str(&out, durability_name(p->job.durability_got));
        buf_add_char(&out, '"');
        if (p->job.is_repeat) {
            buf_add_str(&out, ",\"duplicate\":true");
        }
        if (p->events.ignored.len > 0) {
            buf_add_str(&out, ",\"ignored\":");
            buf_add(&out, p->events.ignored.data, p->events.ignored.len);
        }
        buf_add_str(&out, "}\n");
    }
    counter_add(&counters->published_total[GATEWAY_DOOR_HTTP], p->job.accepted);
    counter_add(&counters->duplicates_total, p->job.duplicates);
    http_answer_buf(r, 202, "application/json", &out);
}

/* The hub's words for what this door knows under its own. */
static enum reject_reason reason_of(const char *code)
{
    return strcmp(code, "shutting_down") == 0 ? REJECT_HUB_UNAVAILABLE
                                              : reject_reason_from_code(code);
}

static void answer_refused(struct http_request *r, const struct publish *p)
{
    const struct publish_job *job = &p->job;
    const struct problem problem = {.reason = reason_of(job->code),
                                    .detail = job->error,
                                    .has_index = p->events.is_batch,
                                    .index = job->index};

    http_refuse_problem(r, &problem);
}

static void answer_lost(struct http_request *r, const struct publish *p)
{
    const struct publish_job *job = &p->job;
    char detail[420];

    NHUB_IGNORE(
        snprintf(detail, sizeof detail,
                 "numbered and sent to subscribers, but the disk failed before it was kept "
                 "as asked: it may be lost when the hub stops, and sending it again without "
                 "an id would make a second one (%s)",
                 job->error) < 0);
    http_refuse_problem(r, &(struct problem){.reason = REJECT_DURABILITY_LOST,
                                             .detail = detail,
                                             .epoch = job->epoch,
                                             .first_seq = job->first_seq,
                                             .last_seq = job->last_seq});
}

static void resumed(struct http_request *r)
{
    struct publish *p = r->state;

    switch (p->job.outcome) {
    case PUBLISH_ACCEPTED:
        answer_accepted(r, p);
        break;
    case PUBLISH_REFUSED:
        answer_refused(r, p);
        break;
    case PUBLISH_UNAVAILABLE:
        http_refuse(r, REJECT_HUB_UNAVAILABLE, "nothing was published: the hub is away");
        break;
    case PUBLISH_UNKNOWN:
        http_refuse(r, REJECT_OUTCOME_UNKNOWN,
                    "the event may or may not have been published; with an id or an "
                    "Idempotency-Key it can safely be sent again");
        break;
    case PUBLISH_LOST:
        answer_lost(r, p);
        break;
    case PUBLISH_OVERLOADED:
        http_refuse(r, REJECT_OVERLOADED, "nothing was published: too many publishes wait already");
        break;
    }
}

/* publish_job.done, in the link's thread. */
static void done(struct publish_job *job)
{
    struct publish *p = job->context;

    http_request_wake(p->request);
}

/* ---- the body ---- */

struct ce_headers {
    struct cloudevent_header list[CE_HEADERS_MAX];
    char names[CE_HEADERS_MAX][32]; /* CloudEvents allow 20 characters and ask for no more */
    size_t count;
    bool is_too_long;
};

static bool collect_ce(void *context, const char *name, const char *value)
{
    struct ce_headers *headers = context;
    const size_t len = strlen(name);
    char *copy = NULL;

    if (strncasecmp(name, "ce-", 3) != 0) {
        return true;
    }
    if (headers->count == CE_HEADERS_MAX || len - 3 >= sizeof headers->names[0]) {
        headers->is_too_long = true;
        return false;
    }
    copy = headers->names[headers->count];
    for (size_t i = 3; i <= len; i++) { /* with the NUL */
        const char c = name[i];

        copy[i - 3] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    headers->list[headers->count++] = (struct cloudevent_header){.name = copy, .value = value};
    return true;
}

static void refuse_body(struct http_request *r, const struct body_refusal *refusal)
{
    http_refuse_problem(r, &(struct problem){.reason = refusal->reason,
                                             .detail = refusal->detail,
                                             .field = refusal->field,
                                             .has_offset = refusal->has_offset,
                                             .has_index = refusal->has_index,
                                             .has_line = refusal->has_line,
                                             .offset = refusal->offset,
                                             .index = refusal->index,
                                             .line = refusal->line});
}

static bool read_events(struct http_request *r, struct publish *p)
{
    const struct settings *settings = r->gateway->settings;
    struct body_context context = {
        .form = p->form,
        .max_event_bytes = (size_t)settings->gateway.max_event_bytes,
        .stats_event = settings->hub.stats_event,
        .now_us = clock_wall_us(),
        .idempotency_key = http_request_header(r, "Idempotency-Key"),
        .traceparent = http_request_header(r, "traceparent"),
        .tracestate = http_request_header(r, "tracestate"),
    };
    struct body_refusal refusal;
    struct ce_headers ce;
    nhub_err err;

    if (p->form == BODY_CE_BINARY) {
        ce.count = 0;
        ce.is_too_long = false;
        http_request_each_header(r, collect_ce, &ce);
        if (ce.is_too_long) {
            http_refuse(r, REJECT_BAD_VALUE, "too many ce- headers, or one with a name too long");
            return false;
        }
        context.content_type = http_request_header(r, "Content-Type");
        context.ce_headers = ce.list;
        context.ce_header_count = ce.count;
    }
    err = body_read(&context, r->body.data ? r->body.data : "", r->body.len, &p->events, &refusal);
    if (err == NHUB_EPROTO) {
        refuse_body(r, &refusal);
    } else if (err != NHUB_OK) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
    }
    return err == NHUB_OK;
}

void http_publish_run(struct http_request *r)
{
    struct publish *p = r->state;

    if (!read_events(r, p)) {
        return;
    }
    p->job = (struct publish_job){.events = p->events.events,
                                  .count = p->events.count,
                                  .durability = p->durability,
                                  .done = done,
                                  .context = p};
    if (!http_request_suspend(r, HTTP_WAIT_ANSWER, resumed)) {
        http_refuse(r, REJECT_DRAINING, "nothing was published: the gateway stops");
        return;
    }
    buf_fini(&r->body); /* the lines are made; many may wait */
    http_request_publish(r, &p->job);
}
