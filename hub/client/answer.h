/*
 * answer: what stands behind nhub_answer: an answer kept beyond the callback that brought it.
 *
 * Threads: none inside.
 */
#ifndef NHUB_CLIENT_ANSWER_H
#define NHUB_CLIENT_ANSWER_H

#include "client/requester.h"
#include "wire/position.h"

#include <notifyhub/client.h>

struct nhub_answer {
    struct json_t *json;   /* owned */
    char *text;            /* owned, NUL-terminated */
    struct zframe *frames; /* owned; moved out of the message, without a copy of the bytes */
    size_t frame_count;
};

/* Takes the frames out of *from (they are empty afterwards) and shares its JSON. Errors:
 * NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err answer_keep(struct nhub_answer **out, const struct requester_answer *from);

/* Members of an answer's JSON, with what to take when they are absent or of another type. */
const char *answer_text(const struct json_t *json, const char *key, const char *otherwise);
uint64_t answer_u64(const struct json_t *json, const char *key);
bool answer_bool(const struct json_t *json, const char *key);
double answer_double(const struct json_t *json, const char *key);
/* The member when it is an object, else NULL; lent. */
const struct json_t *answer_object(const struct json_t *json, const char *key);
/* How many elements the member has when it is an array, else 0; and one of them, NULL beyond the
 * last; lent. */
size_t answer_count(const struct json_t *json, const char *key);
const struct json_t *answer_element(const struct json_t *json, const char *key, size_t index);
/* The member as a position; an absent or malformed one has the epoch "". */
struct position answer_position(const struct json_t *json, const char *key);

#endif
