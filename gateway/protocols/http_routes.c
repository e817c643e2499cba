/*
 * http_routes: one row for each address and method. What is no row is a file of the web root.
 */
#include "gateway/protocols/http_routes.h"

#include "gateway/gateway.h"
#include "gateway/protocols/http_clients.h"
#include "gateway/protocols/http_groups.h"
#include "gateway/protocols/http_health.h"
#include "gateway/protocols/http_publish.h"
#include "gateway/protocols/http_static.h"
#include "gateway/protocols/http_stats.h"
#include "gateway/protocols/http_streams.h"
#include "gateway/protocols/origin.h"

#include <string.h>
#include <strings.h>

#define SMALL_BODY          65536 /* of requests that have no use for one */
#define PREFLIGHT_MAX_AGE_S "600"

/* clang-format off */
static const struct http_route routes[] = {
    {HTTP_METHOD_POST, "/events",        http_publish_admit, http_publish_run},
    {HTTP_METHOD_GET,  "/events",        NULL,               http_events_run},
    {HTTP_METHOD_GET,  "/events/stream", NULL,               http_events_run},
    {HTTP_METHOD_GET,    "/clients",               NULL,             http_clients_run},
    {HTTP_METHOD_DELETE, "/clients/{client}",      NULL,             http_client_delete_run},
    {HTTP_METHOD_GET,    "/types",                 NULL,             http_types_run},
    {HTTP_METHOD_GET,    "/groups",                NULL,             http_groups_list_run},
    {HTTP_METHOD_GET,    "/groups/{group}",        NULL,             http_group_show_run},
    {HTTP_METHOD_PUT,    "/groups/{group}",        http_group_admit, http_group_put_run},
    {HTTP_METHOD_DELETE, "/groups/{group}",        NULL,             http_group_delete_run},
    {HTTP_METHOD_POST,   "/groups/{group}/fetch",  NULL,             http_group_fetch_run},
    {HTTP_METHOD_POST,   "/groups/{group}/ack",    http_group_admit, http_group_ack_run},
    {HTTP_METHOD_POST,   "/groups/{group}/nack",   http_group_admit, http_group_nack_run},
    {HTTP_METHOD_POST,   "/groups/{group}/extend", http_group_admit, http_group_extend_run},
    {HTTP_METHOD_GET,  "/ws",            NULL,               http_ws_run},
    {HTTP_METHOD_GET,  "/health",        NULL,               http_live_run},
    {HTTP_METHOD_GET,  "/health/live",   NULL,               http_live_run},
    {HTTP_METHOD_GET,  "/livez",         NULL,               http_live_run},
    {HTTP_METHOD_GET,  "/health/ready",  NULL,               http_ready_run},
    {HTTP_METHOD_GET,  "/readyz",        NULL,               http_ready_run},
    {HTTP_METHOD_GET,  "/stats",         NULL,               http_stats_run},
    {HTTP_METHOD_GET,  "/metrics",       NULL,               http_metrics_run},
    {HTTP_METHOD_GET,  "/openapi.json",  NULL,               http_static_run},
    {HTTP_METHOD_GET,  "/asyncapi.json", NULL,               http_static_run},
    {HTTP_METHOD_GET,  "/",              NULL,               http_static_run},
};
/* clang-format on */
#define ROUTES (sizeof routes / sizeof routes[0])

const struct http_route *http_routes(size_t *out_count)
{
    *out_count = ROUTES;
    return routes;
}

/* The door under which refusals of this request are counted, as far as the head tells. */
static enum gateway_door door_of(const struct http_request *r)
{
    if (strcmp(r->path, "/ws") == 0) {
        return GATEWAY_DOOR_WS;
    }
    return r->method == HTTP_METHOD_GET && http_events_is_stream(r) ? GATEWAY_DOOR_SSE
                                                                    : GATEWAY_DOOR_HTTP;
}

/* Whether a path is the route's; *out_word is then what stands for its segment in braces, if it has
 * one. */
static bool matches(const char *route, const char *path, const char **out_word)
{
    const char *brace = strchr(route, '{');
    const size_t before = brace ? (size_t)(brace - route) : 0;

    *out_word = NULL;
    if (!brace) {
        return strcmp(route, path) == 0;
    }
    if (strncmp(route, path, before) != 0 || path[before] == '/' || path[before] == '\0') {
        return false;
    }
    *out_word = path + before;
    path += before;
    return strcmp(strchr(brace, '}') + 1, path + strcspn(path, "/")) == 0;
}

const char *http_route_word(const struct http_request *r, size_t *out_len)
{
    const char *word = NULL;

    if (!r->route || !matches(r->route->path, r->path, &word) || !word) {
        return NULL;
    }
    *out_len = strcspn(word, "/");
    return word;
}

