/*
 * http_exchange: from bytes to routes and back.
 */
#include "gateway/protocols/http_exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "base/settings.h"
#include "gateway/gateway.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/http_conn.h"
#include "gateway/protocols/http_loop.h"
#include "gateway/protocols/http_private.h"
#include "gateway/protocols/http_routes.h"
#include "gateway/protocols/http_upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define SPARE_MAX 256 /* requests that are over and whose memory is kept */

/* --- Accessors for the routes ----------------------------------------------------------------- */

const char *http_request_header(const struct http_request *r, const char *name)
{
    return http_fields_get(&r->fields, name);
}

void http_request_each_header(const struct http_request *r,
                              bool (*fn)(void *context, const char *name, const char *value),
                              void *context)
{
    for (size_t i = 0; i < r->fields.count; i++) {
        if (!fn(context, r->fields.list[i].name, r->fields.list[i].value)) {
            return;
        }
    }
}

int http_request_fd(const struct http_request *r)
{
    return r->conn->fd;
}

void http_request_peer(const struct http_request *r, char *out, size_t size)
{
    const struct sockaddr *peer = &r->conn->peer.any;

    snprintf(out, size, "-");
    if (peer->sa_family == AF_INET) {
        net_format_peer(peer, sizeof r->conn->peer.v4, out, size);
    } else if (peer->sa_family == AF_INET6) {
        net_format_peer(peer, sizeof r->conn->peer.v6, out, size);
    }
}

bool http_request_suspend(struct http_request *r, enum http_wait wait,
                          void (*resumed)(struct http_request *r))
{
    struct http_server *server = r->side->server;

    if (atomic_load(&server->is_finishing)) {
        return false;
    }
    if (wait == HTTP_WAIT_ANSWER) {
        atomic_fetch_add(&server->waits, 1);
    } else {
        http_conn_unwatch(r->conn);
    }
    atomic_fetch_add(&server->suspended, 1);
    r->wait = wait;
    r->resumed = resumed;
    r->phase = HTTP_PHASE_SUSPENDED;
    r->deadline_ms = 0; /* whoever is asked now has its own */
    return true;
}

void http_request_wake(struct http_request *r)
{
    http_loop_wake(r->side->loop, &r->letter);
}

void http_request_publish(struct http_request *r, struct publish_job *job)
{
    struct http_side *side = r->side;

    job->letter.next = NULL;
    if (side->last_job) {
        side->last_job->letter.next = &job->letter;
    } else {
        side->first_job = job;
    }
    side->last_job = job;
}

void http_exchange_flush(struct http_side *side)
{
    struct publish_job *first = side->first_job;
    struct publish_job *last = side->last_job;

    if (first) {
        side->first_job = side->last_job = NULL;
        hub_link_publish_chain(side->server->gateway->link, first, last);
    }
}

/* --- The life of a request -------------------------------------------------------------------- */

static struct http_request *take_spare(struct http_side *side)
{
    struct http_request *r = side->spare;

    if (!r) {
        return malloc(sizeof *r);
    }
    side->spare = (struct http_request *)(void *)r->letter.next;
    side->spare_count--;
    return r;
}

static void give_spare(struct http_side *side, struct http_request *r)
{
    if (side->spare_count == SPARE_MAX) {
        free(r);
        return;
    }
    r->letter.next = side->spare ? &side->spare->letter : NULL;
    side->spare = r;
    side->spare_count++;
}

void http_exchange_forget(struct http_side *side)
{
    while (side->spare) {
        free(take_spare(side));
    }
}

bool http_exchange_begin(struct http_conn *conn)
{
    struct http_side *side = conn->side;
    struct http_request *r = take_spare(side);

    if (!r) {
        return false;
    }
    *r = (struct http_request){
        .side = side, .gateway = side->server->gateway, .conn = conn, .phase = HTTP_PHASE_HEAD};
    r->deadline_ms = side->now_ms + HTTP_HEAD_MS;
    if (settings_log_access()) {
        r->start_ns = clock_mono_ns();
    }
    conn->request = r;
    conn->is_end_checked = false;
    return true;
}

static void log_access(const struct http_request *r)
{
    char peer[64];

    http_request_peer(r, peer, sizeof peer);
    log_info("request", log_str("peer", peer),
             log_str("method", r->fields.method ? r->fields.method : "?"),
             log_str("path", r->path ? r->path : "?"),
             log_uint("status", r->answer.status ? r->answer.status : r->logged_status),
             log_uint("bytes", r->answer.page ? r->answer.page->len : r->answer.body.len),
             log_double("duration_ms",
                        r->start_ns ? (double)(clock_mono_ns() - r->start_ns) / 1e6 : 0.0));
}

