/*
 * publisher_flight: acknowledged publishes on their way.
 *
 *            send                    answer, time-out
 *   job ────────────▶ in flight ─────────────────────────▶ callback, or the call that waits
 *                        │   ▲                                   ▲
 *        connection broke│   │ same epoch, ids remembered        │ otherwise, or too late
 *                        ▼   │                                   │
 *                       lost ┴───────────────────────────────────┘
 *
 * Each connection begins with a question for the hub's position. While its answer is not here,
 * publishes go out all the same unless something is lost: that has to leave before what is newer.
 * The epoch under which a publish was sent is that of its connection; it is written into the
 * publish when the connection breaks.
 */
#include "client/publisher.h"

#include "base/clock.h"
#include "base/settings.h"
#include "client/answer.h"
#include "client/logger.h"
#include "wire/packed.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hub that does not say how long it remembers ids does so for at least this long. */
#define MEMORY_DEFAULT_S 60
#define ASK_TIMEOUT_MS   3000

struct pending {
    struct pending *prev, *next; /* among the lost ones */
    struct nhub_publisher *publisher;
    nhub_ack_fn *fn; /* NULL when a call waits for it */
    void *context;
    bool *out_done; /* the waiting call's */
    uint64_t id;    /* of its request; 0 = lost */
    uint64_t order;
    int mode, durability;
    int64_t sent_ms, deadline_ms;
    bool is_lost, was_resent;
    bool was_refused;          /* lost, and surely not accepted: the hub said that it stops */
    char epoch[EPOCH_LEN + 1]; /* of a lost one */
    struct buf events;         /* packed, kept for another try; empty when there is none */
};

static void free_pending(struct pending *pending)
{
    buf_fini(&pending->events);
    free(pending);
}

/* The end of a publish: its answer to whoever waits for it. */
static void resolve(struct pending *pending, const struct requester_answer *answer)
{
    struct nhub_publisher *p = pending->publisher;
    struct ack_box box = {0};

    if (pending->out_done) {
        ack_read(&p->ack, answer);
        p->ack.ack.was_resent = pending->was_resent;
        *pending->out_done = true;
    } else {
        ack_read(&box, answer);
        box.ack.was_resent = pending->was_resent;
        p->acks_called++;
        p->callback_depth++;
        pending->fn(pending->context, &box.ack);
        p->callback_depth--;
        ack_fini(&box);
    }
    free_pending(pending);
}

static void fail(struct pending *pending, nhub_err err)
{
    const struct requester_answer answer = {.err = err};

    resolve(pending, &answer);
}

/* The lost ones. */

/* Nearly always at the end: the requester tells them in about the order in which they were sent. */
static void add_lost(struct nhub_publisher *p, struct pending *pending)
{
    struct pending *before = p->lost_last;

    while (before && before->order > pending->order) {
        before = before->prev;
    }
    pending->prev = before;
    pending->next = before ? before->next : p->lost_first;
    *(pending->next ? &pending->next->prev : &p->lost_last) = pending;
    *(before ? &before->next : &p->lost_first) = pending;
    pending->is_lost = true;
    pending->id = 0;
    p->lost_count++;
}

static void remove_lost(struct nhub_publisher *p, struct pending *pending)
{
    *(pending->prev ? &pending->prev->next : &p->lost_first) = pending->next;
    *(pending->next ? &pending->next->prev : &p->lost_last) = pending->prev;
    pending->is_lost = false;
    p->lost_count--;
}

static bool may_be_kept(const struct pending *pending)
{
    const struct nhub_publisher *p = pending->publisher;

    return pending->events.data && p->epoch[0] != '\0' && !p->is_epoch_mixed;
}

static void keep(struct pending *pending)
{
    memcpy(pending->epoch, pending->publisher->epoch, sizeof pending->epoch);
    add_lost(pending->publisher, pending);
}

static void take_loss(struct pending *pending)
{
    if (may_be_kept(pending)) {
        keep(pending);
    } else {
        fail(pending, NHUB_ECLOSED);
    }
}

static bool is_refused_with(const struct requester_answer *answer, const char *code)
{
    return answer->err == NHUB_OK && !answer_bool(answer->json, "success") &&
           strcmp(answer_text(answer->json, "code", ""), code) == 0;
}

/* It says how the hub is, and is said before the hub looks whether it knows the events: what was
 * sent before may be there all the same. */
static bool is_of_the_moment(const struct requester_answer *answer)
{
    return is_refused_with(answer, "shutting_down") || is_refused_with(answer, "unavailable") ||
           is_refused_with(answer, "durability_unavailable") ||
           is_refused_with(answer, "no_memory");
}

