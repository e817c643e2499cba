/*
 * subscriber: the public calls, and handing out what is ready.
 */
#include "client/subscriber.h"

#include "base/clock.h"
#include "client/logger.h"
#include "client/position_public.h"

#include <notifyhub/notifyhub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_QUEUE_EVENTS   10000
#define DEFAULT_REFILL_WAIT_MS 5000
#define DEFAULT_CHECK_MS       1000
#define DEFAULT_HELD_BYTES     (64u << 20)
#define DEFAULT_POLL_EVENTS    1000
#define HELD_EVENTS_MAX        262144
#define RECEIVED_MAX           262144
#define CHECK_EVENTS           16384 /* a quarter of what a hub keeps by default */
#define SETTLE_MS              500   /* an answer overtakes the events by at most this */
#define RETRY_MS               100

/* What the detector gives. */

static void append(struct nhub_subscriber *s, struct ready_item *item)
{
    item->next = NULL;
    if (s->last) {
        s->last->next = item;
    } else {
        s->first = item;
    }
    s->last = item;
    s->ready_count++;
}

static void take_event(void *context, void *item, bool refilled, bool late)
{
    struct nhub_subscriber *s = context;
    struct ready_item *ready = item;

    ready->is_refilled = refilled;
    ready->is_late = late;
    append(s, ready);
}

static void take_duplicate(void *context, void *item)
{
    struct nhub_subscriber *s = context;
    struct ready_item *ready = item;

    s->stats.duplicates++;
    ready_item_destroy(&ready);
}

static void take_gap(void *context, const struct gap_range *gap)
{
    struct nhub_subscriber *s = context;
    struct ready_item *item = calloc(1, sizeof *item);

    if (!item) {
        /* A gap that cannot be told would be a silent loss: the next poll says so. */
        s->fatal = NHUB_ENOMEM;
        return;
    }
    zframe_init(&item->frame);
    item->is_gap = true;
    item->from = gap->from;
    item->to = gap->to;
    item->delivered = gap->delivered;
    (void)snprintf(item->reason, sizeof item->reason, "%s", gap->reason);
    append(s, item);
}

/* Life. */

static nhub_err check_options(const nhub_subscriber_options *o, struct position *out_since)
{
    struct since since = {.kind = SINCE_NONE};

    if (o->queue_events > INT32_MAX || o->refill_wait_ms > INT32_MAX ||
        o->check_interval_ms > INT32_MAX) {
        return NHUB_EINVAL;
    }
    if (o->since && (strlen(o->since) >= sizeof(((struct gap_request *)NULL)->since) ||
                     since_parse(o->since, strlen(o->since), &since) != NHUB_OK)) {
        return NHUB_EINVAL;
    }
    if (since.kind == SINCE_POSITION) {
        *out_since = since.position;
    }
    return o->since && o->no_recovery ? NHUB_EINVAL : NHUB_OK;
}

static nhub_err create_detector(struct nhub_subscriber *s, const nhub_subscriber_options *o)
{
    const struct gap_options options = {
        .since = o->since,
        .is_filtered = !o->whole_stream,
        .has_requests = !o->no_recovery,
        .held_events = HELD_EVENTS_MAX,
        .held_bytes = o->held_bytes ? o->held_bytes : DEFAULT_HELD_BYTES,
        .received_max = RECEIVED_MAX,
        .check_interval_ms = o->check_interval_ms ? (int)o->check_interval_ms : DEFAULT_CHECK_MS,
        .check_events = CHECK_EVENTS,
        .settle_ms = SETTLE_MS,
        .is_patient = o->refill_wait_ms == 0,
        .refill_wait_ms = o->refill_wait_ms ? (int)o->refill_wait_ms : DEFAULT_REFILL_WAIT_MS,
        .retry_ms = RETRY_MS,
    };
    const struct gap_callbacks callbacks = {
        .context = s, .deliver = take_event, .discard = take_duplicate, .gap = take_gap};

    return gap_detector_create(&s->detector, &options, &callbacks);
}

static nhub_err create_parts(struct nhub_subscriber *s, const nhub_subscriber_options *o)
{
    nhub_err err = NHUB_OK;

    s->host = strdup(o->host ? o->host : "127.0.0.1");
    if (!s->host) {
        return NHUB_ENOMEM;
    }
    err = zctx_create(&s->ctx);
    if (err == NHUB_OK) {
        err = wakeup_create(&s->wakeup);
    }
    if (err == NHUB_OK) {
        err = filters_create(&s->filters);
    }
    if (err == NHUB_OK) {
        err = create_detector(s, o);
    }
    return err == NHUB_OK ? link_open(s) : err;
}

