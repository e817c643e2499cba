/*
 * sequencer_fixture: a sequencer whose clock stands still, fed by hand; what it tells is compared
 * in words.
 */
#ifndef NHUB_TESTS_SEQUENCER_FIXTURE_H
#define NHUB_TESTS_SEQUENCER_FIXTURE_H

#include "gateway/link_sequencer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct gateway_counters counters;
    struct link_sequencer *s;
    int64_t now_ms;
    char log[8192]; /* what was told, in words: "e5 b3 g5-7:retention up7 down" */
};

static inline void start_with(struct fixture *f, uint64_t backfill, size_t max_held)
{
    const struct link_sequencer_options options = {.backfill_events = backfill,
                                                   .max_held_bytes = max_held,
                                                   .wait_ms = 2000,
                                                   .counters = &f->counters};

    memset(f, 0, sizeof *f);
    f->now_ms = 1000;
    assert_int_equal(link_sequencer_create(&f->s, &options), NHUB_OK);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    link_sequencer_destroy(&f->s);
    free(f);
    return 0;
}

static inline struct feed_event *make(const char *epoch, uint64_t seq)
{
    struct feed_event *event = NULL;
    struct position position = {.seq = seq};

    memcpy(position.epoch, epoch, sizeof position.epoch);
    assert_int_equal(feed_event_create(&event, &position, "t", 1, "0123456789", 10), NHUB_OK);
    return event;
}

static inline void arrive(struct fixture *f, const char *epoch, uint64_t seq)
{
    struct feed_event *event = make(epoch, seq);

    link_sequencer_event(f->s, &event, f->now_ms);
    assert_null(event);
}

static inline void expect_wish(struct fixture *f, uint64_t since, uint64_t limit)
{
    struct position position;
    uint64_t wanted = 0;

    assert_true(link_sequencer_wants_page(f->s, f->now_ms, &position, &wanted));
    assert_int_equal(position.seq, since);
    assert_int_equal(wanted, limit);
}

static inline void expect_no_wish(struct fixture *f)
{
    struct position position;
    uint64_t wanted = 0;

    assert_false(link_sequencer_wants_page(f->s, f->now_ms, &position, &wanted));
}

static inline void add_word(struct fixture *f, const struct feed_item *item)
{
    char *end = f->log + strlen(f->log);
    const size_t room = sizeof f->log - strlen(f->log);
    const char *blank = f->log[0] ? " " : "";
    int n = 0;

    if (item->kind == FEED_EVENT || item->kind == FEED_BACKFILL) {
        n = snprintf(end, room, "%s%s%llu", blank, item->kind == FEED_EVENT ? "e" : "b",
                     (unsigned long long)item->event->position.seq);
    } else if (item->kind == FEED_GAP) {
        n = snprintf(end, room, "%sg%llu-%llu:%s", blank, (unsigned long long)item->gap.from.seq,
                     (unsigned long long)item->gap.to.seq, gap_reason_name(item->gap.reason));
    } else if (item->link_up) {
        n = snprintf(end, room, "%sup%llu", blank, (unsigned long long)item->position.seq);
    } else {
        n = snprintf(end, room, "%sdown", blank);
    }
    assert_true(n > 0 && (size_t)n < room);
}

/* Checks what was told since the last call. */
static inline void expect(struct fixture *f, const char *words)
{
    struct feed_item *last = NULL;
    struct feed_item *item = link_sequencer_take(f->s, &last);

    f->log[0] = '\0';
    while (item) {
        struct feed_item *next = (struct feed_item *)(void *)item->letter.next;

        add_word(f, item);
        feed_item_free(&item);
        item = next;
    }
    assert_string_equal(f->log, words);
}

#endif
