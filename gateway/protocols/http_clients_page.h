/*
 * http_clients_page: lists of clients and of event types, and the end of a session, as the stream
 * loop does them: page by page, so that ten thousand sessions hold nobody up.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_CLIENTS_PAGE_H
#define GATEWAY_PROTOCOLS_HTTP_CLIENTS_PAGE_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "gateway/counters.h"

#include <stdbool.h>

#define CLIENTS_PAGE_MAX     1000
#define CLIENTS_PAGE_DEFAULT 100

struct fanout;
struct http_fetches;

enum clients_task { CLIENTS_LIST, CLIENTS_END, CLIENTS_TYPES };

struct clients_job {
    struct letter letter;
    enum clients_task task;
    uint64_t after; /* LIST, TYPES: those with numbers above it */
    uint64_t limit;
    int door;                     /* LIST: enum gateway_door, -1 = all */
    struct http_fetches *fetches; /* LIST: those that wait over HTTP stand among the others */
    bool values;                  /* TYPES: with the newest events */
    uint64_t number;              /* END: whom … */
    bool reconnect;               /* … and whether it may come back at once */
    void (*done)(struct clients_job *job); /* any thread, once */
    void *context;
    /* NHUB_OK, NHUB_ENOTFOUND (END), NHUB_ENOMEM, NHUB_EUNAVAIL (the gateway stops) */
    nhub_err err;
    struct buf page; /* the maker frees it */
};

/* Carries it out and calls done(). */
void clients_job_run(struct fanout *f, struct clients_job *job);

#endif
