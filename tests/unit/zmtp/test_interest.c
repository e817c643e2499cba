// with: failmalloc
/*
 * interest: random histories against a table of all subscriptions that is looked through from its
 * beginning, lengths that vanish, and memory that fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "zmtp/interest.h"

enum { OWNERS = 5, OWNS_MAX = 600 };

/* One who subscribes, and what it subscribed to as the test sees it. */
struct owner {
    struct interested who; /* first: found() is given it */
    struct {
        char prefix[INTEREST_PREFIX_MAX];
        size_t len;
    } owns[OWNS_MAX];
    size_t count;
    int found; /* by the last search */
};

struct fixture {
    struct interest *interest;
    struct owner owners[OWNERS];
    long live;
};

static void note_found(void *context, struct interested *who)
{
    struct owner *o = (struct owner *)(void *)who;

    o->found++;
    ++*(int *)context;
}

static size_t owned_at(const struct owner *o, const char *prefix, size_t len)
{
    size_t i = 0;

    while (i < o->count && (o->owns[i].len != len || memcmp(o->owns[i].prefix, prefix, len) != 0)) {
        i++;
    }
    return i;
}

static void search_and_check(struct fixture *f, const char *type, size_t len)
{
    int calls = 0;
    int expected_calls = 0;

    for (size_t i = 0; i < OWNERS; i++) {
        f->owners[i].found = 0;
    }
    interest_search(f->interest, type, len, note_found, &calls);
    for (size_t i = 0; i < OWNERS; i++) {
        const struct owner *o = &f->owners[i];
        int expected = 0;

        for (size_t k = 0; k < o->count; k++) {
            expected |=
                o->owns[k].len <= len && memcmp(o->owns[k].prefix, type, o->owns[k].len) == 0;
        }
        assert_int_equal(o->found, expected);
        expected_calls += expected;
    }
    assert_int_equal(calls, expected_calls);
}

static void add(struct fixture *f, struct owner *o, const char *prefix, size_t len)
{
    const bool is_new = owned_at(o, prefix, len) == o->count;

    assert_int_equal(interest_add(f->interest, &o->who, prefix, len),
                     is_new ? NHUB_OK : NHUB_EEXIST);
    if (is_new) {
        assert_true(o->count < OWNS_MAX);
        memcpy(o->owns[o->count].prefix, prefix, len);
        o->owns[o->count++].len = len;
    }
    assert_int_equal(o->who.count, o->count);
}

static void remove_one(struct fixture *f, struct owner *o, const char *prefix, size_t len)
{
    const size_t at = owned_at(o, prefix, len);
    const bool is_there = at < o->count;

    assert_int_equal(interest_remove(f->interest, &o->who, prefix, len),
                     is_there ? NHUB_OK : NHUB_ENOTFOUND);
    if (is_there) {
        o->owns[at] = o->owns[--o->count];
    }
    assert_int_equal(o->who.count, o->count);
}

static void drop(struct fixture *f, struct owner *o)
{
    assert_int_equal(interest_drop(f->interest, &o->who), o->count);
    assert_int_equal(o->who.count, 0);
    o->count = 0;
}

/* ---- a fresh one for each test ---- */

static int setup(void **state)
{
    const long live = failmalloc_live();
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->live = live;
    assert_int_equal(interest_create(&f->interest), NHUB_OK);
    for (size_t i = 0; i < OWNERS; i++) {
        f->owners[i].who.number = i + 1;
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    const long live = f->live;

    for (size_t i = 0; i < OWNERS; i++) {
        drop(f, &f->owners[i]);
    }
    interest_destroy(&f->interest);
    assert_null(f->interest);
    interest_destroy(&f->interest); /* a NULL is fine */
    free(f);
    assert_int_equal(failmalloc_live(), live);
    return 0;
}

/* ---- single cases ---- */

static void a_prefix_matches_what_begins_with_it(void **state)
{
    struct fixture *f = *state;

    add(f, &f->owners[0], "order.", 6);
    add(f, &f->owners[1], "order.paid", 10);
    search_and_check(f, "order.paid", 10);
    search_and_check(f, "order.paidback", 14);
    search_and_check(f, "order.", 6);
    search_and_check(f, "order", 5);
    search_and_check(f, "", 0);
    search_and_check(f, "Order.paid", 10);
}

static void the_empty_prefix_matches_everything(void **state)
{
    struct fixture *f = *state;

    add(f, &f->owners[0], "", 0);
    assert_int_equal(interest_add(f->interest, &f->owners[0].who, NULL, 0), NHUB_EEXIST);
    search_and_check(f, "", 0);
    search_and_check(f, "anything", 8);
    remove_one(f, &f->owners[0], "", 0);
    remove_one(f, &f->owners[0], "", 0);
    search_and_check(f, "", 0);
    search_and_check(f, "anything", 8);
    add(f, &f->owners[0], "", 0);
    search_and_check(f, "again", 5);
}

static void everybody_is_found_once(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OWNERS; i++) {
        add(f, &f->owners[i], "", 0);
        add(f, &f->owners[i], "a", 1);
        add(f, &f->owners[i], "ab", 2);
        add(f, &f->owners[i], "abc", 3);
    }
    search_and_check(f, "abcd", 4);
    search_and_check(f, "ab", 2);
}

