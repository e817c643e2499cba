/* http_fetches: a list in the order of the numbers, under a lock. */
#include "gateway/protocols/http_fetches.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

struct http_fetches {
    pthread_mutex_t lock;
    struct list waiting; /* by number, ascending */
    size_t count;
};

nhub_err http_fetches_create(struct http_fetches **out)
{
    struct http_fetches *f = calloc(1, sizeof *f);

    if (!f) {
        return NHUB_ENOMEM;
    }
    pthread_mutex_init(&f->lock, NULL);
    list_init(&f->waiting);
    *out = f;
    return NHUB_OK;
}

void http_fetches_destroy(struct http_fetches **f_p)
{
    struct http_fetches *f = *f_p;

    *f_p = NULL;
    if (f) {
        pthread_mutex_destroy(&f->lock);
        free(f);
    }
}

static struct http_waiting *entry(struct list *link)
{
    return list_entry(link, struct http_waiting, link);
}

void http_fetches_add(struct http_fetches *f, struct http_waiting *w)
{
    struct list *before = NULL;

    pthread_mutex_lock(&f->lock);
    /* Threads draw their numbers before they come here, so a new one may have to go in front of a
     * few others. */
    before = f->waiting.prev;
    while (before != &f->waiting && entry(before)->number > w->number) {
        before = before->prev;
    }
    w->link.next = before->next;
    w->link.prev = before;
    before->next->prev = &w->link;
    before->next = &w->link;
    f->count++;
    pthread_mutex_unlock(&f->lock);
}

void http_fetches_remove(struct http_fetches *f, struct http_waiting *w)
{
    pthread_mutex_lock(&f->lock);
    if (w->link.next && !list_empty(&w->link)) {
        list_remove(&w->link);
        f->count--;
    }
    pthread_mutex_unlock(&f->lock);
}

size_t http_fetches_count(struct http_fetches *f)
{
    size_t count = 0;

    pthread_mutex_lock(&f->lock);
    count = f->count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

void http_fetches_each(struct http_fetches *f, uint64_t after,
                       bool (*fn)(void *context, const struct http_waiting *w), void *context)
{
    pthread_mutex_lock(&f->lock);
    for (struct list *at = f->waiting.next; at != &f->waiting; at = at->next) {
        if (entry(at)->number > after && !fn(context, entry(at))) {
            break;
        }
    }
    pthread_mutex_unlock(&f->lock);
}

bool http_fetches_end(struct http_fetches *f, uint64_t number)
{
    bool is_there = false;

    pthread_mutex_lock(&f->lock);
    for (struct list *at = f->waiting.next; at != &f->waiting && !is_there; at = at->next) {
        if (entry(at)->number == number) {
            /* Within the lock the descriptor cannot be another connection's yet. */
            is_there = true;
            (void)shutdown(entry(at)->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return is_there;
}
