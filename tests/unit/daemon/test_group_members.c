// with: failmalloc
/* group_members: bounded, and those who hold something are never forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "daemon/group_members.h"
#include "failmalloc.h"

static int setup(void **state)
{
    struct group_members *m = NULL;

    assert_int_equal(group_members_create(&m), NHUB_OK);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct group_members *m = *state;

    group_members_destroy(&m);
    return 0;
}

static size_t count(const struct group_members *m)
{
    size_t n = 0;

    for (const struct group_member *who = group_members_first(m); who; who = who->next) {
        n++;
    }
    return n;
}

static struct group_member *see(struct group_members *m, int number, int64_t now_ms)
{
    char name[16];

    (void)snprintf(name, sizeof name, "m%d", number);
    return group_members_see(m, name, now_ms);
}

static void a_member_is_one_however_often_it_comes(void **state)
{
    struct group_members *m = *state;
    struct group_member *a = see(m, 1, 10);

    assert_string_equal(a->name, "m1");
    (void)see(m, 2, 20);
    assert_ptr_equal(see(m, 1, 30), a);
    assert_int_equal(a->last_seen_ms, 30);
    assert_int_equal(count(m), 2);
    assert_string_equal(group_members_first(m)->name, "m2");
}

static void idle_ones_are_forgotten(void **state)
{
    struct group_members *m = *state;

    see(m, 1, 0)->pending = 1;
    (void)see(m, 2, 0);
    (void)see(m, 3, 5);
    group_members_forget(m, GROUP_MEMBER_FORGET_MS);
    assert_int_equal(count(m), 3);
    group_members_forget(m, GROUP_MEMBER_FORGET_MS + 1);
    assert_int_equal(count(m), 2);
    see(m, 1, 7)->pending = 0;
    group_members_forget(m, GROUP_MEMBER_FORGET_MS + 8);
    assert_int_equal(count(m), 0);
}

static void a_full_table_makes_room_but_for_those_who_hold_something(void **state)
{
    struct group_members *m = *state;

    for (int i = 0; i < GROUP_MEMBERS_MAX; i++) {
        see(m, i, i)->pending = i != 500;
    }
    assert_non_null(see(m, 9001, 2000));
    assert_int_equal(count(m), GROUP_MEMBERS_MAX);
    see(m, 9001, 2000)->pending = 1;
    assert_null(see(m, 9002, 2001));
    assert_non_null(see(m, 0, 2002));
    assert_int_equal(count(m), GROUP_MEMBERS_MAX);
}

static void the_longest_name_fits(void **state)
{
    char name[GROUP_MEMBER_MAX + 2];

    memset(name, 'n', sizeof name);
    name[GROUP_MEMBER_MAX + 1] = '\0';
    assert_null(group_members_see(*state, name, 0));
    name[GROUP_MEMBER_MAX] = '\0';
    assert_string_equal(group_members_see(*state, name, 0)->name, name);
}

static void without_memory_a_member_is_not_listed(void **state)
{
    struct group_members *m = *state;

    for (long n = 0; n < 2; n++) {
        failmalloc_arm(n);
        assert_null(see(m, 1, 0));
        assert_true(failmalloc_disarm());
        assert_int_equal(count(m), 0);
    }
    assert_non_null(see(m, 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_member_is_one_however_often_it_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_ones_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_table_makes_room_but_for_those_who_hold_something,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_name_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_a_member_is_not_listed, setup, teardown),
    };
    return cmocka_run_group_tests_name("group_members", tests, NULL, NULL);
}
