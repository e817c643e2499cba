/* disk_writer: the thread alone, on a real store; the test plays the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/disk_start.h"
#include "daemon/disk_writer.h"
#include "daemon/disk_writer_private.h"
#include "scratch.h"

#define WAIT_MS 60000
/* After so many looks at the clock the writer has seen what was posted before, many times over. */
#define LOOKS 20

static char folder[SCRATCH_BYTES];
static struct store *store;
static struct mailbox *loop;
static struct disk_writer *writer;
static struct disk_writer_options options;
static struct disk_voids voids;
static uint64_t last_seq;
static char epoch[EPOCH_LEN + 1];

/* A clock that stands still until the test moves it, and counts how often the writer looks. */
static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t clock_looked = PTHREAD_COND_INITIALIZER;
static int64_t still_now_ms = 1000;
static uint64_t looks;

static int64_t still_mono_ns(void)
{
    int64_t now_ms;

    (void)pthread_mutex_lock(&clock_lock);
    looks++;
    now_ms = still_now_ms;
    (void)pthread_cond_signal(&clock_looked);
    (void)pthread_mutex_unlock(&clock_lock);
    return now_ms * 1000000;
}

static int64_t still_wall_us(void)
{
    return INT64_C(1700000000000000);
}

static void move_clock(int64_t ms)
{
    (void)pthread_mutex_lock(&clock_lock);
    still_now_ms += ms;
    (void)pthread_mutex_unlock(&clock_lock);
}

static int set_up(void **state)
{
    const struct store_options store_options = {
        .mode = STORE_WRITE, .max_bytes = 1 << 20, .reserve_bytes = 4096};
    struct disk_start start;
    struct buf error;

    (void)state;
    assert_true(scratch_folder(folder, "writer"));
    buf_init(&error);
    assert_int_equal(store_open(&store, folder, &store_options, &error), NHUB_OK);
    assert_int_equal(disk_start(store, 1000, &voids, &start, &error), NHUB_OK);
    buf_fini(&error);
    last_seq = start.meta.last_seq;
    memcpy(epoch, start.meta.epoch, sizeof epoch);
    assert_int_equal(mailbox_create(&loop), NHUB_OK);
    options = (struct disk_writer_options){.store = store,
                                           .loop = loop,
                                           .mode = JOURNAL_SYNC_OFF,
                                           .interval_ms = 20,
                                           .max_age_us = INT64_C(3600000000),
                                           .max_bytes = 1 << 20,
                                           .max_pending_bytes = 64 << 20,
                                           .reservation = 1000};
    return 0;
}

static void begin(enum journal_sync mode, uint64_t interval_ms)
{
    options.mode = mode;
    options.interval_ms = interval_ms;
    assert_int_equal(disk_writer_create(&writer, &options), NHUB_OK);
}

static void begin_with_still_clock(enum journal_sync mode)
{
    static const struct clock_source still = {still_mono_ns, still_wall_us};

    clock_set_source(&still);
    begin(mode, WAIT_MS);
}

static struct disk_post *wait_post(void)
{
    static struct letter *waiting;
    struct letter *letter;

    if (!waiting) {
        struct pollfd item = {.fd = mailbox_fd(loop), .events = POLLIN};

        assert_int_equal(poll(&item, 1, WAIT_MS), 1);
        waiting = mailbox_take_all(loop);
    }
    letter = waiting;
    waiting = letter->next;
    return (struct disk_post *)(void *)letter;
}

/* The next batch that comes back; marks before it are skipped. */
static struct disk_batch *wait_batch(void)
{
    struct disk_post *post = wait_post();

    while (post->kind != POST_BATCH) {
        free(post);
        post = wait_post();
    }
    return (struct disk_batch *)(void *)post;
}

static bool wait_stopped(void)
{
    struct disk_mark *mark;
    bool is_orderly;

    disk_writer_stop(writer);
    for (;;) {
        struct disk_post *post = wait_post();

        if (post->kind == POST_BATCH) {
            struct disk_batch *b = (struct disk_batch *)(void *)post;

            disk_batch_destroy(&b);
            continue;
        }
        mark = (struct disk_mark *)(void *)post;
        if (post->kind == POST_STOPPED) {
            break;
        }
        free(mark);
    }
    is_orderly = mark->is_orderly;
    free(mark);
    disk_writer_destroy(&writer);
    return is_orderly;
}

static int tear_down(void **state)
{
    (void)state;
    if (writer) {
        (void)wait_stopped();
    }
    clock_set_source(NULL);
    mailbox_destroy(&loop);
    store_close(&store);
    disk_voids_fini(&voids);
    scratch_remove(folder);
    return 0;
}

/* A batch of `events` events; wants: DURABILITY_… */
static struct disk_batch *make(uint64_t number, int events, int wants)
{
    struct disk_batch *b = NULL;

