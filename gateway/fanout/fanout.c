/* fanout: feed in, turns, ticks. */
#include "gateway/fanout/fanout.h"

#include "gateway/fanout/internal.h"
#include "gateway/fanout/notice.h"
#include "gateway/fanout/page.h"
#include "gateway/fanout/replay.h"
#include "gateway/memory_ceiling.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_VALUES_TYPES 65536
#define ROUTER_TYPES      16384
#define ROUTER_ENTRIES    ((size_t)4 * 1024 * 1024)
#define REPLAY_BUDGET     ((size_t)1024 * 1024) /* bytes over all replays of a turn */
#define PAGE_EVENTS       1000
#define EVICT_PER_TURN    256
#define BUFFERS_LEFT      64 /* so many more could have what the next one gets */

static void init_lists(struct fanout *f)
{
    list_init(&f->streams);
    list_init(&f->dirty);
    list_init(&f->idle);
    list_init(&f->replays);
    list_init(&f->waiting);
    list_init(&f->blocked);
    list_init(&f->fetches);
    list_init(&f->recent_pages);
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&f->wheel[i]);
    }
    buf_init(&f->text);
}

static nhub_err create_parts(struct fanout *f)
{
    const struct router_options router = {.stats_event = f->options.stats_event,
                                          .max_types = ROUTER_TYPES,
                                          .max_entries = ROUTER_ENTRIES};
    nhub_err err = cache_create(&f->cache, f->options.cache_events, f->options.cache_bytes);

    if (err == NHUB_OK) {
        err = last_values_create(&f->last, LAST_VALUES_TYPES, f->options.cache_bytes / 4 + 1);
    }
    if (err == NHUB_OK) {
        err = pattern_sets_create(&f->sets);
    }
    if (err == NHUB_OK) {
        err = router_create(&f->router, &router);
    }
    if (err == NHUB_OK) {
        f->scratch = calloc(1, sizeof *f->scratch);
        err = f->scratch ? NHUB_OK : NHUB_ENOMEM;
    }
    return err;
}

nhub_err fanout_create(struct fanout **out, const struct fanout_options *options)
{
    struct fanout *f = calloc(1, sizeof *f);
    nhub_err err = NHUB_OK;

    if (!f) {
        return NHUB_ENOMEM;
    }
    f->options = *options;
    f->counters = options->counters;
    f->page_limit = PAGE_EVENTS;
    init_lists(f);
    err = create_parts(f);
    if (err != NHUB_OK) {
        fanout_destroy(&f);
        return err;
    }
    *out = f;
    return NHUB_OK;
}

static void reap_idle_streams(struct fanout *f)
{
    while (!list_empty(&f->idle)) {
        stream_free(list_entry(f->idle.next, struct stream, idle));
    }
}

void fanout_destroy(struct fanout **f_p)
{
    struct fanout *f = *f_p;

    *f_p = NULL;
    if (!f) {
        return;
    }
    latest_forget_digest(f);
    if (f->cache) {
        pages_forget(f, true);
    }
    reap_idle_streams(f);
    pattern_set_unref(&f->memo_set);
    router_destroy(&f->router);
    pattern_sets_destroy(&f->sets);
    last_values_destroy(&f->last);
    roster_fini(&f->clients);
    cache_destroy(&f->cache);
    free(f->memo);
    free(f->scratch);
    buf_fini(&f->text);
    free(f);
}

void fanout_set_now(struct fanout *f, int64_t now_ms)
{
    f->now_ms = now_ms;
}

/* Out of memory for a record: live sessions would miss it silently, so they end and resume. */
static void fail_live(struct fanout *f)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &f->streams) {
        stream_fail(list_entry(pos, struct stream, all));
    }
}

static void route(struct fanout *f, struct feed_event *e)
{
    struct pattern_set *const *sets = NULL;
    size_t count = 0;

    if (router_route(f->router, e->type, e->type_len, &sets, &count) != NHUB_OK) {
        fail_live(f);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (int format = 0; format < FORMATS; format++) {
            struct stream *st = sets[i]->streams[format];

            if (st) {
                stream_append(st, e);
            }
        }
    }
}

