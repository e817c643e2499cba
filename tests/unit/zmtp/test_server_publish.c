/*
 * server_publish: who gets which event, and that each gets it whole, whatever the others do.
 */
#include "publish_fixture.h"

static void each_gets_what_begins_with_its_prefix(void **state)
{
    struct fixture *f = *state;
    struct peer *all;
    struct peer *orders;
    struct peer *exact;
    struct peer *nothing;

    start(f, ZSERVER_PUB);
    all = open_sub(f, "");
    orders = open_sub(f, "order.");
    exact = open_sub(f, "order.paid");
    nothing = open_sub(f, "order.paid.twice");
    publish(f, "order.paid", 1, 20);
    publish(f, "order", 2, 20);
    publish(f, "order.", 3, 20);
    publish(f, "Order.paid", 4, 20);
    publish(f, "", 5, 20);
    publish(f, "order.paidback", 6, 20);
    expect_event(f, all, "order.paid", 1, 20);
    expect_event(f, all, "order", 2, 20);
    expect_event(f, all, "order.", 3, 20);
    expect_event(f, all, "Order.paid", 4, 20);
    expect_event(f, all, "", 5, 20);
    expect_event(f, all, "order.paidback", 6, 20);
    expect_event(f, orders, "order.paid", 1, 20);
    expect_event(f, orders, "order.", 3, 20);
    expect_event(f, orders, "order.paidback", 6, 20);
    expect_event(f, exact, "order.paid", 1, 20);
    expect_event(f, exact, "order.paidback", 6, 20);
    expect_no_more(f, all);
    expect_no_more(f, orders);
    expect_no_more(f, exact);
    expect_no_more(f, nothing);
    assert_int_equal(counts(f)->dropped, 0);
    assert_int_equal(counts(f)->failed, 0);
}

static void an_event_comes_once_though_several_prefixes_match(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    start(f, ZSERVER_PUB);
    p = open_sub(f, "");
    subscribe(f, p, "a");
    subscribe(f, p, "a.b");
    subscribe(f, p, "a.b.c");
    for (unsigned i = 0; i < 100; i++) {
        publish(f, "a.b.c.d", i, 50);
    }
    for (unsigned i = 0; i < 100; i++) {
        expect_event(f, p, "a.b.c.d", i, 50);
    }
    expect_no_more(f, p);
}

static void a_subscription_holds_until_its_end(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    start(f, ZSERVER_PUB);
    p = open_sub(f, "a");
    subscribe(f, p, "ab");
    subscribe(f, p, "c");
    say_interest(p, true, "c"); /* once more */
    say_interest(p, false, "a");
    say_interest(p, false, "never");
    say_interest(p, false, "c"); /* ends both: a connection has a prefix or has it not */
    DRIVE_UNTIL(f, counts(f)->unsubscribed == 2);
    assert_int_equal(counts(f)->subscribed, 3);
    publish(f, "a", 1, 20);
    publish(f, "abc", 2, 20);
    publish(f, "c", 3, 20);
    expect_event(f, p, "abc", 2, 20);
    expect_no_more(f, p);
    say_interest(p, true, "c");
    DRIVE_UNTIL(f, counts(f)->subscribed == 4);
    publish(f, "c", 4, 20);
    expect_event(f, p, "c", 4, 20);
    assert_int_equal(counts(f)->noise, 0);
    assert_int_equal(counts(f)->too_long, 0);
}

static void what_is_no_subscription_is_counted_and_does_not_harm(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    start(f, ZSERVER_PUB);
    p = open_sub(f, "a");
    say_text(p, "");
    say_text(p, "\2a");
    say_text(p, "subscribe me");
    say_text(p, "\377");
    DRIVE_UNTIL(f, counts(f)->noise == 4);
    assert_true(was_logged(f, "subscriber_noise"));
    publish(f, "a", 1, 20);
    publish(f, "subscribe", 2, 20);
    expect_event(f, p, "a", 1, 20);
    expect_no_more(f, p);
    assert_int_equal(counts(f)->subscribed, 1);
    assert_int_equal(counts(f)->connections, 1);
}

/* A subscription is one frame: no frame of a longer message is one. */
static void a_message_of_several_frames_is_no_subscription(void **state)
{
    struct fixture *f = *state;
    struct peer *p;

    start(f, ZSERVER_PUB);
    p = open_sub(f, "x");
    add_text(&p->to_say, MORE, "\1a");
    add_text(&p->to_say, MORE, "\1b");
    add_text(&p->to_say, LAST, "\1c");
    say_interest(p, true, "y");
    DRIVE_UNTIL(f, counts(f)->subscribed >= 2 && f->taken_count >= 5);
    assert_int_equal(counts(f)->subscribed, 2);
    assert_true(counts(f)->noise > 0);
    for (unsigned i = 0; i < 3; i++) {
        publish(f, (const char *[]){"a", "b", "c"}[i], i, 20);
    }
    publish(f, "y", 4, 20);
    expect_event(f, p, "y", 4, 20);
    expect_no_more(f, p);
}

