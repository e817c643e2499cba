// with: failmalloc
/* options_yaml: what a file may look like, and the place and text of every kind of mistake. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "options_fixture.h"
#include "scratch.h"

static struct sample sample;
static struct options options;
static struct buf error;

static int set_up(void **state)
{
    (void)state;
    bind_sample(&sample, &options);
    return options_defaults(&options, &error) == NHUB_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    options_free(&options);
    buf_fini(&error);
    return 0;
}

static nhub_err load(const char *text)
{
    buf_reset(&error);
    return options_load_yaml(&options, text, strlen(text), "f.yaml", &error);
}

static void every_type_is_read(void **state)
{
    (void)state;
    assert_int_equal(load("# a comment\n"
                          "top:\n"
                          "  flag: yes\n"
                          "  count: 42\n"
                          "  inner: {workers: 8, size: 2 MiB}\n"
                          "  seconds_s: 2m\n"
                          "  millis_ms: \"2s\"\n"
                          "side:\n"
                          "  name: 'it''s'\n"
                          "  path: /a b/c # behind a blank\n"
                          "  color: off\n"
                          "  shade: \"blue\"\n"
                          "  tags:\n"
                          "    - one\n"
                          "    - \"two, three\"\n"),
                     NHUB_OK);
    assert_int_equal(error.len, 0);
    assert_true(sample.flag);
    assert_int_equal(sample.count, 42);
    assert_int_equal(sample.workers, 8);
    assert_int_equal(sample.size, 2 * 1024 * 1024);
    assert_int_equal(sample.seconds, 120);
    assert_int_equal(sample.millis, 2000);
    assert_string_equal(sample.name, "it's");
    assert_string_equal(sample.path, "/a b/c");
    assert_int_equal(sample.color, 3);
    assert_int_equal(sample.shade, 2);
    assert_int_equal(sample.tags.count, 2);
    assert_string_equal(sample.tags.items[1], "two, three");
}

static void files_that_say_nothing_change_nothing(void **state)
{
    static const char *const cases[] = {
        "",
        "\n\n",
        "# comment\n",
        "---\n",
        "---\n...\n",
        "{}",
        "~\n",
        "top:\n",
        "top:\n  inner:\nside: {}\n",
        "\xef\xbb\xbf# marked\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load(cases[i]), NHUB_OK);
        assert_int_equal(sample.count, 3);
    }
    assert_int_equal(options_load_yaml(&options, NULL, 0, "f.yaml", &error), NHUB_OK);
}

static void mistakes_name_their_place_and_what_is_allowed(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        /* clang-format off */
        {"top:\n  conut: 1\n", "f.yaml:2:3: \"top.conut\": unknown key, did you mean top.count?"},
        {"tpo: {}\n", "f.yaml:1:1: \"tpo\": unknown key, allowed: top, side"},
        {"top: {inner: {zzz: 1}}", "f.yaml:1:15: \"top.inner.zzz\": unknown key, allowed: workers, size"},
        {"top:\n  zzzzzzz: 1\n", "f.yaml:2:3: \"top.zzzzzzz\": unknown key, allowed: flag, count, inner, seconds_s, millis_ms"},
        {"side:\n  count: 1\n", "f.yaml:2:3: \"side.count\": unknown key, did you mean top.count?"},
        {"top:\n  count: 0\n", "f.yaml:2:10: top.count: \"0\" is out of range, allowed: a whole number from 1 to 100"},
        {"top:\n  count: \"1\"\n", "f.yaml:2:10: top.count: is a text in quotes, allowed: a whole number from 1 to 100"},
        {"top:\n  flag: 'true'\n", "f.yaml:2:9: top.flag: is a text in quotes, allowed: true or false"},
        {"top:\n  count: [1]\n", "f.yaml:2:10: top.count: is a list here, allowed: a whole number from 1 to 100"},
        {"top:\n  count: {a: 1}\n", "f.yaml:2:10: top.count: is a section here, allowed: a whole number from 1 to 100"},
        {"side:\n  name:\n", "f.yaml:2:8: side.name: has no value, allowed: text of 1 to 20 bytes"},
        {"side:\n  path: ~\n", "f.yaml:2:9: side.path: has no value, allowed: text of 0 to 1000 bytes"},
        {"side:\n  name: x\n", "f.yaml:2:9: side.name: \"x\" is not possible here, allowed: text without x"},
        {"side:\n  name: \"a\\0b\"\n", "f.yaml:2:9: side.name: holds a NUL byte, allowed: text of 1 to 20 bytes"},
        {"side:\n  tags: one\n", "f.yaml:2:9: side.tags: is not a list (write [a, b]), allowed: a list of 0 to 3 texts"},
        {"side:\n  tags: [a, [b]]\n", "f.yaml:2:13: side.tags: an item is not a text, allowed: a list of 0 to 3 texts"},
        {"side:\n  tags: [a, ~]\n", "f.yaml:2:13: side.tags: an item is not a text, allowed: a list of 0 to 3 texts"},
        {"side:\n  tags: [a, b, c, d, e]\n", "f.yaml:2:22: side.tags: too many items, allowed: a list of 0 to 3 texts"},
        {"side:\n  tags: [a, b, c, d]\n", "f.yaml:2:9: side.tags: 4 items are too many, allowed: a list of 0 to 3 texts"},
        {"top: 1\n", "f.yaml:1:6: top: must hold keys, allowed: flag, count, inner, seconds_s, millis_ms"},
        {"- top\n", "f.yaml:1:1: must hold keys, allowed: top, side"},
        {"just text\n", "f.yaml:1:1: must hold keys, allowed: top, side"},
        {"top.count: 1\n", "f.yaml:1:1: a key holds no dot; write the section, then its keys below it"},
        {"? [a]\n: 1\n", "f.yaml:1:3: a key must be a word"},
        {"top:\n  \"\": 1\n", "f.yaml:2:3: top: a key must be a word"},
        {"top:\n  count: 1\n  flag: true\n  count: 2\n", "f.yaml:4:3: top.count: given twice, first in line 2"},
        {"top: {}\nside: {}\ntop: {}\n", "f.yaml:3:1: top: given twice, first in line 1"},
        {"top: &a {}\n", "f.yaml:1:6: anchors (&name) are not supported"},
        {"side:\n  name: *a\n", "f.yaml:2:9: aliases are not supported; a text that begins with * needs quotes"},
        {"side: {name: *}\n", "f.yaml:1:15: not valid YAML: did not find expected alphabetic or numeric character; a text that begins with * needs quotes: \"*\""},
        {"side:\n  name: !!str a\n", "f.yaml:2:9: tags (!name) are not supported"},
        {"top: {}\n---\nside: {}\n", "f.yaml:2:1: only one document (---) is allowed"},
        {"top:\n  count: \"1\n", NULL},
        {"top:\n\tcount: 1\n", NULL},
        {"top:\n  count: 1\n flag: true\n", NULL},
        {"{{{{{{", NULL},
        {"top:\n  \xc3\xa4\xff: 1\n", "f.yaml:2:4: not UTF-8 text: invalid leading UTF-8 octet"},
        {"top:\n  fl\xff: 1\n", "f.yaml:2:5: not UTF-8 text: invalid leading UTF-8 octet"},
        {"\xff\xfe" "t", "f.yaml:1:1: not UTF-8 text: invalid leading UTF-8 octet"},
        {"top: \x01\n", "f.yaml:1:6: not UTF-8 text: control characters are not allowed"},
        /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load(cases[i].text), NHUB_ECONFIG);
        assert_memory_equal(buf_cstr(&error), "f.yaml:", 7);
        assert_null(strchr(buf_cstr(&error), '\n'));
        if (cases[i].message) {
            assert_string_equal(buf_cstr(&error), cases[i].message);
        }
    }
}

