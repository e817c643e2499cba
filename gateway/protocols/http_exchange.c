/*
 * http_exchange: libmicrohttpd's callbacks, turned into requests for the routes.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "base/settings.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_loop.h"
#include "gateway/protocols/http_private.h"
#include "gateway/protocols/http_routes.h"
#include "gateway/protocols/http_upload.h"
#include "gateway/protocols/query.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Accessors for the routes ----------------------------------------------------------------- */

const char *http_request_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

struct header_visit {
    bool (*fn)(void *context, const char *name, const char *value);
    void *context;
};

static enum MHD_Result visit_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct header_visit *visit = cls;

    (void)kind;
    return visit->fn(visit->context, name, value ? value : "") ? MHD_YES : MHD_NO;
}

void http_request_each_header(const struct http_request *r,
                              bool (*fn)(void *context, const char *name, const char *value),
                              void *context)
{
    struct header_visit visit = {.fn = fn, .context = context};

    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, visit_header, &visit);
}

int http_request_fd(const struct http_request *r)
{
    return r->conn->fd;
}

void http_request_peer(const struct http_request *r, char *out, size_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    snprintf(out, size, "-");
    if (info && info->client_addr && info->client_addr->sa_family != AF_UNIX) {
        const bool is_v6 = info->client_addr->sa_family == AF_INET6;

        net_format_peer(info->client_addr,
                        is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in), out,
                        size);
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
    }
    atomic_fetch_add(&server->suspended, 1);
    r->wait = wait;
    r->resumed = resumed;
    r->phase = HTTP_PHASE_SUSPENDED;
    r->deadline_ms = 0; /* whoever is asked now has its own */
    MHD_suspend_connection(r->connection);
    return true;
}

void http_request_wake(struct http_request *r)
{
    http_loop_wake(r->side->loop, &r->letter);
}

/* --- The life of a request -------------------------------------------------------------------- */

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

/* Splits the target at '?' and decodes the path. An absolute form (RFC 9112, section 3.2.2) loses
 * its scheme and authority. */
static bool take_uri(struct http_request *r, const char *uri)
{
    const char *start = uri;
    const char *query = NULL;
    size_t path_len, decoded_len;

    if (strncmp(uri, "http://", 7) == 0 || strncmp(uri, "https://", 8) == 0) {
        start = strchr(strchr(uri, ':') + 3, '/');
        start = start ? start : "/";
    }
    query = strchr(start, '?');
    path_len = query ? (size_t)(query - start) : strlen(start);
    r->uri = malloc(strlen(start) + 2);
    if (!r->uri) {
        return false;
    }
    r->query = r->uri + path_len + 1;
    strcpy(r->query, query ? query + 1 : ""); /* room for both parts, each with its NUL */
    r->path = r->uri;
    if (query_decode(start, path_len, false, r->path, &decoded_len) != NHUB_OK) {
        r->path = NULL;
    }
    return true;
}

static struct http_conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* Cuts the query off in libmicrohttpd's own, writable buffer: it would make a table of its
 * parameters, which nobody reads, and close the connection when there are too many for its memory.
 */
static void hide_query(const char *uri)
{
    const char *query = strchr(uri, '?');
    char *end = NULL;

    if (query) {
        memcpy(&end, &query, sizeof end);
        end[1] = '\0';
    }
}

/* MHD_OPTION_URI_LOG_CALLBACK: the request line is there. What is returned becomes the request's
 * context, and NOTIFY_COMPLETED is called for it in every case. */
void *http_exchange_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct http_side *side = cls;
    struct http_request *r = calloc(1, sizeof *r);

    if (!r || !take_uri(r, uri)) {
        free(r);
        return NULL;
    }
    hide_query(uri);
    r->side = side;
    r->gateway = side->server->gateway;
    r->connection = connection;
    r->conn = conn_of(connection);
    if (!r->conn) {
        free(r->uri);
        free(r);
        return NULL;
    }
    r->conn->request = r;
    r->conn->is_end_checked = false;
    r->start_ns = clock_mono_ns();
    r->deadline_ms = clock_mono_ms() + HTTP_HEAD_MS;
    return r;
}

