/*
 * ws_publish: one event that a WebSocket client publishes, from its message to the hub's answer.
 *
 * The event is checked as every strict JSON door does, rendered once, and handed to the hub link;
 * the answer comes back through a mailbox, also when the connection is gone by then.
 * Threads: the stream loop's, but for the link's `done`, which only posts.
 */
#ifndef GATEWAY_PROTOCOLS_WS_PUBLISH_H
#define GATEWAY_PROTOCOLS_WS_PUBLISH_H

#include "gateway/fanout/list.h"
#include "gateway/protocols/ws_conn.h"
#include "gateway/protocols/ws_op.h"

/* The publishes of one connection: under way, and held until those before them are answered. */
struct ws_publishes {
    struct list list, held;
    size_t count; /* of both */
    int asked;    /* enum durability, of those under way */
};
void ws_publishes_init(struct ws_publishes *p);
void ws_publishes_abandon(struct ws_publishes *p); /* the connection goes; answers go nowhere */

void ws_publish_start(struct ws_conn *conn, struct ws_env *env, struct ws_publishes *publishes,
                      const struct ws_op *op);
/* Answers and frees it; *out_conn is the connection it belonged to, NULL when that is gone. */
void ws_publish_finish(struct ws_env *env, struct letter *letter, struct ws_conn **out_conn);

#endif
