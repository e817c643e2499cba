/* store: what is put is there again, in order, after closing, and nothing of what was aborted. */
#include "store_fixture.h"

static void a_new_journal_has_an_epoch_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct store_figures figures;
    struct store_meta meta;
    char name[EPOCH_LEN + 1];

    open_store(f);
    store_get_meta(f->s, &meta);
    assert_true(epoch_valid(meta.epoch, strlen(meta.epoch)));
    assert_int_equal(meta.epoch_no, 1);
    assert_int_equal(meta.reserved_to, 0);
    assert_int_equal(meta.last_seq, 0);
    assert_true(meta.was_clean);
    assert_int_equal(store_epoch_name(f->s, 1, name), NHUB_OK);
    assert_string_equal(name, meta.epoch);
    assert_int_equal(store_epoch_name(f->s, 2, name), NHUB_ENOTFOUND);
    store_figures(f->s, &figures);
    assert_int_equal(figures.records, 0);
    assert_int_equal(figures.oldest, 0);
    assert_int_equal(figures.newest, 0);
    assert_true(figures.map_bytes >= 84 << 20);
}

static bool keep_one(void *context, const struct store_record *record)
{
    struct store_record *out = context;

    *out = *record;
    assert_int_equal(record->type_len, 9);
    assert_memory_equal(record->type, "new_setup", 9);
    assert_int_equal(record->len, 3);
    assert_memory_equal(record->line, "a\0b", 3);
    return true;
}

static void an_event_comes_back_as_it_was_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct store_record found = {0};
    const struct store_scan all = {.to = 100, .visit = keep_one, .context = &found};
    uint64_t scanned = 0;

    open_store(f);
    reserve(f->s, 100);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_event(f->s, 7, 1234567, "new_setup", 9, "a\0b", 3), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    close_and_open(f);
    assert_int_equal(store_read(f->s, &all, &scanned), NHUB_OK);
    assert_int_equal(scanned, 100);
    assert_int_equal(found.seq, 7);
    assert_int_equal(found.arrival_us, 1234567);
    assert_int_equal(found.epoch_no, 1);
}

static void large_events_have_room(void **state)
{
    struct fixture *f = *state;
    const size_t len = 4u << 20;
    char *line = malloc(len);
    struct seen seen = {0};
    struct store_figures figures;
    uint64_t scanned = 0;

    assert_non_null(line);
    memset(line, 'x', len);
    open_store(f);
    reserve(f->s, 100);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_event(f->s, 1, 1, "t", 1, line, len), NHUB_OK);
    assert_int_equal(store_put_event(f->s, 2, 2, "t", 1, "", 0), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    assert_int_equal(scan(f->s, 0, 9, &seen, &scanned), NHUB_OK);
    assert_int_equal(seen.count, 2);
    store_figures(f->s, &figures);
    assert_int_equal(figures.bytes, len + 2 + 2 * 16);
    free(line);
}

static void what_was_aborted_was_never_there(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    uint64_t scanned = 0;
    struct store_meta meta;

    open_store(f);
    reserve(f->s, 100);
    put_range(f->s, 1, 3);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    store_get_meta(f->s, &meta);
    meta.reserved_to = 5000;
    assert_int_equal(store_put_meta(f->s, &meta), NHUB_OK);
    assert_int_equal(put_numbered(f->s, 4), NHUB_OK);
    store_abort(f->s);
    store_get_meta(f->s, &meta);
    assert_int_equal(meta.reserved_to, 100);
    assert_int_equal(scan(f->s, 0, 100, &seen, &scanned), NHUB_OK);
    assert_int_equal(seen.count, 3);
    put_range(f->s, 4, 4);
}

