/* disk: the journal on a real store in a temporary folder, with small reservations and limits. A
 * limit on the size of files plays the disk that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/disk.h"
#include "daemon/ring.h"
#include "scratch.h"
#include "store/store.h"
#include "wire/request.h"

#define WAIT_MS 60000

static char folder[SCRATCH_BYTES];
static struct disk_options options;
static struct journal *journal;

/* What the listener has heard. */
static struct {
    uint64_t batch[DURABILITY_SYNCED + 1]; /* kept so well */
    uint64_t lost_batch;
} heard;

static void hear(void *context, int durability, uint64_t seq, uint64_t batch, nhub_err status)
{
    (void)context;
    (void)seq;
    if (status) {
        heard.lost_batch = batch;
        return;
    }
    for (int d = DURABILITY_MEMORY; d <= durability; d++) {
        assert_true(batch >= heard.batch[d] || d < durability);
        heard.batch[d] = batch > heard.batch[d] ? batch : heard.batch[d];
    }
}

static void open_journal(uint64_t ring_events)
{
    const struct ring_limits limits = {
        .max_events = ring_events, .max_bytes = 1 << 20, .max_record_bytes = 10000};
    struct journal *ring = NULL;
    struct buf error;

    buf_init(&error);
    memset(&heard, 0, sizeof heard);
    assert_int_equal(ring_create(&ring, &limits), NHUB_OK);
    if (disk_create(&journal, &ring, &options, &error) != NHUB_OK) {
        fail_msg("%s", buf_cstr(&error));
    }
    assert_null(ring);
    journal_set_listener(journal, hear, NULL);
    buf_fini(&error);
}

static int set_up(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_true(scratch_folder(folder, "disk"));
    options = (struct disk_options){.path = folder,
                                    .mode = JOURNAL_SYNC_COMMIT,
                                    .interval_ms = 20,
                                    .max_age_s = 3600,
                                    .max_bytes = 1 << 20,
                                    .hold_max_bytes = 1 << 20,
                                    .max_pending_bytes = 1 << 20,
                                    .dedup_window_s = 60,
                                    .dedup_ids = 100,
                                    .max_record_bytes = 10000,
                                    .reservation = STORE_RESERVATION};
    open_journal(1000);
    return 0;
}

static void set_disk_full(bool is_full)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_full ? 4096 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int tear_down(void **state)
{
    (void)state;
    set_disk_full(false);
    journal_destroy(&journal);
    scratch_remove(folder);
    return 0;
}

/* One turn of the hub's loop, which may wait for the journal. */
static void turn(int timeout_ms)
{
    struct pollfd item = {.fd = journal_fd(journal), .events = POLLIN};

    if (poll(&item, 1, timeout_ms) > 0) {
        journal_turn(journal);
    }
}

static bool append_at(size_t len, int64_t arrival_us)
{
    struct journal_slot slot;

    if (journal_open_slot(journal, "type", 4, len, &slot) != NHUB_OK) {
        return false;
    }
    memset(slot.line, 'a' + (int)(slot.position.seq % 26), len);
    journal_close_slot(journal, len, arrival_us);
    return true;
}

static bool append(size_t len)
{
    return append_at(len, clock_wall_us());
}

static struct journal_state look(void)
{
    struct journal_state now;

    journal_state(journal, &now);
    return now;
}

static void wait_kept(int durability)
{
    const uint64_t batch = journal->batch;

    journal_want(journal, durability);
    journal_commit(journal);
    for (int i = 0; heard.batch[durability] < batch && heard.lost_batch < batch; i++) {
        assert_true(i < WAIT_MS);
        turn(1);
    }
}

static void wait_condition(enum journal_condition condition)
{
    for (int i = 0; look().condition != condition; i++) {
        assert_true(i < WAIT_MS);
        turn(1);
    }
}

static void reopen(uint64_t ring_events)
{
    journal_stop(journal);
    journal_destroy(&journal);
    open_journal(ring_events);
}

/* ---- scans ---- */

struct seen {
    struct journal_scan scan;
    uint64_t first, last;
    size_t count;
    bool is_done;
    nhub_err status;
};

static bool see(struct journal_scan *scan, const struct journal_record *record)
{
    struct seen *s = (struct seen *)(void *)scan;

    if (s->count == 0) {
        s->first = record->seq;
    } else if (record->seq != s->last + 1) {
        return false;
    }
    for (size_t i = 0; i < record->len; i++) {
        if (record->line[i] != 'a' + (char)(record->seq % 26)) {
            return false;
        }
    }
    s->last = record->seq;
    s->count++;
    return true;
}

