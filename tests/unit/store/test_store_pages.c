/*
 * store_pages: never finds fault with a file that LMDB wrote, whatever was done to it, and finds
 * each thing that LMDB would trust.
 */
#include "store/store_file.h"
#include "store/store_private.h"

#include "store_fixture.h"

static uint32_t next_random(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

/* A note with a key of any length, put or deleted. */
static void any_note(struct store *s, uint32_t *random)
{
    static char value[20000];
    char key[STORE_NOTE_KEY_MAX];
    const size_t len = 1 + next_random(random) % (STORE_NOTE_KEY_MAX - 1);

    memset(key, (int)('a' + next_random(random) % 20), len);
    if (next_random(random) % 3 == 0) {
        assert_int_equal(store_del_note(s, key, len), NHUB_OK);
    } else {
        const size_t size = next_random(random) % (next_random(random) % 4 == 0 ? 20000 : 60);

        assert_int_equal(store_put_note(s, key, len, value, size), NHUB_OK);
    }
}

static void any_events(struct store *s, uint64_t *seq, uint32_t *random)
{
    static char line[30000];

    for (uint32_t left = next_random(random) % 40; left > 0; left--) {
        const size_t len = next_random(random) % (next_random(random) % 20 == 0 ? 30000 : 300);
        const struct store_id id = {*seq, (int64_t)*seq, {*seq, 1}, 2};

        assert_int_equal(store_put_event(s, *seq, (int64_t)*seq, "type", 4, line, len), NHUB_OK);
        if (*seq % 3 == 0) {
            assert_int_equal(store_put_id(s, &id), NHUB_OK);
        }
        (*seq)++;
    }
}

static void any_transaction(struct store *s, uint64_t *seq, uint32_t *random)
{
    size_t count = 0;
    int64_t us = 0;

    assert_int_equal(store_begin(s), NHUB_OK);
    any_events(s, seq, random);
    for (uint32_t left = next_random(random) % 10; left > 0; left--) {
        any_note(s, random);
    }
    if (next_random(random) % 4 == 0) {
        assert_int_equal(store_trim(s, 0, next_random(random) % 300000, 0,
                                    next_random(random) % 500, &count, &us),
                         NHUB_OK);
        assert_int_equal(store_trim_ids(s, 0, 100, next_random(random) % 100), NHUB_OK);
    }
    if (next_random(random) % 10 == 0) {
        store_abort(s);
        *seq += 100; /* further numbers are as good */
    } else {
        assert_int_equal(store_commit(s), NHUB_OK);
    }
}

static void no_file_that_lmdb_wrote_is_found_fault_with(void **state)
{
    struct fixture *f = *state;
    uint32_t random = 4711;
    uint64_t seq = 1;

    open_store(f);
    reserve(f->s, 10000000);
    for (int round = 0; round < 400; round++) {
        struct store_page_check check = {.max_pages = 0};
        struct store_snapshot snapshot;
        struct store_bytes bytes;
        MDB_txn *txn = NULL;

        any_transaction(f->s, &seq, &random);
        assert_int_equal(store_pin(f->s, &txn, &bytes, &snapshot), NHUB_OK);
        if (store_pages_check(&bytes, &snapshot, &check)) {
            fail_msg("round %d: %s", round, check.why);
        }
        assert_int_equal(check.in_use + check.free + 2, snapshot.last_page + 1);
        mdb_txn_abort(txn);
    }
}

static void a_limit_on_pages_still_looks_at_both_ends(void **state)
{
    struct fixture *f = *state;
    struct store_page_check all = {.max_pages = 0}, some = {.max_pages = 10};
    struct store_snapshot snapshot;
    struct store_bytes bytes;
    MDB_txn *txn = NULL;

    open_store(f);
    reserve(f->s, 100000);
    put_range(f->s, 1, 50000);
    assert_int_equal(store_pin(f->s, &txn, &bytes, &snapshot), NHUB_OK);
    assert_int_equal(store_pages_check(&bytes, &snapshot, &all), NHUB_OK);
    assert_int_equal(store_pages_check(&bytes, &snapshot, &some), NHUB_OK);
    assert_false(all.was_limited);
    assert_true(some.was_limited);
    assert_true(all.pages > 500 && some.pages >= 10 && some.pages < 40);
    mdb_txn_abort(txn);
}

/* ---- a file in memory, of which single bytes are changed ---- */

struct image {
    unsigned char *bytes;
    size_t size;
};

static bool read_image(void *context, uint64_t offset, void *out, size_t n)
{
    const struct image *image = context;

    if (offset > image->size || n > image->size - offset) {
        return false;
    }
    memcpy(out, image->bytes + offset, n);
    return true;
}

static nhub_err check_image(struct image *image, char why[160])
{
    const struct store_bytes bytes = {image->size, read_image, image};
    struct store_page_check check = {.max_pages = 0};
    struct store_snapshot snapshot;
    const char *text = store_snapshot_newest(&bytes, &snapshot);
    nhub_err status = NHUB_EPROTO;

    if (text) {
        (void)snprintf(why, 160, "%s", text);
        return status;
    }
    status = store_pages_check(&bytes, &snapshot, &check);
    memcpy(why, check.why, sizeof check.why);
    return status;
}

static struct image make_image(struct fixture *f)
{
    struct image image = {NULL, 0};
    char path[SCRATCH_BYTES + 64];
    FILE *file = NULL;
    long size = 0;
    static char line[9000];

    open_store(f);
    reserve(f->s, 1000);
    put_range(f->s, 1, 300);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_put_event(f->s, 301, 400000, "t", 1, line, sizeof line), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    store_close(&f->s);
    (void)snprintf(path, sizeof path, "%s/" FOLDER_DATA, f->folder);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    rewind(file);
    image.size = (size_t)size;
    image.bytes = malloc(image.size);
    assert_non_null(image.bytes);
    assert_int_equal(fread(image.bytes, 1, image.size, file), image.size);
    (void)fclose(file);
    return image;
}

/* The root of the table of tables, and of events, by the newest meta page. */
static uint64_t number_at(const struct image *image, size_t at)
{
    uint64_t value = 0;

    memcpy(&value, image->bytes + at, sizeof value);
    return value;
}

static size_t newest_meta(const struct image *image)
{
    return number_at(image, 144) > number_at(image, 4096 + 144) ? 0 : 4096;
}

static size_t tables_root(const struct image *image)
{
    return (size_t)number_at(image, newest_meta(image) + 88 + 40) * 4096;
}

static void each_thing_that_lmdb_trusts_is_checked(void **state)
{
    struct fixture *f = *state;
    struct image image = make_image(f);
    const size_t meta = newest_meta(&image);
    const size_t root = tables_root(&image);
    uint16_t first_node = 0;
    char why[160];

    assert_int_equal(check_image(&image, why), NHUB_OK);
    memcpy(&first_node, image.bytes + root + 16, 2);
    const struct {
        size_t at;
        unsigned char flip;
        const char *why;
    } damage[] = {
        {16, 1, "no LMDB file"},                        /* magic */
        {20, 2, "another version"},                     /* version */
        {40, 1, "page size"},                           /* page size */
        {meta + 144, 1, "do not fit together"},         /* transaction number */
        {meta + 136 + 3, 1, "are missing"},             /* last page */
        {meta + 40 + 4, 4, "kind that no journal has"}, /* several values for a key */
        {meta + 88 + 4, 8, "kind that no journal has"},
        {meta + 88 + 6, 4, "another kind"},         /* depth of the table of tables */
        {meta + 88 + 7, 1, "depth makes no sense"}, /* depth 257 */
        {meta + 88 + 32, 1, "lost or won"},         /* its entries */
        {meta + 88 + 41, 1, "does not exist"},      /* its root */
        {root, 1, "number of another page"},        /* page number */
        {root + 10, 0x10, "another kind"},          /* marked as dirty */
        {root + 12, 1, "head that makes no sense"}, /* lower */
        {root + 13, 0x40, "head that makes no sense"},
        {root + 14, 4, "room between"},                         /* upper */
        {root + 17, 0x20, "outside"},                           /* offset of a node */
        {root + 16, 1, "outside"},                              /* an odd one */
        {root + first_node, 2, ""},                             /* size of a value */
        {root + first_node + 4, 4, "kind that no journal has"}, /* flags */
        {root + first_node + 7, 0x40, "key that ends outside"}, /* key size */
        {root + first_node + 8, 0x80, "keys out of order"},     /* name of the first table */
    };

    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        image.bytes[damage[i].at] ^= damage[i].flip;
        if (check_image(&image, why) != NHUB_EPROTO || !strstr(why, damage[i].why)) {
            fail_msg("damage %zu: expected \"%s\", it said \"%s\"", i, damage[i].why, why);
        }
        image.bytes[damage[i].at] ^= damage[i].flip;
    }
    assert_int_equal(check_image(&image, why), NHUB_OK);
    free(image.bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(no_file_that_lmdb_wrote_is_found_fault_with),
        TEST(a_limit_on_pages_still_looks_at_both_ends),
        TEST(each_thing_that_lmdb_trusts_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
