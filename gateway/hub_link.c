/*
 * hub_link: the thread around link_loop, the mailboxes into it, and the gate that closes them.
 */
#include "gateway/hub_link.h"

#include "base/log.h"
#include "gateway/link_loop.h"

#include <pthread.h>
#include <stdlib.h>

struct hub_link {
    struct mailbox *publishes, *queries;
    struct letter stop; /* posted to queries */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t gate; /* orders jobs against the stop */
    bool is_closed;       /* guarded by gate */
    int64_t grace_ms;     /* written before the stop is posted */
    struct link_status status;
    struct link_loop loop; /* the thread's, once it runs */
};

static void *run(void *context)
{
    link_loop_run(context);
    return NULL;
}

static nhub_err check_ports(const struct settings *settings)
{
    const char *key = NULL;

    if (settings->hub.publisher_port == 0) {
        key = "hub.publisher_port";
    } else if (settings->hub.requests_port == 0) {
        key = "hub.requests_port";
    }
    if (!key) {
        return NHUB_OK;
    }
    log_error("hub_port_unknown", log_str("key", key),
              log_str("advice", "0 lets the hub choose a port that a gateway cannot know; give the "
                                "gateway the port of the hub's ready line"));
    return NHUB_ECONFIG;
}

static nhub_err start_thread(struct hub_link *l)
{
    if (pthread_create(&l->thread, NULL, run, &l->loop) != 0) {
        return NHUB_ESYS;
    }
    l->has_thread = true;
    link_status_wait_first(&l->status);
    return NHUB_OK;
}

nhub_err hub_link_create(struct hub_link **out, const struct settings *settings,
                         struct gateway_counters *counters, struct mailbox *feed)
{
    struct hub_link *l = NULL;
    nhub_err err = check_ports(settings);

    if (err != NHUB_OK) {
        return err;
    }
    l = calloc(1, sizeof *l);
    if (!l) {
        return NHUB_ENOMEM;
    }
    link_status_init(&l->status, settings);
    pthread_mutex_init(&l->gate, NULL);
    err = mailbox_create(&l->publishes);
    if (err == NHUB_OK) {
        err = mailbox_create(&l->queries);
    }
    l->loop = (struct link_loop){.settings = settings,
                                 .counters = counters,
                                 .feed = feed,
                                 .publishes = l->publishes,
                                 .queries = l->queries,
                                 .stop = &l->stop,
                                 .grace_ms = &l->grace_ms,
                                 .status = &l->status};
    if (err == NHUB_OK) {
        err = link_loop_init(&l->loop);
    }
    if (err == NHUB_OK) {
        err = start_thread(l);
    }
    if (err != NHUB_OK) {
        hub_link_destroy(&l);
        return err;
    }
    *out = l;
    return NHUB_OK;
}

void hub_link_stop(struct hub_link *link, int64_t grace_ms)
{
    if (!link->has_thread) {
        return;
    }
    pthread_mutex_lock(&link->gate);
    link->is_closed = true;
    link->grace_ms = grace_ms;
    pthread_mutex_unlock(&link->gate);
    mailbox_post(link->queries, &link->stop);
    pthread_join(link->thread, NULL);
    link->has_thread = false;
}

void hub_link_destroy(struct hub_link **link_p)
{
    struct hub_link *l = *link_p;

    if (!l) {
        return;
    }
    hub_link_stop(l, 0);
    link_loop_fini(&l->loop);
    mailbox_destroy(&l->publishes);
    mailbox_destroy(&l->queries);
    link_status_fini(&l->status);
    pthread_mutex_destroy(&l->gate);
    free(l);
    *link_p = NULL;
}

/* Posts the letters, unless the link takes no more. */
static bool post(struct hub_link *link, struct mailbox *box, struct letter *first,
                 struct letter *last)
{
    bool is_open = false;

    pthread_mutex_lock(&link->gate);
    is_open = !link->is_closed;
    if (is_open) {
        mailbox_post_chain(box, first, last);
    }
    pthread_mutex_unlock(&link->gate);
    return is_open;
}

void hub_link_publish(struct hub_link *link, struct publish_job *job)
{
    hub_link_publish_chain(link, job, job);
}

void hub_link_publish_chain(struct hub_link *link, struct publish_job *first,
                            struct publish_job *last)
{
    struct publish_job *job = first;

    last->letter.next = NULL;
    if (post(link, link->publishes, &first->letter, &last->letter)) {
        return;
    }
    while (job) {
        struct publish_job *next = (struct publish_job *)(void *)job->letter.next;

        job->outcome = PUBLISH_UNAVAILABLE;
        job->done(job);
        job = next;
    }
}

void hub_link_query(struct hub_link *link, struct query_job *job)
{
    if (!post(link, link->queries, &job->letter, &job->letter)) {
        buf_init(&job->answer);
        job->events = NULL;
        job->event_count = 0;
        job->was_sent = false;
        job->err = NHUB_EUNAVAIL;
        job->done(job);
    }
}

void hub_link_status(struct hub_link *link, struct hub_link_status *out)
{
    link_status_read(&link->status, out);
}
