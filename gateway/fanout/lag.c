/*
 * lag: sessions that are not in lockstep: one write at a time while their transport is free, and
 * the limits of their policy while it is blocked. A burst after a loss is not held against them.
 *
 * A thousand readers that do not read must not be looked at each time an event comes. So a stream
 * knows how many bytes it has to have before one that is stuck can be over its limit, and what is
 * dropped then is enough for a while: up to a quarter of the limit, to the next mark of a grid that
 * all have in common, so that they are over it at the same time from then on. They are looked at in
 * a round of several turns, in the order of their list, so that nobody waits for a thousand.
 */
#include "gateway/fanout/internal.h"
#include "gateway/fanout/run.h"

#define GRID_PARTS 4   /* marks in the bytes that a session may have waiting */
#define A_TURN     100 /* stuck sessions that are looked at in one turn */

/* What may wait in the stream for a session that is stuck. One that wants only the newest of each
 * type takes over what it needs of it now and then. */
static uint64_t allowance(const struct session *s)
{
    const uint64_t max_bytes = s->f->options.session_max_bytes;

    return s->policy == POLICY_LATEST ? max_bytes / GRID_PARTS : max_bytes;
}

static void lower(uint64_t *least, uint64_t value)
{
    *least = value < *least ? value : *least;
}

/* Behind those that have not had their turn in this round. */
static void stick_behind(struct stream *st, struct session *s)
{
    const uint64_t limit = stream_bytes_before(s) + allowance(s);

    s->round = st->round;
    list_move(&st->stuck, &s->link);
    lower(st->is_in_round ? &st->round_limit : &st->stuck_limit, limit);
}

void lag_stick(struct session *s)
{
    stick_behind(s->stream, s);
    lower(&s->stream->stuck_low, s->at);
}

void lag_unstick(struct session *s)
{
    s->stream->is_stuck_gone |= s->at == s->stream->stuck_low;
    list_move(&s->stream->lagging, &s->link);
    if (s->policy == POLICY_LATEST && s->at < s->stream->end) {
        latest_absorb(s);
    }
    (void)lag_advance(s);
}

uint64_t lag_low(struct stream *st)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    if (list_empty(&st->stuck) || st->is_stuck_gone) {
        st->is_stuck_gone = false;
        st->stuck_low = UINT64_MAX;
        list_foreach (pos, tmp, &st->stuck) {
            lower(&st->stuck_low, list_entry(pos, struct session, link)->at);
        }
    }
    return st->stuck_low;
}

size_t lag_advance(struct session *s)
{
    struct stream *st = s->stream;
    struct run run = {0};

    if (!session_flush(s)) {
        return 0;
    }
    if (!latest_is_empty(s)) {
        latest_absorb(s);
        latest_write(s);
    } else if (s->at < st->end) {
        if (!run_gather(st, s->at, &run)) {
            session_fail(s, SESSION_END_FAILED);
            return 0;
        }
        s->at = run.to;
        (void)session_write_run(s, &run);
    }
    if (s->state == STATE_LAGGING && !s->is_blocked) {
        stream_catch_up(s);
    }
    return run.len;
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

static void drop_some(struct session *s)
{
    const uint64_t bytes = s->stream->bytes;
    const uint64_t max_bytes = s->f->options.session_max_bytes;
    const uint64_t grid = max_bytes / GRID_PARTS + 1;
    const uint64_t mark = (bytes - max_bytes) / grid + 1;
    uint64_t gaps = 0;
    const uint64_t to = stream_skip(s, bytes > mark * grid ? bytes - mark * grid : 0, &gaps);

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
    if (s->state != STATE_LAGGING || s->policy != POLICY_DISCONNECT || !latest_is_empty(s) ||
        s->at >= s->stream->overdue_end || replay_instead(s, s->stream) != NHUB_OK) {
        return false;
    }
    counter_bump(&s->f->counters->set_aside_total, 1);
    return true;
}

static void enforce_one(struct session *s)
{
    if (stream_lag_bytes(s) <= allowance(s)) {
        return;
    }
    /* What it has of an earlier policy comes first, and what follows has to fit to it. */
    if (s->policy == POLICY_LATEST || !latest_is_empty(s)) {
        latest_absorb(s);
    } else if (s->policy == POLICY_DROP_OLDEST) {
        drop_some(s);
    } else if (!lag_set_aside(s)) {
        counter_bump(&s->f->counters->dropped[DROP_SLOW_DISCONNECT], s->stream->end - s->at);
        session_fail(s, SESSION_END_SLOW);
    }
}

void lag_enforce(struct stream *st)
{
    if (!st->is_in_round) {
        if (st->bytes <= st->stuck_limit) {
            return;
        }
        st->is_in_round = true;
        st->round++;
        st->round_limit = UINT64_MAX;
    }
    for (int i = 0; i < A_TURN; i++) {
        struct session *s =
            list_empty(&st->stuck) ? NULL : list_entry(st->stuck.next, struct session, link);

        if (!s || s->round == st->round) {
            st->is_in_round = false;
            st->stuck_limit = st->round_limit;
            st->is_stuck_gone = true; /* they have moved on */
            return;
        }
        enforce_one(s);
        if (s->state == STATE_LAGGING) { /* still there */
            stick_behind(st, s);
        }
    }
    stream_mark(st);
}
