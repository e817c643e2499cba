// with: failmalloc
/*
 * server_write: the limit of all that waits (held_max), and that memory comes back. Blocks in
 * memory are counted by failmalloc: nothing else that the server allocates grows in these tests.
 */
#include "publish_fixture.h"
#include "zmtp/server_private.h"

#include "failmalloc.h"

enum { BLOCK = 16384, HELD_BLOCKS = 16, SOME = 12 };

static void start_held(struct fixture *f)
{
    f->options.block_bytes = BLOCK;
    f->options.held_max = (uint64_t)HELD_BLOCKS * BLOCK;
    start(f, ZSERVER_PUB);
}

/* Reads all that is left for it: whole events in order without repeats, `published` at the most.
 * Returns how many. */
static unsigned read_rest(struct fixture *f, struct peer *p, unsigned published)
{
    struct event event;
    unsigned count = 0;
    unsigned next = 0;

    p->is_deaf = false;
    DRIVE_UNTIL(f, !zserver_is_writing(f->s));
    let_time_pass(f);
    while (next_event(p, &event)) {
        assert_in_range(event.number, next, published - 1);
        next = event.number + 1;
        count++;
    }
    assert_int_equal(p->parsed, p->received.len);
    return count;
}

/* What waits keeps to its limit; an event that is larger may wait all the same, alone. */
static void assert_held(const struct fixture *f, size_t largest)
{
    const uint64_t most = f->options.held_max;
    const uint64_t alone = largest + BLOCK + 100;

    assert_true(f->s->held_bytes <= (largest < most ? most : alone));
}

/* Publishes events of these lengths in turn while one reads and another does not, who may lose
 * some; what waits keeps to its limit. */
static void overflow(struct fixture *f, const size_t *lengths, size_t count, unsigned events)
{
    struct event event;
    struct peer *deaf;
    struct peer *quick;
    unsigned number = 0;
    uint64_t dropped = 0;
    size_t largest = 0;

    for (size_t i = 0; i < count; i++) {
        largest = lengths[i] > largest ? lengths[i] : largest;
    }
    start_held(f);
    deaf = open_sub(f, "");
    quick = open_sub(f, "");
    deaf->is_deaf = true;
    number = choke(f, "t", number, 500);
    for (unsigned i = 0; i < number; i++) {
        expect_event(f, quick, "t", i, 500);
    }
    for (unsigned i = 0; i < events; i++) {
        publish(f, "t", number, lengths[i % count]);
        DRIVE_UNTIL(f, next_event(quick, &event));
        assert_int_equal(event.number, number++);
        assert_held(f, largest);
    }
    dropped = counts(f)->dropped;
    assert_true(dropped > 0);
    assert_true(was_logged(f, "event_not_sent"));
    assert_int_equal(read_rest(f, deaf, number), number - dropped);
    publish(f, "t", number, 20);
    expect_event(f, deaf, "t", number, 20);
    expect_event(f, quick, "t", number, 20);
    assert_int_equal(counts(f)->failed, 0);
}

static void who_does_not_read_loses_the_oldest(void **state)
{
    overflow(*state, (const size_t[]){500}, 1, 8000);
}

static void large_events_keep_to_the_limit(void **state)
{
    overflow(*state, (const size_t[]){BLOCK}, 1, 500);
}

static void large_and_small_events_keep_to_the_limit(void **state)
{
    overflow(*state, (const size_t[]){100, 3000, 100, 100, BLOCK * 2}, 5, 3000);
}

/* Each event of its own block makes room for one that is larger. */
static void large_events_after_less_large_ones_keep_to_the_limit(void **state)
{
    size_t lengths[200];

    for (size_t i = 0; i < 200; i++) {
        lengths[i] = i % 2 == 0 ? 20 : i < 120 ? BLOCK / 3 : 4 * BLOCK;
    }
    overflow(*state, lengths, 200, 600);
}

/* An event larger than all that may wait goes to those who read. */
static void events_larger_than_the_limit_get_through(void **state)
{
    overflow(*state, (const size_t[]){100, BLOCK * (HELD_BLOCKS + 1)}, 2, 50);
}

