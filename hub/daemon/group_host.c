/*
 * group_host: step by step: use what a scan has found, catch up with the journal, then the next
 * thing to do.
 */
#include "daemon/group_host.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/group_death.h"
#include "daemon/group_host_private.h"

#include <stdlib.h>
#include <string.h>

/* When the journal cannot say yet what it was asked, or takes no dead letter. */
#define RETRY_MS 20

/* ---- life ---- */

static void scan_done(void *context, struct group_scan *scan)
{
    struct group_host *h = context;

    (void)scan; /* its result is used in the next step */
    h->parts->wake(h->parts->context, h);
}

nhub_err group_host_create(struct group_host **out, const char *name,
                           struct group_patterns **patterns_p, struct group **group_p,
                           const struct group_host_parts *parts)
{
    struct group_host *h = calloc(1, sizeof *h);

    if (!h) {
        return NHUB_ENOMEM;
    }
    if (group_scan_create(&h->scan, parts->journal, scan_done, h) != NHUB_OK) {
        free(h);
        return NHUB_ENOMEM;
    }
    memcpy(h->name, name, strnlen(name, sizeof h->name - 1));
    group_parcel_init(&h->draft);
    h->parts = parts;
    h->expiry_ms = INT64_MAX;
    h->patterns = *patterns_p;
    h->group = *group_p;
    *patterns_p = NULL;
    *group_p = NULL;
    *out = h;
    return NHUB_OK;
}

static void free_waiter(struct group_waiter *w)
{
    call_fini(&w->call);
    free(w);
}

void group_host_destroy(struct group_host **h_p)
{
    struct group_host *h = *h_p;

    if (h) {
        while (h->first) {
            struct group_waiter *w = h->first;

            h->first = w->next;
            free_waiter(w);
        }
        group_scan_abandon(&h->scan);
        group_parcel_fini(&h->draft);
        group_patterns_unref(&h->patterns);
        group_destroy(&h->group);
        free(h);
        *h_p = NULL;
    }
}

/* ---- waiters ---- */

void group_host_fetch(struct group_host *h, struct call *call, int64_t now_ms)
{
    const struct request_group *want = &call->request.group;
    struct group_waiter *w;

    if (h->waiting >= GROUP_WAITERS_MAX) {
        call_refuse(call, "1000 fetches of this group wait already", "too_many_waiting");
        return;
    }
    if (*h->parts->in_flight > GROUP_IN_FLIGHT_BYTES) {
        call_refuse(call, "too many events are on their way to peers that do not read them",
                    "busy");
        return;
    }
    w = calloc(1, sizeof *w);
    if (!w) {
        call_refuse(call, "out of memory", "no_memory");
        return;
    }
    memcpy(w->member, want->member, strnlen(want->member, sizeof w->member - 1));
    w->max = want->max;
    w->max_bytes = want->max_bytes;
    w->deadline_ms = now_ms + want->wait_ms;
    call_move(&w->call, call);
    request_keep_id(&w->call.request);
    *(h->last ? &h->last->next : &h->first) = w;
    h->last = w;
    h->waiting++;
    h->expiry_ms = w->deadline_ms < h->expiry_ms ? w->deadline_ms : h->expiry_ms;
    (void)group_members_see(group_members(h->group), w->member, now_ms);
    h->parts->wake(h->parts->context, h);
}

static struct group_waiter *pop_first(struct group_host *h)
{
    struct group_waiter *w = h->first;

    h->first = w->next;
    if (!h->first) {
        h->last = NULL;
    }
    h->waiting--;
    return w;
}

/* Answers with the draft, which may be empty, and with the oldest gap. */
static void send_parcel(struct group_host *h, struct group_waiter *w)
{
    struct group_gap gap;
    const struct group_parcel_address address = {
        .serial = h->serial,
        .name = h->name,
        .cursor = group_cursor(h->group),
        .visibility_ms = group_rules(h->group)->visibility_ms,
        .gap = group_tell_gap(h->group, &gap) ? &gap : NULL,
        .in_flight = h->parts->in_flight,
        .undelivered = h->parts->undelivered,
        .context = h->parts->context,
    };

    group_parcel_send(&h->draft, &w->call, &address);
    free_waiter(w);
}

static void answer_first(struct group_host *h)
{
    send_parcel(h, pop_first(h));
}

void group_host_send_away(struct group_host *h, const char *error, const char *code)
{
    if (h->draft.count > 0) {
        answer_first(h); /* it has something already */
    }
    while (h->first) {
        struct group_waiter *w = pop_first(h);

        if (code) {
            call_refuse(&w->call, error, code);
            free_waiter(w);
        } else {
            send_parcel(h, w);
        }
    }
    h->expiry_ms = INT64_MAX;
}

