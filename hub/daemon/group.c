/*
 * group: the rules.
 */
#include "daemon/group.h"

#include "daemon/group_private.h"

#include <stdlib.h>
#include <string.h>

nhub_err group_create(struct group **out, const struct group_rules *rules,
                      const struct position *cursor)
{
    struct group *g = calloc(1, sizeof *g);
    nhub_err err;

    if (!g) {
        return NHUB_ENOMEM;
    }
    g->rules = *rules;
    g->cursor = *cursor;
    g->noted_cursor = cursor->seq;
    group_note_init(&g->changes);
    err = open_set_create(&g->open, rules->is_ordered);
    if (!err) {
        err = group_members_create(&g->members);
    }
    if (err) {
        group_destroy(&g);
        return err;
    }
    *out = g;
    return NHUB_OK;
}

void group_destroy(struct group **g_p)
{
    struct group *g = *g_p;

    if (g) {
        open_set_destroy(&g->open);
        group_members_destroy(&g->members);
        group_note_fini(&g->changes);
        free(g);
        *g_p = NULL;
    }
}

/* ---- looking at it ---- */

const struct group_rules *group_rules(const struct group *g)
{
    return &g->rules;
}

const struct position *group_cursor(const struct group *g)
{
    return &g->cursor;
}

uint64_t group_floor(const struct group *g)
{
    const struct open_event *oldest = open_set_oldest(g->open);

    return oldest ? oldest->seq - 1 : g->cursor.seq;
}

void group_figures(const struct group *g, struct group_figures *out)
{
    out->totals = g->totals;
    out->pending = open_set_count_of(g->open, OPEN_PENDING);
    out->delayed = open_set_count(g->open) - out->pending;
}

struct group_members *group_members(struct group *g)
{
    return g->members;
}

static const char *const reason_names[GROUP_GAP_REASONS] = {
    [GROUP_GAP_RETENTION] = "retention",
    [GROUP_GAP_UNCLEAN_STOP] = "unclean_stop",
    [GROUP_GAP_NOT_STORED] = "not_stored",
    [GROUP_GAP_EPOCH_CHANGED] = "epoch_changed",
};

const char *group_gap_reason_name(enum group_gap_reason reason)
{
    return reason_names[reason];
}

bool group_gap_reason_parse(const char *name, enum group_gap_reason *out)
{
    for (int i = 0; i < GROUP_GAP_REASONS; i++) {
        if (strcmp(name, reason_names[i]) == 0) {
            *out = (enum group_gap_reason)i;
            return true;
        }
    }
    return false;
}

/* ---- small steps ---- */

void group_record(struct group *g, const struct group_change *change)
{
    if (!g->is_replaying) {
        group_note_add(&g->changes, change);
    }
}

void group_part(struct open_event *e)
{
    if (e->member) {
        e->member->pending--;
        e->member = NULL;
    }
}

void group_settle(struct group *g, struct open_event *e)
{
    group_part(e);
    (void)open_set_remove(g->open, e);
}

static bool is_beside(const struct group_gap *a, const struct group_gap *b)
{
    return a->reason == b->reason && strcmp(a->from.epoch, b->from.epoch) == 0 &&
           strcmp(a->to.epoch, b->to.epoch) == 0 && strcmp(a->from.epoch, a->to.epoch) == 0 &&
           b->from.seq <= a->to.seq && b->to.seq >= a->from.seq;
}

/* Nobody knows the order of epochs, but that the one that is now is the last. */
static bool is_earlier(const struct group *g, const struct position *a, const struct position *b)
{
    const char *now = g->cursor.epoch;

    return strcmp(a->epoch, b->epoch) == 0
               ? a->seq < b->seq
               : strcmp(a->epoch, now) != 0 && strcmp(b->epoch, now) == 0;
}

void group_append_gap(struct group *g, const struct group_gap *gap)
{
    struct group_gap *last;

    if (g->gap_count < GROUP_GAPS_MAX) {
        g->gaps[g->gap_count++] = *gap;
    } else {
        /* Too many wait to be told: the newest ones become one, which says more than was lost,
         * never less. */
        last = &g->gaps[GROUP_GAPS_MAX - 1];
        if (is_earlier(g, &gap->from, &last->from)) {
            last->from = gap->from;
        }
        if (!is_earlier(g, &gap->to, &last->to)) {
            last->to = gap->to;
        }
    }
}

