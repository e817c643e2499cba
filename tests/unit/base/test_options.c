// with: failmalloc
/* options: values from text, environment and flags; what is printed; allocations that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "options_fixture.h"

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

static void defaults_come_from_the_table(void **state)
{
    (void)state;
    assert_false(sample.flag);
    assert_int_equal(sample.count, 3);
    assert_int_equal(sample.workers, 0);
    assert_int_equal(sample.size, 65536);
    assert_int_equal(sample.seconds, 30);
    assert_int_equal(sample.millis, 100);
    assert_string_equal(sample.name, "n");
    assert_string_equal(sample.path, "");
    assert_int_equal(sample.color, 0);
    assert_int_equal(sample.shade, 1);
    assert_int_equal(sample.tags.count, 0);
}

static uint64_t number_of(const char *key)
{
    return strcmp(key, "top.flag") == 0            ? sample.flag
           : strcmp(key, "top.count") == 0         ? sample.count
           : strcmp(key, "top.inner.workers") == 0 ? sample.workers
           : strcmp(key, "top.inner.size") == 0    ? sample.size
           : strcmp(key, "top.seconds_s") == 0     ? sample.seconds
           : strcmp(key, "top.millis_ms") == 0     ? sample.millis
           : strcmp(key, "side.color") == 0        ? (uint64_t)sample.color
                                                   : (uint64_t)sample.shade;
}

static void good_values_are_taken(void **state)
{
    static const struct {
        const char *key, *text;
        uint64_t value;
    } cases[] = {
        {"top.flag", "true", 1},
        {"top.flag", "no", 0},
        {"top.flag", "ON", 1},
        {"top.flag", "Off", 0},
        {"top.flag", "yes", 1},
        {"top.count", "1", 1},
        {"top.count", "100", 100},
        {"top.inner.workers", "7", 7},
        {"top.inner.workers", "auto", 0},
        {"top.inner.workers", "0", 0},
        {"top.inner.size", "1024", 1024},
        {"top.inner.size", "1KiB", 1024},
        {"top.inner.size", "5 MiB", 5242880},
        {"top.inner.size", "1TiB", UINT64_C(1) << 40},
        {"top.seconds_s", "0", 0},
        {"top.seconds_s", "5000ms", 5},
        {"top.seconds_s", "2m", 120},
        {"top.seconds_s", "3h", 10800},
        {"top.seconds_s", "7d", 604800},
        {"top.millis_ms", "1", 1},
        {"top.millis_ms", "2s", 2000},
        {"side.color", "off", 3},
        {"side.shade", "blue", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(options_set(&options, cases[i].key, cases[i].text, &error), NHUB_OK);
        assert_true(number_of(cases[i].key) == cases[i].value);
    }
}

static void bad_values_are_refused_with_what_is_allowed(void **state)
{
    static const struct {
        const char *key, *text, *message;
    } cases[] = {
        /* clang-format off */
        {"top.flag", "maybe", "top.flag: \"maybe\" is neither true nor false, allowed: true or false"},
        {"top.flag", "1", NULL},
        {"top.flag", "", NULL},
        {"top.count", "0", "top.count: \"0\" is out of range, allowed: a whole number from 1 to 100"},
        {"top.count", "101", NULL},
        {"top.count", "-1", NULL},
        {"top.count", "1.5", NULL},
        {"top.count", "010", NULL},
        {"top.count", "0x10", NULL},
        {"top.count", "1k", NULL},
        {"top.count", " 1", NULL},
        {"top.count", "18446744073709551617", "top.count: \"18446744073709551617\" is not a whole number, allowed: a whole number from 1 to 100"},
        {"top.count", "auto", NULL},
        {"top.inner.workers", "many", "top.inner.workers: \"many\" is not a whole number, allowed: auto or a whole number from 0 to 64"},
        {"top.inner.size", "1000", NULL},
        {"top.inner.size", "1MB", "top.inner.size: \"1MB\" is not a size, allowed: bytes, or a number with KiB, MiB, GiB or TiB, from 1KiB to 1TiB"},
        {"top.inner.size", "1 ", NULL},
        {"top.inner.size", "1  KiB", NULL},
        {"top.inner.size", "KiB", NULL},
        {"top.inner.size", "16777216TiB", "top.inner.size: \"16777216TiB\" is out of range, allowed: bytes, or a number with KiB, MiB, GiB or TiB, from 1KiB to 1TiB"},
        {"top.seconds_s", "1500ms", "top.seconds_s: \"1500ms\" is not a whole number of seconds, allowed: a number of s, or one with ms, s, m, h or d, from 0s to 10d"},
        {"top.seconds_s", "1y", NULL},
        {"top.seconds_s", "11d", NULL},
        {"top.millis_ms", "0", NULL},
        {"side.color", "pink", "side.color: \"pink\" is not one of the words, allowed: red, green, blue, off"},
        {"side.color", "Red", NULL},
        {"side.shade", "red", "side.shade: \"red\" is not one of the words, allowed: green, blue, off"},
        {"side.name", "", "side.name: \"\" is too short, allowed: text of 1 to 20 bytes"},
        {"side.name", "abcdefghijklmnopqrstu", NULL},
        {"side.name", "x", "side.name: \"x\" is not possible here, allowed: text without x"},
        {"side.name", "a\nb", NULL},
        {"side.name", "\x7f", NULL},
        {"side.name", "\xc2\x85", NULL},
        {"side.name", "\xe2\x80\xa8", NULL},
        {"side.name", "\xff", "side.name: the value is not UTF-8, allowed: text of 1 to 20 bytes"},
        {"side.tags", "a,b,c,d", "side.tags: 4 items are too many, allowed: a list of 0 to 3 texts"},
        {"side.tags", "a,x", NULL},
        {"side.none", "1", "side.none: unknown key"},
        /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_reset(&error);
        assert_int_equal(options_set(&options, cases[i].key, cases[i].text, &error), NHUB_ECONFIG);
        assert_true(error.len > 0);
        if (cases[i].message) {
            assert_string_equal(buf_cstr(&error), cases[i].message);
        }
    }
    defaults_come_from_the_table(state); /* nothing has changed */
}

