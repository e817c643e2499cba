/* ws_publish: the job, the line and the names of ignored fields live in one struct until answered.
 */
#include "gateway/protocols/ws_publish.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "gateway/hub_link.h"
#include "wire/event.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IGNORED_MAX 16

struct ws_publish {
    struct publish_job job; /* first: found from its letter */
    struct publish_event event;
    struct list link;
    struct ws_env *env;
    struct ws_publishes *owner; /* NULL: nobody waits for the answer */
    struct ws_conn *conn;
    struct mailbox *box;
    char *line;
    int asked; /* enum durability, as the client wrote it */
    char id[WS_OP_ID_MAX];
    size_t id_len;
    struct buf correlation; /* JSON text */
    bool is_own_correlation;
    struct buf ignored; /* JSON texts with commas */
    size_t ignored_count;
};

void ws_publishes_init(struct ws_publishes *p)
{
    list_init(&p->list);
    list_init(&p->held);
    p->count = 0;
}

static void forget(struct ws_publish *p)
{
    if (p->owner) {
        p->owner->count--;
        p->owner = NULL;
        p->conn = NULL;
        list_remove(&p->link);
    }
}

void ws_publishes_abandon(struct ws_publishes *publishes)
{
    while (!list_empty(&publishes->list)) {
        forget(list_entry(publishes->list.next, struct ws_publish, link));
    }
    /* The client asked for these before it went: they go out all the same, without an answer. */
    while (!list_empty(&publishes->held)) {
        struct ws_publish *p = list_entry(publishes->held.next, struct ws_publish, link);

        forget(p);
        p->env->publish(p->env->link, &p->job);
    }
}

static void publish_free(struct ws_publish *p)
{
    forget(p);
    free(p->line);
    free(p->job.results);
    buf_fini(&p->correlation);
    buf_fini(&p->ignored);
    free(p);
}

static void note_ignored(void *context, const struct json_span *name)
{
    struct ws_publish *p = context;

    if (p->ignored_count++ < IGNORED_MAX) {
        if (p->ignored.len > 0) {
            buf_add_char(&p->ignored, ',');
        }
        buf_add(&p->ignored, name->p, name->len);
    }
}

/* The line as the hub gets it. Errors: NHUB_ENOMEM. */
static nhub_err render(struct ws_publish *p, const struct event *e, size_t text_len)
{
    char uuid[UUID_TEXT_LEN];
    const struct json_span *given = &e->field[EVENT_CORRELATION];
    struct event_fill fill = {.default_source = "\"ws\"", .now_us = clock_wall_us()};

    uuid_v4(uuid);
    fill.correlation_id = uuid;
    p->is_own_correlation = given->kind != JSON_STRING;
    if (p->is_own_correlation) {
        buf_add_json_string(&p->correlation, uuid, sizeof uuid);
    } else {
        buf_add(&p->correlation, given->p, given->len);
    }
    p->line = malloc(event_render_max(e, &fill, text_len));
    if (!p->line || p->correlation.failed) {
        return NHUB_ENOMEM;
    }
    p->event.line = p->line;
    p->event.len = event_render(e, &fill, NULL, p->line);
    return NHUB_OK;
}

static void done(struct publish_job *job)
{
    struct ws_publish *p = (struct ws_publish *)(void *)job;

    mailbox_post(p->box, &job->letter);
}

static void refuse(struct ws_conn *conn, struct ws_env *env, const struct ws_op *op,
                   enum reject_reason reason, const char *detail)
{
    ws_conn_count_reject(env, reason);
    ws_conn_send_error(conn, op->id, op->id_len, reject_reason_code(reason), detail);
}

static void refuse_event(struct ws_conn *conn, struct ws_env *env, const struct ws_op *op,
                         const struct event_error *error)
{
    char detail[200];

    if (error->reason == EVENT_BAD_JSON) {
        (void)snprintf(detail, sizeof detail, "event: %s at byte %zu of it", error->detail,
                       error->offset);
    } else {
        (void)snprintf(detail, sizeof detail, "event: %s", error->detail);
    }
    refuse(conn, env, op, reject_reason_from_code(event_reason_code(error->reason)), detail);
}

static struct ws_publish *publish_create(struct ws_env *env, struct ws_conn *conn,
                                         const struct ws_op *op)
{
    struct ws_publish *p = calloc(1, sizeof *p);

    if (!p) {
        return NULL;
    }
    list_init(&p->link);
    buf_init(&p->correlation);
    buf_init(&p->ignored);
    p->env = env;
    p->box = env->published;
    p->conn = conn;
    if (op->id) {
        memcpy(p->id, op->id, op->id_len);
        p->id_len = op->id_len;
    }
    p->job.events = &p->event;
    p->job.count = 1;
    p->asked = op->durability;
    p->job.durability = op->durability;
    p->job.done = done;
    return p;
}

static struct ws_publish *first_of(struct list *list)
{
    return list_empty(list) ? NULL : list_entry(list->next, struct ws_publish, link);
}

/* Publishes of different durability may overtake each other on their way to the hub. So that a
 * connection's events keep their order, those of another durability wait until the ones before them
 * are answered. */
static void send_held(struct ws_publishes *publishes)
{
    for (struct ws_publish *p = first_of(&publishes->held); p; p = first_of(&publishes->held)) {
        if (!list_empty(&publishes->list) && p->asked != publishes->asked) {
            return;
        }
        publishes->asked = p->asked;
        list_move(&publishes->list, &p->link);
        p->env->publish(p->env->link, &p->job);
    }
}

