/*
 * publisher_ack: acknowledged publishes: each is one request, whose answer goes to a callback or to
 * the call that waits for it.
 */
#include "client/publisher.h"

#include "base/clock.h"
#include "client/draft.h"
#include "wire/request.h"

#include <stdlib.h>

/* A publish under way; the context of its answer. */
struct pending {
    struct nhub_publisher *publisher;
    nhub_ack_fn *fn; /* NULL when a call waits for it */
    void *context;
    bool *out_done; /* the waiting call's */
};

/* What to send. */
struct job {
    const nhub_bytes *lines;
    size_t count;
    int mode;
    int64_t deadline_ms;
};

static nhub_err open_requester(struct nhub_publisher *p)
{
    nhub_err err = NHUB_OK;

    if (p->requester) {
        return NHUB_OK;
    }
    err = wakeup_create(&p->wakeup);
    if (err == NHUB_OK) {
        err = requester_create(&p->requester, p->ctx, p->host, p->requests_port, p->window);
    }
    if (err == NHUB_OK) {
        err = wakeup_watch(p->wakeup, requester_fd(p->requester));
    }
    if (err != NHUB_OK) {
        requester_destroy(&p->requester);
        wakeup_destroy(&p->wakeup);
    }
    return err;
}

static void on_answer(void *context, uint64_t request_id, const struct requester_answer *answer)
{
    struct pending *pending = context;
    struct nhub_publisher *p = pending->publisher;
    struct ack_box box = {0};

    (void)request_id;
    if (pending->out_done) {
        ack_read(&p->ack, answer);
        *pending->out_done = true;
        free(pending);
        return;
    }
    ack_read(&box, answer);
    p->acks_called++;
    p->callback_depth++;
    pending->fn(pending->context, &box.ack);
    p->callback_depth--;
    ack_fini(&box);
    free(pending);
}

static void free_frames(struct zframe *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        zframe_close(&frames[i]);
    }
    free(frames);
}

/* The lines as frames; *out is to be freed with free_frames(). */
static nhub_err make_frames(const nhub_bytes *lines, size_t count, struct zframe **out)
{
    struct zframe *frames = calloc(count, sizeof *frames);

    if (!frames) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (zframe_init_copy(&frames[i], lines[i].p, lines[i].len) != NHUB_OK) {
            free_frames(frames, i);
            return NHUB_ENOMEM;
        }
    }
    *out = frames;
    return NHUB_OK;
}

/* Sends the request; *pending_p is taken on success. *out_id may be cancelled later. */
static nhub_err send_job(struct nhub_publisher *p, const struct job *job,
                         struct pending **pending_p, uint64_t *out_id)
{
    struct zframe *frames = NULL;
    struct buf json;
    nhub_err err = requester_next_id(p->requester, out_id);

    if (err != NHUB_OK) {
        return err;
    }
    err = make_frames(job->lines, job->count, &frames);
    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&json);
    request_write_publish(&json, *out_id, p->durability, job->mode == NHUB_PUBLISH_ATOMIC);
    err = requester_send(p->requester, *out_id, &json, frames, job->count, job->deadline_ms,
                         on_answer, *pending_p);
    buf_fini(&json);
    free_frames(frames, job->count);
    if (err == NHUB_OK) {
        *pending_p = NULL;
        /* The send may have swallowed the socket's edge, and there is a new deadline. */
        wakeup_kick(p->wakeup);
    }
    return err;
}

static nhub_err submit(struct nhub_publisher *p, const struct job *job, nhub_ack_fn *fn,
                       void *context)
{
    struct pending *pending = NULL;
    uint64_t id = 0;
    nhub_err err = open_requester(p);

    if (err != NHUB_OK) {
        return err;
    }
    pending = malloc(sizeof *pending);
    if (!pending) {
        return NHUB_ENOMEM;
    }
    *pending = (struct pending){.publisher = p, .fn = fn, .context = context};
    err = send_job(p, job, &pending, &id);
    free(pending);
    return err;
}

/* Fills *out for a publish that never left. */
static nhub_err not_sent(nhub_ack *out)
{
    *out = (nhub_ack){
        .result = NHUB_EUNAVAIL, .correlation_id = "", .code = "", .error = "", .json = ""};
    return NHUB_EUNAVAIL;
}