static void log_access(const struct http_request *r)
{
    char peer[64];

    http_request_peer(r, peer, sizeof peer);
    log_info("request", log_str("peer", peer), log_str("method", r->method_text),
             log_str("path", r->path ? r->path : "?"),
             log_uint("status", r->answer.status ? r->answer.status : r->logged_status),
             log_uint("bytes", r->answer.page ? r->answer.page->len : r->answer.body.len),
             log_double("duration_ms", (double)(clock_mono_ns() - r->start_ns) / 1e6));
}

/* The wait of a suspended request is over. */
static void count_resumed(const struct http_request *r)
{
    struct http_server *server = r->side->server;

    if (r->wait == HTTP_WAIT_ANSWER) {
        atomic_fetch_sub(&server->waits, 1);
    }
    atomic_fetch_sub(&server->suspended, 1);
}

void http_exchange_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                             enum MHD_RequestTerminationCode code)
{
    struct http_request *r = *con_cls;

    (void)cls;
    (void)connection;
    if (!r) {
        return;
    }
    *con_cls = NULL;
    if (r->phase == HTTP_PHASE_SUSPENDED) {
        count_resumed(r); /* woken, but the client had left: there was nothing to answer */
    }
    if (settings_log_access()) {
        log_access(r);
    }
    r->conn->request = NULL;
    r->conn->idle_since_ms = clock_mono_ms();
    r->conn->is_end_checked = false;
    r->was_sent = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (r->free_state) {
        r->free_state(r->state);
    }
    http_server_refund(r->side->server, r->body_charged);
    buf_fini(&r->body);
    http_answer_fini(&r->answer);
    free(r->uri);
    free(r);
}

void http_exchange_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                              enum MHD_ConnectionNotificationCode code)
{
    struct http_side *side = cls;
    struct http_conn *conn = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        conn = calloc(1, sizeof *conn);
        *socket_context = conn;
        if (!conn) {
            return; /* its requests are answered with a closed connection */
        }
        conn->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        conn->idle_since_ms = clock_mono_ms();
        http_conns_add(&side->conns, conn);
    } else if (conn) {
        *socket_context = NULL;
        http_conns_remove(&side->conns, conn);
        free(conn);
    }
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        atomic_fetch_sub(&side->server->connections, 1);
        counter_sub(&side->server->gateway->counters.connections_open, 1);
    }
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *response, const struct http_answer *a)
{
    if (a->content_type) {
        NHUB_IGNORE(MHD_add_response_header(response, "Content-Type", a->content_type) == MHD_NO);
    }
    for (const char *const *h = a->page ? a->page->headers : NULL; h && *h; h += 2) {
        NHUB_IGNORE(MHD_add_response_header(response, h[0], h[1]) == MHD_NO);
    }
    for (size_t i = 0; i < a->header_count; i++) {
        NHUB_IGNORE(MHD_add_response_header(response, a->headers[i].name, a->headers[i].value) ==
                    MHD_NO);
    }
    if (a->close) {
        NHUB_IGNORE(MHD_add_response_header(response, "Connection", "close") == MHD_NO);
    }
}

/* libmicrohttpd wants writable memory, but does not write to a persistent body. */
static void *unconst(const void *bytes)
{
    void *p;

    memcpy(&p, &bytes, sizeof p);
    return p;
}

/* A page's response is made once; it is the largest single saving for small answers. */
static struct MHD_Response *shared_response(struct http_server *server, const struct http_answer *a)
{
    struct http_page *page = a->page;
    struct MHD_Response *response = NULL;

    pthread_mutex_lock(&server->pages_lock);
    response = page->shared;
    if (!response) {
        response = MHD_create_response_from_buffer(page->len, unconst(page->bytes),
                                                   MHD_RESPMEM_PERSISTENT);
        if (response) {
            add_headers(response, a);
            page->shared = response;
            page->next = server->pages;
            server->pages = page;
        }
    }
    pthread_mutex_unlock(&server->pages_lock);
    return response;
}

static struct MHD_Response *own_response(struct http_answer *a)
{
    struct MHD_Response *response = NULL;
    size_t len = a->page ? a->page->len : a->body.len;
    char *bytes = NULL;

    if (a->page || len == 0) {
        response = MHD_create_response_from_buffer(len, unconst(a->page ? a->page->bytes : ""),
                                                   MHD_RESPMEM_PERSISTENT);
    } else {
        /* The answer keeps its length for the access log. */
        bytes = a->body.data;
        response = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
        if (response) {
            a->body.data = NULL;
        }
    }
    if (response) {
        add_headers(response, a);
    }
    return response;
}

