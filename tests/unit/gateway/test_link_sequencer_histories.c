// with: failmalloc
/*
 * The sequencer against thousands of random histories.
 *
 * A hub numbers events in epochs and keeps the newest ones; what it sends is lost, repeated and
 * shuffled; it crashes and leaves voids, and its disk fails under events that went out live; pages
 * may be short, fail or come late; connections break; memory runs out. Whatever
 * happens, the feed must be: in each epoch every number in order exactly once, as an event or
 * inside one gap, from where live began (or the backfill) to the end; and without a gap where the
 * hub kept everything and answered.
 */
#include "failmalloc.h"
#include "gateway/link_sequencer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct feed_event *make(const char *epoch, uint64_t seq)
{
    struct feed_event *event = NULL;
    struct position position = {.seq = seq};

    memcpy(position.epoch, epoch, sizeof position.epoch);
    assert_int_equal(feed_event_create(&event, &position, "t", 1, "0123456789", 10), NHUB_OK);
    return event;
}

struct model {
    struct gateway_counters counters;
    struct link_sequencer *s;
    int64_t now_ms;
    unsigned seed;
    char epoch[EPOCH_LEN + 1];
    uint64_t seq;    /* last given out */
    uint64_t oldest; /* oldest kept */
    struct link_voids voids;
    bool is_linked;
    struct feed_event *pipe[8]; /* under way to the SUB */
    size_t in_pipe;
    bool page_asked, page_may_fail;
    bool memory_may_fail;
    bool is_kind; /* no failed pages, no retention, one epoch: nothing may be missing */
    struct position since;
    uint64_t limit;
    /* what the reader of the feed knows */
    bool is_live, has_position;
    struct position told;
    uint64_t gaps, events;
};

static unsigned pick(struct model *m, unsigned n)
{
    m->seed = m->seed * 1103515245U + 12345U;
    return (m->seed >> 16) % n;
}

/* Around each call of the code under test: sometimes one of its next allocations fails. */
static void before_call(struct model *m)
{
    if (m->memory_may_fail && pick(m, 3) == 0) {
        failmalloc_arm(pick(m, 4));
    }
}

static void after_call(void)
{
    NHUB_IGNORE(!failmalloc_disarm());
}

static void check_item(struct model *m, const struct feed_item *item)
{
    if (item->kind == FEED_LINK) {
        if (item->link_up && m->has_position) {
            assert_true(position_equal(&m->told, &item->position));
        } else if (item->link_up) {
            m->told = item->position;
            m->has_position = true;
        }
        m->is_live = m->is_live || item->link_up;
        return;
    }
    if (item->kind == FEED_GAP) {
        assert_true(m->has_position);
        assert_true(position_equal(&m->told, &item->gap.from));
        if (item->gap.reason != GAP_EPOCH_CHANGED) {
            assert_string_equal(item->gap.from.epoch, item->gap.to.epoch);
            assert_true(item->gap.to.seq > item->gap.from.seq);
        } else {
            assert_string_not_equal(item->gap.from.epoch, item->gap.to.epoch);
        }
        m->told = item->gap.to;
        m->gaps++;
        return;
    }
    assert_true((item->kind == FEED_EVENT) == m->is_live);
    if (m->has_position) {
        assert_string_equal(m->told.epoch, item->event->position.epoch);
        assert_int_equal(item->event->position.seq, m->told.seq + 1);
    }
    m->told = item->event->position;
    m->has_position = true;
    m->events++;
}

static void drain(struct model *m)
{
    struct feed_item *last = NULL;
    struct feed_item *item = link_sequencer_take(m->s, &last);

    while (item) {
        struct feed_item *next = (struct feed_item *)(void *)item->letter.next;

        check_item(m, item);
        feed_item_free(&item);
        item = next;
    }
}

static void deliver_one(struct model *m)
{
    const size_t i = m->in_pipe ? pick(m, (unsigned)m->in_pipe) : 0;

    if (m->in_pipe > 0) {
        struct feed_event *event = m->pipe[i];

        m->pipe[i] = m->pipe[--m->in_pipe];
        before_call(m);
        link_sequencer_event(m->s, &event, m->now_ms);
        after_call();
    }
}

