/*
 * group_state: a group as notes, and out of notes again.
 */
#include "daemon/group.h"

#include "daemon/group_private.h"

/* No deadline lies further ahead than the longest that can be asked for, however the wall clock was
 * set in between. */
#define REMAINING_MAX_MS                                                                           \
    ((int64_t)(GROUP_VISIBILITY_MAX_MS > GROUP_DELAY_MAX_MS ? GROUP_VISIBILITY_MAX_MS              \
                                                            : GROUP_DELAY_MAX_MS))

/* ---- writing ---- */

uint64_t group_unnoted(const struct group *g)
{
    return g->cursor.seq - g->noted_cursor;
}

static void note_cursor(struct group *g, struct group_note_writer *out)
{
    group_note_add(out, &(struct group_change){.op = GROUP_OP_CURSOR, .seq = g->cursor.seq});
    g->noted_cursor = g->cursor.seq;
}

struct buf *group_take_changes(struct group *g, bool with_cursor)
{
    struct group_note_writer *w = &g->changes;

    /* What the last call gave away ends with its checksum and is over. */
    if (with_cursor && g->cursor.seq != g->noted_cursor) {
        note_cursor(g, w);
    }
    if (w->bytes.len == 0 && !w->bytes.failed) {
        return NULL;
    }
    group_note_end(w);
    return &w->bytes;
}

void group_changes_taken(struct group *g)
{
    group_note_reset(&g->changes);
}

static int64_t wall_of(const struct open_event *e, const struct group_now *now)
{
    const bool has_deadline = e->state == OPEN_PENDING || e->state == OPEN_DELAYED;

    return has_deadline ? now->wall_ms + (e->due_ms - now->mono_ms) : now->wall_ms;
}

static void write_open(const struct open_event *e, const struct group_now *now,
                       struct group_note_writer *out)
{
    group_note_add(out,
                   &(struct group_change){.op = GROUP_OP_TAKEN, .seq = e->seq, .lane = e->lane});
    if (e->attempt > 0) {
        group_note_add(
            out, &(struct group_change){.op = e->was_nacked ? GROUP_OP_GIVEN_BACK : GROUP_OP_HANDED,
                                        .seq = e->seq,
                                        .attempt = e->attempt,
                                        .released = e->released,
                                        .at_ms = wall_of(e, now)});
    }
}

void group_write_state(struct group *g, uint64_t next, const struct group_now *now,
                       struct group_note_writer *out)
{
    struct group_change epoch = {.op = GROUP_OP_EPOCH, .from = g->cursor};

    group_note_reset(out);
    group_note_add(out, &(struct group_change){.op = GROUP_OP_NEXT, .seq = next});
    epoch.from.seq = group_floor(g);
    group_note_add(out, &epoch);
    for (const struct open_event *e = open_set_oldest(g->open); e; e = e->newer) {
        write_open(e, now, out);
    }
    for (size_t i = 0; i < g->gap_count; i++) {
        group_note_add(out, &(struct group_change){.op = GROUP_OP_GAP,
                                                   .from = g->gaps[i].from,
                                                   .to = g->gaps[i].to,
                                                   .reason = g->gaps[i].reason});
    }
    note_cursor(g, out);
    /* Behind the hand-outs, which count as they are read. */
    group_note_add(out, &(struct group_change){.op = GROUP_OP_TOTALS, .totals = g->totals});
    group_note_end(out);
    group_note_reset(&g->changes);
}

/* ---- reading ---- */

static int64_t mono_of(const struct group_change *change, const struct group_now *now)
{
    int64_t remaining_ms = 0;

    if (change->at_ms > now->wall_ms) {
        remaining_ms = change->at_ms - now->wall_ms;
    }
    if (remaining_ms > REMAINING_MAX_MS || remaining_ms < 0) {
        remaining_ms = REMAINING_MAX_MS;
    }
    return now->mono_ms + remaining_ms;
}

