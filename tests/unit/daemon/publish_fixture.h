/*
 * publish_fixture: publish and intake with a journal that can refuse, and a peer whose answers are
 * gathered. The texts of a request are gone when it was run, as the message that they lie in.
 * Subscribers are left to the integration tests: nobody ever subscribes here.
 */
#ifndef NHUB_TESTS_PUBLISH_FIXTURE_H
#define NHUB_TESTS_PUBLISH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/publish.h"
#include "daemon/ring.h"

#define PEER      7
#define TEXTS_MAX (PUBLISH_MAX_EVENTS + 1)

struct text {
    char *bytes;
    size_t len;
};

/* A ring that refuses to number when it is told to. */
struct gate {
    struct journal base;
    struct journal *ring;
    bool is_shut;        /* reserve fails */
    bool slots_are_shut; /* open fails, as it must never after a reservation */
    uint64_t lost;       /* this number was not stored and will not be */
    uint64_t synced;     /* the others up to this one are */
};

static struct gate gate;
static struct publisher *publisher;
static struct intake *intake;
static struct publish *publish;
static struct acks *acks;
static struct replies *replies;
static struct stats stats;
static struct settings settings;
static struct buf sent;
static bool is_packing;              /* or a frame for each event: all tests run both ways */
static struct buf packed;            /* the events of the next request, while is_packing */
static struct text texts[TEXTS_MAX]; /* of the request that is being received */
static size_t text_count;
static char stats_event[] = "StatsEvent";
static char source[] = "nh_cs";

static nhub_err gate_reserve(struct journal *j, uint64_t count)
{
    (void)j;
    return gate.is_shut ? NHUB_EUNAVAIL : journal_reserve(gate.ring, count);
}

static nhub_err gate_open(struct journal *j, const char *type, size_t type_len, size_t line_max,
                          struct journal_slot *out)
{
    (void)j;
    return gate.slots_are_shut ? NHUB_EUNAVAIL
                               : journal_open_slot(gate.ring, type, type_len, line_max, out);
}

static void gate_close(struct journal *j, size_t line_len, int64_t arrival_us)
{
    (void)j;
    journal_close_slot(gate.ring, line_len, arrival_us);
}

static void gate_state(const struct journal *j, struct journal_state *out)
{
    (void)j;
    journal_state(gate.ring, out);
    out->synced = out->journaled = gate.synced;
}

static bool gate_is_lost(const struct journal *j, uint64_t seq)
{
    (void)j;
    return seq == gate.lost;
}

static const struct journal_ops gate_ops = {
    .reserve = gate_reserve,
    .open_slot = gate_open,
    .close_slot = gate_close,
    .state = gate_state,
    .is_lost = gate_is_lost,
};

static nhub_err take_answer(void *context, uint64_t peer, const char *json, size_t len,
                            struct block *frames)
{
    (void)context;
    assert_true(peer == PEER);
    assert_null(frames);
    buf_add(&sent, json, len);
    return NHUB_OK;
}

static void note_text(char *text, size_t len)
{
    assert_true(text_count < TEXTS_MAX);
    texts[text_count++] = (struct text){.bytes = text, .len = len};
}

/* Memory of the message that is received, without a byte behind it. */
static char *receive(const char *bytes, size_t len)
{
    char *text = malloc(len > 0 ? len : 1);

    assert_non_null(text);
    memcpy(text, bytes, len);
    note_text(text, len);
    return text;
}

/* The message was read; whoever looks at it now sees no JSON any more. */
static void forget_message(void)
{
    for (size_t i = 0; i < text_count; i++) {
        explicit_bzero(texts[i].bytes, texts[i].len);
        free(texts[i].bytes);
    }
    text_count = 0;
}