static nhub_err wait_done(struct nhub_publisher *p, const bool *is_done)
{
    while (!*is_done) {
        const nhub_err err = requester_wait(p->requester, INT64_MAX);

        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

static nhub_err publish(struct nhub_publisher *p, struct job *job, int timeout_ms,
                        nhub_ack *out_ack)
{
    struct pending *pending = NULL;
    struct pending *sent = NULL;
    uint64_t id = 0;
    bool is_done = false;
    nhub_err err = open_requester(p);

    if (err != NHUB_OK) {
        return err;
    }
    job->deadline_ms = clock_mono_ms() + (timeout_ms > 0 ? timeout_ms : p->ack_timeout_ms);
    err = requester_await_peer(p->requester, job->deadline_ms);
    if (err != NHUB_OK) {
        return err == NHUB_EUNAVAIL ? not_sent(out_ack) : err;
    }
    pending = malloc(sizeof *pending);
    if (!pending) {
        return NHUB_ENOMEM;
    }
    *pending = (struct pending){.publisher = p, .out_done = &is_done};
    sent = pending;
    err = send_job(p, job, &pending, &id);
    if (err != NHUB_OK) {
        free(pending);
        return err == NHUB_EAGAIN ? not_sent(out_ack) : err;
    }
    err = wait_done(p, &is_done);
    if (err != NHUB_OK) {
        requester_cancel(p->requester, id);
        free(sent);
        return err;
    }
    *out_ack = p->ack.ack;
    return p->ack.ack.result;
}

static nhub_err check_lines(struct nhub_publisher *p, const nhub_bytes *lines, size_t count)
{
    if (count == 0 || count > NHUB_PUBLISH_LINES_MAX) {
        buf_printf(&p->error, "%zu events in one publish, 1 to %d are allowed", count,
                   NHUB_PUBLISH_LINES_MAX);
        return publisher_refuse(p, NHUB_EINVAL);
    }
    for (size_t i = 0; i < count; i++) {
        if (lines[i].len > p->max_bytes) {
            buf_printf(&p->error, "event %zu has %zu bytes, %zu are allowed", i, lines[i].len,
                       p->max_bytes);
            return publisher_refuse(p, NHUB_ETOOBIG);
        }
    }
    return NHUB_OK;
}

/* The draft as one line in p->scratch. */
static nhub_err write_draft(struct nhub_publisher *p, const nhub_draft *draft, nhub_bytes *out)
{
    const nhub_err err =
        draft_write(draft, p->source_service, p->max_bytes, &p->scratch, &p->error);

    if (err != NHUB_OK) {
        return publisher_refuse(p, err);
    }
    *out = (nhub_bytes){.p = p->scratch.data, .len = p->scratch.len};
    return NHUB_OK;
}

nhub_err nhub_publisher_submit_lines(nhub_publisher *publisher, const nhub_bytes *lines,
                                     size_t count, int mode, nhub_ack_fn *fn, void *context)
{
    const struct job job = {.lines = lines,
                            .count = count,
                            .mode = mode,
                            .deadline_ms = clock_mono_ms() + publisher->ack_timeout_ms};
    nhub_err err = NHUB_OK;

    publisher_begin(publisher);
    err = check_lines(publisher, lines, count);
    return err != NHUB_OK ? err : submit(publisher, &job, fn, context);
}

nhub_err nhub_publisher_submit(nhub_publisher *publisher, const nhub_draft *draft, nhub_ack_fn *fn,
                               void *context)
{
    nhub_bytes line;
    const struct job job = {.lines = &line,
                            .count = 1,
                            .mode = NHUB_PUBLISH_ATOMIC,
                            .deadline_ms = clock_mono_ms() + publisher->ack_timeout_ms};
    nhub_err err = NHUB_OK;

    publisher_begin(publisher);
    err = write_draft(publisher, draft, &line);
    return err != NHUB_OK ? err : submit(publisher, &job, fn, context);
}

nhub_err nhub_publisher_publish_lines(nhub_publisher *publisher, const nhub_bytes *lines,
                                      size_t count, int mode, int timeout_ms, nhub_ack *out_ack)
{
    struct job job = {.lines = lines, .count = count, .mode = mode};
    nhub_err err = NHUB_OK;

    if (publisher->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    publisher_begin(publisher);
    err = check_lines(publisher, lines, count);
    return err != NHUB_OK ? err : publish(publisher, &job, timeout_ms, out_ack);
}

nhub_err nhub_publisher_publish(nhub_publisher *publisher, const nhub_draft *draft, int timeout_ms,
                                nhub_ack *out_ack)
{
    nhub_bytes line;
    struct job job = {.lines = &line, .count = 1, .mode = NHUB_PUBLISH_ATOMIC};
    nhub_err err = NHUB_OK;

    if (publisher->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    publisher_begin(publisher);
    err = write_draft(publisher, draft, &line);
    return err != NHUB_OK ? err : publish(publisher, &job, timeout_ms, out_ack);
}

size_t nhub_publisher_in_flight(const nhub_publisher *publisher)
{
    return publisher->requester ? requester_in_flight(publisher->requester) : 0;
}

int nhub_publisher_fd(const nhub_publisher *publisher)
{
    return publisher->wakeup ? wakeup_fd(publisher->wakeup) : -1;
}

static void work(struct nhub_publisher *p)
{
    wakeup_clear(p->wakeup);
    (void)requester_process(p->requester, clock_mono_ms());
    wakeup_set_deadline(p->wakeup, requester_deadline_ms(p->requester));
}

nhub_err nhub_publisher_poll(nhub_publisher *publisher, int timeout_ms, size_t *out_count)
{
    struct nhub_publisher *p = publisher;
    const size_t before = p->acks_called;
    const int64_t until_ms = clock_mono_ms() + timeout_ms;
    nhub_err err = NHUB_OK;

    if (p->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    publisher_begin(p);
    err = open_requester(p);
    if (err != NHUB_OK) {
        return err;
    }
    work(p);
    while (p->acks_called == before && timeout_ms != 0) {
        const int64_t left_ms = until_ms - clock_mono_ms();

        if (timeout_ms > 0 && left_ms <= 0) {
            break;
        }
        err = wakeup_wait(p->wakeup, timeout_ms < 0 ? -1 : (int)left_ms);
        if (err != NHUB_OK && err != NHUB_ETIMEOUT) {
            break;
        }
        work(p);
    }
    if (out_count) {
        *out_count = p->acks_called - before;
    }
    return err == NHUB_ESYS ? NHUB_ESYS : NHUB_OK;
}
