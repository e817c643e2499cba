/*
 * http_streams: GET /events in its two forms, and failed WebSocket handshakes.
 *
 * A stream is suspended for as long as it lives: the stream loop writes to its descriptor. So
 * everything that can be refused is refused before that; afterwards no answer is possible, only the
 * end.
 */
#include "gateway/protocols/http_streams.h"

#include "gateway/gateway.h"
#include "gateway/protocols/http_head.h"
#include "gateway/protocols/http_media.h"
#include "gateway/protocols/http_server.h"
#include "gateway/protocols/query.h"
#include "gateway/protocols/ws_conn.h"
#include "gateway/stream_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool http_events_is_stream(const struct http_request *r)
{
    const char *accept = NULL;

    if (strcmp(r->path, "/events/stream") == 0) {
        return true;
    }
    if (strcmp(r->path, "/events") != 0) {
        return false;
    }
    accept = http_request_header(r, "Accept");
    return media_wants_event_stream(accept, accept ? strlen(accept) : 0);
}

/* Parses the query for a door; false: refused. */
static bool read_query(struct http_request *r, enum query_door door, struct stream_query *out)
{
    enum reject_reason reason = REJECT_BAD_QUERY;
    char detail[160] = "";

    if (query_parse(r->query, strlen(r->query), door,
                    (size_t)r->gateway->settings->gateway.max_patterns, out, &reason, detail,
                    sizeof detail) == NHUB_OK) {
        return true;
    }
    http_refuse(r, reason, "%s", detail);
    return false;
}

/* ---- streams ---- */

struct stream {
    struct http_request *request;
    struct sse_open open;
};

static void free_stream(void *state)
{
    struct stream *s = state;

    query_free(&s->open.query);
    free(s);
}

/* sse_open.closed, in the stream loop's thread. */
static void stream_closed(struct sse_open *open)
{
    struct stream *s = open->context;

    http_request_wake(s->request);
}

static void stream_over(struct http_request *r)
{
    r->hang_up = true;
}

/* The headers that the answer would have had (CORS) go into the head that the stream loop writes.
 */
static void copy_headers(const struct http_answer *a, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < a->header_count; i++) {
        const int n = snprintf(out + used, size - used, "%s: %s\r\n", a->headers[i].name,
                               a->headers[i].value);

        if (n < 0 || (size_t)n >= size - used) {
            out[used] = '\0'; /* only whole lines; an allowed origin of this length is none */
            return;
        }
        used += (size_t)n;
    }
}

static bool read_stream(struct http_request *r, struct stream *s)
{
    const char *last_id = http_request_header(r, "Last-Event-ID");

    if (!read_query(r, QUERY_DOOR_SSE, &s->open.query)) {
        return false;
    }
    if (last_id && *last_id &&
        query_set_last_event_id(&s->open.query, last_id, strlen(last_id)) != NHUB_OK) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return false;
    }
    return true;
}

static void open_stream(struct http_request *r)
{
    struct stream *s = NULL;

    if (atomic_load(&r->gateway->draining)) {
        http_refuse(r, REJECT_DRAINING, "new streams are not opened any more");
        return;
    }
    s = calloc(1, sizeof *s);
    if (!s) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return;
    }
    r->state = s;
    r->free_state = free_stream;
    if (!read_stream(r, s)) {
        return;
    }
    if (r->method == HTTP_METHOD_HEAD) {
        http_answer_header(r, "Cache-Control", "no-store");
        r->answer.content_type = "text/event-stream";
        http_answer_empty(r, 200);
        return;
    }
    s->request = r;
    s->open.fd = http_request_fd(r);
    s->open.closed = stream_closed;
    s->open.context = s;
    copy_headers(&r->answer, s->open.extra_head, sizeof s->open.extra_head);
    if (!http_request_suspend(r, HTTP_WAIT_STREAM, stream_over)) {
        http_refuse(r, REJECT_DRAINING, "new streams are not opened any more");
        return;
    }
    r->logged_status = 200; /* written by the stream loop */
    stream_loop_open_sse(r->gateway->streams, &s->open);
}

/* ---- history ---- */

struct history {
    struct http_request *request;
    struct history_job job;
};

static void free_history(void *state)
{
    struct history *h = state;

    query_free(&h->job.query);
    buf_fini(&h->job.page);
    free(h);
}

static void history_done(struct history_job *job)
{
    struct history *h = job->context;

    http_request_wake(h->request);
}

