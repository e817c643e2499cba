/* session: life, writing, and what goes out besides records. What it subscribes to: subscribe.c. */
#include "gateway/fanout/session.h"

#include "gateway/fanout/internal.h"
#include "gateway/fanout/notice.h"
#include "gateway/fanout/render.h"

#include <stdlib.h>
#include <string.h>

nhub_err session_create(struct session **out, struct fanout *f,
                        const struct session_options *options)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s) {
        return NHUB_ENOMEM;
    }
    list_init(&s->link);
    list_init(&s->blocked);
    list_init(&s->wheel);
    s->f = f;
    s->sink = options->sink;
    s->context = options->context;
    memcpy(s->near, options->near, sizeof s->near);
    s->door = (uint8_t)options->door;
    s->format = (uint8_t)options->format;
    s->policy = (uint8_t)options->policy;
    s->state = STATE_IDLE;
    s->last_write_ms = f->now_ms;
    s->created_ms = f->now_ms;
    s->number = counter_next(&f->counters->last_client);
    if (roster_add(&f->clients, s->number, s) != NHUB_OK) {
        free(s);
        return NHUB_ENOMEM;
    }
    buf_init(&s->control);
    list_append(&f->wheel[f->wheel_next++ % WHEEL_SLOTS], &s->wheel);
    f->session_count++;
    *out = s;
    return NHUB_OK;
}

/* Gives back everything that a session holds for sending. */
static void drop_pending(struct session *s)
{
    if (s->replay) {
        replay_end(s);
    }
    if (s->latest) {
        latest_free(s);
    }
    if (s->long_record) {
        release(s->f, &s->long_record);
    }
    list_remove(&s->link);
    if (s->stream) {
        stream_leave(s);
    }
    s->has_gap = false;
}

static void unblock(struct session *s)
{
    if (s->is_blocked) {
        s->is_blocked = false;
        list_remove(&s->blocked);
        s->f->blocked_bytes -= s->charge;
        s->charge = 0;
    }
}

static void leave(struct session *s)
{
    drop_pending(s);
    unblock(s);
    buf_fini(&s->control);
    list_remove(&s->wheel);
    s->state = STATE_ENDED;
}

void session_destroy(struct session **s_p)
{
    struct session *s = *s_p;

    *s_p = NULL;
    if (!s) {
        return;
    }
    leave(s);
    roster_remove(&s->f->clients, s->number);
    s->f->session_count--;
    free(s);
}

void session_fail(struct session *s, enum session_end why)
{
    if (s->state != STATE_ENDED) {
        leave(s);
        s->sink->end(s->context, why);
    }
}

void session_close(struct session *s, enum session_end why)
{
    session_fail(s, why);
}

bool session_has_ended(const struct session *s)
{
    return s->state == STATE_ENDED;
}

void session_set_policy(struct session *s, int policy)
{
    s->policy = (uint8_t)policy;
    if (s->stream) {
        s->stream->stuck_limit = 0; /* it may have another limit now */
        s->stream->round_limit = 0;
    }
}

static void block(struct session *s)
{
    struct fanout *f = s->f;

    s->is_blocked = true;
    s->blocked_ms = f->now_ms;
    s->charge = s->sink->held(s->context);
    f->blocked_bytes += s->charge;
    list_append(&f->blocked, &s->blocked);
    if (s->state == STATE_READY) {
        s->state = STATE_LAGGING;
        s->at = s->stream->front;
    }
    if (s->state == STATE_LAGGING) {
        lag_stick(s);
    } else if (s->state == STATE_REPLAY) {
        list_remove(&s->link);
    }
}

bool session_write(struct session *s, const void *bytes, size_t len, uint64_t events)
{
    struct gateway_counters *counters = s->f->counters;
    enum sink_result result = s->sink->write(s->context, bytes, len);

    if (result == SINK_DEAD) {
        leave(s); /* the transport knows, and destroys it */
        return false;
    }
    s->last_write_ms = s->f->now_ms;
    counter_bump(&counters->writes_total, 1);
    counter_bump(&counters->delivered_total[s->door], events);
    s->delivered += events;
    counter_bump(&counters->delivered_bytes_total[s->door], len);
    if (result == SINK_BLOCKED) {
        block(s);
        return false;
    }
    return true;
}

/* The next slices of the long record; true when it is done and the session can write. */
static bool write_long(struct session *s)
{
    const struct blob *form = held_form(s->f, s->long_record, s->format);

    if (!form) {
        session_fail(s, SESSION_END_FAILED);
        return false;
    }
    while (s->long_offset < form->len) {
        const char *from = form->bytes + s->long_offset;
        const size_t left = form->len - s->long_offset;
        const size_t n = left < RENDER_SLICE ? left : RENDER_SLICE;

        s->long_offset += n;
        if (!session_write(s, from, n, n == left && !s->long_record->gap ? 1 : 0)) {
            if (s->state != STATE_ENDED && s->long_offset == form->len) {
                release(s->f, &s->long_record);
            }
            return false;
        }
    }
    release(s->f, &s->long_record);
    return true;
}

bool session_write_run(struct session *s, const struct run *run)
{
    if (run->gaps > 0) {
        counter_bump(&s->f->counters->gaps_total, run->gaps);
    }
    if (!run->long_record) {
        return session_write(s, run->bytes, run->len, run->events);
    }
    hold(s->f, run->long_record);
    s->long_record = run->long_record;
    s->long_offset = 0;
    return write_long(s);
}

