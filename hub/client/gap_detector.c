/*
 * gap_detector: live events, requests and time; gap_state.h has the picture.
 *
 * In a filtered stream a run may end without a visible sign, so there the waiting runs are only let
 * go when the replay has reached the hub's end: what was lost before the last page was asked for is
 * in the pages.
 */
#include "client/gap_state.h"

#include <stdlib.h>
#include <string.h>

/* Gaps told one by one for one range of a filtered stream. */
#define HOLES_MAX 8

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

/* Output. */

/* Tells one range, if it has any number. */
static void tell_range(struct gap_detector *d, const struct position *from,
                       const struct position *to, const char *reason, uint64_t delivered)
{
    const struct gap_range gap = {
        .from = *from, .to = *to, .reason = reason, .delivered = delivered};

    if (!gap_same_epoch(from, to) || from->seq < to->seq || strcmp(reason, "unknown") == 0) {
        d->callbacks.gap(d->callbacks.context, &gap);
    }
}

/* The last number of the run that directly follows seq. */
static uint64_t end_of_run(const struct gap_detector *d, uint64_t seq)
{
    while (received_next(d->received, seq) == seq + 1) {
        seq++;
    }
    return seq;
}

/* The hole behind from, up to the next number that was delivered, or to the end. */
static uint64_t end_of_hole(const struct gap_detector *d, uint64_t from, uint64_t end)
{
    const uint64_t next = received_next(d->received, from);

    return next <= end && next != UINT64_MAX ? next - 1 : end;
}

/* Whether there are few enough holes to tell each by itself. Many are the ordinary look of a stream
 * that takes few of all types. */
static bool has_few_holes(const struct gap_detector *d, uint64_t from, uint64_t end)
{
    int holes = 0;

    for (; from < end && holes <= HOLES_MAX; holes++) {
        from = end_of_run(d, end_of_hole(d, from, end));
    }
    return holes <= HOLES_MAX;
}

void gap_tell(struct gap_detector *d, const struct position *to, const char *reason)
{
    const bool is_one_epoch = gap_same_epoch(&d->covered, to);
    const uint64_t end = is_one_epoch ? to->seq : UINT64_MAX;
    struct position from = d->covered;

    if (d->resume.is_running) {
        d->resume.result = strcmp(reason, "unknown") == 0 ? GAP_UNKNOWN : GAP_LOST;
    }
    from.seq = end_of_run(d, from.seq);
    if (has_few_holes(d, from.seq, end)) {
        struct position hole_to = from;

        while ((hole_to.seq = end_of_hole(d, from.seq, end)) < end) {
            tell_range(d, &from, &hole_to, reason, 0);
            from.seq = end_of_run(d, hole_to.seq);
        }
    }
    tell_range(d, &from, to, reason,
               received_count_to(d->received, end) - received_count_to(d->received, from.seq));
    if (is_one_epoch) {
        gap_verify_to(d, to->seq);
    }
}

void gap_verify_to(struct gap_detector *d, uint64_t seq)
{
    if (seq > d->verified) {
        d->verified = seq;
        received_drop_to(d->received, seq);
    }
}

void gap_cover(struct gap_detector *d, const struct position *p)
{
    if (!gap_same_epoch(&d->covered, p)) {
        received_clear(d->received);
        d->verified = p->seq;
        d->has_tail = false;
    }
    d->covered = *p;
}

/* More events than may be remembered between two checks: what is before p cannot be proven to be
 * complete any more. */
static void forget_received(struct gap_detector *d, const struct position *p)
{
    struct position to = *p;

    to.seq = p->seq - 1;
    d->covered.seq = d->verified;
    gap_tell(d, &to, "unverified");
    gap_verify_to(d, p->seq);
    d->covered.seq = p->seq;
}

void gap_deliver(struct gap_detector *d, void *item, const struct position *p, bool refilled)
{
    gap_cover(d, p);
    if (d->options.is_filtered && d->options.has_requests && p->seq > d->verified &&
        !received_add(d->received, p->seq)) {
        forget_received(d, p);
    }
    d->resume.count += refilled ? 1 : 0;
    d->callbacks.deliver(d->callbacks.context, item, refilled, false);
}

/* Whether the first waiting event directly follows what is covered. */
static bool front_follows(const struct gap_detector *d, const struct held_event *front)
{
    return gap_same_epoch(&front->position, &d->covered) &&
           (front->position.seq <= d->covered.seq + 1 || !front->is_broken);
}

void gap_pop_front(struct gap_detector *d)
{
    const struct held_event front = *held_front(d->held);

    held_pop(d->held);
    if (gap_same_epoch(&front.position, &d->covered) && front.position.seq <= d->covered.seq) {
        d->callbacks.discard(d->callbacks.context, front.item);
    } else {
        gap_deliver(d, front.item, &front.position, false);
    }
}

