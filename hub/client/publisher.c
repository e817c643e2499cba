/*
 * publisher: a PUSH for fire and forget, a requester for acknowledged publishes, each made at its
 * first use.
 *
 * How many events never left: each PUSH message is our own memory, and the library gives it back
 * when it has written it to the network (or dropped it at close). Counting those returns tells
 * exactly what still waits.
 */
#include "client/publisher.h"

#include "base/clock.h"
#include "client/draft.h"

#include <notifyhub/notifyhub.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_QUEUE_EVENTS   10000
#define DEFAULT_ACK_TIMEOUT_MS 5000
#define DEFAULT_MAX_BYTES      (4u << 20)
#define DEFAULT_LINGER_MS      100
/* How often the closing publisher looks whether its messages have left. */
#define CLOSE_STEP_MS 2

static nhub_err copy_text(char **out, const char *text)
{
    *out = strdup(text);
    return *out ? NHUB_OK : NHUB_ENOMEM;
}

nhub_err nhub_publisher_create(nhub_publisher **out, const nhub_publisher_options *options)
{
    const nhub_publisher_options defaults = {0};
    const nhub_publisher_options *o = options ? options : &defaults;
    struct nhub_publisher *p = NULL;
    nhub_err err = NHUB_OK;

    if (o->window > NHUB_WINDOW_MAX || o->queue_events > INT32_MAX || (int)o->durability < 0 ||
        o->durability > NHUB_DURABILITY_SYNCED) {
        return NHUB_EINVAL;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        return NHUB_ENOMEM;
    }
    p->collector_port = o->collector_port ? o->collector_port : NHUB_COLLECTOR_PORT;
    p->requests_port = o->requests_port ? o->requests_port : NHUB_REQUESTS_PORT;
    p->queue_events = o->queue_events ? o->queue_events : DEFAULT_QUEUE_EVENTS;
    p->window = o->window ? o->window : NHUB_WINDOW_MAX;
    p->ack_timeout_ms =
        o->ack_timeout_ms ? (int)(o->ack_timeout_ms & INT32_MAX) : DEFAULT_ACK_TIMEOUT_MS;
    p->max_bytes = o->max_event_bytes ? o->max_event_bytes : DEFAULT_MAX_BYTES;
    p->durability = (int)o->durability;
    buf_init(&p->scratch);
    buf_init(&p->error);
    err = copy_text(&p->host, o->host ? o->host : "127.0.0.1");
    if (err == NHUB_OK && o->source_service) {
        err = copy_text(&p->source_service, o->source_service);
    }
    if (err == NHUB_OK) {
        err = zctx_create(&p->ctx);
    }
    if (err != NHUB_OK) {
        nhub_publisher_destroy(&p);
        return err;
    }
    *out = p;
    return NHUB_OK;
}

void publisher_begin(struct nhub_publisher *p)
{
    buf_reset(&p->scratch);
    buf_reset(&p->error);
    if (p->callback_depth == 0) {
        ack_fini(&p->ack);
    }
}

const char *nhub_publisher_error(const nhub_publisher *publisher)
{
    return publisher->error.len > 0 ? publisher->error.data : "";
}

nhub_err publisher_refuse(struct nhub_publisher *p, nhub_err err)
{
    (void)buf_cstr(&p->error);
    return err;
}

/* Fire and forget. */

static void give_back(void *bytes, void *hint)
{
    struct nhub_publisher *p = hint;

    /* Pairs with the release in push_bytes(): the bytes were written before they were handed over.
     * ZeroMQ orders that, too, but out of sight of a race detector. */
    (void)atomic_load_explicit(&p->queued, memory_order_acquire);
    free(bytes);
    atomic_fetch_sub_explicit(&p->queued, 1, memory_order_release);
}

static nhub_err open_push(struct nhub_publisher *p)
{
    const struct zsock_options options = {
        .sndhwm = (int)p->queue_events, .rcvhwm = 1, .linger_ms = 0, .max_msg_bytes = -1};
    struct zsock *push = NULL;
    nhub_err err = NHUB_OK;

    if (p->push) {
        return NHUB_OK;
    }
    err = zsock_create(&push, p->ctx, ZSOCK_PUSH, &options);
    if (err == NHUB_OK) {
        err = zsock_connect(push, p->host, p->collector_port);
    }
    if (err != NHUB_OK) {
        zsock_destroy(&push);
        return err;
    }
    p->push = push;
    return NHUB_OK;
}

