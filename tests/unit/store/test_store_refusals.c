/*
 * store: what is not opened, and that the text says why and what to do. Nothing that is refused is
 * changed.
 */
#include "store/store_private.h"

#include "store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void expect_text(struct fixture *f, const char *part)
{
    if (!strstr(buf_cstr(&f->error), part)) {
        fail_msg("\"%s\" is not in: %s", part, buf_cstr(&f->error));
    }
}

/* A file of the journal's folder as a whole. */
struct image {
    char *bytes;
    size_t len;
};

static void data_path(const struct fixture *f, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/" FOLDER_DATA, f->folder);
}

static struct image load(const struct fixture *f)
{
    struct image image = {NULL, 0};
    char path[SCRATCH_BYTES + 64];
    struct stat st;
    int fd = -1;

    data_path(f, path, sizeof path);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    image.len = (size_t)st.st_size;
    image.bytes = malloc(image.len + 1);
    assert_non_null(image.bytes);
    assert_int_equal(read(fd, image.bytes, image.len), image.len);
    (void)close(fd);
    return image;
}

static void save(const struct fixture *f, const struct image *image, size_t len)
{
    char path[SCRATCH_BYTES + 64];
    int fd = -1;

    data_path(f, path, sizeof path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->bytes, len), len);
    (void)close(fd);
}

static void refuse_as_it_is(struct fixture *f, nhub_err expected)
{
    const struct store_options options = write_options();
    struct image before = load(f);
    struct image after;

    assert_int_equal(try_open(f, &options), expected);
    assert_null(f->s);
    after = load(f);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.bytes, after.bytes, before.len);
    free(before.bytes);
    free(after.bytes);
}

/* A journal with some events, closed. */
static void make_journal(struct fixture *f, uint64_t events)
{
    open_store(f);
    reserve(f->s, 100000);
    put_range(f->s, 1, events);
    store_close(&f->s);
}

static void the_second_hub_is_told_who_owns_the_folder(void **state)
{
    struct fixture *f = *state;
    const struct store_options options = write_options();
    struct store *second = NULL;
    char pid[40];

    open_store(f);
    assert_int_equal(store_open(&second, f->folder, &options, &f->error), NHUB_EEXIST);
    (void)snprintf(pid, sizeof pid, "pid %ld on ", (long)getpid());
    expect_text(f, pid);
    expect_text(f, "hub.journal.path");
}

static void a_folder_is_made_but_not_its_parents(void **state)
{
    struct fixture *f = *state;
    const struct store_options options = write_options();

    (void)snprintf(f->folder, sizeof f->folder, "%s/a/b", f->base);
    assert_int_equal(try_open(f, &options), NHUB_ESYS);
    expect_text(f, "cannot make the folder");
    expect_text(f, f->folder);
}

static void a_reader_makes_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();

    options.mode = STORE_READ;
    assert_int_equal(try_open(f, &options), NHUB_ENOTFOUND);
    expect_text(f, "does not exist");
    assert_int_equal(access(f->folder, F_OK), -1);
    assert_int_equal(mkdir(f->folder, 0750), 0);
    assert_int_equal(try_open(f, &options), NHUB_ENOTFOUND);
    expect_text(f, "there is no journal in");
    assert_int_equal(rmdir(f->folder), 0); /* it is still empty */
}

