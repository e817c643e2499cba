/*
 * ws_conn: what the WebSocket door says and understands, without frames and sockets: ops in,
 * answers and the session's stream out.
 *
 *   {"op":"welcome","position":"e-42","protocol":"notifyhub.v1.json"}
 *   {"op":"subscribed","id":1,"position":"e-1","resume":{"result":"replayed",…}}
 *   {"op":"unsubscribed","id":2,"position":"e-42"}
 *   {"op":"published","id":3,"seq":43,"epoch":"…","durability":"memory","correlation_id":"…"}
 *   {"op":"pong","id":4}
 *   {"op":"error","id":5,"code":"bad_json","detail":"…"}
 *
 * and what ws_consume.h says of consumer groups.
 *
 * The URL subscribes when it names event_type, since, snapshot or policy; with a bare /ws (or only
 * format) nothing is subscribed until the client says so. A client that asks faster than it is
 * answered is not read for a while; that is no error.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_PROTOCOLS_WS_CONN_H
#define GATEWAY_PROTOCOLS_WS_CONN_H

#include "base/mailbox.h"
#include "base/settings.h"
#include "gateway/counters.h"
#include "gateway/fanout/list.h"
#include "gateway/fanout/session.h"
#include "gateway/protocols/query.h"

#include <stdatomic.h>

#define WS_PROTOCOL_NAME "notifyhub.v1.json"

struct hub_link;
struct publish_job;
struct query_job;
struct ws_conn;

/* What all connections share. */
struct ws_env {
    const struct settings *settings;
    struct gateway_counters *counters;
    struct fanout *fanout;
    struct hub_link *link;     /* NULL: publishes are answered hub_unavailable */
    struct mailbox *published; /* where finished publishes are posted, by the link's thread */
    void (*publish)(struct hub_link *link, struct publish_job *job);
    size_t publishes; /* under way */
    /* consumer groups (ws_consume.h) */
    struct mailbox *answered; /* where finished questions are posted, by the link's thread */
    void (*query)(struct hub_link *link, struct query_job *job);
    size_t group_jobs;           /* under way */
    struct list orphans;         /* fetches that wait for a consumer who is gone */
    atomic_size_t fetched_bytes; /* of deliveries that wait in all connections */
    uint32_t spread;
};

struct ws_transport_ops {
    enum sink_result (*write)(void *context, const void *bytes, size_t len);
    size_t (*held)(const void *context);
    void (*peer)(const void *context, char *out, size_t size); /* "1.2.3.4:5"; "-" = not known */
    void (*pause)(void *context, bool is_paused);              /* read no more messages, or again */
    /* Sends what is buffered, then the close frame. Not inside a call to the transport. */
    void (*close)(void *context, int code, const char *reason);
};

enum ws_close_code {
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_UNSUPPORTED = 1003,
    WS_NO_STATUS = 1005, /* is never sent: the frame has no code */
    WS_BAD_PAYLOAD = 1007,
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009,
    WS_INTERNAL = 1011,
    WS_RESTART = 1012,
    WS_TRY_LATER = 1013,
};

/* Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err ws_conn_create(struct ws_conn **out, struct ws_env *env,
                                      const struct stream_query *query,
                                      const struct ws_transport_ops *ops, void *context);
void ws_conn_destroy(struct ws_conn **conn_p);
/* The handshake is done: says welcome and carries out what the URL asked for. */
void ws_conn_open(struct ws_conn *conn, const struct stream_query *query);
void ws_conn_message(struct ws_conn *conn, const char *text, size_t len); /* any bytes, one text */
void ws_conn_writable(struct ws_conn *conn);
void ws_conn_tick(struct ws_conn *conn); /* each second */
void ws_conn_ping(struct ws_conn *conn);
/* close() follows: at once, or, when the gateway goes, as soon as the publishes under way are
 * answered; nothing further is read until then. */
void ws_conn_end(struct ws_conn *conn, enum session_end why);
bool ws_conn_is_ending(const struct ws_conn *conn);
/* Notes a refusal that the transport made. */
void ws_conn_count_reject(struct ws_env *env, enum reject_reason reason);

/* A publish that was posted to env->published; takes it. */
void ws_conn_published(struct ws_env *env, struct letter *letter);
/* A question about groups that was posted to env->answered; takes it. */
void ws_conn_answered(struct ws_env *env, struct letter *letter);
/* A message of one of our ops, framed: error codes and texts; used by ws_publish.c. */
void ws_conn_send_json(struct ws_conn *conn, struct buf *json);
void ws_conn_send_error(struct ws_conn *conn, const char *id, size_t id_len, const char *code,
                        const char *detail);

#endif
