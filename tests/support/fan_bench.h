/*
 * fan_bench: a fan-out with fake transports for unit tests. Each fake session keeps what it was
 * written; its socket takes `room` bytes and then blocks until it is given more.
 */
#ifndef TESTS_SUPPORT_FAN_BENCH_H
#define TESTS_SUPPORT_FAN_BENCH_H

#include "base/buf.h"
#include "gateway/fanout/fanout.h"
#include "gateway/fanout/render.h"
#include "ws_frame_parse.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPOCH_A "aaaaaaaa"
#define EPOCH_B "bbbbbbbb"

struct fake_session {
    struct session *session;
    struct buf wire; /* all bytes that were written */
    size_t read;     /* of wire, by next_message() */
    size_t room;     /* bytes until it blocks; SIZE_MAX = never */
    bool is_blocked, is_dead;
    int writes;
    int ends;
    enum session_end why;
    int starts;
    uint32_t tag;
    struct session_start start;
    int resumes;
    struct session_resumed resumed;
    int waits;
    struct session_waiting waiting;
};

struct fan_bench {
    struct fanout *f;
    struct gateway_counters counters;
    struct fetch *fetches[64];
    size_t fetch_count;
    int64_t now_ms;
};

static inline enum sink_result fake_write(void *context, const void *bytes, size_t len)
{
    struct fake_session *fake = context;

    assert_false(fake->is_blocked);
    if (fake->is_dead) {
        return SINK_DEAD;
    }
    buf_add(&fake->wire, bytes, len);
    fake->writes++;
    if (fake->room == SIZE_MAX) {
        return SINK_SENT;
    }
    fake->room = fake->room > len ? fake->room - len : 0;
    fake->is_blocked = fake->room == 0;
    return fake->is_blocked ? SINK_BLOCKED : SINK_SENT;
}

static inline size_t fake_held(const void *context)
{
    (void)context;
    return 1000;
}

static inline void fake_started(void *context, uint32_t tag, const struct session_start *start)
{
    struct fake_session *fake = context;

    fake->starts++;
    fake->tag = tag;
    fake->start = *start;
}

static inline void fake_resumed(void *context, uint32_t tag, const struct session_resumed *resumed)
{
    struct fake_session *fake = context;

    fake->resumes++;
    fake->tag = tag;
    fake->resumed = *resumed;
}

static inline void fake_waiting(void *context, uint32_t tag, const struct session_waiting *waiting)
{
    struct fake_session *fake = context;
    struct buf frame;

    buf_init(&frame);
    fake->waits++;
    fake->tag = tag;
    fake->waiting = *waiting;
    ws_message_add(&frame, "{\"op\":\"waiting\"}", 16);
    session_send(fake->session, frame.data, frame.len);
    buf_fini(&frame);
}

static inline void fake_end(void *context, enum session_end why)
{
    struct fake_session *fake = context;

    fake->ends++;
    fake->why = why;
}

static const struct sink_ops fake_sink = {fake_write,   fake_held, fake_started, fake_resumed,
                                          fake_waiting, fake_end,  NULL};

static inline void bench_fetch(void *context, struct fetch *fetch)
{
    struct fan_bench *b = context;

    assert_true(b->fetch_count < 64);
    b->fetches[b->fetch_count++] = fetch;
}

static inline struct fan_bench *bench_create_sized(size_t cache_events, size_t session_bytes,
                                                   size_t streams_bytes)
{
    struct fan_bench *b = calloc(1, sizeof *b);
    struct fanout_options options = {.cache_events = cache_events,
                                     .cache_bytes = 64 << 20,
                                     .session_max_bytes = session_bytes,
                                     .streams_max_bytes = streams_bytes,
                                     .send_buffer_bytes = 256 << 10,
                                     .stats_event = "StatsEvent",
                                     .counters = &b->counters,
                                     .fetch = bench_fetch,
                                     .context = b};

    assert_int_equal(fanout_create(&b->f, &options), NHUB_OK);
    b->now_ms = 1000000;
    fanout_set_now(b->f, b->now_ms);
    return b;
}