/* Answers those with nothing whose time was over `grace_ms` ago. The draft must be empty. */
static void expire(struct group_host *h, int64_t now_ms, int64_t grace_ms)
{
    struct group_waiter **link = &h->first;
    struct group_waiter *w;

    h->expiry_ms = INT64_MAX;
    h->last = NULL;
    while ((w = *link) != NULL) {
        if (w->deadline_ms + grace_ms <= now_ms) {
            *link = w->next;
            h->waiting--;
            send_parcel(h, w);
        } else {
            h->expiry_ms = w->deadline_ms < h->expiry_ms ? w->deadline_ms : h->expiry_ms;
            h->last = w;
            link = &w->next;
        }
    }
}

/* ---- following the journal ---- */

static void set_live(struct group_host *h, bool is_live)
{
    if (h->is_live != is_live) {
        h->is_live = is_live;
        h->parts->set_live(h->parts->context, h, is_live);
    }
}

static bool is_same_epoch(const struct group_host *h)
{
    return strcmp(group_cursor(h->group)->epoch, h->parts->journal->epoch) == 0;
}

static void follow_epoch(struct group_host *h, const struct journal_state *state)
{
    struct position start = {.seq = state->oldest - 1};

    memcpy(start.epoch, h->parts->journal->epoch, sizeof start.epoch);
    log_warn("group_epoch_changed", log_str("group", h->name),
             log_str("from", group_cursor(h->group)->epoch), log_str("to", start.epoch));
    set_live(h, false);
    group_change_epoch(h->group, &start);
    h->parts->wake(h->parts->context, h);
}

/* What is in front of `oldest` is not kept any more; of that, the numbers behind an unclean stop
 * were mostly never used. */
static void retain(struct group_host *h, uint64_t oldest)
{
    const struct group_unclean *unclean = h->parts->unclean;
    const uint64_t to = oldest - 1;

    if (strcmp(unclean->epoch, group_cursor(h->group)->epoch) == 0) {
        for (size_t i = 0; i < unclean->count && unclean->voids[i].from <= to; i++) {
            const struct journal_void *v = &unclean->voids[i];
            const uint64_t next = group_cursor(h->group)->seq + 1;

            if (v->to >= next) {
                group_retain(h->group, v->from > next ? v->from : next);
                group_miss(h->group, v->to < to ? v->to : to, GROUP_GAP_UNCLEAN_STOP);
            }
        }
    }
    group_retain(h->group, oldest);
}

void group_host_follow(struct group_host *h, int64_t now_ms)
{
    struct journal_state state;

    if (group_scan_state(h->scan) != GROUP_SCAN_IDLE) {
        return; /* its result is about the state that was */
    }
    journal_state(h->parts->journal, &state);
    if (!is_same_epoch(h)) {
        follow_epoch(h, &state);
    } else if (h->is_live) {
        group_pass(h->group, state.last);
    }
    retain(h, state.oldest);
    group_tick(h->group, now_ms);
    set_live(h, group_cursor(h->group)->seq >= state.last);
}

void group_host_note_event(struct group_host *h, uint64_t seq)
{
    /* A number of another epoch moves the group in its next step. */
    if (is_same_epoch(h)) {
        group_pass(h->group, seq - 1);
    }
    set_live(h, false);
    if (h->first) {
        h->parts->wake(h->parts->context, h);
    }
}

/* ---- using what was found ---- */

/* Why the numbers from..*to have no record: the reason of the first ones, which end at *to. */
static enum group_gap_reason reason_of(const struct group_host *h, uint64_t from, uint64_t *to)
{
    struct journal_state state;

    journal_state(h->parts->journal, &state);
    return group_hole_first(state.voids, state.void_count, from, to,
                            *to < state.oldest ? GROUP_GAP_RETENTION : GROUP_GAP_NOT_STORED);
}

/* What follows the cursor up to and including `to` has no record. */
static void miss(struct group_host *h, uint64_t to)
{
    while (group_cursor(h->group)->seq < to) {
        uint64_t end = to;
        const enum group_gap_reason reason = reason_of(h, group_cursor(h->group)->seq + 1, &end);

        group_miss(h->group, end, reason);
    }
}

/* The event was open, and its record is not there any more. */
static void lose(struct group_host *h, uint64_t seq)
{
    uint64_t end = seq;

    group_lose(h->group, seq, reason_of(h, seq, &end));
}