static void keep(struct fanout *f, struct feed_event *e, bool is_live)
{
    /* Without memory the cache gives up its past and the last values one type; both know it. */
    NHUB_IGNORE(cache_add(f->cache, e));
    if (!e->gap) {
        NHUB_IGNORE(is_live ? last_values_put_live(f->last, e, f->now_ms)
                            : last_values_put(f->last, e));
    }
}

static void feed_gap(struct fanout *f, const struct gap *gap)
{
    struct feed_event *record = NULL;
    struct list *pos = NULL;
    struct list *tmp = NULL;

    if (feed_gap_create(&record, gap) != NHUB_OK) {
        fail_live(f);
        cache_advance(f->cache, &gap->to);
        return;
    }
    keep(f, record, false);
    list_foreach (pos, tmp, &f->streams) {
        stream_append(list_entry(pos, struct stream, all), record);
    }
    feed_event_unref(&record);
}

/* The live sessions of a stream that began before anything was known learn where they are. */
static void tell_list(struct list *sessions, const struct buf *text)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, sessions) {
        session_send(list_entry(pos, struct session, link), text->data, text->len);
    }
}

static void tell_positions(struct fanout *f)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &f->streams) {
        struct stream *st = list_entry(pos, struct stream, all);

        buf_reset(&f->text);
        notice_position(&f->text, st->format, cache_head(f->cache));
        tell_list(&st->stuck, &f->text);
        tell_list(&st->lagging, &f->text);
        tell_list(&st->ready, &f->text); /* last: who cannot take it gets stuck, and is told once */
    }
}

static void feed_link(struct fanout *f, const struct feed_item *item)
{
    f->link_up = item->link_up;
    if (item->link_up) {
        cache_advance(f->cache, &item->position);
        if (!f->is_live) {
            f->is_live = true;
            tell_positions(f);
        }
    }
}

void fanout_feed(struct fanout *f, struct feed_item **item_p)
{
    const struct feed_item *item = *item_p;

    f->feed_moved = true;
    switch (item->kind) {
    case FEED_EVENT:
        keep(f, item->event, true);
        route(f, item->event);
        break;
    case FEED_BACKFILL:
        keep(f, item->event, false);
        break;
    case FEED_GAP:
        feed_gap(f, &item->gap);
        break;
    case FEED_LINK:
        feed_link(f, item);
        break;
    }
    counter_set(&f->counters->received_seq, cache_head(f->cache)->seq);
    feed_item_free(item_p);
}

static void flush_streams(struct fanout *f)
{
    struct list dirty;

    list_init(&dirty);
    list_splice(&dirty, &f->dirty);
    while (!list_empty(&dirty)) {
        stream_flush(list_entry(dirty.next, struct stream, dirty));
    }
}

static void step_replays(struct fanout *f)
{
    struct list turn;
    size_t budget = REPLAY_BUDGET;

    list_init(&turn);
    list_splice(&turn, &f->replays);
    while (!list_empty(&turn) && budget > 0) {
        struct session *s = list_entry(turn.next, struct session, link);

        list_move(&f->replays, &s->link); /* until the step puts it elsewhere */
        replay_step(s, &budget);
    }
    list_splice(&turn, &f->replays); /* those that had no turn come first the next time */
    list_splice(&f->replays, &turn);
}

static size_t cost_of(const struct session *s)
{
    return s->charge + (s->stream && s->state == STATE_LAGGING ? stream_lag_bytes(s) : 0);
}

static uint64_t memory_of(const struct fanout *f)
{
    return f->held_bytes + f->blocked_bytes + f->page_bytes;
}

static void give_up_spare(struct fanout *f)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    pages_give_up(f);
    list_foreach (pos, tmp, &f->streams) {
        stream_trim(list_entry(pos, struct stream, all));
    }
}

