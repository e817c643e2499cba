/* ws_consume_change: ack, nack and extend, from their message to the hub's answer. */
#include "base/clock.h"
#include "gateway/protocols/ws_consume_private.h"

#include <stdlib.h>
#include <string.h>

struct ws_change {
    struct ws_group_job j; /* first: found from it */
    struct list link;
    struct ws_consumers *owner; /* NULL: nobody waits for the answer */
    enum ws_op_kind kind;
    struct json_span deliveries; /* inside the job's text */
    uint64_t visibility_ms;      /* extend: 0 = the group's */
    char id[WS_OP_ID_MAX];
    size_t id_len;
};

static void forget(struct ws_change *ch)
{
    if (ch->owner) {
        ch->owner->change_count--;
        ch->owner = NULL;
        ch->j.conn = NULL;
        list_remove(&ch->link);
    }
}

static void free_change(struct ws_change *ch)
{
    forget(ch);
    ws_group_job_fini(&ch->j);
    free(ch);
}

void ws_changes_abandon(struct ws_consumers *c)
{
    while (!list_empty(&c->changes)) {
        forget(list_entry(c->changes.next, struct ws_change, link));
    }
}

/* What the client no longer has gives it credit again. */
static void settle(struct ws_change *ch, const struct group_answer *answer)
{
    struct ws_consumer *w = ws_consumer_find(ch->owner, ch->j.group);
    const struct json_span *gone = ch->kind == WS_OP_EXTEND ? &answer->failed : &ch->deliveries;
    struct delivery d;
    size_t pos = 0;

    if (!w) {
        return;
    }
    if (ch->kind == WS_OP_EXTEND) {
        const int64_t more_ms =
            ch->visibility_ms > 0 ? (int64_t)ch->visibility_ms : w->visibility_ms;

        while (group_delivery_next(&ch->deliveries, &pos, &d) == NHUB_OK) {
            ws_held_extend(&w->held, &d, clock_mono_ms() + more_ms);
        }
        pos = 0;
    }
    while (group_delivery_next(gone, &pos, &d) == NHUB_OK) {
        (void)ws_held_remove(&w->held, &d);
    }
}

static void answer_done(struct ws_change *ch, const struct group_answer *answer)
{
    static const char *const words[] = {
        [WS_OP_ACK] = "acked", [WS_OP_NACK] = "nacked", [WS_OP_EXTEND] = "extended"};
    struct buf json;

    ws_group_open(&json, words[ch->kind], ch->id, ch->id_len, ch->j.group);
    if (answer->count.kind == JSON_NUMBER) {
        group_text_add(&json, "count", &answer->count);
    }
    if (answer->failed.kind == JSON_ARRAY) {
        group_text_add(&json, "failed", &answer->failed);
    } else {
        buf_add_str(&json, ",\"failed\":[]");
    }
    if (answer->durability.kind == JSON_STRING) {
        group_text_add(&json, "durability", &answer->durability);
    }
    buf_add_char(&json, '}');
    ws_conn_send_json(ch->j.conn, &json);
}

static void finish(struct ws_group_job *j)
{
    struct ws_change *ch = (struct ws_change *)(void *)j;
    struct ws_consumers *owner = ch->owner;
    struct group_answer answer;
    enum reject_reason reason = REJECT_HUB_UNAVAILABLE;
    char detail[200];

    if (j->job.err == NHUB_OK) {
        j->job.err = group_answer_read(j->job.answer.data, j->job.answer.len, &answer);
    }
    if (owner && j->job.err == NHUB_OK) {
        if (ch->kind == WS_OP_ACK) {
            counter_add(&j->env->counters->group_acks_total, group_answer_count(&answer));
        }
        settle(ch, &answer);
        answer_done(ch, &answer);
    } else if (owner) {
        reason = ws_group_why(j, detail, sizeof detail);
        ws_group_error(j->conn, j->env, ch->id, ch->id_len, j->group, reason, detail);
    }
    free_change(ch);
    if (owner) {
        ws_consume_flush(owner); /* there may be credit again */
    }
}

static void make_text(struct ws_change *ch, const struct ws_op *op)
{
    static const char *const actions[] = {
        [WS_OP_ACK] = "ack", [WS_OP_NACK] = "nack", [WS_OP_EXTEND] = "extend"};
    struct buf *text = &ch->j.text;

    group_text_open(text, actions[op->kind], op->group);
    group_text_add(text, "deliveries", &op->deliveries);
    ch->deliveries = op->deliveries;
    if (op->delay_ms.kind == JSON_NUMBER) {
        group_text_add(text, "delay_ms", &op->delay_ms);
    }
    if (op->visibility_ms.kind == JSON_NUMBER) {
        group_text_add(text, "visibility_ms", &op->visibility_ms);
        NHUB_IGNORE(json_span_u64(&op->visibility_ms, &ch->visibility_ms) != NHUB_OK);
    }
    if (!text->failed) {
        ch->deliveries.p = memmem(text->data, text->len, op->deliveries.p, op->deliveries.len);
    }
}

void ws_consume_change(struct ws_consumers *c, const struct ws_op *op)
{
    struct ws_change *ch = calloc(1, sizeof *ch);

    if (ch) {
        ch->j.env = c->env;
        ch->kind = op->kind;
        make_text(ch, op);
    }
    if (!ch || ch->j.text.failed) {
        if (ch) {
            free_change(ch);
        }
        ws_group_error(c->conn, c->env, op->id, op->id ? op->id_len : 0, op->group,
                       REJECT_OVERLOADED, "out of memory");
        return;
    }
    ch->j.conn = c->conn;
    ch->j.finish = finish;
    memcpy(ch->j.group, op->group, sizeof op->group);
    ch->id_len = op->id ? op->id_len : 0;
    memcpy(ch->id, op->id ? op->id : "", ch->id_len);
    ch->owner = c;
    list_init(&ch->link);
    list_append(&c->changes, &ch->link);
    c->change_count++;
    ws_group_ask(&ch->j, 0);
}