static void a_duplicate_changes_nothing(void **state)
{
    struct fixture *f = *state;

    add(f, &f->owners[0], "twice", 5);
    add(f, &f->owners[0], "twice", 5);
    add(f, &f->owners[1], "twice", 5); /* somebody else's */
    remove_one(f, &f->owners[0], "twice", 5);
    search_and_check(f, "twice", 5);
    remove_one(f, &f->owners[0], "twice", 5);
    search_and_check(f, "twice", 5);
}

static void prefixes_have_up_to_255_bytes(void **state)
{
    struct fixture *f = *state;
    char prefix[300];

    memset(prefix, '\xff', sizeof prefix);
    assert_int_equal(interest_add(f->interest, &f->owners[0].who, prefix, 256), NHUB_ETOOBIG);
    assert_int_equal(interest_add(f->interest, &f->owners[0].who, prefix, 300), NHUB_ETOOBIG);
    assert_int_equal(interest_remove(f->interest, &f->owners[0].who, prefix, 256), NHUB_ENOTFOUND);
    search_and_check(f, prefix, 300);
    add(f, &f->owners[0], prefix, 255);
    add(f, &f->owners[1], prefix, 254);
    search_and_check(f, prefix, 253);
    search_and_check(f, prefix, 254);
    search_and_check(f, prefix, 255);
    search_and_check(f, prefix, 256);
    search_and_check(f, prefix, 300);
    assert_int_equal(interest_remove(f->interest, &f->owners[0].who, prefix, 256), NHUB_ENOTFOUND);
    remove_one(f, &f->owners[0], prefix, 255);
    search_and_check(f, prefix, 300);
}

static void any_bytes_are_a_prefix(void **state)
{
    struct fixture *f = *state;

    add(f, &f->owners[0], "\0", 1);
    add(f, &f->owners[1], "\0\0", 2);
    add(f, &f->owners[2], "a\0b", 3);
    search_and_check(f, "\0", 1);
    search_and_check(f, "\0\0\0", 3);
    search_and_check(f, "a\0b\0c", 5);
    search_and_check(f, "a", 1);
    search_and_check(f, "", 0);
}

/* A length is looked up as long as a prefix has it, and once more when one has it again. */
static void lengths_vanish_and_come_back(void **state)
{
    struct fixture *f = *state;
    char type[INTEREST_PREFIX_MAX];

    memset(type, 'l', sizeof type);
    for (int round = 0; round < 2; round++) {
        for (size_t len = 1; len <= sizeof type; len++) {
            add(f, &f->owners[len % OWNERS], type, len);
            search_and_check(f, type, sizeof type);
        }
        for (size_t len = 2; len <= sizeof type; len += 2) {
            remove_one(f, &f->owners[len % OWNERS], type, len);
            search_and_check(f, type, len);
        }
        for (size_t i = 0; i < OWNERS; i++) {
            drop(f, &f->owners[i]);
            search_and_check(f, type, sizeof type);
        }
    }
}

static void who_is_dropped_may_come_back(void **state)
{
    struct fixture *f = *state;

    drop(f, &f->owners[0]); /* it had nothing */
    add(f, &f->owners[0], "a", 1);
    add(f, &f->owners[0], "", 0);
    add(f, &f->owners[1], "a", 1);
    drop(f, &f->owners[0]);
    search_and_check(f, "a", 1);
    drop(f, &f->owners[0]);
    add(f, &f->owners[0], "a", 1);
    search_and_check(f, "a", 1);
}

/* Nobody fills the memory: the first subscriptions hold, and an end of one makes room. */
static void nobody_has_too_many(void **state)
{
    struct fixture *f = *state;
    struct interested *who = &f->owners[0].who;
    const uint32_t max = INTEREST_COUNT_MAX;

    for (uint32_t i = 0; i < max; i++) {
        assert_int_equal(interest_add(f->interest, who, &i, sizeof i), NHUB_OK);
    }
    assert_int_equal(interest_add(f->interest, who, &max, sizeof max), NHUB_EFULL);
    assert_int_equal(interest_add(f->interest, who, "", 0), NHUB_EFULL);
    assert_int_equal(who->count, max);
    add(f, &f->owners[1], "another", 7);
    assert_int_equal(interest_remove(f->interest, who, &(uint32_t){7}, sizeof max), NHUB_OK);
    assert_int_equal(interest_add(f->interest, who, &max, sizeof max), NHUB_OK);
    assert_int_equal(interest_drop(f->interest, who), max);
    search_and_check(f, "another", 7);
}

/* ---- histories ---- */

