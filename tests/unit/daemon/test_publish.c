/*
 * publish and intake: batches against a journal that can refuse, answers read from a sink that
 * plays ROUTER. All of it twice: with a frame for each event, and with packed ones. Subscribers are
 * left to the integration tests: nobody ever subscribes here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/publish.h"
#include "daemon/ring.h"

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
static struct zctx *ctx;
static struct publisher *publisher;
static struct intake *intake;
static struct publish *publish;
static struct acks *acks;
static struct replies *replies;
static struct stats stats;
static struct settings settings;
static struct buf sent;
static bool is_packing;
static struct buf packed; /* the events of the next request, while is_packing */
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

static nhub_err send_bytes(void *context, const void *bytes, size_t len, bool more)
{
    (void)context;
    if (!more) {
        buf_add(&sent, bytes, len);
    }
    return NHUB_OK;
}

static nhub_err send_frame(void *context, struct zframe *frame, bool more)
{
    return send_bytes(context, zframe_data(frame), zframe_size(frame), more);
}

static int set_up(void **state)
{
    const struct ring_limits limits = {
        .max_events = 100, .max_bytes = 100000, .max_record_bytes = 10000};
    const struct replies_limits reply_limits = REPLIES_LIMITS;
    const struct reply_sink sink = {.send_bytes = send_bytes, .send_frame = send_frame};
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
    assert_int_equal(zctx_create(&ctx), NHUB_OK);
    assert_int_equal(publisher_create(&publisher, ctx, "127.0.0.1", 0, &stats, &port), NHUB_OK);
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
    zctx_destroy(&ctx);
    journal_destroy(&gate.ring);
    buf_fini(&sent);
    buf_fini(&packed);
    return 0;
}

static void add_event(const char *text)
{
    struct zframe frame;

    if (is_packing) {
        if (packed.len == 0) {
            packed_begin(&packed);
        }
        packed_add(&packed, text, strlen(text));
        return;
    }
    assert_int_equal(zframe_init_copy(&frame, text, strlen(text)), NHUB_OK);
    publish_add_frame(publish, &frame);
    zframe_close(&frame);
}

static void add_packed(void)
{
    struct packed_reader reader;
    struct zframe frame;

    if (packed.len > 0) {
        assert_int_equal(zframe_init_copy(&frame, packed.data, packed.len), NHUB_OK);
        assert_true(packed_open(&reader, zframe_data(&frame), zframe_size(&frame)));
        publish_add_packed(publish, &frame, &reader);
        zframe_close(&frame);
        buf_reset(&packed);
    }
}

/* Runs the request over what was added; the answer is in `sent`. */
static void run(const char *request, bool is_stopping)
{
    struct call call = {.replies = replies, .stats = &stats, .wants_answer = true};
    struct buf error;

    add_packed();
    buf_init(&error);
    buf_reset(&sent);
    assert_int_equal(zframe_init_copy(&call.identity, "peer", 4), NHUB_OK);
    assert_int_equal(request_parse(request, strlen(request), &call.request, &error), NHUB_OK);
    publish_run(publish, &call, is_stopping);
    call_fini(&call);
    buf_fini(&error);
}

static bool answer_has(const char *part)
{
    return strstr(buf_cstr(&sent), part) != NULL;
}

static uint64_t last_seq(void)
{
    struct journal_state now;

    journal_state(gate.ring, &now);
    return now.last;
}

#define EVENT(more) "{\"event_type\":\"t\",\"source_service\":\"s\",\"data\":1" more "}"
#define ATOMIC      "{\"action\":\"publish\"}"
#define EACH        "{\"action\":\"publish\",\"atomic\":false}"

static void a_batch_is_numbered_in_a_row(void **state)
{
    (void)state;
    add_event(EVENT(""));
    add_event(EVENT(""));
    run(ATOMIC, false);
    assert_true(answer_has("{\"success\":true,\"first_seq\":1,\"last_seq\":2,\"count\":2,"));
    assert_int_equal(stats.events_published, 2);
}

static void a_refused_batch_leaves_no_ids_behind(void **state)
{
    (void)state;
    add_event(EVENT(",\"id\":\"a\""));
    add_event("bad");
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"bad_json\",\"index\":1,\"offset\":0"));
    assert_int_equal(last_seq(), 0);
    assert_int_equal(intake_dedup_ids(intake), 0);
    add_event(EVENT(",\"id\":\"a\""));
    run(ATOMIC, false);
    assert_true(answer_has("\"first_seq\":1,"));
}

