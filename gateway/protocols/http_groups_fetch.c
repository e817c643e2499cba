/*
 * http_groups_fetch: POST /groups/{group}/fetch: a page of deliveries, at once or after a wait.
 *
 * The wait happens at the hub; here the request is suspended. Nothing is read from its connection
 * meanwhile, so whether the client is still there is looked at when the answer comes, and once more
 * when it was written: what did not reach anybody is given back without counting as an attempt.
 */
#include "base/clock.h"
#include "gateway/fanout/render.h"
#include "gateway/gateway.h"
#include "gateway/memory_ceiling.h"
#include "gateway/protocols/http_fetches.h"
#include "gateway/protocols/http_groups.h"
#include "gateway/protocols/http_params.h"
#include "gateway/protocols/http_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FETCH_BYTES_MAX (1024u * 1024u) /* lines of one answer; one event may be more */
#define EVENT_OVERHEAD  512             /* of an event in memory and in the answer */

enum { MAX, WAIT, MEMBER, FORMAT, PARAMS };

struct fetch {
    struct http_request *request;
    struct query_job job;
    struct http_waiting waiting;
    struct gateway *gateway;
    struct buf text;
    struct buf names;     /* of the deliveries in the answer, as JSON strings with commas */
    struct json_span gap; /* of the answer */
    char group[GROUP_NAME_MAX + 1];
    char member[GROUP_MEMBER_MAX + 1];
    uint64_t max, wait_ms;
    bool cloudevents;
    bool is_answered;
    bool is_too_much; /* all answers together are too large for memory */
};

static void drop_events(struct query_job *job)
{
    for (size_t i = 0; job->events && i < job->event_count; i++) {
        feed_event_unref(&job->events[i]);
    }
    free(job->events);
    job->events = NULL;
    job->event_count = 0;
}

/* ---- the answer ---- */

