/*
 * gap_detector: see the header for the states.
 *
 *      delivered or told            waiting: held            still on its way
 *   ───────────────────────┤ ?????? ├─────────┤ ?? ├──────┤ …
 *                       covered      ^ broken       ^ broken
 *
 * An event waits as `broken` when something may be missing before it. History moves `covered`
 * forward; a waiting event is let go when covered reaches its predecessor, and takes the unbroken
 * run behind it along.
 *
 * In a filtered stream a run may end without a visible sign, so there the runs are only let go when
 * the replay has reached the hub's end: what was lost before the last page was asked for is in the
 * pages.
 */
#include "client/gap_detector.h"

#include "client/held.h"
#include "client/received.h"

#include <stdlib.h>
#include <string.h>

enum state { STATE_START, STATE_LIVE, STATE_REPLAY };

struct gap_detector {
    struct gap_options options;
    struct gap_callbacks callbacks;
    enum state state;
    struct position covered;
    struct held *held;
    char since[64]; /* for the first page, "" afterwards */
    bool is_break_next;

    /* The one request. */
    enum gap_request_kind asked;
    uint64_t asked_to_seq;
    int64_t not_before_ms; /* no request earlier than this */

    /* The tail: a position of the hub and when it was told. */
    bool has_tail;
    uint64_t tail_seq;
    int64_t tail_ms;
    int64_t next_check_ms;

    /* A filtered stream: numbers behind `verified` that were delivered. */
    struct received *received;
    uint64_t verified;
    bool is_rebasing; /* the subscriptions changed: `verified` is taken from the next tail */

    int64_t waiting_since_ms; /* held events wait for history since then */
};

nhub_err gap_detector_create(struct gap_detector **out, const struct gap_options *options,
                             const struct gap_callbacks *callbacks)
{
    struct gap_detector *d = calloc(1, sizeof *d);
    nhub_err err = NHUB_ENOMEM;

    if (!d) {
        return NHUB_ENOMEM;
    }
    d->options = *options;
    d->callbacks = *callbacks;
    if (options->since && strcmp(options->since, "latest") != 0) {
        strncpy(d->since, options->since, sizeof d->since - 1);
    }
    err = held_create(&d->held, options->held_events, options->held_bytes);
    if (err == NHUB_OK) {
        err = received_create(&d->received, options->received_max);
    }
    if (err != NHUB_OK) {
        gap_detector_destroy(&d);
        return err;
    }
    *out = d;
    return NHUB_OK;
}

void gap_detector_destroy(struct gap_detector **d_p)
{
    struct gap_detector *d = *d_p;

    if (!d) {
        return;
    }
    while (d->held && held_front(d->held)) {
        d->callbacks.discard(d->callbacks.context, held_front(d->held)->item);
        held_pop(d->held);
    }
    held_destroy(&d->held);
    received_destroy(&d->received);
    free(d);
    *d_p = NULL;
}

static bool same_epoch(const struct position *a, const struct position *b)
{
    return memcmp(a->epoch, b->epoch, EPOCH_LEN) == 0;
}

/* Output. */

static void tell_gap(struct gap_detector *d, const struct position *to, const char *reason)
{
    d->callbacks.gap(d->callbacks.context, &d->covered, to, reason);
}

/* Moves covered on to p. Another epoch has its own numbers, so the count begins anew. */
static void cover(struct gap_detector *d, const struct position *p)
{
    if (!same_epoch(&d->covered, p)) {
        received_clear(d->received);
        d->verified = p->seq;
        d->has_tail = false;
    }
    d->covered = *p;
}

static void deliver(struct gap_detector *d, void *item, const struct position *p, bool refilled)
{
    cover(d, p);
    if (d->options.is_filtered && d->options.has_requests && !received_add(d->received, p->seq)) {
        /* More events than may be remembered between two checks: what is delivered so far counts as
         * checked. Breaks are still noticed. */
        received_clear(d->received);
        d->verified = p->seq;
    }
    d->callbacks.deliver(d->callbacks.context, item, refilled, false);
}

/* Whether the first waiting event directly follows what is covered. */
static bool front_follows(const struct gap_detector *d, const struct held_event *front)
{
    return same_epoch(&front->position, &d->covered) &&
           (front->position.seq <= d->covered.seq + 1 || !front->is_broken);
}