/* In a process that is not root, since root may write anywhere. */
static void a_folder_without_the_right_to_write_says_so(void **state)
{
    struct fixture *f = *state;
    const struct store_options options = write_options();
    int status = -1;
    pid_t child = -1;

    assert_int_equal(chmod(f->base, 0755), 0);
    assert_int_equal(mkdir(f->folder, 0555), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && seteuid(65534) != 0) {
            _exit(3);
        }
        _exit(try_open(f, &options) == NHUB_ESYS &&
                      strstr(buf_cstr(&f->error), "needs the right to write there")
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void network_file_systems_have_names(void **state)
{
    (void)state;
    assert_string_equal(folder_network_name(0x6969), "NFS");
    assert_string_equal(folder_network_name(0xff534d42), "CIFS");
    assert_string_equal(folder_network_name(0x01021997), "9p");
    assert_null(folder_network_name(0xef53));     /* ext4 */
    assert_null(folder_network_name(0x01021994)); /* tmpfs */
}

static void a_file_that_is_no_journal_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char bytes[9000];
    const struct image image = {bytes, sizeof bytes};

    assert_int_equal(mkdir(f->folder, 0750), 0);
    memset(bytes, 'x', sizeof bytes);
    save(f, &image, sizeof bytes);
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "it is no LMDB file");
    save(f, &image, 0);
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "too short");
}

static void every_cut_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct image whole;

    make_journal(f, 500);
    whole = load(f);
    for (size_t len = 0; len < 16 * 4096; len += 1024) {
        save(f, &whole, len);
        refuse_as_it_is(f, NHUB_EPROTO);
        expect_text(f, "is damaged");
        expect_text(f, "notifyhub journal export --salvage --path ");
    }
    save(f, &whole, whole.len);
    open_store(f);
    free(whole.bytes);
}

/* Puts a value of the table meta, past all of the store's own care. */
static void put_meta_value(struct fixture *f, const char *name, const char *value)
{
    open_store(f);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_meta_put(f->s, f->s->txn, name, value, strlen(value)), 0);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    store_close(&f->s);
}

static void other_formats_are_named(void **state)
{
    struct fixture *f = *state;

    put_meta_value(f, STORE_META_FORMAT, STORE_FORMAT_WORD "2");
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "has format 2, and this program knows format 1");
    expect_text(f, "newer program");
}

static void an_older_format_is_named(void **state)
{
    struct fixture *f = *state;

    put_meta_value(f, STORE_META_FORMAT, STORE_FORMAT_WORD "0");
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "has format 0");
    expect_text(f, "older program");
    expect_text(f, "export");
}

static void a_format_of_something_else_is_refused(void **state)
{
    struct fixture *f = *state;

    put_meta_value(f, STORE_META_FORMAT, "photo album 1");
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "format of something else");
}

static void a_state_that_makes_no_sense_is_refused(void **state)
{
    struct fixture *f = *state;

    put_meta_value(f, "state", "nonsense");
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "its state cannot be read");
}

/* An environment of LMDB that never was a journal. */
static void the_file_of_another_program_is_refused(void **state)
{
    struct fixture *f = *state;
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi table = 0;
    MDB_val key = {1, (char[]){"k"}};
    char path[SCRATCH_BYTES + 64];

    assert_int_equal(mkdir(f->folder, 0750), 0);
    data_path(f, path, sizeof path);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0640), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &table), 0);
    assert_int_equal(mdb_put(txn, table, &key, &key, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "no journal has");
}

static void a_changed_event_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct image image;
    char *found = NULL;

    make_journal(f, 20);
    image = load(f);
    found = memmem(image.bytes, image.len, "{\"seq\":17}", 10);
    assert_non_null(found);
    found[8] = '8';
    save(f, &image, image.len);
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "record 17");
    expect_text(f, "checksum");
    free(image.bytes);
}

/* Whatever bit of the file turns, opening says yes or no; it never crashes. What is accepted can be
 * read to its end. */
static bool take(void *context, const struct store_record *record)
{
    (void)context;
    (void)record;
    return true;
}