static inline struct fan_bench *bench_create(void)
{
    return bench_create_sized(1000, 100000, 64 << 20);
}

/* Answers the oldest fetch; takes the events of the result. */
static inline void bench_answer(struct fan_bench *b, struct fetch_result *result)
{
    struct fetch *fetch = b->fetches[0];

    assert_true(b->fetch_count > 0);
    memmove(b->fetches, b->fetches + 1, --b->fetch_count * sizeof fetch);
    fanout_fetched(b->f, &fetch, result);
}

static inline void bench_destroy(struct fan_bench *b)
{
    while (b->fetch_count > 0) {
        struct fetch_result none = {.err = NHUB_EUNAVAIL};

        bench_answer(b, &none);
    }
    assert_int_equal(fanout_session_count(b->f), 0);
    fanout_destroy(&b->f);
    free(b);
}

static inline void bench_turns(struct fan_bench *b)
{
    for (int i = 0; i < 10000; i++) {
        if (!fanout_turn(b->f)) {
            return;
        }
    }
    fail_msg("the fan-out never comes to rest");
}

static inline void bench_seconds(struct fan_bench *b, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        b->now_ms += 1000;
        fanout_set_now(b->f, b->now_ms);
        fanout_tick(b->f);
        bench_turns(b);
    }
}

static inline struct position at(const char *epoch, uint64_t seq)
{
    struct position p = {.seq = seq};

    memcpy(p.epoch, epoch, strlen(epoch) + 1);
    return p;
}

/* data is padded with `pad` bytes. */
static inline struct feed_event *make_event(const char *epoch, uint64_t seq, const char *type,
                                            size_t pad)
{
    const struct position p = at(epoch, seq);
    struct feed_event *e = NULL;
    struct buf line;

    buf_init(&line);
    buf_printf(&line, "{\"event_type\":\"%s\",\"source_service\":\"t\",\"data\":\"", type);
    for (size_t i = 0; i < pad; i++) {
        buf_add_char(&line, 'x');
    }
    buf_printf(&line,
               "\",\"timestamp\":1,\"correlation_id\":\"c\",\"seq\":%" PRIu64 ",\"epoch\":\"%s\"}",
               seq, epoch);
    assert_int_equal(feed_event_create(&e, &p, type, strlen(type), line.data, line.len), NHUB_OK);
    buf_fini(&line);
    return e;
}

static inline void feed_made(struct fan_bench *b, enum feed_kind kind, struct feed_event *event)
{
    struct feed_item *item = calloc(1, sizeof *item);

    item->kind = kind;
    item->event = event;
    fanout_feed(b->f, &item);
}

static inline void feed_event(struct fan_bench *b, uint64_t seq, const char *type)
{
    feed_made(b, FEED_EVENT, make_event(EPOCH_A, seq, type, 0));
}

static inline void feed_link_up(struct fan_bench *b, const char *epoch, uint64_t seq)
{
    struct feed_item *item = calloc(1, sizeof *item);

    item->kind = FEED_LINK;
    item->link_up = true;
    item->position = at(epoch, seq);
    fanout_feed(b->f, &item);
}

static inline void feed_link_down(struct fan_bench *b)
{
    struct feed_item *item = calloc(1, sizeof *item);

    item->kind = FEED_LINK;
    fanout_feed(b->f, &item);
}

static inline void feed_gap(struct fan_bench *b, struct position from, struct position to,
                            enum gap_reason reason)
{
    struct feed_item *item = calloc(1, sizeof *item);

    item->kind = FEED_GAP;
    item->gap = (struct gap){from, to, reason};
    fanout_feed(b->f, &item);
}

static inline struct fake_session *open_session(struct fan_bench *b, enum stream_format format,
                                                int policy)
{
    struct fake_session *fake = calloc(1, sizeof *fake);
    struct session_options options = {.door = GATEWAY_DOOR_WS,
                                      .format = format,
                                      .policy = policy,
                                      .sink = &fake_sink,
                                      .context = fake};

    fake->room = SIZE_MAX;
    assert_int_equal(session_create(&fake->session, b->f, &options), NHUB_OK);
    return fake;
}