static void hub_numbers(struct model *m)
{
    const unsigned luck = pick(m, 10);

    m->seq++;
    for (unsigned copies = luck < 2 ? 0 : luck == 9 ? 2 : 1; copies > 0; copies--) {
        if (m->in_pipe == sizeof m->pipe / sizeof m->pipe[0]) {
            deliver_one(m);
        }
        m->pipe[m->in_pipe++] = make(m->epoch, m->seq);
    }
    if (!m->is_kind && m->seq - m->oldest > 60) {
        m->oldest = m->seq - 60;
    }
}

static void cut(struct model *m)
{
    while (m->in_pipe > 0) {
        feed_event_unref(&m->pipe[--m->in_pipe]);
    }
    m->page_asked = false;
    m->is_linked = false;
    before_call(m);
    link_sequencer_lost(m->s, m->now_ms);
    after_call();
}

static void hub_restarts(struct model *m)
{
    for (size_t i = 0; i < EPOCH_LEN; i++) {
        m->epoch[i] = (char)('a' + pick(m, 26));
    }
    m->seq = 0;
    m->oldest = 1;
    m->voids.count = 0;
}

/* The numbers from … to have no event any more; a void that touches the last one makes it longer.
 */
static void make_void(struct model *m, uint64_t from, uint64_t to, enum gap_reason reason)
{
    const struct link_void *last = m->voids.count ? &m->voids.list[m->voids.count - 1] : NULL;
    const struct link_void hollow = {
        .from = last && last->to >= from ? last->to + 1 : from, .to = to, .reason = reason};

    if (hollow.from <= hollow.to) {
        link_voids_add(&m->voids, &hollow);
    }
}

/* The last events, which were sent, were not on the disk yet, and the reservation is void. */
static void hub_crashes(struct model *m)
{
    const uint64_t unwritten = pick(m, 4) < m->seq ? pick(m, 4) : 0;

    cut(m);
    make_void(m, m->seq + 1 - (unwritten < m->seq ? unwritten : m->seq), m->seq + 50,
              GAP_UNCLEAN_STOP);
    m->seq += 50;
    m->oldest = m->oldest > m->seq ? m->seq : m->oldest;
}

/* Events that went out live, or are about to, turn out not to be stored. */
static void disk_fails(struct model *m)
{
    const uint64_t count = 1 + pick(m, 5);

    if (m->seq > count) {
        make_void(m, m->seq + 1 - count, m->seq, GAP_NOT_STORED);
    }
}

static void answer_position(struct model *m)
{
    struct link_head h = {.seq = m->seq, .oldest = m->oldest, .voids = m->voids};

    memcpy(h.epoch, m->epoch, sizeof h.epoch);

    before_call(m);
    link_sequencer_head(m->s, &h, m->now_ms);
    after_call();
    m->is_linked = true;
}

static void answer_page(struct model *m)
{
    struct link_page p = {.seq = m->seq, .voids = m->voids};
    const struct link_void *hollow = NULL;
    struct feed_event *events[128];
    size_t count = 0;
    uint64_t next = m->since.seq + 1;

    memcpy(p.epoch, m->epoch, sizeof p.epoch);
    memcpy(p.next.epoch, m->epoch, sizeof p.next.epoch);
    m->page_asked = false;
    if (m->page_may_fail && pick(m, 4) == 0) {
        link_sequencer_page_failed(m->s, m->now_ms);
        return;
    }
    if (strcmp(m->since.epoch, m->epoch) != 0) {
        next = m->oldest;
    } else if (next < m->oldest) {
        p.has_gap = true;
        p.gap.from = m->since;
        p.gap.to = m->since;
        p.gap.to.seq = m->oldest - 1;
        p.gap.reason = GAP_RETENTION;
        next = m->oldest;
    }
    hollow = link_voids_at(&m->voids, next);
    if (hollow) {
        p.gap.from = m->since;
        p.gap.reason = p.has_gap ? p.gap.reason : hollow->reason;
        p.has_gap = true;
        memcpy(p.gap.to.epoch, m->epoch, sizeof p.gap.to.epoch);
        p.gap.to.seq = hollow->to;
        next = hollow->to + 1;
    }
    for (; next <= m->seq && !link_voids_at(&m->voids, next) && count < m->limit &&
           count < 1 + pick(m, 40);
         next++) {
        events[count++] = make(m->epoch, next);
    }
    p.next.seq = next - 1;
    before_call(m);
    link_sequencer_page(m->s, &p, events, count, m->now_ms);
    after_call();
}

