/*
 * client: each call is one request, and a wait until its answer came or its time is over.
 */
#include "client/client.h"

#include "base/clock.h"
#include "client/position_public.h"
#include "wire/request.h"

#include <jansson.h>
#include <notifyhub/notifyhub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000

struct nhub_client {
    struct zctx *ctx;
    struct requester *requester;
    int timeout_ms;
    char error[256]; /* of the last refusal */
    char error_code[48];
};

nhub_err nhub_client_create(nhub_client **out, const nhub_client_options *options)
{
    const nhub_client_options defaults = {0};
    const nhub_client_options *o = options ? options : &defaults;
    struct nhub_client *c = calloc(1, sizeof *c);
    nhub_err err = NHUB_ENOMEM;

    if (!c) {
        return NHUB_ENOMEM;
    }
    c->timeout_ms = o->timeout_ms ? (int)(o->timeout_ms & INT32_MAX) : DEFAULT_TIMEOUT_MS;
    err = zctx_create(&c->ctx);
    if (err == NHUB_OK) {
        err = requester_create(&c->requester, c->ctx, o->host ? o->host : "127.0.0.1",
                               o->requests_port ? o->requests_port : NHUB_REQUESTS_PORT,
                               CLIENT_REQUESTS_MAX);
    }
    if (err != NHUB_OK) {
        nhub_client_destroy(&c);
        return err;
    }
    *out = c;
    return NHUB_OK;
}

void nhub_client_destroy(nhub_client **client_p)
{
    struct nhub_client *c = *client_p;

    if (!c) {
        return;
    }
    requester_destroy(&c->requester);
    zctx_destroy(&c->ctx);
    free(c);
    *client_p = NULL;
}

const char *nhub_client_error(const nhub_client *client)
{
    return client->error;
}

const char *nhub_client_error_code(const nhub_client *client)
{
    return client->error_code;
}

/* The one request under way. */
struct call {
    bool is_done;
    nhub_err err;
    struct nhub_answer *answer;
};

static void keep_answer(void *context, uint64_t request_id, const struct requester_answer *answer)
{
    struct call *call = context;

    (void)request_id;
    call->is_done = true;
    call->err = answer->err;
    if (answer->err == NHUB_OK) {
        call->err = answer_keep(&call->answer, answer);
    }
}

static nhub_err wait_for(struct nhub_client *c, struct call *call, uint64_t id)
{
    while (!call->is_done) {
        const nhub_err err = requester_wait(c->requester, INT64_MAX);

        if (err != NHUB_OK) {
            requester_cancel(c->requester, id);
            return err;
        }
    }
    return call->err;
}

static void remember_refusal(struct nhub_client *c, const struct json_t *json)
{
    (void)snprintf(c->error, sizeof c->error, "%s",
                   answer_text(json, "error", "the hub gave no reason"));
    (void)snprintf(c->error_code, sizeof c->error_code, "%s", answer_text(json, "code", ""));
}

nhub_err client_next_id(struct nhub_client *c, uint64_t *out_id)
{
    return requester_next_id(c->requester, out_id);
}

nhub_err client_judge(struct nhub_client *c, const struct nhub_answer *answer)
{
    if (!answer_bool(answer->json, "success")) {
        remember_refusal(c, answer->json);
        return NHUB_EREFUSED;
    }
    return NHUB_OK;
}

/* One try. */
static nhub_err call_until(struct nhub_client *c, uint64_t id, const struct buf *json,
                           int64_t deadline_ms, struct nhub_answer **out_answer)
{
    struct call call = {.is_done = false};
    nhub_err err = NHUB_OK;

    /* What arrived late for earlier calls goes first, so that the queue cannot fill up with it. */
    (void)requester_process(c->requester, clock_mono_ms());
    do {
        err = requester_await_peer(c->requester, deadline_ms);
        if (err == NHUB_OK) {
            err = requester_send(c->requester, id, json, NULL, deadline_ms, keep_answer, &call);
        }
    } while (err == NHUB_EAGAIN && clock_mono_ms() < deadline_ms);
    if (err != NHUB_OK) {
        return err == NHUB_EAGAIN ? NHUB_EUNAVAIL : err;
    }
    err = wait_for(c, &call, id);
    if (err != NHUB_OK) {
        return err;
    }
    *out_answer = call.answer;
    return client_judge(c, call.answer);
}

