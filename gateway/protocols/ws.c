/*
 * ws: what the library tells us becomes calls of ws_conn, and the other way round.
 *
 * A peer is made before the library knows the socket, because the head of the request is read by
 * ourselves (ws_head.h).
 *
 * Nothing is written while the library holds a part of an earlier write: a second write would make
 * that grow without bound, or end inside a frame.
 */
#include "gateway/protocols/ws.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "gateway/event_loop.h"
#include "gateway/fanout/fanout.h"
#include "gateway/fanout/list.h"
#include "gateway/memory_ceiling.h"
#include "gateway/protocols/ws_frame.h"
#include "gateway/protocols/ws_head.h"
#include "gateway/protocols/ws_selftest.h"

#include <errno.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RX_BUFFER      1024  /* per connection */
#define TX_PACKET      65536 /* the library sends at most this at once */
#define HANDSHAKE_S    10
#define PING_MS        30000
#define SILENT_MS      75000 /* no sign of life: half-open */
#define CLOSE_WAIT_MS  10000 /* for buffered bytes and the close handshake */
#define ENVELOPE_BYTES 4096  /* of an op around an event */

struct ws_server {
    struct event_loop *loop;
    struct ws_env *env;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws_protocols protocols[2];
    struct ws_peer *adopting; /* whose connection the library is taking at this moment */
    void *foreign_loops[1];
    struct list peers; /* those whose handshake is done */
    size_t count;
    size_t closing_bytes; /* held by peers that close and do not read */
    bool is_preframed, is_closing;
};

struct ws_peer {
    /* What a write needs lies together. */
    struct lws *wsi; /* NULL before the handshake and after the end */
    struct ws_server *server;
    int fd;         /* wsi's */
    int close_code; /* 0 = not closing */
    bool is_blocked, is_killed, is_in_list;
    bool is_counted;      /* among the front door's open connections */
    bool is_close_sent;   /* the library has the close handshake in its hands */
    struct ws_conn *conn; /* from the handshake on; NULL when the stream is over */
    struct list link;
    struct stream_query query;
    struct buf message; /* of several fragments, so far */
    struct buf rest;    /* plain mode: frames that are not written yet */
    int64_t heard_ms, pinged_ms, closing_ms;
    int send_buffer;
    size_t held;          /* bytes of the last write */
    size_t closing_bytes; /* charged to the server while a blocked one closes */
    const char *close_reason;
    const char *self_test; /* bytes to write once open; NULL = a real peer */
    size_t self_test_len;
};

static void count_closed(struct ws_server *server)
{
    counter_sub(&server->env->counters->connections_open, 1);
}

static void peer_free(struct ws_peer *p)
{
    if (p->is_counted) {
        count_closed(p->server);
    }
    if (p->is_in_list) {
        list_remove(&p->link);
        p->server->count--;
    }
    ws_conn_destroy(&p->conn);
    p->server->closing_bytes -= p->closing_bytes;
    fanout_return_send_buffer(p->server->env->fanout, (size_t)p->send_buffer);
    query_free(&p->query);
    buf_fini(&p->message);
    buf_fini(&p->rest);
    free(p);
}

/* Ends the connection without ceremony: the library notices at its next event. */
static void kill_peer(struct ws_peer *p)
{
    if (!p->is_killed && p->wsi) {
        p->is_killed = true;
        (void)shutdown(p->fd, SHUT_RDWR);
        (void)lws_rx_flow_control(p->wsi, 1);
        (void)lws_callback_on_writable(p->wsi);
    }
}

/* Plain mode: one message after the other, as long as the library holds nothing back. */
static bool write_rest_plain(struct ws_peer *p)
{
    unsigned char *room = NULL;
    struct ws_frame frame;
    size_t done = 0;
    bool is_alive = true;

    while (is_alive && done < p->rest.len && !lws_partial_buffered(p->wsi) &&
           ws_frame_parse(p->rest.data + done, p->rest.len - done, &frame) == NHUB_OK) {
        int how = frame.opcode == WS_TEXT           ? LWS_WRITE_TEXT
                  : frame.opcode == WS_CONTINUATION ? LWS_WRITE_CONTINUATION
                                                    : LWS_WRITE_PING;

        if (!frame.final) {
            how |= LWS_WRITE_NO_FIN;
        }
        room = malloc(LWS_PRE + frame.payload_len + 1);
        if (!room) {
            return false;
        }
        memcpy(room + LWS_PRE, p->rest.data + done + frame.head_len, frame.payload_len);
        is_alive =
            lws_write(p->wsi, room + LWS_PRE, frame.payload_len, (enum lws_write_protocol)how) >= 0;
        free(room);
        done += frame.head_len + frame.payload_len;
    }
    buf_consume(&p->rest, done);
    return is_alive;
}