/* A hub that stops takes nothing any more; its successor will. */
static void take_refusal(struct pending *pending)
{
    pending->was_refused = !pending->was_resent;
    pending->publisher->is_hub_leaving = true;
    keep(pending);
}

/* A lost one that is not sent again: `unknown`, or surely not accepted. */
static void give_up(struct pending *pending, nhub_err unknown)
{
    remove_lost(pending->publisher, pending);
    fail(pending, pending->was_refused ? NHUB_EUNAVAIL : unknown);
}

static void note_epoch(struct nhub_publisher *p, const struct json_t *json)
{
    const char *epoch = answer_text(json, "epoch", "");

    if (strlen(epoch) != EPOCH_LEN) {
        return;
    }
    p->is_epoch_mixed |= p->epoch[0] != '\0' && strcmp(p->epoch, epoch) != 0;
    memcpy(p->epoch, epoch, sizeof p->epoch);
}

static void on_answer(void *context, uint64_t request_id, const struct requester_answer *answer)
{
    struct pending *pending = context;

    (void)request_id;
    if (answer->err == NHUB_ECLOSED && !pending->publisher->is_closing) {
        take_loss(pending);
        return;
    }
    if (is_refused_with(answer, "shutting_down") && may_be_kept(pending) &&
        !pending->publisher->is_closing) {
        take_refusal(pending);
        return;
    }
    if (pending->was_resent && is_of_the_moment(answer)) {
        fail(pending, NHUB_ECLOSED);
        return;
    }
    if (answer->err == NHUB_OK) {
        note_epoch(pending->publisher, answer->json);
    }
    resolve(pending, answer);
}

/* Sending. */

static nhub_err send_events(struct pending *pending, const struct buf *events)
{
    struct nhub_publisher *p = pending->publisher;
    uint64_t id = 0;
    struct buf json;
    nhub_err err = requester_next_id(p->requester, &id);

    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&json);
    request_write_publish_batched(&json, id, pending->durability,
                                  pending->mode == NHUB_PUBLISH_ATOMIC);
    err = requester_send(p->requester, id, &json, events, pending->deadline_ms, on_answer, pending);
    buf_fini(&json);
    if (err == NHUB_OK) {
        pending->id = id;
        /* The send may have swallowed the socket's edge, and there is a new deadline. */
        wakeup_kick(p->wakeup);
    }
    return err;
}

static nhub_err send_first(struct pending *pending, const struct flight_job *job)
{
    struct buf events;
    nhub_err err = NHUB_OK;

    buf_init(&events);
    for (size_t i = 0; i < job->count; i++) {
        packed_add(&events, job->lines[i].p, job->lines[i].len);
    }
    err = send_events(pending, &events);
    if (err == NHUB_OK && job->has_ids) {
        pending->events = events;
    } else {
        buf_fini(&events);
    }
    return err;
}

nhub_err flight_send(struct nhub_publisher *p, const struct flight_job *job, struct pending **out)
{
    struct pending *pending = NULL;
    nhub_err err = NHUB_OK;

    if (flight_count(p) >= p->window) {
        return NHUB_EFULL;
    }
    if (!requester_is_ready(p->requester) || p->losses != requester_losses(p->requester) ||
        p->knowledge == FLIGHT_UNKNOWN) {
        flight_turn(p);
    }
    if (p->lost_count > 0) {
        return NHUB_EAGAIN;
    }
    pending = calloc(1, sizeof *pending);
    if (!pending) {
        return NHUB_ENOMEM;
    }
    *pending = (struct pending){.publisher = p,
                                .fn = job->fn,
                                .context = job->context,
                                .out_done = job->out_done,
                                .order = p->next_order++,
                                .mode = job->mode,
                                .durability = job->durability,
                                .sent_ms = clock_mono_ms(),
                                .deadline_ms = job->deadline_ms};
    err = send_first(pending, job);
    if (err != NHUB_OK) {
        free_pending(pending);
        return err;
    }
    *out = pending;
    return NHUB_OK;
}

void flight_cancel(struct nhub_publisher *p, struct pending *pending)
{
    if (pending->is_lost) {
        remove_lost(p, pending);
    } else {
        requester_cancel(p->requester, pending->id);
    }
    free_pending(pending);
}

/* After a connection broke. */

static bool may_repeat(const struct nhub_publisher *p, const struct pending *pending,
                       int64_t now_ms)
{
    return strcmp(pending->epoch, p->epoch) == 0 && !p->is_epoch_mixed &&
           now_ms - pending->sent_ms < p->memory_ms;
}