    assert_int_equal(disk_batch_create(&b, number, last_seq, 100), NHUB_OK);
    memcpy(b->epoch, epoch, sizeof b->epoch);
    for (int i = 0; i < events; i++) {
        disk_batch_add_event(b, clock_wall_us(), "t", 1, "line", 4);
    }
    b->wants = wants;
    last_seq += (uint64_t)events;
    return b;
}

/* Until the writer has seen what was posted; it looks at the clock as long as something is queued.
 * What is due by then is committed. */
static void wait_seen(void)
{
    uint64_t enough;

    (void)pthread_mutex_lock(&clock_lock);
    enough = looks + LOOKS;
    while (looks < enough) {
        (void)pthread_cond_wait(&clock_looked, &clock_lock);
    }
    (void)pthread_mutex_unlock(&clock_lock);
}

static uint64_t commits_now(void)
{
    struct disk_report report;

    disk_writer_report(writer, &report);
    return report.commits;
}

/* Batches number from..to, one event each, that nobody waits for; each alone in the writer's sight
 * before the next one comes. None is committed. */
static void post_and_see_gathered(uint64_t from, uint64_t to, uint64_t charged)
{
    const uint64_t commits = commits_now();

    for (uint64_t number = from; number <= to; number++) {
        struct disk_batch *b = make(number, 1, DURABILITY_MEMORY);

        b->charged = charged;
        disk_writer_post(writer, b);
        wait_seen();
        assert_int_equal(commits_now(), commits);
    }
}

/* Batches 1..count come back, stored by one transaction. */
static void take_stored_together(uint64_t count)
{
    struct disk_report report;

    for (uint64_t number = 1; number <= count; number++) {
        struct disk_batch *b = wait_batch();

        assert_int_equal(b->number, number);
        assert_int_equal(b->status, NHUB_OK);
        disk_batch_destroy(&b);
    }
    disk_writer_report(writer, &report);
    assert_int_equal(report.commits, 1);
    assert_int_equal(report.stored_to, last_seq);
    assert_int_equal(report.records, count);
}

static void count_event(void *context, const struct store_record *record)
{
    uint64_t *sum = context;

    *sum = *sum * 10 + record->seq;
}

static bool visit(void *context, const struct store_record *record)
{
    count_event(context, record);
    return true;
}

static void see_void(void *context, uint64_t from, uint64_t to, enum store_void why)
{
    uint64_t *seen = context;

    assert_int_equal(why, STORE_VOID_NOT_STORED);
    *seen = from * 100 + to;
}

static void an_incomplete_batch_becomes_a_void_and_its_neighbours_are_stored(void **state)
{
    struct disk_batch *batches[3];
    struct store_scan scan = {.to = 100, .visit = visit};
    uint64_t sum = 0;
    uint64_t to;

    (void)state;
    begin(JOURNAL_SYNC_COMMIT, 20);
    for (int i = 0; i < 3; i++) {
        batches[i] = make((uint64_t)i + 1, 2, DURABILITY_SYNCED);
    }
    batches[1]->bytes.failed = true; /* memory ran out while it was filled */
    for (int i = 0; i < 3; i++) {
        disk_writer_post(writer, batches[i]);
    }
    for (int i = 0; i < 3; i++) {
        struct disk_batch *b = wait_batch();

        assert_ptr_equal(b, batches[i]);
        assert_int_equal(b->status, i == 1 ? NHUB_EUNAVAIL : NHUB_OK);
        assert_int_equal(b->is_incomplete, i == 1);
        disk_batch_destroy(&b);
    }
    scan.context = &sum;
    assert_int_equal(store_read(store, &scan, &to), NHUB_OK);
    assert_int_equal(sum, 1256);
    assert_int_equal(store_each_void(store, see_void, &sum), NHUB_OK);
    assert_int_equal(sum, 304);
}

static void without_a_wish_mode_off_gathers_and_a_wish_ends_that(void **state)
{
    struct pollfd item = {.events = POLLIN};
    struct disk_batch *b;

    (void)state;
    begin(JOURNAL_SYNC_OFF, WAIT_MS);
    item.fd = mailbox_fd(loop);
    disk_writer_post(writer, make(1, 1, DURABILITY_MEMORY));
    assert_int_equal(poll(&item, 1, 50), 0); /* it would be back at once otherwise */
    disk_writer_post(writer, make(2, 1, DURABILITY_JOURNALED));
    for (uint64_t number = 1; number <= 2; number++) {
        b = wait_batch();
        assert_int_equal(b->number, number);
        assert_int_equal(b->durability, DURABILITY_JOURNALED);
        disk_batch_destroy(&b);
    }
}

static void what_comes_within_twenty_milliseconds_shares_a_transaction(void **state)
{
    (void)state;
    begin_with_still_clock(JOURNAL_SYNC_COMMIT);
    post_and_see_gathered(1, 5, 100);
    move_clock(19);
    wait_seen();
    post_and_see_gathered(6, 10, 100);
    move_clock(1); /* the time counts from the first one */
    take_stored_together(10);
}

