/*
 * request_private: what the parts of the request parser share.
 */
#ifndef NHUB_WIRE_REQUEST_PRIVATE_H
#define NHUB_WIRE_REQUEST_PRIVATE_H

#include "wire/request.h"

/* Where a request goes wrong. */
struct complaint {
    struct request *request;
    struct buf *text;
};

/* Both note the code (static, may be NULL) and the text, and return NHUB_EPROTO; the second one's
 * text begins with the field's name. */
nhub_err request_refuse(struct complaint *c, const char *code, const char *text);
nhub_err request_refuse_field(struct complaint *c, const char *code, const char *field,
                              const char *text);
/* Notes "out of memory" and returns NHUB_ENOMEM. */
nhub_err request_no_memory(struct complaint *c);

/* A member of the request; one that is null counts as absent. */
json_t *request_member(const struct request *r, const char *name);
/* An optional integer of 0 or more; *out stays as it is without one. */
NHUB_MUST_USE nhub_err request_read_u64(struct complaint *c, const char *name, uint64_t *out);
/* An optional true or false; *out stays as it is without one. */
NHUB_MUST_USE nhub_err request_read_bool(struct complaint *c, const char *name, bool *out);
/* since: the texts of since_parse(), or a seq as an integer. */
NHUB_MUST_USE nhub_err request_read_since(struct complaint *c);
/* A string or an array of strings into r->patterns. */
NHUB_MUST_USE nhub_err request_read_patterns(struct complaint *c, const char *name,
                                             bool is_pattern);

/* The fields of the actions on groups. */
NHUB_MUST_USE nhub_err request_read_group_create(struct complaint *c);
NHUB_MUST_USE nhub_err request_read_group_name(struct complaint *c);
NHUB_MUST_USE nhub_err request_read_fetch(struct complaint *c);
NHUB_MUST_USE nhub_err request_read_ack(struct complaint *c);
NHUB_MUST_USE nhub_err request_read_nack(struct complaint *c);
NHUB_MUST_USE nhub_err request_read_extend(struct complaint *c);

/* Writing: {"action":"…","request_id":N and an array of strings as a further member (none when
 * count is 0). */
void request_open(struct buf *out, const char *action, uint64_t request_id);
void request_add_strings(struct buf *out, const char *name, const char *const *items, size_t count);

#endif
