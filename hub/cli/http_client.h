/*
 * http_client: HTTP requests to a gateway: one at a time on one kept connection.
 *
 * libcurl's headers are used in http_client.c only. Threads: a client belongs to one thread.
 */
#ifndef NHUB_CLI_HTTP_CLIENT_H
#define NHUB_CLI_HTTP_CLIENT_H

#include "base/buf.h"

#define HTTP_REASON_MAX 320

struct http_client;

/* base_url: "http://host:8080", without a path or with a prefix. Errors: NHUB_EINVAL, NHUB_ENOMEM.
 */
NHUB_MUST_USE nhub_err http_client_create(struct http_client **out, const char *base_url);
void http_client_destroy(struct http_client **c_p);

/* Asked about ten times a second; true ends the call or the stream. */
typedef bool http_stop_fn(void *context);

struct http_request {
    const char *path;   /* "/events?…", already encoded */
    const char *method; /* NULL = GET, or POST with a body */
    const char *body;   /* NULL = none */
    size_t body_len;
    const char *content_type;  /* of the body */
    const char *accept;        /* NULL = anything */
    const char *last_event_id; /* NULL = none */
    int timeout_ms;            /* for all of it; of a stream: until it is opened */
    http_stop_fn *should_stop; /* NULL = never; a call that was ended has the answer's status 0 */
    void *stop_context;
};
struct http_answer {
    long status;
    long retry_after_s; /* 0 = none */
    struct buf body;    /* the caller's to free; of a stream: only of an answer that is no stream */
};

/* Errors: NHUB_EUNAVAIL no connection; NHUB_ETIMEOUT; NHUB_ETOOBIG an answer over 64 MiB;
 * NHUB_EPROTO; NHUB_ENOMEM. http_client_reason() says more. answer->body is valid in every case. */
NHUB_MUST_USE nhub_err http_call(struct http_client *c, const struct http_request *request,
                                 struct http_answer *answer);

/* Bytes of a stream; false ends it. */
typedef bool http_bytes_fn(void *context, const char *bytes, size_t len);
/* Reads a stream until it ends, or somebody says so. Status 200 goes to on_bytes, others to the
 * answer's body. Errors: as above; NHUB_ECLOSED the server ended it; NHUB_OK we did. */
NHUB_MUST_USE nhub_err http_stream(struct http_client *c, const struct http_request *request,
                                   http_bytes_fn *on_bytes, void *context,
                                   struct http_answer *answer);

/* What the last failed call said, in a sentence; lent until the next. */
const char *http_client_reason(const struct http_client *c);
/* Appends text in the form that a query value needs (RFC 3986, section 2.1). */
void http_add_encoded(struct buf *out, const char *text);

#endif