static int set_up(void **state)
{
    const struct ring_limits limits = {
        .max_events = 100, .max_bytes = 100000, .max_record_bytes = 10000};
    const struct replies_limits reply_limits = REPLIES_LIMITS;
    const struct reply_sink sink = {.send = take_answer};
    struct intake_parts parts;
    struct publish_parts publish_parts;
    uint16_t port;

    (void)state;
    settings = (struct settings){.hub = {.max_event_bytes = 5000,
                                         .dedup_window_s = 60,
                                         .dedup_ids = 100,
                                         .stats_event = stats_event,
                                         .source_service = source}};
    stats_init(&stats, 0, 0);
    buf_init(&sent);
    gate = (struct gate){.base = {.ops = &gate_ops,
                                  .durability = DURABILITY_MEMORY,
                                  .durability_max = DURABILITY_MEMORY,
                                  .durability_now = DURABILITY_MEMORY,
                                  .batch = 1}};
    assert_int_equal(ring_create(&gate.ring, &limits), NHUB_OK);
    memcpy(gate.base.epoch, gate.ring->epoch, sizeof gate.base.epoch);
    assert_int_equal(publisher_create(&publisher, "127.0.0.1", 0, &stats, &port), NHUB_OK);
    parts = (struct intake_parts){
        .settings = &settings, .stats = &stats, .journal = &gate.base, .publisher = publisher};
    assert_int_equal(intake_create(&intake, &parts), NHUB_OK);
    assert_int_equal(acks_create(&acks, &gate.base), NHUB_OK);
    publish_parts = (struct publish_parts){
        .intake = intake, .journal = &gate.base, .acks = acks, .settings = &settings};
    assert_int_equal(publish_create(&publish, &publish_parts), NHUB_OK);
    assert_int_equal(replies_create(&replies, &sink, &reply_limits, &stats), NHUB_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    publish_destroy(&publish);
    acks_destroy(&acks);
    intake_destroy(&intake);
    replies_destroy(&replies);
    publisher_destroy(&publisher);
    journal_destroy(&gate.ring);
    buf_fini(&sent);
    buf_fini(&packed);
    forget_message();
    return 0;
}

static void add_event(const char *text)
{
    const size_t len = strlen(text);

    if (!is_packing) {
        publish_add(publish, receive(text, len), len);
        return;
    }
    if (packed.len == 0) {
        packed_begin(&packed);
    }
    packed_add(&packed, text, len);
}

static void add_packed(void)
{
    struct packed_reader reader;

    if (packed.len > 0) {
        assert_true(packed_open(&reader, receive(packed.data, packed.len), packed.len));
        publish_add_packed(publish, &reader);
        buf_reset(&packed);
    }
}

/* What is there when the last frame of a request was read. */
static inline struct call read_request(const char *request)
{
    struct call call = {.replies = replies, .stats = &stats, .peer = PEER, .wants_answer = true};
    struct buf error;

    add_packed();
    buf_init(&error);
    buf_reset(&sent);
    assert_int_equal(request_parse(request, strlen(request), &call.request, &error), NHUB_OK);
    buf_fini(&error);
    return call;
}

static inline void end_request(struct call *call)
{
    call_fini(call);
    forget_message();
}

/* Runs the request over what was added; the answer is in `sent`. */
static inline void run(const char *request, bool is_stopping)
{
    struct call call = read_request(request);

    publish_run(publish, &call, is_stopping);
    end_request(&call);
}

static inline bool answer_has(const char *part)
{
    return strstr(buf_cstr(&sent), part) != NULL;
}

static inline uint64_t last_seq(void)
{
    struct journal_state now;

    journal_state(gate.ring, &now);
    return now.last;
}

#define EVENT(more) "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":1" more "}"
#define ATOMIC      "{\"action\":\"publish\"}"
#define EACH        "{\"action\":\"publish\",\"atomic\":false}"

static inline void give_disk(void)
{
    gate.base.durability = DURABILITY_SYNCED;
    gate.base.durability_max = DURABILITY_SYNCED;
    gate.base.durability_now = DURABILITY_SYNCED;
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
