/*
 * consumer_fetch: the group, and what is fetched from it: one request at a time.
 *
 *   CREATE ──made──▶ EVENTS ──deliveries──▶ batch ──taken──▶ EVENTS …
 *      ▲                │ unknown group
 *      └──other hub── EPOCH ──same hub──▶ NHUB_ENOTFOUND
 *
 * A fetch waits at the hub. When the connection breaks, it is sent anew: what the hub handed out to
 * the old one comes again by itself.
 */
#include "client/consumer.h"

#include "base/clock.h"
#include "base/zsock.h"
#include "client/logger.h"
#include "client/position_public.h"
#include "wire/request.h"
#include "wire/request_group.h"

#include <stdio.h>
#include <string.h>

#define FETCH_WAIT_MS    20000
#define ANSWER_MS        5000 /* beyond the wait, before the connection is taken for dead */
#define RETRY_MS         500
#define CODE_IS(c, word) (strcmp((c)->error_code, word) == 0)

/* The deliveries of the batch. */

static const struct json_t *delivery_at(const struct nhub_consumer *c, size_t index)
{
    return answer_element(c->batch->json, "deliveries", index);
}

size_t fetch_left(const struct nhub_consumer *c)
{
    return c->batch ? c->batch->frame_count - c->taken : 0;
}

const char *fetch_left_id(const struct nhub_consumer *c, size_t index)
{
    return answer_text(delivery_at(c, c->taken + index), "delivery", "");
}

/* Takes the next one. Errors: NHUB_EPROTO it is no event; it is passed over. */
static nhub_err take(struct nhub_consumer *c)
{
    const struct json_t *delivery = delivery_at(c, c->taken);
    const nhub_bytes line = nhub_answer_frame(c->batch, c->taken);

    c->delivery = (nhub_delivery){
        .event = &c->event,
        .id = fetch_left_id(c, 0),
        .attempt = answer_u64(delivery, "attempt"),
        .visibility_ms = answer_u64(c->batch->json, "visibility_ms"),
    };
    c->taken++;
    return event_view_init(&c->event, line.p, line.len);
}

/* Answers. */

static void tell_gap(struct nhub_consumer *c, const struct position *from,
                     const struct position *to, const char *reason)
{
    const nhub_gap gap = {
        .from = position_to_public(from), .to = position_to_public(to), .reason = reason};
    char from_text[POSITION_TEXT_MAX] = "";
    char to_text[POSITION_TEXT_MAX] = "";

    (void)position_format(from, from_text);
    (void)position_format(to, to_text);
    logger_write(NHUB_LOG_WARN, "gap", "group=%s from=%s to=%s reason=%s", c->group, from_text,
                 to_text, reason);
    if (c->on_gap) {
        c->callback_depth++;
        c->on_gap(c->gap_context, &gap);
        c->callback_depth--;
    }
}

static void try_later(struct nhub_consumer *c)
{
    c->not_before_ms = clock_mono_ms() + RETRY_MS;
}

/* True when the answer is a success. What the hub refuses for the moment is tried again; the rest
 * is what the next call has to say. */
static bool is_good(struct nhub_consumer *c, const struct requester_answer *answer)
{
    c->is_asked = false;
    if (answer->err == NHUB_ETIMEOUT) {
        logger_write(NHUB_LOG_WARN, "hub_silent", "group=%s", c->group);
        if (requester_reconnect(c->requester) != NHUB_OK) {
            c->failure = NHUB_ESYS;
        }
        return false;
    }
    if (answer->err != NHUB_OK) {
        return false; /* the connection broke: it is sent anew over the next one */
    }
    if (answer_bool(answer->json, "success")) {
        return true;
    }
    c->failure = consumer_refused(c, answer->json);
    if (CODE_IS(c, "too_many_waiting") || CODE_IS(c, "journal_unavailable") ||
        CODE_IS(c, "no_memory") || CODE_IS(c, "shutting_down") || CODE_IS(c, "unavailable")) {
        logger_write(NHUB_LOG_WARN, "fetch_refused", "group=%s code=%s", c->group, c->error_code);
        c->failure = NHUB_OK;
        try_later(c);
    }
    return false;
}

static void on_created(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_consumer *c = context;

    (void)id;
    if (is_good(c, answer)) {
        c->place = answer_position(answer->json, "position");
        c->is_renewed = false;
        c->step = FETCH_EVENTS;
    }
}

/* The group is unknown. With the epoch of before somebody deleted it; a new epoch is a hub that
 * forgot it. */
static void on_epoch(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_consumer *c = context;
    struct position now = {.seq = 0};

    (void)id;
    if (!is_good(c, answer)) {
        return;
    }
    (void)snprintf(now.epoch, sizeof now.epoch, "%s", answer_text(answer->json, "epoch", ""));
    if (strcmp(now.epoch, c->place.epoch) == 0) {
        c->step = FETCH_EVENTS;
        c->failure = NHUB_ENOTFOUND;
        (void)snprintf(c->error, sizeof c->error, "the group was deleted");
        (void)snprintf(c->error_code, sizeof c->error_code, "unknown_group");
        return;
    }
    tell_gap(c, &c->place, &now, "epoch_changed");
    c->place = now;
    c->is_renewed = true;
    c->step = FETCH_CREATE;
}

