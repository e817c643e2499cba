/*
 * link_queries: a list that waits and a few places in flight.
 */
#include "gateway/link_queries.h"

#include "gateway/link_groups.h"
#include "wire/request.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = 8, MAX_WAITING = 8192, DEFAULT_TIMEOUT_MS = 2000 };

struct link_queries {
    bool is_up;
    struct {
        struct query_job *job; /* NULL = the place is free */
        uint64_t key;
    } flying[WINDOW];
    uint64_t last_key;
    struct query_job *first, *last; /* waiting, linked by their letters */
    size_t waiting;
    int64_t deadline_ms; /* not later than the earliest of all jobs */
    struct link_groups *groups;
};

nhub_err link_queries_create(struct link_queries **out)
{
    struct link_queries *q = calloc(1, sizeof *q);

    if (!q) {
        return NHUB_ENOMEM;
    }
    q->deadline_ms = INT64_MAX;
    if (link_groups_create(&q->groups) != NHUB_OK) {
        free(q);
        return NHUB_ENOMEM;
    }
    *out = q;
    return NHUB_OK;
}

static void finish(struct query_job *job, nhub_err err)
{
    job->err = err;
    job->done(job);
}

static void push(struct link_queries *q, struct query_job *job)
{
    job->letter.next = NULL;
    if (q->last) {
        q->last->letter.next = &job->letter;
    } else {
        q->first = job;
    }
    q->last = job;
    q->waiting++;
    if (job->deadline_ms < q->deadline_ms) {
        q->deadline_ms = job->deadline_ms;
    }
}

static struct query_job *pop(struct link_queries *q)
{
    struct query_job *job = q->first;

    q->first = (struct query_job *)(void *)job->letter.next;
    if (!q->first) {
        q->last = NULL;
    }
    q->waiting--;
    job->letter.next = NULL;
    return job;
}

void link_queries_destroy(struct link_queries **q_p)
{
    if (*q_p) {
        link_queries_lost(*q_p);
        link_groups_destroy(&(*q_p)->groups);
        free(*q_p);
        *q_p = NULL;
    }
}

void link_queries_up(struct link_queries *q)
{
    q->is_up = true;
}

void link_queries_lost(struct link_queries *q)
{
    q->is_up = false;
    for (size_t i = 0; i < WINDOW; i++) {
        struct query_job *job = q->flying[i].job;

        q->flying[i].job = NULL;
        if (job) {
            finish(job, NHUB_EUNAVAIL);
        }
    }
    while (q->first) {
        finish(pop(q), NHUB_EUNAVAIL);
    }
    q->deadline_ms = INT64_MAX;
    link_groups_lost(q->groups);
}

void link_queries_add(struct link_queries *q, struct query_job *job, int64_t now_ms)
{
    buf_init(&job->answer);
    job->events = NULL;
    job->event_count = 0;
    job->was_sent = false;
    if (job->deadline_ms == 0) {
        job->deadline_ms = now_ms + DEFAULT_TIMEOUT_MS;
    }
    if (!q->is_up || q->waiting >= MAX_WAITING) {
        finish(job, NHUB_EUNAVAIL);
    } else if (job->kind == QUERY_GROUP) {
        link_groups_add(q->groups, job);
    } else {
        push(q, job);
    }
}

static void write_request(const struct query_job *job, uint64_t id, struct buf *out)
{
    if (job->kind == QUERY_HISTORY) {
        request_write_history(out, id, job->since, job->patterns, job->pattern_count, job->limit);
    } else if (job->kind == QUERY_STATS) {
        request_write_simple(out, "stats", id);
    } else if (!job->since) {
        request_write_simple(out, "position", id);
    } else {
        buf_printf(
            out, "{\"action\":\"position\",\"request_id\":%llu,\"since\":", (unsigned long long)id);
        buf_add_json_cstr(out, job->since);
        buf_add_char(out, '}');
    }
}