/* Events of its stream that a session still has before it. */
static uint64_t waiting_events(const struct session *s)
{
    return s->state == STATE_LAGGING ? s->stream->end - s->at : 0;
}

/* All together hold too much: what nobody needs now goes first, then who costs most. */
static void keep_within_memory(struct fanout *f)
{
    if (memory_of(f) > f->options.streams_max_bytes) {
        give_up_spare(f);
    }
    for (int i = 0; i < EVICT_PER_TURN; i++) {
        struct session *most = NULL;
        struct stream *st = NULL;
        struct list *pos = NULL;
        struct list *tmp = NULL;

        if (memory_of(f) <= f->options.streams_max_bytes) {
            return;
        }
        list_foreach (pos, tmp, &f->blocked) {
            struct session *s = list_entry(pos, struct session, blocked);

            if (!most || cost_of(s) > cost_of(most)) {
                most = s;
            }
        }
        if (!most) {
            return;
        }
        st = most->stream;
        if (!lag_set_aside(most)) {
            counter_bump(&f->counters->dropped[DROP_MEMORY], waiting_events(most));
            session_fail(most, SESSION_END_MEMORY);
        }
        if (st) {
            stream_trim(st); /* what it alone held is free before the next one is looked for */
        }
    }
}

bool fanout_turn(struct fanout *f)
{
    f->scratch->stream = NULL;
    if (f->feed_moved) {
        f->feed_moved = false;
        list_splice(&f->replays, &f->waiting);
    }
    flush_streams(f);
    latest_forget_digest(f);
    step_replays(f);
    keep_within_memory(f);
    reap_idle_streams(f);
    return !list_empty(&f->dirty) || !list_empty(&f->replays) ||
           (f->feed_moved && !list_empty(&f->waiting));
}

/* True when nothing is on its way to the session and nothing went there for a while. */
static bool is_idle(const struct session *s)
{
    return s->state == STATE_READY && s->stream->front == s->stream->end &&
           s->f->now_ms - s->last_write_ms >= POSITION_IDLE_MS;
}

/* The same of one whose resume has nothing to send, mostly because it waits for the hub. */
static bool is_waiting(const struct session *s)
{
    return s->state == STATE_REPLAY && !s->is_blocked &&
           s->f->now_ms - s->last_write_ms >= POSITION_IDLE_MS;
}

static void tell_waiting(struct session *s)
{
    const struct session_waiting waiting = {replay_position(s), s->f->link_up};

    s->sink->waiting(s->context, s->replay->tag, &waiting);
}

static void tell_idle(struct fanout *f)
{
    struct list *slot = &f->wheel[f->wheel_now++ % WHEEL_SLOTS];
    struct list *pos = NULL;
    struct list *tmp = NULL;
    const bool has_head = cache_head(f->cache)->epoch[0] != '\0';

    list_foreach (pos, tmp, slot) {
        struct session *s = list_entry(pos, struct session, wheel);

        if (is_waiting(s)) {
            tell_waiting(s);
        } else if (has_head && is_idle(s)) {
            buf_reset(&f->text);
            notice_position(&f->text, s->format, cache_head(f->cache));
            session_send(s, f->text.data, f->text.len);
        }
    }
}

static void end_stalled(struct fanout *f)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &f->blocked) {
        struct session *s = list_entry(pos, struct session, blocked);

        if (f->now_ms - s->blocked_ms >= STALL_MS) {
            counter_bump(&f->counters->dropped[DROP_STALLED], waiting_events(s));
            session_fail(s, SESSION_END_STALLED);
        }
    }
}

static uint64_t largest_lag(struct fanout *f)
{
    uint64_t most = 0;
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &f->blocked) {
        const struct session *s = list_entry(pos, struct session, blocked);

        most = waiting_events(s) > most ? waiting_events(s) : most;
    }
    return most;
}