static void deep_and_large_texts_end_early(void **state)
{
    const size_t size = (size_t)1 << 20;
    char *text = malloc(size + 2);

    (void)state;
    assert_non_null(text);
    memset(text, '[', size);
    text[size] = '\0';
    assert_int_equal(load(text), NHUB_ECONFIG);
    assert_string_equal(buf_cstr(&error), "f.yaml:1:1: must hold keys, allowed: top, side");
    memset(text, '#', size + 1);
    text[size + 1] = '\0';
    assert_int_equal(load(text), NHUB_ECONFIG);
    assert_string_equal(buf_cstr(&error), "f.yaml: is larger than 1 MiB");
    free(text);
}

static void files_are_read_and_their_absence_told(void **state)
{
    char path[SCRATCH_BYTES];
    char expected[SCRATCH_BYTES + 100];
    const int fd = scratch_file(path, "yaml");

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(options_load_file(&options, path, &error), NHUB_OK); /* empty */
    assert_int_equal(write(fd, "top: {count: 55}\n", 17), 17);
    assert_int_equal(options_load_file(&options, path, &error), NHUB_OK);
    assert_int_equal(sample.count, 55);
    assert_int_equal(ftruncate(fd, 3 << 20), 0);
    assert_int_equal(options_load_file(&options, path, &error), NHUB_ECONFIG);
    assert_non_null(strstr(buf_cstr(&error), "larger than 1 MiB"));
    close(fd);
    scratch_remove(path);
    buf_reset(&error);
    assert_int_equal(options_load_file(&options, path, &error), NHUB_ECONFIG);
    (void)snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory",
                   path);
    assert_string_equal(buf_cstr(&error), expected);
    buf_reset(&error);
    assert_int_equal(options_load_file(&options, "/", &error), NHUB_ECONFIG);
    assert_non_null(strstr(buf_cstr(&error), "Is a directory"));
}