static void step(struct model *m)
{
    m->now_ms += 1 + pick(m, m->page_may_fail ? 300 : 20);
    switch (pick(m, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        hub_numbers(m);
        break;
    case 4:
    case 5:
    case 6:
        deliver_one(m);
        break;
    case 7:
        answer_position(m);
        break;
    case 8:
        if (pick(m, 40) == 0) {
            cut(m);
        }
        break;
    case 9:
        if (!m->is_kind && pick(m, 80) == 0) {
            hub_restarts(m);
        } else if (!m->is_kind && pick(m, 25) == 0) {
            hub_crashes(m);
        } else if (!m->is_kind && pick(m, 25) == 0) {
            disk_fails(m);
        }
        break;
    default:
        if (m->page_asked) {
            answer_page(m);
        }
        break;
    }
    before_call(m);
    link_sequencer_tick(m->s, m->now_ms);
    after_call();
    if (!m->page_asked) {
        m->page_asked = link_sequencer_wants_page(m->s, m->now_ms, &m->since, &m->limit);
    }
    drain(m);
}

/* The world calms down: in the end everything that was numbered must have been told. */
static void settle(struct model *m)
{
    m->page_may_fail = false;
    m->memory_may_fail = false;
    for (int i = 0; i < 400; i++) {
        m->now_ms += 100;
        while (m->in_pipe > 0) {
            deliver_one(m);
        }
        answer_position(m);
        before_call(m);
        link_sequencer_tick(m->s, m->now_ms);
        after_call();
        if (m->page_asked) {
            answer_page(m);
        }
        m->page_asked = link_sequencer_wants_page(m->s, m->now_ms, &m->since, &m->limit);
        drain(m);
    }
    assert_true(m->is_live);
    assert_string_equal(m->told.epoch, m->epoch);
    assert_int_equal(m->told.seq, m->seq);
    assert_true(link_sequencer_is_caught_up(m->s, m->now_ms));
}

struct world {
    size_t max_held;
    bool is_kind, page_may_fail, memory_may_fail;
};

static uint64_t run_history(unsigned seed, const struct world *world)
{
    struct model m = {.seed = seed,
                      .now_ms = 1000,
                      .epoch = "aaaaaaaa",
                      .oldest = 1,
                      .is_kind = world->is_kind,
                      .page_may_fail = world->page_may_fail,
                      .memory_may_fail = world->memory_may_fail};
    const struct link_sequencer_options options = {.backfill_events = 20,
                                                   .max_held_bytes = world->max_held,
                                                   .wait_ms = 2000,
                                                   .counters = &m.counters};

    assert_int_equal(link_sequencer_create(&m.s, &options), NHUB_OK);
    for (int i = 0; i < 600; i++) {
        step(&m);
    }
    settle(&m);
    assert_true(!world->is_kind || m.gaps == 0);
    cut(&m);
    link_sequencer_destroy(&m.s);
    return m.events;
}

static void run_histories(const struct world *world)
{
    const long live = failmalloc_live();
    uint64_t events = 0;

    for (unsigned seed = 1; seed <= 1000; seed++) {
        events += run_history(seed, world);
    }
    assert_true(events > 30000);
    assert_int_equal(failmalloc_live(), live);
}

static void a_kind_world_leaves_no_gap(void **state)
{
    const struct world world = {.max_held = 1 << 20, .is_kind = true};

    (void)state;
    run_histories(&world);
}

static void little_room_for_held_events_leaves_no_gap(void **state)
{
    const struct world world = {.max_held = 55, .is_kind = true};

    (void)state;
    run_histories(&world);
}

static void retention_restarts_and_cuts_leave_exact_gaps(void **state)
{
    const struct world world = {.max_held = 1 << 20};

    (void)state;
    run_histories(&world);
}

static void failed_pages_and_little_room_leave_exact_gaps(void **state)
{
    const struct world world = {.max_held = 55, .page_may_fail = true};

    (void)state;
    run_histories(&world);
}

static void exhausted_memory_leaves_exact_gaps_too(void **state)
{
    const struct world world = {
        .max_held = 1 << 20, .page_may_fail = true, .memory_may_fail = true};

    (void)state;
    run_histories(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_world_leaves_no_gap),
        cmocka_unit_test(little_room_for_held_events_leaves_no_gap),
        cmocka_unit_test(retention_restarts_and_cuts_leave_exact_gaps),
        cmocka_unit_test(failed_pages_and_little_room_leave_exact_gaps),
        cmocka_unit_test(exhausted_memory_leaves_exact_gaps_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
