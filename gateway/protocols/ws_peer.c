/*
 * ws_peer: what is written goes straight to the socket; the rest and the reading follow the loop.
 */
#include "gateway/protocols/ws_peer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "gateway/fanout/fanout.h"
#include "gateway/memory_ceiling.h"
#include "gateway/protocols/ws_opening.h"
#include "gateway/protocols/ws_reader.h"
#include "wire/json_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PING_MS       30000
#define SILENT_MS     75000 /* no sign of life: half-open */
#define CLOSE_WAIT_MS 10000 /* for what waits and the closing handshake */

struct ws_peer {
    /* What a write needs lies together. */
    int fd;
    int close_code;  /* 0 = not closing */
    bool is_opening; /* its bytes are gathered */
    bool is_killed;
    bool is_paused;     /* not read */
    bool is_close_sent; /* our close frame is on its way */
    bool is_finished;   /* nothing that still comes is of interest */
    bool is_broken;
    struct ws_room *room;
    struct buf rest; /* what the socket did not take */
    struct ws_conn *conn;
    struct ws_reader reader;
    struct list link;
    struct buf message;    /* of several parts, so far; */
    size_t message_bytes;  /* charged to the room for it; */
    struct list receiving; /* in the room's list meanwhile */
    struct buf control;    /* the same of a control frame */
    struct buf unread;     /* came before the pause */
    struct buf pong;       /* the latest that waits for the socket */
    int64_t heard_ms, pinged_ms, closing_ms;
    const char *close_reason;
    size_t closing_bytes; /* charged to the room while a blocked one closes */
    int send_buffer;
    struct watch watch;
};

/* The part of a message is somebody else's now, or nobody's. */
static void uncharge_message(struct ws_peer *p)
{
    p->room->message_bytes -= p->message_bytes;
    p->message_bytes = 0;
    list_remove(&p->receiving);
}

static void drop_message(struct ws_peer *p)
{
    uncharge_message(p);
    buf_fini(&p->message);
}

void ws_peer_free(struct ws_peer *p)
{
    struct ws_room *room = p->room;

    event_loop_unwatch(&p->watch);
    (void)close(p->fd);
    counter_sub(&room->env->counters->connections_open, 1);
    list_remove(&p->link);
    room->count--;
    ws_conn_destroy(&p->conn);
    room->closing_bytes -= p->closing_bytes;
    fanout_return_send_buffer(room->env->fanout, (size_t)p->send_buffer);
    drop_message(p);
    buf_fini(&p->rest);
    buf_fini(&p->control);
    buf_fini(&p->unread);
    buf_fini(&p->pong);
    free(p);
}

/* What was read before a pause has no event of its own: the room to write stands in for it. */
static void update_watch(struct ws_peer *p)
{
    const bool in = !p->is_paused;
    const bool out = p->rest.len > 0 || (in && p->unread.len > 0);

    if (in || out) {
        event_loop_watch(p->room->loop, &p->watch, p->fd, in, out);
    } else {
        event_loop_unwatch(&p->watch);
    }
}

/* Ends the connection without ceremony: the loop tells of it. */
static void kill_peer(struct ws_peer *p)
{
    if (!p->is_killed) {
        p->is_killed = true;
        p->is_paused = false;
        (void)shutdown(p->fd, SHUT_RDWR);
        update_watch(p);
    }
}

/* ---- writing ---- */

/* Writes, or keeps what the socket does not take behind what is kept already. */
static enum sink_result put(struct ws_peer *p, const void *bytes, size_t len)
{
    size_t taken = 0;

    if (p->rest.len == 0 && !net_send(p->fd, bytes, len, &taken)) {
        kill_peer(p);
        return SINK_DEAD;
    }
    if (taken == len) {
        return SINK_SENT;
    }
    buf_add(&p->rest, (const char *)bytes + taken, len - taken);
    if (p->rest.failed) {
        kill_peer(p);
        return SINK_DEAD;
    }
    update_watch(p);
    return SINK_BLOCKED;
}

static enum sink_result peer_write(void *context, const void *bytes, size_t len)
{
    struct ws_peer *p = context;

    if (p->close_code != 0 || p->is_killed) {
        return SINK_DEAD;
    }
    if (p->is_opening) {
        buf_add(&p->room->opening, bytes, len);
        return SINK_SENT;
    }
    return put(p, bytes, len);
}

static size_t peer_held(const void *context)
{
    const struct ws_peer *p = context;

    return p->rest.cap + FANOUT_KERNEL_BYTES(p->send_buffer);
}

