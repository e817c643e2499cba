/* ws_group_job: questions about groups, from their text to the answer in the stream loop, and how
 * what they say becomes a message. */
#include "base/clock.h"
#include "gateway/memory_ceiling.h"
#include "gateway/protocols/ws_consume_private.h"

#include <stdio.h>
#include <stdlib.h>

#define EVENT_OVERHEAD 256

static void drop_events(struct query_job *job)
{
    for (size_t i = 0; i < job->event_count; i++) {
        if (job->events[i]) {
            feed_event_unref(&job->events[i]);
        }
    }
    free(job->events);
    job->events = NULL;
    job->event_count = 0;
}

/* All that consumers of all sessions have fetched keeps within a part of the streams' memory. */
static void charge(struct ws_group_job *j)
{
    const uint64_t limit = j->env->settings->gateway.streams_max_bytes / MEMORY_GROUPS_SHARE;
    size_t before = 0;

    for (size_t i = 0; i < j->job.event_count; i++) {
        j->bytes += j->job.events[i]->line_len + EVENT_OVERHEAD;
    }
    before = atomic_fetch_add(&j->env->fetched_bytes, j->bytes);
    if (before > 0 && before + j->bytes > limit) {
        atomic_fetch_sub(&j->env->fetched_bytes, j->bytes);
        j->bytes = 0;
        j->is_too_much = true;
        drop_events(&j->job);
    }
}

/* In the link's thread. */
static void done(struct query_job *job)
{
    struct ws_group_job *j = (struct ws_group_job *)(void *)job;

    if (job->event_count > 0) {
        charge(j);
    }
    mailbox_post(j->env->answered, &job->letter);
}

void ws_group_ask(struct ws_group_job *j, int64_t wait_ms)
{
    const struct settings *settings = j->env->settings;

    j->job.kind = QUERY_GROUP;
    j->job.text = j->text.data;
    j->job.text_len = j->text.len;
    j->job.deadline_ms = clock_mono_ms() + wait_ms + (int64_t)settings->gateway.ack_timeout_ms;
    j->job.done = done;
    j->env->group_jobs++;
    j->env->query(j->env->link, &j->job);
}

void ws_group_job_fini(struct ws_group_job *j)
{
    atomic_fetch_sub(&j->env->fetched_bytes, j->bytes);
    drop_events(&j->job);
    buf_fini(&j->job.answer);
    buf_fini(&j->text);
}

void ws_consume_answer(struct ws_env *env, struct letter *letter, struct ws_conn **out_conn)
{
    struct ws_group_job *j = (struct ws_group_job *)(void *)letter;

    env->group_jobs--;
    *out_conn = j->conn;
    j->finish(j);
}

void ws_group_open(struct buf *json, const char *op, const char *id, size_t id_len,
                   const char *group)
{
    buf_init(json);
    buf_printf(json, "{\"op\":\"%s\"", op);
    if (id_len > 0) {
        buf_add_str(json, ",\"id\":");
        buf_add(json, id, id_len);
    }
    buf_add_str(json, ",\"group\":");
    buf_add_json_cstr(json, group);
}

void ws_group_error(struct ws_conn *conn, struct ws_env *env, const char *id, size_t id_len,
                    const char *group, enum reject_reason reason, const char *detail)
{
    struct buf json;

    ws_conn_count_reject(env, reason);
    ws_group_open(&json, "error", id, id_len, group);
    buf_add_str(&json, ",\"code\":");
    buf_add_json_cstr(&json, reject_reason_code(reason));
    buf_add_str(&json, ",\"detail\":");
    buf_add_json_cstr(&json, detail);
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

enum reject_reason ws_group_why(const struct ws_group_job *j, char *detail, size_t size)
{
    struct group_answer answer;
    const char *text = NULL;
    char code[32];
    enum reject_reason reason = REJECT_HUB_UNAVAILABLE;

    if (j->job.err == NHUB_EREFUSED &&
        group_answer_read(j->job.answer.data, j->job.answer.len, &answer) == NHUB_OK) {
        return group_answer_refusal(&answer, code, sizeof code, detail, size);
    }
    reason = group_failure(&j->job, &text);
    (void)snprintf(detail, size, "%s", text);
    return reason;
}
