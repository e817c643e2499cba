/*
 * store: readers in threads of their own beside the writer, also while the environment is opened
 * anew. Each reader sees whole commits only, in order.
 */
#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define READERS 3
#define BATCH   10
#define BATCHES 150

struct shared {
    struct store *s;
    _Atomic bool is_over;
    _Atomic uint64_t scans;
    _Atomic uint64_t wrong;
};

struct scanned {
    uint64_t first, last;
    bool has_hole;
};

static bool follow(void *context, const struct store_record *record)
{
    struct scanned *seen = context;

    seen->first = seen->first ? seen->first : record->seq;
    seen->has_hole |= seen->last != 0 && record->seq != seen->last + 1;
    seen->last = record->seq;
    return true;
}

static void *read_again_and_again(void *argument)
{
    struct shared *shared = argument;

    while (!atomic_load(&shared->is_over)) {
        struct scanned seen = {0};
        const struct store_scan scan = {.to = STORE_SEQ_MAX, .visit = follow, .context = &seen};
        uint64_t scanned_to = 0, after = 0;

        if (store_read(shared->s, &scan, &scanned_to) != NHUB_OK || seen.has_hole ||
            seen.last % BATCH != 0 || store_find_time(shared->s, 5, &after) != NHUB_OK) {
            atomic_fetch_add(&shared->wrong, 1);
        }
        atomic_fetch_add(&shared->scans, 1);
    }
    return NULL;
}

static void write_all(struct fixture *f)
{
    for (uint64_t i = 0; i < BATCHES; i++) {
        size_t count = 0;
        int64_t us = 0;

        put_range(f->s, i * BATCH + 1, (i + 1) * BATCH);
        if (i % 8 == 7) {
            assert_int_equal(store_begin(f->s), NHUB_OK);
            assert_int_equal(store_trim(f->s, 0, 10000, 0, 100, &count, &us), NHUB_OK);
            assert_int_equal(store_commit(f->s), NHUB_OK);
        }
        if (i % 30 == 29) {
            assert_int_equal(store_reopen(f->s, &f->error), NHUB_OK);
        }
    }
}

static void readers_see_whole_commits_also_across_reopening(void **state)
{
    struct fixture *f = *state;
    struct store_options options = write_options();
    struct shared shared = {.s = NULL};
    pthread_t threads[READERS];

    options.sync_on_commit = false;
    assert_int_equal(try_open(f, &options), NHUB_OK);
    reserve(f->s, 1000000);
    shared.s = f->s;
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_again_and_again, &shared), 0);
    }
    write_all(f);
    while (atomic_load(&shared.scans) < READERS) { /* each had its turn on a slow machine, too */
        (void)usleep(1000);
    }
    atomic_store(&shared.is_over, true);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&shared.wrong), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_see_whole_commits_also_across_reopening,
                                        fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
