/*
 * Tests of handlers by pattern, and of the prefixes that they need.
 */
#include "client/event_view.h"
#include "client/filters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct filters *filters;
    char calls[256]; /* a letter for each handler called */
};

/* A handler that notes its letter. */
struct note {
    struct fixture *fixture;
    char letter;
    const char *removes; /* a pattern to take back, or NULL */
    const char *adds;
};

static void on_event(void *context, const nhub_event *event)
{
    const struct note *note = context;
    struct fixture *f = note->fixture;
    struct filter_change change;
    const size_t len = strlen(f->calls);

    (void)event;
    assert_true(len + 1 < sizeof f->calls);
    f->calls[len] = note->letter;
    f->calls[len + 1] = '\0';
    if (note->removes) {
        assert_int_equal(filters_remove(f->filters, note->removes, &change), NHUB_OK);
    }
    if (note->adds) {
        assert_int_equal(filters_add(f->filters, note->adds, on_event, context, &change), NHUB_OK);
    }
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(filters_create(&f->filters), NHUB_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    filters_destroy(&f->filters);
    free(f);
    return 0;
}

static bool dispatch(struct fixture *f, const char *type)
{
    nhub_event *event = NULL;
    char line[400];
    bool is_called = false;

    (void)snprintf(line, sizeof line, "{\"event_type\":\"%s\",\"source_service\":\"s\",\"data\":1}",
                   type);
    assert_int_equal(nhub_event_create(&event, (nhub_bytes){.p = line, .len = strlen(line)}),
                     NHUB_OK);
    f->calls[0] = '\0';
    is_called = filters_dispatch(f->filters, event, "StatsEvent");
    nhub_event_destroy(&event);
    return is_called;
}

static struct filter_change add(struct fixture *f, const char *pattern, struct note *note)
{
    struct filter_change change;

    note->fixture = f;
    assert_int_equal(filters_add(f->filters, pattern, on_event, note, &change), NHUB_OK);
    return change;
}

static void handlers_are_called_in_the_order_of_their_registration(void **state)
{
    struct fixture *f = *state;
    struct note a = {.letter = 'a'}, b = {.letter = 'b'}, c = {.letter = 'c'}, d = {.letter = 'd'};

    add(f, "sensor.*", &a);
    add(f, "sensor.lab", &b);
    add(f, "*.lab", &c);
    add(f, "other", &d);
    assert_true(dispatch(f, "sensor.lab"));
    assert_string_equal(f->calls, "abc");
    assert_true(dispatch(f, "sensor.x"));
    assert_string_equal(f->calls, "a");
    assert_false(dispatch(f, "nobody"));
}

static void reserved_types_come_to_those_who_name_them(void **state)
{
    struct fixture *f = *state;
    struct note all = {.letter = '*'}, stats = {.letter = 's'}, hub = {.letter = 'h'};

    add(f, "*", &all);
    assert_false(dispatch(f, "StatsEvent"));
    assert_false(dispatch(f, "hub.started"));
    add(f, "StatsEvent", &stats);
    add(f, "hub.*", &hub);
    assert_true(dispatch(f, "StatsEvent"));
    assert_string_equal(f->calls, "s");
    assert_true(dispatch(f, "hub.started"));
    assert_string_equal(f->calls, "h");
}

static void prefixes_are_shared_and_counted(void **state)
{
    struct fixture *f = *state;
    struct note n = {.letter = 'n'};
    struct filter_change change = add(f, "sensor.*", &n);

    assert_true(change.is_changed && change.is_added);
    assert_memory_equal(change.prefix, "sensor.", 7);
    assert_int_equal(change.prefix_len, 7);
    change = add(f, "sensor.?", &n);
    assert_false(change.is_changed);
    assert_int_equal(filters_remove(f->filters, "sensor.*", &change), NHUB_OK);
    assert_false(change.is_changed);
    assert_int_equal(filters_remove(f->filters, "sensor.?", &change), NHUB_OK);
    assert_true(change.is_changed && !change.is_added);
    assert_int_equal(filters_remove(f->filters, "sensor.?", &change), NHUB_ENOTFOUND);
    assert_int_equal(filters_prefix_count(f->filters), 0);
}

static void a_pattern_without_a_beginning_takes_everything(void **state)
{
    struct fixture *f = *state;
    struct note n = {.letter = 'n'};
    struct filter_change change;

    add(f, "abc", &n);
    assert_false(filters_take_everything(f->filters));
    change = add(f, "*x", &n);
    assert_true(change.is_changed && change.prefix_len == 0);
    assert_true(filters_take_everything(f->filters));
}

static void the_default_handler_takes_what_a_prefix_received_and_nobody_selected(void **state)
{
    struct fixture *f = *state;
    struct note d = {.fixture = f, .letter = 'd'}, p = {.letter = 'p'};
    struct filter_change change;

    filters_set_default(f->filters, on_event, &d);
    assert_int_equal(filters_add_prefix(f->filters, "pre", &change), NHUB_OK);
    assert_true(change.is_changed);
    add(f, "prefix", &p);
    add(f, "quite?", &p);
    assert_true(dispatch(f, "prefix"));
    assert_string_equal(f->calls, "p");
    assert_true(dispatch(f, "prefix-1"));
    assert_string_equal(f->calls, "d");
    assert_false(dispatch(f, "quiteways")); /* received for "quite?", wanted by nobody */
}

static void the_same_pattern_again_replaces_its_handler(void **state)
{
    struct fixture *f = *state;
    struct note a = {.letter = 'a'}, b = {.letter = 'b'};

    add(f, "t", &a);
    assert_false(add(f, "t", &b).is_changed);
    assert_true(dispatch(f, "t"));
    assert_string_equal(f->calls, "b");
}

static void handlers_may_change_the_filters_while_they_run(void **state)
{
    struct fixture *f = *state;
    struct note a = {.letter = 'a', .removes = "t*"}, b = {.letter = 'b', .removes = "t"};
    struct note c = {.letter = 'c', .adds = "tt*"};

    add(f, "t*", &a); /* removes itself */
    add(f, "t?", &b); /* removes the one behind it */
    add(f, "t", &c);
    add(f, "*", &c);
    assert_true(dispatch(f, "tt"));
    assert_string_equal(f->calls, "abc");
    b.removes = NULL;
    c.adds = NULL;
    assert_true(dispatch(f, "tt"));
    assert_string_equal(f->calls, "bcc");
}

static void malformed_patterns_are_refused(void **state)
{
    struct fixture *f = *state;
    struct filter_change change;
    char longest[300];

    memset(longest, 'x', sizeof longest);
    longest[256] = '\0';
    assert_int_equal(filters_add(f->filters, "", on_event, NULL, &change), NHUB_EINVAL);
    assert_int_equal(filters_add(f->filters, "a\nb", on_event, NULL, &change), NHUB_EINVAL);
    assert_int_equal(filters_add(f->filters, longest, on_event, NULL, &change), NHUB_EINVAL);
    assert_int_equal(filters_add(f->filters, "a", NULL, NULL, &change), NHUB_EINVAL);
    assert_int_equal(filters_add_prefix(f->filters, longest, &change), NHUB_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handlers_are_called_in_the_order_of_their_registration),
        TEST(reserved_types_come_to_those_who_name_them),
        TEST(prefixes_are_shared_and_counted),
        TEST(a_pattern_without_a_beginning_takes_everything),
        TEST(the_default_handler_takes_what_a_prefix_received_and_nobody_selected),
        TEST(the_same_pattern_again_replaces_its_handler),
        TEST(handlers_may_change_the_filters_while_they_run),
        TEST(malformed_patterns_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
