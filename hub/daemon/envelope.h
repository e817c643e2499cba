/*
 * envelope: the JSON object around every answer of the hub.
 *
 * Errors of the original have exactly its two members; errors of this hub also have a stable word,
 * `code`. The request's `request_id` comes back in every answer.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_DAEMON_ENVELOPE_H
#define NHUB_DAEMON_ENVELOPE_H

#include "base/buf.h"
#include "wire/request.h"

/* Begins a good answer: {"success":true */
void envelope_success(struct buf *out);
/* Begins a failed one: {"success":false,"error":"…","code":"…"; code NULL leaves it out. */
void envelope_error(struct buf *out, const char *error, const char *code);
/* Ends it: ,"request_id":…} with the id if the request has one. */
void envelope_end(struct buf *out, const struct request *request);

/* ,"name":"epoch-seq" */
void envelope_position(struct buf *out, const char *name, const char *epoch, uint64_t seq);

#endif