static void finished(struct journal_scan *scan, nhub_err status)
{
    struct seen *s = (struct seen *)(void *)scan;

    s->is_done = true;
    s->status = status;
}

static struct seen scan(uint64_t after, uint64_t to)
{
    struct seen s = {.scan = {.after = after, .to = to, .visit = see, .done = finished}};

    journal_scan(journal, &s.scan);
    journal_commit(journal);
    for (int i = 0; !s.is_done; i++) {
        assert_true(i < WAIT_MS);
        turn(1);
    }
    assert_int_equal(s.status, NHUB_OK);
    return s;
}

/* ---- numbers ---- */

static void reservations_grow_before_they_are_used_up(void **state)
{
    struct store *store = NULL;
    struct store_options read = {.mode = STORE_READ};
    struct store_meta meta;
    struct buf error;

    (void)state;
    options.reservation = 1000;
    reopen(1000);
    for (int i = 1; i <= 10000; i++) {
        assert_true(append(20));
        if (i % 100 == 0) {
            wait_kept(DURABILITY_SYNCED);
        }
    }
    assert_int_equal(look().last, 10000);
    assert_int_equal(look().synced, 10000);
    journal_stop(journal);
    journal_destroy(&journal);
    buf_init(&error);
    assert_int_equal(store_open(&store, folder, &read, &error), NHUB_OK);
    store_get_meta(store, &meta);
    assert_true(meta.was_clean);
    assert_int_equal(meta.last_seq, 10000);
    store_close(&store);
    buf_fini(&error);
}

static void numbers_beyond_the_reservation_are_refused_while_the_disk_is_only_slow(void **state)
{
    (void)state;
    options.reservation = 100;
    reopen(1000);
    for (int i = 0; i < 100; i++) {
        assert_true(append(20));
    }
    assert_false(append(20)); /* nothing was committed yet, so nothing was reserved */
    assert_int_equal(journal_reserve(journal, 1), NHUB_EUNAVAIL);
    wait_kept(DURABILITY_SYNCED);
    assert_true(append(20));
    assert_int_equal(look().last, 101);
}

static void a_disk_that_takes_nothing_for_a_whole_reservation_ends_the_epoch(void **state)
{
    char first[EPOCH_LEN + 1];
    char last[EPOCH_LEN + 1];

    (void)state;
    options.reservation = 100;
    reopen(50);
    memcpy(first, journal->epoch, sizeof first);
    for (int i = 0; i < 10; i++) {
        assert_true(append(20));
    }
    wait_kept(DURABILITY_SYNCED);
    set_disk_full(true);
    assert_true(append(20));
    wait_kept(DURABILITY_SYNCED);
    wait_condition(JOURNAL_DEGRADED);
    assert_int_equal(journal->durability_now, DURABILITY_MEMORY);
    for (int i = 0; i < 250; i++) {
        assert_true(append(20));
        if (i % 7 == 0) {
            journal_commit(journal);
            turn(0);
        }
    }
    wait_kept(DURABILITY_MEMORY);
    assert_string_not_equal(journal->epoch, first);
    assert_true(look().last < 100);
    memcpy(last, journal->epoch, sizeof last);
    set_disk_full(false);
    wait_condition(JOURNAL_READY);
    assert_true(append(20));
    wait_kept(DURABILITY_SYNCED);
    assert_int_equal(look().synced, look().last);
    const uint64_t given = look().last;
    reopen(50); /* the new epoch is the one on disk now */
    assert_string_equal(journal->epoch, last);
    assert_int_equal(look().last, given);
    assert_int_equal(look().void_count, 1);
    assert_int_equal(look().voids[0].from, 1);
    assert_int_equal(look().voids[0].to, given - 1);
    assert_string_equal(look().voids[0].reason, "not_stored");
    assert_int_equal(scan(given - 1, given).count, 1);
}

/* ---- a full disk ---- */

