// with: failmalloc
/* store: without memory it says so, loses nothing and leaks nothing; each allocation fails once. */
#include "failmalloc.h"
#include "store/store_verify.h"

#include "store_fixture.h"

static void ignore(void *context, const char *text)
{
    (void)context;
    (void)text;
}

/* Everything that allocates. */
static nhub_err work(struct fixture *f, struct store **out)
{
    const struct store_options options = {
        .mode = STORE_WRITE, .max_bytes = 1 << 20, .sync_on_commit = false};
    struct store_verify verify = {.problem = ignore};
    struct store_meta meta;
    nhub_err status = store_open(out, f->folder, &options, &f->error);

    if (!status) {
        store_get_meta(*out, &meta);
        meta.reserved_to = 1000;
        status = store_begin(*out);
    }
    if (!status) {
        status = store_put_meta(*out, &meta);
        status = status ? status : store_commit(*out);
    }
    if (!status) {
        status = store_verify(*out, &verify);
    }
    return status ? status : store_reopen(*out, &f->error);
}

static void each_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    bool has_failed = true;
    long failures = 0;

    for (long n = 0; has_failed; n++) {
        const long before = failmalloc_live();
        struct store *s = NULL;
        nhub_err status = NHUB_OK;

        failmalloc_arm(n);
        status = work(f, &s);
        store_close(&s);
        buf_fini(&f->error);
        has_failed = failmalloc_disarm();
        failures += has_failed;
        /* The text of an error may be what had no room: that alone is no failure. */
        assert_true(status == NHUB_OK || status == NHUB_ENOMEM);
        assert_true(has_failed || status == NHUB_OK);
        assert_int_equal(failmalloc_live(), before);
    }
    assert_true(failures > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