static enum sink_result after_write(struct ws_peer *p, bool is_alive)
{
    if (!is_alive) {
        kill_peer(p);
        return SINK_DEAD;
    }
    if (p->rest.len == 0 && !lws_partial_buffered(p->wsi)) {
        return SINK_SENT;
    }
    p->is_blocked = true;
    (void)lws_callback_on_writable(p->wsi);
    return SINK_BLOCKED;
}

/* The one place where our frames meet the library. */
static enum sink_result write_frames(struct ws_peer *p, const void *bytes, size_t len)
{
    p->held = len; /* at most, while it is blocked */
    if (p->server->is_preframed) {
        /* The library does not change what it passes through; its type only does not say so. */
        unsigned char *raw = (unsigned char *)(uintptr_t)bytes;

        return after_write(p, lws_write(p->wsi, raw, len, LWS_WRITE_HTTP) >= 0);
    }
    buf_add(&p->rest, bytes, len);
    return after_write(p, !p->rest.failed && write_rest_plain(p));
}

/* The library's way to the socket costs a tenth of the kernel's own work. While it has nothing to
 * write itself, frames go straight to the socket, and only what that does not take is the
 * library's. */
static enum sink_result peer_write(void *context, const void *bytes, size_t len)
{
    struct ws_peer *p = context;
    size_t taken = 0;

    if (!p->wsi || p->close_code != 0 || p->is_killed) {
        return SINK_DEAD;
    }
    if (p->server->is_preframed && !lws_partial_buffered(p->wsi)) {
        if (!net_send(p->fd, bytes, len, &taken)) {
            return after_write(p, false);
        }
        if (taken == len) {
            return SINK_SENT;
        }
    }
    return write_frames(p, (const char *)bytes + taken, len - taken);
}

static size_t peer_held(const void *context)
{
    const struct ws_peer *p = context;

    return (p->held < TX_PACKET ? p->held : TX_PACKET) + p->rest.cap +
           FANOUT_KERNEL_BYTES(p->send_buffer);
}

static void peer_pause(void *context, bool is_paused)
{
    struct ws_peer *p = context;

    if (p->wsi && p->close_code == 0) {
        (void)lws_rx_flow_control(p->wsi, is_paused ? 0 : 1);
        if (!is_paused) {
            lws_cancel_service(p->server->context); /* what was read already waits for a turn */
        }
    }
}

/* The close frame of a peer that does not read waits behind what it did not read; that memory is
 * bounded, too. */
static bool may_linger(struct ws_peer *p)
{
    struct ws_server *server = p->server;
    const size_t room =
        (size_t)server->env->settings->gateway.streams_max_bytes / MEMORY_CLOSING_SHARE;
    const size_t held = peer_held(p);

    if (held > room || server->closing_bytes > room - held) {
        return false;
    }
    p->closing_bytes = held;
    server->closing_bytes += held;
    return true;
}

static void peer_close(void *context, int code, const char *reason)
{
    struct ws_peer *p = context;

    if (!p->wsi || p->close_code != 0) {
        return;
    }
    p->close_code = code;
    p->close_reason = reason;
    p->closing_ms = clock_mono_ms();
    if (p->is_blocked && !may_linger(p)) {
        kill_peer(p);
        return;
    }
    (void)lws_rx_flow_control(p->wsi, 1); /* to see the client's answer to the close frame */
    (void)lws_callback_on_writable(p->wsi);
}

static void peer_address(const void *context, char *out, size_t size)
{
    const struct ws_peer *p = context;

    if (p->wsi) {
        net_peer_of(p->fd, out, size);
    }
}

