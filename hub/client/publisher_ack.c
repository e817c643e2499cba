/*
 * publisher_ack: the public calls of acknowledged publishing: each publish is one request, whose
 * answer goes to a callback or to the call that waits for it.
 */
#include "client/publisher.h"

#include "base/clock.h"
#include "client/draft.h"
#include "wire/json_scan.h"
#include "wire/request.h"

#include <string.h>

_Static_assert(NHUB_PUBLISH_MEMORY / 2 == (int)NHUB_DURABILITY_MEMORY &&
                   NHUB_PUBLISH_JOURNALED / 2 == (int)NHUB_DURABILITY_JOURNALED &&
                   NHUB_PUBLISH_SYNCED / 2 == (int)NHUB_DURABILITY_SYNCED,
               "a mode is NHUB_PUBLISH_EACH and twice a durability");

/* Fills *out for a publish that never left. */
static nhub_err not_sent(nhub_ack *out)
{
    *out = (nhub_ack){
        .result = NHUB_EUNAVAIL, .correlation_id = "", .code = "", .error = "", .json = ""};
    return NHUB_EUNAVAIL;
}

/* Sends as soon as there is a connection, and what was lost with the last one has left again. */
static nhub_err send_in_time(struct nhub_publisher *p, const struct flight_job *job,
                             struct pending **out)
{
    nhub_err err = flight_send(p, job, out);

    while (err == NHUB_EAGAIN && clock_mono_ms() < job->deadline_ms) {
        if (p->lost_count > 0) {
            err = flight_wait(p, job->deadline_ms);
        } else {
            err = requester_await_peer(p->requester, job->deadline_ms);
        }
        if (err != NHUB_OK) {
            return err;
        }
        err = flight_send(p, job, out);
    }
    return err;
}

static nhub_err publish(struct nhub_publisher *p, struct flight_job *job, int timeout_ms,
                        nhub_ack *out_ack)
{
    struct pending *pending = NULL;
    bool is_done = false;
    nhub_err err = flight_open(p);

    if (err != NHUB_OK) {
        return err;
    }
    job->deadline_ms = clock_mono_ms() + (timeout_ms > 0 ? timeout_ms : p->ack_timeout_ms);
    job->out_done = &is_done;
    err = send_in_time(p, job, &pending);
    if (err != NHUB_OK) {
        return err == NHUB_EAGAIN || err == NHUB_EUNAVAIL ? not_sent(out_ack) : err;
    }
    while (!is_done) {
        err = flight_wait(p, INT64_MAX);
        if (err != NHUB_OK && !is_done) {
            flight_cancel(p, pending);
            return err;
        }
    }
    *out_ack = p->ack.ack;
    return p->ack.ack.result;
}

static nhub_err submit(struct nhub_publisher *p, const struct flight_job *job)
{
    struct pending *pending = NULL;
    const nhub_err err = flight_open(p);

    return err == NHUB_OK ? flight_send(p, job, &pending) : err;
}

/* Whether a line names an id; most lines that do not are told by one search. */
static bool has_id(nhub_bytes line)
{
    static const struct json_key key = JSON_KEY("id");
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_span span;
    struct json_report report;

    return memmem(line.p, line.len, "\"id\"", 4) &&
           json_scan_object(line.p, line.len, &key, 1, &options, &span, &report) == NHUB_OK &&
           span.kind == JSON_STRING;
}

static bool have_ids(const nhub_bytes *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_id(lines[i])) {
            return false;
        }
    }
    return true;
}

/* The job of some lines. */
static struct flight_job job_of(const struct nhub_publisher *p, const nhub_bytes *lines,
                                size_t count, int mode)
{
    const int durability = mode / NHUB_PUBLISH_MEMORY; /* the words stand in this order */

    return (struct flight_job){
        .lines = lines,
        .count = count,
        .mode = mode & NHUB_PUBLISH_EACH,
        .durability = durability ? durability : p->durability,
        .deadline_ms = clock_mono_ms() + p->ack_timeout_ms,
        .has_ids = have_ids(lines, count),
    };
}

/* Bytes that one publish may have: what the hub takes, see request.h. */
static size_t most_bytes(const struct nhub_publisher *p)
{
    return (size_t)request_events_bytes(p->max_bytes);
}