static void numbers_only_grow_and_stay_below_the_reservation(void **state)
{
    struct fixture *f = *state;

    open_store(f);
    reserve(f->s, 10);
    put_range(f->s, 5, 6);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(put_numbered(f->s, 6), NHUB_EINVAL);
    assert_int_equal(store_commit(f->s), NHUB_ESTATE);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(put_numbered(f->s, 11), NHUB_EINVAL);
    assert_int_equal(store_commit(f->s), NHUB_ESTATE);
    put_range(f->s, 10, 10);
}

static void calls_outside_of_a_transaction_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct store_id id = {.seq = 1};
    struct store_meta meta;
    size_t count = 0;
    int64_t us = 0;

    open_store(f);
    reserve(f->s, 10);
    store_get_meta(f->s, &meta);
    assert_int_equal(put_numbered(f->s, 1), NHUB_ESTATE);
    assert_int_equal(store_put_id(f->s, &id), NHUB_ESTATE);
    assert_int_equal(store_put_void(f->s, 1, 2, STORE_VOID_NOT_STORED), NHUB_ESTATE);
    assert_int_equal(store_put_note(f->s, "k", 1, "v", 1), NHUB_ESTATE);
    assert_int_equal(store_del_note(f->s, "k", 1), NHUB_ESTATE);
    assert_int_equal(store_put_meta(f->s, &meta), NHUB_ESTATE);
    assert_int_equal(store_trim(f->s, 0, 0, 0, 1, &count, &us), NHUB_ESTATE);
    assert_int_equal(store_trim_ids(f->s, 0, 0, 1), NHUB_ESTATE);
    assert_int_equal(store_commit(f->s), NHUB_ESTATE);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_begin(f->s), NHUB_ESTATE);
}

static void a_scan_keeps_to_its_range_and_its_limits(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    uint64_t scanned = 0;
    struct store_scan limited = {
        .after = 3, .to = 1000, .max_records = 4, .visit = see, .context = &seen};

    open_store(f);
    reserve(f->s, 2000);
    put_range(f->s, 1, 500);
    assert_int_equal(scan(f->s, 10, 13, &seen, &scanned), NHUB_OK);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.numbers[0], 11);
    assert_int_equal(scanned, 13);

    seen.count = 0;
    assert_int_equal(store_read(f->s, &limited, &scanned), NHUB_OK);
    assert_int_equal(seen.count, 4);
    assert_int_equal(scanned, 7);

    seen = (struct seen){.stop_at = 2};
    assert_int_equal(scan(f->s, 20, 30, &seen, &scanned), NHUB_OK);
    assert_int_equal(scanned, 22);

    seen = (struct seen){0};
    assert_int_equal(scan(f->s, 490, 800, &seen, &scanned), NHUB_OK);
    assert_int_equal(seen.count, 10);
    assert_int_equal(scanned, 800);
    assert_int_equal(scan(f->s, 9, 9, &seen, &scanned), NHUB_OK);
    assert_int_equal(scanned, 9);

    /* A time limit is looked at between records, so that at least one of them is taken. */
    seen = (struct seen){0};
    limited = (struct store_scan){.to = 500, .max_us = 1, .visit = see, .context = &seen};
    assert_int_equal(store_read(f->s, &limited, &scanned), NHUB_OK);
    assert_true(seen.count >= 1 && scanned == seen.numbers[seen.count - 1]);
}

