/*
 * lag: sessions that are not in lockstep: one write at a time while their transport is free, and
 * the limits of their policy while it is blocked.
 */
#include "gateway/fanout/internal.h"
#include "gateway/fanout/run.h"

void lag_advance(struct session *s)
{
    struct stream *st = s->stream;
    struct run run;

    if (!session_flush(s)) {
        return;
    }
    if (!latest_is_empty(s)) {
        latest_absorb(s);
        latest_write(s);
    } else if (s->at < st->end) {
        if (!run_gather(st, s->at, &run)) {
            session_fail(s, SESSION_END_FAILED);
            return;
        }
        s->at = run.to;
        (void)session_write_run(s, &run);
    }
    if (s->state == STATE_LAGGING && !s->is_blocked) {
        stream_catch_up(s);
    }
}

/* The gap that one dropped record leaves. */
static struct gap gap_of(const struct feed_event *record)
{
    struct gap gap = {.from = record->position, .to = record->position, .reason = GAP_SLOW};

    if (record->gap) {
        return *record->gap;
    }
    if (gap.from.seq > 0) {
        gap.from.seq--;
    }
    return gap;
}

static void drop_until(struct session *s, uint64_t max_bytes)
{
    struct gateway_counters *counters = s->f->counters;

    while (stream_lag_bytes(s) > max_bytes) {
        const struct feed_event *record = stream_at(s->stream, s->at);
        const struct gap gap = gap_of(record);
        const uint64_t events = record->gap ? 0 : 1;

        session_note_gap(s, &gap, events);
        counter_bump(&counters->dropped[DROP_SLOW_OLDEST], events);
        s->dropped += events;
        s->at++;
    }
}

void lag_enforce(struct session *s)
{
    const size_t max_bytes = s->f->options.session_max_bytes;

    if (s->policy == POLICY_LATEST) {
        if (s->at < s->stream->end) {
            latest_absorb(s);
        }
    } else if (stream_lag_bytes(s) > max_bytes) {
        if (s->policy == POLICY_DROP_OLDEST) {
            drop_until(s, max_bytes);
        } else {
            counter_bump(&s->f->counters->dropped[DROP_SLOW_DISCONNECT], s->stream->end - s->at);
            session_fail(s, SESSION_END_SLOW);
        }
    }
}