static void a_long_value_is_shown_short(void **state)
{
    char text[2000];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(options_set(&options, "side.path", text, &error), NHUB_ECONFIG);
    assert_true(error.len < 200);
    assert_non_null(strstr(buf_cstr(&error), "a\"… is too long"));
}

static void lists_are_cut_at_commas(void **state)
{
    (void)state;
    assert_int_equal(options_set(&options, "side.tags", " a , b c,", &error), NHUB_OK);
    assert_int_equal(sample.tags.count, 3);
    assert_string_equal(sample.tags.items[0], "a");
    assert_string_equal(sample.tags.items[1], "b c");
    assert_string_equal(sample.tags.items[2], "");
    assert_int_equal(options_set(&options, "side.tags", "  ", &error), NHUB_OK);
    assert_int_equal(sample.tags.count, 0);
}

static nhub_err load_env(const char *variable)
{
    char copy[200];
    char *list[] = {copy, NULL};

    strncpy(copy, variable, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    buf_reset(&error);
    return options_load_env(&options, list, &error);
}

static void the_environment_sets_keys(void **state)
{
    (void)state;
    assert_int_equal(load_env("NOTIFYHUB_TOP_COUNT=9"), NHUB_OK);
    assert_int_equal(sample.count, 9);
    assert_int_equal(load_env("NOTIFYHUB_TOP_INNER_SIZE=2KiB"), NHUB_OK);
    assert_int_equal(sample.size, 2048);
    assert_int_equal(load_env("NOTIFYHUB_TOP_MILLIS_MS=5"), NHUB_OK);
    assert_int_equal(sample.millis, 5);
    assert_int_equal(load_env("NOTIFYHUB_SIDE_PATH=a=b"), NHUB_OK);
    assert_string_equal(sample.path, "a=b");
    assert_int_equal(load_env("NOTIFYHUB_SIDE_TAGS=a,b"), NHUB_OK);
    assert_int_equal(sample.tags.count, 2);
}

static void what_is_not_ours_in_the_environment_is_left_alone(void **state)
{
    static const char *const foreign[] = {
        "PATH=/bin",
        "NOTIFYHUB_CONFIG=/etc/x.yaml",
        "NOTIFYHUB_OTHER_KEY=1",
        "NOTIFYHUB_TOP=1",
        "NOTIFYHUB_TOPPING_X=1",
        "NOTIFYHUB_=1",
        "NOTIFYHUB_TOP_WITHOUT_EQUALS",
        "XNOTIFYHUB_TOP_COUNT=1000",
        /* as Kubernetes describes a service named notifyhub-top */
        "NOTIFYHUB_TOP_SERVICE_HOST=10.0.0.1",
        "NOTIFYHUB_TOP_SERVICE_PORT=4245",
        "NOTIFYHUB_TOP_SERVICE_PORT_COLLECTOR=4245",
        "NOTIFYHUB_TOP_PORT=tcp://10.0.0.1:4245",
        "NOTIFYHUB_TOP_PORT_4245_TCP=tcp://10.0.0.1:4245",
        "NOTIFYHUB_TOP_PORT_4245_TCP_ADDR=10.0.0.1",
        "NOTIFYHUB_TOP_HEADLESS_PORT_4245_UDP_PROTO=udp",
    };

    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_int_equal(load_env(foreign[i]), NHUB_OK);
    }
    defaults_come_from_the_table(state);
}