void ws_publish_start(struct ws_conn *conn, struct ws_env *env, struct ws_publishes *publishes,
                      const struct ws_op *op)
{
    struct ws_publish *p = NULL;
    struct event e;
    struct event_error error = {0};

    if (op->event.len > env->settings->gateway.max_event_bytes) {
        refuse(conn, env, op, REJECT_TOO_BIG, "the event is larger than gateway.max_event_bytes");
        return;
    }
    p = publish_create(env, conn, op);
    if (!p) {
        refuse(conn, env, op, REJECT_OVERLOADED, "out of memory");
        return;
    }
    if (event_parse(op->event.p, op->event.len, EVENT_DOOR_HTTP, env->settings->hub.stats_event,
                    note_ignored, p, &e, &error) != NHUB_OK) {
        refuse_event(conn, env, op, &error);
        publish_free(p);
        return;
    }
    if (render(p, &e, op->event.len) != NHUB_OK) {
        refuse(conn, env, op, REJECT_OVERLOADED, "out of memory");
        publish_free(p);
        return;
    }
    p->owner = publishes;
    publishes->count++;
    env->publishes++;
    list_append(&publishes->held, &p->link);
    send_held(publishes);
}

static void answer_accepted(const struct ws_publish *p)
{
    const struct publish_job *job = &p->job;
    struct buf json;

    buf_init(&json);
    buf_add_str(&json, "{\"op\":\"published\"");
    if (p->id_len > 0) {
        buf_add_str(&json, ",\"id\":");
        buf_add(&json, p->id, p->id_len);
    }
    buf_add_str(&json, ",\"seq\":");
    buf_add_u64(&json, job->first_seq);
    buf_printf(&json, ",\"epoch\":\"%s\",\"durability\":\"%s\"", job->epoch,
               durability_name(job->durability_got));
    if (job->duplicates > 0) {
        buf_add_str(&json, ",\"duplicate\":true");
    }
    /* Of two duplicates the first one is kept: an id that was made here belongs to none. */
    if (job->duplicates == 0 || !p->is_own_correlation) {
        buf_add_str(&json, ",\"correlation_id\":");
        buf_add(&json, p->correlation.data, p->correlation.len);
    }
    if (p->ignored.len > 0 && !p->ignored.failed) {
        buf_add_str(&json, ",\"ignored\":[");
        buf_add(&json, p->ignored.data, p->ignored.len);
        buf_add_char(&json, ']');
    }
    buf_add_char(&json, '}');
    ws_conn_send_json(p->conn, &json);
}

static const char *outcome_code(const struct publish_job *job)
{
    switch (job->outcome) {
    case PUBLISH_REFUSED:
        return job->code[0] ? job->code : "bad_request";
    case PUBLISH_UNAVAILABLE:
        return "hub_unavailable";
    case PUBLISH_OVERLOADED:
        return "overloaded";
    case PUBLISH_LOST:
        return "durability_lost";
    default:
        return "outcome_unknown";
    }
}

static const char *outcome_text(const struct publish_job *job)
{
    switch (job->outcome) {
    case PUBLISH_REFUSED:
        return job->error[0] ? job->error : "refused by the hub";
    case PUBLISH_UNAVAILABLE:
        return "the hub cannot be reached; nothing was published";
    case PUBLISH_OVERLOADED:
        return "too many publishes are waiting; nothing was published";
    case PUBLISH_LOST:
        return "numbered and sent to subscribers, but the disk failed before it was kept as asked; "
               "it may be lost when the hub stops";
    default:
        return "no answer from the hub in time; the event may or may not have been published";
    }
}

/* An error that names the number which the event has all the same. */
static void answer_lost(const struct ws_publish *p)
{
    const struct publish_job *job = &p->job;
    struct buf json;

    buf_init(&json);
    buf_add_str(&json, "{\"op\":\"error\"");
    if (p->id_len > 0) {
        buf_add_str(&json, ",\"id\":");
        buf_add(&json, p->id, p->id_len);
    }
    buf_printf(&json, ",\"code\":\"%s\",\"detail\":", outcome_code(job));
    buf_add_json_cstr(&json, outcome_text(job));
    buf_add_str(&json, ",\"seq\":");
    buf_add_u64(&json, job->first_seq);
    buf_printf(&json, ",\"epoch\":\"%s\"}", job->epoch);
    ws_conn_send_json(p->conn, &json);
}

void ws_publish_finish(struct ws_env *env, struct letter *letter, struct ws_conn **out_conn)
{
    struct ws_publish *p = (struct ws_publish *)(void *)letter;
    struct ws_publishes *publishes = p->owner;
    const struct publish_job *job = &p->job;

    env->publishes--;
    *out_conn = p->conn;
    if (job->outcome == PUBLISH_ACCEPTED) {
        counter_add(&env->counters->published_total[GATEWAY_DOOR_WS], job->accepted);
        counter_add(&env->counters->duplicates_total, job->duplicates);
    } else {
        ws_conn_count_reject(env, reject_reason_from_code(outcome_code(job)));
    }
    if (p->conn && job->outcome == PUBLISH_ACCEPTED) {
        answer_accepted(p);
    } else if (p->conn && job->outcome == PUBLISH_LOST) {
        answer_lost(p);
    } else if (p->conn) {
        ws_conn_send_error(p->conn, p->id, p->id_len, outcome_code(job), outcome_text(job));
    }
    publish_free(p);
    if (publishes) {
        send_held(publishes);
    }
}