static unsigned roll(uint64_t *seed, unsigned sides)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33) % sides;
}

/* Few letters, so that prefixes meet; now and then a long one. */
static size_t make_bytes(uint64_t *seed, char *out, size_t max)
{
    const size_t len = roll(seed, 10) == 0 ? roll(seed, (unsigned)max + 1) : roll(seed, 5);

    for (size_t i = 0; i < len; i++) {
        out[i] = (char)('a' + (i < 4 ? roll(seed, 2) : 0));
    }
    return len;
}

static void play(struct fixture *f, uint64_t seed)
{
    char bytes[300];

    for (int move = 0; move < 3000; move++) {
        struct owner *o = &f->owners[roll(&seed, OWNERS)];
        const unsigned what = roll(&seed, 100);

        if (what < 40 && o->count < 400) {
            add(f, o, bytes, make_bytes(&seed, bytes, INTEREST_PREFIX_MAX));
        } else if (what < 60) {
            remove_one(f, o, bytes, make_bytes(&seed, bytes, INTEREST_PREFIX_MAX));
        } else if (what < 75 && o->count > 0) {
            const size_t at = roll(&seed, (unsigned)o->count);
            const size_t len = o->owns[at].len;

            memcpy(bytes, o->owns[at].prefix, len);
            remove_one(f, o, bytes, len);
        } else if (what < 76) {
            drop(f, o);
        } else {
            search_and_check(f, bytes, make_bytes(&seed, bytes, sizeof bytes));
        }
    }
}

static void histories_agree_with_the_model(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        play(*state, seed);
    }
}

/* ---- no memory ---- */

static void creation_without_memory_leaves_nothing(void **state)
{
    const long live = failmalloc_live();
    bool has_failed = true;
    long n = 0;

    (void)state;
    for (; has_failed; n++) {
        struct interest *i = NULL;
        nhub_err err;

        failmalloc_arm(n);
        err = interest_create(&i);
        has_failed = failmalloc_disarm();
        assert_int_equal(err, has_failed ? NHUB_ENOMEM : NHUB_OK);
        assert_true(has_failed == !i);
        interest_destroy(&i);
        assert_int_equal(failmalloc_live(), live);
    }
    assert_true(n > 4);
}

/* Each allocation of an addition fails once; what was there before is found all the same. */
static void add_with_failures(struct fixture *f, struct owner *o, const char *prefix, size_t len)
{
    bool has_failed = true;

    for (long n = 0; has_failed; n++) {
        nhub_err err;

        failmalloc_arm(n);
        err = interest_add(f->interest, &o->who, prefix, len);
        has_failed = failmalloc_disarm();
        if (!has_failed) {
            assert_int_equal(err, NHUB_OK);
            memcpy(o->owns[o->count].prefix, prefix, len);
            o->owns[o->count++].len = len;
            return;
        }
        assert_int_equal(err, NHUB_ENOMEM);
        assert_int_equal(o->who.count, o->count);
        assert_int_equal(interest_remove(f->interest, &o->who, prefix, len), NHUB_ENOTFOUND);
        search_and_check(f, prefix, len);
    }
}

static void an_addition_without_memory_changes_nothing(void **state)
{
    struct fixture *f = *state;
    char prefix[INTEREST_PREFIX_MAX];

    memset(prefix, 'm', sizeof prefix);
    for (size_t len = 0; len < 60; len++) {
        add_with_failures(f, &f->owners[0], prefix, len);
        add_with_failures(f, &f->owners[1 + len % 3], prefix, len);
        search_and_check(f, prefix, sizeof prefix);
    }
}

/* Nobody who leaves needs memory. */
static void removal_needs_no_memory(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < 100; i++) {
        const char prefix[2] = {(char)('a' + i / 10), (char)('a' + i % 10)};

        add(f, &f->owners[i % 2], prefix, 2);
    }
    failmalloc_arm(0);
    for (size_t i = 0; i < 50; i++) {
        const char prefix[2] = {(char)('a' + i / 10), (char)('a' + i % 10)};

        remove_one(f, &f->owners[i % 2], prefix, 2);
        search_and_check(f, prefix, 2);
    }
    drop(f, &f->owners[0]);
    assert_false(failmalloc_disarm());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_prefix_matches_what_begins_with_it),
        TEST(the_empty_prefix_matches_everything),
        TEST(everybody_is_found_once),
        TEST(a_duplicate_changes_nothing),
        TEST(prefixes_have_up_to_255_bytes),
        TEST(any_bytes_are_a_prefix),
        TEST(lengths_vanish_and_come_back),
        TEST(who_is_dropped_may_come_back),
        TEST(nobody_has_too_many),
        TEST(histories_agree_with_the_model),
        cmocka_unit_test(creation_without_memory_leaves_nothing),
        TEST(an_addition_without_memory_changes_nothing),
        TEST(removal_needs_no_memory),
    };

    return cmocka_run_group_tests_name("interest", tests, NULL, NULL);
}
