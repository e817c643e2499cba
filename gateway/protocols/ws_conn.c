/* ws_conn: a session, the ids of requests that wait for an answer, and the texts. */
#include "gateway/protocols/ws_conn.h"

#include "gateway/fanout/fanout.h"
#include "gateway/protocols/ws_consume.h"
#include "gateway/protocols/ws_frame.h"
#include "gateway/protocols/ws_op.h"
#include "gateway/protocols/ws_publish.h"
#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 64    /* requests of one connection to the hub; more are not read */
#define WAITING_MAX   65536 /* bytes of answers to a client that does not read them */

enum { TAG_URL, TAG_RESUME, TAG_NOW }; /* whose id goes into "subscribed" */

struct ws_conn {
    struct ws_env *env;
    const struct ws_transport_ops *ops;
    void *context;
    struct session *session;
    struct ws_publishes publishes;
    struct ws_consumers consumers;
    char *resume_id; /* of a subscribe with since or snapshot that is not answered yet */
    size_t resume_id_len;
    bool is_resuming;
    const struct ws_op *op; /* being carried out */
    bool is_paused;
    bool is_ending; /* as soon as its publishes are answered */
    enum session_end end_why;
};

void ws_conn_count_reject(struct ws_env *env, enum reject_reason reason)
{
    counter_add(&env->counters->rejected[GATEWAY_DOOR_WS][reason], 1);
}

void ws_conn_send_json(struct ws_conn *conn, struct buf *json)
{
    struct buf frame;

    buf_init(&frame);
    if (!json->failed) {
        ws_message_add(&frame, json->data, json->len);
    }
    if (json->failed || frame.failed) {
        session_close(conn->session, SESSION_END_FAILED);
    } else {
        session_send(conn->session, frame.data, frame.len);
    }
    buf_fini(&frame);
    buf_fini(json);
}

static void open_message(struct buf *json, const char *op, const char *id, size_t id_len)
{
    buf_init(json);
    buf_printf(json, "{\"op\":\"%s\"", op);
    if (id_len > 0) {
        buf_add_str(json, ",\"id\":");
        buf_add(json, id, id_len);
    }
}

static void add_position(struct buf *json, const struct position *p)
{
    char text[POSITION_TEXT_MAX];

    if (p->epoch[0] == '\0') {
        buf_add_str(json, ",\"position\":null"); /* the hub was never seen */
    } else {
        (void)position_format(p, text);
        buf_printf(json, ",\"position\":\"%s\"", text);
    }
}

