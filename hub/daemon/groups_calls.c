/*
 * groups_calls: the actions on groups: what is asked, what is done, what is answered.
 */
#include "daemon/groups.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/envelope.h"
#include "daemon/groups_answer.h"
#include "daemon/groups_private.h"
#include "daemon/history.h"

#include <stdlib.h>
#include <string.h>

static void refuse_error(struct call *call, nhub_err err)
{
    if (err == NHUB_ENOMEM) {
        call_refuse(call, "out of memory", "no_memory");
    } else {
        call_refuse(call, nhub_strerror(err), "journal_unavailable");
    }
}

/* Room for the answer that waits until a change is kept; false when the call was refused. */
static bool reserve(struct groups *gs, struct call *call)
{
    const nhub_err err = acks_reserve(gs->parts.acks);

    if (err == NHUB_EFULL) {
        call_refuse(call, "too many answers wait for the disk already", "busy");
    } else if (err) {
        refuse_error(call, err);
    }
    return !err;
}

/* What the journal gives for a change, now. */
static int durability_of(const struct journal *j)
{
    return j->durability < j->durability_now ? j->durability : j->durability_now;
}

/* Answers when what was changed is kept. The members are emptied. */
static void answer_kept(struct groups *gs, struct call *call, struct buf *members)
{
    const int durability = durability_of(gs->parts.journal);
    struct buf tail;

    buf_init(&tail);
    request_keep_id(&call->request); /* many may wait for a slow disk */
    if (durability > DURABILITY_MEMORY) {
        acks_wait(gs->parts.acks, call, durability, members, &tail, false);
    } else {
        acks_answer(call, DURABILITY_MEMORY, members, &tail, false);
    }
}

static struct groups_seat *find_or_refuse(struct groups *gs, struct call *call)
{
    struct groups_seat *seat = groups_find(gs, call->request.group.name);

    if (!seat) {
        call_refuse(call, "there is no group of this name", "unknown_group");
    }
    return seat;
}

/* ---- group_create ---- */

/* Where the group is to begin. */
struct beginning {
    struct journal_scan scan; /* first: the journal gives it back to us */
    struct groups *groups;
    struct call call;
    struct since_target target;
};

static void answer_created(struct groups *gs, struct call *call, const struct groups_seat *seat,
                           bool created)
{
    struct buf members;

    buf_init(&members);
    groups_write_created(&members, seat->host, created);
    answer_kept(gs, call, &members);
}

static struct group_rules rules_of(const struct request *r)
{
    return (struct group_rules){.visibility_ms = r->group.visibility_ms,
                                .max_attempts = r->group.max_attempts,
                                .is_ordered = r->group.ordered,
                                .holds = r->group.hold};
}

static bool is_same(const struct groups_seat *seat, const struct request *r,
                    const struct group_patterns *patterns)
{
    const struct group_rules *rules = group_rules(seat->host->group);

    return rules->visibility_ms == r->group.visibility_ms &&
           rules->max_attempts == r->group.max_attempts && rules->is_ordered == r->group.ordered &&
           rules->holds == r->group.hold && group_patterns_equal(seat->host->patterns, patterns);
}

/* The position in front of the first number to be looked at, and the gap before it that it cannot
 * find out by itself. */
static struct position find_cursor(const struct journal *j, const struct since_target *target,
                                   bool *out_has_gap, struct group_gap *out_gap)
{
    struct position cursor = {.seq = target->after};

    memcpy(cursor.epoch, j->epoch, sizeof cursor.epoch);
    *out_has_gap = false;
    if (target->gap && target->by_time) {
        *out_has_gap = true;
        *out_gap = (struct group_gap){
            .from = target->gap_from, .to = cursor, .reason = GROUP_GAP_RETENTION};
    } else if (target->gap) {
        cursor = target->gap_from;
    }
    return cursor;
}

static nhub_err seat_group(struct groups *gs, const struct request *r,
                           const struct since_target *target, struct group_patterns **patterns_p,
                           struct groups_seat **out)
{
    const struct group_rules rules = rules_of(r);
    const struct group_now now = groups_now(gs);
    struct group *group = NULL;
    struct group_gap gap;
    bool has_gap;
    const struct position cursor = find_cursor(gs->parts.journal, target, &has_gap, &gap);
    nhub_err err = group_create(&group, &rules, &cursor);