void http_exchange_completed(struct http_conn *conn, bool was_sent)
{
    struct http_request *r = conn->request;
    struct http_side *side = conn->side;

    if (settings_log_access()) {
        log_access(r);
    }
    conn->request = NULL;
    conn->idle_since_ms = side->now_ms;
    conn->is_end_checked = false;
    r->was_sent = was_sent;
    if (r->free_state) {
        r->free_state(r->state);
    }
    http_server_refund(side->server, r->body_charged);
    buf_fini(&r->body);
    http_answer_fini(&r->answer);
    http_fields_free(&r->fields);
    give_spare(side, r);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void begin_reply(struct http_request *r)
{
    const struct http_answer *a = &r->answer;
    const size_t len = a->page ? a->page->len : a->body.len;

    r->phase = HTTP_PHASE_REPLY;
    r->deadline_ms = r->side->now_ms + HTTP_GRACE_MS + (int64_t)(len / HTTP_BYTES_PER_MS);
    r->keeps_alive = r->keeps_alive && !a->close;
}

void http_exchange_answer(struct http_request *r, struct buf *out, const char **out_body,
                          size_t *out_len)
{
    const char *connection = NULL;

    if (!r->keeps_alive) {
        connection = "close";
    } else if (!r->fields.is_http11) {
        connection = "keep-alive";
    }
    http_answer_head(&r->answer, r->side->date, connection, out);
    *out_body = http_answer_body(&r->answer, out_len);
    if (r->method == HTTP_METHOD_HEAD) {
        *out_len = 0;
    }
}

void http_exchange_refuse(struct http_request *r, enum reject_reason reason, const char *detail)
{
    http_refuse(r, reason, "%s", detail);
    r->answer.close = true;
    begin_reply(r);
}

bool http_exchange_continue(struct http_request *r)
{
    static const char word[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const ssize_t len = sizeof word - 1;

    if (!r->wants_continue) {
        return true;
    }
    r->wants_continue = false;
    /* Nothing else waits in this socket's send buffer, so it fits. */
    return send(r->conn->fd, word, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == len;
}

/* --- The head --------------------------------------------------------------------------------- */

static enum http_method method_of(const char *text)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};

    for (int i = 0; i < HTTP_METHOD_OTHER; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum http_method)i;
        }
    }
    return HTTP_METHOD_OTHER;
}

/* RFC 9112, section 9.3. */
static bool keeps_alive(const struct http_fields *f)
{
    return !http_fields_list(f, "Connection", "close") &&
           (f->is_http11 || http_fields_list(f, "Connection", "keep-alive"));
}

static bool waits_for_our_word(const struct http_request *r)
{
    const char *expect = http_request_header(r, "Expect");

    return expect && r->fields.is_http11 && r->declared != 0 &&
           strcasecmp(expect, "100-continue") == 0;
}

/* What RFC 9112 wants refused although each line is well-formed. NULL: nothing. */
static const char *wrong_with(const struct http_request *r)
{
    const size_t hosts = http_fields_count(&r->fields, "Host");

    if (hosts > 1 || (hosts == 0 && r->fields.is_http11)) {
        return "a request of HTTP/1.1 has one header Host";
    }
    return http_upload_is_clear(r) ? NULL : "the length of the body is not clear";
}

static void take_head(struct http_request *r)
{
    r->keeps_alive = keeps_alive(&r->fields);
    r->declared = http_upload_declared(r);
    r->body_left = r->declared > 0 ? (uint64_t)r->declared : 0;
    r->wants_continue = waits_for_our_word(r);
}

void http_exchange_head(struct http_request *r, const char *text, size_t len)
{
    const nhub_err err = http_fields_read(&r->fields, text, len);
    const char *wrong = NULL;

    counter_add(&r->gateway->counters.requests_total, 1);
    if (err != NHUB_OK) {
        http_exchange_refuse(r, err == NHUB_EPROTO ? REJECT_BAD_REQUEST : REJECT_OVERLOADED,
                             err == NHUB_EPROTO ? "the head is malformed" : "out of memory");
        return;
    }
    r->path = r->fields.path;
    r->query = r->fields.query;
    r->method = method_of(r->fields.method); /* a refusal's form depends on it */
    wrong = wrong_with(r);
    if (wrong) {
        http_exchange_refuse(r, REJECT_BAD_REQUEST, wrong);
        return;
    }
    take_head(r);
    http_routes_begin(r);
    if (r->answer.status == 0 && r->declared > 0 && (uint64_t)r->declared > r->body_limit) {
        http_refuse(r, REJECT_TOO_BIG, "the body has %lld bytes, at most %zu are allowed",
                    (long long)r->declared, r->body_limit);
    }
    if (r->answer.status == 0) {
        r->phase = HTTP_PHASE_BODY;
        r->deadline_ms = r->side->now_ms + HTTP_GRACE_MS;
    } else if (!http_upload_refuse(r)) {
        begin_reply(r);
    }
}

/* --- The body's end, and what comes of it ------------------------------------------------------
 */

/* After run() or resumed(). */
static void after_route(struct http_request *r)
{
    if (r->hang_up || r->phase == HTTP_PHASE_SUSPENDED) {
        return; /* if suspended, it belongs to whoever wakes it from here on */
    }
    if (r->answer.status == 0) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
    }
    begin_reply(r);
}

void http_exchange_end(struct http_request *r)
{
    struct http_server *server = r->side->server;

    if (r->phase == HTTP_PHASE_DISCARD) {
        begin_reply(r);
        return;
    }
    /* A stop waits for this moment to pass, so that nothing is handed over behind its back. */
    atomic_fetch_add(&server->busy, 1);
    http_routes_run(r);
    atomic_fetch_sub(&server->busy, 1);
    after_route(r);
}

void http_exchange_resumed(struct http_request *r)
{
    struct http_server *server = r->side->server;

    if (r->wait == HTTP_WAIT_ANSWER) {
        atomic_fetch_sub(&server->waits, 1);
    }
    atomic_fetch_sub(&server->suspended, 1);
    r->phase = HTTP_PHASE_BODY;
    r->resumed(r);
    after_route(r);
}
