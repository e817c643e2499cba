/* clients: objects written member by member. */
#include "gateway/fanout/clients.h"

#include "gateway/client_id.h"
#include "gateway/fanout/internal.h"
#include "gateway/fanout/render.h"

#include <inttypes.h>
#include <string.h>

void json_add_seconds(struct buf *json, int64_t us)
{
    buf_printf(json, "%" PRId64 ".%03d", us / 1000000, (int)(us % 1000000 / 1000));
}

struct session *fanout_client_next(const struct fanout *f, uint64_t after, uint64_t *out_number)
{
    return roster_next(&f->clients, after, out_number);
}

struct session *fanout_client_find(const struct fanout *f, uint64_t number)
{
    return roster_find(&f->clients, number);
}

enum gateway_door session_door(const struct session *s)
{
    return (enum gateway_door)s->door;
}

static void add_number(struct buf *json, const char *name, uint64_t value)
{
    buf_printf(json, ",\"%s\":%" PRIu64, name, value);
}

static void add_position(struct buf *json, const struct position *p)
{
    char text[POSITION_TEXT_MAX];

    if (p->epoch[0] == '\0') {
        buf_add_str(json, ",\"position\":null");
    } else {
        (void)position_format(p, text);
        buf_printf(json, ",\"position\":\"%s\"", text);
    }
}

static void add_patterns(const struct session *s, struct buf *json)
{
    const struct pattern_set *set = s->stream ? s->stream->set : NULL;

    if (!set) {
        return;
    }
    buf_add_str(json, ",\"event_type\":[");
    for (size_t i = 0; i < set->count; i++) {
        if (i > 0) {
            buf_add_char(json, ',');
        }
        buf_add_json_string(json, set->patterns[i], set->lens[i]);
    }
    buf_add_char(json, ']');
}

/* What it has still to be sent: in a stream its records; on the way there no more is known than how
 * many numbers lie between. */
static uint64_t lag_of(const struct session *s, const struct position *position)
{
    const struct position head = known_head(s->f);

    switch ((enum session_state)s->state) {
    case STATE_READY:
        return s->stream->end - s->stream->front;
    case STATE_LAGGING:
        return s->stream->end - s->at;
    case STATE_REPLAY:
        return strcmp(head.epoch, position->epoch) == 0 && head.seq > position->seq
                   ? head.seq - position->seq
                   : 0;
    default:
        return 0;
    }
}

void session_write_client(const struct session *s, int64_t now_us, struct buf *json)
{
    static const char *const states[] = {[STATE_IDLE] = "idle",
                                         [STATE_REPLAY] = "replaying",
                                         [STATE_READY] = "live",
                                         [STATE_LAGGING] = "lagging",
                                         [STATE_ENDED] = "closing"};
    static const char *const policies[] = {[POLICY_DISCONNECT] = "disconnect",
                                           [POLICY_DROP_OLDEST] = "drop_oldest",
                                           [POLICY_LATEST] = "latest"};
    const struct position position =
        s->state == STATE_ENDED ? (struct position){0} : session_position(s);
    char id[CLIENT_ID_MAX];

    client_id_format(s->number, id);
    buf_printf(json, "{\"id\":\"%s\",\"door\":\"%s\",\"connected_at\":", id,
               gateway_door_name((enum gateway_door)s->door));
    json_add_seconds(json, now_us - (s->f->now_ms - s->created_ms) * 1000);
    buf_printf(json, ",\"state\":\"%s\"", states[s->state]);
    add_patterns(s, json);
    buf_printf(json, ",\"format\":\"%s\",\"policy\":\"%s\"",
               format_is_cloudevents((enum stream_format)s->format) ? "cloudevents" : "json",
               policies[s->policy]);
    add_position(json, &position);
    add_number(json, "lag", lag_of(s, &position));
    add_number(json, "delivered", s->delivered);
    add_number(json, "dropped", s->dropped);
    add_number(json, "waiting_bytes", s->charge + s->control.len);
    if (s->sink->describe) {
        s->sink->describe(s->context, json);
    }
    buf_add_char(json, '}');
}

static void add_sources(const struct type_figures *t, struct buf *json)
{
    buf_add_str(json, ",\"sources\":[");
    for (int i = 0; i < TYPE_SOURCES && t->sources[i]; i++) {
        buf_add_str(json, i > 0 ? ",{\"source_service\":" : "{\"source_service\":");
        buf_add(json, t->sources[i]->text, t->sources[i]->len);
        add_number(json, "count", t->sources[i]->count);
        buf_add_char(json, '}');
    }
    buf_add_char(json, ']');
}

bool fanout_type_next(const struct fanout *f, uint64_t after, bool with_event, int64_t now_us,
                      uint64_t *out_number, struct buf *json)
{
    struct feed_event *event = NULL;
    const struct type_figures *t = last_values_figures(f->last, after, &event);

    if (!t) {
        return false;
    }
    *out_number = t->number;
    buf_printf(json, "{\"n\":%" PRIu64 ",\"event_type\":", t->number);
    buf_add_json_string(json, event->type, event->type_len);
    add_number(json, "count", t->count);
    buf_printf(json, ",\"rate_per_s\":%.1f,\"last_seen\":", type_figures_rate(t, f->now_ms));
    if (t->count > 0) {
        json_add_seconds(json, now_us - (f->now_ms - t->seen_ms) * 1000);
    } else {
        buf_add_str(json, "null");
    }
    add_position(json, &event->position);
    add_sources(t, json);
    if (with_event) {
        buf_add_str(json, ",\"event\":");
        NHUB_IGNORE(render_json(event, false, json) != NHUB_OK); /* json->failed tells, too */
    }
    buf_add_char(json, '}');
    return true;
}

size_t fanout_type_count(const struct fanout *f)
{
    return last_values_count(f->last);
}

uint64_t fanout_types_forgotten(const struct fanout *f)
{
    return last_values_evicted(f->last);
}
