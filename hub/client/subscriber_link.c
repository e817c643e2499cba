/*
 * subscriber_link: the sockets of a subscriber, and what is read from them.
 *
 * Breaks, for a filtered stream: an event can only be lost between hub and us when the connection
 * broke, or when a queue was full. Ours was full only if it held queue_events unread messages, and
 * those all stand before the first one behind the loss. So whoever reads less than that without
 * seeing the queue empty has lost nothing; after half of it we take a break for granted and replay.
 * Queues that fill up on the way (a slow network) are found by counting, a little later.
 */
#include "client/subscriber.h"

#include "base/clock.h"
#include "client/logger.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 64
/* The hub reads at most 1024 patterns in a request; some room is left for reserved types. */
#define PREFIXES_MAX 1000
/* libzmq loses subscriptions beyond this mark when it connects again (libzmq #2258). */
#define SUBSCRIPTIONS_HWM (FILTERS_MAX + 1024)
/* Requests without an answer before the connections are taken for dead: a cut cable tells nobody.
 */
#define TIMEOUTS_MAX 2

/* Sockets. */

static nhub_err subscribe_all(struct nhub_subscriber *s, struct zsock *sub)
{
    const char **prefixes = NULL;
    size_t count = 0;
    nhub_err err = filters_prefixes(s->filters, &prefixes, &count);

    for (size_t i = 0; err == NHUB_OK && i < count; i++) {
        err = zsock_subscribe(sub, prefixes[i], strlen(prefixes[i]));
    }
    if (err == NHUB_OK && s->is_whole_stream && count > 0) {
        err = zsock_subscribe(sub, "", 0);
    }
    free(prefixes);
    return err;
}

static void close_sub(struct nhub_subscriber *s)
{
    if (s->sub) {
        wakeup_unwatch(s->wakeup, zsock_fd(s->sub));
    }
    if (s->monitor) {
        wakeup_unwatch(s->wakeup, zsock_fd(s->monitor));
    }
    zsock_destroy(&s->sub);
    zsock_destroy(&s->monitor);
}

static nhub_err open_sub(struct nhub_subscriber *s)
{
    const struct zsock_options options = {
        .sndhwm = SUBSCRIPTIONS_HWM, .rcvhwm = (int)s->queue_events, .max_msg_bytes = -1};
    nhub_err err = zsock_create(&s->sub, s->ctx, ZSOCK_SUB, &options);

    if (err == NHUB_OK) {
        err = zsock_monitor(s->sub, s->ctx, &s->monitor);
    }
    if (err == NHUB_OK) {
        err = subscribe_all(s, s->sub);
    }
    if (err == NHUB_OK) {
        err = zsock_connect(s->sub, s->host, s->publisher_port);
    }
    if (err == NHUB_OK) {
        err = wakeup_watch(s->wakeup, zsock_fd(s->sub));
    }
    if (err == NHUB_OK) {
        err = wakeup_watch(s->wakeup, zsock_fd(s->monitor));
    }
    return err;
}

nhub_err link_open(struct nhub_subscriber *s)
{
    nhub_err err = open_sub(s);

    if (err == NHUB_OK && s->has_recovery) {
        err = requester_create(&s->requester, s->ctx, s->host, s->requests_port, 2);
        if (err == NHUB_OK) {
            err = requester_watch(s->requester, s->wakeup);
        }
    }
    wakeup_kick(s->wakeup);
    return err;
}

void link_close(struct nhub_subscriber *s)
{
    if (s->wakeup) {
        close_sub(s);
    }
    requester_destroy(&s->requester);
}

/* Both connections anew. The events that wait in the old socket are read before by the caller. */
static void reconnect(struct nhub_subscriber *s, int64_t now_ms)
{
    logger_write(NHUB_LOG_WARN, "hub_silent", "timeouts=%u", s->timeouts);
    s->timeouts = 0;
    if (requester_reconnect(s->requester) != NHUB_OK) {
        s->fatal = NHUB_ESYS;
    }
    /* Events that come say that their connection is fine, whatever the other one does. */
    if (!s->is_heard) {
        close_sub(s);
        if (open_sub(s) != NHUB_OK) {
            s->fatal = NHUB_ESYS;
        }
        s->stats.is_connected = false;
        gap_detector_break(s->detector, now_ms);
    }
}

bool link_is_filtered(const struct nhub_subscriber *s)
{
    return !s->is_whole_stream && !filters_take_everything(s->filters);
}

nhub_err link_refilter(struct nhub_subscriber *s, const struct filter_change *change)
{
    nhub_err err = NHUB_OK;

    if (!change->is_changed) {
        return NHUB_OK;
    }
    if (change->is_added) {
        err = zsock_subscribe(s->sub, change->prefix, change->prefix_len);
    } else {
        err = zsock_unsubscribe(s->sub, change->prefix, change->prefix_len);
    }
    if (err == NHUB_OK && s->requester && !s->is_whole_stream &&
        filters_prefix_count(s->filters) > PREFIXES_MAX) {
        s->is_whole_stream = true;
    }
    /* The whole stream is asked for once there is something to select from it. */
    if (err == NHUB_OK && s->is_whole_stream && change->is_added &&
        (filters_prefix_count(s->filters) == 1 ||
         filters_prefix_count(s->filters) == PREFIXES_MAX + 1)) {
        err = zsock_subscribe(s->sub, "", 0);
    }
    gap_detector_refilter(s->detector, link_is_filtered(s), clock_mono_ms());
    wakeup_kick(s->wakeup);
    return err;
}