/* An attempt as it was left: handed out, or given back. */
static nhub_err restore_attempt(struct group *g, const struct group_change *change,
                                const struct group_now *now)
{
    struct open_event *e = open_set_find(g->open, change->seq);
    const bool is_nack = change->op == GROUP_OP_GIVEN_BACK;

    if (!e || e->state == OPEN_BLOCKED || change->attempt < e->attempt || change->attempt == 0 ||
        change->released < e->released || change->released > change->attempt) {
        return NHUB_EPROTO;
    }
    if (!is_nack && change->attempt > 1) {
        g->totals.redelivered++;
    }
    group_part(e);
    e->attempt = change->attempt;
    e->released = change->released;
    e->was_nacked = is_nack;
    open_set_move(g->open, e, is_nack ? OPEN_DELAYED : OPEN_PENDING, mono_of(change, now));
    return NHUB_OK;
}

static nhub_err restore_open(struct group *g, const struct group_change *change,
                             const struct group_now *now)
{
    struct open_event *e = open_set_find(g->open, change->seq);

    if (!e) {
        return NHUB_EPROTO;
    }
    switch (change->op) {
    case GROUP_OP_ACKED:
        g->totals.acked++;
        group_settle(g, e);
        break;
    case GROUP_OP_BURIED:
        group_bury(g, change->seq);
        break;
    case GROUP_OP_EXTENDED:
        if (e->attempt == 0 || e->was_nacked) {
            return NHUB_EPROTO;
        }
        open_set_move(g->open, e, OPEN_PENDING, mono_of(change, now));
        break;
    default:
        /* A member may have had it when it was lost: its time was over by then. */
        group_part(e);
        if (e->state == OPEN_PENDING) {
            open_set_move(g->open, e, OPEN_READY, 0);
        }
        group_lose(g, change->seq, change->reason);
        break;
    }
    return NHUB_OK;
}

static nhub_err restore_place(struct group *g, const struct group_change *change)
{
    nhub_err err = NHUB_OK;

    switch (change->op) {
    case GROUP_OP_EPOCH:
        group_change_epoch(g, &change->from);
        break;
    case GROUP_OP_CURSOR:
        group_pass(g, change->seq);
        break;
    case GROUP_OP_TAKEN:
        err = group_take(g, change->seq, change->lane);
        break;
    default:
        if (change->seq == 0 || change->seq - 1 < g->cursor.seq || change->to_seq < change->seq) {
            return NHUB_EPROTO;
        }
        group_pass(g, change->seq - 1);
        group_miss(g, change->to_seq, change->reason);
        break;
    }
    return err == NHUB_EINVAL || err == NHUB_EFULL ? NHUB_EPROTO : err;
}

static nhub_err restore_gap(struct group *g, const struct group_change *change)
{
    const struct group_gap gap = {.from = change->from, .to = change->to, .reason = change->reason};

    if (change->op == GROUP_OP_GAP) {
        group_append_gap(g, &gap);
        return NHUB_OK;
    }
    if (g->gap_count == 0) {
        return NHUB_EPROTO;
    }
    group_drop_oldest_gap(g);
    return NHUB_OK;
}

static nhub_err apply(struct group *g, const struct group_change *change,
                      const struct group_now *now)
{
    switch (change->op) {
    case GROUP_OP_EPOCH:
    case GROUP_OP_CURSOR:
    case GROUP_OP_TAKEN:
    case GROUP_OP_MISSED:
        return restore_place(g, change);
    case GROUP_OP_HANDED:
    case GROUP_OP_GIVEN_BACK:
        return restore_attempt(g, change, now);
    case GROUP_OP_ACKED:
    case GROUP_OP_EXTENDED:
    case GROUP_OP_BURIED:
    case GROUP_OP_LOST:
        return restore_open(g, change, now);
    case GROUP_OP_GAP:
    case GROUP_OP_GAP_TOLD:
        return restore_gap(g, change);
    case GROUP_OP_TOTALS:
        g->totals = change->totals;
        return NHUB_OK;
    case GROUP_OP_NEXT:
    case GROUP_OPS:
        break;
    }
    return NHUB_OK; /* the number of the next note is its reader's */
}

nhub_err group_apply(struct group *g, const struct group_change *change,
                     const struct group_now *now)
{
    nhub_err err;

    g->is_replaying = true;
    err = apply(g, change, now);
    g->is_replaying = false;
    g->noted_cursor = g->cursor.seq;
    return err;
}