void gap_release(struct gap_detector *d)
{
    const struct held_event *front = NULL;

    while ((front = held_front(d->held)) && front_follows(d, front)) {
        gap_pop_front(d);
    }
}

void gap_drop_covered(struct gap_detector *d)
{
    const struct held_event *front = NULL;

    while ((front = held_front(d->held)) && gap_same_epoch(&front->position, &d->covered) &&
           front->position.seq <= d->covered.seq) {
        gap_pop_front(d);
    }
}

static void replay(struct gap_detector *d, int64_t now_ms)
{
    if (d->state != GAP_REPLAY) {
        d->state = GAP_REPLAY;
        d->waiting_since_ms = now_ms;
        d->resume = (struct gap_resume){.result = GAP_CAUGHT_UP, .is_running = true};
        if (d->options.is_filtered && d->covered.epoch[0] != '\0') {
            d->covered.seq = d->verified;
        }
        d->resume.from = d->covered;
    }
    d->has_tail = false;
}

void gap_go_live(struct gap_detector *d, int64_t now_ms)
{
    d->state = GAP_LIVE;
    if (received_newest(d->received) > d->covered.seq) {
        d->covered.seq = received_newest(d->received);
    }
    if (d->resume.is_running) {
        d->resume.is_running = false;
        d->resume.to = d->covered;
        if (d->resume.result == GAP_CAUGHT_UP && d->resume.count > 0) {
            d->resume.result = GAP_REPLAYED;
        }
    }
    d->next_check_ms = now_ms + d->options.check_interval_ms;
}

static void begin_at(struct gap_detector *d, const struct position *p, uint64_t seq, int64_t now_ms)
{
    d->covered = *p;
    d->covered.seq = seq;
    d->verified = seq;
    received_clear(d->received);
    gap_go_live(d, now_ms);
}

void gap_skip_to_front(struct gap_detector *d, const char *reason)
{
    const struct held_event front = *held_front(d->held);
    const struct position before = {.seq = front.position.seq - 1};
    struct position to = front.position;

    to.seq = before.seq;
    if (!gap_same_epoch(&to, &d->covered)) {
        gap_tell(d, &to, d->covered.epoch[0] ? "epoch_changed" : reason);
        gap_cover(d, &to);
    } else if (front.is_broken && to.seq > d->covered.seq) {
        gap_tell(d, &to, reason);
        gap_cover(d, &to);
    }
    gap_pop_front(d);
    gap_release(d);
}

