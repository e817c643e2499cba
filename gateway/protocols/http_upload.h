/*
 * http_upload: the body of a request on its way in: how long it is, what is kept of it, and what
 * happens to the rest of one that is refused.
 *
 * Threads: the HTTP thread that owns the connection.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_UPLOAD_H
#define GATEWAY_PROTOCOLS_HTTP_UPLOAD_H

#include "gateway/protocols/http_request.h"

/* Content-Length as a number; -1 for a chunked body, 0 without a body. */
int64_t http_upload_declared(const struct http_request *r);

/* False when there are two answers to where the body ends: one for us and one for a proxy before us
 * would let a stranger put a request of his own between those of others (RFC 9112, section 11.2).
 */
bool http_upload_is_clear(const struct http_request *r);

/* Takes a piece into r->body, or forgets it. False: the connection must end. */
bool http_upload_take(struct http_request *r, const char *data, size_t size);

/* The request is refused while its body is still to come. A short rest is swallowed, so that the
 * connection can go on; otherwise the client gets its answer now and may stop sending. False: the
 * client waits with the body, the answer can go out the ordinary way. */
bool http_upload_refuse(struct http_request *r);

#endif