/* Those who are a little behind lose nothing for the sake of one who is far behind. */
static void only_those_furthest_behind_lose(void **state)
{
    struct fixture *f = *state;
    struct event event;
    struct peer *deaf;
    struct peer *late;
    unsigned number = 0;
    unsigned next = 0;

    start_held(f);
    deaf = open_sub(f, "");
    late = open_sub(f, "");
    deaf->is_deaf = late->is_deaf = true;
    number = choke(f, "t", number, 500);
    while (counts(f)->dropped == 0) {
        /* It reads all, then nothing while some more come. */
        late->is_deaf = false;
        while (next < number) {
            expect_event(f, late, "t", next++, 500);
        }
        late->is_deaf = true;
        for (int i = 0; i < HELD_BLOCKS * BLOCK / 500 / 4; i++) {
            publish(f, "t", number++, 500);
        }
        zserver_flush(f->s);
    }
    late->is_deaf = false;
    while (next < number) {
        DRIVE_UNTIL(f, next_event(late, &event));
        assert_int_equal(event.number, next++);
    }
    assert_int_equal(read_rest(f, deaf, number), number - counts(f)->dropped);
}

static void the_newest_events_are_kept(void **state)
{
    struct fixture *f = *state;
    struct event event = {0};
    struct peer *p;
    unsigned number = 0;

    start_held(f);
    p = open_sub(f, "");
    p->is_deaf = true;
    number = choke(f, "t", number, 200);
    for (int i = 0; i < 10000; i++) {
        publish(f, "t", number++, 200);
        zserver_flush(f->s);
    }
    p->is_deaf = false;
    DRIVE_UNTIL(f, !zserver_is_writing(f->s));
    let_time_pass(f);
    /* The last ones without a gap, at least half of what may wait. */
    for (unsigned next = 0, in_row = 0; next_event(p, &event); next = event.number + 1) {
        in_row = event.number == next ? in_row + 1 : 1;
        if (event.number == number - 1) {
            assert_true(in_row >= HELD_BLOCKS / 2 * (BLOCK / 220));
        }
    }
    assert_int_equal(event.number, number - 1);
}

/* ---- memory ---- */

enum { SMALL_BLOCK = 2048 };

/* As many allocations as at another time, but for queues and buffers that come and go. */
static void assert_near(long live)
{
    assert_true(failmalloc_live() <= live + SOME && failmalloc_live() >= live - SOME);
}

static void memory_comes_back_when_all_is_read(void **state)
{
    struct fixture *f = *state;
    struct peer *peers[3];
    unsigned number = 0;
    unsigned next = 0;
    long live = 0;

    f->options.block_bytes = SMALL_BLOCK;
    start(f, ZSERVER_PUB);
    for (size_t i = 0; i < 3; i++) {
        peers[i] = open_sub(f, "");
    }
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < 3; i++) {
            peers[i]->is_deaf = true;
        }
        number = choke(f, "t", number, 300);
        for (int i = 0; i < 1000; i++) {
            publish(f, "t", number++, i % 10 == 0 ? 8000 : 300);
        }
        zserver_flush(f->s);
        if (round > 0) {
            assert_true(failmalloc_live() > live + 100);
        }
        for (size_t i = 0; i < 3; i++) {
            unsigned n = next;
            struct event event;

            peers[i]->is_deaf = false;
            while (n < number) {
                DRIVE_UNTIL(f, next_event(peers[i], &event));
                assert_int_equal(event.number, n++);
            }
        }
        next = number;
        DRIVE_UNTIL(f, !zserver_is_writing(f->s));
        let_time_pass(f);
        if (round > 0) {
            assert_near(live);
        }
        live = failmalloc_live();
    }
}

static void memory_comes_back_when_the_readers_go(void **state)
{
    struct fixture *f = *state;
    unsigned number = 0;
    long live = 0;

    f->options.block_bytes = SMALL_BLOCK;
    start(f, ZSERVER_PUB);
    for (int round = 0; round < 4; round++) {
        struct peer *first = open_sub(f, "");
        struct peer *second = open_sub(f, "");
        long full = 0;

        first->is_deaf = second->is_deaf = true;
        number = choke(f, "t", number, 300);
        for (int i = 0; i < 2000; i++) {
            publish(f, "t", number++, 300);
        }
        zserver_flush(f->s);
        full = failmalloc_live();
        hang_up(first, false);
        DRIVE_UNTIL(f, counts(f)->connections == 1);
        hang_up(second, true);
        DRIVE_UNTIL(f, counts(f)->connections == 0);
        assert_false(zserver_is_writing(f->s));
        step(f); /* what a connection had is freed in the turn after its end */
        assert_true(failmalloc_live() < full - 100);
        if (round > 0) {
            assert_near(live);
        }
        live = failmalloc_live();
    }
}