/* Hands the event to the first waiter, if it can be handed out at all. */
static void hand_out(struct group_host *h, const struct group_found *f, const struct group_now *now)
{
    const struct group_waiter *w = h->first;
    struct group_member *member =
        group_members_see(group_members(h->group), w->member, now->mono_ms);
    const uint32_t attempt = group_hand_out(h->group, f->seq, member, now);

    if (attempt > 0) {
        group_parcel_add(&h->draft, f->seq, attempt, group_scan_line(h->scan, f), f->len);
    }
}

static bool is_first_full(const struct group_host *h)
{
    return !h->first || h->draft.count >= h->first->max;
}

static void pass_holes(struct group_host *h, const struct group_hole *holes, size_t count,
                       size_t *next, uint64_t to)
{
    while (*next < count && holes[*next].from <= to) {
        const struct group_hole *hole = &holes[(*next)++];

        group_pass(h->group, hole->from - 1);
        miss(h, hole->to);
    }
}

/* New events, and how far there are no others. What the first waiter has no room for stays where it
 * is, in front of the cursor. */
static void use_new(struct group_host *h, const struct group_now *now)
{
    size_t found_count, hole_count, next_hole = 0;
    const struct group_found *found = group_scan_found(h->scan, &found_count);
    const struct group_hole *holes = group_scan_holes(h->scan, &hole_count);

    if (group_scan_after(h->scan) > h->scan_after) {
        retain(h, group_scan_after(h->scan) + 1); /* trimmed since it began */
    }
    for (size_t i = 0; i < found_count; i++) {
        const struct group_found *f = &found[i];

        pass_holes(h, holes, hole_count, &next_hole, f->seq);
        if (is_first_full(h) || group_take(h->group, f->seq, f->lane) != NHUB_OK) {
            group_pass(h->group, f->seq - 1);
            return;
        }
        hand_out(h, f, now);
    }
    pass_holes(h, holes, hole_count, &next_hole, group_scan_reached(h->scan));
    group_pass(h->group, group_scan_reached(h->scan));
}

/* Events that had been picked for their next attempt. */
static void use_picked(struct group_host *h, const struct group_now *now)
{
    size_t found_count, pick_count;
    const struct group_found *f = group_scan_found(h->scan, &found_count);
    const struct group_found *end = f + found_count;
    const uint64_t *picks = group_scan_picks(h->scan, &pick_count);
    const uint64_t reached = group_scan_reached(h->scan);

    for (size_t i = 0; i < pick_count; i++) {
        const bool is_here = f < end && f->seq == picks[i];

        if (is_here && !is_first_full(h)) {
            hand_out(h, f, now);
        } else if (!is_here && picks[i] <= reached) {
            lose(h, picks[i]);
        }
        group_unpick(h->group, picks[i]); /* no longer picked if one of these was done */
        f += is_here ? 1 : 0;
    }
}

static void unpick_all(struct group_host *h)
{
    size_t count;
    const uint64_t *picks = group_scan_picks(h->scan, &count);

    for (size_t i = 0; i < count; i++) {
        group_unpick(h->group, picks[i]);
    }
}

/* The journal has not come further: it says so later, or time passes. */
static bool has_moved(const struct group_host *h)
{
    size_t found;

    (void)group_scan_found(h->scan, &found);
    return found > 0 || group_scan_was_full(h->scan) ||
           group_scan_reached(h->scan) > h->scan_after || group_scan_after(h->scan) > h->scan_after;
}

static void fail_first(struct group_host *h, nhub_err status)
{
    if (h->first && h->draft.count == 0) {
        struct group_waiter *w = pop_first(h);

        call_refuse(&w->call, nhub_strerror(status),
                    status == NHUB_ENOMEM ? "no_memory" : "journal_unavailable");
        free_waiter(w);
    }
}

static void use_scan(struct group_host *h, const struct group_now *now)
{
    const nhub_err status = group_scan_status(h->scan);
    const bool is_forward = group_scan_is_forward(h->scan);

    if (!is_same_epoch(h) || status) {
        unpick_all(h);
    } else if (h->death.seq != 0) {
        group_death_use(h, now);
    } else if (is_forward) {
        use_new(h, now);
    } else {
        use_picked(h, now);
    }
    if (status || !has_moved(h)) {
        h->retry_ms = now->mono_ms + RETRY_MS;
    }
    if (status) {
        fail_first(h, status);
    }
    h->death.seq = 0;
    group_scan_end(h->scan);
}

/* ---- the next thing to do ---- */

static void begin_scan(struct group_host *h, struct group_scan_wish *wish)
{
    const size_t used = h->draft.lines.bytes.len;
    const size_t max = h->first ? h->first->max_bytes : 0;

    wish->first_fits = h->draft.count == 0;
    wish->max_bytes = used < max ? max - used : 0;
    h->scan_after = wish->after;
    group_scan_begin(h->scan, wish);
}