static bool next_of_groups(struct link_queries *q, uint64_t (*make_id)(uint64_t key),
                           uint64_t *out_key, struct buf *out_request)
{
    const struct query_job *job = q->is_up ? link_groups_next(q->groups, out_key) : NULL;

    if (!job) {
        return false;
    }
    buf_add(out_request, job->text, job->text_len);
    buf_add_str(out_request, ",\"request_id\":");
    buf_add_u64(out_request, make_id(*out_key));
    buf_add_char(out_request, '}');
    return true;
}

bool link_queries_next(struct link_queries *q, uint64_t (*make_id)(uint64_t key), uint64_t *out_key,
                       struct buf *out_request)
{
    size_t place = 0;

    while (place < WINDOW && q->flying[place].job) {
        place++;
    }
    if (!q->is_up || !q->first || place == WINDOW) {
        return next_of_groups(q, make_id, out_key, out_request);
    }
    q->flying[place].job = pop(q);
    q->flying[place].key = ++q->last_key;
    *out_key = q->last_key;
    write_request(q->flying[place].job, make_id(q->last_key), out_request);
    return true;
}

static struct query_job *land(struct link_queries *q, uint64_t key)
{
    for (size_t i = 0; i < WINDOW; i++) {
        if (q->flying[i].job && q->flying[i].key == key) {
            struct query_job *job = q->flying[i].job;

            q->flying[i].job = NULL;
            return job;
        }
    }
    return NULL;
}

void link_queries_unsent(struct link_queries *q, uint64_t key)
{
    struct query_job *job = land(q, key);

    if (link_groups_owns(key)) {
        link_groups_unsent(q->groups, key);
    } else if (job) {
        finish(job, NHUB_EUNAVAIL);
    }
}

void link_queries_answer(struct link_queries *q, uint64_t key, const struct link_answer *answer,
                         const char *text, size_t len, struct feed_event ***events_p, size_t count)
{
    struct query_job *job = link_groups_owns(key) ? link_groups_land(q->groups, key) : land(q, key);

    if (!job) {
        for (size_t i = 0; i < count; i++) {
            feed_event_unref(&(*events_p)[i]);
        }
        free(*events_p);
        *events_p = NULL;
        return;
    }
    buf_add(&job->answer, text, len);
    job->events = *events_p;
    job->event_count = count;
    *events_p = NULL;
    if (job->answer.failed) {
        finish(job, NHUB_ENOMEM);
    } else {
        finish(job, answer->success ? NHUB_OK : NHUB_EREFUSED);
    }
}

void link_queries_expire(struct link_queries *q, int64_t now_ms)
{
    size_t left = q->waiting;

    link_groups_expire(q->groups, now_ms);
    if (q->deadline_ms > now_ms) {
        return;
    }
    q->deadline_ms = INT64_MAX;
    for (size_t i = 0; i < WINDOW; i++) {
        struct query_job *job = q->flying[i].job;

        if (job && job->deadline_ms <= now_ms) {
            q->flying[i].job = NULL;
            finish(job, NHUB_ETIMEOUT);
        } else if (job && job->deadline_ms < q->deadline_ms) {
            q->deadline_ms = job->deadline_ms;
        }
    }
    for (; left > 0; left--) {
        struct query_job *job = pop(q);

        if (job->deadline_ms <= now_ms) {
            finish(job, NHUB_ETIMEOUT);
        } else {
            push(q, job); /* once round the list: order is kept */
        }
    }
}

int64_t link_queries_deadline(const struct link_queries *q)
{
    const int64_t groups_ms = link_groups_deadline(q->groups);

    return groups_ms < q->deadline_ms ? groups_ms : q->deadline_ms;
}

size_t link_queries_waiting(const struct link_queries *q)
{
    return q->waiting;
}

size_t link_queries_changes(const struct link_queries *q)
{
    return link_groups_changes(q->groups);
}
