/*
 * sse: one stream is a socket, a session and what the socket did not take yet.
 *
 * The socket is watched for the client leaving (it has nothing to say; what it sends is dropped,
 * within bounds) and, only while a write is not finished, for room.
 */
#include "gateway/protocols/sse.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/net.h"
#include "base/uuid.h"
#include "gateway/event_loop.h"
#include "gateway/fanout/fanout.h"
#include "gateway/fanout/list.h"
#include "gateway/stream_loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RETRY_MS        2000
#define RETRY_JITTER_MS 3000  /* at a restart clients come back spread over this time */
#define UNASKED_MAX     65536 /* bytes that a client may send into its stream */
#define HEAD_WAIT_MS    500   /* for what the head says of a resume */

struct sse_server {
    struct sse_options options;
    struct list streams;
    struct list ended;    /* to be closed at the end of the turn */
    struct list headless; /* in the order in which they were opened */
    size_t count;
    unsigned jitter;
};

struct sse_stream {
    struct watch watch; /* first: found from it */
    int fd;
    bool is_ended, has_head;
    struct list link;
    struct list headless; /* until it has its head and its turn in that list comes */
    struct sse_server *server;
    struct sse_open *open;
    struct session *session;
    struct buf rest; /* what the socket did not take */
    size_t rest_at;
    size_t unasked;
    int64_t head_due_ms; /* then it goes out without the result */
    int send_buffer;
};

nhub_err sse_create(struct sse_server **out, const struct sse_options *options)
{
    struct sse_server *server = calloc(1, sizeof *server);

    if (!server) {
        return NHUB_ENOMEM;
    }
    server->options = *options;
    list_init(&server->streams);
    list_init(&server->ended);
    list_init(&server->headless);
    random_bytes(&server->jitter, sizeof server->jitter);
    *out = server;
    return NHUB_OK;
}

static void add_head(struct sse_stream *st, struct buf *out, const struct session_start *start);

/* No more bytes; the stream is freed at the end of the turn. */
static void end_stream(struct sse_stream *st)
{
    if (!st->is_ended) {
        st->is_ended = true;
        event_loop_unwatch(&st->watch);
        list_move(&st->server->ended, &st->link);
    }
}

/* Who has heard nothing yet would take the end for a refusal, as proxies do, and not come back. */
static void send_last_head(struct sse_stream *st)
{
    struct buf text;
    size_t taken = 0;

    buf_init(&text);
    add_head(st, &text, NULL);
    buf_add_char(&text, '\n');
    NHUB_IGNORE(!text.failed && net_send(st->fd, text.data, text.len, &taken));
    buf_fini(&text);
}

static void free_stream(struct sse_stream *st)
{
    struct sse_open *open = st->open;
    struct gateway_counters *counters = st->server->options.counters;

    if (!st->has_head) {
        send_last_head(st);
    }
    event_loop_unwatch(&st->watch);
    list_remove(&st->link);
    list_remove(&st->headless);
    session_destroy(&st->session);
    fanout_return_send_buffer(st->server->options.fanout, (size_t)st->send_buffer);
    st->server->count--;
    counter_sub(&counters->sessions[GATEWAY_DOOR_SSE], 1);
    buf_fini(&st->rest);
    (void)shutdown(open->fd, SHUT_WR);
    free(st);
    open->closed(open);
}

size_t sse_count(const struct sse_server *server)
{
    return server->count;
}

static enum sink_result sink_write(void *context, const void *bytes, size_t len)
{
    struct sse_stream *st = context;
    size_t taken = 0;

    if (st->is_ended || !net_send(st->fd, bytes, len, &taken)) {
        end_stream(st);
        return SINK_DEAD;
    }
    if (taken == len) {
        return SINK_SENT;
    }
    buf_reset(&st->rest);
    st->rest_at = 0;
    buf_add(&st->rest, (const char *)bytes + taken, len - taken);
    if (st->rest.failed) {
        end_stream(st);
        return SINK_DEAD;
    }
    event_loop_watch(st->server->options.loop, &st->watch, st->fd, true, true);
    return SINK_BLOCKED;
}

static size_t sink_held(const void *context)
{
    const struct sse_stream *st = context;

    return st->rest.cap + FANOUT_KERNEL_BYTES(st->send_buffer);
}

static void write_rest(struct sse_stream *st)
{
    size_t taken = 0;

    if (!net_send(st->fd, st->rest.data + st->rest_at, st->rest.len - st->rest_at, &taken)) {
        end_stream(st);
        return;
    }
    st->rest_at += taken;
    if (st->rest_at == st->rest.len) {
        buf_fini(&st->rest);
        st->rest_at = 0;
        event_loop_watch(st->server->options.loop, &st->watch, st->fd, true, false);
        session_writable(st->session);
    }
}

