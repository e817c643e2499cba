/* store_verify: a good journal has no problems, and each kind of damage is named. */
#include "store/store_file.h"
#include "store/store_private.h"
#include "store/store_verify.h"

#include "store_fixture.h"

#include "base/clock.h"

#include <unistd.h>

struct report {
    struct store_verify v;
    char text[2000];
    unsigned progress;
};

static void on_problem(void *context, const char *text)
{
    struct report *report = context;

    strncat(report->text, text, sizeof report->text - strlen(report->text) - 1);
    strncat(report->text, "\n", sizeof report->text - strlen(report->text) - 1);
}

static void on_progress(void *context, const char *what, uint64_t done, uint64_t of)
{
    struct report *report = context;

    (void)what;
    assert_true(done <= of);
    report->progress++;
}

static void verify(struct store *s, struct report *report)
{
    *report =
        (struct report){.v = {.problem = on_problem, .progress = on_progress, .context = report}};
    assert_int_equal(store_verify(s, &report->v), NHUB_OK);
}

static void expect(const struct report *report, uint64_t problems, const char *text)
{
    if (report->v.problems != problems || !strstr(report->text, text)) {
        fail_msg("%llu problems: %s", (unsigned long long)report->v.problems, report->text);
    }
}

static void put_everything(struct store *s)
{
    struct store_meta meta;
    size_t count = 0;
    int64_t us = 0;

    reserve(s, 100000);
    put_range(s, 1, 9000);
    assert_int_equal(store_begin(s), NHUB_OK);
    assert_int_equal(store_put_void(s, 9001, 9100, STORE_VOID_UNCLEAN_STOP), NHUB_OK);
    assert_int_equal(store_put_void(s, 9101, 9199, STORE_VOID_NOT_STORED), NHUB_OK);
    for (uint64_t seq = 9200; seq < 9300; seq++) {
        const struct store_id id = {seq, (int64_t)seq * 1000, {seq, seq}, seq};

        assert_int_equal(put_numbered(s, seq), NHUB_OK);
        assert_int_equal(store_put_id(s, &id), NHUB_OK);
    }
    assert_int_equal(store_put_note(s, "group/a", 7, "state", 5), NHUB_OK);
    assert_int_equal(store_commit(s), NHUB_OK);
    assert_int_equal(store_begin(s), NHUB_OK);
    assert_int_equal(store_trim(s, 0, 0, 0, 100, &count, &us), NHUB_OK);
    store_get_meta(s, &meta);
    memcpy(meta.epoch, "secondep", sizeof meta.epoch);
    meta.last_seq = 0;
    assert_int_equal(store_put_meta(s, &meta), NHUB_OK);
    assert_int_equal(store_put_event(s, 1, clock_wall_us(), "t", 1, "{}", 2), NHUB_OK);
    assert_int_equal(store_commit(s), NHUB_OK);
}

static void a_good_journal_has_no_problems(void **state)
{
    struct fixture *f = *state;
    struct report report;

    open_store(f);
    verify(f->s, &report);
    expect(&report, 0, "");
    put_everything(f->s);
    verify(f->s, &report);
    expect(&report, 0, "");
    assert_int_equal(report.v.records, 9001);
    assert_int_equal(report.v.ids, 100);
    assert_int_equal(report.v.voids, 2);
    assert_int_equal(report.v.notes, 1);
    assert_true(report.v.pages > 100);
    assert_true(report.progress > 1);
}

static void a_hole_that_is_no_void_is_named(void **state)
{
    struct fixture *f = *state;
    struct store_meta meta;
    struct report report;
    char expected[100];

    open_store(f);
    reserve(f->s, 1000);
    put_range(f->s, 1, 10);
    put_range(f->s, 15, 20);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_void(f->s, 11, 12, STORE_VOID_NOT_STORED), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    store_get_meta(f->s, &meta);
    verify(f->s, &report);
    (void)snprintf(expected, sizeof expected, "events are missing from %s-13 on, 2 numbers",
                   meta.epoch);
    expect(&report, 1, expected);
}

