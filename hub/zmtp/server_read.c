/*
 * server_read: handshakes and messages in.
 */
#include "zmtp/server_private.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    READ_LEAST = 4 * 1024,
    READ_BYTES = 64 * 1024, /* a few hundred events; what was read is still in the cache */
    COMMAND_MAX = 64 * 1024,
    /* Messages of one peer before it is the turn of the next: enough to pay for the change. */
    TURN_MESSAGES = 64,
    COMMANDS_MAX = 1000,          /* in a row, without a pause: no peer needs as many */
    HEADS_MAX = 8 * ZMTP_HEAD_MAX /* of the frames of a message, which its length does not count */
};

/* ---- the list of those to be read ---- */

void zpeer_make_ready(struct zpeer *p)
{
    struct peer_queue *ready = &p->server->ready;

    if (p->is_ready) {
        return;
    }
    p->is_ready = true;
    p->turn = 0;
    p->next_ready = NULL;
    if (ready->last) {
        ready->last->next_ready = p;
    } else {
        ready->first = p;
    }
    ready->last = p;
}

/* The first one is done for now. */
static struct zpeer *pop_ready(struct zserver *s)
{
    struct zpeer *p = s->ready.first;

    s->ready.first = p->next_ready;
    if (!s->ready.first) {
        s->ready.last = NULL;
    }
    p->is_ready = false;
    p->commands = 0;
    return p;
}

/* ---- bytes in ---- */

/* Memory without content serves the next who reads. */
static void give_back_input(struct zpeer *p)
{
    struct zserver *s = p->server;

    p->at = p->whole = p->seen = 0;
    buf_reset(&p->in);
    if (!s->spare.data && p->in.cap == READ_BYTES) {
        s->spare = p->in;
        buf_init(&p->in);
    } else {
        buf_fini(&p->in);
    }
}

static nhub_err make_room(struct zpeer *p)
{
    if (p->at == p->in.len) {
        p->at = p->whole = p->seen = 0;
        buf_reset(&p->in);
    }
    if (!p->in.data) {
        p->in = p->server->spare;
        buf_init(&p->server->spare);
    }
    if (p->in.cap - p->in.len >= READ_LEAST) {
        return NHUB_OK;
    }
    buf_consume(&p->in, p->at);
    p->whole -= p->at;
    p->seen -= p->at;
    p->at = 0;
    return p->in.cap - p->in.len >= READ_LEAST ? NHUB_OK : buf_reserve(&p->in, READ_BYTES);
}

/* Reads once. False when nothing came: there is nothing now, or the connection ended. */
static bool read_more(struct zpeer *p)
{
    ssize_t n = 0;
    size_t room = 0;

    if (make_room(p) != NHUB_OK) {
        zpeer_refuse(p, "there is no memory for what it sends");
        return false;
    }
    room = p->in.cap - p->in.len;
    do {
        n = recv(p->fd, p->in.data + p->in.len, room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        p->in.len += (size_t)n;
        p->may_read = (size_t)n == room; /* a short read took all there was */
        return true;
    }
    p->may_read = false;
    if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
        zpeer_close(p);
    }
    return false;
}

/* ---- messages ---- */

static size_t message_max(const struct zpeer *p)
{
    return p->server->options.message_max;
}

/* Looks at each frame once, for where messages end. What PULL gets is events, a frame each. */
static void look_for_messages(struct zpeer *p)
{
    const bool takes_frames = p->server->options.type == ZSERVER_PULL;
    struct zmtp_frame frame;
    size_t used = 0;
    nhub_err err = NHUB_OK;

    while (!p->is_bad && (err = zmtp_frame_read(p->in.data + p->seen, p->in.len - p->seen,
                                                message_max(p), &frame, &used)) == NHUB_OK) {
        const bool ends = takes_frames || (frame.is_command ? p->whole == p->seen : !frame.more);

        p->seen += used;
        p->is_bad = p->seen - p->whole > message_max(p) + HEADS_MAX;
        if (ends && !p->is_bad) {
            p->whole = p->seen;
        }
    }
    p->is_bad = p->is_bad || err == NHUB_EPROTO;
}

static void answer_command(struct zpeer *p, const struct zmtp_frame *command)
{
    struct buf pong;

    buf_init(&pong);
    zmtp_add_pong(&pong, command);
    NHUB_IGNORE(zpeer_queue_bytes(p, &pong)); /* without memory it looks as if we were gone */
    buf_fini(&pong);
}

/* The next frame that is here as a whole. */
static bool take_frame(struct zpeer *p, struct zmtp_frame *out)
{
    size_t used = 0;

    while (p->at < p->whole && zmtp_frame_read(p->in.data + p->at, p->whole - p->at, message_max(p),
                                               out, &used) == NHUB_OK) {
        p->at += used;
        if (!out->is_command) {
            p->commands = 0;
            return true;
        }
        answer_command(p, out);
        if (!p->is_inside && ++p->commands > COMMANDS_MAX) { /* what was begun is given out whole */
            p->is_bad = true;
            return false;
        }
    }
    return false;
}

