/*
 * http_conn: a turn goes from step to step until one has to wait. Input lies in the thread's
 * scratch memory and is taken from there; only what is left over at the end of a turn gets memory
 * of the connection's own, so an idle one has none.
 */
#include "gateway/protocols/http_conn.h"

#include "gateway/gateway.h"
#include "gateway/protocols/http_exchange.h"
#include "gateway/protocols/http_private.h"
#include "gateway/protocols/http_upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    STEPS_A_TURN = 64, /* then others come first */
    READ_AHEAD =
        16384, /* bytes that are read without knowing what they are: they may have to wait */
    JOINED_BODY = 4096 /* a body up to this length is copied behind its head */
};

enum step { STEP_ON, STEP_WAIT, STEP_OVER };

/* Bytes that nobody has looked at yet, in the scratch memory. */
struct input {
    char *p;
    size_t len;
};

static void advance(struct input *in, size_t n)
{
    in->p += n;
    in->len -= n;
}

/* ---- in ---- */

/* The client ends its direction. A request that is not complete is told so. */
static enum step on_end(struct http_conn *conn)
{
    if (conn->request) {
        http_conn_answer_unfinished(conn->request);
    }
    return STEP_OVER;
}

/* How much may be read behind what is there, which is a part of a head or nothing: the body, as far
 * as its length is known. */
static size_t room_for(const struct http_conn *conn, const struct input *in)
{
    const struct http_request *r = conn->request;
    const size_t room = sizeof conn->side->scratch->in - in->len;
    const uint64_t wanted = r && r->body_left > READ_AHEAD ? r->body_left : READ_AHEAD - in->len;

    return wanted < room ? (size_t)wanted : room;
}

static enum step read_more(struct http_conn *conn, struct input *in)
{
    struct http_scratch *scratch = conn->side->scratch;
    const size_t room = room_for(conn, in);
    ssize_t n = 0;

    if (!conn->may_read) {
        return STEP_WAIT;
    }
    if (in->len > 0 && in->p != scratch->in) {
        memmove(scratch->in, in->p, in->len);
    }
    in->p = scratch->in;
    n = recv(conn->fd, in->p + in->len, room, MSG_DONTWAIT);
    if (n == 0) {
        return on_end(conn);
    }
    if (n < 0) {
        conn->may_read = false;
        return errno == EAGAIN ? STEP_WAIT : STEP_OVER; /* EINTR is for those who wait */
    }
    /* Fewer bytes than there was room for: no more are there, and the next ones are told. An end
     * that was told already is still to be read. */
    conn->may_read = (size_t)n == room || conn->has_end;
    conn->is_end_checked = false;
    in->len += (size_t)n;
    return STEP_ON;
}

static enum step take_head(struct http_conn *conn, struct input *in)
{
    size_t len = 0;

    while (!conn->request && in->len > 0 && (*in->p == '\r' || *in->p == '\n')) {
        advance(in, 1); /* empty lines before a request (RFC 9112, section 2.2) */
    }
    if (in->len == 0) {
        return read_more(conn, in);
    }
    if (!conn->request && !http_exchange_begin(conn)) {
        return STEP_OVER;
    }
    len = http_fields_end(in->p, in->len);
    if (len > HTTP_HEAD_MAX || (len == 0 && in->len >= HTTP_HEAD_MAX)) {
        http_exchange_refuse(conn->request, REJECT_HEAD_TOO_LARGE,
                             "the head of a request has at most 8192 bytes");
        return STEP_ON;
    }
    if (len == 0) {
        return read_more(conn, in);
    }
    http_exchange_head(conn->request, in->p, len);
    advance(in, len);
    return STEP_ON;
}

static bool is_whole(const struct http_request *r)
{
    return r->declared < 0 ? http_chunks_is_done(&r->chunks) : r->body_left == 0;
}

/* The next piece of the body; *out_len is 0 when there was only what lies between pieces. */
static nhub_err next_piece(struct http_request *r, struct input *in, const char **out,
                           size_t *out_len)
{
    const char *p = in->p;
    size_t len = in->len;
    nhub_err err = NHUB_OK;

    if (r->declared < 0) {
        err = http_chunks_next(&r->chunks, &p, &len, out, out_len);
        advance(in, in->len - len);
        return err;
    }
    *out = in->p;
    *out_len = r->body_left < in->len ? (size_t)r->body_left : in->len;
    r->body_left -= *out_len;
    advance(in, *out_len);
    return NHUB_OK;
}