/* Sends the lost ones again, in order, until one cannot be sent now. */
static void send_lost(struct nhub_publisher *p, int64_t now_ms)
{
    struct pending *pending = NULL;

    while (p->knowledge == FLIGHT_KNOWN && !p->is_hub_leaving && (pending = p->lost_first)) {
        if (!may_repeat(p, pending, now_ms)) {
            give_up(pending, NHUB_ECLOSED);
            continue;
        }
        if (send_events(pending, &pending->events) != NHUB_OK) {
            return; /* the next turn tries again, until the deadline */
        }
        remove_lost(p, pending);
        pending->was_resent = true;
        pending->was_refused = false;
    }
}

static void on_position(void *context, uint64_t request_id, const struct requester_answer *answer)
{
    struct nhub_publisher *p = context;
    uint64_t memory_s = 0;

    (void)request_id;
    p->knowledge = FLIGHT_UNKNOWN;
    if (answer->err != NHUB_OK) {
        return;
    }
    /* A hub that refuses the question has no epoch to compare with: nothing is repeated. */
    note_epoch(p, answer->json);
    memory_s = answer_u64(answer->json, "dedup_window_s");
    p->memory_ms = (int64_t)(memory_s ? memory_s : MEMORY_DEFAULT_S) * 1000;
    if (!answer_bool(answer->json, "dedup")) {
        p->memory_ms = 0;
    }
    p->knowledge = FLIGHT_KNOWN;
    if (p->lost_count > 0) {
        logger_write(NHUB_LOG_INFO, "hub_back", "epoch=%s publishes=%zu", p->epoch, p->lost_count);
    }
}

static void ask_position(struct nhub_publisher *p, int64_t now_ms)
{
    uint64_t id = 0;
    struct buf json;

    if (p->knowledge != FLIGHT_UNKNOWN || !requester_is_ready(p->requester) ||
        requester_next_id(p->requester, &id) != NHUB_OK) {
        return;
    }
    buf_init(&json);
    request_write_simple(&json, "position", id);
    if (requester_send(p->requester, id, &json, NULL, now_ms + ASK_TIMEOUT_MS, on_position, p) ==
        NHUB_OK) {
        p->knowledge = FLIGHT_ASKED;
    }
    buf_fini(&json);
}

static void expire_lost(struct nhub_publisher *p, int64_t now_ms)
{
    struct pending *next = NULL;

    for (struct pending *pending = p->lost_first; pending; pending = next) {
        next = pending->next;
        if (pending->deadline_ms <= now_ms) {
            give_up(pending, NHUB_ETIMEOUT);
            /* The callback may have changed the list. */
            next = p->lost_first;
        }
    }
}

void flight_turn(struct nhub_publisher *p)
{
    const int64_t now_ms = clock_mono_ms();

    (void)requester_process(p->requester, now_ms);
    if (p->losses != requester_losses(p->requester)) {
        p->losses = requester_losses(p->requester);
        p->knowledge = FLIGHT_UNKNOWN;
        p->epoch[0] = '\0';
        p->is_epoch_mixed = false;
        p->is_hub_leaving = false;
    }
    ask_position(p, now_ms);
    send_lost(p, now_ms);
    expire_lost(p, now_ms);
}

nhub_err flight_wait(struct nhub_publisher *p, int64_t deadline_ms)
{
    const int64_t until_ms = flight_deadline_ms(p);
    const nhub_err err =
        requester_wait(p->requester, until_ms < deadline_ms ? until_ms : deadline_ms);

    flight_turn(p);
    return err;
}

void flight_give_up(struct nhub_publisher *p)
{
    p->is_closing = true;
    while (p->lost_first) {
        give_up(p->lost_first, NHUB_ECLOSED);
    }
    requester_give_up(p->requester, NHUB_ECLOSED);
}

size_t flight_count(const struct nhub_publisher *p)
{
    const size_t own = p->knowledge == FLIGHT_ASKED ? 1 : 0;

    return requester_in_flight(p->requester) - own + p->lost_count;
}

int64_t flight_deadline_ms(const struct nhub_publisher *p)
{
    int64_t deadline_ms = requester_deadline_ms(p->requester);

    for (const struct pending *pending = p->lost_first; pending; pending = pending->next) {
        if (pending->deadline_ms < deadline_ms) {
            deadline_ms = pending->deadline_ms;
        }
    }
    return deadline_ms;
}

nhub_err flight_open(struct nhub_publisher *p)
{
    nhub_err err = NHUB_OK;

    if (p->requester) {
        return NHUB_OK;
    }
    err = wakeup_create(&p->wakeup);
    if (err == NHUB_OK) {
        /* One more than the window: the question for the position. */
        err = requester_create(&p->requester, p->ctx, p->host, p->requests_port,
                               p->window + (size_t)1);
    }
    if (err == NHUB_OK) {
        err = requester_watch(p->requester, p->wakeup);
    }
    if (err != NHUB_OK) {
        requester_destroy(&p->requester);
        wakeup_destroy(&p->wakeup);
    }
    return err;
}