static void mistakes_in_the_environment_are_told(void **state)
{
    (void)state;
    assert_int_equal(load_env("NOTIFYHUB_TOP_CUONT=1"), NHUB_ECONFIG);
    assert_string_equal(buf_cstr(&error), "environment: \"NOTIFYHUB_TOP_CUONT\": unknown key, did "
                                          "you mean NOTIFYHUB_TOP_COUNT?");
    assert_int_equal(load_env("NOTIFYHUB_TOP_INNER_ZZZZZZZZZ=1"), NHUB_ECONFIG);
    assert_non_null(strstr(buf_cstr(&error), "--help names all keys"));
    assert_int_equal(load_env("NOTIFYHUB_TOP_PORT=4245"), NHUB_ECONFIG);
    assert_int_equal(load_env("NOTIFYHUB_TOP_COUNT=1000"), NHUB_ECONFIG);
    assert_string_equal(buf_cstr(&error),
                        "environment: NOTIFYHUB_TOP_COUNT: \"1000\" is out of range, allowed: a "
                        "whole number from 1 to 100");
    assert_int_equal(load_env("NOTIFYHUB_TOP_COUNT="), NHUB_ECONFIG);
}

static void flags_are_taken_out_and_the_rest_stays_in_order(void **state)
{
    char *argv[] = {
        (char[]){"prog"},        (char[]){"first"},       (char[]){"--top-count"},
        (char[]){"9"},           (char[]){"--unknown"},   (char[]){"--top-inner-size=2KiB"},
        (char[]){"--top-flag"},  (char[]){"true"},        (char[]){"--side-path="},
        (char[]){"--side-name"}, (char[]){"-"},           (char[]){"last"},
        (char[]){"--"},          (char[]){"--top-count"}, NULL};
    static const char *const rest[] = {"prog", "first", "--unknown", "last", "--", "--top-count"};
    int argc = 14;

    (void)state;
    assert_int_equal(options_load_args(&options, &argc, argv, &error), NHUB_OK);
    assert_int_equal(argc, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(argv[i], rest[i]);
    }
    assert_null(argv[6]);
    assert_int_equal(sample.count, 9);
    assert_int_equal(sample.size, 2048);
    assert_true(sample.flag);
    assert_string_equal(sample.path, "");
    assert_string_equal(sample.name, "-");
}

static void a_flag_without_its_value_is_told(void **state)
{
    char *at_end[] = {(char[]){"prog"}, (char[]){"--top-flag"}, NULL};
    char *before_flag[] = {(char[]){"prog"}, (char[]){"--top-count"}, (char[]){"--top-flag"}, NULL};
    char *bad[] = {(char[]){"prog"}, (char[]){"--top-count=x"}, NULL};
    int argc = 2;

    (void)state;
    assert_int_equal(options_load_args(&options, &argc, at_end, &error), NHUB_ECONFIG);
    assert_string_equal(buf_cstr(&error),
                        "command line: --top-flag: needs a value, allowed: true or false");
    buf_reset(&error);
    argc = 3;
    assert_int_equal(options_load_args(&options, &argc, before_flag, &error), NHUB_ECONFIG);
    assert_non_null(strstr(buf_cstr(&error), "--top-count: needs a value"));
    buf_reset(&error);
    argc = 2;
    assert_int_equal(options_load_args(&options, &argc, bad, &error), NHUB_ECONFIG);
    assert_string_equal(buf_cstr(&error), "command line: --top-count: \"x\" is not a whole number, "
                                          "allowed: a whole number from 1 to 100");
}

static void the_nearest_flag_is_found(void **state)
{
    struct buf near = {0};

    (void)state;
    assert_true(options_nearest_flag(&options, "--top-inner-worker", &near));
    assert_string_equal(buf_cstr(&near), "--top-inner-workers");
    buf_reset(&near);
    assert_false(options_nearest_flag(&options, "--completely-different", &near));
    assert_int_equal(near.len, 0);
    buf_fini(&near);
}

static void effective_values_are_yaml_in_the_order_of_the_table(void **state)
{
    struct buf out = {0};

    (void)state;
    assert_int_equal(options_set(&options, "side.tags", "a\"b, c", &error), NHUB_OK);
    assert_int_equal(options_set(&options, "top.seconds_s", "90", &error), NHUB_OK);
    options_print_effective(&options, &out);
    assert_string_equal(buf_cstr(&out), "top:\n"
                                        "  flag: false\n"
                                        "  count: 3\n"
                                        "  inner:\n"
                                        "    workers: auto\n"
                                        "    size: 64KiB\n"
                                        "  seconds_s: 90s\n"
                                        "  millis_ms: 100ms\n"
                                        "side:\n"
                                        "  name: \"n\"\n"
                                        "  path: \"\"\n"
                                        "  color: \"red\"\n"
                                        "  shade: \"green\"\n"
                                        "  tags: [\"a\\\"b\", \"c\"]\n");
    buf_fini(&out);
}

