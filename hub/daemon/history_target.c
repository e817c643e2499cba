/*
 * history_target: from what a client wrote as `since` to a number, and what lies between the two
 * that is not to be had.
 */
#include "daemon/history_target.h"

#include <inttypes.h>
#include <string.h>

/* The index of the first void that ends behind `after`. */
static size_t first_void(const struct journal_state *state, uint64_t after)
{
    size_t low = 0;
    size_t high = state->void_count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (state->voids[middle].to <= after) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct journal_void *history_void_behind(const struct journal_state *state, uint64_t after)
{
    const size_t i = first_void(state, after);

    return i < state->void_count && state->voids[i].from <= after + 1 ? &state->voids[i] : NULL;
}

uint64_t history_end_of_run(const struct journal_state *state, uint64_t after)
{
    const size_t i = first_void(state, after);

    return i < state->void_count ? state->voids[i].from - 1 : state->last;
}

static void set_gap(struct since_target *t, const char *reason, const char *epoch, uint64_t from)
{
    t->gap = reason;
    memcpy(t->gap_from.epoch, epoch, EPOCH_LEN + 1);
    t->gap_from.seq = from;
}

/* If a void lies right behind the target, or around it: goes to its end, and says so. */
static void step_over_voids(struct since_target *t, const char *epoch,
                            const struct journal_state *state)
{
    const struct journal_void *v = history_void_behind(state, t->after);

    if (v && !t->gap) {
        set_gap(t, v->reason, epoch, t->after);
    }
    for (; v; v = history_void_behind(state, t->after)) {
        t->after = v->to;
    }
}

static void target_seq(uint64_t seq, const char *epoch, const struct journal_state *state,
                       struct since_target *out)
{
    if (seq > state->last) {
        out->is_unknown = true;
        out->after = state->last;
        return;
    }
    out->after = seq;
    step_over_voids(out, epoch, state);
    if (out->after + 1 < state->oldest) {
        set_gap(out, "retention", epoch, seq);
        out->after = state->oldest - 1;
        step_over_voids(out, epoch, state);
    }
}

void history_target(const struct since *since, const char *epoch, const struct journal_state *state,
                    struct since_target *out)
{
    *out = (struct since_target){.after = state->oldest - 1};
    switch (since->kind) {
    case SINCE_NONE:
    case SINCE_EARLIEST:
        break;
    case SINCE_LATEST:
        out->after = state->last;
        break;
    case SINCE_SEQ:
        target_seq(since->position.seq, epoch, state, out);
        break;
    case SINCE_POSITION:
        if (strcmp(since->position.epoch, epoch) == 0) {
            target_seq(since->position.seq, epoch, state, out);
        } else {
            out->gap = "epoch_changed";
            out->gap_from = since->position;
        }
        break;
    case SINCE_TIME:
        out->by_time = true;
        out->time_us = since->time_us;
        if (state->trimmed_us != 0 && state->trimmed_us >= since->time_us) {
            /* Some of what came since then is gone; how much is not known. */
            set_gap(out, "retention", epoch, 0);
        }
        break;
    }
}

uint64_t history_before_time(const struct journal_state *state, uint64_t found)
{
    uint64_t after = found;

    for (size_t i = state->void_count; i > 0 && state->voids[i - 1].to >= after; i--) {
        if (state->voids[i - 1].to == after) {
            after = state->voids[i - 1].from - 1;
        }
    }
    return after;
}

void history_target_found(struct since_target *t, uint64_t found, const char *epoch,
                          const struct journal_state *state)
{
    t->by_time = false;
    t->after = t->gap ? found : history_before_time(state, found);
    step_over_voids(t, epoch, state);
}

void history_write_voids(struct buf *out, const struct journal_state *state)
{
    /* One that ends where the oldest record begins says why there is nothing in front of it. */
    const size_t first = first_void(state, state->oldest > 1 ? state->oldest - 2 : 0);
    const size_t count = state->void_count - first;
    size_t i = count > HISTORY_VOIDS_TOLD ? state->void_count - HISTORY_VOIDS_TOLD : first;
    const char *comma = "";

    buf_add_str(out, ",\"voids\":[");
    for (; i < state->void_count; i++) {
        const struct journal_void *v = &state->voids[i];

        buf_printf(out, "%s{\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"reason\":\"%s\"}", comma,
                   v->from, v->to, v->reason);
        comma = ",";
    }
    buf_add_char(out, ']');
}