static void give_up(struct gap_detector *d, const char *reason, int64_t now_ms)
{
    if (d->state == GAP_START && d->since[0] == '\0' && held_front(d->held)) {
        begin_at(d, &held_front(d->held)->position, held_front(d->held)->position.seq - 1, now_ms);
    }
    while (held_front(d->held)) {
        gap_skip_to_front(d, reason);
    }
    d->since[0] = '\0';
    if (d->covered.epoch[0] == '\0') {
        d->state = GAP_START;
    } else {
        gap_go_live(d, now_ms);
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
    if (!gap_same_epoch(prev, p)) {
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
    if (d->state == GAP_START && d->since[0] == '\0' && !d->options.has_requests) {
        begin_at(d, position, position->seq - 1, now_ms);
    }
    prev = back ? &back->position : &d->covered;
    if (gap_same_epoch(&d->covered, position) && received_has(d->received, position->seq)) {
        d->callbacks.discard(d->callbacks.context, item);
        d->is_break_next = is_break;
        return;
    }
    if (gap_same_epoch(prev, position) && position->seq <= prev->seq) {
        d->callbacks.discard(d->callbacks.context, item);
        /* A break before a duplicate lies behind us only if all before the duplicate is covered. */
        d->is_break_next = is_break && back != NULL;
        return;
    }
    if (!back && d->state == GAP_LIVE && follows(d, prev, position, is_break)) {
        gap_deliver(d, item, position, false);
        return;
    }
    /* While a replay runs, the first one to wait follows nothing that was delivered. */
    hold(d, item, position, bytes,
         !follows(d, prev, position, is_break || (!back && d->state != GAP_LIVE)));
    if (d->state == GAP_LIVE) {
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
    d->has_tail = false;
    if (d->state == GAP_REPLAY) {
        return; /* its pages are asked for by the new set; what was delivered is still known */
    }
    d->is_rebasing = is_filtered;
    received_clear(d->received);
    d->verified = d->covered.seq;
    if (d->state == GAP_LIVE) {
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
    return d->state == GAP_LIVE && d->has_tail && now_ms >= d->tail_ms + d->options.settle_ms;
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
    if (d->state == GAP_START || d->is_sign_wanted) {
        r.kind = GAP_REQUEST_POSITION;
        d->is_sign_wanted = false;
    } else if (d->state == GAP_REPLAY) {
        fill_history(d, &r);
    } else if (d->options.is_filtered && d->void_to > d->verified && !d->is_rebasing) {
        /* Numbers in a void are not counted, but some may have been sent. */
        replay(d, now_ms);
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

void gap_detector_heard(struct gap_detector *d, int64_t now_ms)
{
    if (d->options.is_patient) {
        d->waiting_since_ms = now_ms;
    }
}

/* The longest pause between two tries: several signs of life have their place in a wait, whatever
 * the interval of the checks is. */
static int64_t longest_pause_ms(const struct gap_options *o)
{
    const int64_t share_ms = o->refill_wait_ms / 5;
    const int64_t most_ms = share_ms < o->check_interval_ms ? share_ms : o->check_interval_ms;

    return most_ms > o->retry_ms ? most_ms : o->retry_ms;
}

/* A hub that is busy is not asked any faster for that. */
static void back_off(struct gap_detector *d, int64_t now_ms)
{
    const int64_t most_ms = longest_pause_ms(&d->options);
    int64_t pause_ms = d->options.retry_ms;

    for (int i = 0; i < d->failures && pause_ms < most_ms; i++) {
        pause_ms *= 2;
    }
    if (pause_ms > most_ms) {
        pause_ms = most_ms;
    }
    d->failures++;
    d->asked = GAP_REQUEST_NONE;
    d->not_before_ms = now_ms + pause_ms;
}

void gap_detector_failed(struct gap_detector *d, bool refused, int64_t now_ms)
{
    const bool was_history = d->asked == GAP_REQUEST_HISTORY;
    const bool was_count = d->asked == GAP_REQUEST_COUNT;

    back_off(d, now_ms);
    d->is_sign_wanted = was_history && d->options.is_patient;
    if (refused) {
        /* A hub that does not know the request will not learn it soon. */
        d->not_before_ms = now_ms + d->options.check_interval_ms;
    }
    if (refused && was_history && held_front(d->held)) {
        give_up(d, "refused", now_ms);
    } else if (refused && was_count && d->state == GAP_LIVE && !d->is_rebasing) {
        replay(d, now_ms); /* too many to be counted at once: pages prove it, too */
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
    gap_release(d);
    if (held_front(d->held) || !gap_same_epoch(&d->covered, newest)) {
        replay(d, now_ms);
    }
}

void gap_detector_position(struct gap_detector *d, const struct gap_head *head, int64_t now_ms)
{
    const struct position *newest = &head->newest;

    gap_detector_heard(d, now_ms);
    d->asked = GAP_REQUEST_NONE;
    d->next_check_ms = now_ms + d->options.check_interval_ms;
    if (d->state == GAP_START) {
        if (d->since[0] != '\0') {
            replay(d, now_ms);
        } else {
            begin_now(d, newest, now_ms);
        }
        return;
    }
    if (d->state != GAP_LIVE) {
        return;
    }
    if (!gap_same_epoch(newest, &d->covered)) {
        replay(d, now_ms);
        return;
    }
    d->void_to = head->void_to;
    if (head->is_degraded && d->options.is_filtered) {
        return; /* what is not kept now will be a void later */
    }
    d->has_tail = true;
    d->tail_seq = newest->seq;
    d->tail_ms = now_ms;
}

void gap_detector_count(struct gap_detector *d, uint64_t count, bool complete, int64_t now_ms)
{
    const uint64_t to = d->asked_to_seq;
    const uint64_t here = received_count_to(d->received, to);

    d->asked = GAP_REQUEST_NONE;
    d->failures = 0;
    if (d->state != GAP_LIVE || d->is_rebasing) {
        return;
    }
    /* A part that is not kept any more is told as a gap by the page that begins behind it. */
    if (count > here || !complete) {
        replay(d, now_ms);
        return;
    }
    if (count < here) {
        return; /* the hub has not kept all that it sent: there will be a void, or it is busy */
    }
    gap_verify_to(d, to);
    if (to > d->covered.seq) {
        d->covered.seq = to;
    }
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
    if (d->state == GAP_LIVE && d->has_tail) {
        deadline_ms = earlier(deadline_ms, d->tail_ms + d->options.settle_ms);
    } else if (d->asked == GAP_REQUEST_NONE) {
        deadline_ms =
            earlier(deadline_ms, d->state == GAP_LIVE ? later(d->next_check_ms, d->not_before_ms)
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

struct position gap_detector_verified(const struct gap_detector *d)
{
    struct position out = d->covered;

    if (d->options.is_filtered && d->options.has_requests && d->verified < out.seq) {
        out.seq = d->verified;
    }
    return out;
}

void gap_detector_resume(const struct gap_detector *d, struct gap_resume *out)
{
    *out = d->resume;
    if (out->is_running) {
        out->to = d->covered;
        out->result = out->result == GAP_CAUGHT_UP && out->count > 0 ? GAP_REPLAYED : out->result;
    }
}

bool gap_detector_is_live(const struct gap_detector *d)
{
    return d->state == GAP_LIVE;
}