void group_drop_oldest_gap(struct group *g)
{
    g->gap_count--;
    memmove(&g->gaps[0], &g->gaps[1], g->gap_count * sizeof g->gaps[0]);
}

/* Gaps side by side are one. */
static void add_gap(struct group *g, const struct group_gap *gap)
{
    struct group_gap *last = g->gap_count > 0 ? &g->gaps[g->gap_count - 1] : NULL;

    if (last && is_beside(last, gap)) {
        last->from.seq = gap->from.seq < last->from.seq ? gap->from.seq : last->from.seq;
        last->to.seq = gap->to.seq > last->to.seq ? gap->to.seq : last->to.seq;
    } else {
        group_append_gap(g, gap);
    }
}

/* Numbers behind from_seq up to to_seq, of the epoch that is now. */
static void note_gap(struct group *g, uint64_t from_seq, uint64_t to_seq,
                     enum group_gap_reason reason)
{
    struct group_gap gap = {.from = g->cursor, .to = g->cursor, .reason = reason};

    gap.from.seq = from_seq;
    gap.to.seq = to_seq;
    add_gap(g, &gap);
}

static void lose(struct group *g, struct open_event *e, enum group_gap_reason reason)
{
    group_record(g, &(struct group_change){.op = GROUP_OP_LOST, .seq = e->seq, .reason = reason});
    g->totals.lost++;
    note_gap(g, e->seq - 1, e->seq, reason);
    group_settle(g, e);
}

static bool has_failed(const struct group *g, const struct open_event *e)
{
    return g->rules.max_attempts > 0 && e->attempt - e->released >= g->rules.max_attempts;
}

/* An attempt is over, and no delay is left: the next one, or the last one it was. */
static void end_attempt(struct group *g, struct open_event *e)
{
    group_part(e);
    if (has_failed(g, e)) {
        open_set_move(g->open, e, OPEN_DEAD, 0);
    } else if (e->seq < g->kept_from) {
        lose(g, e, GROUP_GAP_RETENTION);
    } else {
        open_set_move(g->open, e, OPEN_READY, 0);
    }
}

/* ---- looking at events ---- */

size_t group_room(const struct group *g)
{
    return GROUP_OPEN_MAX - open_set_count(g->open);
}

nhub_err group_take(struct group *g, uint64_t seq, uint64_t lane)
{
    struct open_event *e;
    nhub_err err;

    if (seq <= g->cursor.seq) {
        return NHUB_EINVAL;
    }
    lane = g->rules.is_ordered ? lane : 0;
    err = open_set_add(g->open, seq, lane, &e);
    if (!err) {
        g->cursor.seq = seq;
        group_record(g, &(struct group_change){.op = GROUP_OP_TAKEN, .seq = seq, .lane = lane});
    }
    return err;
}

void group_pass(struct group *g, uint64_t seq)
{
    if (seq > g->cursor.seq) {
        g->cursor.seq = seq;
    }
}

void group_miss(struct group *g, uint64_t seq, enum group_gap_reason reason)
{
    const uint64_t before = g->cursor.seq;

    if (seq <= before) {
        return;
    }
    group_record(g, &(struct group_change){
                        .op = GROUP_OP_MISSED, .seq = before + 1, .to_seq = seq, .reason = reason});
    note_gap(g, before, seq, reason);
    /* Most numbers of the void behind an unclean stop were never used. */
    if (reason != GROUP_GAP_UNCLEAN_STOP) {
        g->totals.lost += seq - before;
    }
    g->cursor.seq = seq;
}

/* Members may go on with what they have; everything else is lost. */
static bool is_lost_without_record(const struct open_event *e)
{
    return e->state == OPEN_READY || e->state == OPEN_PICKED || e->state == OPEN_DELAYED ||
           e->state == OPEN_BLOCKED;
}