static void a_new_epoch_begins_behind_the_old_one(void **state)
{
    struct fixture *f = *state;
    struct store_meta meta;
    struct store_figures figures;
    struct seen seen = {0};
    uint64_t scanned = 0, seq = 0;
    uint16_t epoch_no = 0;
    bool more = true;
    char name[EPOCH_LEN + 1];

    open_store(f);
    reserve(f->s, 100);
    put_range(f->s, 50, 52);
    store_get_meta(f->s, &meta);
    memcpy(meta.epoch, "newepoch", sizeof meta.epoch);
    meta.last_seq = 0;
    meta.reserved_to = 10;
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_meta(f->s, &meta), NHUB_OK);
    assert_int_equal(put_numbered(f->s, 1), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    close_and_open(f);
    store_get_meta(f->s, &meta);
    assert_int_equal(meta.epoch_no, 2);
    assert_string_equal(meta.epoch, "newepoch");
    assert_int_equal(store_epoch_name(f->s, 2, name), NHUB_OK);
    assert_string_equal(name, "newepoch");

    assert_int_equal(scan(f->s, 0, 100, &seen, &scanned), NHUB_OK);
    assert_int_equal(seen.count, 1);
    seen.count = 0;
    assert_int_equal(store_read_all(f->s, &epoch_no, &seq, 3, see, &seen, &more), NHUB_OK);
    assert_true(more);
    assert_int_equal(epoch_no, 1);
    assert_int_equal(seq, 52);
    assert_int_equal(store_read_all(f->s, &epoch_no, &seq, 3, see, &seen, &more), NHUB_OK);
    assert_false(more);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.numbers[3], 1);

    store_figures(f->s, &figures);
    assert_int_equal(figures.records, 4);
    assert_int_equal(figures.other_epochs, 3);
    assert_int_equal(figures.oldest, 1);
    assert_int_equal(figures.newest, 1);
    assert_int_equal(figures.newest_us, 1000);
}

static void a_time_is_found_also_across_voids(void **state)
{
    struct fixture *f = *state;
    uint64_t after = 99;

    open_store(f);
    assert_int_equal(store_find_time(f->s, 5, &after), NHUB_OK);
    assert_int_equal(after, 0);
    reserve(f->s, 20000);
    put_range(f->s, 10, 200);
    put_range(f->s, 15000, 15003);
    for (uint64_t seq = 10; seq <= 200; seq++) {
        assert_int_equal(store_find_time(f->s, (int64_t)seq * 1000, &after), NHUB_OK);
        assert_int_equal(after, seq - 1);
    }
    assert_int_equal(store_find_time(f->s, 0, &after), NHUB_OK);
    assert_int_equal(after, 9);
    /* Between the two ranges any number of the hole is before the first event. */
    assert_int_equal(store_find_time(f->s, 200001, &after), NHUB_OK);
    assert_true(after >= 200 && after < 15000);
    assert_int_equal(store_find_time(f->s, 15001 * 1000 + 1, &after), NHUB_OK);
    assert_int_equal(after, 15001);
    assert_int_equal(store_find_time(f->s, INT64_MAX, &after), NHUB_OK);
    assert_int_equal(after, 15003);
}

struct void_seen {
    uint64_t from[8], to[8];
    enum store_void why[8];
    size_t count;
};

static void see_void(void *context, uint64_t from, uint64_t to, enum store_void why)
{
    struct void_seen *seen = context;

    seen->from[seen->count] = from;
    seen->to[seen->count] = to;
    seen->why[seen->count++] = why;
}

static void voids_are_told_until_they_are_trimmed(void **state)
{
    struct fixture *f = *state;
    struct void_seen seen = {0};
    size_t count = 0;
    int64_t us = 0;

    open_store(f);
    reserve(f->s, 100);
    put_range(f->s, 1, 2);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_void(f->s, 10, 19, STORE_VOID_NOT_STORED), NHUB_OK);
    assert_int_equal(store_put_void(f->s, 3, 9, STORE_VOID_UNCLEAN_STOP), NHUB_OK);
    assert_int_equal(put_numbered(f->s, 20), NHUB_OK);
    assert_int_equal(put_numbered(f->s, 21), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    close_and_open(f);
    assert_int_equal(store_each_void(f->s, see_void, &seen), NHUB_OK);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.from[0], 3);
    assert_int_equal(seen.to[0], 9);
    assert_int_equal(seen.why[0], STORE_VOID_UNCLEAN_STOP);
    assert_int_equal(seen.from[1], 10);
    assert_int_equal(seen.why[1], STORE_VOID_NOT_STORED);

    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_trim(f->s, 0, 0, 0, 3, &count, &us), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    assert_int_equal(count, 3);
    seen.count = 0;
    assert_int_equal(store_each_void(f->s, see_void, &seen), NHUB_OK);
    assert_int_equal(seen.count, 0);
}