static enum step take_body(struct http_conn *conn, struct input *in)
{
    struct http_request *r = conn->request;
    const char *piece = NULL;
    size_t len = 0;

    if (is_whole(r)) {
        http_exchange_end(r);
        return r->hang_up ? STEP_OVER : STEP_ON;
    }
    if (in->len == 0) {
        return http_exchange_continue(r) ? read_more(conn, in) : STEP_OVER;
    }
    r->wants_continue = false; /* it did not wait for our word */
    if (next_piece(r, in, &piece, &len) != NHUB_OK) {
        http_exchange_refuse(r, REJECT_BAD_REQUEST, "the chunks of the body are malformed");
        return STEP_ON;
    }
    return len == 0 || http_upload_take(r, piece, len) ? STEP_ON : STEP_OVER;
}

/* The answer is written and nothing follows it: what the client still sends is read, so that the
 * end of the connection does not overtake the answer. */
static enum step forget_input(struct http_conn *conn, struct input *in)
{
    if (in->len == 0) {
        return read_more(conn, in);
    }
    if (conn->request && !http_upload_take(conn->request, in->p, in->len)) {
        return STEP_OVER;
    }
    in->len = 0;
    return STEP_ON;
}

/* ---- out ---- */

static enum step finish_answer(struct http_conn *conn)
{
    const bool keeps_alive = conn->request->keeps_alive;

    conn->is_replying = false;
    http_exchange_completed(conn, true);
    if (!keeps_alive) {
        shutdown(conn->fd, SHUT_WR);
        conn->is_leaving = true;
    }
    return STEP_ON;
}

/* What the socket did not take of the head stays in `out`. */
static bool keep_rest(struct http_conn *conn, const char *head, size_t len)
{
    if (conn->out.len > 0) {
        buf_consume(&conn->out, conn->out.len - len);
    } else {
        buf_add(&conn->out, head, len);
    }
    return !conn->out.failed;
}