nhub_err nhub_subscriber_create(nhub_subscriber **out, const nhub_subscriber_options *options)
{
    const nhub_subscriber_options defaults = {0};
    const nhub_subscriber_options *o = options ? options : &defaults;
    struct position since = {0};
    struct nhub_subscriber *s = NULL;
    nhub_err err = check_options(o, &since);

    if (err != NHUB_OK) {
        return err;
    }
    s = calloc(1, sizeof *s);
    if (!s) {
        return NHUB_ENOMEM;
    }
    s->publisher_port = o->publisher_port ? o->publisher_port : NHUB_PUBLISHER_PORT;
    s->requests_port = o->requests_port ? o->requests_port : NHUB_REQUESTS_PORT;
    s->queue_events = o->queue_events ? o->queue_events : DEFAULT_QUEUE_EVENTS;
    s->page_events = HISTORY_PAGE_EVENTS;
    s->is_whole_stream = o->whole_stream;
    s->has_recovery = !o->no_recovery;
    s->since = since;
    s->on_gap = o->on_gap;
    s->gap_context = o->gap_context;
    err = create_parts(s, o);
    if (err != NHUB_OK) {
        nhub_subscriber_destroy(&s);
        return err;
    }
    *out = s;
    return NHUB_OK;
}

static struct ready_item *take_ready(struct nhub_subscriber *s)
{
    struct ready_item *item = s->first;

    if (item) {
        s->first = item->next;
        s->last = s->first ? s->last : NULL;
        s->ready_count--;
    }
    return item;
}

void nhub_subscriber_destroy(nhub_subscriber **subscriber_p)
{
    struct nhub_subscriber *s = *subscriber_p;
    struct ready_item *item = NULL;

    if (!s) {
        return;
    }
    gap_detector_destroy(&s->detector);
    while ((item = take_ready(s))) {
        ready_item_destroy(&item);
    }
    link_close(s);
    filters_destroy(&s->filters);
    wakeup_destroy(&s->wakeup);
    zctx_destroy(&s->ctx);
    free(s->host);
    free(s);
    *subscriber_p = NULL;
}

/* Subscriptions. */

nhub_err nhub_subscriber_on(nhub_subscriber *subscriber, const char *pattern, nhub_event_fn *fn,
                            void *context)
{
    struct filter_change change;
    const nhub_err err = filters_add(subscriber->filters, pattern, fn, context, &change);

    return err == NHUB_OK ? link_refilter(subscriber, &change) : err;
}

nhub_err nhub_subscriber_off(nhub_subscriber *subscriber, const char *pattern)
{
    struct filter_change change;
    const nhub_err err = filters_remove(subscriber->filters, pattern, &change);

    return err == NHUB_OK ? link_refilter(subscriber, &change) : err;
}

nhub_err nhub_subscriber_prefix(nhub_subscriber *subscriber, const char *prefix)
{
    struct filter_change change;
    const nhub_err err = filters_add_prefix(subscriber->filters, prefix, &change);

    return err == NHUB_OK ? link_refilter(subscriber, &change) : err;
}

void nhub_subscriber_default(nhub_subscriber *subscriber, nhub_event_fn *fn, void *context)
{
    filters_set_default(subscriber->filters, fn, context);
}

/* Handing out. */

static uint64_t missed_in(const struct ready_item *item)
{
    const bool is_counted = strcmp(item->from.epoch, item->to.epoch) == 0 &&
                            item->to.seq > item->from.seq &&
                            strcmp(item->reason, "unclean_stop") != 0;
    const uint64_t numbers = is_counted ? item->to.seq - item->from.seq : 0;

    return numbers > item->delivered ? numbers - item->delivered : 0;
}

static void hand_out_gap(struct nhub_subscriber *s, const struct ready_item *item)
{
    char from[POSITION_TEXT_MAX];
    char to[POSITION_TEXT_MAX];
    const nhub_gap gap = {.from = position_to_public(&item->from),
                          .to = position_to_public(&item->to),
                          .reason = item->reason,
                          .delivered = item->delivered};

    (void)position_format(&item->from, from);
    (void)position_format(&item->to, to);
    logger_write(NHUB_LOG_WARN, "gap", "from=%s to=%s reason=%s", from, to, item->reason);
    s->stats.gaps++;
    s->stats.missed += missed_in(item);
    s->stats.unverified += strcmp(item->reason, "unverified") == 0 ? 1 : 0;
    if (s->on_gap) {
        s->on_gap(s->gap_context, &gap);
    }
}

/* True when a handler took the event. */
static bool hand_out_event(struct nhub_subscriber *s, struct ready_item *item)
{
    if (event_view_init(&s->event, zframe_data(&item->frame), zframe_size(&item->frame)) !=
        NHUB_OK) {
        s->stats.malformed++;
        return false;
    }
    s->event.is_late = item->is_late;
    if (!filters_dispatch(s->filters, &s->event, s->stats_event)) {
        s->stats.unselected++;
        return false;
    }
    s->stats.delivered++;
    s->stats.refilled += item->is_refilled ? 1 : 0;
    s->stats.late += item->is_late ? 1 : 0;
    return true;
}

