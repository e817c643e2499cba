/*
 * http_head: reads as much of an HTTP/1 request head as the front door needs to know whom a
 * connection belongs to, from bytes that stay where they are.
 *
 * It refuses nothing by itself: a head that is not understood is `malformed`, and the front door
 * answers it. Spans point into the text. Grammar: RFC 9112, sections 2 to 5.
 * Threads: any; pure, bounded by the length; a fuzz target drives it.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_HEAD_H
#define GATEWAY_PROTOCOLS_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

enum http_head_state {
    HTTP_HEAD_INCOMPLETE, /* good so far */
    HTTP_HEAD_COMPLETE,
    HTTP_HEAD_MALFORMED
};

struct http_text {
    const char *p; /* NULL = absent */
    size_t len;
};

struct http_head {
    size_t length;                        /* bytes of the head with its blank line */
    struct http_text method, path, query; /* query: behind '?', absent without one */
    size_t header_count;
    bool is_http11;
    bool has_repeats; /* a header below came twice: no upgrade */
    struct http_text host, origin, ws_key, ws_version;
    size_t subprotocol_bytes; /* of all Sec-WebSocket-Protocol together, 0 = none are offered */
    bool names_our_protocol;  /* WS_PROTOCOL_NAME is among them */
    bool has_odd_subprotocol; /* something among them is no name, or a long one */
    bool upgrade_websocket;   /* Upgrade names websocket */
    bool connection_upgrade;  /* Connection names upgrade */
    bool accepts_events;      /* Accept names text/event-stream */
    bool has_bad_length;      /* a Content-Length that is no number, or one beyond all sizes */
};

enum http_head_state http_head_parse(const char *text, size_t len, struct http_head *out);

/* The parts of a head, for who needs all of its headers (http_fields); both take a line without its
 * end. "GET /path?query HTTP/1.1" sets method, path, query and is_http11. */
bool http_head_request_line(const char *line, const char *end, struct http_head *out);
bool http_head_field(const char *line, const char *end, struct http_text *name,
                     struct http_text *value);

bool http_text_is(const struct http_text *text, const char *word); /* exactly */
/* False for what RFC 9112 wants refused though its lines are well-formed: HTTP/1.1 without Host
 * (section 3.2), or a Content-Length that is none (section 6.3). */
bool http_head_is_acceptable(const struct http_head *head);
/* Subprotocols that an upgrade may offer. */
#define HTTP_HEAD_SUBPROTOCOL_MAX  60  /* bytes of one name */
#define HTTP_HEAD_SUBPROTOCOLS_MAX 120 /* of all */
bool http_head_subprotocols_fit(const struct http_head *head);
/* True for the handshake of RFC 6455, section 4.2.1 (path, origin and query are not looked at). */
bool http_head_is_upgrade(const struct http_head *head);

#endif