static void peer_pause(void *context, bool is_paused)
{
    struct ws_peer *p = context;

    if (p->close_code == 0 && !p->is_killed) {
        p->is_paused = is_paused;
        update_watch(p);
    }
}

/* A control frame of ours, of at most WS_CONTROL_MAX bytes. */
static void put_control(struct ws_peer *p, enum ws_opcode opcode, const void *payload, size_t len)
{
    unsigned char frame[2 + WS_CONTROL_MAX] = {(unsigned char)(0x80U | opcode), (unsigned char)len};

    if (len > 0) {
        memcpy(frame + 2, payload, len);
    }
    NHUB_IGNORE(put(p, frame, 2 + len) == SINK_SENT); /* a dead one is killed */
}

/* ---- closing ---- */

/* Section 7.1.1: the server ends the connection first. One that is broken may still be sending. */
static bool is_over(const struct ws_peer *p)
{
    return p->is_finished && p->is_close_sent && p->rest.len == 0 && !p->is_broken;
}

/* The close frame, when it is time for it and nothing waits before it. */
static void go_on_closing(struct ws_peer *p)
{
    unsigned char payload[WS_CONTROL_MAX] = {(unsigned char)((unsigned)p->close_code >> 8),
                                             (unsigned char)((unsigned)p->close_code & 0xffU)};
    const size_t most = sizeof payload - 2;
    size_t len = 0;

    if (p->close_code == 0 || p->is_killed || p->is_opening || p->rest.len > 0) {
        return;
    }
    if (!p->is_close_sent) {
        p->is_close_sent = true;
        len = strlen(p->close_reason);
        len = len < most ? len : most;
        memcpy(payload + 2, p->close_reason, len);
        put_control(p, WS_CLOSE, payload, p->close_code == WS_NO_STATUS ? 0 : 2 + len);
    }
    if (p->is_broken && p->rest.len == 0 && !p->is_killed) {
        (void)shutdown(p->fd, SHUT_WR);
    }
}

/* The close frame of a peer that does not read waits behind what it did not read; that memory is
 * bounded, too. */
static bool may_linger(struct ws_peer *p)
{
    struct ws_room *room = p->room;
    const size_t most =
        (size_t)room->env->settings->gateway.streams_max_bytes / MEMORY_CLOSING_SHARE;
    const size_t held = peer_held(p);

    if (held > most || room->closing_bytes > most - held) {
        return false;
    }
    p->closing_bytes = held;
    room->closing_bytes += held;
    return true;
}

static void peer_close(void *context, int code, const char *reason)
{
    struct ws_peer *p = context;

    if (p->close_code != 0 || p->is_killed) {
        return;
    }
    p->close_code = code;
    p->close_reason = reason;
    p->closing_ms = clock_mono_ms();
    drop_message(p); /* nothing is carried out any more */
    if (p->rest.len > 0 && !may_linger(p)) {
        kill_peer(p);
        return;
    }
    p->is_paused = false; /* to see the client's answer to the close frame */
    go_on_closing(p);
    update_watch(p);
}

static void peer_address(const void *context, char *out, size_t size)
{
    const struct ws_peer *p = context;

    net_peer_of(p->fd, out, size);
}

static const struct ws_transport_ops peer_ops = {peer_write, peer_held, peer_address, peer_pause,
                                                 peer_close};

/* ---- reading ---- */

static void refuse_message(struct ws_peer *p, enum reject_reason reason, int code, const char *text)
{
    ws_conn_count_reject(p->room->env, reason);
    peer_close(p, code, text);
}

/* Whoever is longest at a message makes room for the others: it may never be whole. */
static void charge_message(struct ws_peer *p)
{
    struct ws_room *room = p->room;
    const size_t most = (size_t)MEMORY_MESSAGES_BYTES(room->env->settings);

    if (p->message_bytes == 0) {
        list_append(&room->receiving, &p->receiving);
    }
    room->message_bytes += p->message.cap - p->message_bytes;
    p->message_bytes = p->message.cap;
    while (room->message_bytes > most) {
        struct ws_peer *longest = list_entry(room->receiving.next, struct ws_peer, receiving);

        drop_message(longest);
        refuse_message(longest, REJECT_OVERLOADED, WS_TRY_LATER,
                       "too many messages are on their way");
    }
}

