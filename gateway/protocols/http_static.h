/*
 * http_static: the files of the web root, and what the program itself brings along.
 *
 * They are read into memory once, at the start: a request then never waits for a disk, and a path
 * can only name what is in the table. Other files appear with the next start. Where a file lies
 * beside its packed form (page.css and page.css.gz), those who take gzip get that. Each form has
 * its ETag.
 *
 * Threads: create and destroy with the server; the others from the HTTP threads.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_STATIC_H
#define GATEWAY_PROTOCOLS_HTTP_STATIC_H

#include "base/settings.h"
#include "gateway/protocols/http_request.h"

struct http_static;

/* Reads gateway.web_root, or ../share/notifyhub/web beside the program. A missing folder is no
 * error. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err http_static_create(struct http_static **out, const char *root);
void http_static_destroy(struct http_static **files_p);

/* Puts bytes that outlive the table at a path, packed as well, instead of a file that may be there.
 * Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err http_static_add(struct http_static *files, const char *path,
                                       const char *bytes, size_t len);

bool http_static_has(const struct gateway *g, const char *path);
/* "/" or the file of r->path. */
void http_static_run(struct http_request *r);

#endif