static void a_prefix_longer_than_any_type_is_counted(void **state)
{
    struct fixture *f = *state;
    char prefix[257] = {0};
    struct peer *p;

    memset(prefix, 'p', 256);
    start(f, ZSERVER_PUB);
    p = open_sub(f, "x");
    say_interest(p, true, prefix);
    DRIVE_UNTIL(f, counts(f)->too_long == 1);
    assert_true(was_logged(f, "subscription_too_long"));
    assert_int_equal(counts(f)->subscribed, 1);
    publish(f, prefix, 1, 20);
    prefix[255] = '\0';
    subscribe(f, p, prefix);
    publish(f, prefix, 2, 20);
    expect_event(f, p, prefix, 2, 20);
    say_interest(p, false, prefix);
    DRIVE_UNTIL(f, counts(f)->unsubscribed == 1);
    assert_int_equal(counts(f)->noise, 0);
    assert_int_equal(counts(f)->connections, 1);
}

static void a_connection_that_ends_unsubscribes(void **state)
{
    struct fixture *f = *state;
    struct peer *goes;
    struct peer *stays;

    start(f, ZSERVER_PUB);
    goes = open_sub(f, "a");
    subscribe(f, goes, "");
    subscribe(f, goes, "b");
    stays = open_sub(f, "a");
    hang_up(goes, false);
    DRIVE_UNTIL(f, counts(f)->connections == 1);
    assert_int_equal(counts(f)->unsubscribed, 3);
    publish(f, "a", 1, 20);
    publish(f, "b", 2, 20);
    expect_event(f, stays, "a", 1, 20);
    expect_no_more(f, stays);
    assert_int_equal(counts(f)->dropped, 0);
    hang_up(stays, true);
    DRIVE_UNTIL(f, counts(f)->connections == 0);
    assert_int_equal(counts(f)->unsubscribed, 4);
}

/* A subscription that came together with the handshake and at once ended. */
static void who_goes_right_after_it_subscribed_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    start(f, ZSERVER_PUB);
    for (int i = 0; i < 20; i++) {
        struct peer *p = dial(f);

        add_handshake(&p->to_say, i % 2 ? "SUB" : "XSUB");
        say_interest(p, true, "a");
        hang_up(p, i % 4 > 1);
    }
    DRIVE_UNTIL(f, counts(f)->connections == 0 && counts(f)->subscribed > 0);
    publish(f, "a", 1, 20);
    assert_false(zserver_is_writing(f->s));
    assert_int_equal(counts(f)->unsubscribed, counts(f)->subscribed);
}

static const char *const types[] = {"a", "ab", "abc", "b", "ba", "c"};
enum { TYPES = sizeof types / sizeof types[0] };

/* The next event that the prefix matches. */
static unsigned next_wanted(unsigned number, const char *prefix)
{
    while (strncmp(types[number % TYPES], prefix, strlen(prefix)) != 0) {
        number++;
    }
    return number;
}

static size_t length_of(unsigned number)
{
    static const size_t lengths[] = {10, 243, 244, 245, 246, 247, 255, 256, 257, 1000};

    return number % 50 == 49 ? 100000 : lengths[number % 10];
}

/* Reads what is here and returns the next event that it has to get. */
static unsigned read_all(struct peer *p, const char *prefix, unsigned next)
{
    struct event event;

    while (next_event(p, &event)) {
        next = next_wanted(next, prefix);
        assert_int_equal(event.number, next);
        assert_true(is_text(&event.type, types[next % TYPES]));
        assert_int_equal(event.len, length_of(next));
        next++;
    }
    return next;
}

/* Events of all lengths around which something changes share blocks, and some have their own. */
static void each_reads_at_its_own_speed(void **state)
{
    struct fixture *f = *state;
    static const char *const prefixes[] = {"", "a", "ab", "b", "c", ""};
    static const size_t speeds[] = {0, 100, 7, 0, 1, 3000};
    enum { PEERS = 6, EVENTS = 600 };
    struct peer *peers[PEERS];
    unsigned next[PEERS] = {0};
    unsigned done = 0;

    f->options.block_bytes = 4096;
    start(f, ZSERVER_PUB);
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = open_sub(f, prefixes[i]);
        peers[i]->most = speeds[i];
    }
    for (unsigned i = 0; i < EVENTS; i++) {
        publish(f, types[i % TYPES], i, length_of(i));
        if (i % 7 == 0) {
            step(f);
        }
    }
    for (int steps = 0; done < PEERS; steps++) {
        step(f);
        done = 0;
        for (size_t i = 0; i < PEERS; i++) {
            next[i] = read_all(peers[i], prefixes[i], next[i]);
            done += next_wanted(next[i], prefixes[i]) >= EVENTS;
            if (steps == 5000) {
                peers[i]->most = 0; /* it has seen enough of it */
            }
        }
    }
    for (size_t i = 0; i < PEERS; i++) {
        expect_no_more(f, peers[i]);
    }
    assert_int_equal(counts(f)->dropped, 0);
}