static nhub_err trim(struct store *s, int64_t before_us, uint64_t max_bytes, uint64_t keep_from,
                     size_t max_records, size_t *out_count, int64_t *out_us)
{
    nhub_err status = store_begin(s);

    if (!status) {
        status = store_trim(s, before_us, max_bytes, keep_from, max_records, out_count, out_us);
    }
    return status ? status : store_commit(s);
}

static void trimming_takes_the_oldest_and_keeps_to_its_limits(void **state)
{
    struct fixture *f = *state;
    struct store_figures figures;
    size_t count = 0;
    int64_t us = 0;

    open_store(f);
    reserve(f->s, 1000);
    put_range(f->s, 1, 100);
    assert_int_equal(trim(f->s, 11 * 1000, UINT64_MAX, 0, 1000, &count, &us), NHUB_OK);
    assert_int_equal(count, 10);
    assert_int_equal(us, 10 * 1000);
    assert_int_equal(trim(f->s, INT64_MAX, UINT64_MAX, 21, 1000, &count, &us), NHUB_OK);
    assert_int_equal(count, 10);
    assert_int_equal(trim(f->s, INT64_MAX, UINT64_MAX, 0, 5, &count, &us), NHUB_OK);
    assert_int_equal(count, 5);
    store_figures(f->s, &figures);
    assert_int_equal(figures.oldest, 26);
    assert_int_equal(figures.records, 75);
    assert_int_equal(figures.trimmed_us, 25 * 1000);
    assert_int_equal(trim(f->s, 0, figures.bytes / 3, 0, 1000, &count, &us), NHUB_OK);
    store_figures(f->s, &figures);
    assert_true(figures.records < 27 && figures.records > 20);
    assert_int_equal(trim(f->s, 0, UINT64_MAX, 0, 1000, &count, &us), NHUB_OK);
    assert_int_equal(count, 0);
    assert_int_equal(trim(f->s, INT64_MAX, 0, 0, 1000, &count, &us), NHUB_OK);
    store_figures(f->s, &figures);
    assert_int_equal(figures.records, 0);
    assert_int_equal(figures.bytes, 0);
    assert_int_equal(figures.trimmed_us, 100 * 1000);
    close_and_open(f);
    store_figures(f->s, &figures);
    assert_int_equal(figures.trimmed_us, 100 * 1000);
    put_range(f->s, 101, 102);
}

static void trimmed_pages_are_used_again(void **state)
{
    struct fixture *f = *state;
    struct store_figures first, last;
    size_t count = 0;
    int64_t us = 0;
    uint64_t seq = 1;

    open_store(f);
    reserve(f->s, 1000000);
    for (int round = 0; round < 40; round++, seq += 1000) {
        put_range(f->s, seq, seq + 999);
        assert_int_equal(trim(f->s, 0, 300000, 0, 2000, &count, &us), NHUB_OK);
        if (round == 20) {
            store_figures(f->s, &first);
        }
    }
    store_figures(f->s, &last);
    assert_true(last.file_bytes <= first.file_bytes + (64 << 10));
    assert_true(last.used_bytes < 1 << 20);
    assert_true(last.used_bytes + last.free_bytes <= last.file_bytes);
    assert_true(last.free_bytes > 0);
}

struct id_seen {
    uint64_t seq[64];
    size_t count;
};

static void see_id(void *context, const struct store_id *id)
{
    struct id_seen *seen = context;

    assert_int_equal(id->key.lo, id->seq * 3);
    assert_int_equal(id->key.hi, id->seq * 5);
    assert_int_equal(id->content, id->seq * 7);
    assert_int_equal(id->arrival_us, (int64_t)id->seq * 1000);
    seen->seq[seen->count++] = id->seq;
}