static nhub_err push_bytes(struct nhub_publisher *p, const char *bytes, size_t len)
{
    struct zframe frame;
    char *copy = NULL;
    nhub_err err = open_push(p);

    if (err != NHUB_OK) {
        return err;
    }
    copy = malloc(len);
    if (!copy) {
        return NHUB_ENOMEM;
    }
    memcpy(copy, bytes, len);
    err = zframe_init_foreign(&frame, copy, len, give_back, p);
    if (err != NHUB_OK) {
        free(copy);
        return err;
    }
    /* Counted before it can be given back. A frame that is not taken comes back with the close. */
    atomic_fetch_add_explicit(&p->queued, 1, memory_order_release);
    err = zsock_send(p->push, &frame, false);
    zframe_close(&frame);
    return err;
}

nhub_err nhub_publisher_send_draft(nhub_publisher *publisher, const nhub_draft *draft)
{
    struct nhub_publisher *p = publisher;
    nhub_err err = NHUB_OK;

    publisher_begin(p);
    err = draft_write(draft, p->source_service, p->max_bytes, &p->scratch, &p->error);
    if (err != NHUB_OK) {
        return publisher_refuse(p, err);
    }
    return push_bytes(p, p->scratch.data, p->scratch.len);
}

nhub_err nhub_publisher_send(nhub_publisher *publisher, const char *event_type, const char *data)
{
    const nhub_draft draft = {.event_type = event_type, .data = data};

    return nhub_publisher_send_draft(publisher, &draft);
}

nhub_err nhub_publisher_send_line(nhub_publisher *publisher, nhub_bytes line)
{
    nhub_err err = NHUB_OK;

    publisher_begin(publisher);
    err = draft_check_line(line, publisher->max_bytes, &publisher->error);
    if (err != NHUB_OK) {
        return publisher_refuse(publisher, err);
    }
    return push_bytes(publisher, line.p, line.len);
}

size_t nhub_publisher_queued(const nhub_publisher *publisher)
{
    return atomic_load_explicit(&publisher->queued, memory_order_acquire);
}

/* The end. */

static bool is_settled(const struct nhub_publisher *p)
{
    return nhub_publisher_queued(p) == 0 && nhub_publisher_in_flight(p) == 0;
}

/* Nobody signals that a message has left, so this looks again every few milliseconds. */
nhub_err nhub_publisher_flush(nhub_publisher *publisher, int timeout_ms)
{
    struct nhub_publisher *p = publisher;
    const int64_t deadline_ms = clock_mono_ms() + (timeout_ms > 0 ? timeout_ms : 0);

    if (p->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    while (!is_settled(p)) {
        const int64_t now_ms = clock_mono_ms();
        nhub_err err = NHUB_OK;

        if (timeout_ms >= 0 && now_ms >= deadline_ms) {
            return NHUB_ETIMEOUT;
        }
        if (p->requester) {
            err = flight_wait(p, nhub_publisher_queued(p) > 0 ? now_ms + CLOSE_STEP_MS
                                 : timeout_ms >= 0            ? deadline_ms
                                                              : INT64_MAX);
        } else {
            (void)poll(NULL, 0, CLOSE_STEP_MS);
        }
        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

static void free_publisher(struct nhub_publisher *p)
{
    zsock_destroy(&p->push);
    requester_destroy(&p->requester);
    wakeup_destroy(&p->wakeup);
    zctx_destroy(&p->ctx); /* from here on no message is given back any more */
    ack_fini(&p->ack);
    buf_fini(&p->scratch);
    buf_fini(&p->error);
    free(p->source_service);
    free(p->host);
    free(p);
}

nhub_err nhub_publisher_close(nhub_publisher **publisher_p, int linger_ms,
                              nhub_close_report *out_report)
{
    struct nhub_publisher *p = *publisher_p;
    nhub_close_report report = {0};

    if (!p) {
        return NHUB_OK;
    }
    if (p->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    /* The result is in the counts below. */
    NHUB_IGNORE(nhub_publisher_flush(p, linger_ms));
    report.unsent = nhub_publisher_queued(p);
    if (p->requester) {
        report.unacked = nhub_publisher_in_flight(p);
        flight_give_up(p);
    }
    if (p->push && report.unsent == 0) {
        /* All messages are written; the last bytes may stand in the library's buffer. */
        zsock_set_linger(p->push, DEFAULT_LINGER_MS);
    }
    free_publisher(p);
    *publisher_p = NULL;
    if (out_report) {
        *out_report = report;
    }
    return report.unsent + report.unacked > 0 ? NHUB_ETIMEOUT : NHUB_OK;
}

void nhub_publisher_destroy(nhub_publisher **publisher_p)
{
    NHUB_IGNORE(nhub_publisher_close(publisher_p, DEFAULT_LINGER_MS, NULL));
}