static int64_t begin(struct nhub_client *c, int timeout_ms)
{
    c->error[0] = '\0';
    c->error_code[0] = '\0';
    return clock_mono_ms() + (timeout_ms > 0 ? timeout_ms : c->timeout_ms);
}

nhub_err client_call(struct nhub_client *c, uint64_t id, const struct buf *json, int timeout_ms,
                     struct nhub_answer **out_answer)
{
    return call_until(c, id, json, begin(c, timeout_ms), out_answer);
}

nhub_err client_ask(struct nhub_client *c, uint64_t id, const struct buf *json, int timeout_ms,
                    struct nhub_answer **out_answer)
{
    const int64_t deadline_ms = begin(c, timeout_ms);
    nhub_err err = NHUB_OK;

    do {
        err = call_until(c, id, json, deadline_ms, out_answer);
    } while (err == NHUB_ECLOSED && clock_mono_ms() < deadline_ms);
    return err;
}

nhub_err client_send(struct nhub_client *c, uint64_t id, const struct buf *json, int timeout_ms,
                     requester_fn *fn, void *context)
{
    return requester_send(c->requester, id, json, NULL, clock_mono_ms() + timeout_ms, fn, context);
}

void client_cancel(struct nhub_client *c, uint64_t id)
{
    requester_cancel(c->requester, id);
}

nhub_err client_wait(struct nhub_client *c, const bool *is_done, int timeout_ms)
{
    const int64_t deadline_ms = begin(c, timeout_ms);

    (void)requester_process(c->requester, clock_mono_ms());
    while (!*is_done) {
        nhub_err err = NHUB_OK;

        if (clock_mono_ms() >= deadline_ms) {
            return NHUB_ETIMEOUT;
        }
        err = requester_wait(c->requester, deadline_ms);
        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

/* A request that is only its action; an answer of a refusal is freed here. */
static nhub_err call_simple(struct nhub_client *c, const char *action, bool may_repeat,
                            int timeout_ms, struct nhub_answer **out)
{
    struct nhub_answer *answer = NULL;
    struct buf json;
    uint64_t id = 0;
    nhub_err err = client_next_id(c, &id);

    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&json);
    request_write_simple(&json, action, id);
    err = (may_repeat ? client_ask : client_call)(c, id, &json, timeout_ms, &answer);
    buf_fini(&json);
    if (err == NHUB_OK) {
        *out = answer;
    } else {
        nhub_answer_destroy(&answer);
    }
    return err;
}

nhub_err nhub_client_health(nhub_client *client, int timeout_ms)
{
    struct nhub_answer *answer = NULL;
    nhub_err err = call_simple(client, "health", true, timeout_ms, &answer);

    if (err == NHUB_OK && strcmp(answer_text(answer->json, "status", ""), "ok") != 0) {
        (void)snprintf(client->error, sizeof client->error, "status is \"%.64s\"",
                       answer_text(answer->json, "status", ""));
        err = NHUB_EREFUSED;
    }
    nhub_answer_destroy(&answer);
    return err;
}

nhub_err nhub_client_info(nhub_client *client, int timeout_ms, nhub_info *out)
{
    struct nhub_answer *answer = NULL;
    const json_t *statistics = NULL;
    const nhub_err err = call_simple(client, "info", true, timeout_ms, &answer);

    if (err != NHUB_OK) {
        return err;
    }
    statistics = json_object_get(answer->json, "statistics");
    *out = (nhub_info){
        .collector_port = (uint16_t)answer_u64(answer->json, "collector_port"),
        .publisher_port = (uint16_t)answer_u64(answer->json, "publisher_port"),
        .requests_port = (uint16_t)answer_u64(answer->json, "requests_port"),
        .events_received = answer_u64(statistics, "events_received"),
        .events_published = answer_u64(statistics, "events_published"),
        .last_message_time = answer_double(statistics, "last_message_time"),
        .start_time = answer_double(statistics, "start_time"),
    };
    nhub_answer_destroy(&answer);
    return NHUB_OK;
}

static void read_position(const json_t *json, nhub_hub_position *out)
{
    const struct position resolved = answer_position(json, "resolved");
    const struct json_t *journal = answer_object(json, "journal");

    *out = (nhub_hub_position){
        .newest = {.seq = answer_u64(json, "seq")},
        .oldest_seq = answer_u64(json, "oldest"),
        .max_event_bytes = answer_u64(json, "max_event_bytes"),
        .has_dedup = answer_bool(json, "dedup"),
        .dedup_window_s = answer_u64(json, "dedup_window_s"),
        .protocol = (unsigned)answer_u64(json, "protocol"),
        .resolved = position_to_public(&resolved),
    };
    (void)snprintf(out->newest.epoch, sizeof out->newest.epoch, "%s",
                   answer_text(json, "epoch", ""));
    (void)snprintf(out->durability, sizeof out->durability, "%s",
                   answer_text(json, "durability", ""));
    (void)snprintf(out->durability_max, sizeof out->durability_max, "%s",
                   answer_text(json, "durability_max", out->durability));
    (void)snprintf(out->journal, sizeof out->journal, "%s", answer_text(journal, "state", ""));
    (void)snprintf(out->journal_why, sizeof out->journal_why, "%s",
                   answer_text(journal, "why", ""));
    (void)snprintf(out->stats_event, sizeof out->stats_event, "%s",
                   answer_text(json, "stats_event", ""));
}

nhub_err nhub_client_position(nhub_client *client, const char *since, int timeout_ms,
                              nhub_hub_position *out)
{
    struct nhub_answer *answer = NULL;
    struct buf json;
    uint64_t id = 0;
    nhub_err err = client_next_id(client, &id);

    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&json);
    buf_printf(&json, "{\"action\":\"position\",\"request_id\":%llu", (unsigned long long)id);
    if (since) {
        buf_add_str(&json, ",\"since\":");
        buf_add_json_cstr(&json, since);
    }
    buf_add_char(&json, '}');
    err = client_ask(client, id, &json, timeout_ms, &answer);
    buf_fini(&json);
    if (err == NHUB_OK) {
        read_position(answer->json, out);
    }
    nhub_answer_destroy(&answer);
    return err;
}

