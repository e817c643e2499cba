// with: failmalloc
/* group_index: finds the same groups as a look at every pattern of every live group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/group_index.h"
#include "failmalloc.h"

#define SLOTS 130 /* more than two words of bits */

struct fixture {
    struct group_index *ix;
    struct group_patterns *patterns[SLOTS];
    bool is_live[SLOTS];
    bool was_hit[SLOTS];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(group_index_create(&f->ix, SLOTS, "StatsEvent"), NHUB_OK);
    *state = f;
    return 0;
}

static void take_out(struct fixture *f, size_t slot)
{
    group_index_set_live(f->ix, slot, false);
    f->is_live[slot] = false;
    group_index_remove(f->ix, slot, f->patterns[slot]);
    group_patterns_unref(&f->patterns[slot]);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < SLOTS; i++) {
        if (f->patterns[i]) {
            take_out(f, i);
        }
    }
    group_index_destroy(&f->ix);
    free(f);
    return 0;
}

/* texts: separated by blanks; "" = everything. */
static struct group_patterns *make_patterns(const char *texts)
{
    struct request_pattern list[16];
    struct group_patterns *p = NULL;
    size_t count = 0;

    while (*texts) {
        list[count] = (struct request_pattern){.text = texts, .len = strcspn(texts, " ")};
        texts += list[count++].len;
        texts += *texts == ' ';
    }
    assert_int_equal(group_patterns_create(&p, list, count), NHUB_OK);
    return p;
}

static void put_in(struct fixture *f, size_t slot, const char *texts)
{
    f->patterns[slot] = make_patterns(texts);
    assert_int_equal(group_index_add(f->ix, slot, f->patterns[slot]), NHUB_OK);
    group_index_set_live(f->ix, slot, true);
    f->is_live[slot] = true;
}

static void hit(void *context, size_t slot)
{
    struct fixture *f = context;

    assert_true(slot < SLOTS && !f->was_hit[slot]);
    f->was_hit[slot] = true;
}

static void look_up(struct fixture *f, const char *type)
{
    memset(f->was_hit, 0, sizeof f->was_hit);
    group_index_look_up(f->ix, type, strlen(type), hit, f);
}

static void expect_agreement(struct fixture *f, const char *type)
{
    look_up(f, type);
    for (size_t i = 0; i < SLOTS; i++) {
        const bool wanted = f->is_live[i] &&
                            group_patterns_select(f->patterns[i], type, strlen(type), "StatsEvent");

        if (f->was_hit[i] != wanted) {
            fail_msg("%s, group %zu: found %d, wanted %d", type, i, f->was_hit[i], wanted);
        }
    }
}

static const char *const types[] = {
    "a",           "ab",         "abc",   "order",           "order:1", "order:12", "b",    "[x]",
    "a[b",         "StatsEvent", "hub.x", "hub.dead_letter", "order:é", "*",        "name", "names",
    "other:thing", "order:1:ab", "é",
};
#define TYPES (sizeof types / sizeof types[0])

static const char *const wishes[] = {
    "",         "*",     "a",       "a b",       "order:*", "order:? name",    "a*",
    "a[b",      "*c",    "hub.*",   "hub.x",     "S*",      "StatsEvent",      "order:1*",
    "[ax]*",    "[!a]*", "order",   "name name", "é",       "order:é other:*", "?",
    "a* order", "**",    "nothing", "ab",        "hub.* *", "order:*b",        "a a* *",
};
#define WISHES (sizeof wishes / sizeof wishes[0])

static void every_kind_of_pattern_finds_its_types(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < WISHES; i++) {
        put_in(f, i * 4 + i % 3, wishes[i]);
    }
    for (int round = 0; round < 2; round++) { /* looked up, and remembered */
        for (size_t t = 0; t < TYPES; t++) {
            expect_agreement(f, types[t]);
            expect_agreement(f, types[t]);
        }
    }
}

static void groups_come_and_go(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 88172645463325252u;

    for (int i = 0; i < 4000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const size_t slot = (random >> 20) % SLOTS;

        if (!f->patterns[slot]) {
            put_in(f, slot, wishes[(random >> 32) % WISHES]);
        } else if (random % 3 == 0) {
            take_out(f, slot);
        } else {
            f->is_live[slot] = !f->is_live[slot];
            group_index_set_live(f->ix, slot, f->is_live[slot]);
        }
        expect_agreement(f, types[(random >> 40) % TYPES]);
    }
}

static void more_types_than_are_remembered_are_all_found(void **state)
{
    struct fixture *f = *state;

    put_in(f, 0, "order:*7");
    put_in(f, 1, "order:77");
    put_in(f, 2, "never");
    for (int i = 0; i < 3 * GROUP_INDEX_TYPES_MAX; i++) {
        char type[32];

        (void)snprintf(type, sizeof type, "order:%d", i);
        look_up(f, type);
        assert_int_equal(f->was_hit[0], i % 10 == 7);
        assert_int_equal(f->was_hit[1], i == 77);
        assert_false(f->was_hit[2]);
    }
}

static void without_memory_nobody_is_forgotten(void **state)
{
    struct fixture *f = *state;
    const char *const texts = "fresh:* exact glob*x";
    struct group_patterns *p = make_patterns(texts);
    nhub_err err = NHUB_ENOMEM;

    put_in(f, 5, "a");
    for (long n = 0; err != NHUB_OK; n++) {
        failmalloc_arm(n);
        err = group_index_add(f->ix, 7, p);
        assert_int_equal(failmalloc_disarm(), err != NHUB_OK);
        assert_true(err == NHUB_OK || err == NHUB_ENOMEM);
        expect_agreement(f, "a");
    }
    f->patterns[7] = p;
    group_index_set_live(f->ix, 7, true);
    f->is_live[7] = true;
    for (long n = 0; n < 3; n++) {
        failmalloc_arm(n);
        look_up(f, n == 0 ? "fresh:0" : n == 1 ? "fresh:1" : "fresh:2");
        (void)failmalloc_disarm();
        assert_true(f->was_hit[7]); /* perhaps others too, who find out by themselves */
    }
    expect_agreement(f, "fresh:3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_pattern_finds_its_types, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(more_types_than_are_remembered_are_all_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_memory_nobody_is_forgotten, setup, teardown),
    };
    return cmocka_run_group_tests_name("group_index", tests, NULL, NULL);
}