static const struct ws_transport_ops peer_ops = {peer_write, peer_held, peer_address, peer_pause,
                                                 peer_close};

/* While a socket is corked the kernel gathers what is written to it. */
static void set_cork(int fd, int is_corked)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, sizeof is_corked);
}

static int on_established(struct ws_peer *p, struct lws *wsi)
{
    struct ws_server *server = p->server;

    p->wsi = wsi;
    p->fd = lws_get_socket_fd(wsi);
    p->heard_ms = clock_mono_ms();
    p->pinged_ms = p->heard_ms;
    if (p->self_test) {
        return write_frames(p, p->self_test, p->self_test_len) == SINK_DEAD ? -1 : 0;
    }
    if (ws_conn_create(&p->conn, server->env, &p->query, &peer_ops, p) != NHUB_OK) {
        return -1;
    }
    list_append(&server->peers, &p->link);
    p->is_in_list = true;
    server->count++;
    ws_conn_open(p->conn, &p->query);
    query_free(&p->query);
    p->query = (struct stream_query){0};
    if (server->is_closing) {
        ws_conn_end(p->conn, SESSION_END_RESTART);
    }
    set_cork(p->fd, 0); /* see prepare_socket() */
    return 0;
}

static void refuse_message(struct ws_peer *p, enum reject_reason reason, int code, const char *text)
{
    ws_conn_count_reject(p->server->env, reason);
    buf_fini(&p->message);
    peer_close(p, code, text);
}

static void on_message(struct ws_peer *p, const char *bytes, size_t len, bool is_last)
{
    const size_t limit = (size_t)p->server->env->settings->gateway.max_event_bytes + ENVELOPE_BYTES;

    if (len > limit || p->message.len > limit - len) {
        refuse_message(p, REJECT_TOO_BIG, WS_TOO_BIG, "the message is too large");
        return;
    }
    if (is_last && p->message.len == 0) {
        ws_conn_message(p->conn, bytes, len);
        return;
    }
    buf_add(&p->message, bytes, len);
    if (p->message.failed) {
        peer_close(p, WS_INTERNAL, "out of memory");
    } else if (is_last) {
        struct buf message = p->message;

        buf_init(&p->message);
        ws_conn_message(p->conn, message.data, message.len);
        buf_fini(&message);
    }
}

static void on_receive(struct ws_peer *p, struct lws *wsi, const char *bytes, size_t len)
{
    p->heard_ms = clock_mono_ms();
    if (!p->conn || p->close_code != 0) {
        return;
    }
    if (lws_frame_is_binary(wsi)) {
        refuse_message(p, REJECT_BINARY, WS_UNSUPPORTED, "only text messages are understood");
        return;
    }
    on_message(p, bytes, len, lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0);
}

/* Nothing is held back any more: the close frame, or what the session has. */
static int on_writable(struct ws_peer *p)
{
    if (p->is_killed) {
        return -1;
    }
    if (p->is_blocked) {
        if (p->rest.len > 0 && !write_rest_plain(p)) {
            return -1;
        }
        if (p->rest.len > 0 || lws_partial_buffered(p->wsi)) {
            (void)lws_callback_on_writable(p->wsi);
            return 0;
        }
        p->is_blocked = false;
        if (p->rest.data && p->close_code == 0) {
            buf_fini(&p->rest);
        }
        if (p->conn && p->close_code == 0) {
            ws_conn_writable(p->conn);
        }
    }
    /* A second close while the library waits for the client's answer would cut the wait short. */
    if (p->close_code != 0 && !p->is_blocked && !p->is_close_sent) {
        unsigned char reason[124];
        size_t len = strlen(p->close_reason);

        len = len < sizeof reason ? len : sizeof reason;
        memcpy(reason, p->close_reason, len);
        p->is_close_sent = true;
        lws_close_reason(p->wsi, (enum lws_close_status)p->close_code, reason, len);
        return -1;
    }
    return 0;
}

/* The stream is over for us; the library still has the close handshake to do. */
static void on_closing(struct ws_peer *p)
{
    ws_conn_destroy(&p->conn);
    p->is_close_sent = true;
    if (p->close_code == 0) {
        p->close_code = WS_GOING_AWAY;
        p->close_reason = "";
        p->closing_ms = clock_mono_ms();
    }
}