static void what_a_full_disk_did_not_take_is_a_void_once_memory_has_forgotten_it(void **state)
{
    (void)state;
    reopen(20);
    for (int i = 0; i < 30; i++) {
        assert_true(append(20));
    }
    wait_kept(DURABILITY_SYNCED);
    set_disk_full(true);
    for (int i = 0; i < 10; i++) {
        assert_true(append(20));
    }
    wait_kept(DURABILITY_SYNCED);
    assert_int_equal(heard.lost_batch + 1, journal->batch);
    assert_true(journal_is_lost(journal, 31));
    assert_true(journal_is_lost(journal, 40));
    assert_false(journal_is_lost(journal, 30));
    assert_int_equal(look().void_count, 0); /* the ring has them */
    assert_int_equal(scan(0, 40).count, 40);
    for (int i = 0; i < 15; i++) {
        assert_true(append(20));
    }
    wait_kept(DURABILITY_MEMORY);
    assert_int_equal(look().voids[0].from, 31);
    assert_int_equal(look().voids[0].to, 35); /* 36 to 55 are in the ring */
    assert_int_equal(scan(0, 40).last, 30);
    assert_int_equal(scan(35, 55).count, 20);
    set_disk_full(false);
    wait_condition(JOURNAL_READY);
    for (int i = 0; i < 30; i++) {
        assert_true(append(20));
    }
    wait_kept(DURABILITY_SYNCED);
    assert_int_equal(look().void_count, 1);
    assert_int_equal(look().voids[0].to, 55);
    assert_int_equal(look().not_stored, 25);
    assert_int_equal(scan(55, 85).count, 30);
}

/* ---- ranges between disk and memory ---- */

static void a_scan_waits_for_what_is_neither_in_memory_nor_on_disk_yet(void **state)
{
    struct seen s;

    (void)state;
    reopen(10);
    for (int i = 0; i < 500; i++) {
        assert_true(append(20)); /* not committed: only the last ten are to be found */
    }
    s = scan(0, 500);
    assert_int_equal(s.first, 1);
    assert_int_equal(s.last, 500);
    s = scan(100, 450);
    assert_int_equal(s.first, 101);
    assert_int_equal(s.last, 450);
}

static void scans_that_are_under_way_at_the_end_are_done_before_stop_returns(void **state)
{
    struct seen many[50];

    (void)state;
    reopen(10);
    for (int i = 0; i < 5000; i++) {
        assert_true(append(50));
    }
    wait_kept(DURABILITY_SYNCED);
    for (size_t i = 0; i < 50; i++) {
        many[i] = (struct seen){.scan = {.after = i, .to = 5000, .visit = see, .done = finished}};
        journal_scan(journal, &many[i].scan);
    }
    journal_stop(journal);
    for (size_t i = 0; i < 50; i++) {
        assert_true(many[i].is_done);
        assert_int_equal(many[i].count, 5000 - i);
    }
}

/* ---- holding ---- */

static void held_records_stay_until_the_hold_is_too_much(void **state)
{
    (void)state;
    journal_hold(journal, 1);
    /* 1 MiB may be there, and 1 MiB more be held. */
    for (int i = 0; look().condition == JOURNAL_READY; i++) {
        assert_true(i < 10000);
        assert_true(append(2000));
        wait_kept(DURABILITY_SYNCED);
    }
    assert_true(look().bytes > 2 << 20);
    assert_int_equal(look().oldest, 1);
    assert_non_null(strstr(look().why, "hold_max_bytes"));
    assert_int_equal(journal->durability_now, DURABILITY_MEMORY);
    journal_hold(journal, 500); /* the group went on */
    wait_condition(JOURNAL_READY);
    assert_true(look().oldest > 1 && look().oldest <= 500);
    journal_hold(journal, 0);
    assert_true(append(2000));
    wait_kept(DURABILITY_SYNCED);
    for (int i = 0; look().bytes > 1 << 20; i++) {
        assert_true(i < WAIT_MS);
        turn(1);
    }
}

/* ---- notes and ids ---- */

struct notes {
    char text[200];
};

static void see_note(void *context, const void *key, size_t key_len, const void *value, size_t len)
{
    struct notes *n = context;
    const size_t used = strlen(n->text);

    (void)snprintf(n->text + used, sizeof n->text - used, "%.*s=%.*s;", (int)key_len,
                   (const char *)key, (int)len, (const char *)value);
}

