/* The router against a plain search over all sets, while sets come and go at random. */
#include "fan_bench.h"

#include "gateway/fanout/pattern_set.h"
#include "gateway/fanout/router.h"

#define SETS  200
#define TYPES 60

struct fixture {
    struct pattern_sets *sets;
    struct router *router;
    unsigned seed;
};

static int setup(void **state)
{
    const struct router_options options = {
        .stats_event = "StatsEvent", .max_types = 40, .max_entries = 3000};
    struct fixture *x = calloc(1, sizeof *x);

    assert_int_equal(pattern_sets_create(&x->sets), NHUB_OK);
    assert_int_equal(router_create(&x->router, &options), NHUB_OK);
    x->seed = 7;
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    router_destroy(&x->router);
    assert_int_equal(pattern_sets_count(x->sets), 0);
    pattern_sets_destroy(&x->sets);
    free(x);
    return 0;
}

static unsigned roll(struct fixture *x, unsigned n)
{
    x->seed = x->seed * 1664525U + 1013904223U;
    return (x->seed >> 8) % n;
}

static struct pattern_set *random_set(struct fixture *x)
{
    static const char *const shapes[] = {"t%u", "t%u*",   "*%u",        "t?%u",       "t[0-4]%u",
                                         "*",   "hub.%u", "StatsEvent", "unclosed[%u"};
    char text[4][32];
    const char *list[4];
    struct pattern_set *set = NULL;
    const unsigned n = roll(x, 4);

    for (unsigned i = 0; i < n; i++) {
        const char *shape = shapes[roll(x, 9)];
        const unsigned number = roll(x, 30);
        const char *percent = strchr(shape, '%');

        if (percent) {
            (void)snprintf(text[i], sizeof text[i], "%.*s%u%s", (int)(percent - shape), shape,
                           number, percent + 2);
        } else {
            (void)snprintf(text[i], sizeof text[i], "%s", shape);
        }
        list[i] = text[i];
    }
    assert_int_equal(pattern_set_get(x->sets, list, n, &set), NHUB_OK);
    return set;
}

static void check(struct fixture *x, struct pattern_set **sets, size_t count, const char *type)
{
    struct pattern_set *const *found = NULL;
    size_t found_count = 0;
    size_t want = 0;

    assert_int_equal(router_route(x->router, type, strlen(type), &found, &found_count), NHUB_OK);
    for (size_t i = 0; i < count; i++) {
        size_t times = 0;

        for (size_t k = 0; sets[i] && k < found_count; k++) {
            times += found[k] == sets[i];
        }
        if (sets[i] && sets[i]->routed &&
            pattern_set_selects(sets[i], type, strlen(type), "StatsEvent")) {
            assert_int_equal(times, 1);
            want++;
        } else {
            assert_int_equal(times, 0);
        }
    }
    assert_int_equal(found_count, want);
}

static void routes_are_right_while_sets_come_and_go(void **state)
{
    struct fixture *x = *state;
    struct pattern_set *sets[SETS] = {0};
    char type[32];

    for (int step = 0; step < 6000; step++) {
        const unsigned i = roll(x, SETS);

        if (sets[i] && roll(x, 2) == 0) {
            router_remove(x->router, sets[i]);
            pattern_set_unref(&sets[i]);
        } else if (!sets[i]) {
            sets[i] = random_set(x);
            if (sets[i]->routed) {
                pattern_set_unref(&sets[i]); /* another slot has the same */
            } else {
                assert_int_equal(router_add(x->router, sets[i]), NHUB_OK);
            }
        }
        switch (roll(x, 10)) {
        case 0:
            check(x, sets, SETS, "StatsEvent");
            break;
        case 1:
            check(x, sets, SETS, "hub.7");
            break;
        default:
            (void)snprintf(type, sizeof type, "t%u", roll(x, TYPES));
            check(x, sets, SETS, type);
            break;
        }
        assert_true(router_types(x->router) <= 40);
    }
    assert_true(router_resets(x->router) > 0);
    for (int i = 0; i < SETS; i++) {
        if (sets[i]) {
            router_remove(x->router, sets[i]);
            pattern_set_unref(&sets[i]);
        }
    }
}

static void many_sets_between_two_uses_of_an_answer(void **state)
{
    struct fixture *x = *state;
    struct pattern_set *sets[3000] = {0};
    char text[32];
    const char *list[1] = {text};

    check(x, sets, 0, "t1");
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(text, sizeof text, i % 100 == 0 ? "t1*%d" : "u%d*", i);
        if (i == 1500) {
            (void)snprintf(text, sizeof text, "t*");
        }
        assert_int_equal(pattern_set_get(x->sets, list, 1, &sets[i]), NHUB_OK);
        assert_int_equal(router_add(x->router, sets[i]), NHUB_OK);
    }
    check(x, sets, 3000, "t1");
    check(x, sets, 3000, "u17");
    for (int i = 0; i < 3000; i++) {
        router_remove(x->router, sets[i]);
        pattern_set_unref(&sets[i]);
    }
    check(x, sets, 3000, "t1");
}

static void a_set_that_goes_and_comes_back_is_found_once(void **state)
{
    struct fixture *x = *state;
    const char *list[1] = {"t*"};
    struct pattern_set *set = NULL;

    assert_int_equal(pattern_set_get(x->sets, list, 1, &set), NHUB_OK);
    assert_int_equal(router_add(x->router, set), NHUB_OK);
    check(x, &set, 1, "t5");
    router_remove(x->router, set);
    assert_int_equal(router_add(x->router, set), NHUB_OK);
    check(x, &set, 1, "t5");
    router_remove(x->router, set);
    check(x, &set, 1, "t5");
    pattern_set_unref(&set);
}

static void equal_pattern_lists_are_one_set(void **state)
{
    struct fixture *x = *state;
    const char *ab[] = {"b", "a", "b"};
    const char *ba[] = {"a", "b"};
    const char *joined[] = {"a\x01", "b"};
    struct pattern_set *one = NULL, *two = NULL, *three = NULL, *all = NULL;

    assert_int_equal(pattern_set_get(x->sets, ab, 3, &one), NHUB_OK);
    assert_int_equal(pattern_set_get(x->sets, ba, 2, &two), NHUB_OK);
    assert_int_equal(pattern_set_get(x->sets, joined, 2, &three), NHUB_OK);
    assert_int_equal(pattern_set_get(x->sets, NULL, 0, &all), NHUB_OK);
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, three);
    assert_int_equal(one->count, 2);
    assert_int_equal(pattern_sets_count(x->sets), 3);
    assert_true(pattern_set_selects(all, "x", 1, "StatsEvent"));
    assert_false(pattern_set_selects(all, "StatsEvent", 10, "StatsEvent"));
    assert_false(pattern_set_selects(all, "hub.x", 5, "StatsEvent"));
    pattern_set_unref(&one);
    pattern_set_unref(&two);
    pattern_set_unref(&three);
    pattern_set_unref(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(routes_are_right_while_sets_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(many_sets_between_two_uses_of_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_that_goes_and_comes_back_is_found_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(equal_pattern_lists_are_one_set, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
