/*
 * http_answer: builds answers, refusals among them, and puts them into bytes.
 */
#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void http_answer_page(struct http_request *r, unsigned status, struct http_page *page)
{
    if (r->answer.status == 0) {
        r->answer.status = status;
        r->answer.content_type = page->content_type;
        r->answer.page = page;
    }
}

void http_answer_buf(struct http_request *r, unsigned status, const char *content_type,
                     struct buf *body)
{
    if (body->failed) {
        buf_fini(body);
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return;
    }
    if (r->answer.status == 0) {
        r->answer.status = status;
        r->answer.content_type = content_type;
        r->answer.body = *body;
        buf_init(body);
        return;
    }
    buf_fini(body);
}

void http_answer_empty(struct http_request *r, unsigned status)
{
    if (r->answer.status == 0) {
        r->answer.status = status;
    }
}

void http_answer_header(struct http_request *r, const char *name, const char *value)
{
    struct http_answer *a = &r->answer;
    char *copy = a->header_count < HTTP_ANSWER_HEADERS ? strdup(value) : NULL;

    if (copy) {
        a->headers[a->header_count++] = (struct http_header){.name = name, .value = copy};
    }
}

void http_answer_fini(struct http_answer *a)
{
    for (size_t i = 0; i < a->header_count; i++) {
        free(a->headers[i].value);
    }
    buf_fini(&a->body);
    memset(a, 0, sizeof *a);
}

const char *http_status_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return status < 400 ? "OK" : "Error";
}

void http_answer_date(int64_t wall_s, char out[HTTP_DATE_MAX])
{
    const time_t now_s = (time_t)wall_s;
    struct tm utc;

    out[0] = '\0';
    if (gmtime_r(&now_s, &utc)) {
        strftime(out, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    }
}

/* A status that has no body has no length either (RFC 9110, sections 8.6 and 15.4.5). */
static bool has_body(const struct http_answer *a)
{
    return a->status >= 200 && a->status != 204 && a->status != 304;
}

const char *http_answer_body(const struct http_answer *a, size_t *out_len)
{
    *out_len = !has_body(a) ? 0 : a->page ? a->page->len : a->body.len;
    return a->page ? a->page->bytes : a->body.data;
}

static void add_header(struct buf *out, const char *name, const char *value)
{
    buf_add_str(out, name);
    buf_add(out, ": ", 2);
    buf_add_str(out, value);
    buf_add(out, "\r\n", 2);
}

void http_answer_head(const struct http_answer *a, const char *date, const char *connection,
                      struct buf *out)
{
    size_t len = 0;

    http_answer_body(a, &len);
    buf_add_str(out, "HTTP/1.1 ");
    buf_add_u64(out, a->status);
    buf_add_char(out, ' ');
    buf_add_str(out, http_status_phrase(a->status));
    buf_add(out, "\r\n", 2);
    add_header(out, "Date", date);
    if (a->content_type) {
        add_header(out, "Content-Type", a->content_type);
    }
    for (const char *const *h = a->page ? a->page->headers : NULL; h && *h; h += 2) {
        add_header(out, h[0], h[1]);
    }
    for (size_t i = 0; i < a->header_count; i++) {
        add_header(out, a->headers[i].name, a->headers[i].value);
    }
    if (connection) {
        add_header(out, "Connection", connection);
    }
    if (has_body(a)) {
        buf_add_str(out, "Content-Length: ");
        buf_add_u64(out, len);
        buf_add(out, "\r\n", 2);
    }
    buf_add(out, "\r\n", 2);
}

void http_answer_write(const struct http_answer *a, bool with_body, struct buf *out)
{
    char date[HTTP_DATE_MAX];
    size_t len = 0;
    const char *body = http_answer_body(a, &len);

    http_answer_date(clock_wall_us() / 1000000, date);
    http_answer_head(a, date, "close", out);
    if (with_body) {
        buf_add(out, body, len);
    }
}

void http_answer_problem(struct http_request *r, const struct problem *problem)
{
    const unsigned retry_after_s = problem_retry_after_s(problem->reason);
    struct buf body;
    char seconds[16];

    if (r->answer.status != 0) {
        return;
    }
    buf_init(&body);
    problem_render(problem, &body);
    r->answer.status = problem->status ? problem->status : problem_status(problem->reason);
    r->answer.content_type = PROBLEM_CONTENT_TYPE;
    r->answer.body = body; /* incomplete only without memory: then the status alone must do */
    if (retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        http_answer_header(r, "Retry-After", seconds);
    }
    http_answer_header(r, "Cache-Control", "no-store");
}

void http_refuse_problem(struct http_request *r, const struct problem *problem)
{
    if (r->answer.status == 0) {
        counter_add(&r->gateway->counters.rejected[r->door][problem->reason], 1);
        http_answer_problem(r, problem);
    }
}

void http_refuse(struct http_request *r, enum reject_reason reason, const char *format, ...)
{
    char detail[256];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    http_refuse_problem(r, &(struct problem){.reason = reason, .detail = detail});
}