static bool write_gap(struct session *s)
{
    struct buf text;
    bool free_to_go = false;

    buf_init(&text);
    notice_gap(&text, s->format, &s->gap, s->gap_dropped);
    s->has_gap = false;
    s->gap_dropped = 0;
    counter_bump(&s->f->counters->gaps_total, 1);
    if (text.failed) {
        session_fail(s, SESSION_END_FAILED); /* better ended than a gap untold */
    } else {
        free_to_go = session_write(s, text.data, text.len, 0);
    }
    buf_fini(&text);
    return free_to_go;
}

/* All messages that wait, in one write: the transport bounds them by reading no more. */
static bool write_control(struct session *s)
{
    struct buf out = s->control;
    bool free_to_go = true;

    if (out.len > 0) {
        buf_init(&s->control);
        free_to_go = session_write(s, out.data, out.len, 0);
        buf_fini(&out);
    }
    return free_to_go;
}

bool session_flush(struct session *s)
{
    if (s->state == STATE_ENDED || s->is_blocked) {
        return false;
    }
    if (s->long_record && !write_long(s)) {
        return false;
    }
    if (!write_control(s)) {
        return false;
    }
    return !s->has_gap || write_gap(s);
}

void session_note_gap(struct session *s, const struct gap *gap, uint64_t dropped)
{
    if (!s->has_gap) {
        s->gap = *gap;
        s->gap_dropped = dropped;
        s->has_gap = true;
        return;
    }
    /* What is dropped for slowness is always the oldest, so the gaps follow each other. */
    if (strcmp(s->gap.to.epoch, gap->to.epoch) != 0) {
        s->gap.reason = GAP_EPOCH_CHANGED;
    }
    s->gap.to = gap->to;
    s->gap_dropped += dropped;
}

void session_send(struct session *s, const void *bytes, size_t len)
{
    if (s->state == STATE_ENDED || len == 0) {
        return;
    }
    if (!s->is_blocked && s->control.len == 0 && !s->long_record) {
        (void)session_write(s, bytes, len, 0);
        return;
    }
    buf_add(&s->control, bytes, len);
    if (s->control.failed) {
        session_fail(s, SESSION_END_FAILED);
    }
}

size_t session_waiting_bytes(const struct session *s)
{
    return s->control.len;
}

void session_writable(struct session *s)
{
    if (s->state == STATE_ENDED || !s->is_blocked) {
        return;
    }
    unblock(s);
    switch ((enum session_state)s->state) {
    case STATE_LAGGING:
        lag_unstick(s);
        break;
    case STATE_REPLAY:
        if (session_flush(s)) {
            list_append(&s->f->replays, &s->link);
        }
        break;
    default:
        (void)session_flush(s);
        break;
    }
}

struct position session_position(const struct session *s)
{
    const struct stream *st = s->stream;
    const uint64_t at = s->state == STATE_READY && st ? st->front : s->at;

    if (s->state == STATE_REPLAY) {
        return replay_position(s);
    }
    if (!latest_is_empty(s)) {
        return latest_position(s);
    }
    if (!st || at >= st->end) {
        return known_head(s->f);
    }
    const struct feed_event *next = stream_at(st, at);
    struct position before = next->gap ? next->gap->from : next->position;

    if (!next->gap && before.seq > 0) {
        before.seq--;
    }
    return before;
}

void session_tell_start(struct session *s, uint32_t tag, struct session_start *start)
{
    if (start->result != RESUME_NONE) {
        counter_bump(&s->f->counters->resumes_total, 1);
    }
    s->sink->started(s->context, tag, start);
}

static const char *const result_names[] = {
    [RESUME_NONE] = "none", [RESUME_CAUGHT_UP] = "caught_up", [RESUME_REPLAYED] = "replayed",
    [RESUME_GAP] = "gap",   [RESUME_UNKNOWN] = "unknown",
};

const char *resume_result_name(enum resume_result result)
{
    return result_names[result];
}

enum resume_result resume_result_parse(const char *name)
{
    for (int i = RESUME_CAUGHT_UP; i <= RESUME_UNKNOWN; i++) {
        if (strcmp(name, result_names[i]) == 0) {
            return (enum resume_result)i;
        }
    }
    return RESUME_NONE;
}

void session_start_members(struct buf *out, const struct session_start *start)
{
    char from[POSITION_TEXT_MAX];
    char to[POSITION_TEXT_MAX];

    buf_printf(out, "\"result\":\"%s\"", resume_result_name(start->result));
    if (start->result == RESUME_REPLAYED || start->result == RESUME_GAP) {
        (void)position_format(&start->from, from);
        (void)position_format(&start->to, to);
        if (start->from.epoch[0] != '\0') {
            buf_printf(out, ",\"from\":\"%s\"", from);
        }
        buf_printf(out, ",\"to\":\"%s\"", to);
    }
    if (start->has_count) {
        buf_add_str(out, ",\"count\":");
        buf_add_u64(out, start->count);
    }
    if (start->result == RESUME_GAP) {
        buf_add_str(out, ",\"gap\":{");
        notice_gap_members(out, &start->gap);
        buf_add_char(out, '}');
    }
}

void session_resumed_members(struct buf *out, const struct session_resumed *resumed)
{
    buf_add_str(out, "\"count\":");
    buf_add_u64(out, resumed->count);
    buf_add_str(out, ",\"gaps\":");
    buf_add_u64(out, resumed->gaps);
}

void session_waiting_members(struct buf *out, const struct session_waiting *waiting)
{
    char position[POSITION_TEXT_MAX];

    if (waiting->position.epoch[0] == '\0') {
        buf_add_str(out, "\"position\":null");
    } else {
        (void)position_format(&waiting->position, position);
        buf_printf(out, "\"position\":\"%s\"", position);
    }
    buf_printf(out, ",\"reason\":\"%s\"", waiting->has_hub ? "replaying" : "hub_unavailable");
}