static void note_gap(struct nhub_consumer *c, const struct json_t *json)
{
    const struct json_t *gap = answer_object(json, "gap");

    if (gap) {
        const struct position from = answer_position(gap, "from");
        const struct position to = answer_position(gap, "to");

        tell_gap(c, &from, &to, answer_text(gap, "reason", "retention"));
    }
}

static void on_fetched(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_consumer *c = context;

    (void)id;
    if (!is_good(c, answer)) {
        if (c->failure == NHUB_ENOTFOUND && c->creates && c->place.epoch[0] != '\0') {
            c->failure = NHUB_OK;
            c->step = FETCH_EPOCH;
        }
        return;
    }
    note_gap(c, answer->json);
    if (answer->frame_count == 0) {
        return;
    }
    if (answer_count(answer->json, "deliveries") != answer->frame_count) {
        logger_write(NHUB_LOG_WARN, "bad_answer", "group=%s", c->group);
        c->failure = NHUB_EPROTO;
        try_later(c);
        return;
    }
    nhub_answer_destroy(&c->batch);
    c->taken = 0;
    if (answer_keep(&c->batch, answer) != NHUB_OK) {
        c->failure = NHUB_ENOMEM; /* it comes again when its visibility time is over */
    }
}

/* Questions. */

static requester_fn *write_request(const struct nhub_consumer *c, uint64_t id, struct buf *out)
{
    const struct group_options options = {
        .patterns = (const char *const *)c->patterns,
        .pattern_count = c->pattern_count,
        .since = c->is_renewed ? "earliest" : c->since,
        .visibility_ms = c->visibility_ms,
        .max_attempts = c->max_attempts,
        .ordered = c->is_ordered,
        .hold = c->holds,
    };

    switch (c->step) {
    case FETCH_CREATE:
        request_write_group_create(out, id, c->group, &options);
        return on_created;
    case FETCH_EPOCH:
        request_write_simple(out, "position", id);
        return on_epoch;
    case FETCH_EVENTS:
        break;
    }
    request_write_fetch(out, id, c->group, c->member, c->prefetch, 0, FETCH_WAIT_MS);
    return on_fetched;
}

void fetch_turn(struct nhub_consumer *c, int64_t now_ms)
{
    requester_fn *fn = NULL;
    uint64_t id = 0;
    struct buf json;

    if (!c->is_wanted || c->is_asked || c->failure != NHUB_OK || fetch_left(c) > 0 ||
        now_ms < c->not_before_ms || !requester_is_ready(c->requester) ||
        requester_next_id(c->requester, &id) != NHUB_OK) {
        return;
    }
    buf_init(&json);
    fn = write_request(c, id, &json);
    if (requester_send(c->requester, id, &json, NULL,
                       now_ms + ANSWER_MS + (fn == on_fetched ? FETCH_WAIT_MS : 0), fn,
                       c) == NHUB_OK) {
        c->is_asked = true;
        wakeup_kick(c->wakeup); /* the send may have swallowed the socket's edge */
    } else {
        try_later(c);
    }
    buf_fini(&json);
}

int64_t fetch_deadline_ms(const struct nhub_consumer *c)
{
    return c->is_wanted && !c->is_asked && c->not_before_ms > clock_mono_ms() ? c->not_before_ms
                                                                              : INT64_MAX;
}

/* What a call can say now; NHUB_EAGAIN = nothing. */
static nhub_err look(struct nhub_consumer *c, const nhub_delivery **out)
{
    nhub_err err = c->failure;

    c->failure = NHUB_OK;
    if (err != NHUB_OK) {
        return err;
    }
    if (fetch_left(c) == 0) {
        return NHUB_EAGAIN;
    }
    err = take(c);
    if (err == NHUB_OK) {
        *out = &c->delivery;
    }
    return err;
}

nhub_err nhub_consumer_next(nhub_consumer *consumer, int timeout_ms, const nhub_delivery **out)
{
    struct nhub_consumer *c = consumer;
    const int64_t until_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
    nhub_err err = NHUB_OK;

    if (c->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    consumer_forget_error(c);
    c->is_wanted = true;
    consumer_turn(c);
    while ((err = look(c, out)) == NHUB_EAGAIN && timeout_ms != 0) {
        const nhub_err waited =
            clock_mono_ms() >= until_ms ? NHUB_ETIMEOUT : consumer_wait(c, until_ms);

        if (waited != NHUB_OK) {
            err = look(c, out);
            if (err == NHUB_EAGAIN) {
                err = waited == NHUB_EAGAIN ? NHUB_ETIMEOUT : waited;
            }
            break;
        }
    }
    if (fetch_left(c) > 0) {
        wakeup_kick(c->wakeup); /* there is more without anything new from the hub */
    } else if (err == NHUB_OK && c->prefetch > 1) {
        consumer_turn(c); /* the next fetch is under way while this delivery is worked on */
    }
    return err;
}