/* ---- handshake ---- */

static const char *const ready_types[] = {
    [ZSERVER_PULL] = "PULL", [ZSERVER_PUB] = "XPUB", [ZSERVER_ROUTER] = "ROUTER"};

static bool is_peer_type(enum zserver_type server, const char *type, size_t len)
{
    static const char *const wanted[][3] = {[ZSERVER_PULL] = {"PUSH"},
                                            [ZSERVER_PUB] = {"SUB", "XSUB"},
                                            [ZSERVER_ROUTER] = {"DEALER", "REQ", "ROUTER"}};

    for (size_t i = 0; i < 3 && wanted[server][i]; i++) {
        if (len == strlen(wanted[server][i]) && memcmp(type, wanted[server][i], len) == 0) {
            return true;
        }
    }
    return false;
}

/* The peer is told as well, as far as it can read it. */
static void refuse_handshake(struct zpeer *p, const char *why)
{
    struct buf error;

    buf_init(&error);
    zmtp_add_error(&error, why);
    NHUB_IGNORE(zpeer_queue_bytes(p, &error)); /* it is cut in any case */
    buf_fini(&error);
    zpeer_flush(p);
    zpeer_refuse(p, why);
}

static void read_greeting(struct zpeer *p)
{
    const nhub_err err = zmtp_greeting_check(p->in.data + p->at, p->in.len - p->at);
    struct buf ready;

    if (err == NHUB_EPROTO) {
        zpeer_refuse(p, "it does not speak ZMTP 3 (ZeroMQ 4 or later) with the mechanism NULL");
        return;
    }
    if (err != NHUB_OK) {
        return;
    }
    p->at = p->whole = p->seen = p->at + ZMTP_GREETING_LEN;
    p->state = PEER_READYING;
    buf_init(&ready);
    zmtp_add_ready(&ready, ready_types[p->server->options.type]);
    if (zpeer_queue_bytes(p, &ready)) {
        zpeer_flush(p);
    } else {
        zpeer_refuse(p, "there is no memory for the handshake with it");
    }
    buf_fini(&ready);
}

static const char *const wrong_type[] = {
    [ZSERVER_PULL] = "events are taken from PUSH sockets here: is it the collector port?",
    [ZSERVER_PUB] = "events go to SUB sockets here: is it the publisher port?",
    [ZSERVER_ROUTER] = "requests are taken from DEALER sockets here: is it the requests port?"};

static void read_ready(struct zpeer *p)
{
    struct zmtp_frame frame;
    size_t used = 0;
    const char *type = NULL;
    size_t type_len = 0;
    const nhub_err err =
        zmtp_frame_read(p->in.data + p->at, p->in.len - p->at, COMMAND_MAX, &frame, &used);

    if (err == NHUB_EAGAIN) {
        return;
    }
    if (err != NHUB_OK || zmtp_ready_type(&frame, &type, &type_len) != NHUB_OK) {
        refuse_handshake(p, "its handshake is not ZMTP's, or it refuses ours");
    } else if (!is_peer_type(p->server->options.type, type, type_len)) {
        refuse_handshake(p, wrong_type[p->server->options.type]);
    } else {
        p->at = p->whole = p->seen = p->at + used;
        p->state = PEER_OPEN;
        look_for_messages(p);
    }
}

/* Looks at what was read last. */
static void take_bytes(struct zpeer *p)
{
    if (p->state == PEER_OPEN) {
        look_for_messages(p);
        return;
    }
    if (p->state == PEER_GREETING) {
        read_greeting(p);
    }
    if (p->fd >= 0 && p->state == PEER_READYING) {
        read_ready(p);
    }
}

/* ---- giving out ---- */

/* Lets the next peer have its turn, between two messages. */
static void end_turn(struct zserver *s)
{
    zpeer_make_ready(pop_ready(s));
}

static void give_out(struct zserver *s, struct zpeer *p, const struct zmtp_frame *frame)
{
    if (s->options.type == ZSERVER_PUB) {
        zpeer_take_subscription(p, frame);
    }
    p->is_inside = frame->more && s->options.type != ZSERVER_PULL;
    if (p->fd < 0) {
        return; /* it is not in the list any more */
    }
    if ((!frame->more || s->options.type == ZSERVER_PULL) && ++p->turn >= TURN_MESSAGES) {
        end_turn(s);
    }
}

nhub_err zserver_next(struct zserver *s, struct zpeer **out_peer, struct zmtp_frame *out)
{
    struct zpeer *p;

    while ((p = s->ready.first) != NULL) {
        if (take_frame(p, out)) {
            *out_peer = p;
            give_out(s, p, out);
            return NHUB_OK;
        }
        if (p->is_bad) {
            zpeer_refuse(p, "what it sends is no ZMTP, or too long");
        } else if (!p->may_read) {
            (void)pop_ready(s);
            if (p->at == p->in.len) {
                give_back_input(p);
            }
        } else if (read_more(p)) {
            take_bytes(p);
        }
    }
    return NHUB_EAGAIN;
}