/* Events. */

static void read_monitor(struct nhub_subscriber *s, int64_t now_ms)
{
    enum zmonitor_event event = ZMONITOR_OTHER;

    while (zmonitor_next(s->monitor, &event) == NHUB_OK) {
        if (event == ZMONITOR_OTHER) {
            continue;
        }
        s->stats.is_connected = event == ZMONITOR_CONNECTED;
        s->stats.disconnects += event == ZMONITOR_DISCONNECTED ? 1 : 0;
        logger_write(NHUB_LOG_INFO, s->stats.is_connected ? "hub_connected" : "hub_lost",
                     "host=%s port=%u", s->host, (unsigned)s->publisher_port);
        gap_detector_break(s->detector, now_ms);
    }
}

void ready_item_destroy(struct ready_item **item_p)
{
    if (*item_p) {
        zframe_close(&(*item_p)->frame);
        free(*item_p);
        *item_p = NULL;
    }
}

/* One message: [type, line]. *out is NULL when it was malformed (counted). Errors: NHUB_EAGAIN. */
static nhub_err receive(struct nhub_subscriber *s, struct ready_item **out)
{
    struct ready_item *item = calloc(1, sizeof *item);
    struct zframe type;
    nhub_err err = NHUB_OK;

    *out = NULL;
    if (!item) {
        return NHUB_ENOMEM;
    }
    zframe_init(&type);
    zframe_init(&item->frame);
    err = zsock_recv(s->sub, &type);
    if (err == NHUB_OK && zframe_more(&type)) {
        err = zsock_recv(s->sub, &item->frame);
        if (err == NHUB_OK && zframe_more(&item->frame)) {
            zsock_skip_message(s->sub, &item->frame);
        }
        if (err == NHUB_OK) {
            *out = item;
            item = NULL;
        }
    } else if (err == NHUB_OK) {
        s->stats.malformed++;
    }
    zframe_close(&type);
    ready_item_destroy(&item);
    return err;
}

static void feed(struct nhub_subscriber *s, struct ready_item *item, int64_t now_ms)
{
    const char *line = zframe_data(&item->frame);
    const size_t len = zframe_size(&item->frame);
    struct position position = {0};

    if (event_tail_position(line, len, &position) != NHUB_OK) {
        position = (struct position){0};
    }
    item->to = position;
    gap_detector_event(s->detector, item, &position, len + sizeof *item, now_ms);
}

/* Looks whether the connection broke only when the batch is read, and only then believes that the
 * batch follows what was there before. */
size_t link_read_events(struct nhub_subscriber *s, int64_t now_ms)
{
    struct ready_item *batch[BATCH];
    size_t count = 0;
    size_t reads = 0;

    s->is_drained = false;
    for (; reads < BATCH && !gap_detector_is_full(s->detector); reads++) {
        const nhub_err err = receive(s, &batch[count]);

        if (err != NHUB_OK) {
            s->is_drained = err == NHUB_EAGAIN;
            break;
        }
        count += batch[count] ? 1 : 0;
    }
    read_monitor(s, now_ms);
    s->run = s->is_drained ? 0 : s->run + (uint32_t)reads;
    if (s->requester && link_is_filtered(s) && s->run >= s->queue_events / 2) {
        s->run = 0;
        gap_detector_break(s->detector, now_ms);
    }
    for (size_t i = 0; i < count; i++) {
        feed(s, batch[i], now_ms);
        s->is_heard = true;
    }
    return reads;
}

bool link_turn(struct nhub_subscriber *s)
{
    const int64_t now_ms = clock_mono_ms();
    const bool can_read = s->ready_count == 0;
    int64_t deadline_ms = INT64_MAX;

    wakeup_clear(s->wakeup);
    if (can_read && !gap_detector_is_full(s->detector)) {
        (void)link_read_events(s, now_ms);
    } else {
        /* Not read, but its wake-up has to be taken. */
        (void)zsock_readable(s->sub);
        read_monitor(s, now_ms);
        gap_detector_defer(s->detector, now_ms);
    }
    if (s->requester) {
        (void)requester_process(s->requester, now_ms);
        if (s->timeouts >= TIMEOUTS_MAX) {
            reconnect(s, now_ms);
        }
        gap_detector_tick(s->detector, now_ms);
        if (s->ready_count == 0) {
            link_ask(s, now_ms);
        }
        deadline_ms = requester_deadline_ms(s->requester);
    }
    if (gap_detector_deadline_ms(s->detector) < deadline_ms) {
        deadline_ms = gap_detector_deadline_ms(s->detector);
    }
    wakeup_set_deadline(s->wakeup, deadline_ms);
    return !s->is_drained && !gap_detector_is_full(s->detector);
}