static void a_refused_batch_costs_nobody_elses_ids(void **state)
{
    char text[120];

    (void)state;
    for (int i = 0; i < 100; i++) { /* as many as are remembered */
        snprintf(text, sizeof text, EVENT(",\"id\":\"old %d\""), i);
        add_event(text);
    }
    run(ATOMIC, false);
    for (int i = 0; i < 150; i++) {
        snprintf(text, sizeof text, EVENT(",\"id\":\"new %d\""), i);
        add_event(text);
    }
    add_event("bad");
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"bad_json\",\"index\":150"));
    assert_int_equal(intake_dedup_ids(intake), 100);
    add_event(EVENT(",\"id\":\"old 0\""));
    run(ATOMIC, false);
    assert_true(answer_has("\"results\":[{\"index\":0,\"seq\":1,\"duplicate\":true}]"));
}

static void without_numbers_nothing_happens(void **state)
{
    static const char *const requests[] = {ATOMIC, EACH};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        gate.is_shut = true;
        add_event(EVENT(",\"id\":\"a\""));
        run(requests[i], false);
        assert_true(answer_has("\"code\":\"unavailable\""));
        assert_int_equal(last_seq(), i);
        assert_int_equal(intake_dedup_ids(intake), 0);
        gate.is_shut = false;
        add_event(EVENT(""));
        run(requests[i], false);
        assert_true(answer_has("\"success\":true"));
    }
}

static void push(const char *text)
{
    struct zframe frame;

    assert_int_equal(zframe_init_copy(&frame, text, strlen(text)), NHUB_OK);
    intake_push(intake, &frame);
    zframe_close(&frame);
}

static void a_pushed_event_without_a_number_is_counted_and_may_come_again(void **state)
{
    const char *text = EVENT(",\"id\":\"a\"");

    (void)state;
    gate.slots_are_shut = true;
    push(text);
    assert_int_equal(stats.not_numbered, 1);
    assert_int_equal(stats.events_received, 0);
    gate.slots_are_shut = false;
    push(text);
    push(text);
    assert_int_equal(stats.events_published, 1);
    assert_int_equal(stats.duplicates, 1);
}

static void a_stopping_hub_numbers_nothing(void **state)
{
    (void)state;
    add_event(EVENT(""));
    run(ATOMIC, true);
    assert_true(answer_has("\"code\":\"shutting_down\""));
    assert_int_equal(last_seq(), 0);
}

static void the_limits_of_a_request_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < PUBLISH_MAX_EVENTS; i++) {
        add_event(EVENT(""));
    }
    run(ATOMIC, false);
    assert_true(answer_has("\"count\":10000,"));
    for (int i = 0; i <= PUBLISH_MAX_EVENTS; i++) {
        add_event(EVENT(""));
    }
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"too_many_events\""));
    add_event(EVENT("")); /* the next request begins anew */
    run(ATOMIC, false);
    assert_true(answer_has("\"first_seq\":10001,"));
}

static void bytes_of_a_request_are_bounded(void **state)
{
    static char blanks[(1 << 20) + 1];

    (void)state;
    memset(blanks, ' ', sizeof blanks - 1);
    for (int i = 0; i < 16; i++) {
        add_event(blanks);
    }
    run(EACH, false);
    assert_true(answer_has("\"code\":\"too_big\",\"error\"")); /* each event for itself */
    for (int i = 0; i < 17; i++) {
        add_event(blanks);
    }
    run(EACH, false);
    assert_true(answer_has("{\"success\":false,"));
    assert_true(answer_has("\"code\":\"too_big\"}"));
}

/* ---- a journal with a disk ---- */

static void give_disk(void)
{
    gate.base.durability = DURABILITY_SYNCED;
    gate.base.durability_max = DURABILITY_SYNCED;
    gate.base.durability_now = DURABILITY_SYNCED;
}

static void an_answer_waits_for_the_durability_that_was_asked_for(void **state)
{
    (void)state;
    give_disk();
    add_event(EVENT(""));
    run("{\"action\":\"publish\",\"durability\":\"memory\"}", false);
    assert_true(answer_has("\"durability\":\"memory\""));
    add_event(EVENT(""));
    run("{\"action\":\"publish\",\"durability\":\"journaled\"}", false);
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_MEMORY, 1, NHUB_OK);
    acks_kept(acks, DURABILITY_SYNCED, 0, NHUB_OK); /* of an earlier batch */
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_JOURNALED, 1, NHUB_OK);
    assert_true(answer_has("\"first_seq\":2,\"last_seq\":2,\"count\":1"));
    assert_true(answer_has("\"durability\":\"journaled\""));
    add_event(EVENT(""));
    run(ATOMIC, false); /* what the mode gives */
    acks_kept(acks, DURABILITY_JOURNALED, 1, NHUB_OK);
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_SYNCED, 1, NHUB_OK);
    assert_true(answer_has("\"durability\":\"synced\""));
    assert_int_equal(acks_count(acks), 0);
}