static void put_ids(struct store *s, uint64_t from, uint64_t to)
{
    assert_int_equal(store_begin(s), NHUB_OK);
    for (uint64_t seq = from; seq <= to; seq++) {
        const struct store_id id = {seq, (int64_t)seq * 1000, {seq * 3, seq * 5}, seq * 7};

        assert_int_equal(store_put_id(s, &id), NHUB_OK);
    }
    assert_int_equal(store_commit(s), NHUB_OK);
}

static void ids_come_newest_first_within_their_limits(void **state)
{
    struct fixture *f = *state;
    struct id_seen seen = {0};

    open_store(f);
    reserve(f->s, 100);
    put_ids(f->s, 11, 20);
    put_ids(f->s, 1, 5); /* out of order is possible */
    close_and_open(f);
    assert_int_equal(store_each_id(f->s, 100, 0, see_id, &seen), NHUB_OK);
    assert_int_equal(seen.count, 15);
    assert_int_equal(seen.seq[0], 20);
    assert_int_equal(seen.seq[14], 1);
    seen.count = 0;
    assert_int_equal(store_each_id(f->s, 3, 0, see_id, &seen), NHUB_OK);
    assert_int_equal(seen.count, 3);
    seen.count = 0;
    assert_int_equal(store_each_id(f->s, 100, 18 * 1000, see_id, &seen), NHUB_OK);
    assert_int_equal(seen.count, 3);

    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_trim_ids(f->s, 3 * 1000, 100, 1000), NHUB_OK); /* 1 and 2 */
    assert_int_equal(store_trim_ids(f->s, 0, 10, 2), NHUB_OK);            /* 3 and 4 */
    assert_int_equal(store_trim_ids(f->s, 0, 10, 100), NHUB_OK);          /* 5 */
    assert_int_equal(store_commit(f->s), NHUB_OK);
    seen.count = 0;
    assert_int_equal(store_each_id(f->s, 100, 0, see_id, &seen), NHUB_OK);
    assert_int_equal(seen.count, 10);
    assert_int_equal(seen.seq[9], 11);
}

struct note_seen {
    char text[400];
};

static void see_note(void *context, const void *key, size_t key_len, const void *value, size_t len)
{
    struct note_seen *seen = context;
    char one[100];

    (void)snprintf(one, sizeof one, "%.*s=%.*s ", (int)key_len, (const char *)key, (int)len,
                   (const char *)value);
    strncat(seen->text, one, sizeof seen->text - strlen(seen->text) - 1);
}

static nhub_err note(struct store *s, const char *key, const char *value)
{
    nhub_err status = store_begin(s);

    if (!status && value) {
        status = store_put_note(s, key, strlen(key), value, strlen(value));
    } else if (!status) {
        status = store_del_note(s, key, strlen(key));
    }
    return status ? status : store_commit(s);
}

static void notes_are_kept_replaced_and_deleted(void **state)
{
    struct fixture *f = *state;
    struct note_seen seen = {{0}};
    char longest[STORE_NOTE_KEY_MAX + 1];

    open_store(f);
    assert_int_equal(note(f->s, "g/b", "1"), NHUB_OK);
    assert_int_equal(note(f->s, "g/a", "2"), NHUB_OK);
    assert_int_equal(note(f->s, "h", ""), NHUB_OK);
    assert_int_equal(note(f->s, "g/a", "longer"), NHUB_OK);
    close_and_open(f);
    assert_int_equal(store_each_note(f->s, "g/", 2, see_note, &seen), NHUB_OK);
    assert_string_equal(seen.text, "g/a=longer g/b=1 ");
    assert_int_equal(note(f->s, "g/b", NULL), NHUB_OK);
    assert_int_equal(note(f->s, "never there", NULL), NHUB_OK);
    seen.text[0] = '\0';
    assert_int_equal(store_each_note(f->s, NULL, 0, see_note, &seen), NHUB_OK);
    assert_string_equal(seen.text, "g/a=longer h= ");

    memset(longest, 'k', sizeof longest);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_note(f->s, longest, STORE_NOTE_KEY_MAX, "v", 1), NHUB_OK);
    assert_int_equal(store_put_note(f->s, longest, sizeof longest, "v", 1), NHUB_EINVAL);
    store_abort(f->s);
}