static void help_has_one_line_a_flag_in_the_sections_asked_for(void **state)
{
    static const char *const sections[] = {"side", NULL};
    struct buf out = {0};

    (void)state;
    options_print_help(&options, sections, &out);
    assert_string_equal(
        buf_cstr(&out),
        "\nSection side:\n"
        "  --side-name TEXT                     a name (default n)\n"
        "  --side-path TEXT                     a path (default empty)\n"
        "  --side-color WORD                    a color (red, green, blue, off; default red)\n"
        "  --side-shade WORD                    not red (green, blue, off; default green)\n"
        "  --side-tags A,B,...                  some tags (default empty)\n");
    buf_fini(&out);
}

static void values_are_compared(void **state)
{
    static const struct {
        const char *key, *text;
    } changes[] = {
        {"top.flag", "true"},       {"top.count", "4"},     {"top.inner.workers", "1"},
        {"top.inner.size", "1KiB"}, {"top.seconds_s", "1"}, {"top.millis_ms", "1"},
        {"side.name", "m"},         {"side.path", "p"},     {"side.color", "blue"},
        {"side.shade", "blue"},     {"side.tags", "t"},
    };
    struct sample other;
    struct options o2;

    (void)state;
    bind_sample(&other, &o2);
    assert_int_equal(options_defaults(&o2, &error), NHUB_OK);
    for (size_t i = 0; i < SAMPLE_ROWS; i++) {
        assert_true(options_same_value(&sample_rows[i], &sample, &other));
        assert_string_equal(changes[i].key, sample_rows[i].key);
        assert_int_equal(options_set(&o2, changes[i].key, changes[i].text, &error), NHUB_OK);
        assert_false(options_same_value(&sample_rows[i], &sample, &other));
    }
    options_free(&o2);
}

static nhub_err load_everything(struct options *o, struct buf *text)
{
    char *env[] = {(char[]){"NOTIFYHUB_SIDE_TAGS=a,b,c"}, (char[]){"NOTIFYHUB_SIDE_NAME=env"},
                   NULL};
    char *argv[] = {(char[]){"prog"}, (char[]){"--side-path"}, (char[]){"/tmp"}, NULL};
    int argc = 3;
    nhub_err err = options_defaults(o, text);

    if (err == NHUB_OK) {
        err = options_load_env(o, env, text);
    }
    return err == NHUB_OK ? options_load_args(o, &argc, argv, text) : err;
}

static void each_failing_allocation_is_told_and_leaks_nothing(void **state)
{
    long n = 0;
    bool has_failed = true;

    (void)state;
    for (; has_failed; n++) {
        const long live = failmalloc_live();
        struct sample s;
        struct options o;
        struct buf text = {0};
        nhub_err err = NHUB_OK;

        bind_sample(&s, &o);
        failmalloc_arm(n);
        err = load_everything(&o, &text);
        has_failed = failmalloc_disarm();
        assert_int_equal(err, has_failed ? NHUB_ENOMEM : NHUB_OK);
        options_free(&o);
        buf_fini(&text);
        assert_int_equal(failmalloc_live(), live);
    }
    assert_true(n > 8);
}

static void a_mistake_without_memory_for_its_text_is_still_a_mistake(void **state)
{
    bool has_failed = true;

    (void)state;
    for (long n = 0; has_failed; n++) {
        buf_fini(&error);
        failmalloc_arm(n);
        assert_int_equal(options_set(&options, "top.count", "x", &error), NHUB_ECONFIG);
        has_failed = failmalloc_disarm();
        assert_non_null(buf_cstr(&error));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_come_from_the_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(good_values_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_values_are_refused_with_what_is_allowed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_long_value_is_shown_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_are_cut_at_commas, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_environment_sets_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_ours_in_the_environment_is_left_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(mistakes_in_the_environment_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flags_are_taken_out_and_the_rest_stays_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_flag_without_its_value_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_nearest_flag_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(effective_values_are_yaml_in_the_order_of_the_table, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(help_has_one_line_a_flag_in_the_sections_asked_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(values_are_compared, set_up, tear_down),
        cmocka_unit_test(each_failing_allocation_is_told_and_leaks_nothing),
        cmocka_unit_test_setup_teardown(a_mistake_without_memory_for_its_text_is_still_a_mistake,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
