/*
 * groups: places, turns, notes.
 */
#include "daemon/groups.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "daemon/groups_answer.h"
#include "daemon/groups_private.h"

#include <stdlib.h>
#include <string.h>

/* A cursor that moved without anything else is written down so often, … */
#define NOTE_EVERY_MS 10000
/* … or when it is so far ahead of its note. */
#define NOTE_NUMBERS 10000
/* What the journal holds for a group may be this old. */
#define HOLD_EVERY_MS 200

struct group_now groups_now(struct groups *gs)
{
    return (struct group_now){.mono_ms = clock_mono_ms(), .wall_ms = group_clock_ms(&gs->clock)};
}

/* ---- who has something to do ---- */

static void wake(void *context, struct group_host *h)
{
    struct groups *gs = context;

    if (h->is_queued || h->is_at_work) {
        return;
    }
    h->is_queued = true;
    h->next_queued = NULL;
    *(gs->last_queued ? &gs->last_queued->next_queued : &gs->first_queued) = h;
    gs->last_queued = h;
}

static struct group_host *pop_queued(struct groups *gs)
{
    struct group_host *h = gs->first_queued;

    if (h) {
        gs->first_queued = h->next_queued;
        if (!gs->first_queued) {
            gs->last_queued = NULL;
        }
        h->is_queued = false;
    }
    return h;
}

static void leave_queue(struct groups *gs, const struct group_host *h)
{
    struct group_host **link = &gs->first_queued;

    gs->last_queued = NULL;
    while (*link) {
        if (*link == h) {
            *link = h->next_queued;
        } else {
            gs->last_queued = *link;
            link = &(*link)->next_queued;
        }
    }
}

static void set_live(void *context, struct group_host *h, bool is_live)
{
    struct groups *gs = context;

    group_index_set_live(gs->index, h->slot, is_live);
}

void groups_touch(struct groups *gs, struct groups_seat *seat)
{
    const int64_t due_ms = group_host_due_ms(seat->host);

    seat->is_changed = true;
    gs->has_changes = true;
    if (due_ms < gs->due_ms) {
        gs->due_ms = due_ms;
    }
    if (seat->host->first || group_has_dying(seat->host->group)) {
        wake(gs, seat->host);
    }
}

/* ---- events ---- */

struct numbered {
    struct groups *groups;
    uint64_t seq;
};

static void hit(void *context, size_t slot)
{
    const struct numbered *n = context;

    group_host_note_event(n->groups->seats[slot].host, n->seq);
}

static void note_numbered(void *context, const char *type, size_t type_len, uint64_t seq)
{
    struct numbered n = {.groups = context, .seq = seq};

    group_index_look_up(n.groups->index, type, type_len, hit, &n);
}

/* An answer did not reach its peer: nobody has seen what was in it. */
static void take_back(void *context, const struct group_parcel_slip *slip)
{
    struct groups *gs = context;
    const struct group_now now = groups_now(gs);

    for (size_t i = 0; i < gs->max; i++) {
        struct groups_seat *seat = &gs->seats[i];

        if (!seat->host || seat->host->serial != slip->serial) {
            continue;
        }
        if (slip->has_gap) {
            group_note_gap(seat->host->group, &slip->gap);
        }
        if (strcmp(group_cursor(seat->host->group)->epoch, slip->epoch) != 0) {
            continue; /* that epoch is over, and all that was under way in it */
        }
        for (size_t k = 0; k < slip->count; k++) {
            (void)group_nack(seat->host->group, slip->items[k].seq, slip->items[k].attempt, 0, true,
                             &now);
        }
        groups_touch(gs, seat);
    }
}

/* ---- places ---- */

struct groups_seat *groups_find(const struct groups *gs, const char *name)
{
    return map_get(gs->by_name, name, strlen(name));
}

static struct groups_seat *free_seat(struct groups *gs)
{
    for (size_t i = 0; i < gs->max; i++) {
        if (!gs->seats[i].host) {
            return &gs->seats[i];
        }
    }
    return NULL;
}

