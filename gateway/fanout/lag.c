/*
 * lag: sessions that are not in lockstep: one write at a time while their transport is free, and
 * the limits of their policy while it is blocked. A burst after a loss is not held against them.
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

/* The records from the session's place up to `to` are not going to be sent to it. */
static void drop_range(struct session *s, uint64_t to, const struct gap *gap, uint64_t events)
{
    session_note_gap(s, gap, events);
    counter_bump(&s->f->counters->dropped[DROP_SLOW_OLDEST], events);
    s->dropped += events;
    s->at = to;
}

static void drop_until(struct session *s, uint64_t max_bytes)
{
    uint64_t gaps = 0;
    const uint64_t to = stream_skip(s, max_bytes, &gaps);

    /* Each gap on the way has its own reason. */
    while (gaps > 0 && s->at < to) {
        const struct feed_event *record = stream_at(s->stream, s->at);
        const struct gap gap = gap_of(record);

        drop_range(s, s->at + 1, &gap, record->gap ? 0 : 1);
    }
    if (s->at < to) {
        struct gap gap = gap_of(stream_at(s->stream, s->at));

        gap.to = stream_at(s->stream, to - 1)->position;
        drop_range(s, to, &gap, to - s->at);
    }
}

/* What was missed comes faster than anybody reads, which is not the reader's fault: it goes on as
 * one that resumes, and costs the stream nothing meanwhile. The other policies want what is new. */
bool lag_set_aside(struct session *s)
{
    if (s->state != STATE_LAGGING || s->policy != POLICY_DISCONNECT ||
        s->at >= s->stream->overdue_end || replay_instead(s, s->stream) != NHUB_OK) {
        return false;
    }
    counter_bump(&s->f->counters->set_aside_total, 1);
    return true;
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
        } else if (!lag_set_aside(s)) {
            counter_bump(&s->f->counters->dropped[DROP_SLOW_DISCONNECT], s->stream->end - s->at);
            session_fail(s, SESSION_END_SLOW);
        }
    }
}