    if (!err) {
        if (has_gap) {
            group_note_gap(group, &gap);
        }
        err = groups_add(gs, r->group.name, patterns_p, &group, out);
    }
    group_destroy(&group);
    if (!err) {
        group_host_follow((*out)->host, now.mono_ms);
        err = group_log_create(&(*out)->log, (*out)->host->name, (*out)->host->patterns,
                               (*out)->host->group, &now);
        if (err) {
            groups_remove(gs, *out);
        }
    }
    return err;
}

static void create_new(struct groups *gs, struct call *call, const struct since_target *target,
                       struct group_patterns **patterns_p)
{
    const struct request *r = &call->request;
    struct groups_seat *seat = NULL;
    nhub_err err;

    if (gs->count >= gs->max) {
        call_refuse(call, "there are hub.max_groups groups already", "too_many_groups");
        return;
    }
    if (!reserve(gs, call)) {
        return;
    }
    err = seat_group(gs, r, target, patterns_p, &seat);
    if (err) {
        refuse_error(call, err);
        return;
    }
    log_info("group_created", log_str("group", seat->host->name),
             log_uint("patterns", seat->host->patterns->count),
             log_uint("after", group_cursor(seat->host->group)->seq));
    groups_touch(gs, seat);
    groups_update_hold(gs);
    answer_created(gs, call, seat, true);
}

static void create_at(struct groups *gs, struct call *call, const struct since_target *target)
{
    const struct request *r = &call->request;
    struct groups_seat *seat = groups_find(gs, r->group.name);
    struct group_patterns *patterns = NULL;

    if (group_patterns_create(&patterns, r->patterns, r->pattern_count) != NHUB_OK) {
        refuse_error(call, NHUB_ENOMEM);
    } else if (!seat) {
        create_new(gs, call, target, &patterns);
    } else if (!is_same(seat, r, patterns)) {
        call_refuse(call, "a group of this name has other settings", "group_exists");
    } else if (reserve(gs, call)) {
        answer_created(gs, call, seat, false);
    }
    group_patterns_unref(&patterns);
}

/* The place where a scan would begin is all that is asked for. */
static bool stop_at_once(struct journal_scan *scan, const struct journal_record *record)
{
    (void)scan;
    (void)record;
    return false;
}

static void found_time(struct journal_scan *scan, nhub_err status)
{
    struct beginning *b = (struct beginning *)(void *)scan;

    if (status) {
        refuse_error(&b->call, status);
    } else if (b->groups->is_stopping) {
        call_refuse(&b->call, "the hub is shutting down", "shutting_down");
    } else {
        b->target.after = scan->after;
        create_at(b->groups, &b->call, &b->target);
    }
    call_fini(&b->call);
    free(b);
}

static void create_at_time(struct groups *gs, struct call *call, const struct since_target *target,
                           uint64_t last)
{
    struct beginning *b = calloc(1, sizeof *b);

    if (!b) {
        refuse_error(call, NHUB_ENOMEM);
        return;
    }
    b->groups = gs;
    b->target = *target;
    b->scan = (struct journal_scan){.after = target->after,
                                    .to = last,
                                    .by_time = true,
                                    .time_us = target->time_us,
                                    .visit = stop_at_once,
                                    .done = found_time};
    call_move(&b->call, call);
    journal_scan(gs->parts.journal, &b->scan);
}

static void run_create(struct groups *gs, struct call *call)
{
    struct since since = call->request.since;
    struct journal_state state;
    struct since_target target;

    if (gs->is_stopping) {
        call_refuse(call, "the hub is shutting down", "shutting_down");
        return;
    }
    if (since.kind == SINCE_NONE) {
        since.kind = SINCE_LATEST;
    }
    journal_state(gs->parts.journal, &state);
    history_target(&since, gs->parts.journal->epoch, &state, &target);
    if (target.is_unknown) {
        call_refuse(call, "since is a number that was never given out", "bad_value");
    } else if (target.by_time) {
        create_at_time(gs, call, &target, state.last);
    } else {
        create_at(gs, call, &target);
    }
}

/* ---- group_delete, group, groups ---- */

static void run_delete(struct groups *gs, struct call *call)
{
    struct groups_seat *seat = find_or_refuse(gs, call);
    struct buf members;

    if (!seat || !reserve(gs, call)) {
        return;
    }
    log_info("group_deleted", log_str("group", seat->host->name));
    buf_init(&members);
    groups_write_name(&members, seat->host);
    group_host_send_away(seat->host, "the group was deleted", "unknown_group");
    group_log_delete(&seat->log);
    groups_count_gone(gs, seat);
    groups_remove(gs, seat);
    groups_update_hold(gs);
    answer_kept(gs, call, &members);
}