nhub_err groups_add(struct groups *gs, const char *name, struct group_patterns **patterns_p,
                    struct group **group_p, struct groups_seat **out)
{
    struct groups_seat *seat = free_seat(gs);
    const size_t slot = seat ? (size_t)(seat - gs->seats) : 0;
    struct group_host *h = NULL;

    if (!seat) {
        return NHUB_EFULL;
    }
    if (group_index_add(gs->index, slot, *patterns_p) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    if (map_put(gs->by_name, name, strlen(name), seat, NULL) != NHUB_OK) {
        group_index_remove(gs->index, slot, *patterns_p);
        return NHUB_ENOMEM;
    }
    if (group_host_create(&h, name, patterns_p, group_p, &gs->host_parts) != NHUB_OK) {
        (void)map_remove(gs->by_name, name, strlen(name));
        group_index_remove(gs->index, slot, *patterns_p);
        return NHUB_ENOMEM;
    }
    h->slot = slot;
    h->serial = gs->next_serial++;
    *seat = (struct groups_seat){.host = h};
    group_log_init(&seat->log, gs->parts.journal);
    gs->count++;
    *out = seat;
    return NHUB_OK;
}

void groups_remove(struct groups *gs, struct groups_seat *seat)
{
    struct group_host *h = seat->host;

    leave_queue(gs, h);
    group_index_set_live(gs->index, h->slot, false);
    group_index_remove(gs->index, h->slot, h->patterns);
    (void)map_remove(gs->by_name, h->name, strlen(h->name));
    group_log_fini(&seat->log);
    group_host_destroy(&seat->host);
    gs->count--;
}

/* ---- life ---- */

static nhub_err restore(void *context, struct group_restored *restored)
{
    struct groups *gs = context;
    struct group_figures figures;
    struct groups_seat *seat;
    nhub_err err;

    group_figures(*restored->group_p, &figures);
    err = groups_add(gs, restored->name, restored->patterns_p, restored->group_p, &seat);
    if (err == NHUB_EFULL) {
        log_error("group_not_restored", log_str("group", restored->name),
                  log_str("note", "there are more than hub.max_groups; it waits in the journal"));
        return NHUB_OK;
    }
    if (err) {
        return err;
    }
    seat->log = *restored->log_p;
    seat->log.name = seat->host->name;
    group_log_init(restored->log_p, gs->parts.journal);
    seat->before = figures.totals;
    group_host_follow(seat->host, clock_mono_ms());
    groups_touch(gs, seat);
    return NHUB_OK;
}

static nhub_err create_tables(struct groups *gs)
{
    nhub_err err = NHUB_ENOMEM;

    gs->max = gs->parts.settings->hub.max_groups;
    gs->seats = calloc(gs->max > 0 ? gs->max : 1, sizeof *gs->seats);
    if (gs->seats) {
        err = map_create(&gs->by_name);
    }
    if (!err) {
        err = group_index_create(&gs->index, gs->max, gs->parts.settings->hub.stats_event);
    }
    if (!err) {
        err = group_unclean_init(&gs->unclean, gs->parts.journal);
    }
    return err;
}

nhub_err groups_create(struct groups **out, const struct groups_parts *parts)
{
    struct groups *gs = calloc(1, sizeof *gs);
    struct group_now now;
    nhub_err err;

    if (!gs) {
        return NHUB_ENOMEM;
    }
    gs->parts = *parts;
    err = group_clock_init(&gs->clock, parts->journal);
    now = groups_now(gs);
    gs->host_parts = (struct group_host_parts){.journal = parts->journal,
                                               .intake = parts->intake,
                                               .settings = parts->settings,
                                               .unclean = &gs->unclean,
                                               .in_flight = &gs->in_flight,
                                               .wake = wake,
                                               .set_live = set_live,
                                               .undelivered = take_back,
                                               .context = gs};
    gs->next_serial = 1;
    gs->due_ms = INT64_MAX;
    gs->next_note_ms = now.mono_ms + NOTE_EVERY_MS;
    if (!err) {
        err = create_tables(gs);
    }
    if (!err) {
        err = group_log_restore(parts->journal, &now, restore, gs);
    }
    if (err) {
        groups_destroy(&gs);
        return err;
    }
    if (gs->count > 0) {
        log_info("groups_restored", log_uint("groups", gs->count));
    }
    groups_update_hold(gs);
    journal_hold(parts->journal, gs->held_from); /* also when there is nothing to hold */
    intake_set_listener(parts->intake, note_numbered, gs);
    *out = gs;
    return NHUB_OK;
}

void groups_close(struct groups *gs)
{
    intake_set_listener(gs->parts.intake, NULL, NULL);
    for (size_t i = 0; i < gs->max; i++) {
        if (gs->seats[i].host) {
            groups_remove(gs, &gs->seats[i]);
        }
    }
}

void groups_destroy(struct groups **gs_p)
{
    struct groups *gs = *gs_p;

    if (gs) {
        if (gs->seats && gs->by_name && gs->index) {
            groups_close(gs);
        }
        group_index_destroy(&gs->index);
        map_destroy(&gs->by_name);
        group_unclean_fini(&gs->unclean);
        free(gs->seats);
        free(gs);
        *gs_p = NULL;
    }
}

/* ---- what is written down, and held ---- */

/* All groups know where the head is. */
static void follow_all(struct groups *gs, int64_t now_ms)
{
    for (size_t i = 0; i < gs->max; i++) {
        if (gs->seats[i].host) {
            group_host_follow(gs->seats[i].host, now_ms);
        }
    }
}

static bool is_worth_a_note(const struct groups *gs, const struct groups_seat *seat, bool is_time)
{
    return is_time || gs->is_stopping || group_unnoted(seat->host->group) >= NOTE_NUMBERS;
}

static void write_notes(struct groups *gs, const struct group_now *now)
{
    const bool is_time = now->mono_ms >= gs->next_note_ms;

    if (is_time || gs->is_stopping) {
        follow_all(gs, now->mono_ms);
        gs->next_note_ms = now->mono_ms + NOTE_EVERY_MS;
    } else if (!gs->has_changes) {
        return;
    }
    if (gs->has_changes) {
        group_clock_note(&gs->clock);
    }
    gs->has_changes = false;
    for (size_t i = 0; i < gs->max; i++) {
        struct groups_seat *seat = &gs->seats[i];

        if (seat->host && (seat->is_changed || is_time || gs->is_stopping)) {
            seat->is_changed = false;
            group_log_write(&seat->log, seat->host->group, now, is_worth_a_note(gs, seat, is_time));
            group_members_forget(group_members(seat->host->group), now->mono_ms);
        }
    }
}

void groups_update_hold(struct groups *gs)
{
    uint64_t from = 0;

    for (size_t i = 0; i < gs->max; i++) {
        const struct groups_seat *seat = &gs->seats[i];

        if (seat->host && group_rules(seat->host->group)->holds &&
            strcmp(group_cursor(seat->host->group)->epoch, gs->parts.journal->epoch) == 0) {
            const uint64_t settled = group_log_settled(&seat->log, seat->host->group);

            from = from == 0 || settled + 1 < from ? settled + 1 : from;
        }
    }
    if (from != gs->held_from) {
        journal_hold(gs->parts.journal, from);
        gs->held_from = from;
    }
}

void groups_kept(struct groups *gs, uint64_t batch, nhub_err status)
{
    if (!status && !gs->has_retries) {
        return;
    }
    gs->has_retries = false;
    if (status) {
        group_clock_lose(&gs->clock);
    }
    for (size_t i = 0; i < gs->max; i++) {
        struct groups_seat *seat = &gs->seats[i];

        if (!seat->host) {
            continue;
        }
        if (status && group_log_lose(&seat->log, batch)) {
            seat->is_changed = true;
            gs->has_changes = true;
        }
        if (seat->host->retry_ms != 0) {
            seat->host->retry_ms = 0; /* the journal has come further */
            wake(gs, seat->host);
        }
    }
}

/* ---- a turn ---- */

static void wake_due(struct groups *gs, int64_t now_ms)
{
    gs->due_ms = INT64_MAX;
    for (size_t i = 0; i < gs->max; i++) {
        const int64_t due_ms = gs->seats[i].host ? group_host_due_ms(gs->seats[i].host) : INT64_MAX;

        if (due_ms <= now_ms) {
            wake(gs, gs->seats[i].host);
        } else if (due_ms < gs->due_ms) {
            gs->due_ms = due_ms;
        }
    }
}

static void work_on(struct groups *gs, struct group_host *h, const struct group_now *now,
                    int64_t deadline_ns)
{
    struct groups_seat *seat = &gs->seats[h->slot];
    bool has_more;

    h->is_at_work = true;
    has_more = group_host_work(h, now, deadline_ns);
    h->is_at_work = false;
    seat->is_changed = true;
    gs->has_changes = true;
    gs->has_retries = gs->has_retries || h->retry_ms != 0;
    if (group_host_due_ms(h) < gs->due_ms) {
        gs->due_ms = group_host_due_ms(h);
    }
    if (has_more) {
        wake(gs, h);
    }
}

bool groups_work(struct groups *gs, bool is_busy)
{
    const struct group_now now = groups_now(gs);
    const int64_t deadline_ns =
        clock_mono_ns() + (is_busy ? GROUPS_BUSY_TURN_US : GROUPS_TURN_US) * INT64_C(1000);
    struct group_host *h;

    if (now.mono_ms >= gs->due_ms) {
        wake_due(gs, now.mono_ms);
    }
    while (clock_mono_ns() < deadline_ns && (h = pop_queued(gs)) != NULL) {
        work_on(gs, h, &now, deadline_ns);
    }
    write_notes(gs, &now);
    if (now.mono_ms >= gs->next_hold_ms) {
        groups_update_hold(gs);
        gs->next_hold_ms = now.mono_ms + HOLD_EVERY_MS;
    }
    return gs->first_queued != NULL;
}

int groups_wait_ms(const struct groups *gs, int64_t now_ms)
{
    const int64_t next_ms = gs->due_ms < gs->next_note_ms ? gs->due_ms : gs->next_note_ms;

    if (gs->count == 0 || next_ms - now_ms > INT32_MAX) {
        return INT32_MAX;
    }
    return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

void groups_set_stopping(struct groups *gs)
{
    gs->is_stopping = true;
    for (size_t i = 0; i < gs->max; i++) {
        if (gs->seats[i].host) {
            group_host_send_away(gs->seats[i].host, NULL, NULL);
        }
    }
}

/* ---- figures ---- */

static void add_since(struct group_totals *to, const struct group_totals *now,
                      const struct group_totals *before)
{
    to->acked += now->acked - before->acked;
    to->redelivered += now->redelivered - before->redelivered;
    to->dead_letters += now->dead_letters - before->dead_letters;
    to->lost += now->lost - before->lost;
}

void groups_count_gone(struct groups *gs, const struct groups_seat *seat)
{
    struct group_figures figures;

    group_figures(seat->host->group, &figures);
    add_since(&gs->gone, &figures.totals, &seat->before);
}

void groups_figures(struct groups *gs, struct stats_groups *out)
{
    struct group_totals totals = gs->gone;
    struct journal_state state;

    *out = (struct stats_groups){.count = gs->count};
    journal_state(gs->parts.journal, &state);
    follow_all(gs, clock_mono_ms());
    for (size_t i = 0; i < gs->max; i++) {
        const struct groups_seat *seat = &gs->seats[i];
        struct group_figures figures;
        uint64_t lag;

        if (!seat->host) {
            continue;
        }
        group_figures(seat->host->group, &figures);
        lag = groups_lag(&state, group_cursor(seat->host->group)->seq);
        add_since(&totals, &figures.totals, &seat->before);
        out->pending += figures.pending;
        out->delayed += figures.delayed;
        out->waiting += seat->host->waiting;
        out->lag_max = lag > out->lag_max ? lag : out->lag_max;
    }
    out->acked = totals.acked;
    out->redelivered = totals.redelivered;
    out->dead_letters = totals.dead_letters;
    out->lost = totals.lost;
}
