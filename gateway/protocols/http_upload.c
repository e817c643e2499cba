/*
 * http_upload: keeps or forgets the body of a request.
 */
#include "gateway/protocols/http_upload.h"

#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_conns.h"
#include "gateway/protocols/http_server.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DISCARD_QUIETLY (1024u * 1024u)       /* before the answer goes out ahead of the end */
#define DISCARD_MAX     (16u * 1024u * 1024u) /* of a refused body, then the connection ends */

int64_t http_upload_declared(const struct http_request *r)
{
    const char *text = NULL;

    if (http_request_header(r, "Transfer-Encoding")) {
        return -1;
    }
    text = http_request_header(r, "Content-Length");
    return text ? strtoll(text, NULL, 10) : 0; /* http_upload_is_clear() has looked at it */
}

/* Digits only, and not more of them than a signed 64-bit number always holds. */
static bool is_length(const char *text)
{
    const size_t len = strlen(text);

    return len > 0 && len <= 18 && strspn(text, "0123456789") == len;
}

bool http_upload_is_clear(const struct http_request *r)
{
    const char *encoding = http_request_header(r, "Transfer-Encoding");
    const char *length = http_request_header(r, "Content-Length");

    if (encoding) {
        return strcasecmp(encoding, "chunked") == 0 && !length && r->fields.is_http11 &&
               http_fields_count(&r->fields, "Transfer-Encoding") == 1;
    }
    return !length || (is_length(length) && http_fields_count(&r->fields, "Content-Length") == 1);
}

bool http_upload_refuse(struct http_request *r)
{
    const int64_t declared = r->declared;

    if (r->phase == HTTP_PHASE_HEAD && declared != 0 && http_request_header(r, "Expect")) {
        r->answer.close = true; /* it waits with the body for our word, and this is it */
        return false;
    }
    buf_fini(&r->body);
    r->phase = HTTP_PHASE_DISCARD;
    r->deadline_ms = clock_mono_ms() + HTTP_DISCARD_MS;
    if (declared > (int64_t)DISCARD_QUIETLY || (declared != 0 && r->answer.close)) {
        http_conn_answer_by_hand(r);
    }
    return true;
}

/* Charges the server's budget for bodies before the buffer grows. */
static bool keep(struct http_request *r, const char *data, size_t size)
{
    const size_t needed = r->body.len + size;

    if (needed > r->body.cap) {
        const size_t wanted = r->declared > 0 && (uint64_t)r->declared <= r->body_limit
                                  ? (size_t)r->declared
                                  : needed + needed / 2;
        const size_t more = wanted > r->body_charged ? wanted - r->body_charged : 0;

        if (!http_server_charge(r->gateway->http, more)) {
            return false;
        }
        r->body_charged += more;
        if (buf_reserve(&r->body, wanted - r->body.len) != NHUB_OK) {
            return false;
        }
    }
    buf_add(&r->body, data, size);
    return !r->body.failed;
}

bool http_upload_take(struct http_request *r, const char *data, size_t size)
{
    r->conn->is_end_checked = false;
    if (r->phase == HTTP_PHASE_BODY) {
        if (size > r->body_limit - r->body.len) {
            http_refuse(r, REJECT_TOO_BIG, "the body has more than %zu bytes", r->body_limit);
            return http_upload_refuse(r);
        }
        if (!keep(r, data, size)) {
            http_refuse(r, REJECT_OVERLOADED, "too many bodies are in memory");
            return http_upload_refuse(r);
        }
        r->deadline_ms += (int64_t)(size / HTTP_BYTES_PER_MS);
        return true;
    }
    r->discarded += size;
    if (r->phase == HTTP_PHASE_DISCARD && r->discarded > DISCARD_QUIETLY) {
        http_conn_answer_by_hand(r);
    }
    return r->discarded <= DISCARD_MAX;
}
