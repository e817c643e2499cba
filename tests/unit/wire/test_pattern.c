/* pattern: who gets what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "wire/pattern.h"

struct match_case {
    const char *pattern;
    const char *type;
    bool matches;
};

static void patterns_match_whole_types(void **state)
{
    static const struct match_case cases[] = {
        {"a", "a", true},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a", "A", false},
        {"*", "", true},
        {"*", "anything:at.all/here", true},
        {"**", "x", true},
        {"a*", "a", true},
        {"a*", "ba", false},
        {"*a", "banana", true},
        {"*a", "bananas", false},
        {"b*n*a", "banana", true},
        {"a*b*c", "aXbXbXc", true},
        {"a*b*c", "aXbXbX", false},
        {"registry:*", "registry:bots:config", true},
        {"?", "a", true},
        {"?", "", false},
        {"?", "ab", false},
        {"?", "\xe2\x82\xac", true},
        {"??", "\xe2\x82\xac", false},
        {"*?", "\xe2\x82\xac", true},
        {"a?c", "a.c", true},
        {"[abc]", "b", true},
        {"[abc]", "d", false},
        {"[abc]", "", false},
        {"[!abc]", "d", true},
        {"[!abc]", "a", false},
        {"[!abc]", "", false},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[c-a]", "b", false},
        {"[a-c-e]", "-", true},
        {"[a-c-e]", "d", false},
        {"[-a]", "-", true},
        {"[a-]", "-", true},
        {"[]a]", "]", true},
        {"[]a]", "a", true},
        {"[!]a]", "]", false},
        {"[!]a]", "b", true},
        {"[]-a]", "^", true},
        {"[^a]", "^", true},
        {"[^a]", "a", true},
        {"[^a]", "b", false},
        {"[!!]", "!", false},
        {"[a!]", "!", true},
        {"[[]", "[", true},
        {"[*]", "*", true},
        {"[*]", "x", false},
        {"[?]", "?", true},
        {"[\xc3\xa4-\xc3\xbc]", "\xc3\xb6", true}, /* a-umlaut to u-umlaut has o-umlaut */
        {"[\xc3\xa4-\xc3\xbc]", "o", false},
        {"[!a]", "\xf0\x9f\x98\x80", true},
        {"[", "[", true},
        {"[a", "[a", true},
        {"[a", "a", false},
        {"[!", "[!", true},
        {"[]", "[]", true},
        {"[!]", "[!]", true},
        {"[a*", "[abc", true},
        {"x[[[", "x[[[", true},
        {"*[", "ab[", true},
        {"\\*", "\\x", true}, /* a backslash is a character like any other */
        {"\\a", "a", false},
        {"", "", true},
        {"", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct match_case *c = &cases[i];

        if (pattern_match(c->pattern, strlen(c->pattern), c->type, strlen(c->type)) != c->matches) {
            fail_msg("pattern %s, type %s", c->pattern, c->type);
        }
    }
}

struct prefix_case {
    const char *pattern;
    size_t prefix;
};