static void a_full_map_is_told_and_trimming_makes_room(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();
    static char line[1 << 20];
    nhub_err status = NHUB_OK;
    size_t count = 0;
    int64_t us = 0;
    uint64_t seq = 1;

    options.max_bytes = 1 << 20; /* the spare 64 MiB is all there is */
    assert_int_equal(try_open(f, &options), NHUB_OK);
    reserve(f->s, 1000);
    for (; !status && seq < 500; seq++) {
        assert_int_equal(store_begin(f->s), NHUB_OK);
        status = store_put_event(f->s, seq, (int64_t)seq, "t", 1, line, sizeof line);
        status = status ? status : store_commit(f->s);
    }
    assert_int_equal(status, NHUB_EFULL);
    seq--;
    store_abort(f->s);
    assert_int_equal(trim(f->s, 0, 8 << 20, 0, 1000, &count, &us), NHUB_OK);
    assert_true(count > 30);
    put_range(f->s, seq, seq); /* the pages of before are free two commits later at the latest */
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_event(f->s, seq + 1, 1, "t", 1, line, sizeof line), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
}

static void reopening_gives_what_was_committed(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();
    struct seen seen = {0};
    uint64_t scanned = 0;

    options.sync_on_commit = false;
    assert_int_equal(try_open(f, &options), NHUB_OK);
    reserve(f->s, 100);
    assert_int_equal(store_sync(f->s), NHUB_OK);
    put_range(f->s, 1, 3);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(put_numbered(f->s, 4), NHUB_OK);
    assert_int_equal(store_reopen(f->s, &f->error), NHUB_OK);
    assert_int_equal(scan(f->s, 0, 100, &seen, &scanned), NHUB_OK);
    assert_int_equal(seen.count, 3);
    put_range(f->s, 4, 5);
    assert_int_equal(store_sync(f->s), NHUB_OK);
}

static void the_reserve_is_made_used_and_made_again(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();

    options.reserve_bytes = 1 << 20;
    assert_int_equal(try_open(f, &options), NHUB_OK);
    assert_false(store_use_reserve(f->s));
    assert_int_equal(store_make_reserve(f->s), NHUB_OK);
    assert_int_equal(store_make_reserve(f->s), NHUB_OK);
    assert_true(store_use_reserve(f->s));
    assert_false(store_use_reserve(f->s));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_journal_has_an_epoch_and_nothing_else),
        TEST(an_event_comes_back_as_it_was_after_a_restart),
        TEST(large_events_have_room),
        TEST(what_was_aborted_was_never_there),
        TEST(numbers_only_grow_and_stay_below_the_reservation),
        TEST(calls_outside_of_a_transaction_are_refused),
        TEST(a_scan_keeps_to_its_range_and_its_limits),
        TEST(a_new_epoch_begins_behind_the_old_one),
        TEST(a_time_is_found_also_across_voids),
        TEST(voids_are_told_until_they_are_trimmed),
        TEST(trimming_takes_the_oldest_and_keeps_to_its_limits),
        TEST(trimmed_pages_are_used_again),
        TEST(ids_come_newest_first_within_their_limits),
        TEST(notes_are_kept_replaced_and_deleted),
        TEST(a_full_map_is_told_and_trimming_makes_room),
        TEST(reopening_gives_what_was_committed),
        TEST(the_reserve_is_made_used_and_made_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