static void on_message(struct ws_peer *p, const struct ws_part *part)
{
    const size_t limit = (size_t)MEMORY_MESSAGE_MAX(p->room->env->settings);
    const size_t left = limit > p->message.len ? limit - p->message.len : 0;

    if (!p->conn || p->close_code != 0) {
        return; /* nothing is carried out any more */
    }
    if (part->opcode == WS_BINARY) {
        refuse_message(p, REJECT_BINARY, WS_UNSUPPORTED, "only text messages are understood");
        return;
    }
    if (part->len > left || part->left > left - part->len) {
        refuse_message(p, REJECT_TOO_BIG, WS_TOO_BIG, "the message is too large");
        return;
    }
    if (part->is_last && p->message.len == 0) {
        ws_conn_message(p->conn, part->bytes, part->len);
        return;
    }
    buf_add(&p->message, part->bytes, part->len);
    if (p->message.failed) {
        peer_close(p, WS_INTERNAL, "out of memory");
    } else if (part->is_last) {
        struct buf message = p->message;

        uncharge_message(p);
        buf_init(&p->message);
        ws_conn_message(p->conn, message.data, message.len);
        buf_fini(&message);
    } else if (p->message.cap > 0) {
        charge_message(p);
    }
}

/* Section 5.5.3: of several pings that wait for an answer the latest is answered. */
static void on_ping(struct ws_peer *p, const char *payload, size_t len)
{
    if (p->close_code != 0) {
        return; /* nothing follows a close frame */
    }
    if (p->rest.len == 0) {
        put_control(p, WS_PONG, payload, len);
        return;
    }
    buf_reset(&p->pong);
    buf_add_char(&p->pong, (char)len); /* an empty pong is one, too */
    buf_add(&p->pong, payload, len);
}

/* From here on the connection only ends. */
static void finish(struct ws_peer *p, int code, const char *reason)
{
    p->is_finished = true;
    ws_conn_destroy(&p->conn);
    peer_close(p, code, reason);
    go_on_closing(p);
}

static void on_broken(struct ws_peer *p, int code, const char *reason)
{
    p->is_broken = true;
    finish(p, code, reason);
}

/* Section 7.4: codes that may be sent, and those that are there to be given out. */
static bool is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != WS_NO_STATUS && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* Answered with its own code, which is ignored when it answers a close of ours. */
static void on_close(struct ws_peer *p, const char *payload, size_t len)
{
    unsigned code = WS_NO_STATUS;

    if (len >= 2) {
        code = (unsigned)(unsigned char)payload[0] << 8 | (unsigned char)payload[1];
    }
    if (len == 1 || (len >= 2 && !is_close_code(code))) {
        on_broken(p, WS_PROTOCOL_ERROR, "bad close frame");
    } else if (len > 2 && !utf8_valid(payload + 2, len - 2)) {
        on_broken(p, WS_BAD_PAYLOAD, "bad close reason");
    } else {
        finish(p, (int)code, "");
    }
}

static void on_control(struct ws_peer *p, const struct ws_part *part)
{
    const char *payload = part->bytes;
    size_t len = part->len;

    if (!part->is_last || p->control.len > 0) {
        buf_add(&p->control, part->bytes, part->len);
        if (p->control.failed) {
            kill_peer(p);
        }
        payload = p->control.data;
        len = p->control.len;
    }
    if (!part->is_last || p->is_killed) {
        return;
    }
    if (part->opcode == WS_PING) {
        on_ping(p, payload, len);
    } else if (part->opcode == WS_CLOSE) {
        on_close(p, payload, len);
    }
    buf_fini(&p->control);
}

static void on_part(struct ws_peer *p, const struct ws_part *part)
{
    switch (part->kind) {
    case WS_PART_NONE:
        break;
    case WS_PART_MESSAGE:
        on_message(p, part);
        break;
    case WS_PART_CONTROL:
        on_control(p, part);
        break;
    case WS_PART_BROKEN:
        on_broken(p, WS_PROTOCOL_ERROR, part->reason);
        break;
    }
}

/* Until the end, or until the connection's pace says that it is enough. */
static void take(struct ws_peer *p, char *bytes, size_t len)
{
    struct ws_part part;
    size_t at = 0;

    while (at < len && !p->is_paused && !p->is_finished && !p->is_killed) {
        at += ws_reader_next(&p->reader, bytes + at, len - at, &part);
        on_part(p, &part);
    }
    if (at < len && p->is_paused) {
        buf_add(&p->unread, bytes + at, len - at);
        if (p->unread.failed) {
            kill_peer(p);
        }
    }
}

