/*
 * fake_hub: a hub made of an array, for the tests of the gap detector: what is published, lost on
 * the way, trimmed from the ring or fetched again is all decided by the test.
 */
#ifndef NHUB_TESTS_FAKE_HUB_H
#define NHUB_TESTS_FAKE_HUB_H

#include "client/gap_detector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVENTS_MAX 20000
#define PAGE       7

/* The hub: numbers 1 … newest in one epoch; those from oldest on are kept. is_mine says which ones
 * a filtered subscriber has asked for. */
struct hub {
    char epoch[EPOCH_LEN + 1];
    uint64_t oldest, newest;
    bool is_mine[EVENTS_MAX + 1];
    bool is_lost[EVENTS_MAX + 1]; /* numbered, and in no history */
    struct {
        uint64_t from, to;
    } voids[200];
    size_t void_count;
};

struct told_gap {
    struct position from, to;
    char reason[24];
    uint64_t delivered;
};

struct fixture {
    struct gap_detector *detector;
    struct hub hub;
    int64_t now_ms;
    bool is_filtered;
    bool is_hub_silent;
    bool is_history_silent; /* other questions are answered */
    bool is_patient;
    int check_interval_ms; /* 0 = a second */
    int history_ms;        /* so long until its silence is noticed */
    int asked_history;
    /* What came out. */
    uint64_t delivered[EVENTS_MAX + 1];
    size_t delivered_count;
    size_t refilled, late, discarded;
    struct told_gap gaps[2000];
    size_t gap_count;
    unsigned seen[EVENTS_MAX + 1]; /* how often a number of the current epoch was delivered */
};

/* An item is the address of its number here. */
static char item_marks[EVENTS_MAX + 1];

static inline void *item_of(uint64_t seq)
{
    return &item_marks[seq];
}

static inline uint64_t seq_of(const void *item)
{
    return (uint64_t)((const char *)item - item_marks);
}

static inline void on_deliver(void *context, void *item, bool refilled, bool late)
{
    struct fixture *f = context;

    assert_true(f->delivered_count < EVENTS_MAX);
    f->delivered[f->delivered_count++] = seq_of(item);
    f->seen[seq_of(item)]++;
    f->refilled += refilled ? 1 : 0;
    f->late += late ? 1 : 0;
}

static inline void on_discard(void *context, void *item)
{
    struct fixture *f = context;

    (void)item;
    f->discarded++;
}

static inline void on_gap(void *context, const struct gap_range *range)
{
    struct fixture *f = context;
    struct told_gap *gap = &f->gaps[f->gap_count++];

    assert_true(f->gap_count < 2000);
    gap->from = range->from;
    gap->to = range->to;
    gap->delivered = range->delivered;
    (void)snprintf(gap->reason, sizeof gap->reason, "%s", range->reason);
}

static inline struct position at(const struct fixture *f, uint64_t seq)
{
    struct position p = {.seq = seq};

    memcpy(p.epoch, f->hub.epoch, sizeof p.epoch);
    return p;
}

static inline void start_with(struct fixture *f, const char *since, bool is_filtered,
                              bool has_requests)
{
    const struct gap_options options = {.since = since,
                                        .is_filtered = is_filtered,
                                        .has_requests = has_requests,
                                        .held_events = 100,
                                        .held_bytes = 100000,
                                        .received_max = 1000,
                                        .check_interval_ms =
                                            f->check_interval_ms ? f->check_interval_ms : 1000,
                                        .check_events = 500,
                                        .settle_ms = 500,
                                        .refill_wait_ms = 5000,
                                        .is_patient = f->is_patient,
                                        .retry_ms = 100};
    const struct gap_callbacks callbacks = {
        .context = f, .deliver = on_deliver, .discard = on_discard, .gap = on_gap};

    f->is_filtered = is_filtered;
    assert_int_equal(gap_detector_create(&f->detector, &options, &callbacks), NHUB_OK);
}

/* The same, live already behind number 0. */
static inline void start_live(struct fixture *f, bool is_filtered)
{
    const struct gap_head nothing = {.newest = at(f, 0)};

    start_with(f, NULL, is_filtered, true);
    assert_int_equal(gap_detector_next_request(f->detector, f->now_ms).kind, GAP_REQUEST_POSITION);
    gap_detector_position(f->detector, &nothing, f->now_ms);
    assert_true(gap_detector_is_live(f->detector));
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    memcpy(f->hub.epoch, "aaaaaaaa", EPOCH_LEN);
    f->hub.oldest = 1;
    f->now_ms = 1000000;
    for (size_t i = 0; i <= EVENTS_MAX; i++) {
        f->hub.is_mine[i] = true;
    }
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    gap_detector_destroy(&f->detector);
    free(f);
    return 0;
}