static nhub_err check_lines(struct nhub_publisher *p, const nhub_bytes *lines, size_t count,
                            int mode)
{
    size_t room = most_bytes(p);

    if (mode < 0 || mode > (NHUB_PUBLISH_SYNCED | NHUB_PUBLISH_EACH)) {
        buf_printf(&p->error, "%d is no way to publish", mode);
        return publisher_refuse(p, NHUB_EINVAL);
    }
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
        if (lines[i].len > room) {
            buf_printf(&p->error, "%zu events have more than %zu bytes together", count,
                       most_bytes(p));
            return publisher_refuse(p, NHUB_ETOOBIG);
        }
        room -= lines[i].len;
    }
    return NHUB_OK;
}

/* The draft as one line in p->scratch. */
static nhub_err write_draft(struct nhub_publisher *p, const nhub_draft *draft, nhub_bytes *out)
{
    nhub_err err = NHUB_OK;

    if ((int)draft->durability < 0 || draft->durability > NHUB_DURABILITY_SYNCED) {
        buf_printf(&p->error, "%d is no durability", (int)draft->durability);
        return publisher_refuse(p, NHUB_EINVAL);
    }
    err = draft_write(draft, p->source_service, p->max_bytes, &p->scratch, &p->error);

    if (err != NHUB_OK) {
        return publisher_refuse(p, err);
    }
    *out = (nhub_bytes){.p = p->scratch.data, .len = p->scratch.len};
    return NHUB_OK;
}

static struct flight_job job_of_draft(const struct nhub_publisher *p, const nhub_draft *draft,
                                      const nhub_bytes *line)
{
    return (struct flight_job){
        .lines = line,
        .count = 1,
        .mode = NHUB_PUBLISH_ATOMIC,
        .durability = draft->durability ? (int)draft->durability : p->durability,
        .deadline_ms = clock_mono_ms() + p->ack_timeout_ms,
        .has_ids = draft->id != NULL,
    };
}

nhub_err nhub_publisher_submit_lines(nhub_publisher *publisher, const nhub_bytes *lines,
                                     size_t count, int mode, nhub_ack_fn *fn, void *context)
{
    struct flight_job job;
    nhub_err err = NHUB_OK;

    publisher_begin(publisher);
    err = check_lines(publisher, lines, count, mode);
    if (err != NHUB_OK) {
        return err;
    }
    job = job_of(publisher, lines, count, mode);
    job.fn = fn;
    job.context = context;
    return submit(publisher, &job);
}

nhub_err nhub_publisher_submit(nhub_publisher *publisher, const nhub_draft *draft, nhub_ack_fn *fn,
                               void *context)
{
    struct flight_job job;
    nhub_bytes line;
    nhub_err err = NHUB_OK;

    publisher_begin(publisher);
    err = write_draft(publisher, draft, &line);
    if (err != NHUB_OK) {
        return err;
    }
    job = job_of_draft(publisher, draft, &line);
    job.fn = fn;
    job.context = context;
    return submit(publisher, &job);
}

nhub_err nhub_publisher_publish_lines(nhub_publisher *publisher, const nhub_bytes *lines,
                                      size_t count, int mode, int timeout_ms, nhub_ack *out_ack)
{
    struct flight_job job;
    nhub_err err = NHUB_OK;

    if (publisher->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    publisher_begin(publisher);
    err = check_lines(publisher, lines, count, mode);
    if (err != NHUB_OK) {
        return err;
    }
    job = job_of(publisher, lines, count, mode);
    return publish(publisher, &job, timeout_ms, out_ack);
}

nhub_err nhub_publisher_publish(nhub_publisher *publisher, const nhub_draft *draft, int timeout_ms,
                                nhub_ack *out_ack)
{
    struct flight_job job;
    nhub_bytes line;
    nhub_err err = NHUB_OK;

    if (publisher->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    publisher_begin(publisher);
    err = write_draft(publisher, draft, &line);
    if (err != NHUB_OK) {
        return err;
    }
    job = job_of_draft(publisher, draft, &line);
    return publish(publisher, &job, timeout_ms, out_ack);
}

size_t nhub_publisher_in_flight(const nhub_publisher *publisher)
{
    return publisher->requester ? flight_count(publisher) : 0;
}

int nhub_publisher_fd(const nhub_publisher *publisher)
{
    return publisher->wakeup ? wakeup_fd(publisher->wakeup) : -1;
}

static void work(struct nhub_publisher *p)
{
    wakeup_clear(p->wakeup);
    flight_turn(p);
    wakeup_set_deadline(p->wakeup, flight_deadline_ms(p));
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
    err = flight_open(p);
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