void fanout_tick(struct fanout *f)
{
    struct gateway_counters *c = f->counters;

    tell_idle(f);
    end_stalled(f);
    pages_forget(f, false);
    f->feed_moved = true; /* those that wait may ask again */
    counter_set(&c->streams, f->stream_count);
    counter_set(&c->pattern_sets, pattern_sets_count(f->sets));
    counter_set(&c->cache_events, cache_end(f->cache) - cache_first(f->cache));
    counter_set(&c->cache_bytes, cache_bytes(f->cache));
    counter_set(&c->stream_bytes, memory_of(f));
    counter_set(&c->session_lag_max, largest_lag(f));
}

/* A page that is too long for the time, on a network that is slow or full of others' pages, would
 * be so again, whoever asks for it: the next ones are shorter. */
static void fit_page(struct fanout *f, nhub_err err)
{
    if (err == NHUB_ETIMEOUT && f->page_limit > 1) {
        f->page_limit /= 2;
    } else if (err == NHUB_OK && f->page_limit < PAGE_EVENTS) {
        f->page_limit += f->page_limit / 8 + 1;
    }
}

void fanout_fetched(struct fanout *f, struct fetch **fetch_p, struct fetch_result *result)
{
    struct fetch *fetch = *fetch_p;
    struct page *page = NULL;

    *fetch_p = NULL;
    list_remove(&fetch->link);
    f->feed_moved = true; /* others may wait for the same page */
    fit_page(f, result->err);
    if (result->err == NHUB_OK && result->result != RESUME_UNKNOWN &&
        page_create(&page, f, fetch, result) != NHUB_OK) {
        result->err = NHUB_ENOMEM;
    }
    if (fetch->session) {
        replay_fetched(fetch->session, result, page);
    }
    if (page) {
        pages_keep(page);
        page_unref(&page);
    }
    for (size_t i = 0; i < result->event_count; i++) {
        feed_event_unref(&result->events[i]);
    }
    free(result->events);
    result->events = NULL;
    result->event_count = 0;
    pattern_set_unref(&fetch->set);
    free(fetch);
}

size_t fanout_take_send_buffer(struct fanout *f)
{
    const size_t room = f->options.streams_max_bytes / MEMORY_BUFFERS_SHARE;
    size_t size = 0;

    /* The first ones get all they want; when room runs short the shares shrink gently. */
    if (f->send_buffers < room) {
        size = (room - f->send_buffers) / FANOUT_KERNEL_BYTES(BUFFERS_LEFT);
    }
    if (size > f->options.send_buffer_bytes) {
        size = f->options.send_buffer_bytes;
    }
    if (size < MEMORY_SEND_BUFFER_MIN) {
        size = MEMORY_SEND_BUFFER_MIN;
    }
    f->send_buffers += FANOUT_KERNEL_BYTES(size);
    counter_set(&f->counters->send_buffer_bytes, f->send_buffers);
    return size;
}

void fanout_return_send_buffer(struct fanout *f, size_t bytes)
{
    f->send_buffers -= FANOUT_KERNEL_BYTES(bytes);
    counter_set(&f->counters->send_buffer_bytes, f->send_buffers);
}

/* While the cache is still being filled with what came before the gateway, its end is no place to
 * begin: what follows would not come live. */
struct position known_head(const struct fanout *f)
{
    return f->is_live ? *cache_head(f->cache) : (struct position){0};
}

struct position fanout_head(const struct fanout *f)
{
    return known_head(f);
}

size_t fanout_session_count(const struct fanout *f)
{
    return f->session_count;
}

void since_text(const struct since *since, char out[64])
{
    char time[28];

    switch (since->kind) {
    case SINCE_POSITION:
        (void)position_format(&since->position, out);
        break;
    case SINCE_SEQ:
        (void)snprintf(out, 64, "%" PRIu64, since->position.seq);
        break;
    case SINCE_TIME:
        time_format_rfc3339(since->time_us, time);
        (void)snprintf(out, 64, "%s", time);
        break;
    case SINCE_LATEST:
        (void)snprintf(out, 64, "latest");
        break;
    default:
        (void)snprintf(out, 64, "earliest");
        break;
    }
}
