/*
 * store: processes that read beside the one that writes, and what they leave when they are killed.
 */
#include "store/store_private.h"

#include "store_fixture.h"

#include "base/clock.h"

#include <signal.h>
#include <sys/wait.h>

static int64_t shift_ns;

static int64_t shifted_mono_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + shift_ns;
}

static int64_t wall_us(void)
{
    return 1;
}

static const struct clock_source shifted = {shifted_mono_ns, wall_us};

/* How many read transactions LMDB knows of. */
static int count_line(const char *line, void *context)
{
    int *count = context;

    *count += line[0] == ' ' || (line[0] >= '0' && line[0] <= '9');
    return 0;
}

static int readers(struct store *s)
{
    int lines = 0;

    assert_true(mdb_reader_list(s->env, count_line, &lines) >= 0);
    return lines > 0 ? lines - 1 : 0; /* without the heading, where there is one */
}

/* A child that reads: it writes a byte when it holds its transaction, and waits to be killed. */
static pid_t hold_a_reader(struct fixture *f)
{
    const struct store_options options = {.mode = STORE_READ};
    int ends[2];
    char byte = 0;
    pid_t child = -1;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *s = NULL;
        MDB_txn *txn = NULL;

        if (store_open(&s, f->folder, &options, &f->error) || store_reader_begin(s, &txn) ||
            write(ends[1], "r", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return child;
}

static void end_child(pid_t child)
{
    int status = 0;

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void the_place_of_a_killed_reader_is_free_after_a_minute(void **state)
{
    struct fixture *f = *state;
    pid_t child = -1;

    clock_set_source(&shifted);
    open_store(f);
    reserve(f->s, 1000);
    put_range(f->s, 1, 10);
    assert_int_equal(readers(f->s), 0);
    child = hold_a_reader(f);
    assert_int_equal(readers(f->s), 1);
    shift_ns += INT64_C(61000000000);
    put_range(f->s, 11, 11);
    assert_int_equal(readers(f->s), 1); /* one that lives keeps its place */
    end_child(child);
    put_range(f->s, 12, 12);
    assert_int_equal(readers(f->s), 1);
    shift_ns += INT64_C(61000000000);
    put_range(f->s, 13, 13);
    assert_int_equal(readers(f->s), 0);
    clock_set_source(NULL);
}

static void the_place_of_a_killed_reader_is_free_after_a_start(void **state)
{
    struct fixture *f = *state;
    pid_t child = -1;

    open_store(f);
    child = hold_a_reader(f);
    end_child(child);
    store_close(&f->s);
    open_store(f);
    assert_int_equal(readers(f->s), 0);
}

static void a_reader_follows_the_writer(void **state)
{
    struct fixture *f = *state;
    const struct store_options options = {.mode = STORE_READ};
    int status = 0, ends[2], looked[2];
    char byte = 0;
    pid_t child = -1;

    open_store(f);
    reserve(f->s, 1000);
    put_range(f->s, 1, 10);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(looked), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *s = NULL;
        struct seen seen = {0};
        uint64_t scanned = 0;

        if (store_open(&s, f->folder, &options, &f->error) || scan(s, 0, 99, &seen, &scanned) ||
            seen.count != 10 || write(looked[1], "l", 1) != 1 || read(ends[0], &byte, 1) != 1) {
            _exit(1);
        }
        seen.count = 0;
        _exit(scan(s, 0, 99, &seen, &scanned) || seen.count != 20 ||
              store_begin(s) != NHUB_ESTATE || store_sync(s) != NHUB_ESTATE);
    }
    (void)close(looked[1]); /* a child that failed closes the other one */
    assert_int_equal(read(looked[0], &byte, 1), 1);
    put_range(f->s, 11, 20);
    assert_int_equal(write(ends[1], "w", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(looked[0]);
    assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_place_of_a_killed_reader_is_free_after_a_minute),
        TEST(the_place_of_a_killed_reader_is_free_after_a_start),
        TEST(a_reader_follows_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
