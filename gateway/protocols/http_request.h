/*
 * http_request: one HTTP request as the routes see it, from its head to the end of its answer.
 *
 * A route is called twice: admit() when the head is there (it may refuse before a body is read) and
 * run() when the body is complete. Both answer with http_answer*() or http_refuse*(), or run()
 * starts a wait: after http_request_suspend() exactly one owner, in any thread, calls
 * http_request_wake() once; then resumed() is called in the HTTP thread, where it answers or hangs
 * up. The request is freed by http_server after its answer, and only there.
 *
 * Threads: the HTTP thread that owns the connection; http_request_wake() from any.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_REQUEST_H
#define GATEWAY_PROTOCOLS_HTTP_REQUEST_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "gateway/counters.h"
#include "gateway/protocols/http_chunks.h"
#include "gateway/protocols/http_fields.h"
#include "gateway/protocols/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_OTHER
};

#define HTTP_ANSWER_HEADERS 14 /* more than any answer of ours has */

struct http_header {
    const char *name; /* static */
    char *value;      /* owned */
};

/* An answer's body and headers that many requests share; it must outlive the server. */
struct http_page {
    const char *bytes;
    size_t len;
    const char *content_type;   /* static */
    const char *const *headers; /* name, value, name, value, …, NULL; or NULL */
};

struct http_answer {
    unsigned status;          /* 0 = not answered yet */
    const char *content_type; /* static; NULL = no body */
    struct buf body;
    struct http_page *page; /* instead of body */
    struct http_header headers[HTTP_ANSWER_HEADERS];
    size_t header_count;
    bool close; /* the connection ends with this answer */
};

struct http_request;

struct http_route {
    enum http_method method; /* GET serves HEAD, too */
    const char *path;        /* a segment in braces stands for any that is not empty */
    void (*admit)(struct http_request *r); /* may answer. NULL: everything may pass */
    void (*run)(struct http_request *r);
};

struct gateway;
struct http_side;
struct http_conn;

/* What a suspended request waits for: http_server_finish() sees the answers out, but not the
 * streams, which the stream loop ends. */
enum http_wait { HTTP_WAIT_ANSWER, HTTP_WAIT_STREAM };

/* Where the request stands; http_server's. */
enum http_phase {
    HTTP_PHASE_HEAD,      /* its first bytes are there */
    HTTP_PHASE_BODY,      /* the body is being read */
    HTTP_PHASE_DISCARD,   /* it is refused; the rest of the body is read and forgotten */
    HTTP_PHASE_HUNG_UP,   /* the answer was written by hand: only the end is left */
    HTTP_PHASE_SUSPENDED, /* waits for http_request_wake() */
    HTTP_PHASE_REPLY      /* the answer is on its way into the socket */
};

struct http_request {
    struct letter letter; /* http_request_wake() */
    /* The head, read only for routes. */
    struct gateway *gateway;
    enum http_method method;
    char *path;  /* decoded, NUL-terminated; NULL when it cannot be decoded */
    char *query; /* as sent, NUL-terminated, "" without one */
    /* The body, complete in run(). */
    struct buf body;
    /* Set by the routes. */
    const struct http_route *route; /* NULL = a file or nothing */
    enum gateway_door door;         /* under which refusals are counted */
    size_t body_limit;              /* a longer body is refused with too_big */
    void *state;                    /* the route's own, freed with free_state */
    void (*free_state)(void *state);
    void (*resumed)(struct http_request *r);
    struct http_answer answer;
    unsigned logged_status; /* for the access log, when others write the answer */
    bool hang_up;           /* end the connection without an answer (a stream that is over) */
    bool was_sent;          /* for free_state: all of the answer went into the socket */
    /* http_server's. */
    enum http_phase phase;
    enum http_wait wait;
    struct http_side *side;
    struct http_conn *conn;
    struct http_fields fields;
    struct http_chunks chunks;
    int64_t declared;   /* bytes of the body; -1 = chunked */
    uint64_t body_left; /* of them, not read yet */
    bool keeps_alive;   /* the client wants the connection for further requests */
    bool wants_continue;
    int64_t start_ns;    /* for the access log */
    int64_t deadline_ms; /* of the phase, clock_mono_ms(); 0 = none */
    uint64_t discarded;  /* bytes of the body that were read and forgotten */
    size_t body_charged; /* what the body holds of the server's budget */
};

/* A header's value, NUL-terminated, valid until the request ends; NULL when absent. */
const char *http_request_header(const struct http_request *r, const char *name);
/* Calls fn for each header until it returns false. */
void http_request_each_header(const struct http_request *r,
                              bool (*fn)(void *context, const char *name, const char *value),
                              void *context);
/* The connection's descriptor, which stays the server's. */
int http_request_fd(const struct http_request *r);
/* "1.2.3.4:5"; "-" when unknown. */
void http_request_peer(const struct http_request *r, char *out, size_t size);

/* Takes the connection out of the HTTP thread's loop until http_request_wake(); only within run().
 * False: the server is finishing, nothing was suspended, and the request must be answered now. */
bool http_request_suspend(struct http_request *r, enum http_wait wait,
                          void (*resumed)(struct http_request *r));
/* To the hub link, once the requests that came together are all read. */
struct publish_job;
void http_request_publish(struct http_request *r, struct publish_job *job);
/* Any thread, exactly once after a suspend. The request must not be touched afterwards. */
void http_request_wake(struct http_request *r);

/* Answers. The first one counts. */
void http_answer_page(struct http_request *r, unsigned status, struct http_page *page);
/* Takes what is in *body (it is empty afterwards). */
void http_answer_buf(struct http_request *r, unsigned status, const char *content_type,
                     struct buf *body);
void http_answer_empty(struct http_request *r, unsigned status);
/* Adds a header; name is static, value is copied. */
void http_answer_header(struct http_request *r, const char *name, const char *value);
void http_answer_fini(struct http_answer *a);
/* The head of an answer, with a Content-Length where there may be one. Date and Connection are
 * given; a Connection of NULL is left out. */
void http_answer_head(const struct http_answer *a, const char *date, const char *connection,
                      struct buf *out);
#define HTTP_DATE_MAX 40
void http_answer_date(int64_t wall_s, char out[HTTP_DATE_MAX]); /* RFC 9110, section 5.6.7 */
/* The bytes behind the head, for other methods than HEAD; in the answer's or its page's memory. */
const char *http_answer_body(const struct http_answer *a, size_t *out_len);
/* The whole answer as it stands on the wire, with "Connection: close". */
void http_answer_write(const struct http_answer *a, bool with_body, struct buf *out);
const char *http_status_phrase(unsigned status);

/* Refusals: counted under the request's door, answered as problem+json. */
void http_refuse(struct http_request *r, enum reject_reason reason, const char *format, ...)
    NHUB_PRINTF(3, 4);
void http_refuse_problem(struct http_request *r, const struct problem *problem);
/* The same form for something that is no refusal (a probe's "no"): not counted. */
void http_answer_problem(struct http_request *r, const struct problem *problem);

#endif
