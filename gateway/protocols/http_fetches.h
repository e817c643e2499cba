/*
 * http_fetches: the fetches of consumer groups that wait over HTTP, so that they can be shown and
 * ended as clients.
 *
 * Threads: any; a lock is held for a few steps, and for one page when they are listed.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_FETCHES_H
#define GATEWAY_PROTOCOLS_HTTP_FETCHES_H

#include "gateway/fanout/list.h"

#include <notifyhub/error.h>
#include <stdint.h>

struct http_fetches;

/* One that waits: embedded in its owner, which fills it before http_fetches_add(). */
struct http_waiting {
    struct list link;
    uint64_t number; /* as a client; grows */
    int fd;
    const char *group, *member;
    uint64_t max, wait_ms;
    int64_t since_us; /* clock_wall_us() */
    char peer[64];
};

NHUB_MUST_USE nhub_err http_fetches_create(struct http_fetches **out); /* Errors: NHUB_ENOMEM */
void http_fetches_destroy(struct http_fetches **f_p); /* nothing waits any more; NULL is fine */

void http_fetches_add(struct http_fetches *f, struct http_waiting *w);
void http_fetches_remove(struct http_fetches *f, struct http_waiting *w); /* not in it: fine */
size_t http_fetches_count(struct http_fetches *f);
/* Calls fn for those with numbers above `after`, ascending, until it returns false. */
void http_fetches_each(struct http_fetches *f, uint64_t after,
                       bool (*fn)(void *context, const struct http_waiting *w), void *context);
/* Cuts the connection; what was on its way to it is given back. False: there is none. */
bool http_fetches_end(struct http_fetches *f, uint64_t number);

#endif