/* Events whose next attempt is due; false when there are none. */
static bool begin_picked(struct group_host *h)
{
    const size_t room = h->first->max - h->draft.count;
    uint64_t picks[GROUP_SCAN_PICKS_MAX];
    struct group_scan_wish wish = {.picks = picks};
    uint64_t seq;

    while (wish.pick_count < GROUP_SCAN_PICKS_MAX && wish.pick_count < room &&
           (seq = group_pick(h->group)) != 0) {
        if (wish.pick_count > 0 && seq - picks[wish.pick_count - 1] > GROUP_SCAN_PICK_DISTANCE) {
            group_unpick(h->group, seq);
            break;
        }
        picks[wish.pick_count++] = seq;
    }
    if (wish.pick_count == 0) {
        return false;
    }
    wish.after = picks[0] - 1;
    wish.to = picks[wish.pick_count - 1];
    begin_scan(h, &wish);
    return true;
}

/* New events; false when there are none, or no room for more. */
static bool begin_new(struct group_host *h, uint64_t last)
{
    const size_t room = group_room(h->group);
    const size_t want = h->first->max - h->draft.count;
    struct group_scan_wish wish = {
        .after = group_cursor(h->group)->seq,
        .to = last,
        .patterns = h->patterns,
        .stats_event = h->parts->settings->hub.stats_event,
        .max_events = want < room ? want : room,
    };

    if (wish.after >= last || room == 0) {
        return false;
    }
    begin_scan(h, &wish);
    return true;
}

/* The first waiter has all that it may have. */
static bool is_draft_full(const struct group_host *h)
{
    return h->draft.count > 0 &&
           (h->draft.count >= h->first->max || h->draft.lines.bytes.len >= h->first->max_bytes);
}

/* The bytes that are left were too few for the next event. */
static bool was_cut_by_bytes(const struct group_host *h)
{
    return h->draft.count > 0 && h->draft.count == h->draft_before;
}

/* Nothing is to be had now. Returns true when somebody was answered. */
static bool rest(struct group_host *h, const struct group_now *now)
{
    if (h->draft.count > 0 || (h->first && group_has_gap(h->group))) {
        answer_first(h);
        return true;
    }
    if (h->expiry_ms <= now->mono_ms) {
        expire(h, now->mono_ms, 0);
    }
    return false;
}

static bool is_waiting_to_retry(const struct group_host *h, const struct group_now *now)
{
    return h->retry_ms != 0 && h->retry_ms > now->mono_ms;
}

/* One step; false when there is nothing to do before something happens. */
static bool step(struct group_host *h, const struct group_now *now)
{
    struct journal_state state;

    if (group_scan_state(h->scan) == GROUP_SCAN_UNDER_WAY) {
        return false;
    }
    if (group_scan_state(h->scan) == GROUP_SCAN_DONE) {
        use_scan(h, now);
        return true;
    }
    group_host_follow(h, now->mono_ms);
    if (is_waiting_to_retry(h, now)) {
        return rest(h, now);
    }
    h->retry_ms = 0;
    if (group_death_begin(h)) {
        return true;
    }
    if (!h->first) {
        return false;
    }
    journal_state(h->parts->journal, &state);
    if (is_draft_full(h) || was_cut_by_bytes(h)) {
        answer_first(h);
        return true;
    }
    h->draft_before = h->draft.count;
    if (begin_picked(h) || begin_new(h, state.last)) {
        return true;
    }
    return rest(h, now);
}

bool group_host_work(struct group_host *h, const struct group_now *now, int64_t deadline_ns)
{
    bool has_more;

    while ((has_more = step(h, now)) && clock_mono_ns() < deadline_ns) {
    }
    if (has_more && group_scan_state(h->scan) == GROUP_SCAN_IDLE) {
        if (h->draft.count > 0) {
            answer_first(h); /* rather than let it wait for the next turn */
        } else if (h->expiry_ms + GROUP_LOOK_MS <= now->mono_ms) {
            expire(h, now->mono_ms, GROUP_LOOK_MS);
        }
    }
    return has_more;
}

int64_t group_host_due_ms(const struct group_host *h)
{
    int64_t due_ms = group_due_ms(h->group);

    if (h->first && h->expiry_ms < due_ms) {
        due_ms = h->expiry_ms;
    }
    if (h->retry_ms != 0 && h->retry_ms < due_ms) {
        due_ms = h->retry_ms;
    }
    return due_ms;
}
