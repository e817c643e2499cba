/*
 * group_text: what the doors say to the hub about consumer groups, and what it answers
 * (PROTOCOL.md, "Consumer groups").
 *
 * Members of a client's JSON travel to the hub as they were written, and members of its answer back
 * in the same way: the hub checks their values, in one place for all doors.
 *
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_PROTOCOLS_GROUP_TEXT_H
#define GATEWAY_PROTOCOLS_GROUP_TEXT_H

#include "base/buf.h"
#include "gateway/counters.h"
#include "gateway/hub_link.h"
#include "wire/json_scan.h"
#include "wire/request_group.h"

/* 1 to GROUP_MEMBER_MAX bytes of UTF-8 without control characters. */
bool group_member_valid(const char *member, size_t len);

/* {"action":"…","group":"…" without the closing brace; group NULL = none. */
void group_text_open(struct buf *out, const char *action, const char *group);
/* ,"name":value with a value of valid JSON as it stands. */
void group_text_add(struct buf *out, const char *name, const struct json_span *value);

/* What the hub answered. The spans point into its text. */
struct group_answer {
    struct json_span count, failed, durability, deliveries, visibility_ms, gap, code, error;
    bool created;
};
/* Errors: NHUB_EPROTO. */
NHUB_MUST_USE nhub_err group_answer_read(const char *text, size_t len, struct group_answer *out);
/* How many the hub says it did; 0 when it does not. */
uint64_t group_answer_count(const struct group_answer *a);
/* Why the hub refused: its words in *code and *error (cut to what fits), and the reason of ours. */
enum reject_reason group_answer_refusal(const struct group_answer *a, char *code, size_t code_size,
                                        char *error, size_t error_size);
/* Why a request that was not answered well failed, in words for the client; NHUB_EREFUSED is not
 * for here. */
enum reject_reason group_failure(const struct query_job *job, const char **out_detail);

struct group_delivery {
    char name[DELIVERY_TEXT_MAX];
    struct delivery id;
};
/* One after the other; *pos starts at 0. Errors: NHUB_ENOTFOUND at the end, NHUB_EPROTO. */
NHUB_MUST_USE nhub_err group_answer_delivery(const struct group_answer *a, size_t *pos,
                                             struct group_delivery *out);
/* The same for an array of names, or of objects with a member "delivery". */
NHUB_MUST_USE nhub_err group_delivery_next(const struct json_span *array, size_t *pos,
                                           struct delivery *out);
/* Appends the answer as an object for a client: all members but those of the envelope. With
 * has_failed a "failed" that the hub left out stands there as an empty array.
 * Errors: NHUB_EPROTO. */
NHUB_MUST_USE nhub_err group_answer_copy(const char *text, size_t len, bool has_failed,
                                         struct buf *out);

/* Gives deliveries back by a request that nobody waits for: it frees itself. With is_unseen no
 * consumer saw them, so the attempt is not to count. names: JSON strings with commas between them;
 * taken, empty afterwards. gap: the answer's, that no consumer was told of; NULL = none. query:
 * hub_link_query(). Without memory or a link deliveries come back by their time limit. */
void group_give_back(struct hub_link *link,
                     void (*query)(struct hub_link *link, struct query_job *job), const char *group,
                     struct buf *names, bool is_unseen, const struct json_span *gap);

#endif