static void no_damaged_page_takes_the_reader_down(void **state)
{
    struct fixture *f = *state;
    const struct store_options options = write_options();
    struct image image;
    size_t refused = 0;
    uint32_t random = 12345;

    make_journal(f, 300);
    image = load(f);
    for (int round = 0; round < 600; round++) {
        size_t at = 0;
        char bit = 0;

        random = random * 1664525u + 1013904223u;
        at = (random >> 4) % (14 * 4096);
        bit = (char)(1 << (random >> 29));
        image.bytes[at] ^= bit;
        save(f, &image, image.len < 64 * 4096 ? image.len : 64 * 4096);
        if (try_open(f, &options)) {
            refused++;
        } else {
            uint16_t epoch_no = 0;
            uint64_t seq = 0;
            bool more = false;

            NHUB_IGNORE(store_read_all(f->s, &epoch_no, &seq, 0, take, NULL, &more)); /* any */
            store_close(&f->s);
        }
        image.bytes[at] ^= bit;
    }
    assert_true(refused > 50);
    free(image.bytes);
}

static void put_range_of_import(struct store *s)
{
    reserve(s, 10);
    put_range(s, 1, 5);
}

static void an_import_needs_a_folder_without_a_journal(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();

    make_journal(f, 3);
    options.is_import = true;
    assert_int_equal(try_open(f, &options), NHUB_ECONFLICT);
    expect_text(f, "there is a journal in");
    expect_text(f, "replaces nothing");
}

static void an_unfinished_import_is_no_journal(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();

    options.is_import = true;
    assert_int_equal(try_open(f, &options), NHUB_OK);
    reserve(f->s, 10);
    put_range(f->s, 1, 2);
    store_close(&f->s);
    refuse_as_it_is(f, NHUB_EPROTO);
    expect_text(f, "did not come to its end");
    assert_int_equal(try_open(f, &options), NHUB_ECONFLICT);
}

static void a_finished_import_is_a_journal_and_a_discarded_one_is_gone(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();
    struct store_figures figures;

    options.is_import = true;
    assert_int_equal(try_open(f, &options), NHUB_OK);
    put_range_of_import(f->s);
    store_discard(&f->s);
    assert_int_equal(try_open(f, &options), NHUB_OK);
    put_range_of_import(f->s);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_finish_import(f->s), NHUB_OK);
    assert_int_equal(store_commit(f->s), NHUB_OK);
    store_close(&f->s);
    open_store(f);
    store_figures(f->s, &figures);
    assert_int_equal(figures.records, 5);
    assert_int_equal(store_begin(f->s), NHUB_OK);
    assert_int_equal(store_finish_import(f->s), NHUB_EINVAL); /* this is none */
    store_abort(f->s);
    store_discard(&f->s); /* only closes what is no import */
    open_store(f);
}

static void the_owner_can_be_asked_for(void **state)
{
    struct fixture *f = *state;
    struct buf owner;
    char pid[40];

    buf_init(&owner);
    store_owner(f->folder, &owner);
    assert_string_equal(buf_cstr(&owner), "");
    open_store(f);
    store_owner(f->folder, &owner);
    (void)snprintf(pid, sizeof pid, "pid %ld on ", (long)getpid());
    assert_memory_equal(buf_cstr(&owner), pid, strlen(pid));
    store_close(&f->s);
    buf_reset(&owner);
    store_owner(f->folder, &owner);
    assert_string_equal(buf_cstr(&owner), "");
    buf_fini(&owner);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_second_hub_is_told_who_owns_the_folder),
        TEST(a_folder_is_made_but_not_its_parents),
        TEST(a_reader_makes_nothing),
        TEST(a_folder_without_the_right_to_write_says_so),
        TEST(network_file_systems_have_names),
        TEST(a_file_that_is_no_journal_is_left_alone),
        TEST(every_cut_is_noticed),
        TEST(other_formats_are_named),
        TEST(an_older_format_is_named),
        TEST(a_format_of_something_else_is_refused),
        TEST(a_state_that_makes_no_sense_is_refused),
        TEST(the_file_of_another_program_is_refused),
        TEST(a_changed_event_is_noticed),
        TEST(an_import_needs_a_folder_without_a_journal),
        TEST(an_unfinished_import_is_no_journal),
        TEST(a_finished_import_is_a_journal_and_a_discarded_one_is_gone),
        TEST(the_owner_can_be_asked_for),
        TEST(no_damaged_page_takes_the_reader_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