static enum MHD_Result queue_answer(struct http_request *r)
{
    struct http_answer *a = &r->answer;
    const bool is_shared = a->page && a->header_count == 0 && !a->close;
    const size_t len = a->page ? a->page->len : a->body.len;
    struct MHD_Response *response =
        is_shared ? shared_response(r->side->server, a) : own_response(a);
    enum MHD_Result result = MHD_NO;

    r->phase = HTTP_PHASE_REPLY;
    r->deadline_ms = clock_mono_ms() + HTTP_GRACE_MS + (int64_t)(len / HTTP_BYTES_PER_MS);
    if (response) {
        result = MHD_queue_response(r->connection, a->status, response);
        if (!is_shared) {
            MHD_destroy_response(response); /* the connection has its own reference */
        }
    }
    return result;
}

/* --- The access handler ----------------------------------------------------------------------- */

static enum MHD_Result on_head(struct http_request *r, const char *method)
{
    r->method = method_of(method);
    snprintf(r->method_text, sizeof r->method_text, "%s", method);
    counter_add(&r->gateway->counters.requests_total, 1);
    if (http_upload_is_clear(r)) {
        http_routes_begin(r);
    } else {
        http_refuse(r, REJECT_BAD_REQUEST, "the length of the body is not clear");
        r->answer.close = true;
    }
    if (r->answer.status == 0) {
        const int64_t declared = http_upload_declared(r);

        if (declared > 0 && (uint64_t)declared > r->body_limit) {
            http_refuse(r, REJECT_TOO_BIG, "the body has %lld bytes, at most %zu are allowed",
                        (long long)declared, r->body_limit);
        }
    }
    if (r->answer.status != 0) {
        return http_upload_refuse(r) ? MHD_YES : queue_answer(r);
    }
    r->phase = HTTP_PHASE_BODY;
    r->deadline_ms = clock_mono_ms() + HTTP_GRACE_MS;
    return MHD_YES;
}

/* After run() or resumed(). */
static enum MHD_Result after_route(struct http_request *r)
{
    if (r->hang_up) {
        return MHD_NO;
    }
    if (r->phase == HTTP_PHASE_SUSPENDED) {
        return MHD_YES; /* from here on the request belongs to whoever wakes it */
    }
    if (r->answer.status == 0) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
    }
    return queue_answer(r);
}

static enum MHD_Result run_route(struct http_request *r)
{
    struct http_server *server = r->side->server;
    enum MHD_Result result;

    /* A stop waits for this moment to pass, so that nothing is handed over behind its back. */
    atomic_fetch_add(&server->busy, 1);
    http_routes_run(r);
    result = r->phase == HTTP_PHASE_SUSPENDED ? MHD_YES : MHD_NO;
    atomic_fetch_sub(&server->busy, 1);
    return result;
}

static enum MHD_Result on_end(struct http_request *r)
{
    switch (r->phase) {
    case HTTP_PHASE_BODY:
        return run_route(r) == MHD_YES ? MHD_YES : after_route(r);
    case HTTP_PHASE_SUSPENDED:
        count_resumed(r);
        r->phase = HTTP_PHASE_BODY;
        r->resumed(r);
        return after_route(r);
    case HTTP_PHASE_DISCARD:
        return queue_answer(r);
    case HTTP_PHASE_HEAD:
    case HTTP_PHASE_HUNG_UP:
    case HTTP_PHASE_REPLY:
        break;
    }
    return MHD_NO;
}

enum MHD_Result http_exchange_request(void *cls, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version,
                                      const char *upload_data, size_t *upload_data_size,
                                      void **con_cls)
{
    struct http_request *r = *con_cls;
    enum MHD_Result result;

    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    if (!r) {
        return MHD_NO; /* no memory for it */
    }
    if (r->phase == HTTP_PHASE_HEAD) {
        return on_head(r, method);
    }
    if (*upload_data_size == 0) {
        return on_end(r);
    }
    result = http_upload_take(r, upload_data, *upload_data_size) ? MHD_YES : MHD_NO;
    *upload_data_size = 0;
    return result;
}