void group_retain(struct group *g, uint64_t oldest)
{
    struct open_event *e = open_set_oldest(g->open);

    if (oldest <= g->kept_from) {
        return;
    }
    g->kept_from = oldest;
    while (e && e->seq < oldest) {
        struct open_event *newer = e->newer;

        if (is_lost_without_record(e)) {
            lose(g, e, GROUP_GAP_RETENTION);
        }
        e = newer;
    }
    group_miss(g, oldest - 1, GROUP_GAP_RETENTION);
}

void group_lose(struct group *g, uint64_t seq, enum group_gap_reason reason)
{
    struct open_event *e = open_set_find(g->open, seq);

    if (e && is_lost_without_record(e)) {
        lose(g, e, reason);
    }
}

void group_change_epoch(struct group *g, const struct position *start)
{
    struct group_gap gap = {.from = g->cursor, .to = *start, .reason = GROUP_GAP_EPOCH_CHANGED};
    struct open_event *e;

    gap.from.seq = group_floor(g);
    group_record(g, &(struct group_change){.op = GROUP_OP_EPOCH, .from = *start});
    g->totals.lost += open_set_count(g->open);
    while ((e = open_set_oldest(g->open)) != NULL) {
        group_settle(g, e);
    }
    open_set_clear(g->open);
    g->cursor = *start;
    if (gap.from.epoch[0] != '\0') {
        add_gap(g, &gap);
    }
    g->noted_cursor = start->seq;
    g->kept_from = 0;
}

void group_note_gap(struct group *g, const struct group_gap *gap)
{
    group_record(g,
                 &(struct group_change){
                     .op = GROUP_OP_GAP, .from = gap->from, .to = gap->to, .reason = gap->reason});
    group_append_gap(g, gap);
}

bool group_has_gap(const struct group *g)
{
    return g->gap_count > 0;
}

bool group_tell_gap(struct group *g, struct group_gap *out)
{
    if (g->gap_count == 0) {
        return false;
    }
    *out = g->gaps[0];
    group_drop_oldest_gap(g);
    group_record(g, &(struct group_change){.op = GROUP_OP_GAP_TOLD});
    return true;
}

/* ---- handing out ---- */

uint64_t group_pick(struct group *g)
{
    struct open_event *e = open_set_first(g->open, OPEN_READY);

    if (!e) {
        return 0;
    }
    open_set_move(g->open, e, OPEN_PICKED, 0);
    return e->seq;
}

void group_unpick(struct group *g, uint64_t seq)
{
    struct open_event *e = open_set_find(g->open, seq);

    if (e && e->state == OPEN_PICKED) {
        open_set_move(g->open, e, OPEN_READY, 0);
    } else if (e && e->state == OPEN_DYING) {
        open_set_move(g->open, e, OPEN_DEAD, 0);
    }
}

uint32_t group_hand_out(struct group *g, uint64_t seq, struct group_member *member,
                        const struct group_now *now)
{
    struct open_event *e = open_set_find(g->open, seq);

    if (!e || (e->state != OPEN_READY && e->state != OPEN_PICKED)) {
        return 0;
    }
    if (e->attempt == UINT32_MAX) {
        open_set_move(g->open, e, OPEN_DEAD, 0); /* no name is left for another attempt */
        return 0;
    }
    e->attempt++;
    e->was_nacked = false;
    e->member = member;
    if (member) {
        member->pending++;
    }
    g->totals.redelivered += e->attempt > 1 ? 1 : 0;
    open_set_move(g->open, e, OPEN_PENDING, now->mono_ms + g->rules.visibility_ms);
    group_record(g, &(struct group_change){.op = GROUP_OP_HANDED,
                                           .seq = seq,
                                           .attempt = e->attempt,
                                           .released = e->released,
                                           .at_ms = now->wall_ms + g->rules.visibility_ms});
    return e->attempt;
}

/* The open event whose attempt this is, when its member may still decide about it. */
static enum group_verdict find_attempt(const struct group *g, uint64_t seq, uint32_t attempt,
                                       struct open_event **out)
{
    struct open_event *e = open_set_find(g->open, seq);