static void take_unread(struct ws_peer *p)
{
    struct buf unread = p->unread;

    buf_init(&p->unread);
    take(p, unread.data, unread.len);
    buf_fini(&unread);
    update_watch(p);
}

/* False: the client has gone. */
static bool read_some(struct ws_peer *p)
{
    char *bytes = p->room->bytes;
    const ssize_t n = recv(p->fd, bytes, WS_READ_SIZE, MSG_DONTWAIT);

    if (n > 0) {
        p->heard_ms = clock_mono_ms();
        take(p, bytes, (size_t)n);
        return true;
    }
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

/* ---- the loop ---- */

static void send_pong(struct ws_peer *p)
{
    if (p->pong.len > 0 && !p->pong.failed && p->close_code == 0) {
        put_control(p, WS_PONG, p->pong.data + 1, p->pong.len - 1);
    }
    buf_fini(&p->pong);
}

/* The socket has room again. */
static void write_rest(struct ws_peer *p)
{
    size_t taken = 0;

    if (!net_send(p->fd, p->rest.data, p->rest.len, &taken)) {
        kill_peer(p);
        return;
    }
    buf_consume(&p->rest, taken);
    if (p->rest.len > 0) {
        return;
    }
    buf_fini(&p->rest);
    send_pong(p);
    if (p->conn && p->close_code == 0 && p->rest.len == 0 && !p->is_killed) {
        ws_conn_writable(p->conn);
    }
    go_on_closing(p);
    update_watch(p);
}

static void on_ready(struct watch *w, bool in, bool out)
{
    struct ws_peer *p = (struct ws_peer *)(void *)((char *)w - offsetof(struct ws_peer, watch));
    bool is_gone = p->is_killed;

    if (out && !is_gone && p->rest.len > 0) {
        write_rest(p);
    }
    if (!is_gone && !p->is_paused && p->unread.len > 0) {
        take_unread(p);
    } else if (in && !is_gone && !p->is_paused) {
        is_gone = !read_some(p);
    }
    if (is_gone || p->is_killed || is_over(p)) {
        ws_peer_free(p);
    }
}

/* ---- life ---- */

/* The server's answer, our welcome and the answer to the query's subscription leave as one packet:
 * on its way to the client each packet costs more than all else of an opening. */
static void open_conn(struct ws_peer *p, const struct ws_opening *opening)
{
    struct ws_room *room = p->room;

    buf_reset(&room->opening);
    ws_opening_answer(opening, &room->opening);
    p->is_opening = true;
    ws_conn_open(p->conn, &opening->query);
    p->is_opening = false;
    if (room->opening.failed) {
        kill_peer(p);
        return;
    }
    NHUB_IGNORE(put(p, room->opening.data, room->opening.len) == SINK_SENT);
    if (room->is_closing) {
        ws_conn_end(p->conn, SESSION_END_RESTART);
    }
    go_on_closing(p);
    update_watch(p);
}

/* Other options come from the listener (front_door.c). */
static void prepare_socket(struct ws_peer *p)
{
    p->send_buffer = (int)fanout_take_send_buffer(p->room->env->fanout);
    (void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &p->send_buffer, sizeof p->send_buffer);
}

void ws_peer_open(struct ws_room *room, struct ws_opening **opening_p)
{
    struct ws_opening *opening = *opening_p;
    struct ws_peer *p = calloc(1, sizeof *p);

    *opening_p = NULL;
    if (!p) {
        ws_opening_destroy(&opening);
        counter_sub(&room->env->counters->connections_open, 1);
        return;
    }
    p->fd = opening->fd;
    opening->fd = -1;
    p->room = room;
    p->watch.ready = on_ready;
    p->heard_ms = clock_mono_ms();
    p->pinged_ms = p->heard_ms;
    list_init(&p->receiving);
    list_append(&room->peers, &p->link);
    room->count++;
    prepare_socket(p);
    if (ws_conn_create(&p->conn, room->env, &opening->query, &peer_ops, p) == NHUB_OK) {
        open_conn(p, opening);
    } else {
        ws_peer_free(p);
    }
    ws_opening_destroy(&opening);
}

struct ws_peer *ws_peer_of(struct list *link)
{
    return list_entry(link, struct ws_peer, link);
}

bool ws_peer_end(struct ws_peer *p, enum session_end why)
{
    if (p->close_code != 0 || !p->conn || ws_conn_is_ending(p->conn)) {
        return false;
    }
    ws_conn_end(p->conn, why);
    return true;
}

void ws_peer_tick(struct ws_peer *p, int64_t now_ms)
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