/* It looks up once a second, and is woken then: such a moment does not count. */
static void what_is_gathered_wakes_nobody(void **state)
{
    struct pollfd box = {.events = POLLIN};
    uint64_t posted = 1;
    int asleep = 0;

    (void)state;
    begin(JOURNAL_SYNC_OFF, WAIT_MS);
    box.fd = mailbox_fd(writer->box);
    disk_writer_post(writer, make(1, 1, DURABILITY_MEMORY));
    while (asleep < 5) {
        const int64_t before = atomic_load(&writer->room);
        int is_woken;

        disk_writer_post(writer, make(++posted, 1, DURABILITY_MEMORY));
        is_woken = poll(&box, 1, 0);
        if (before > 0 && atomic_load(&writer->room) == before) {
            assert_int_equal(is_woken, 0);
            asleep++;
        }
        assert_true(posted < 100000);
        (void)poll(NULL, 0, 1);
    }
    disk_writer_post(writer, make(++posted, 1, DURABILITY_JOURNALED));
    for (uint64_t number = 1; number <= posted; number++) {
        struct disk_batch *b = wait_batch();

        assert_int_equal(b->number, number);
        disk_batch_destroy(&b);
    }
}

static void who_waits_ends_the_gathering_for_all(void **state)
{
    (void)state;
    begin_with_still_clock(JOURNAL_SYNC_INTERVAL);
    post_and_see_gathered(1, 3, 100);
    disk_writer_post(writer, make(4, 1, DURABILITY_JOURNALED));
    take_stored_together(4);
}

static void half_a_full_backlog_is_not_gathered_any_longer(void **state)
{
    struct disk_batch *last;

    (void)state;
    options.max_pending_bytes = 8000;
    begin_with_still_clock(JOURNAL_SYNC_COMMIT);
    post_and_see_gathered(1, 3, 1000);
    last = make(4, 1, DURABILITY_MEMORY);
    last->charged = 1000;
    disk_writer_post(writer, last);
    take_stored_together(4); /* the clock stands still */
}

static void an_interval_forces_what_was_committed_and_a_wish_does_it_at_once(void **state)
{
    struct disk_report report;
    struct disk_batch *b;
    struct disk_post *post;

    (void)state;
    begin(JOURNAL_SYNC_INTERVAL, 30);
    disk_writer_post(writer, make(1, 1, DURABILITY_MEMORY));
    b = wait_batch();
    assert_int_equal(b->durability, DURABILITY_JOURNALED);
    disk_batch_destroy(&b);
    while ((post = wait_post())->kind != POST_SYNCED) {
        free(post);
    }
    assert_int_equal(((struct disk_mark *)(void *)post)->batch, 1);
    assert_int_equal(((struct disk_mark *)(void *)post)->to, 1);
    free(post);
    disk_writer_post(writer, make(2, 1, DURABILITY_SYNCED));
    b = wait_batch();
    assert_int_equal(b->durability, DURABILITY_SYNCED);
    disk_batch_destroy(&b);
    disk_writer_figures(writer, &report);
    assert_int_equal(report.stored_to, 2);
    assert_int_equal(report.records, 2);
    assert_true(report.syncs >= 2 && report.commits >= 2);
    assert_true(report.commit_max_us >= report.commit_p50_us && report.commit_p50_us > 0);
}

static void a_reservation_is_told_when_it_is_synced(void **state)
{
    struct disk_report report;
    struct disk_batch *b = make(1, 0, DURABILITY_MEMORY);

    (void)state;
    begin(JOURNAL_SYNC_INTERVAL, WAIT_MS);
    disk_writer_report(writer, &report);
    assert_int_equal(report.reserved_to, 1000);
    b->reserve_to = 1500;
    disk_writer_post(writer, b);
    b = wait_batch();
    assert_int_equal(b->durability, DURABILITY_SYNCED);
    disk_batch_destroy(&b);
    disk_writer_report(writer, &report);
    assert_int_equal(report.reserved_to, 1500);
}

static void what_is_queued_at_the_end_is_written_and_the_stop_is_clean(void **state)
{
    struct store_meta meta;

    (void)state;
    begin(JOURNAL_SYNC_OFF, WAIT_MS);
    for (uint64_t i = 1; i <= 20; i++) {
        disk_writer_post(writer, make(i, 3, DURABILITY_MEMORY));
    }
    assert_true(wait_stopped());
    store_get_meta(store, &meta);
    assert_true(meta.was_clean);
    assert_int_equal(meta.last_seq, 60);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_incomplete_batch_becomes_a_void_and_its_neighbours_are_stored),
        ROW(without_a_wish_mode_off_gathers_and_a_wish_ends_that),
        ROW(what_comes_within_twenty_milliseconds_shares_a_transaction),
        ROW(what_is_gathered_wakes_nobody),
        ROW(who_waits_ends_the_gathering_for_all),
        ROW(half_a_full_backlog_is_not_gathered_any_longer),
        ROW(an_interval_forces_what_was_committed_and_a_wish_does_it_at_once),
        ROW(a_reservation_is_told_when_it_is_synced),
        ROW(what_is_queued_at_the_end_is_written_and_the_stop_is_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