static void history_resumed(struct http_request *r)
{
    struct history *h = r->state;

    switch (h->job.err) {
    case NHUB_OK:
        /* Who asks for pages and does not read them has them in our memory. */
        if (!http_server_charge(r->gateway->http, h->job.page.cap)) {
            http_refuse(r, REJECT_OVERLOADED, "too many pages are on their way to their readers");
            break;
        }
        r->body_charged += h->job.page.cap;
        http_answer_header(r, "Cache-Control", "no-store");
        http_answer_buf(r, 200, "application/json", &h->job.page);
        break;
    case NHUB_ETIMEOUT:
        http_refuse_problem(r, &(struct problem){.reason = REJECT_HUB_UNAVAILABLE,
                                                 .status = 504,
                                                 .detail = "the hub did not answer in time"});
        break;
    case NHUB_EUNAVAIL:
        http_refuse(r, REJECT_HUB_UNAVAILABLE,
                    "these events are not in the gateway's cache, and the hub is away");
        break;
    default:
        http_refuse(r, REJECT_OVERLOADED, "the page cannot be made: %s", nhub_strerror(h->job.err));
        break;
    }
}

static void read_history(struct http_request *r)
{
    struct history *h = calloc(1, sizeof *h);

    if (!h) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return;
    }
    r->state = h;
    r->free_state = free_history;
    if (!read_query(r, QUERY_DOOR_HISTORY, &h->job.query)) {
        return;
    }
    h->request = r;
    h->job.done = history_done;
    h->job.context = h;
    if (!http_request_suspend(r, HTTP_WAIT_ANSWER, history_resumed)) {
        http_refuse(r, REJECT_DRAINING, "the gateway stops");
        return;
    }
    stream_loop_history(r->gateway->streams, &h->job);
}

void http_events_run(struct http_request *r)
{
    if (http_events_is_stream(r)) {
        r->door = GATEWAY_DOOR_SSE;
        open_stream(r);
    } else {
        http_answer_header(r, "Vary", "Accept");
        read_history(r);
    }
}

/* ---- failed upgrades ---- */

/* True when a comma-separated header lists the word. */
static bool lists(const char *value, const char *word)
{
    const size_t len = strlen(word);

    for (const char *at = value; at && *at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
        at += strspn(at, " \t");
        if (strncasecmp(at, word, len) == 0 && strchr(", \t", at[len])) { /* or its end */
            return true;
        }
    }
    return false;
}

/* Why the front door did not take the handshake (RFC 6455, section 4.2.1). */
static void refuse_upgrade(struct http_request *r)
{
    const char *upgrade = http_request_header(r, "Upgrade");
    const char *version = http_request_header(r, "Sec-WebSocket-Version");
    const char *offered = http_request_header(r, "Sec-WebSocket-Protocol");
    struct problem problem = {.reason = REJECT_BAD_UPGRADE};
    struct stream_query query;

    if (!upgrade || !lists(upgrade, "websocket")) {
        problem.status = 426;
        problem.detail = "this address speaks WebSocket: send an upgrade (RFC 6455)";
    } else if (!version || strcmp(version, "13") != 0) {
        problem.status = 426;
        problem.detail = "Sec-WebSocket-Version must be 13";
        http_answer_header(r, "Sec-WebSocket-Version", "13");
    } else if (!lists(http_request_header(r, "Connection"), "upgrade")) {
        problem.detail = "the header Connection must name Upgrade";
    } else if (!http_request_header(r, "Sec-WebSocket-Key") ||
               strlen(http_request_header(r, "Sec-WebSocket-Key")) != 24) {
        problem.detail = "Sec-WebSocket-Key must be 16 bytes in base64";
    } else if (offered && *offered &&
               (!lists(offered, WS_PROTOCOL_NAME) ||
                strlen(offered) > HTTP_HEAD_SUBPROTOCOLS_MAX)) {
        problem.detail = "Sec-WebSocket-Protocol must name " WS_PROTOCOL_NAME
                         ", among a few others at most, or be absent";
    } else if (atomic_load(&r->gateway->draining)) {
        http_refuse(r, REJECT_DRAINING, "new sessions are not opened any more");
        return;
    } else {
        const bool is_good = read_query(r, QUERY_DOOR_WS, &query);

        query_free(&query);
        if (!is_good) {
            return;
        }
        problem.status = 426;
        problem.detail = "an upgrade must be the first request of its connection, by GET over "
                         "HTTP/1.1, without repeated headers and odd names of subprotocols";
    }
    if (problem.status == 426) {
        http_answer_header(r, "Upgrade", "websocket");
    }
    http_refuse_problem(r, &problem);
}

void http_ws_run(struct http_request *r)
{
    refuse_upgrade(r);
    r->answer.close = true;
}