static void pop_front(struct gap_detector *d, bool refilled)
{
    const struct held_event front = *held_front(d->held);

    held_pop(d->held);
    if (same_epoch(&front.position, &d->covered) && front.position.seq <= d->covered.seq) {
        d->callbacks.discard(d->callbacks.context, front.item);
    } else {
        deliver(d, front.item, &front.position, refilled);
    }
}

/* Lets go of what covered has reached. */
static void release(struct gap_detector *d)
{
    const struct held_event *front = NULL;

    while ((front = held_front(d->held)) && front_follows(d, front)) {
        pop_front(d, false);
    }
}

/* Drops waiting events that a page has brought. */
static void drop_covered(struct gap_detector *d)
{
    const struct held_event *front = NULL;

    while ((front = held_front(d->held)) && same_epoch(&front->position, &d->covered) &&
           front->position.seq <= d->covered.seq) {
        pop_front(d, false);
    }
}

static void replay(struct gap_detector *d, int64_t now_ms)
{
    if (d->state != STATE_REPLAY) {
        d->state = STATE_REPLAY;
        d->waiting_since_ms = now_ms;
    }
    d->has_tail = false;
}

static void go_live(struct gap_detector *d, int64_t now_ms)
{
    d->state = STATE_LIVE;
    d->next_check_ms = now_ms + d->options.check_interval_ms;
}

static void begin_at(struct gap_detector *d, const struct position *p, uint64_t seq, int64_t now_ms)
{
    d->covered = *p;
    d->covered.seq = seq;
    d->verified = seq;
    received_clear(d->received);
    go_live(d, now_ms);
}

/* Gives up on what is missing: tells it, up to the first waiting event, and lets that one go with
 * its run. */
static void skip_to_front(struct gap_detector *d, const char *reason)
{
    const struct held_event front = *held_front(d->held);
    const struct position before = {.seq = front.position.seq - 1};
    struct position to = front.position;

    to.seq = before.seq;
    if (!same_epoch(&to, &d->covered)) {
        tell_gap(d, &to, d->covered.epoch[0] ? "epoch_changed" : reason);
        cover(d, &to);
    } else if (front.is_broken && to.seq > d->covered.seq) {
        tell_gap(d, &to, reason);
        cover(d, &to);
    }
    pop_front(d, false);
    release(d);
}

static void give_up(struct gap_detector *d, const char *reason, int64_t now_ms)
{
    if (d->state == STATE_START && d->since[0] == '\0' && held_front(d->held)) {
        begin_at(d, &held_front(d->held)->position, held_front(d->held)->position.seq - 1, now_ms);
    }
    while (held_front(d->held)) {
        skip_to_front(d, reason);
    }
    d->since[0] = '\0';
    if (d->covered.epoch[0] == '\0') {
        d->state = STATE_START;
    } else {
        go_live(d, now_ms);
    }
}

/* Live events. */

static void hold(struct gap_detector *d, void *item, const struct position *position, size_t bytes,
                 bool is_broken)
{
    const struct held_event event = {
        .item = item, .position = *position, .bytes = bytes, .is_broken = is_broken};

    if (held_push(d->held, &event) != NHUB_OK) {
        /* Without memory to wait in, the event is one more that history has to bring. */
        d->callbacks.discard(d->callbacks.context, item);
        d->is_break_next = true;
    }
}

/* Whether nothing can be missing between prev and p. */
static bool follows(const struct gap_detector *d, const struct position *prev,
                    const struct position *p, bool is_break)
{
    if (!same_epoch(prev, p)) {
        return false;
    }
    return p->seq == prev->seq + 1 || (d->options.is_filtered && !is_break);
}