static void who_does_not_read_loses_the_newest_and_only_its_own(void **state)
{
    struct fixture *f = *state;
    struct event event;
    struct peer *slow;
    struct peer *quick;
    unsigned number = 0;
    unsigned last = 0;

    f->options.queue_max = 10;
    start(f, ZSERVER_PUB);
    slow = open_sub(f, "slow");
    quick = open_sub(f, "");
    slow->is_deaf = true;
    while (counts(f)->dropped == 0) {
        publish(f, "slow", number, 1000);
        expect_event(f, quick, "slow", number++, 1000);
    }
    last = number - 1;
    for (unsigned i = 0; i < 50; i++) {
        publish(f, "slow", number, 1000);
        expect_event(f, quick, "slow", number++, 1000);
    }
    assert_int_equal(counts(f)->dropped, 51);
    assert_true(was_logged(f, "event_not_sent"));
    slow->is_deaf = false;
    for (unsigned i = 0; i < last; i++) {
        expect_event(f, slow, "slow", i, 1000);
    }
    expect_no_more(f, slow);
    publish(f, "slow", number, 1000);
    DRIVE_UNTIL(f, next_event(slow, &event));
    assert_int_equal(event.number, number);
    assert_int_equal(counts(f)->dropped, 51);
    assert_int_equal(counts(f)->failed, 0);
}

/* A peer's queue is what waits: it does not have to be read to its end. */
static void what_was_written_makes_room(void **state)
{
    struct fixture *f = *state;
    struct peer *p;
    unsigned number = 0;
    uint64_t dropped = 0;

    f->options.queue_max = 10000;
    start(f, ZSERVER_PUB);
    p = open_sub(f, "");
    p->is_deaf = true;
    while (counts(f)->dropped == 0) {
        publish(f, "t", number++, 1000);
        zserver_flush(f->s);
    }
    dropped = counts(f)->dropped;
    p->is_deaf = false;
    for (unsigned next = 0; next < 8000; next++) {
        expect_event(f, p, "t", next, 1000);
    }
    publish(f, "t", number, 1000);
    assert_int_equal(counts(f)->dropped, dropped);
}

/* While a peer waits for room the others are served, and it goes on where it stopped. */
static void who_reads_again_goes_on_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    struct peer *p;
    unsigned number = 0;
    unsigned next = 0;

    start(f, ZSERVER_PUB);
    p = open_sub(f, "");
    for (int round = 0; round < 5; round++) {
        p->is_deaf = true;
        number = choke(f, "t", number, 700);
        let_time_pass(f);
        assert_true(zserver_is_writing(f->s));
        p->is_deaf = false;
        while (next < number) {
            expect_event(f, p, "t", next++, 700);
        }
        expect_no_more(f, p);
    }
    assert_int_equal(counts(f)->dropped, 0);
}

/* Its subscriptions hold until the end of the connection is seen. */
static void publishing_to_one_who_has_gone_harms_nobody(void **state)
{
    struct fixture *f = *state;
    struct peer *stays;
    unsigned number = 0;

    start(f, ZSERVER_PUB);
    stays = open_sub(f, "");
    for (int i = 0; i < 10; i++) {
        hang_up(open_sub(f, ""), i % 2 == 0);
    }
    while (number < 1000) { /* no turn: the server has not heard of it */
        publish(f, "t", number++, 100);
        zserver_flush(f->s);
    }
    for (unsigned i = 0; i < number; i++) {
        expect_event(f, stays, "t", i, 100);
    }
    DRIVE_UNTIL(f, counts(f)->connections == 1);
    assert_int_equal(counts(f)->unsubscribed, 10);
    assert_int_equal(counts(f)->dropped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_gets_what_begins_with_its_prefix),
        TEST(an_event_comes_once_though_several_prefixes_match),
        TEST(a_subscription_holds_until_its_end),
        TEST(what_is_no_subscription_is_counted_and_does_not_harm),
        TEST(a_message_of_several_frames_is_no_subscription),
        TEST(a_prefix_longer_than_any_type_is_counted),
        TEST(a_connection_that_ends_unsubscribes),
        TEST(who_goes_right_after_it_subscribed_leaves_nothing),
        TEST(each_reads_at_its_own_speed),
        TEST(who_does_not_read_loses_the_newest_and_only_its_own),
        TEST(what_was_written_makes_room),
        TEST(who_reads_again_goes_on_where_it_stopped),
        TEST(publishing_to_one_who_has_gone_harms_nobody),
    };

    return cmocka_run_group_tests_name("server_publish", tests, NULL, NULL);
}