void ws_conn_send_error(struct ws_conn *conn, const char *id, size_t id_len, const char *code,
                        const char *detail)
{
    struct buf json;

    open_message(&json, "error", id, id_len);
    buf_add_str(&json, ",\"code\":");
    buf_add_json_cstr(&json, code);
    buf_add_str(&json, ",\"detail\":");
    buf_add_json_cstr(&json, detail);
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

static void refuse(struct ws_conn *conn, const struct ws_op *op, enum reject_reason reason,
                   const char *detail)
{
    ws_conn_count_reject(conn->env, reason);
    ws_conn_send_error(conn, op->id, op->id_len, reject_reason_code(reason), detail);
}

static enum sink_result sink_write(void *context, const void *bytes, size_t len)
{
    struct ws_conn *conn = context;

    return conn->ops->write(conn->context, bytes, len);
}

static size_t sink_held(const void *context)
{
    const struct ws_conn *conn = context;

    return conn->ops->held(conn->context);
}

static void sink_started(void *context, uint32_t tag, const struct session_start *start)
{
    struct ws_conn *conn = context;
    struct buf json;

    if (tag == TAG_RESUME) {
        open_message(&json, "subscribed", conn->resume_id, conn->resume_id_len);
        conn->is_resuming = false;
    } else if (tag == TAG_NOW) {
        open_message(&json, "subscribed", conn->op->id, conn->op->id_len);
    } else {
        open_message(&json, "subscribed", NULL, 0);
    }
    add_position(&json, &start->position);
    if (start->result != RESUME_NONE) {
        buf_add_str(&json, ",\"resume\":{");
        session_start_members(&json, start);
        buf_add_char(&json, '}');
    }
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

static void sink_end(void *context, enum session_end why)
{
    static const struct {
        int code;
        const char *reason;
    } ends[] = {
        [SESSION_END_SLOW] = {WS_TRY_LATER, "too slow; resume from your last position"},
        [SESSION_END_MEMORY] = {WS_TRY_LATER, "too much is waiting; resume later"},
        [SESSION_END_STALLED] = {WS_TRY_LATER, "nothing was read for a minute"},
        [SESSION_END_RESTART] = {WS_RESTART, "the gateway restarts; reconnect"},
        [SESSION_END_STOP] = {WS_GOING_AWAY, "the gateway stops"},
        [SESSION_END_CLOSED] = {WS_POLICY, "closed by the operator"},
        [SESSION_END_RECONNECT] = {WS_RESTART, "closed by the operator; reconnect"},
        [SESSION_END_FAILED] = {WS_INTERNAL, "out of memory"},
    };
    struct ws_conn *conn = context;

    conn->ops->close(conn->context, ends[why].code, ends[why].reason);
}

static void sink_resumed(void *context, uint32_t tag, const struct session_resumed *resumed)
{
    struct ws_conn *conn = context;
    struct buf json;

    open_message(&json, "resumed", conn->resume_id, tag == TAG_RESUME ? conn->resume_id_len : 0);
    add_position(&json, &resumed->position);
    buf_add_char(&json, ',');
    session_resumed_members(&json, resumed);
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

static void sink_waiting(void *context, uint32_t tag, const struct session_waiting *waiting)
{
    struct ws_conn *conn = context;
    struct buf json;

    open_message(&json, "waiting", conn->resume_id, tag == TAG_RESUME ? conn->resume_id_len : 0);
    buf_add_char(&json, ',');
    session_waiting_members(&json, waiting);
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

/* "peer" and "groups", for those who list clients. */
static void sink_describe(const void *context, struct buf *json)
{
    const struct ws_conn *conn = context;
    struct ws_consumer_figures w;
    const void *iter = NULL;
    const char *comma = "";
    char peer[64] = "-";

    conn->ops->peer(conn->context, peer, sizeof peer);
    buf_add_str(json, ",\"peer\":");
    buf_add_json_cstr(json, peer);
    buf_add_str(json, ",\"groups\":[");
    while (ws_consumers_next(&conn->consumers, &iter, &w)) {
        buf_printf(json, "%s{\"group\":", comma);
        buf_add_json_cstr(json, w.group);
        buf_add_str(json, ",\"member\":");
        buf_add_json_cstr(json, w.member);
        buf_printf(json, ",\"credit\":%u,\"held\":%zu}", (unsigned)w.credit, w.held);
        comma = ",";
    }
    buf_add_str(json, "],\"fetched_bytes\":");
    buf_add_u64(json, ws_consumers_waiting_bytes(&conn->consumers));
}

static const struct sink_ops ws_sink = {sink_write,   sink_held, sink_started, sink_resumed,
                                        sink_waiting, sink_end,  sink_describe};

nhub_err ws_conn_create(struct ws_conn **out, struct ws_env *env, const struct stream_query *query,
                        const struct ws_transport_ops *ops, void *context)
{
    struct ws_conn *conn = calloc(1, sizeof *conn);
    const struct session_options options = {
        .door = GATEWAY_DOOR_WS,
        .format = query->cloudevents ? FORMAT_WS_CE : FORMAT_WS,
        .policy = query->has_policy ? query->policy : env->settings->gateway.policy,
        .sink = &ws_sink,
        .context = conn,
        .near = {conn, context},
    };

    if (!conn) {
        return NHUB_ENOMEM;
    }
    conn->env = env;
    conn->ops = ops;
    conn->context = context;
    ws_publishes_init(&conn->publishes);
    if (session_create(&conn->session, env->fanout, &options) != NHUB_OK) {
        free(conn);
        return NHUB_ENOMEM;
    }
    ws_consumers_init(&conn->consumers, conn, env, conn->session);
    counter_add(&env->counters->sessions[GATEWAY_DOOR_WS], 1);
    counter_add(&env->counters->sessions_total[GATEWAY_DOOR_WS], 1);
    *out = conn;
    return NHUB_OK;
}

void ws_conn_destroy(struct ws_conn **conn_p)
{
    struct ws_conn *conn = *conn_p;

    *conn_p = NULL;
    if (!conn) {
        return;
    }
    ws_publishes_abandon(&conn->publishes);
    ws_consumers_end(&conn->consumers);
    session_destroy(&conn->session);
    counter_sub(&conn->env->counters->sessions[GATEWAY_DOOR_WS], 1);
    free(conn->resume_id);
    free(conn);
}

/* Requests of the client that the hub has not answered yet. */
static size_t in_flight(const struct ws_conn *conn)
{
    return conn->publishes.count + conn->consumers.change_count;
}

/* Reads on or not, by what is owed to the client and by what it owes. */
static void pace(struct ws_conn *conn)
{
    const size_t count = in_flight(conn);
    const bool too_much =
        count >= IN_FLIGHT_MAX || session_waiting_bytes(conn->session) >= WAITING_MAX;
    const bool little =
        count <= IN_FLIGHT_MAX / 2 && session_waiting_bytes(conn->session) <= WAITING_MAX / 2;

    if (session_has_ended(conn->session) || conn->is_ending) {
        return;
    }
    if (!conn->is_paused && too_much) {
        conn->is_paused = true;
        conn->ops->pause(conn->context, true);
    } else if (conn->is_paused && little) {
        conn->is_paused = false;
        conn->ops->pause(conn->context, false);
    }
}

static void say_welcome(struct ws_conn *conn)
{
    const struct position head = fanout_head(conn->env->fanout);
    struct buf json;

    open_message(&json, "welcome", NULL, 0);
    add_position(&json, &head);
    buf_add_str(&json, ",\"protocol\":\"" WS_PROTOCOL_NAME "\",\"max_event_bytes\":");
    buf_add_u64(&json, conn->env->settings->gateway.max_event_bytes);
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

void ws_conn_open(struct ws_conn *conn, const struct stream_query *query)
{
    const bool has_since = query->since.kind != SINCE_NONE;
    const struct session_request request = {
        .patterns = (const char *const *)query->patterns,
        .count = query->pattern_count,
        .since = &query->since,
        .snapshot = query->snapshot && !has_since,
        .tag = TAG_URL,
    };

    say_welcome(conn);
    if (query->pattern_count == 0 && !has_since && !query->snapshot && !query->has_policy) {
        return;
    }
    if (session_subscribe(conn->session, &request) == NHUB_ENOMEM) {
        session_close(conn->session, SESSION_END_FAILED);
    }
}

/* Keeps the id of a subscribe whose answer may come later. */
static bool keep_id(struct ws_conn *conn, const struct ws_op *op)
{
    free(conn->resume_id);
    conn->resume_id = NULL;
    conn->resume_id_len = op->id_len;
    if (op->id_len > 0) {
        conn->resume_id = malloc(op->id_len);
        if (!conn->resume_id) {
            return false;
        }
        memcpy(conn->resume_id, op->id, op->id_len);
    }
    return true;
}

static void do_subscribe(struct ws_conn *conn, const struct ws_op *op)
{
    const bool has_since = op->since.kind != SINCE_NONE;
    const bool is_resume = has_since || op->snapshot;
    const size_t max_patterns = (size_t)conn->env->settings->gateway.max_patterns;
    struct session_request request = {
        .patterns = (const char *const *)op->patterns,
        .count = op->pattern_count,
        .since = &op->since,
        .snapshot = op->snapshot && !has_since,
        .tag = is_resume ? TAG_RESUME : TAG_NOW,
    };
    nhub_err err = NHUB_OK;

    if (session_pattern_count(conn->session) + op->pattern_count > max_patterns) {
        refuse(conn, op, REJECT_TOO_MANY_PATTERNS,
               "this connection would have more than gateway.max_patterns patterns");
        return;
    }
    if (is_resume && session_is_subscribed(conn->session)) {
        refuse(conn, op, REJECT_SINCE_ON_LIVE,
               "since and snapshot are for the first subscription of a connection");
        return;
    }
    if (is_resume && !keep_id(conn, op)) {
        refuse(conn, op, REJECT_OVERLOADED, "out of memory");
        return;
    }
    if (op->has_policy) {
        session_set_policy(conn->session, op->policy);
    }
    conn->is_resuming = is_resume;
    err = session_subscribe(conn->session, &request);
    if (err != NHUB_OK && err != NHUB_ECLOSED) {
        conn->is_resuming = false;
        refuse(conn, op, REJECT_OVERLOADED, nhub_strerror(err));
    }
}

static void do_unsubscribe(struct ws_conn *conn, const struct ws_op *op)
{
    const nhub_err err =
        session_unsubscribe(conn->session, (const char *const *)op->patterns, op->pattern_count);
    struct position position;
    struct buf json;

    if (err != NHUB_OK) {
        refuse(conn, op, REJECT_OVERLOADED, nhub_strerror(err));
        return;
    }
    if (conn->is_resuming && !session_is_subscribed(conn->session)) {
        conn->is_resuming = false;
        ws_conn_count_reject(conn->env, REJECT_CANCELLED);
        ws_conn_send_error(conn, conn->resume_id, conn->resume_id_len,
                           reject_reason_code(REJECT_CANCELLED),
                           "unsubscribed before the resume was answered");
    }
    position = session_position(conn->session);
    open_message(&json, "unsubscribed", op->id, op->id_len);
    add_position(&json, &position);
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

static void do_ping(struct ws_conn *conn, const struct ws_op *op)
{
    struct buf json;

    open_message(&json, "pong", op->id, op->id_len);
    buf_add_char(&json, '}');
    ws_conn_send_json(conn, &json);
}

static void carry_out(struct ws_conn *conn, const struct ws_op *op)
{
    conn->op = op;
    switch (op->kind) {
    case WS_OP_SUBSCRIBE:
        do_subscribe(conn, op);
        break;
    case WS_OP_UNSUBSCRIBE:
        do_unsubscribe(conn, op);
        break;
    case WS_OP_PUBLISH:
        ws_publish_start(conn, conn->env, &conn->publishes, op);
        break;
    case WS_OP_PING:
        do_ping(conn, op);
        break;
    case WS_OP_CONSUME:
    case WS_OP_ACK:
    case WS_OP_NACK:
    case WS_OP_EXTEND:
        ws_consume_op(&conn->consumers, op);
        break;
    }
    conn->op = NULL;
}

void ws_conn_message(struct ws_conn *conn, const char *text, size_t len)
{
    struct ws_op op;
    struct ws_op_error error;
    nhub_err err = NHUB_OK;

    if (session_has_ended(conn->session) || conn->is_ending) {
        return;
    }
    if (!utf8_valid(text, len)) {
        ws_conn_count_reject(conn->env, REJECT_BAD_UTF8);
        conn->ops->close(conn->context, WS_BAD_PAYLOAD, "a text message must be UTF-8");
        return;
    }
    err = ws_op_parse(text, len, (size_t)conn->env->settings->gateway.max_patterns, &op, &error);
    if (err == NHUB_OK) {
        carry_out(conn, &op);
    } else if (err == NHUB_EPROTO) {
        refuse(conn, &op, error.reason, error.detail);
    } else {
        refuse(conn, &op, REJECT_OVERLOADED, "out of memory");
    }
    ws_op_free(&op);
    pace(conn);
}

void ws_conn_writable(struct ws_conn *conn)
{
    ws_consume_writable(&conn->consumers);
    session_writable(conn->session);
    ws_consume_flush(&conn->consumers);
    pace(conn);
}

void ws_conn_tick(struct ws_conn *conn)
{
    ws_consume_tick(&conn->consumers);
}

/* The pong is a sign of life, as all else that comes. Behind bytes that wait it would tell nothing.
 */
void ws_conn_ping(struct ws_conn *conn)
{
    static const unsigned char ping[] = {0x80 | WS_PING, 2, 'n', 'h'};

    if (session_waiting_bytes(conn->session) == 0) {
        session_send(conn->session, ping, sizeof ping);
    }
}

/* An answer that is on its way would be lost with the connection, and leave its publisher in doubt.
 */
void ws_conn_end(struct ws_conn *conn, enum session_end why)
{
    const bool may_wait = why == SESSION_END_RESTART || why == SESSION_END_STOP;

    if (!may_wait || in_flight(conn) == 0 || session_has_ended(conn->session)) {
        session_close(conn->session, why);
    } else if (!conn->is_ending) {
        conn->is_ending = true;
        conn->consumers.is_ending = true;
        conn->end_why = why;
        conn->ops->pause(conn->context, true);
    }
}

bool ws_conn_is_ending(const struct ws_conn *conn)
{
    return conn->is_ending;
}

/* One request of the client less is under way. */
static void after_answer(struct ws_conn *conn)
{
    if (conn->is_ending && in_flight(conn) == 0) {
        session_close(conn->session, conn->end_why);
    } else {
        pace(conn);
    }
}

void ws_conn_published(struct ws_env *env, struct letter *letter)
{
    struct ws_conn *conn = NULL;

    ws_publish_finish(env, letter, &conn);
    if (conn) {
        after_answer(conn);
    }
}

void ws_conn_answered(struct ws_env *env, struct letter *letter)
{
    struct ws_conn *conn = NULL;

    ws_consume_answer(env, letter, &conn);
    if (conn) {
        after_answer(conn);
    }
}
