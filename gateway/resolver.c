/*
 * resolver: getaddrinfo() in a detached thread; the last one of the two who leaves frees.
 */
#include "gateway/resolver.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct resolver {
    char host[256];
    char port[8];
    pthread_mutex_t lock;
    int owners; /* guarded by lock, as what follows */
    bool is_done;
    struct addrinfo *found; /* NULL: none, or taken */
};

static void leave(struct resolver *r)
{
    bool is_last = false;

    pthread_mutex_lock(&r->lock);
    is_last = --r->owners == 0;
    pthread_mutex_unlock(&r->lock);
    if (is_last) {
        if (r->found) {
            freeaddrinfo(r->found);
        }
        pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

static struct addrinfo *look_up(const struct resolver *r, int flags)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;

    return getaddrinfo(r->host, r->port, &hints, &found) == 0 ? found : NULL;
}

static void *run(void *context)
{
    struct resolver *r = context;
    struct addrinfo *found = look_up(r, 0);

    pthread_mutex_lock(&r->lock);
    r->found = found;
    r->is_done = true;
    pthread_mutex_unlock(&r->lock);
    leave(r);
    return NULL;
}

static nhub_err start_thread(struct resolver *r)
{
    pthread_t thread;

    r->owners++;
    if (pthread_create(&thread, NULL, run, r) != 0) {
        r->owners--;
        return NHUB_ESYS;
    }
    (void)pthread_detach(thread);
    return NHUB_OK;
}

nhub_err resolver_start(struct resolver **out, const char *host, uint16_t port)
{
    struct resolver *r = calloc(1, sizeof *r);
    nhub_err err = NHUB_OK;

    if (!r) {
        return NHUB_ENOMEM;
    }
    r->owners = 1;
    pthread_mutex_init(&r->lock, NULL);
    NHUB_IGNORE(snprintf(r->host, sizeof r->host, "%s", host) < 0);
    NHUB_IGNORE(snprintf(r->port, sizeof r->port, "%u", (unsigned)port) < 0);
    r->found = look_up(r, AI_NUMERICHOST);
    r->is_done = r->found;
    if (!r->is_done) {
        err = start_thread(r);
    }
    if (err != NHUB_OK) {
        resolver_destroy(&r);
        return err;
    }
    *out = r;
    return NHUB_OK;
}

nhub_err resolver_take(struct resolver *r, struct addrinfo **out)
{
    nhub_err err = NHUB_EAGAIN;

    pthread_mutex_lock(&r->lock);
    if (r->is_done) {
        *out = r->found;
        r->found = NULL;
        err = *out ? NHUB_OK : NHUB_ENOTFOUND;
    }
    pthread_mutex_unlock(&r->lock);
    return err;
}

void resolver_destroy(struct resolver **r_p)
{
    struct resolver *r = *r_p;

    *r_p = NULL;
    if (r) {
        leave(r);
    }
}
