/*
 * top_source: one thread, one lock, one reading at a time.
 */
#include "cli/top_source.h"

#include "base/clock.h"
#include "cli/gateway.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct top_source {
    const struct cli *cli;
    int timeout_ms;
    struct http_client *http; /* of the thread, from its start to its end */
    nhub_client *hub;         /* the same */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Under the lock. */
    struct top_news news;
    int64_t interval_ms;
    bool is_hurried, is_over;
};

static nhub_err read_gateway(struct top_source *s, struct top_reading *out, char *trouble,
                             size_t size)
{
    const struct http_request request = {.path = "/stats", .timeout_ms = s->timeout_ms};
    struct http_answer answer = {0};
    nhub_err err = http_call(s->http, &request, &answer);

    if (err != NHUB_OK) {
        (void)snprintf(trouble, size, "%s", http_client_reason(s->http));
    } else if (answer.status != 200 ||
               top_read(answer.body.data, answer.body.len, out) != NHUB_OK) {
        (void)snprintf(trouble, size, "status %ld at /stats, or not the figures of a gateway",
                       answer.status);
        err = NHUB_EPROTO;
    }
    buf_fini(&answer.body);
    return err;
}

static nhub_err read_hub(struct top_source *s, struct top_reading *out, char *trouble, size_t size)
{
    nhub_answer *answer = NULL;
    nhub_err err = nhub_client_stats(s->hub, s->timeout_ms, &answer);

    if (err == NHUB_OK) {
        const char *json = nhub_answer_json(answer);

        err = top_read(json, strlen(json), out);
    }
    if (err != NHUB_OK) {
        const char *reason = nhub_client_error(s->hub);

        (void)snprintf(trouble, size, "%s", *reason ? reason : nhub_strerror(err));
    }
    nhub_answer_destroy(&answer);
    return err;
}

static void read_once(struct top_source *s)
{
    struct top_reading reading = {.has_hub = false};
    char trouble[sizeof s->news.trouble] = "";
    const nhub_err err = s->http ? read_gateway(s, &reading, trouble, sizeof trouble)
                                 : read_hub(s, &reading, trouble, sizeof trouble);

    (void)pthread_mutex_lock(&s->lock);
    s->news.number++;
    s->news.err = err;
    memcpy(s->news.trouble, trouble, sizeof trouble);
    if (err == NHUB_OK) {
        s->news.reading = reading;
        s->news.read_ms = clock_mono_ms();
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* Waits for the next turn; false at the end. */
static bool wait_turn(struct top_source *s, int64_t started_ms)
{
    bool goes_on;

    (void)pthread_mutex_lock(&s->lock);
    while (!s->is_over && !s->is_hurried) {
        const int64_t at_ms = started_ms + s->interval_ms;
        const struct timespec at = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};

        if (pthread_cond_timedwait(&s->wake, &s->lock, &at) == ETIMEDOUT) {
            break;
        }
    }
    s->is_hurried = false;
    goes_on = !s->is_over;
    (void)pthread_mutex_unlock(&s->lock);
    return goes_on;
}

static void *run(void *context)
{
    struct top_source *s = context;
    int64_t started_ms;

    do {
        started_ms = clock_mono_ms();
        read_once(s);
    } while (wait_turn(s, started_ms));
    return NULL;
}

static nhub_err open_peer(struct top_source *s)
{
    const nhub_client_options options = {.host = s->cli->host,
                                         .requests_port = s->cli->requests_port};

    if (s->cli->gateway) {
        return gateway_open(s->cli, &s->http) ? NHUB_OK : NHUB_EINVAL;
    }
    return nhub_client_create(&s->hub, &options);
}

nhub_err top_source_create(struct top_source **out, const struct cli *cli, int64_t interval_ms,
                           int timeout_ms)
{
    struct top_source *s = calloc(1, sizeof *s);
    pthread_condattr_t attributes;
    nhub_err err;

    if (!s) {
        return NHUB_ENOMEM;
    }
    s->cli = cli;
    s->timeout_ms = timeout_ms;
    s->interval_ms = interval_ms;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    err = open_peer(s);
    if (err == NHUB_OK && pthread_create(&s->thread, NULL, run, s) != 0) {
        err = NHUB_ESYS;
    }
    if (err != NHUB_OK) {
        http_client_destroy(&s->http);
        nhub_client_destroy(&s->hub);
        free(s);
        return err;
    }
    *out = s;
    return NHUB_OK;
}

void top_source_destroy(struct top_source **s_p)
{
    struct top_source *s = *s_p;

    if (!s) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->is_over = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    http_client_destroy(&s->http);
    nhub_client_destroy(&s->hub);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
    *s_p = NULL;
}

void top_source_take(struct top_source *s, struct top_news *out)
{
    (void)pthread_mutex_lock(&s->lock);
    *out = s->news;
    (void)pthread_mutex_unlock(&s->lock);
}

void top_source_hurry(struct top_source *s, int64_t interval_ms)
{
    (void)pthread_mutex_lock(&s->lock);
    s->interval_ms = interval_ms;
    s->is_hurried = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
}