static void events_in_voids_and_ids_without_events_are_named(void **state)
{
    struct fixture *f = *state;
    const struct store_id id = {5, 1, {1, 1}, 1};
    struct report report;

    open_store(f);
    reserve(f->s, 1000);
    put_range(f->s, 1, 3);
    put_range(f->s, 7, 7);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_void(f->s, 3, 6, STORE_VOID_NOT_STORED), NHUB_OK);
    assert_int_equal(store_put_id(f->s, &id), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    verify(f->s, &report);
    expect(&report, 2, "-3 lies in a void");
    expect(&report, 2, "-5 and no such event");
}

static void times_that_go_back_are_named(void **state)
{
    struct fixture *f = *state;
    struct report report;

    open_store(f);
    reserve(f->s, 10);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_event(f->s, 1, 500, "t", 1, "{}", 2), NHUB_OK);
    assert_int_equal(store_put_event(f->s, 2, 499, "t", 1, "{}", 2), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    verify(f->s, &report);
    expect(&report, 1, "-2 has arrived before the one in front of it");
}

/* Spoils the last byte of the first value of a table, past all of the store's own care. */
static void spoil(struct store *s, MDB_dbi table)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    char *copy = NULL;

    assert_int_equal(store_begin(s), NHUB_OK);
    assert_int_equal(mdb_cursor_open(s->txn, table, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
    copy = malloc(value.mv_size);
    assert_non_null(copy);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[value.mv_size - 1] ^= 1;
    value.mv_data = copy;
    assert_int_equal(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
    assert_int_equal(store_commit(s), NHUB_OK);
    free(copy);
}

static void each_damaged_value_is_named(void **state)
{
    struct fixture *f = *state;
    struct report report;

    open_store(f);
    put_everything(f->s);
    spoil(f->s, f->s->events);
    spoil(f->s, f->s->ids);
    spoil(f->s, f->s->notes);
    spoil(f->s, f->s->meta_table); /* the entry "created" */
    verify(f->s, &report);
    expect(&report, 4, "-101 is damaged: its checksum is wrong");
    expect(&report, 4, "-9200 is damaged");
    expect(&report, 4, "the note group/a is damaged");
    expect(&report, 4, "the entry created of the table meta is damaged");
}

static void a_damaged_void_is_named_and_covers_nothing(void **state)
{
    struct fixture *f = *state;
    struct report report;

    open_store(f);
    put_everything(f->s);
    spoil(f->s, f->s->voids);
    verify(f->s, &report);
    expect(&report, 2, "-9001 is damaged");
    expect(&report, 2, "-9001 on, 199 numbers, and no void says why");
}

static void totals_that_do_not_add_up_are_named(void **state)
{
    struct fixture *f = *state;
    struct report report;

    open_store(f);
    put_everything(f->s);
    f->s->totals.bytes += 7;
    put_range(f->s, 2, 2);
    verify(f->s, &report);
    assert_true(report.v.problems >= 1);
    assert_non_null(strstr(report.text, "the totals do not add up"));
}

/* Pages that lead astray are not followed: what they hide was not looked at, which is said. */
static void a_damaged_page_ends_the_look_and_that_is_said(void **state)
{
    struct fixture *f = *state;
    const unsigned char garbage[16] = {0xff};
    struct store_snapshot newest;
    struct store_bytes bytes;
    struct report report;

    open_store(f);
    put_everything(f->s);
    verify(f->s, &report);
    assert_false(report.v.is_partial);
    bytes = store_file_bytes(&f->s->data_fd);
    assert_null(store_snapshot_newest(&bytes, &newest));
    assert_int_equal(pwrite(f->s->data_fd, garbage, sizeof garbage,
                            (off_t)(newest.tables.root * newest.page_bytes)),
                     sizeof garbage);
    verify(f->s, &report);
    expect(&report, 1, "has the number of another page");
    assert_true(report.v.is_partial);
    assert_int_equal(report.v.records, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_good_journal_has_no_problems),
        TEST(a_hole_that_is_no_void_is_named),
        TEST(events_in_voids_and_ids_without_events_are_named),
        TEST(times_that_go_back_are_named),
        TEST(each_damaged_value_is_named),
        TEST(a_damaged_void_is_named_and_covers_nothing),
        TEST(totals_that_do_not_add_up_are_named),
        TEST(a_damaged_page_ends_the_look_and_that_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