/* The methods of a path, as Allow lists them; false when the path is no route's. */
static bool methods_of(const char *path, char out[64])
{
    static const char *const words[] = {[HTTP_METHOD_GET] = "GET, HEAD, ",
                                        [HTTP_METHOD_POST] = "POST, ",
                                        [HTTP_METHOD_PUT] = "PUT, ",
                                        [HTTP_METHOD_DELETE] = "DELETE, "};
    const char *word = NULL;
    bool is_known = false;

    out[0] = '\0';
    for (size_t i = 0; i < ROUTES; i++) {
        if (matches(routes[i].path, path, &word)) {
            strcat(out, words[routes[i].method]);
            is_known = true;
        }
    }
    strcat(out, "OPTIONS"); /* at most each of the methods once */
    return is_known;
}

/* Whether a page of the request's origin may have the answer, and the headers that tell its
 * browser. False: refused. */
static bool check_origin(struct http_request *r)
{
    const struct option_list *allowed = &r->gateway->settings->gateway.allowed_origins;
    const char *origin = http_request_header(r, "Origin");
    const char *host = http_request_header(r, "Host");
    const enum origin_verdict verdict =
        origin_check(origin, origin ? strlen(origin) : 0, host, host ? strlen(host) : 0, allowed);

    if (allowed->count > 0) {
        http_answer_header(r, "Vary", "Origin");
    }
    if (verdict == ORIGIN_FOREIGN) {
        http_refuse(r, REJECT_FOREIGN_ORIGIN,
                    "the page's origin is neither this server nor in gateway.allowed_origins");
        return false;
    }
    if (verdict == ORIGIN_LISTED) {
        http_answer_header(r, "Access-Control-Allow-Origin", origin);
        http_answer_header(r, "Access-Control-Expose-Headers", "NotifyHub-Resume, Retry-After");
    }
    return true;
}

/* What a preflight (Fetch standard, section 3.2.2) asks to be allowed: only a list of header names
 * is repeated. */
static bool is_header_list(const char *text)
{
    const size_t len = strlen(text);

    return len <= 512 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-_, ") == len;
}

static void answer_options(struct http_request *r)
{
    const char *wanted = http_request_header(r, "Access-Control-Request-Headers");
    char methods[64];

    if (!methods_of(r->path, methods) && strcmp(r->path, "*") != 0 &&
        !http_static_has(r->gateway, r->path)) {
        http_refuse(r, REJECT_NOT_FOUND, "there is no %.100s", r->path);
        return;
    }
    if (strcmp(methods, "OPTIONS") == 0) {
        strcpy(methods, "GET, HEAD, OPTIONS");
    }
    http_answer_header(r, "Allow", methods);
    if (http_request_header(r, "Access-Control-Request-Method")) {
        http_answer_header(r, "Access-Control-Allow-Methods", methods);
        http_answer_header(r, "Access-Control-Max-Age", PREFLIGHT_MAX_AGE_S);
    }
    if (wanted && is_header_list(wanted)) {
        http_answer_header(r, "Access-Control-Allow-Headers", wanted);
    }
    http_answer_empty(r, 204);
}

static void refuse_method(struct http_request *r, const char *methods)
{
    http_answer_header(r, "Allow", methods);
    http_refuse(r, REJECT_METHOD, "%.100s takes %s", r->path, methods);
}

/* Finds the row; without one the request is refused or left to the files. */
static void find_route(struct http_request *r)
{
    const enum http_method method = r->method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : r->method;
    const char *word = NULL;
    char methods[64];

    for (size_t i = 0; i < ROUTES; i++) {
        if (routes[i].method == method && matches(routes[i].path, r->path, &word)) {
            r->route = &routes[i];
            return;
        }
    }
    if (methods_of(r->path, methods)) {
        refuse_method(r, methods);
    } else if (!http_static_has(r->gateway, r->path)) {
        http_refuse(r, REJECT_NOT_FOUND, "there is no %.100s", r->path);
    } else if (method != HTTP_METHOD_GET) {
        refuse_method(r, "GET, HEAD, OPTIONS");
    }
}

/* Bodies are read as they come. Said with the head, because a packed body would otherwise be called
 * bad JSON. */
static bool check_encoding(struct http_request *r)
{
    const char *encoding = http_request_header(r, "Content-Encoding");

    if (!encoding || *encoding == '\0' || strcasecmp(encoding, "identity") == 0) {
        return true;
    }
    http_answer_header(r, "Accept-Encoding", "identity"); /* RFC 9110, section 15.5.16 */
    http_refuse(r, REJECT_CONTENT_TYPE, "content encoding \"%.40s\" is not understood here",
                encoding);
    return false;
}

void http_routes_begin(struct http_request *r)
{
    r->body_limit = SMALL_BODY;
    if (!r->path) {
        http_refuse(r, REJECT_BAD_REQUEST,
                    "the path holds a bad %%XX sequence or text that is not UTF-8");
        return;
    }
    r->door = door_of(r);
    if (!check_origin(r)) {
        return;
    }
    if (r->method == HTTP_METHOD_OPTIONS) {
        answer_options(r);
        return;
    }
    find_route(r);
    if (r->answer.status == 0 && r->route && r->route->admit && check_encoding(r)) {
        r->route->admit(r);
    }
}

void http_routes_run(struct http_request *r)
{
    if (r->route) {
        r->route->run(r);
    } else {
        http_static_run(r);
    }
}