nhub_err nhub_client_terminate(nhub_client *client, int timeout_ms)
{
    struct nhub_answer *answer = NULL;
    const nhub_err err = call_simple(client, "terminate", false, timeout_ms, &answer);

    nhub_answer_destroy(&answer);
    return err;
}

nhub_err nhub_client_stats(nhub_client *client, int timeout_ms, nhub_answer **out)
{
    return call_simple(client, "stats", true, timeout_ms, out);
}

/* The request as text with our own request_id in it. */
static nhub_err write_request(const char *text, uint64_t id, struct buf *out)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    char *dump = NULL;
    nhub_err err = NHUB_EINVAL;

    if (json_is_object(json)) {
        err = NHUB_ENOMEM;
        if (json_object_set_new(json, "request_id", json_integer((json_int_t)id)) == 0) {
            dump = json_dumps(json, JSON_COMPACT);
        }
    }
    if (dump) {
        buf_add_str(out, dump);
        err = out->failed ? NHUB_ENOMEM : NHUB_OK;
    }
    free(dump);
    json_decref(json);
    return err;
}

nhub_err nhub_client_request(nhub_client *client, const char *json, int timeout_ms,
                             nhub_answer **out)
{
    struct nhub_answer *answer = NULL;
    struct buf text;
    uint64_t id = 0;
    nhub_err err = client_next_id(client, &id);

    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&text);
    err = write_request(json, id, &text);
    if (err == NHUB_OK) {
        err = client_call(client, id, &text, timeout_ms, &answer);
    }
    buf_fini(&text);
    if (answer) {
        *out = answer;
    }
    return err;
}