/* Nothing is left of a connection: not of its handshake, its heartbeats, its events. */
static void connections_leave_nothing(void **state)
{
    struct fixture *f = *state;
    struct event event;
    unsigned number = 0;
    long live = 0;

    f->options.block_bytes = 256;
    start(f, ZSERVER_PUB);
    for (int round = 0; round < 60; round++) {
        struct peer *p = open_sub(f, "");

        for (int i = 0; i < 5; i++) {
            struct zmtp_frame pong;

            add_frame(&p->to_say, COMMAND, "\4PING\0\0ctx", 10);
            DRIVE_UNTIL(f, heard(p, &pong));
            assert_true(pong.is_command && is_text(&pong, "\4PONGctx"));
            publish(f, "t", number, 30);
            DRIVE_UNTIL(f, next_event(p, &event));
            assert_int_equal(event.number, number++);
        }
        forget_peers(f);
        forget_taken(f);
        DRIVE_UNTIL(f, counts(f)->connections == 0);
        step(f);
        if (round == 10) {
            live = failmalloc_live();
        }
    }
    assert_near(live);
}

/* ---- everything at once ---- */

struct dice {
    uint64_t seed;
};

static unsigned roll(struct dice *d, unsigned sides)
{
    d->seed = d->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(d->seed >> 33) % sides;
}

/* What has to be true of whatever a subscriber gets: `next` is the first number that it may be. */
static void check_events(struct peer *p, unsigned *next)
{
    struct event event;

    while (next_event(p, &event)) {
        assert_true(event.number >= *next);
        *next = event.number + 1;
    }
}

static void play(struct fixture *f, struct dice *d)
{
    static const char *const prefixes[] = {"", "a", "ab", "b", "c"};
    enum { PLAYERS = 6, MOVES = 1500 };
    struct peer *players[PLAYERS];
    unsigned next[PLAYERS] = {0};
    unsigned number = 0;

    for (size_t i = 0; i < PLAYERS; i++) {
        players[i] = open_sub(f, prefixes[roll(d, 5)]);
    }
    for (int move = 0; move < MOVES; move++) {
        const size_t i = roll(d, PLAYERS);
        struct peer *p = players[i];

        for (unsigned n = roll(d, 40); n > 0; n--) {
            const size_t len = roll(d, 20) == 0 ? roll(d, 40000) : roll(d, 400);

            publish(f, prefixes[roll(d, 5)], number++, len + 10);
        }
        p->is_deaf = roll(d, 3) == 0;
        p->most = roll(d, 2) == 0 ? 1 + roll(d, 3000) : 0;
        say_interest(p, roll(d, 2) == 0, prefixes[roll(d, 5)]);
        step(f);
        for (size_t k = 0; k < PLAYERS; k++) {
            check_events(players[k], &next[k]);
        }
        assert_held(f, 0);
        forget_taken(f);
    }
    for (size_t i = 0; i < PLAYERS; i++) {
        players[i]->is_deaf = false;
        players[i]->most = 0;
    }
    DRIVE_UNTIL(f, !zserver_is_writing(f->s));
    let_time_pass(f);
    for (size_t i = 0; i < PLAYERS; i++) {
        check_events(players[i], &next[i]);
        assert_int_equal(players[i]->parsed, players[i]->received.len);
    }
}

static void whatever_happens_readers_get_whole_events_in_order(void **state)
{
    struct fixture *f = *state;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        start_held(f);
        play(f, &(struct dice){.seed = seed});
        zserver_destroy(&f->s);
        forget_peers(f);
        forget_taken(f);
    }
}

static long live_before;

/* All of the above has been given back when the server is gone. */
static int teardown_and_count(void **state)
{
    struct fixture *f = *state;
    long live = 0;

    forget_peers(f);
    forget_taken(f);
    zserver_destroy(&f->s);
    live = failmalloc_live();
    assert_int_equal(teardown(state), 0);
    assert_int_equal(live, live_before + 1); /* the fixture itself */
    return 0;
}

static int count_and_setup(void **state)
{
    live_before = failmalloc_live();
    return setup(state);
}

#define TEST_HELD(name) cmocka_unit_test_setup_teardown(name, count_and_setup, teardown_and_count)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_HELD(who_does_not_read_loses_the_oldest),
        TEST_HELD(large_events_keep_to_the_limit),
        TEST_HELD(large_and_small_events_keep_to_the_limit),
        TEST_HELD(large_events_after_less_large_ones_keep_to_the_limit),
        TEST_HELD(events_larger_than_the_limit_get_through),
        TEST_HELD(only_those_furthest_behind_lose),
        TEST_HELD(the_newest_events_are_kept),
        TEST_HELD(memory_comes_back_when_all_is_read),
        TEST_HELD(memory_comes_back_when_the_readers_go),
        TEST_HELD(connections_leave_nothing),
        TEST_HELD(whatever_happens_readers_get_whole_events_in_order),
    };

    return cmocka_run_group_tests_name("server_held", tests, NULL, NULL);
}
