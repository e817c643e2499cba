/*
 * store_fixture: a folder of its own for each test, and short words for what most of them do.
 */
#ifndef NHUB_TESTS_UNIT_STORE_STORE_FIXTURE_H
#define NHUB_TESTS_UNIT_STORE_STORE_FIXTURE_H

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

struct fixture {
    char base[SCRATCH_BYTES];        /* removed with everything in it */
    char folder[SCRATCH_BYTES + 16]; /* of the journal, inside */
    struct store *s;                 /* closed by the teardown */
    struct buf error;                /* of the last open */
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_true(scratch_folder(f->base, "store"));
    (void)snprintf(f->folder, sizeof f->folder, "%s/journal", f->base);
    buf_init(&f->error);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    store_close(&f->s);
    buf_fini(&f->error);
    scratch_remove(f->base);
    free(f);
    return 0;
}

static inline struct store_options write_options(void)
{
    return (struct store_options){
        .mode = STORE_WRITE, .max_bytes = UINT64_C(16) << 20, .sync_on_commit = true};
}

static inline nhub_err try_open(struct fixture *f, const struct store_options *options)
{
    buf_reset(&f->error);
    return store_open(&f->s, f->folder, options, &f->error);
}

static inline void open_store(struct fixture *f)
{
    const struct store_options options = write_options();

    if (try_open(f, &options)) {
        fail_msg("%s", buf_cstr(&f->error));
    }
}

static inline void close_and_open(struct fixture *f)
{
    store_close(&f->s);
    open_store(f);
}

/* Makes numbers up to `to` usable. */
static inline void reserve(struct store *s, uint64_t to)
{
    struct store_meta meta;

    store_get_meta(s, &meta);
    meta.reserved_to = to;
    meta.was_clean = false;
    assert_int_equal(store_begin(s), NHUB_OK);
    assert_int_equal(store_put_meta(s, &meta), NHUB_OK);
    assert_int_equal(store_commit(s), NHUB_OK);
}

/* Event n arrived at n × 1000 and says so. */
static inline nhub_err put_numbered(struct store *s, uint64_t seq)
{
    char line[64];
    const int len = snprintf(line, sizeof line, "{\"seq\":%llu}", (unsigned long long)seq);

    return store_put_event(s, seq, (int64_t)seq * 1000, "count", 5, line, (size_t)len);
}

static inline void put_range(struct store *s, uint64_t from, uint64_t to)
{
    assert_int_equal(store_begin(s), NHUB_OK);
    for (uint64_t seq = from; seq <= to; seq++) {
        assert_int_equal(put_numbered(s, seq), NHUB_OK);
    }
    assert_int_equal(store_commit(s), NHUB_OK);
}

/* What a scan has seen. */
struct seen {
    uint64_t numbers[4096];
    size_t count;
    size_t stop_at; /* refuse to take more than so many; 0 = all */
};

static inline bool see(void *context, const struct store_record *record)
{
    struct seen *seen = context;

    if (seen->stop_at && seen->count == seen->stop_at) {
        return false;
    }
    assert_true(seen->count < sizeof seen->numbers / sizeof seen->numbers[0]);
    seen->numbers[seen->count++] = record->seq;
    return true;
}

static inline nhub_err scan(struct store *s, uint64_t after, uint64_t to, struct seen *seen,
                            uint64_t *out_scanned_to)
{
    const struct store_scan what = {.after = after, .to = to, .visit = see, .context = seen};

    return store_read(s, &what, out_scanned_to);
}

#endif
