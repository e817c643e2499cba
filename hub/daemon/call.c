/*
 * call: answers of a request.
 */
#include "daemon/call.h"

#include "daemon/envelope.h"

#include <string.h>

static void send_answer(struct call *c, const char *json, size_t len,
                        struct reply_frames **frames_p)
{
    const bool is_batched = c->request.action == ACTION_PUBLISH && c->request.batched_acks;

    if (c->ticket) {
        order_answer(c->order, &c->ticket, json, len, is_batched, frames_p);
    } else if (is_batched) {
        replies_add_batched(c->replies, c->peer, json, len);
    } else {
        replies_send(c->replies, c->peer, json, len, frames_p);
    }
}

static void take_ticket(struct call *c)
{
    if (order_take(c->order, c->peer, &c->ticket) != NHUB_OK) {
        /* Out of turn would be taken for the answer to another request. */
        c->stats->answers_dropped++;
        c->wants_answer = false;
    }
}

static bool needs_order(const struct call *c)
{
    return c->order && c->wants_answer && !c->request.request_id && !c->ticket;
}

void call_begin(struct call *c)
{
    if (needs_order(c) && order_has(c->order, c->peer)) {
        take_ticket(c);
    }
}

void call_answer(struct call *c, struct buf *answer, struct reply_frames **frames_p)
{
    static const char no_memory[] =
        "{\"success\":false,\"error\":\"out of memory\",\"code\":\"no_memory\"}";

    if (!c->wants_answer) {
        c->stats->no_reply++;
    } else if (answer->failed) {
        send_answer(c, no_memory, sizeof no_memory - 1, NULL);
    } else {
        send_answer(c, answer->data, answer->len, frames_p);
    }
    if (frames_p) {
        reply_frames_destroy(frames_p);
    }
    buf_fini(answer);
}

void call_refuse(struct call *c, const char *error, const char *code)
{
    struct buf answer;

    c->stats->requests_refused++;
    buf_init(&answer);
    envelope_error(&answer, error, code);
    envelope_end(&answer, &c->request);
    call_answer(c, &answer, NULL);
}

void call_move(struct call *to, struct call *from)
{
    if (needs_order(from)) {
        take_ticket(from);
    }
    *to = *from;
    from->ticket = NULL;
    memset(&from->request, 0, sizeof from->request);
}

void call_fini(struct call *c)
{
    if (c->ticket) {
        order_drop(c->order, &c->ticket);
    }
    request_free(&c->request);
}