static void run_group(struct groups *gs, struct call *call)
{
    struct groups_seat *seat = find_or_refuse(gs, call);
    struct buf out;

    if (!seat) {
        return;
    }
    group_host_follow(seat->host, clock_mono_ms());
    groups_touch(gs, seat);
    buf_init(&out);
    envelope_success(&out);
    buf_add_char(&out, ',');
    groups_write_group(&out, seat->host, gs->parts.journal, clock_mono_ms());
    envelope_end(&out, &call->request);
    call_answer(call, &out, NULL);
}

static void run_groups(struct groups *gs, struct call *call)
{
    bool is_first = true;
    struct buf out;

    buf_init(&out);
    envelope_success(&out);
    buf_add_str(&out, ",\"groups\":[");
    for (size_t i = 0; i < gs->max; i++) {
        if (gs->seats[i].host) {
            group_host_follow(gs->seats[i].host, clock_mono_ms());
            groups_touch(gs, &gs->seats[i]);
            buf_add_str(&out, is_first ? "{" : ",{");
            groups_write_group(&out, gs->seats[i].host, gs->parts.journal, -1);
            buf_add_char(&out, '}');
            is_first = false;
        }
    }
    buf_add_char(&out, ']');
    envelope_end(&out, &call->request);
    call_answer(call, &out, NULL);
}

/* ---- fetch, ack, nack, extend ---- */

static void run_fetch(struct groups *gs, struct call *call)
{
    struct groups_seat *seat = find_or_refuse(gs, call);

    if (!seat) {
        return;
    }
    if (gs->is_stopping) {
        call_refuse(call, "the hub is shutting down", "shutting_down");
        return;
    }
    group_host_fetch(seat->host, call, clock_mono_ms());
    groups_touch(gs, seat);
}

static enum group_verdict decide(struct group *g, const struct request *r, const struct delivery *d,
                                 const struct group_now *now)
{
    const struct request_group *want = &r->group;

    if (strcmp(d->position.epoch, group_cursor(g)->epoch) != 0) {
        return GROUP_STALE; /* that epoch is over, and all that was under way in it */
    }
    switch (r->action) {
    case ACTION_ACK:
        return group_ack(g, d->position.seq, d->attempt);
    case ACTION_NACK:
        /* The clock's milliseconds have begun already: one more, so that it is never less. */
        return group_nack(g, d->position.seq, d->attempt,
                          want->delay_ms > 0 ? want->delay_ms + 1 : 0, want->release, now);
    default:
        return group_extend(
            g, d->position.seq, d->attempt,
            want->visibility_ms ? want->visibility_ms : group_rules(g)->visibility_ms, now);
    }
}

/* A gap that was told to somebody who did not live to hear of it. False: it is none. */
static bool read_gap(const struct request_group *want, struct group_gap *out)
{
    out->from = want->gap_from;
    out->to = want->gap_to;
    return group_gap_reason_parse(want->gap_reason, &out->reason);
}

/* The three that say what has become of deliveries. */
static void run_deliveries(struct groups *gs, struct call *call)
{
    const struct request_group *want = &call->request.group;
    struct groups_seat *seat = find_or_refuse(gs, call);
    const struct group_now now = groups_now(gs);
    struct groups_outcome outcome;
    struct group_gap gap;
    struct buf members;

    if (seat && want->gap_reason && !read_gap(want, &gap)) {
        call_refuse(call, "gap: this reason is not known", "bad_value");
        return;
    }
    if (!seat || !reserve(gs, call)) {
        return;
    }
    if (want->gap_reason) {
        group_note_gap(seat->host->group, &gap);
    }
    group_host_follow(seat->host, now.mono_ms);
    groups_outcome_init(&outcome);
    for (size_t i = 0; i < want->delivery_count; i++) {
        groups_outcome_add(&outcome, &want->deliveries[i],
                           decide(seat->host->group, &call->request, &want->deliveries[i], &now));
    }
    groups_touch(gs, seat);
    buf_init(&members);
    groups_write_outcome(&members, seat->host, &outcome);
    groups_outcome_fini(&outcome);
    answer_kept(gs, call, &members);
}

void groups_run(struct groups *gs, struct call *call)
{
    switch (call->request.action) {
    case ACTION_GROUP_CREATE:
        run_create(gs, call);
        break;
    case ACTION_GROUP_DELETE:
        run_delete(gs, call);
        break;
    case ACTION_GROUPS:
        run_groups(gs, call);
        break;
    case ACTION_GROUP:
        run_group(gs, call);
        break;
    case ACTION_FETCH:
        run_fetch(gs, call);
        break;
    default:
        run_deliveries(gs, call);
        break;
    }
}