/* What one poll did. */
struct progress {
    size_t handled; /* events that a handler took */
    bool has_gap;
};

static void hand_out(struct nhub_subscriber *s, size_t max_events, struct progress *progress)
{
    struct ready_item *item = NULL;

    while (progress->handled < max_events && (item = take_ready(s))) {
        s->is_in_callback = true;
        if (item->is_gap) {
            hand_out_gap(s, item);
            progress->has_gap = true;
        } else {
            progress->handled += hand_out_event(s, item) ? 1 : 0;
        }
        s->is_in_callback = false;
        if (item->to.epoch[0] != '\0' && !item->is_late) {
            s->handled = item->to;
        }
        ready_item_destroy(&item);
    }
}

static int left_ms(int64_t until_ms, int timeout_ms)
{
    const int64_t left = until_ms - clock_mono_ms();

    if (timeout_ms < 0) {
        return -1;
    }
    return left > 0 ? (int)left : 0;
}

nhub_err nhub_subscriber_poll(nhub_subscriber *subscriber, int timeout_ms, size_t max_events,
                              size_t *out_count)
{
    struct nhub_subscriber *s = subscriber;
    const int64_t until_ms = clock_mono_ms() + timeout_ms;
    const size_t max = max_events ? max_events : DEFAULT_POLL_EVENTS;
    struct progress progress = {0};
    nhub_err err = NHUB_OK;

    if (s->is_in_callback) {
        return NHUB_ESTATE;
    }
    for (bool is_first = true;; is_first = false) {
        bool has_more = false;

        hand_out(s, max, &progress);
        if (progress.handled < max) {
            has_more = link_turn(s);
            hand_out(s, max, &progress);
        }
        if (s->fatal != NHUB_OK || progress.handled >= max) {
            break;
        }
        if (has_more && (is_first || left_ms(until_ms, timeout_ms) != 0)) {
            continue;
        }
        if (progress.handled > 0 || progress.has_gap || left_ms(until_ms, timeout_ms) == 0) {
            break;
        }
        err = wakeup_wait(s->wakeup, left_ms(until_ms, timeout_ms));
        if (err == NHUB_EAGAIN || err == NHUB_ESYS) {
            break;
        }
    }
    /* Whatever was left undone is found again without a new wake-up from a socket. */
    if (progress.handled > 0 || s->ready_count > 0 || !s->is_drained) {
        wakeup_kick(s->wakeup);
    }
    if (out_count) {
        *out_count = progress.handled;
    }
    if (s->fatal != NHUB_OK) {
        return s->fatal;
    }
    return err == NHUB_ESYS ? NHUB_ESYS : NHUB_OK;
}

int nhub_subscriber_fd(const nhub_subscriber *subscriber)
{
    return wakeup_fd(subscriber->wakeup);
}

nhub_position nhub_subscriber_position(const nhub_subscriber *subscriber)
{
    return position_to_public(subscriber->ready_count == 0
                                  ? gap_detector_covered(subscriber->detector)
                                  : &subscriber->handled);
}

nhub_position nhub_subscriber_verified(const nhub_subscriber *subscriber)
{
    const struct position verified = gap_detector_verified(subscriber->detector);
    const struct position *handled = &subscriber->handled;

    /* What waits to be handed out lies behind what was handed out last. */
    if (subscriber->ready_count > 0 &&
        (strcmp(verified.epoch, handled->epoch) != 0 || verified.seq > handled->seq)) {
        return position_to_public(handled);
    }
    return position_to_public(&verified);
}

_Static_assert((int)NHUB_RESUME_NONE == (int)GAP_RESULT_NONE &&
                   (int)NHUB_RESUME_CAUGHT_UP == (int)GAP_CAUGHT_UP &&
                   (int)NHUB_RESUME_REPLAYED == (int)GAP_REPLAYED &&
                   (int)NHUB_RESUME_GAP == (int)GAP_LOST &&
                   (int)NHUB_RESUME_UNKNOWN == (int)GAP_UNKNOWN,
               "the public header repeats the detector's words");

void nhub_subscriber_get_resume(const nhub_subscriber *subscriber, nhub_resume *out)
{
    struct gap_resume resume;

    gap_detector_resume(subscriber->detector, &resume);
    *out = (nhub_resume){.result = (nhub_resume_result)resume.result,
                         .is_running = resume.is_running,
                         .from = position_to_public(&resume.from),
                         .to = position_to_public(&resume.to),
                         .count = resume.count};
}

void nhub_subscriber_get_stats(const nhub_subscriber *subscriber, nhub_subscriber_stats *out)
{
    *out = subscriber->stats;
}