static void the_literal_prefix_ends_at_the_first_special(void **state)
{
    static const struct prefix_case cases[] = {
        {"", 0},     {"abc", 3}, {"a*c", 1},  {"*", 0},    {"ab?", 2}, {"x[a]", 1}, {"x[a", 3},
        {"x[a*", 3}, {"x[]", 3}, {"x[]]", 1}, {"x[!]", 4}, {"[?", 1},  {"a]b", 3},  {"[[]", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t len = strlen(cases[i].pattern);

        if (pattern_literal_prefix(cases[i].pattern, len) != cases[i].prefix) {
            fail_msg("%s", cases[i].pattern);
        }
        assert_int_equal(pattern_is_exact(cases[i].pattern, len), cases[i].prefix == len);
    }
}

static void ill_formed_bytes_match_themselves_only(void **state)
{
    (void)state;
    assert_true(pattern_match("\xff", 1, "\xff", 1));
    assert_true(pattern_match("?", 1, "\xff", 1));
    assert_false(pattern_match("\xff", 1, "\xfe", 1));
    assert_true(pattern_match("[\xff]", 3, "\xff", 1));
    assert_false(pattern_match("[\xff]", 3, "\xc3\xbf", 2)); /* U+00FF */
}

/* A naive matcher needs more than the age of the universe for this one. */
static void no_pattern_takes_exponential_time(void **state)
{
    char pattern[PATTERN_MAX], type[PATTERN_MAX];
    const clock_t start = clock();
    (void)state;

    memset(type, 'a', sizeof type);
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = i % 2 ? 'a' : '*';
    }
    pattern[sizeof pattern - 1] = 'b';
    for (int i = 0; i < 100; i++) {
        assert_false(pattern_match(pattern, sizeof pattern, type, sizeof type));
    }
    memset(pattern, '[', sizeof pattern);
    pattern[0] = '*';
    memset(type, '[', sizeof type);
    type[sizeof type - 1] = 'x';
    for (int i = 0; i < 100; i++) {
        assert_false(pattern_match(pattern, sizeof pattern, type, sizeof type));
    }
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void patterns_are_checked(void **state)
{
    char longest[PATTERN_MAX + 1];
    (void)state;

    memset(longest, 'a', sizeof longest);
    assert_int_equal(pattern_check(longest, PATTERN_MAX), NHUB_OK);
    assert_int_equal(pattern_check(longest, PATTERN_MAX + 1), NHUB_EINVAL);
    assert_int_equal(pattern_check("", 0), NHUB_EINVAL);
    assert_int_equal(pattern_check("a b*\xe2\x82\xac", 7), NHUB_OK);
    assert_int_equal(pattern_check("\xe2\x82", 2), NHUB_EINVAL);
    assert_int_equal(pattern_check("a\nb", 3), NHUB_EINVAL);
    assert_int_equal(pattern_check("a\0b", 3), NHUB_EINVAL);
    assert_int_equal(pattern_check("\x7f", 1), NHUB_EINVAL);
}

static bool is_reserved(const char *type, const char *stats_event)
{
    return type_is_reserved(type, strlen(type), stats_event);
}

static void types_of_the_hub_are_reserved(void **state)
{
    (void)state;
    assert_true(is_reserved("hub.resume", NULL));
    assert_true(is_reserved("hub.", ""));
    assert_false(is_reserved("hub", NULL));
    assert_false(is_reserved("hubs.x", NULL));
    assert_false(is_reserved("Hub.x", NULL));
    assert_true(is_reserved("StatsEvent", "StatsEvent"));
    assert_false(is_reserved("StatsEvents", "StatsEvent"));
    assert_false(is_reserved("StatsEvent", NULL));
    assert_false(is_reserved("StatsEvent", ""));
    assert_false(is_reserved("", ""));
}

static bool selects(const char *pattern, const char *type)
{
    return pattern_selects(pattern, strlen(pattern), type, strlen(type), "StatsEvent");
}

static void reserved_types_come_only_to_who_names_them(void **state)
{
    (void)state;
    assert_true(selects("*", "new_setup"));
    assert_false(selects("*", "hub.gap"));
    assert_false(selects("h*", "hub.gap"));
    assert_false(selects("hub?gap", "hub.gap"));
    assert_true(selects("hub.*", "hub.gap"));
    assert_true(selects("hub.gap", "hub.gap"));
    assert_false(selects("hub.gap", "hub.resume"));
    assert_false(selects("*", "StatsEvent"));
    assert_false(selects("Stats*", "StatsEvent"));
    assert_true(selects("StatsEvent", "StatsEvent"));
    assert_true(selects("Stats*", "StatsEvents"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_whole_types),
        cmocka_unit_test(the_literal_prefix_ends_at_the_first_special),
        cmocka_unit_test(ill_formed_bytes_match_themselves_only),
        cmocka_unit_test(no_pattern_takes_exponential_time),
        cmocka_unit_test(patterns_are_checked),
        cmocka_unit_test(types_of_the_hub_are_reserved),
        cmocka_unit_test(reserved_types_come_only_to_who_names_them),
    };
    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