/* The head and what is left of the body in one call. */
static ssize_t send_both(struct http_conn *conn, char *head, size_t head_len)
{
    struct iovec parts[2] = {{.iov_base = head, .iov_len = head_len}, {.iov_len = conn->body_left}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    memcpy(&parts[1].iov_base, &conn->body, sizeof conn->body); /* it is only read */
    return sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static enum step push(struct http_conn *conn, char *head, size_t head_len)
{
    ssize_t n = conn->body_left > 0 ? send_both(conn, head, head_len)
                                    : send(conn->fd, head, head_len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN) {
            return STEP_OVER;
        }
        n = 0;
    }
    if ((size_t)n == head_len + conn->body_left) {
        conn->body_left = 0;
        buf_fini(&conn->out);
        return finish_answer(conn);
    }
    conn->may_write = false;
    if ((size_t)n < head_len) {
        return keep_rest(conn, head + n, head_len - (size_t)n) ? STEP_WAIT : STEP_OVER;
    }
    buf_fini(&conn->out);
    conn->body += (size_t)n - head_len;
    conn->body_left -= (size_t)n - head_len;
    return STEP_WAIT;
}

static enum step begin_answer(struct http_conn *conn)
{
    struct http_request *r = conn->request;
    struct buf *out = &conn->side->scratch->out;

    conn->is_replying = true;
    conn->body_left = 0;
    buf_reset(out);
    http_exchange_answer(r, out, &conn->body, &conn->body_left);
    if (conn->body_left <= JOINED_BODY) {
        buf_add(out, conn->body, conn->body_left);
        conn->body_left = 0;
    }
    return out->failed ? STEP_OVER : push(conn, out->data, out->len);
}

static enum step reply(struct http_conn *conn)
{
    if (!conn->is_replying) {
        return begin_answer(conn);
    }
    return conn->may_write ? push(conn, conn->out.data, conn->out.len) : STEP_WAIT;
}

/* ---- turns ---- */

static enum step next_step(struct http_conn *conn, struct input *in)
{
    const struct http_request *r = conn->request;

    if (conn->is_leaving || (r && r->phase == HTTP_PHASE_HUNG_UP)) {
        return forget_input(conn, in);
    }
    if (!r || r->phase == HTTP_PHASE_HEAD) {
        return take_head(conn, in);
    }
    if (r->phase == HTTP_PHASE_REPLY) {
        return reply(conn);
    }
    return r->phase == HTTP_PHASE_SUSPENDED ? STEP_WAIT : take_body(conn, in);
}

/* What was left over comes back into the scratch memory. */
static struct input unpack(struct http_conn *conn)
{
    struct input in = {.p = conn->side->scratch->in, .len = conn->in.len};

    if (in.len > 0) {
        memcpy(in.p, conn->in.data, in.len);
        buf_fini(&conn->in);
    }
    return in;
}

/* False: there is no memory for it, and the connection must end. A suspended request still belongs
 * to whoever wakes it; so its connection ends with its answer. */
static bool pack(struct http_conn *conn, const struct input *in)
{
    struct http_request *r = conn->request;

    if (in->len > 0) {
        buf_add(&conn->in, in->p, in->len);
    }
    if (!conn->in.failed) {
        return true;
    }
    buf_fini(&conn->in);
    if (!r || r->phase != HTTP_PHASE_SUSPENDED) {
        return false;
    }
    r->keeps_alive = false;
    return true;
}

void http_conn_turn(struct http_conn *conn)
{
    enum step step = STEP_ON;
    struct input in = {0};

    if (conn->request && conn->request->phase == HTTP_PHASE_SUSPENDED) {
        return; /* it belongs to whoever wakes it */
    }
    in = unpack(conn);
    for (int i = 0; i < STEPS_A_TURN && step == STEP_ON; i++) {
        step = next_step(conn, &in);
    }
    if (step == STEP_OVER || !pack(conn, &in)) {
        http_conn_close(conn);
    } else if (step == STEP_ON && list_empty(&conn->again)) {
        list_append(&conn->side->again, &conn->again);
    }
}

void http_conn_event(struct http_conn *conn, unsigned events)
{
    conn->has_end = conn->has_end || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    conn->may_read = conn->may_read || conn->has_end || (events & EPOLLIN);
    conn->may_write = conn->may_write || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR));
    http_conn_turn(conn);
}

void http_conn_resume(struct http_conn *conn)
{
    http_exchange_resumed(conn->request);
    if (conn->request->hang_up) {
        http_conn_close(conn);
    } else {
        http_conn_turn(conn);
    }
}

/* ---- life ---- */

static void count_off(struct http_server *server)
{
    atomic_fetch_sub(&server->connections, 1);
    counter_sub(&server->gateway->counters.connections_open, 1);
}

static bool watch(struct http_conn *conn)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = conn};

    conn->is_watched = epoll_ctl(conn->side->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0;
    return conn->is_watched;
}

void http_conn_open(struct http_side *side, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct http_conn *conn = calloc(1, sizeof *conn);

    if (!conn) {
        close(fd);
        count_off(side->server);
        return;
    }
    conn->side = side;
    conn->fd = fd;
    conn->idle_since_ms = side->now_ms;
    list_init(&conn->again);
    if (peer_len <= sizeof conn->peer) {
        memcpy(&conn->peer, peer, peer_len);
    }
    http_conns_add(&side->conns, conn);
    /* The front door has seen its head, so it has something to read: epoll tells it at once. */
    if (!watch(conn)) {
        http_conn_close(conn);
    }
}

void http_conn_unwatch(struct http_conn *conn)
{
    if (conn->is_watched) {
        NHUB_IGNORE(epoll_ctl(conn->side->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL) != 0);
        conn->is_watched = false;
    }
}

void http_conn_close(struct http_conn *conn)
{
    if (conn->request) {
        http_exchange_completed(conn, false);
    }
    http_conns_remove(&conn->side->conns, conn);
    list_remove(&conn->again);
    buf_fini(&conn->in);
    buf_fini(&conn->out);
    close(conn->fd);
    count_off(conn->side->server);
    free(conn);
}
