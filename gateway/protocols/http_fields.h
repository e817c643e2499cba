/*
 * http_fields: the head of one request, taken apart: its target and all of its headers, in one
 * block of memory of its own, so that it outlives the bytes that it was read from.
 *
 * The lines are read by the same functions as the front door's look at a head (http_head): whatever
 * passes there is understood alike here. Grammar: RFC 9112, sections 2 to 5.
 * Threads: any; pure, bounded by the length; a fuzz target drives it.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_FIELDS_H
#define GATEWAY_PROTOCOLS_HTTP_FIELDS_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>

struct http_field {
    const char *name, *value; /* NUL-terminated */
    size_t name_len;
};

struct http_fields {
    char *block;  /* owns all that follows */
    char *method; /* as sent */
    char *path;   /* decoded; NULL when it cannot be */
    char *query;  /* as sent, without its '?'; "" without one */
    struct http_field *list;
    size_t count;
    bool is_http11; /* or later */
};

/* The length of the head with its blank line; 0 = it is not whole yet. */
size_t http_fields_end(const char *text, size_t len);
/* Reads a whole head. Errors: NHUB_EPROTO it is none; NHUB_ENOMEM. *out is empty then. */
NHUB_MUST_USE nhub_err http_fields_read(struct http_fields *out, const char *head, size_t len);
void http_fields_free(struct http_fields *f); /* *f is empty afterwards */

/* The value of the first header of that name; NULL when there is none. */
const char *http_fields_get(const struct http_fields *f, const char *name);
size_t http_fields_count(const struct http_fields *f, const char *name); /* how often it is there */
/* True when one of the headers of that name, a comma-separated list, has the word. */
bool http_fields_list(const struct http_fields *f, const char *name, const char *word);

#endif
