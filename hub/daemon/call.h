/*
 * call: one request under way: who asked, what, and how to answer.
 *
 * An action answers at once or keeps the call (call_move) until a scan of the journal is done.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_CALL_H
#define NHUB_DAEMON_CALL_H

#include "daemon/order.h"
#include "daemon/replies.h"
#include "wire/request.h"

struct call {
    struct replies *replies;
    struct order *order; /* NULL: whoever asks gives every request an id */
    struct stats *stats;
    uint64_t peer; /* who asked (zpeer_id) */
    struct request request;
    struct ticket *ticket; /* its place among the answers to this peer; NULL = at once */
    bool wants_answer;
};

/* Takes the call's place behind earlier requests of the peer, if some still wait; to be called
 * before the request is carried out. */
void call_begin(struct call *c);
/* Sends the finished answer; an incomplete one (out of memory) becomes an error. Takes the frames
 * (frames_p may be NULL). The buf is emptied. */
void call_answer(struct call *c, struct buf *answer, struct reply_frames **frames_p);
/* Answers {"success":false,…} and counts the refusal. */
void call_refuse(struct call *c, const char *error, const char *code);
/* Moves the call from where the request was read to the one who answers later. Its answer keeps its
 * place, whatever the peer asks meanwhile. */
void call_move(struct call *to, struct call *from);
void call_fini(struct call *c);

#endif
