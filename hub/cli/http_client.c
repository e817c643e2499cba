/*
 * http_client: libcurl's room. The multi interface with one transfer gives waits that can be ended.
 */
#include "cli/http_client.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX_BYTES (64u << 20)
#define STEP_MS          100

struct http_client {
    CURL *easy;
    CURLM *multi;
    char *base_url; /* without a slash at its end */
    char reason[HTTP_REASON_MAX];
    char curl_error[CURL_ERROR_SIZE];
};

/* One transfer. */
struct transfer {
    struct http_client *client;
    struct http_answer *answer;
    http_bytes_fn *on_bytes; /* NULL: everything into the answer */
    void *context;
    bool is_ended; /* by us */
    bool is_too_big;
};

nhub_err http_client_create(struct http_client **out, const char *base_url)
{
    struct http_client *c = NULL;
    size_t len = strlen(base_url);

    if (strncmp(base_url, "http://", 7) != 0 && strncmp(base_url, "https://", 8) != 0) {
        return NHUB_EINVAL;
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        return NHUB_ENOMEM;
    }
    while (len > 0 && base_url[len - 1] == '/') {
        len--;
    }
    c->base_url = strndup(base_url, len);
    c->easy = curl_easy_init();
    c->multi = curl_multi_init();
    if (!c->base_url || !c->easy || !c->multi) {
        http_client_destroy(&c);
        return NHUB_ENOMEM;
    }
    *out = c;
    return NHUB_OK;
}

void http_client_destroy(struct http_client **c_p)
{
    struct http_client *c = *c_p;

    if (!c) {
        return;
    }
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    free(c->base_url);
    free(c);
    *c_p = NULL;
}

const char *http_client_reason(const struct http_client *c)
{
    return c->reason;
}

void http_add_encoded(struct buf *out, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        const bool is_plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                              (*p >= '0' && *p <= '9') || strchr("-._~", *p);

        if (is_plain) {
            buf_add_char(out, (char)*p);
        } else {
            buf_add_char(out, '%');
            buf_add_char(out, digits[*p >> 4]);
            buf_add_char(out, digits[*p & 15]);
        }
    }
}

/* libcurl's callbacks. */

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    const size_t len = size * count;
    long status = 0;

    (void)curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->on_bytes && status == 200) {
        t->is_ended = !t->on_bytes(t->context, bytes, len);
        return t->is_ended ? 0 : len;
    }
    if (t->answer->body.len + len > ANSWER_MAX_BYTES) {
        t->is_too_big = true;
        return 0;
    }
    buf_add(&t->answer->body, bytes, len);
    return t->answer->body.failed ? 0 : len;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    struct buf line;
    struct curl_slist *grown = NULL;

    if (!value) {
        return list;
    }
    buf_init(&line);
    buf_printf(&line, "%s: %s", name, value);
    grown = curl_slist_append(list, buf_cstr(&line));
    buf_fini(&line);
    return grown ? grown : list;
}

static void set_up(struct http_client *c, const struct http_request *r, const char *url,
                   struct curl_slist *headers, struct transfer *t)
{
    curl_easy_reset(c->easy);
    c->curl_error[0] = '\0';
    (void)curl_easy_setopt(c->easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "notifyhub/" NHUB_VERSION);
    (void)curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->curl_error);
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->timeout_ms);
    if (!t->on_bytes) {
        (void)curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    }
    if (r->body) {
        (void)curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, r->body);
        (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
    }
    if (r->method) {
        (void)curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
    }
}

static nhub_err code_of(struct http_client *c, const struct transfer *t, CURLcode code)
{
    (void)snprintf(c->reason, sizeof c->reason, "%s",
                   c->curl_error[0] ? c->curl_error : curl_easy_strerror(code));
    if (t->is_ended) {
        return NHUB_OK;
    }
    if (t->is_too_big) {
        return NHUB_ETOOBIG;
    }
    if (t->answer->body.failed) {
        return NHUB_ENOMEM;
    }
    switch (code) {
    case CURLE_OK:
        return t->on_bytes ? NHUB_ECLOSED : NHUB_OK;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return NHUB_EUNAVAIL;
    case CURLE_OPERATION_TIMEDOUT:
        return NHUB_ETIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return NHUB_ECLOSED;
    case CURLE_OUT_OF_MEMORY:
        return NHUB_ENOMEM;
    default:
        return NHUB_EPROTO;
    }
}

/* Runs the transfer to its end. A stream that does not open in time is ended here, because
 * libcurl's own limit would also end an open one. */
static CURLcode run(struct http_client *c, const struct http_request *r, struct transfer *t)
{
    const int64_t opens_until_ms = clock_mono_ms() + r->timeout_ms;
    CURLcode result = CURLE_FAILED_INIT;
    int running = 1;

    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK) {
        return result;
    }
    while (running > 0) {
        long status = 0;

        if (curl_multi_perform(c->multi, &running) != CURLM_OK || running == 0) {
            break;
        }
        (void)curl_multi_poll(c->multi, NULL, 0, STEP_MS, NULL);
        if (r->should_stop && r->should_stop(r->stop_context)) {
            t->is_ended = true;
            break;
        }
        (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        if (t->on_bytes && status == 0 && clock_mono_ms() >= opens_until_ms) {
            result = CURLE_OPERATION_TIMEDOUT;
            break;
        }
    }
    if (running == 0) {
        int left = 0;
        const CURLMsg *message = curl_multi_info_read(c->multi, &left);

        result = message ? message->data.result : CURLE_RECV_ERROR;
    }
    (void)curl_multi_remove_handle(c->multi, c->easy);
    return result;
}

static nhub_err transfer(struct http_client *c, const struct http_request *r, struct transfer *t)
{
    struct curl_slist *headers = NULL;
    curl_off_t retry_after = 0;
    struct buf url;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    buf_init(&t->answer->body);
    t->answer->status = 0;
    buf_init(&url);
    buf_add_str(&url, c->base_url);
    buf_add_str(&url, r->path);
    headers = add_header(headers, "Content-Type", r->body ? r->content_type : NULL);
    headers = add_header(headers, "Accept", r->accept);
    headers = add_header(headers, "Last-Event-ID", r->last_event_id);
    headers = add_header(headers, "Expect", ""); /* no waiting for 100-continue */
    if (!url.failed) {
        set_up(c, r, buf_cstr(&url), headers, t);
        code = run(c, r, t);
        if (!t->is_ended || t->on_bytes) {
            (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &t->answer->status);
        }
        (void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry_after);
        t->answer->retry_after_s = (long)retry_after;
    }
    curl_slist_free_all(headers);
    buf_fini(&url);
    return code_of(c, t, code);
}

nhub_err http_call(struct http_client *c, const struct http_request *request,
                   struct http_answer *answer)
{
    struct transfer t = {.client = c, .answer = answer};

    return transfer(c, request, &t);
}

nhub_err http_stream(struct http_client *c, const struct http_request *request,
                     http_bytes_fn *on_bytes, void *context, struct http_answer *answer)
{
    struct transfer t = {.client = c, .answer = answer, .on_bytes = on_bytes, .context = context};

    return transfer(c, request, &t);
}