static bool is_gone(int fd)
{
    char byte;
    const ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* The names first: they are given back whatever happens to the rest.
 * False: the answer is not understood. */
static bool take_names(struct fetch *f, const struct group_answer *answer)
{
    struct group_delivery delivery;
    size_t pos = 0;
    size_t count = 0;
    nhub_err err = NHUB_OK;

    f->gap = answer->gap;
    while ((err = group_answer_delivery(answer, &pos, &delivery)) == NHUB_OK) {
        if (f->names.len > 0) {
            buf_add_char(&f->names, ',');
        }
        buf_add_json_cstr(&f->names, delivery.name);
        count++;
    }
    return err == NHUB_ENOTFOUND && count == f->job.event_count && !f->names.failed;
}

static void give_back(struct fetch *f)
{
    group_give_back(f->gateway->link, hub_link_query, f->group, &f->names, true, &f->gap);
    f->gap.kind = JSON_ABSENT;
}

static void free_fetch(void *state)
{
    struct fetch *f = state;
    struct group_answer answer;

    http_fetches_remove(f->gateway->fetches, &f->waiting);
    if (!f->is_answered && f->job.err == NHUB_OK && f->job.answer.len > 0 &&
        group_answer_read(f->job.answer.data, f->job.answer.len, &answer) == NHUB_OK) {
        NHUB_IGNORE(take_names(f, &answer)); /* the client had left before it could be answered */
    }
    if (!f->request->was_sent) {
        give_back(f);
    }
    drop_events(&f->job);
    buf_fini(&f->names);
    buf_fini(&f->text);
    buf_fini(&f->job.answer);
    free(f);
}

static void add_events(const struct fetch *f, const struct group_answer *answer, struct buf *out)
{
    struct group_delivery delivery;
    size_t pos = 0;

    buf_add_str(out, ",\"events\":[");
    for (size_t i = 0; i < f->job.event_count &&
                       group_answer_delivery(answer, &pos, &delivery) == NHUB_OK && !out->failed;
         i++) {
        buf_add_str(out, i > 0 ? ",{\"delivery\":" : "{\"delivery\":");
        buf_add_json_cstr(out, delivery.name);
        buf_add_str(out, ",\"attempt\":");
        buf_add_u64(out, delivery.id.attempt);
        buf_add_str(out, ",\"event\":");
        if (render_json(f->job.events[i], f->cloudevents, out) != NHUB_OK) {
            out->failed = true;
        }
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void answer_events(struct http_request *r, struct fetch *f,
                          const struct group_answer *answer)
{
    struct buf body;

    buf_init(&body);
    buf_add_str(&body, "{\"group\":");
    buf_add_json_cstr(&body, f->group);
    buf_add_str(&body, ",\"count\":");
    buf_add_u64(&body, f->job.event_count);
    add_events(f, answer, &body);
    if (answer->visibility_ms.kind == JSON_NUMBER) {
        group_text_add(&body, "visibility_ms", &answer->visibility_ms);
    }
    if (answer->gap.kind == JSON_OBJECT) {
        group_text_add(&body, "gap", &answer->gap);
    }
    buf_add_str(&body, "}\n");
    counter_add(&r->gateway->counters.group_deliveries_total, f->job.event_count);
    drop_events(&f->job);
    http_answer_header(r, "Cache-Control", "no-store");
    http_answer_buf(r, 200, "application/json", &body);
}

static void resumed(struct http_request *r)
{
    struct fetch *f = r->state;
    struct group_answer answer;

    f->is_answered = true;
    http_fetches_remove(r->gateway->fetches, &f->waiting);
    if (f->job.err != NHUB_OK) {
        http_group_refuse(r, &f->job);
    } else if (group_answer_read(f->job.answer.data, f->job.answer.len, &answer) != NHUB_OK ||
               !take_names(f, &answer)) {
        http_refuse(r, REJECT_HUB_UNAVAILABLE, "the hub's answer is not understood");
    } else if (is_gone(http_request_fd(r))) {
        r->hang_up = true;
    } else if (f->is_too_much) {
        http_refuse(r, REJECT_OVERLOADED, "too many answers are in memory");
    } else {
        answer_events(r, f, &answer);
        return;
    }
    give_back(f);
}

/* query_job.done, in the link's thread. Thousands may wait, and all be answered at once: together
 * they keep within the memory for bodies. */
static void done(struct query_job *job)
{
    struct fetch *f = job->context;
    struct http_request *r = f->request;
    size_t bytes = 0;

    for (size_t i = 0; i < job->event_count; i++) {
        bytes += job->events[i]->line_len * 2 + EVENT_OVERHEAD;
    }
    if (bytes > 0 && http_server_charge(f->gateway->http, bytes)) {
        r->body_charged += bytes;
    } else if (bytes > 0) {
        f->is_too_much = true;
        for (size_t i = 0; i < job->event_count; i++) {
            feed_event_unref(&job->events[i]);
        }
        free(job->events);
        job->events = NULL; /* the count stays, to be compared with the deliveries */
    }
    http_request_wake(r);
}

/* ---- the request ---- */

/* Over HTTP two requests need not share a connection, so what stays the same is the address. */
static void default_member(const struct fetch *f, char out[GROUP_MEMBER_MAX + 1])
{
    const char *start = f->waiting.peer;
    const char *end = strrchr(start, ':');

    if (*start == '[' && end && end[-1] == ']') {
        start++;
        end--;
    }
    (void)snprintf(out, GROUP_MEMBER_MAX + 1, "http-%.*s",
                   end ? (int)(end - start) : (int)strlen(start), start);
}

static bool read_params(struct http_request *r, struct fetch *f)
{
    struct http_param params[PARAMS] = {[MAX] = {.name = "max"},
                                        [WAIT] = {.name = "wait_ms"},
                                        [MEMBER] = {.name = "member"},
                                        [FORMAT] = {.name = "format"}};
    const struct http_param *member = &params[MEMBER];
    const struct http_param *format = &params[FORMAT];

    f->max = 1;
    if (!http_params_read(r, params, PARAMS) ||
        !http_param_number(r, &params[MAX], 1, GROUP_FETCH_MAX, &f->max) ||
        !http_param_number(r, &params[WAIT], 0, GROUP_FETCH_WAIT_MAX_MS, &f->wait_ms)) {
        return false;
    }
    if (!member->is_given) {
        default_member(f, f->member);
    } else if (group_member_valid(member->value, member->len)) {
        memcpy(f->member, member->value, member->len + 1);
    } else {
        http_refuse(r, REJECT_BAD_QUERY,
                    "member must have 1 to %d bytes of UTF-8 without control characters",
                    GROUP_MEMBER_MAX);
        return false;
    }
    f->cloudevents = format->is_given && strcmp(format->value, "cloudevents") == 0;
    if (format->is_given && !f->cloudevents && strcmp(format->value, "json") != 0) {
        http_refuse(r, REJECT_BAD_QUERY, "format is json or cloudevents");
        return false;
    }
    return true;
}

/* Less when many wait, so that they can all be answered at once. */
static unsigned fetch_bytes(struct http_fetches *fetches)
{
    const uint64_t share = MEMORY_FETCHES_BYTES / (http_fetches_count(fetches) + 1);

    return share < MEMORY_FETCH_MIN  ? (unsigned)MEMORY_FETCH_MIN
           : share < FETCH_BYTES_MAX ? (unsigned)share
                                     : FETCH_BYTES_MAX;
}

static bool make_text(struct http_request *r, struct fetch *f)
{
    group_text_open(&f->text, "fetch", f->group);
    buf_add_str(&f->text, ",\"member\":");
    buf_add_json_cstr(&f->text, f->member);
    buf_printf(&f->text, ",\"max\":%u,\"max_bytes\":%u,\"wait_ms\":%u", (unsigned)f->max,
               fetch_bytes(r->gateway->fetches), (unsigned)f->wait_ms);
    if (f->text.failed) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return false;
    }
    return true;
}

static void fill_waiting(struct http_request *r, struct fetch *f)
{
    f->waiting.number = counter_next(&r->gateway->counters.last_client);
    f->waiting.fd = http_request_fd(r);
    f->waiting.group = f->group;
    f->waiting.member = f->member;
    f->waiting.max = f->max;
    f->waiting.wait_ms = f->wait_ms;
    f->waiting.since_us = clock_wall_us();
}

void http_group_fetch_run(struct http_request *r)
{
    struct fetch *f = calloc(1, sizeof *f);

    if (!f) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return;
    }
    f->request = r;
    f->gateway = r->gateway;
    list_init(&f->waiting.link);
    r->state = f;
    r->free_state = free_fetch;
    http_request_peer(r, f->waiting.peer, sizeof f->waiting.peer);
    if (!http_group_name(r, f->group) || !read_params(r, f) || !make_text(r, f)) {
        return;
    }
    if (atomic_load(&r->gateway->draining)) {
        http_refuse(r, REJECT_DRAINING, "nothing is handed out any more: the gateway stops");
        return;
    }
    f->job =
        (struct query_job){.kind = QUERY_GROUP,
                           .text = f->text.data,
                           .text_len = f->text.len,
                           .is_fetch = true,
                           .deadline_ms = clock_mono_ms() + (int64_t)f->wait_ms +
                                          (int64_t)r->gateway->settings->gateway.ack_timeout_ms,
                           .done = done,
                           .context = f};
    if (!http_request_suspend(r, HTTP_WAIT_ANSWER, resumed)) {
        http_refuse(r, REJECT_DRAINING, "nothing is handed out any more: the gateway stops");
        return;
    }
    fill_waiting(r, f);
    http_fetches_add(r->gateway->fetches, &f->waiting);
    hub_link_query(r->gateway->link, &f->job);
}
