/*
 * ws_consume: the consumer groups of one WebSocket connection.
 *
 *   {"op":"consuming","id":5,"group":"g","credit":10,"member":"worker-1"}
 *   {"op":"delivery","group":"g","delivery":"e-17.1","attempt":1,"event":{…}}
 *   {"op":"group_gap","group":"g","gap":{"from":…,"to":…,"reason":"retention"}}
 *   {"op":"acked","id":6,"group":"g","count":1,"failed":[],"durability":"synced"}
 *   {"op":"nacked",…} {"op":"extended",…}
 *
 * For each group at most one fetch is under way, which waits at the hub; it asks for as many events
 * as the client has credit for. A delivery uses up one credit until it is acknowledged, given back,
 * or its time is over. What was fetched waits here, in memory that all consumers share, and goes
 * out as the session takes it.
 *
 * When the session ends, what it had been sent is given back, and what it had not been sent is
 * given back without counting as an attempt. While the hub is away a consumer keeps trying.
 *
 * Threads: the stream loop's, but for the link's `done`, which only posts.
 */
#ifndef GATEWAY_PROTOCOLS_WS_CONSUME_H
#define GATEWAY_PROTOCOLS_WS_CONSUME_H

#include "gateway/fanout/list.h"
#include "gateway/protocols/ws_conn.h"
#include "gateway/protocols/ws_op.h"

#define WS_GROUPS_MAX 16 /* of one connection */

/* Embedded in its connection. */
struct ws_consumers {
    struct ws_conn *conn;
    struct ws_env *env;
    struct session *session;
    struct list list;
    struct list changes; /* ack, nack and extend under way */
    size_t count, change_count;
    bool
        is_ending; /* the session ends when its requests are answered: nothing more is handed out */
};

void ws_consumers_init(struct ws_consumers *c, struct ws_conn *conn, struct ws_env *env,
                       struct session *session);
/* The session is over: gives everything back. Again: nothing. */
void ws_consumers_end(struct ws_consumers *c);

/* consume, ack, nack or extend. */
void ws_consume_op(struct ws_consumers *c, const struct ws_op *op);
/* The transport is about to be free: one batch to go out before the next records of the stream, so
 * that neither starves the other. Before session_writable(), and … */
void ws_consume_writable(struct ws_consumers *c);
/* … after it: as much as the session takes. */
void ws_consume_flush(struct ws_consumers *c);
/* Each second: time limits, sessions that have ended, another try where the hub was away. */
void ws_consume_tick(struct ws_consumers *c);
/* A job that was posted to env->answered; takes it. *out_conn is the connection it belongs to, NULL
 * when that is gone. */
void ws_consume_answer(struct ws_env *env, struct letter *letter, struct ws_conn **out_conn);

/* For those who list clients. */
struct ws_consumer_figures {
    const char *group, *member;
    uint32_t credit;
    size_t held;
};
/* One after the other; *iter starts as NULL. False at the end. */
bool ws_consumers_next(const struct ws_consumers *c, const void **iter,
                       struct ws_consumer_figures *out);
size_t ws_consumers_waiting_bytes(const struct ws_consumers *c); /* fetched, not yet sent */

#endif
