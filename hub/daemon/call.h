/*
 * call: one request under way: who asked, what, and how to answer.
 *
 * An action answers at once or keeps the call (call_move) until a scan of the journal is done.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_CALL_H
#define NHUB_DAEMON_CALL_H

#include "daemon/replies.h"
#include "wire/request.h"

struct call {
    struct replies *replies;
    struct stats *stats;
    struct zframe identity;
    struct request request;
    bool wants_answer;
};

/* Sends the finished answer; an incomplete one (out of memory) becomes an error. Takes the frames
 * (frames_p may be NULL). The buf is emptied. */
void call_answer(struct call *c, struct buf *answer, struct reply_frames **frames_p);
/* Answers {"success":false,…} and counts the refusal. */
void call_refuse(struct call *c, const char *error, const char *code);
/* Moves the call from where the request was read to the one who answers later. */
void call_move(struct call *to, struct call *from);
void call_fini(struct call *c);

#endif