void gap_detector_event(struct gap_detector *d, void *item, const struct position *position,
                        size_t bytes, int64_t now_ms)
{
    const struct held_event *back = held_back(d->held);
    const bool is_break = d->is_break_next;
    const struct position *prev = NULL;

    if (position->epoch[0] == '\0' || position->seq == 0) {
        d->callbacks.deliver(d->callbacks.context, item, false, false);
        return;
    }
    d->is_break_next = false;
    if (d->state == STATE_START && d->since[0] == '\0' && !d->options.has_requests) {
        begin_at(d, position, position->seq - 1, now_ms);
    }
    prev = back ? &back->position : &d->covered;
    if (same_epoch(prev, position) && position->seq <= prev->seq) {
        d->callbacks.discard(d->callbacks.context, item);
        /* A break before a duplicate lies behind us only if all before the duplicate is covered. */
        d->is_break_next = is_break && back != NULL;
        return;
    }
    if (!back && d->state == STATE_LIVE && follows(d, prev, position, is_break)) {
        deliver(d, item, position, false);
        return;
    }
    /* While a replay runs, the first one to wait follows nothing that was delivered. */
    hold(d, item, position, bytes,
         !follows(d, prev, position, is_break || (!back && d->state != STATE_LIVE)));
    if (d->state == STATE_LIVE) {
        replay(d, now_ms);
    } else if (!back) {
        d->waiting_since_ms = now_ms;
    }
    if (!d->options.has_requests) {
        give_up(d, "no_recovery", now_ms);
    }
}

void gap_detector_break(struct gap_detector *d, int64_t now_ms)
{
    d->is_break_next = true;
    if (d->covered.epoch[0] != '\0' && d->options.has_requests) {
        replay(d, now_ms);
    }
}

void gap_detector_refilter(struct gap_detector *d, bool is_filtered, int64_t now_ms)
{
    d->options.is_filtered = is_filtered;
    d->is_rebasing = is_filtered;
    d->has_tail = false;
    received_clear(d->received);
    d->verified = d->covered.seq;
    if (d->state == STATE_LIVE) {
        d->next_check_ms = now_ms;
    }
}

bool gap_detector_is_full(const struct gap_detector *d)
{
    return held_is_full(d->held);
}

/* Requests. */

static bool is_check_due(const struct gap_detector *d, int64_t now_ms)
{
    return d->state == STATE_LIVE && d->has_tail && now_ms >= d->tail_ms + d->options.settle_ms;
}

/* Whether so much has gone by that the hub may soon forget what was not checked. What is received
 * proves that all before it was sent, so there is no need to wait as for a tail. */
static bool is_far(const struct gap_detector *d)
{
    return d->covered.seq - d->verified >= d->options.check_events && !d->is_rebasing;
}

/* A filtered stream: how many should there have been up to the tail, or up to the newest one here?
 */
static void fill_count(struct gap_detector *d, struct gap_request *r, bool has_old_tail)
{
    const uint64_t to = has_old_tail && d->tail_seq > d->covered.seq ? d->tail_seq : d->covered.seq;

    d->has_tail = false;
    if (d->is_rebasing) {
        d->is_rebasing = false;
        received_clear(d->received);
        d->verified = to;
        if (to > d->covered.seq) {
            d->covered.seq = to;
        }
    }
    if (to <= d->verified) {
        return;
    }
    r->kind = GAP_REQUEST_COUNT;
    r->from = d->covered;
    r->from.seq = d->verified;
    r->to_seq = to;
}

static void fill_history(const struct gap_detector *d, struct gap_request *r)
{
    r->kind = GAP_REQUEST_HISTORY;
    if (d->since[0] != '\0') {
        memcpy(r->since, d->since, sizeof r->since);
    } else {
        (void)position_format(&d->covered, r->since);
    }
}

struct gap_request gap_detector_next_request(struct gap_detector *d, int64_t now_ms)
{
    struct gap_request r = {.kind = GAP_REQUEST_NONE};

    if (d->asked != GAP_REQUEST_NONE || now_ms < d->not_before_ms || !d->options.has_requests) {
        return r;
    }
    if (d->state == STATE_START) {
        r.kind = GAP_REQUEST_POSITION;
    } else if (d->state == STATE_REPLAY) {
        fill_history(d, &r);
    } else if (d->options.is_filtered && (is_check_due(d, now_ms) || is_far(d))) {
        fill_count(d, &r, is_check_due(d, now_ms));
    } else if (!d->has_tail && now_ms >= d->next_check_ms) {
        r.kind = GAP_REQUEST_POSITION;
    }
    d->asked = r.kind;
    d->asked_to_seq = r.to_seq;
    return r;
}

void gap_detector_unsent(struct gap_detector *d, int64_t now_ms)
{
    d->asked = GAP_REQUEST_NONE;
    d->not_before_ms = now_ms + d->options.retry_ms;
}