static void notes_are_kept_with_their_batch(void **state)
{
    struct notes n = {.text = ""};

    (void)state;
    journal_note(journal, "g/a", 3, "1", 1);
    journal_note(journal, "g/b", 3, "2", 1);
    journal_note(journal, "x/a", 3, "3", 1);
    wait_kept(DURABILITY_SYNCED);
    journal_note(journal, "g/a", 3, NULL, 0);
    journal_note(journal, "g/b", 3, "22", 2);
    reopen(10); /* what is not committed at the end is written too */
    assert_int_equal(journal_each_note(journal, "g/", 2, see_note, &n), NHUB_OK);
    assert_string_equal(n.text, "g/b=22;");
}

static void see_id(void *context, const struct journal_id *id)
{
    uint64_t *sum = context;

    assert_int_equal(id->key.lo, id->seq * 10);
    *sum = *sum * 100 + id->seq;
}

static void ids_come_back_newest_first(void **state)
{
    const int64_t now_us = clock_wall_us();
    struct journal_slot slot;
    uint64_t sum = 0;

    (void)state;
    for (uint64_t i = 1; i <= 3; i++) {
        const struct hash128 key = {.lo = i * 10, .hi = 7};

        assert_int_equal(journal_open_slot(journal, "t", 1, 10, &slot), NHUB_OK);
        journal_add_id(journal, &key, i);
        journal_close_slot(journal, 0, now_us + (int64_t)i * 1000);
    }
    reopen(10);
    assert_int_equal(journal_each_id(journal, 2, 0, see_id, &sum), NHUB_OK);
    assert_int_equal(sum, 302);
    sum = 0;
    assert_int_equal(journal_each_id(journal, 100, now_us + 2500, see_id, &sum), NHUB_OK);
    assert_int_equal(sum, 3);
}

/* ---- the backlog ---- */

static void a_full_backlog_says_so_and_ends(void **state)
{
    int count = 0;

    (void)state;
    while (!journal->is_full) {
        assert_true(append(5000));
        assert_true(++count < 1000);
    }
    journal_commit(journal);
    for (int i = 0; journal->is_full; i++) {
        assert_true(i < WAIT_MS);
        turn(1);
    }
    assert_true(look().pending_bytes <= options.max_pending_bytes / 2);
    wait_kept(DURABILITY_SYNCED);
    assert_int_equal(look().synced, count);
}

/* In mode off events are gathered: not for as long as nobody can publish any. */
static void a_full_backlog_is_written_however_long_the_interval_is(void **state)
{
    (void)state;
    options.mode = JOURNAL_SYNC_OFF;
    options.interval_ms = 10 * WAIT_MS;
    reopen(1000);
    while (!journal->is_full) {
        assert_true(append(5000));
        journal_commit(journal);
    }
    for (int i = 0; journal->is_full; i++) {
        assert_true(i < WAIT_MS);
        turn(1);
    }
}

/* ---- time ---- */

/* Whatever the clock does until the next start, and whether or not anything is kept by then. */
static void arrivals_do_not_fall_when_all_was_trimmed_before_a_restart(void **state)
{
    const int64_t old_us = clock_wall_us() - INT64_C(2000000) * (int64_t)options.max_age_s;

    (void)state;
    assert_true(append_at(20, old_us));
    wait_kept(DURABILITY_SYNCED);
    for (int i = 0; look().trimmed_us != old_us; i++) {
        assert_true(i < WAIT_MS);
        turn(1);
    }
    reopen(1000);
    assert_int_equal(look().records, 0);
    assert_int_equal(look().newest_us, old_us);
    assert_true(append_at(20, old_us - 1000));
    assert_int_equal(look().newest_us, old_us);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(reservations_grow_before_they_are_used_up),
        ROW(numbers_beyond_the_reservation_are_refused_while_the_disk_is_only_slow),
        ROW(a_disk_that_takes_nothing_for_a_whole_reservation_ends_the_epoch),
        ROW(what_a_full_disk_did_not_take_is_a_void_once_memory_has_forgotten_it),
        ROW(a_scan_waits_for_what_is_neither_in_memory_nor_on_disk_yet),
        ROW(scans_that_are_under_way_at_the_end_are_done_before_stop_returns),
        ROW(held_records_stay_until_the_hold_is_too_much),
        ROW(notes_are_kept_with_their_batch),
        ROW(ids_come_back_newest_first),
        ROW(a_full_backlog_says_so_and_ends),
        ROW(a_full_backlog_is_written_however_long_the_interval_is),
        ROW(arrivals_do_not_fall_when_all_was_trimmed_before_a_restart),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