/* Whatever a client sends into its stream is dropped; the end of its side is the end. */
static void read_unasked(struct sse_stream *st)
{
    char drop[4096];

    for (;;) {
        const ssize_t n = recv(st->fd, drop, sizeof drop, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (n > 0) {
            st->unasked += (size_t)n;
        }
        if (n <= 0 || st->unasked > UNASKED_MAX) {
            end_stream(st);
            return;
        }
    }
}

static void on_ready(struct watch *w, bool in, bool out)
{
    struct sse_stream *st = (struct sse_stream *)(void *)w;

    if (in) {
        read_unasked(st);
    }
    if (out && !st->is_ended && st->rest.len > 0) {
        write_rest(st);
    }
}

static void add_position(struct buf *out, const char *before, const struct position *p,
                         const char *after)
{
    char text[POSITION_TEXT_MAX];

    if (p->epoch[0] != '\0') {
        (void)position_format(p, text);
        buf_printf(out, "%s%s%s", before, text, after);
    }
}

static void add_resume_header(struct buf *out, const struct session_start *start)
{
    if (!start) {
        buf_add_str(out, "NotifyHub-Resume: pending\r\n");
        return;
    }
    if (start->result == RESUME_NONE) {
        return;
    }
    buf_printf(out, "NotifyHub-Resume: %s", resume_result_name(start->result));
    if (start->has_count) {
        buf_add_str(out, "; count=");
        buf_add_u64(out, start->count);
    }
    if (start->result == RESUME_GAP) {
        buf_printf(out, "; reason=%s", gap_reason_name(start->gap.reason));
    }
    if (start->result == RESUME_REPLAYED || start->result == RESUME_GAP) {
        add_position(out, "; from=\"", &start->from, "\"");
        add_position(out, "; to=\"", &start->to, "\"");
    }
    buf_add_str(out, "\r\n");
}

/* start NULL: the result is not known yet. */
static void add_head(struct sse_stream *st, struct buf *out, const struct session_start *start)
{
    st->has_head = true;
    buf_add_str(out, "HTTP/1.1 200 OK\r\n"
                     "Content-Type: text/event-stream\r\n"
                     "Cache-Control: no-store\r\n"
                     "X-Accel-Buffering: no\r\n"
                     "Connection: close\r\n");
    add_resume_header(out, start);
    buf_add_str(out, st->open->extra_head);
    buf_add_str(out, "\r\n");
    buf_printf(out, "retry: %d\n", RETRY_MS);
}

static void send_text(struct sse_stream *st, struct buf *text)
{
    if (text->failed) {
        session_close(st->session, SESSION_END_FAILED);
    } else {
        session_send(st->session, text->data, text->len);
    }
    buf_fini(text);
}

/* A resume that waits for the hub: the head and an empty block go out meanwhile. */
static void send_early_head(struct sse_stream *st)
{
    struct buf text;

    buf_init(&text);
    add_head(st, &text, NULL);
    buf_add_char(&text, '\n');
    send_text(st, &text);
}

static void sink_started(void *context, uint32_t tag, const struct session_start *start)
{
    struct sse_stream *st = context;
    struct buf text;

    (void)tag;
    buf_init(&text);
    if (!st->has_head) {
        add_head(st, &text, start);
    }
    add_position(&text, "id: ", &start->position, "\n");
    buf_add_char(&text, '\n');
    if (start->result != RESUME_NONE) {
        buf_add_str(&text, "event: hub.resume\ndata: {");
        session_start_members(&text, start);
        buf_add_str(&text, "}\n\n");
    }
    send_text(st, &text);
}

static void sink_end(void *context, enum session_end why)
{
    (void)why;
    end_stream(context); /* an EventSource comes back with its last event id */
}

static void sink_resumed(void *context, uint32_t tag, const struct session_resumed *resumed)
{
    struct buf text;

    (void)tag;
    buf_init(&text);
    add_position(&text, "id: ", &resumed->position, "\n");
    buf_add_str(&text, "event: hub.resumed\ndata: {");
    add_position(&text, "\"position\":\"", &resumed->position, "\",");
    session_resumed_members(&text, resumed);
    buf_add_str(&text, "}\n\n");
    send_text(context, &text);
}

static void sink_waiting(void *context, uint32_t tag, const struct session_waiting *waiting)
{
    struct sse_stream *st = context;
    struct buf text;

    (void)tag;
    if (!st->has_head) {
        send_early_head(st);
    }
    buf_init(&text);
    buf_add_str(&text, "event: hub.waiting\ndata: {");
    session_waiting_members(&text, waiting);
    buf_add_str(&text, "}\n\n");
    send_text(st, &text);
}

/* "peer" and "groups", for those who list clients. */
static void sink_describe(const void *context, struct buf *json)
{
    const struct sse_stream *st = context;
    char peer[64];

    net_peer_of(st->fd, peer, sizeof peer);
    buf_add_str(json, ",\"peer\":");
    buf_add_json_cstr(json, peer);
    buf_add_str(json, ",\"groups\":[]");
}

static const struct sink_ops sse_sink = {sink_write,   sink_held, sink_started, sink_resumed,
                                         sink_waiting, sink_end,  sink_describe};

static void prepare_socket(struct sse_stream *st)
{
    const int fd = st->fd;
    const int on = 1;

    st->send_buffer = (int)fanout_take_send_buffer(st->server->options.fanout);
    /* Neither can fail on a TCP socket; on another kind they do not matter. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &st->send_buffer, sizeof st->send_buffer);
    /* The HTTP server changes it for its own answers; all else comes from the listener. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static enum stream_format format_of(const struct stream_query *q)
{
    if (q->named) {
        return q->cloudevents ? FORMAT_SSE_NAMED_CE : FORMAT_SSE_NAMED;
    }
    return q->cloudevents ? FORMAT_SSE_CE : FORMAT_SSE;
}

static nhub_err subscribe(struct sse_stream *st)
{
    const struct stream_query *q = &st->open->query;
    const bool has_since = q->since.kind != SINCE_NONE;
    const struct session_request request = {
        .patterns = (const char *const *)q->patterns,
        .count = q->pattern_count,
        .since = &q->since,
        .has_foreign_since = q->has_foreign_id,
        .snapshot = q->snapshot && !has_since && !q->has_foreign_id,
    };

    return session_subscribe(st->session, &request);
}

static nhub_err open_session(struct sse_stream *st)
{
    const struct sse_options *o = &st->server->options;
    const struct stream_query *q = &st->open->query;
    const struct session_options options = {
        .door = GATEWAY_DOOR_SSE,
        .format = format_of(q),
        .policy = q->has_policy ? q->policy : o->settings->gateway.policy,
        .sink = &sse_sink,
        .context = st,
        .near = {&st->fd, NULL},
    };

    return session_create(&st->session, o->fanout, &options);
}

void sse_open_stream(struct sse_server *server, struct sse_open *open)
{
    struct sse_stream *st = calloc(1, sizeof *st);
    nhub_err err = st ? NHUB_OK : NHUB_ENOMEM;

    if (st) {
        st->server = server;
        st->open = open;
        st->fd = open->fd;
        st->watch.ready = on_ready;
        list_init(&st->link);
        list_init(&st->headless);
        st->head_due_ms = clock_mono_ms() + HEAD_WAIT_MS;
        buf_init(&st->rest);
        err = open_session(st);
    }
    if (err != NHUB_OK) {
        free(st);
        (void)shutdown(open->fd, SHUT_WR);
        open->closed(open);
        return;
    }
    list_append(&server->streams, &st->link);
    list_append(&server->headless, &st->headless);
    server->count++;
    counter_add(&server->options.counters->sessions[GATEWAY_DOOR_SSE], 1);
    counter_bump(&server->options.counters->sessions_total[GATEWAY_DOOR_SSE], 1);
    prepare_socket(st);
    event_loop_watch(server->options.loop, &st->watch, open->fd, true, false);
    if (subscribe(st) != NHUB_OK) {
        end_stream(st);
    }
}

/* An answer of the hub is most often there before the reader would have read the head. */
static void send_due_heads(struct sse_server *server)
{
    while (!list_empty(&server->headless)) {
        struct sse_stream *st = list_entry(server->headless.next, struct sse_stream, headless);
        const bool is_waiting = !st->has_head && !st->is_ended;

        if (is_waiting && clock_mono_ms() < st->head_due_ms) {
            return; /* the others came later */
        }
        list_remove(&st->headless);
        if (is_waiting) {
            send_early_head(st);
        }
    }
}

void sse_turn(struct sse_server *server)
{
    send_due_heads(server);
    while (!list_empty(&server->ended)) {
        free_stream(list_entry(server->ended.next, struct sse_stream, link));
    }
}

void sse_destroy(struct sse_server **server_p)
{
    struct sse_server *server = *server_p;

    *server_p = NULL;
    if (!server) {
        return;
    }
    list_splice(&server->ended, &server->streams);
    sse_turn(server);
    free(server);
}

void sse_end_some(struct sse_server *server, size_t n)
{
    while (n-- > 0 && !list_empty(&server->streams)) {
        struct sse_stream *st = list_entry(server->streams.next, struct sse_stream, link);
        struct buf text;

        /* A stream in the middle of a block cannot be told; it ends all the same. */
        if (st->rest.len == 0) {
            server->jitter = server->jitter * 1103515245U + 12345U;
            buf_init(&text);
            if (!st->has_head) {
                add_head(st, &text, NULL);
            }
            buf_printf(&text, "retry: %u\n\n", 500 + server->jitter / 65536U % RETRY_JITTER_MS);
            send_text(st, &text);
        }
        end_stream(st);
    }
}