void gap_detector_failed(struct gap_detector *d, bool refused, int64_t now_ms)
{
    const bool was_history = d->asked == GAP_REQUEST_HISTORY;

    gap_detector_unsent(d, now_ms);
    if (refused) {
        /* A hub that does not know the request will not learn it soon. */
        d->not_before_ms = now_ms + d->options.check_interval_ms;
    }
    if (refused && was_history && held_front(d->held)) {
        give_up(d, "refused", now_ms);
    }
}

/* Without `since`: the stream begins behind the hub's position, or with the first event that came
 * before the answer. */
static void begin_now(struct gap_detector *d, const struct position *newest, int64_t now_ms)
{
    const struct held_event *front = held_front(d->held);

    if (!front) {
        begin_at(d, newest, newest->seq, now_ms);
        /* The connection for events may be younger than this answer. */
        d->is_break_next = true;
        return;
    }
    begin_at(d, &front->position, front->position.seq - 1, now_ms);
    release(d);
    if (held_front(d->held) || !same_epoch(&d->covered, newest)) {
        replay(d, now_ms);
    }
}

void gap_detector_position(struct gap_detector *d, const struct position *newest, int64_t now_ms)
{
    d->asked = GAP_REQUEST_NONE;
    d->next_check_ms = now_ms + d->options.check_interval_ms;
    if (d->state == STATE_START) {
        if (d->since[0] != '\0') {
            replay(d, now_ms);
        } else {
            begin_now(d, newest, now_ms);
        }
        return;
    }
    if (d->state != STATE_LIVE) {
        return;
    }
    if (!same_epoch(newest, &d->covered)) {
        replay(d, now_ms);
        return;
    }
    d->has_tail = true;
    d->tail_seq = newest->seq;
    d->tail_ms = now_ms;
}

void gap_detector_count(struct gap_detector *d, uint64_t count, bool complete, int64_t now_ms)
{
    const uint64_t to = d->asked_to_seq;
    const uint64_t here = received_count_to(d->received, to);

    struct position from = d->covered;
    struct position end = d->covered;

    from.seq = d->verified;
    end.seq = to;
    d->asked = GAP_REQUEST_NONE;
    if (d->state != STATE_LIVE || d->is_rebasing) {
        return;
    }
    if (count > here) {
        /* From `verified` on again; what is here already is recognised by its number. */
        d->covered.seq = d->verified;
        replay(d, now_ms);
        return;
    }
    /* A part that is not kept can only have made the count smaller. */
    if (!complete) {
        d->callbacks.unverified(d->callbacks.context, &from, &end);
    }
    received_drop_to(d->received, to);
    d->verified = to;
    if (to > d->covered.seq) {
        d->covered.seq = to;
    }
}

/* Pages of history. */

/* Everything of another epoch than the answer's that still waits is all there will ever be of it.
 */
static void leave_epoch(struct gap_detector *d, const struct gap_page *page)
{
    const struct held_event *front = NULL;
    struct position to = page->has_gap ? page->gap_to : page->next;

    while ((front = held_front(d->held)) && !same_epoch(&front->position, &page->next)) {
        skip_to_front(d, "epoch_changed");
    }
    if (!same_epoch(&to, &page->next)) {
        to = page->next;
    }
    if (d->covered.epoch[0] != '\0' && !same_epoch(&d->covered, &to)) {
        tell_gap(d, &to, "epoch_changed");
    }
    cover(d, &to);
}

/* The hub cannot give (covered, to]. What waits in that range is here all the same. */
static void cross_gap(struct gap_detector *d, const struct gap_page *page)
{
    const struct position *to = &page->gap_to;
    const struct held_event *front = NULL;

    while ((front = held_front(d->held)) && same_epoch(&front->position, to) &&
           front->position.seq <= to->seq) {
        skip_to_front(d, page->gap_reason);
    }
    if (d->covered.seq < to->seq && (front || page->is_drained)) {
        tell_gap(d, to, page->gap_reason);
        cover(d, to);
    }
}

