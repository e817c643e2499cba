/*
 * call: answers of a request.
 */
#include "daemon/call.h"

#include "daemon/envelope.h"

#include <string.h>

static void send_answer(struct call *c, const struct buf *answer, struct reply_frames **frames_p)
{
    if (c->request.action == ACTION_PUBLISH && c->request.batched_acks) {
        replies_add_batched(c->replies, &c->identity, answer->data, answer->len);
    } else {
        replies_send(c->replies, &c->identity, answer->data, answer->len, frames_p);
    }
}

void call_answer(struct call *c, struct buf *answer, struct reply_frames **frames_p)
{
    static const char no_memory[] =
        "{\"success\":false,\"error\":\"out of memory\",\"code\":\"no_memory\"}";

    if (!c->wants_answer) {
        c->stats->no_reply++;
    } else if (answer->failed) {
        replies_send(c->replies, &c->identity, no_memory, sizeof no_memory - 1, NULL);
    } else {
        send_answer(c, answer, frames_p);
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
    *to = *from;
    /* Frames are the library's: they move by its own means. Sharing cannot fail for a frame that is
     * initialised. */
    zframe_init(&to->identity);
    NHUB_IGNORE(zframe_share(&to->identity, &from->identity));
    memset(&from->request, 0, sizeof from->request);
}

void call_fini(struct call *c)
{
    request_free(&c->request);
    zframe_close(&c->identity);
}