/* The hub numbers one more event, and it arrives. */
static inline void arrive(struct fixture *f, uint64_t seq)
{
    const struct position p = at(f, seq);

    f->hub.newest = seq > f->hub.newest ? seq : f->hub.newest;
    gap_detector_event(f->detector, item_of(seq), &p, 100, f->now_ms);
}

static inline void arrive_range(struct fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        arrive(f, seq);
    }
}

/* Answers. */

static inline void answer_count(struct fixture *f, const struct gap_request *r)
{
    uint64_t count = 0;

    for (uint64_t seq = r->from.seq + 1; seq <= r->to_seq && seq <= f->hub.newest; seq++) {
        count += f->hub.is_mine[seq] && !f->hub.is_lost[seq] && seq >= f->hub.oldest ? 1 : 0;
    }
    gap_detector_count(f->detector, count, r->from.seq + 1 >= f->hub.oldest, f->now_ms);
}

static inline void answer_history(struct fixture *f, const struct gap_request *r)
{
    struct gap_item items[PAGE];
    struct gap_page page = {.items = items, .is_drained = true, .gap_reason = ""};
    struct position since = {0};
    uint64_t seq = 0;

    if (strcmp(r->since, "earliest") == 0) {
        since = at(f, f->hub.oldest - 1);
    } else {
        assert_int_equal(position_parse(r->since, strlen(r->since), &since), NHUB_OK);
    }
    seq = since.seq;
    if (memcmp(since.epoch, f->hub.epoch, EPOCH_LEN) != 0) {
        seq = f->hub.oldest - 1;
        page.has_gap = true;
        page.gap_reason = "epoch_changed";
    } else if (since.seq + 1 < f->hub.oldest) {
        seq = f->hub.oldest - 1;
        page.has_gap = true;
        page.gap_reason = "retention";
    } else if (since.seq > f->hub.newest) {
        seq = f->hub.newest;
        page.has_gap = true;
        page.gap_reason = "unknown";
    }
    for (size_t i = 0; i < f->hub.void_count && !page.has_gap; i++) {
        if (seq + 1 >= f->hub.voids[i].from && seq < f->hub.voids[i].to) {
            seq = f->hub.voids[i].to;
            page.has_gap = true;
            page.gap_reason = "unclean_stop";
        }
    }
    page.gap_from = since;
    page.gap_to = at(f, seq);
    while (seq < f->hub.newest && page.count < PAGE && !f->hub.is_lost[seq + 1]) {
        seq++;
        if (!f->is_filtered || f->hub.is_mine[seq]) {
            items[page.count++] = (struct gap_item){.item = item_of(seq), .position = at(f, seq)};
        }
    }
    page.next = at(f, seq);
    page.has_more = seq < f->hub.newest;
    gap_detector_page(f->detector, &page, f->now_ms);
}

/* Sends the next request to the hub, and its answer back. False when there was none. */
static inline bool ask(struct fixture *f)
{
    const struct gap_request r = gap_detector_next_request(f->detector, f->now_ms);
    const struct gap_head head = {
        .newest = at(f, f->hub.newest),
        .void_to = f->hub.void_count ? f->hub.voids[f->hub.void_count - 1].to : 0};

    switch (r.kind) {
    case GAP_REQUEST_NONE:
        return false;
    case GAP_REQUEST_POSITION:
        if (f->is_hub_silent) {
            gap_detector_failed(f->detector, false, f->now_ms);
        } else {
            gap_detector_position(f->detector, &head, f->now_ms);
        }
        break;
    case GAP_REQUEST_COUNT:
        assert_true(f->is_filtered);
        if (f->is_hub_silent) {
            gap_detector_failed(f->detector, false, f->now_ms);
        } else {
            answer_count(f, &r);
        }
        break;
    case GAP_REQUEST_HISTORY:
        f->asked_history++;
        if (f->is_hub_silent || f->is_history_silent) {
            f->now_ms += f->history_ms;
            gap_detector_failed(f->detector, false, f->now_ms);
        } else {
            answer_history(f, &r);
        }
        break;
    }
    return true;
}

/* Lets time pass in steps, doing what is due. */
static inline void pass(struct fixture *f, int64_t ms)
{
    for (int64_t end_ms = f->now_ms + ms; f->now_ms <= end_ms; f->now_ms += 10) {
        gap_detector_tick(f->detector, f->now_ms);
        for (int i = 0; i < 5000 && ask(f); i++) {
        }
    }
}

static inline void expect_delivered(const struct fixture *f, uint64_t from, uint64_t to)
{
    assert_int_equal(f->delivered_count, to - from + 1);
    for (uint64_t seq = from; seq <= to; seq++) {
        assert_int_equal(f->delivered[seq - from], seq);
    }
}