/* The first page of a `since`: it says where the stream begins. */
static void begin_with(struct gap_detector *d, const struct gap_page *page)
{
    d->since[0] = '\0';
    if (page->has_gap) {
        d->covered = page->gap_from;
        if (!same_epoch(&page->gap_from, &page->gap_to) || page->gap_to.seq > page->gap_from.seq ||
            strcmp(page->gap_reason, "unknown") == 0) {
            tell_gap(d, &page->gap_to, page->gap_reason);
        }
        cover(d, &page->gap_to);
        return;
    }
    cover(d, &page->next);
    d->covered.seq = page->count > 0 ? page->items[0].position.seq - 1 : page->next.seq;
    d->verified = d->covered.seq;
}

static void take_items(struct gap_detector *d, const struct gap_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct gap_item *it = &page->items[i];

        if (!same_epoch(&it->position, &d->covered) || (it->position.seq <= d->covered.seq) ||
            received_has(d->received, it->position.seq)) {
            d->callbacks.discard(d->callbacks.context, it->item);
            continue;
        }
        if (it->position.seq < received_newest(d->received)) {
            NHUB_IGNORE(received_add(d->received, it->position.seq)); /* only saves a duplicate */
            cover(d, &it->position);
            d->callbacks.deliver(d->callbacks.context, it->item, true, true);
        } else {
            deliver(d, it->item, &it->position, true);
        }
    }
}

/* After a page: on with the next one, or live again. */
static void go_on(struct gap_detector *d, const struct gap_page *page, bool has_progress,
                  int64_t now_ms)
{
    if (!page->has_more && !held_front(d->held)) {
        go_live(d, now_ms);
        return;
    }
    if (has_progress) {
        d->waiting_since_ms = now_ms;
    } else {
        d->not_before_ms = now_ms + d->options.retry_ms;
    }
}

static void discard_items(struct gap_detector *d, const struct gap_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        d->callbacks.discard(d->callbacks.context, page->items[i].item);
    }
}

void gap_detector_page(struct gap_detector *d, const struct gap_page *page, int64_t now_ms)
{
    const struct position before = d->covered;

    d->asked = GAP_REQUEST_NONE;
    if (d->state != STATE_REPLAY) {
        discard_items(d, page);
        return;
    }
    if (d->since[0] != '\0') {
        begin_with(d, page);
    } else if (!same_epoch(&d->covered, &page->next)) {
        leave_epoch(d, page);
    } else if (page->has_gap) {
        cross_gap(d, page);
        if (d->covered.seq < page->gap_to.seq) {
            /* Live events of that range may still be on their way; the next one decides. */
            discard_items(d, page);
            go_live(d, now_ms);
            return;
        }
    }
    take_items(d, page);
    if (page->next.seq > d->covered.seq) {
        cover(d, &page->next);
    }
    drop_covered(d);
    if (!d->options.is_filtered || !page->has_more) {
        release(d);
    }
    go_on(d, page, !same_epoch(&before, &d->covered) || d->covered.seq > before.seq, now_ms);
}

/* Time. */

void gap_detector_tick(struct gap_detector *d, int64_t now_ms)
{
    if (held_front(d->held) && now_ms >= d->waiting_since_ms + d->options.refill_wait_ms) {
        give_up(d, "refill_timeout", now_ms);
    }
    if (!d->options.is_filtered && is_check_due(d, now_ms)) {
        d->has_tail = false;
        if (d->tail_seq > d->covered.seq) {
            replay(d, now_ms);
        }
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t gap_detector_deadline_ms(const struct gap_detector *d)
{
    int64_t deadline_ms = INT64_MAX;

    if (held_front(d->held)) {
        deadline_ms = d->waiting_since_ms + d->options.refill_wait_ms;
    }
    if (!d->options.has_requests) {
        return deadline_ms;
    }
    if (d->state == STATE_LIVE && d->has_tail) {
        deadline_ms = earlier(deadline_ms, d->tail_ms + d->options.settle_ms);
    } else if (d->asked == GAP_REQUEST_NONE) {
        deadline_ms =
            earlier(deadline_ms, d->state == STATE_LIVE ? later(d->next_check_ms, d->not_before_ms)
                                                        : d->not_before_ms);
    }
    return deadline_ms;
}

void gap_detector_defer(struct gap_detector *d, int64_t now_ms)
{
    d->waiting_since_ms = now_ms;
}

const struct position *gap_detector_covered(const struct gap_detector *d)
{
    return &d->covered;
}

bool gap_detector_is_live(const struct gap_detector *d)
{
    return d->state == STATE_LIVE;
}