static void what_is_printed_loads_again_to_the_same(void **state)
{
    struct sample again;
    struct options o2;
    struct buf text = {0};

    (void)state;
    assert_int_equal(load("top: {flag: on, count: 77, inner: {workers: 3, size: 1537}, "
                          "seconds_s: 3601, millis_ms: 90000}\n"
                          "side: {name: \"q\\\"\\\\#: é\", path: \" '@` \", color: off, shade: "
                          "blue, tags: [\"a, b\", \"*\", \"\"]}\n"),
                     NHUB_OK);
    options_print_effective(&options, &text);
    bind_sample(&again, &o2);
    assert_int_equal(options_defaults(&o2, &error), NHUB_OK);
    assert_int_equal(options_load_yaml(&o2, text.data, text.len, "printed", &error), NHUB_OK);
    for (size_t i = 0; i < SAMPLE_ROWS; i++) {
        assert_true(options_same_value(&sample_rows[i], &sample, &again));
    }
    options_free(&o2);
    buf_fini(&text);
}

static void each_failing_allocation_is_told_and_leaks_nothing(void **state)
{
    static const char text[] = "top: {count: 5, inner: {size: 2KiB}}\n"
                               "side: {name: n2, path: p2, tags: [a, b, c]}\n";
    long n = 0;
    bool has_failed = true;

    (void)state;
    for (; has_failed; n++) {
        const long live = failmalloc_live();
        struct sample s;
        struct options o;
        struct buf problem = {0};
        nhub_err err = NHUB_OK;

        bind_sample(&s, &o);
        failmalloc_arm(n);
        err = options_load_yaml(&o, text, sizeof text - 1, "f.yaml", &problem);
        has_failed = failmalloc_disarm();
        assert_int_equal(err, has_failed ? NHUB_ENOMEM : NHUB_OK);
        options_free(&o);
        buf_fini(&problem);
        assert_int_equal(failmalloc_live(), live);
    }
    assert_true(n > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_type_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_say_nothing_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_name_their_place_and_what_is_allowed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(deep_and_large_texts_end_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_read_and_their_absence_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_printed_loads_again_to_the_same, set_up, tear_down),
        cmocka_unit_test(each_failing_allocation_is_told_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