static inline void expect_gap(const struct fixture *f, size_t index, uint64_t from, uint64_t to,
                              const char *reason)
{
    assert_true(index < f->gap_count);
    assert_int_equal(f->gaps[index].from.seq, from);
    assert_int_equal(f->gaps[index].to.seq, to);
    assert_string_equal(f->gaps[index].reason, reason);
}

/* The hub dies: some of its last events were not kept, and it goes on behind a void. */
static inline void stop_unclean(struct fixture *f)
{
    const uint64_t from = f->hub.newest - (uint64_t)(rand() % 20);
    const uint64_t to = f->hub.newest + (uint64_t)(rand() % 30);
    const uint64_t last_to = f->hub.void_count ? f->hub.voids[f->hub.void_count - 1].to : 0;

    if (from <= last_to + 1 || from <= f->hub.oldest || from > to || f->hub.void_count >= 200) {
        return;
    }
    for (uint64_t seq = from; seq <= to; seq++) {
        f->hub.is_mine[seq] = f->hub.is_mine[seq] && seq <= f->hub.newest;
        f->hub.is_lost[seq] = true;
    }
    f->hub.voids[f->hub.void_count].from = from;
    f->hub.voids[f->hub.void_count++].to = to;
    f->hub.newest = to;
    gap_detector_break(f->detector, f->now_ms);
}

/* Chance: bursts, losses, breaks, trimming, a silent hub. Whatever happens, each of our events is
 * delivered once or lies in a gap that was told, never both, and numbers never go down but for
 * events that are called late. */
static inline void run_by_chance(struct fixture *f, unsigned seed, bool is_filtered, bool has_stops)
{
    uint64_t ours = 0;

    srand(seed);
    for (size_t i = 0; i <= EVENTS_MAX; i++) {
        f->hub.is_mine[i] = !is_filtered || rand() % 3 == 0;
    }
    f->hub.newest = 1;
    start_with(f, "aaaaaaaa-0", is_filtered, true);
    while (f->hub.newest < EVENTS_MAX - 300) {
        const bool is_lossy = rand() % 10 == 0;
        const uint64_t burst = (uint64_t)(rand() % 60);

        f->is_hub_silent = rand() % 20 == 0;
        for (uint64_t i = 0; i < burst; i++) {
            const uint64_t seq = ++f->hub.newest;

            if (f->hub.is_mine[seq] && !(is_lossy && rand() % 3 == 0) &&
                !gap_detector_is_full(f->detector)) {
                arrive(f, seq);
            } else if (f->hub.is_mine[seq] && is_filtered && rand() % 2) {
                gap_detector_break(f->detector, f->now_ms); /* some losses are noticed as breaks */
            }
        }
        if (has_stops && rand() % 15 == 0) {
            stop_unclean(f);
        }
        if (rand() % 30 == 0) {
            f->hub.oldest += (f->hub.newest - f->hub.oldest) / 2;
        }
        pass(f, rand() % 200);
    }
    f->is_hub_silent = false;
    pass(f, 20000);
    for (size_t g = 0; g < f->gap_count; g++) {
        assert_true(f->gaps[g].from.seq < f->gaps[g].to.seq);
        uint64_t delivered = 0;

        for (uint64_t seq = f->gaps[g].from.seq + 1; seq <= f->gaps[g].to.seq; seq++) {
            delivered += f->seen[seq] ? 1 : 0;
            f->seen[seq] += f->seen[seq] == 0 ? 1 : 0;
        }
        if (delivered != f->gaps[g].delivered) {
            fail_msg("seed %u: of (%llu, %llu] %llu were delivered, not %llu", seed,
                     (unsigned long long)f->gaps[g].from.seq, (unsigned long long)f->gaps[g].to.seq,
                     (unsigned long long)delivered, (unsigned long long)f->gaps[g].delivered);
        }
        assert_true(is_filtered || delivered == 0);
    }
    for (uint64_t seq = 1; seq <= f->hub.newest; seq++) {
        ours += f->hub.is_mine[seq] ? 1 : 0;
        if (f->hub.is_mine[seq] && f->seen[seq] != 1) {
            fail_msg("seed %u: number %llu was seen %u times", seed, (unsigned long long)seq,
                     f->seen[seq]);
        }
    }
    assert_true(ours > 100);
    if (f->late == 0) {
        for (size_t i = 1; i < f->delivered_count; i++) {
            assert_true(f->delivered[i] > f->delivered[i - 1]);
        }
    }
    assert_true(is_filtered || f->late == 0);
}

#endif