static void what_the_disk_did_not_take_is_told_with_its_numbers(void **state)
{
    (void)state;
    give_disk();
    add_event(EVENT(""));
    add_event(EVENT(""));
    run(ATOMIC, false);
    acks_kept(acks, DURABILITY_MEMORY, 1, NHUB_EUNAVAIL);
    assert_true(answer_has("{\"success\":false,"));
    assert_true(
        answer_has("\"code\":\"durability_lost\",\"first_seq\":1,\"last_seq\":2,\"count\":2"));
    assert_true(answer_has("\"durability\":\"memory\""));
    assert_int_equal(stats.durability_lost, 1);
}

static void while_the_disk_takes_nothing_only_memory_is_given(void **state)
{
    (void)state;
    give_disk();
    gate.base.durability_now = DURABILITY_MEMORY;
    add_event(EVENT(""));
    run("{\"action\":\"publish\",\"durability\":\"journaled\"}", false);
    assert_true(answer_has("\"code\":\"durability_unavailable\""));
    assert_int_equal(last_seq(), 0);
    add_event(EVENT(""));
    run(ATOMIC, false);
    assert_true(answer_has("\"durability\":\"memory\""));
    assert_int_equal(last_seq(), 1);
}

#define LOST_ONE                                                                                   \
    "{\"index\":0,\"seq\":1,\"duplicate\":true,\"code\":\"durability_lost\",\"error\":\""
#define SYNCED(more) "{\"action\":\"publish\",\"durability\":\"synced\"" more "}"

/* Numbers 1 and 2 with ids a and b, of which the disk has only the second. */
static void lose_the_first(void)
{
    give_disk();
    add_event(EVENT(",\"id\":\"a\""));
    add_event(EVENT(",\"id\":\"b\""));
    run("{\"action\":\"publish\",\"durability\":\"memory\"}", false);
    gate.lost = 1;
    gate.synced = 2;
}

static void a_lost_duplicate_takes_nothing_from_those_who_share_its_request(void **state)
{
    (void)state;
    lose_the_first();
    add_event(EVENT(",\"id\":\"a\""));
    add_event(EVENT(""));
    run(SYNCED(",\"atomic\":false"), false);
    assert_int_equal(sent.len, 0);
    acks_kept(acks, DURABILITY_SYNCED, 1, NHUB_OK);
    assert_true(answer_has("{\"success\":true,\"first_seq\":3,\"last_seq\":3,\"count\":1,"));
    assert_true(answer_has("\"durability\":\"synced\",\"results\":[" LOST_ONE));
    assert_int_equal(stats.durability_lost, 1);
    add_event(EVENT(",\"id\":\"a\""));
    add_event(EVENT(",\"id\":\"b\""));
    run(SYNCED(",\"atomic\":false"), false);
    assert_true(answer_has("{\"success\":true,\"count\":0,"));
    assert_true(answer_has("\"durability\":\"synced\",\"results\":[" LOST_ONE));
    assert_true(answer_has("\"},{\"index\":1,\"seq\":2,\"duplicate\":true}]"));
}

static void a_lost_duplicate_that_is_alone_or_a_part_is_the_answer(void **state)
{
    static const char *const requests[] = {SYNCED(",\"atomic\":false"), SYNCED(""), SYNCED("")};

    (void)state;
    lose_the_first();
    for (size_t i = 0; i < 3; i++) {
        add_event(EVENT(",\"id\":\"a\""));
        if (i == 2) {
            add_event(EVENT(",\"id\":\"b\""));
        }
        run(requests[i], false);
        assert_true(answer_has("{\"success\":false,"));
        assert_true(answer_has("\"code\":\"durability_lost\",\"count\":0,"));
        assert_true(answer_has("\"durability\":\"memory\""));
        assert_true(answer_has("\"results\":[{\"index\":0,\"seq\":1,\"duplicate\":true}"));
    }
}

static void who_asks_for_memory_is_told_no_more_of_a_lost_duplicate(void **state)
{
    static const char *const requests[] = {
        "{\"action\":\"publish\",\"durability\":\"memory\"}",
        "{\"action\":\"publish\",\"durability\":\"memory\",\"atomic\":false}"};

    (void)state;
    lose_the_first();
    for (size_t i = 0; i < 2; i++) {
        add_event(EVENT(",\"id\":\"a\""));
        add_event(EVENT(",\"id\":\"b\"")); /* the newest of them is synced */
        run(requests[i], false);
        assert_true(answer_has("{\"success\":true,\"count\":0,"));
        assert_true(answer_has("\"durability\":\"memory\",\"results\":["
                               "{\"index\":0,\"seq\":1,\"duplicate\":true},"));
    }
}