/* A head that was given along is read before the library knows whose the connection is. */
static struct ws_peer *peer_of(struct lws *wsi, enum lws_callback_reasons reason)
{
    struct ws_peer *p = lws_get_opaque_user_data(wsi);
    struct ws_server *server = NULL;

    if (!p && (reason == LWS_CALLBACK_ESTABLISHED || reason == LWS_CALLBACK_WSI_DESTROY) &&
        (server = lws_context_user(lws_get_context(wsi))) && server->adopting) {
        p = server->adopting;
        server->adopting = NULL;
        lws_set_opaque_user_data(wsi, p);
    }
    return p;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct ws_peer *p = wsi ? peer_of(wsi, reason) : NULL;

    (void)user;
    if (!p) {
        return 0;
    }
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        return on_established(p, wsi);
    case LWS_CALLBACK_RECEIVE:
        on_receive(p, wsi, in, len);
        break;
    case LWS_CALLBACK_RECEIVE_PONG:
        p->heard_ms = clock_mono_ms();
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(p);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL: /* the library closes, be it by itself */
        on_closing(p);
        break;
    case LWS_CALLBACK_CLOSED:
        on_closing(p);
        p->wsi = NULL;
        break;
    case LWS_CALLBACK_HTTP:
        return -1; /* the front door hands over upgrades only */
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        peer_free(p);
        break;
    default:
        break;
    }
    return 0;
}

/* The library's answer to the upgrade, our welcome and the answer to the query's subscription leave
 * as one packet: on its way to the client each packet costs more than all else of a handshake. The
 * cork is drawn when the last of them is written, or by the kernel after 200 ms. Other options come
 * from the listener (front_door.c). */
static void prepare_socket(struct ws_peer *p, int fd)
{
    p->send_buffer = (int)fanout_take_send_buffer(p->server->env->fanout);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &p->send_buffer, sizeof p->send_buffer);
    set_cork(fd, 1);
}

/* Takes the peer and the descriptor; head is what was read of the connection already. */
static void hand_over(struct ws_peer *p, int fd, const struct buf *head)
{
    struct ws_server *server = p->server;
    struct lws *wsi = NULL;

    list_init(&p->link);
    buf_init(&p->message);
    buf_init(&p->rest);
    server->adopting = p;
    wsi = lws_adopt_socket_vhost_readbuf(server->vhost, fd, head->data, head->len);
    if (wsi && server->adopting) {
        lws_set_opaque_user_data(wsi, p); /* it is not done with the head yet */
    } else if (server->adopting) {
        log_debug("adopt_failed", log_str("door", "ws"));
        peer_free(p); /* it has closed the descriptor, and never came as far as to know the peer */
    }
    server->adopting = NULL;
}

void ws_adopt(struct ws_server *server, int fd)
{
    struct ws_peer *p = calloc(1, sizeof *p);
    struct buf head;

    buf_init(&head);
    if (!p || !ws_head_take(fd, server->env, &p->query, &head)) {
        if (p) {
            query_free(&p->query);
        }
        free(p);
        buf_fini(&head);
        (void)close(fd);
        count_closed(server);
        return;
    }
    p->is_counted = true;
    p->server = server;
    prepare_socket(p, fd);
    hand_over(p, fd, &head);
    buf_fini(&head);
}

size_t ws_count(const struct ws_server *server)
{
    return server->count;
}

void ws_end_some(struct ws_server *server, size_t n, enum session_end why)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    server->is_closing = true;
    list_foreach (pos, tmp, &server->peers) {
        struct ws_peer *p = list_entry(pos, struct ws_peer, link);

        if (n == 0) {
            return;
        }
        if (p->close_code == 0 && p->conn && !ws_conn_is_ending(p->conn)) {
            ws_conn_end(p->conn, why);
            n--;
        }
    }
}

static void look_after(struct ws_peer *p, int64_t now_ms)
{
    if (p->conn) {
        ws_conn_tick(p->conn);
    }
    if (p->close_code != 0) {
        if (now_ms - p->closing_ms > CLOSE_WAIT_MS) {
            kill_peer(p);
        }
    } else if (now_ms - p->heard_ms > SILENT_MS) {
        log_debug("peer_silent", log_str("door", "ws"), log_int("silent_ms", now_ms - p->heard_ms));
        kill_peer(p);
    } else if (now_ms - p->heard_ms > PING_MS && now_ms - p->pinged_ms > PING_MS && p->conn) {
        p->pinged_ms = now_ms;
        ws_conn_ping(p->conn);
    }
}