static inline void close_session(struct fake_session *fake)
{
    session_destroy(&fake->session);
    buf_fini(&fake->wire);
    free(fake);
}

static inline void give_room(struct fake_session *fake, size_t room)
{
    fake->room = room;
    if (fake->is_blocked && room > 0) {
        fake->is_blocked = false;
        session_writable(fake->session);
    }
}

static inline nhub_err subscribe_to(struct fake_session *fake, const char *pattern)
{
    struct session_request request = {.patterns = &pattern, .count = pattern ? 1 : 0, .tag = 7};

    return session_subscribe(fake->session, &request);
}

static inline nhub_err resume_from(struct fake_session *fake, const char *pattern,
                                   const char *since)
{
    struct since parsed;
    struct session_request request = {
        .patterns = &pattern, .count = pattern ? 1 : 0, .since = &parsed, .tag = 9};

    assert_int_equal(since_parse(since, strlen(since), &parsed), NHUB_OK);
    return session_subscribe(fake->session, &request);
}

/* The next WebSocket message of a FORMAT_WS session, put together from its frames, NUL-terminated
 * in *out; false when there is none. */
static inline bool next_message(struct fake_session *fake, struct buf *out)
{
    struct ws_frame frame = {.final = false};
    const size_t start = fake->read;

    buf_reset(out);
    while (fake->read < fake->wire.len) {
        assert_int_equal(
            ws_frame_parse(fake->wire.data + fake->read, fake->wire.len - fake->read, &frame),
            NHUB_OK);
        assert_int_equal(frame.opcode, out->len == 0 ? WS_TEXT : WS_CONTINUATION);
        buf_add(out, fake->wire.data + fake->read + frame.head_len, frame.payload_len);
        fake->read += frame.head_len + frame.payload_len;
        if (frame.final) {
            (void)buf_cstr(out);
            return true;
        }
    }
    fake->read = start; /* a long message is under way */
    return false;
}

/* All that came since the last call as short words: "5 6 gap(7,9,slow,2) pos(9)". */
static inline const char *transcript(struct fake_session *fake)
{
    static char words[1 << 20];
    struct buf m;
    size_t n = 0;

    buf_init(&m);
    words[0] = '\0';
    while (next_message(fake, &m)) {
        const char *text = buf_cstr(&m);
        const char *seq = strstr(text, "\"seq\":");
        char from[64] = "", to[64] = "", reason[32] = "", dropped[32] = "";
        const char *d = strstr(text, "\"dropped\":");

        if (strncmp(text, "{\"op\":\"gap\"", 11) == 0) {
            assert_int_equal(sscanf(text,
                                    "{\"op\":\"gap\",\"from\":\"%63[^\"]\",\"to\":\"%63[^\"]\","
                                    "\"reason\":\"%31[^\"]\"",
                                    from, to, reason),
                             3);
            if (d) {
                (void)sscanf(d, "\"dropped\":%31[0-9]", dropped);
            }
            n += (size_t)snprintf(words + n, sizeof words - n, "%sgap(%s,%s,%s%s%s)", n ? " " : "",
                                  from, to, reason, d ? "," : "", dropped);
        } else if (strncmp(text, "{\"op\":\"position\"", 16) == 0) {
            (void)sscanf(text, "{\"op\":\"position\",\"position\":\"%63[^\"]\"", to);
            n += (size_t)snprintf(words + n, sizeof words - n, "%spos(%s)", n ? " " : "", to);
        } else if (strncmp(text, "{\"op\":\"waiting\"", 15) == 0) {
            n += (size_t)snprintf(words + n, sizeof words - n, "%swaiting", n ? " " : "");
        } else if (seq) {
            n += (size_t)snprintf(words + n, sizeof words - n, "%s%d", n ? " " : "", atoi(seq + 6));
        } else {
            n += (size_t)snprintf(words + n, sizeof words - n, "%s%s", n ? " " : "", text);
        }
    }
    buf_fini(&m);
    return words;
}

#endif