static void a_publish_is_held_back_while_the_journal_is_full(void **state)
{
    (void)state;
    gate.base.is_full = true;
    add_event(EVENT(",\"id\":\"a\""));
    run(ATOMIC, false);
    add_event(EVENT(",\"id\":\"b\""));
    run(EACH, false);
    assert_int_equal(sent.len, 0);
    assert_int_equal(last_seq(), 0);
    publish_turn(publish);
    assert_true(publish_is_holding(publish));
    gate.base.is_full = false;
    add_event(EVENT(",\"id\":\"c\""));
    run(ATOMIC, false); /* behind the others */
    assert_int_equal(sent.len, 0);
    publish_turn(publish);
    assert_false(publish_is_holding(publish));
    assert_int_equal(last_seq(), 3);
    assert_true(strstr(buf_cstr(&sent), "\"first_seq\":1,") <
                strstr(buf_cstr(&sent), "\"first_seq\":2,"));
}

static void beyond_what_can_be_held_back_a_publish_is_refused(void **state)
{
    static char blanks[(1 << 20) + 1];
    int held = 0;

    (void)state;
    memset(blanks, ' ', sizeof blanks - 1);
    gate.base.is_full = true;
    for (;;) {
        for (int i = 0; i < 8; i++) {
            add_event(blanks);
        }
        run(EACH, false);
        if (sent.len > 0) {
            break;
        }
        held++;
    }
    assert_true(answer_has("\"code\":\"unavailable\""));
    assert_int_equal(held, 7); /* of 8 MiB and a little each */
}

static void nobody_waits_where_no_answer_is_wanted(void **state)
{
    struct call call = {.replies = replies, .stats = &stats, .wants_answer = false};
    struct buf error;

    (void)state;
    give_disk();
    buf_init(&error);
    assert_int_equal(zframe_init_copy(&call.identity, "peer", 4), NHUB_OK);
    assert_int_equal(request_parse(ATOMIC, strlen(ATOMIC), &call.request, &error), NHUB_OK);
    add_event(EVENT(""));
    add_packed();
    publish_run(publish, &call, false);
    assert_int_equal(acks_count(acks), 0);
    assert_int_equal(stats.no_reply, 1);
    assert_int_equal(last_seq(), 1);
    call_fini(&call);
    buf_fini(&error);
}

static void an_event_of_the_hub_may_have_the_reserved_type(void **state)
{
    (void)state;
    intake_own_event(intake, "StatsEvent", "{\"a\":1}", 7);
    assert_int_equal(last_seq(), 1);
    assert_int_equal(stats.own_events, 1);
    assert_int_equal(stats.events_published, 0);
    add_event("{\"event_type\":\"StatsEvent\",\"source_service\":\"s\",\"data\":1}");
    run(ATOMIC, false);
    assert_true(answer_has("\"code\":\"reserved_type\",\"index\":0,\"field\":\"event_type\""));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_batch_is_numbered_in_a_row),
        ROW(a_refused_batch_leaves_no_ids_behind),
        ROW(a_refused_batch_costs_nobody_elses_ids),
        ROW(without_numbers_nothing_happens),
        ROW(a_pushed_event_without_a_number_is_counted_and_may_come_again),
        ROW(a_stopping_hub_numbers_nothing),
        ROW(the_limits_of_a_request_are_exact),
        ROW(bytes_of_a_request_are_bounded),
        ROW(an_event_of_the_hub_may_have_the_reserved_type),
        ROW(an_answer_waits_for_the_durability_that_was_asked_for),
        ROW(what_the_disk_did_not_take_is_told_with_its_numbers),
        ROW(a_lost_duplicate_takes_nothing_from_those_who_share_its_request),
        ROW(a_lost_duplicate_that_is_alone_or_a_part_is_the_answer),
        ROW(who_asks_for_memory_is_told_no_more_of_a_lost_duplicate),
        ROW(while_the_disk_takes_nothing_only_memory_is_given),
        ROW(a_publish_is_held_back_while_the_journal_is_full),
        ROW(beyond_what_can_be_held_back_a_publish_is_refused),
        ROW(nobody_waits_where_no_answer_is_wanted),
    };

    const int failed = cmocka_run_group_tests_name("publish", tests, NULL, NULL);

    is_packing = true;
    return cmocka_run_group_tests_name("publish, packed", tests, NULL, NULL) + failed;
}