void ws_tick(struct ws_server *server, int64_t now_ms)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &server->peers) {
        look_after(list_entry(pos, struct ws_peer, link), now_ms);
    }
}

bool ws_is_preframed(const struct ws_server *server)
{
    return server->is_preframed;
}

void ws_set_preframed(struct ws_server *server, bool is_preframed)
{
    server->is_preframed = is_preframed;
}

static void on_log(int level, const char *line)
{
    size_t len = strlen(line);

    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == ' ')) {
        len--;
    }
    /* Most of these are about a client's mistake; our own counters tell of those that matter. */
    log_debug("libwebsockets", log_int("lws_level", level), log_bytes("text", line, len));
}

/* Adopts one end of a connection and has it write frames; the other end must get just these. */
static bool self_test(struct ws_server *server)
{
    struct ws_selftest test;
    const struct buf nothing = {0};
    struct ws_peer *p = NULL;
    bool is_good = false;

    if (!ws_selftest_open(&test)) {
        return false;
    }
    p = calloc(1, sizeof *p);
    if (p) {
        p->server = server;
        p->self_test = test.frames.data;
        p->self_test_len = test.frames.len;
        hand_over(p, test.server_fd, &nothing);
        test.server_fd = -1;
        for (int i = 0; i < WS_SELFTEST_TURNS && !ws_selftest_is_done(&test); i++) {
            event_loop_once(server->loop);
        }
        is_good = ws_selftest_passed(&test);
    }
    ws_selftest_close(&test);
    for (int i = 0; i < 10; i++) {
        event_loop_once(server->loop); /* the library sees the end of the connection */
    }
    return is_good;
}

/* The library would ping each idle peer after 300 s, and keeps the timers for that in one sorted
 * list that it walks for each new connection: at 10 000 of them most of the time of a handshake.
 * Peers that are gone are noticed by TCP's keepalive (front_door.c). */
static const lws_retry_bo_t no_pings = {.secs_since_valid_ping = 0, .secs_since_valid_hangup = 0};

nhub_err ws_create(struct ws_server **out, struct event_loop *loop, struct ws_env *env)
{
    struct ws_server *server = calloc(1, sizeof *server);
    struct lws_context_creation_info info = {0};

    if (!server) {
        return NHUB_ENOMEM;
    }
    server->loop = loop;
    server->env = env;
    list_init(&server->peers);
    server->protocols[0] = (struct lws_protocols){
        .name = WS_PROTOCOL_NAME,
        .callback = on_event,
        .per_session_data_size = 1, /* without any it would not tell that it closes by itself */
        .rx_buffer_size = RX_BUFFER,
        .tx_packet_size = TX_PACKET,
    };
    server->foreign_loops[0] = event_loop_native(loop);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = server->protocols;
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = server->foreign_loops;
    info.user = server;
    info.gid = -1;
    info.uid = -1;
    info.timeout_secs = HANDSHAKE_S;
    info.retry_and_idle_policy = &no_pings;
    info.max_http_header_data = WS_HEAD_MAX;
    info.max_http_header_pool = 256;
    server->context = lws_create_context(&info);
    if (server->context) {
        info.vhost_name = "default";
        server->vhost = lws_create_vhost(server->context, &info);
    }
    if (!server->vhost) {
        ws_destroy(&server);
        return NHUB_ESYS;
    }
    server->is_preframed = true;
    server->is_preframed = self_test(server);
    if (!server->is_preframed) {
        log_warn("ws_plain_frames",
                 log_str("text", "the self-test of shared frames failed; each message is framed "
                                 "for each client"));
    }
    *out = server;
    return NHUB_OK;
}

void ws_destroy(struct ws_server **server_p)
{
    struct ws_server *server = *server_p;

    *server_p = NULL;
    if (!server) {
        return;
    }
    if (server->context) {
        lws_context_destroy(server->context);
    }
    free(server);
}