    if (!e) {
        return seq <= g->cursor.seq ? GROUP_STALE : GROUP_UNKNOWN;
    }
    if (attempt > e->attempt) {
        return GROUP_UNKNOWN;
    }
    if (attempt < e->attempt || e->was_nacked) {
        return GROUP_STALE;
    }
    *out = e;
    return GROUP_DONE;
}

enum group_verdict group_ack(struct group *g, uint64_t seq, uint32_t attempt)
{
    struct open_event *e = NULL;
    const enum group_verdict verdict = find_attempt(g, seq, attempt, &e);

    /* Late, but in time: also an attempt that is over counts while nothing else was done. */
    if (verdict == GROUP_DONE) {
        group_record(g, &(struct group_change){.op = GROUP_OP_ACKED, .seq = seq});
        g->totals.acked++;
        group_settle(g, e);
    }
    return verdict;
}

static bool is_over(const struct open_event *e)
{
    return e->state == OPEN_DEAD || e->state == OPEN_DYING;
}

enum group_verdict group_nack(struct group *g, uint64_t seq, uint32_t attempt, uint32_t delay_ms,
                              bool release, const struct group_now *now)
{
    struct open_event *e = NULL;
    const enum group_verdict verdict = find_attempt(g, seq, attempt, &e);

    if (verdict != GROUP_DONE) {
        return verdict;
    }
    if (is_over(e)) {
        return GROUP_STALE;
    }
    e->was_nacked = true;
    e->released += release ? 1 : 0;
    group_record(g, &(struct group_change){.op = GROUP_OP_GIVEN_BACK,
                                           .seq = seq,
                                           .attempt = e->attempt,
                                           .released = e->released,
                                           .at_ms = now->wall_ms + delay_ms});
    if (delay_ms > 0 && !has_failed(g, e)) {
        group_part(e);
        open_set_move(g->open, e, OPEN_DELAYED, now->mono_ms + delay_ms);
    } else {
        end_attempt(g, e);
    }
    return GROUP_DONE;
}

enum group_verdict group_extend(struct group *g, uint64_t seq, uint32_t attempt,
                                uint32_t visibility_ms, const struct group_now *now)
{
    struct open_event *e = NULL;
    const enum group_verdict verdict = find_attempt(g, seq, attempt, &e);

    if (verdict != GROUP_DONE) {
        return verdict;
    }
    if (is_over(e)) {
        return GROUP_STALE;
    }
    group_record(g, &(struct group_change){.op = GROUP_OP_EXTENDED,
                                           .seq = seq,
                                           .at_ms = now->wall_ms + visibility_ms});
    open_set_move(g->open, e, OPEN_PENDING, now->mono_ms + visibility_ms);
    return GROUP_DONE;
}

/* ---- time ---- */

void group_tick(struct group *g, int64_t mono_ms)
{
    struct open_event *e;

    while ((e = open_set_next_due(g->open)) != NULL && e->due_ms <= mono_ms) {
        end_attempt(g, e);
    }
}

int64_t group_due_ms(const struct group *g)
{
    const struct open_event *e = open_set_next_due(g->open);

    return e ? e->due_ms : INT64_MAX;
}

/* ---- dead letters ---- */

bool group_next_dying(struct group *g, struct group_death *out)
{
    struct open_event *e = open_set_first(g->open, OPEN_DEAD);

    if (!e) {
        return false;
    }
    open_set_move(g->open, e, OPEN_DYING, 0);
    *out = (struct group_death){
        .seq = e->seq, .attempts = e->attempt - e->released, .was_nacked = e->was_nacked};
    return true;
}

bool group_has_dying(const struct group *g)
{
    return open_set_first(g->open, OPEN_DEAD) != NULL;
}

bool group_is_dying(const struct group *g, uint64_t seq)
{
    const struct open_event *e = open_set_find(g->open, seq);

    return e && e->state == OPEN_DYING;
}

void group_bury(struct group *g, uint64_t seq)
{
    struct open_event *e = open_set_find(g->open, seq);

    if (e) {
        group_record(g, &(struct group_change){.op = GROUP_OP_BURIED, .seq = seq});
        g->totals.dead_letters++;
        group_settle(g, e);
    }
}
