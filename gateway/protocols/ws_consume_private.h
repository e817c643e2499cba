/* ws_consume_private: what ws_consume.c (consumers and what they fetch), ws_consume_change.c (their
 * answers) and ws_group_job.c (questions to the hub) share. */
#ifndef GATEWAY_PROTOCOLS_WS_CONSUME_PRIVATE_H
#define GATEWAY_PROTOCOLS_WS_CONSUME_PRIVATE_H

#include "gateway/protocols/group_text.h"
#include "gateway/protocols/ws_consume.h"
#include "gateway/protocols/ws_held.h"

/* A job of ours: found from its letter. */
struct ws_group_job {
    struct query_job job;
    void (*finish)(struct ws_group_job *j); /* stream loop's thread; frees it */
    struct ws_env *env;
    struct ws_conn *conn; /* NULL = nobody waits for it */
    struct buf text;
    size_t bytes;     /* charged for the events that came */
    bool is_too_much; /* they were let go: all consumers together hold too many */
    char group[GROUP_NAME_MAX + 1];
};

struct ws_consumer {
    struct list link;
    struct ws_consumers *owner;
    struct ws_fetch *fetch;   /* under way at the hub */
    struct ws_fetch *pending; /* came, and is not all sent yet */
    struct ws_held held;
    uint32_t credit;
    int64_t visibility_ms; /* as the last fetch said */
    bool is_told;          /* the consume was answered */
    bool has_own_name;     /* the client named the member */
    int64_t retry_ms;      /* the last fetch failed: the next one not before this; 0 = it did not */
    char group[GROUP_NAME_MAX + 1];
    char member[GROUP_MEMBER_MAX + 1];
    char id[WS_OP_ID_MAX]; /* of the consume that is not answered yet */
    size_t id_len;
};

struct ws_consumer *ws_consumer_find(const struct ws_consumers *c, const char *group);
/* Fetches, if there is credit and nothing under way. */
void ws_consumer_want(struct ws_consumer *w);
/* Asks the hub; finish() follows, in every case and not inside the call. */
void ws_group_ask(struct ws_group_job *j, int64_t wait_ms);
void ws_group_job_fini(struct ws_group_job *j);
/* {"op":"…","id":…,"group":"…" without the closing brace. */
void ws_group_open(struct buf *json, const char *op, const char *id, size_t id_len,
                   const char *group);
/* An error that names the group, counted. */
void ws_group_error(struct ws_conn *conn, struct ws_env *env, const char *id, size_t id_len,
                    const char *group, enum reject_reason reason, const char *detail);
/* Why a job failed. */
enum reject_reason ws_group_why(const struct ws_group_job *j, char *detail, size_t size);

void ws_consume_change(struct ws_consumers *c, const struct ws_op *op);
void ws_changes_abandon(struct ws_consumers *c);

#endif
