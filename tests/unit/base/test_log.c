/* log: lines of both formats, values from strangers, limits, and lines that the reader did not
 * take. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "scratch.h"

static int pipe_fds[2];
static int64_t mono_ns = 1;

static int64_t fake_mono_ns(void)
{
    return mono_ns;
}

static int64_t fake_wall_us(void)
{
    return INT64_C(1772366400123999); /* 2026-03-01T12:00:00.123 */
}

static const struct clock_source fake_clock = {fake_mono_ns, fake_wall_us};

static int set_up(void **state)
{
    (void)state;
    mono_ns = 1;
    clock_set_source(&fake_clock);
    if (pipe(pipe_fds) != 0 || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) != 0) {
        return -1;
    }
    log_open("test", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_open("test", 2, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    clock_set_source(NULL);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* What was written since the last call; "" when nothing was. */
static const char *written(void)
{
    static char text[65536];
    const ssize_t n = read(pipe_fds[0], text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define HEAD "time=2026-03-01T12:00:00.123Z level=info process=test event="

static void a_line_has_time_level_process_event_and_fields(void **state)
{
    (void)state;
    log_info("started", log_uint("port", UINT64_MAX), log_int("offset", INT64_MIN),
             log_bool("tls", false), log_double("rate_per_s", 2.5), log_str("door", "http"));
    assert_string_equal(written(), HEAD "started port=18446744073709551615 "
                                        "offset=-9223372036854775808 tls=false rate_per_s=2.5 "
                                        "door=http\n");
}

static void levels_below_the_chosen_one_are_left_out(void **state)
{
    (void)state;
    log_debug("hidden", log_int("x", 1));
    assert_string_equal(written(), "");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("seen", log_int("x", 1));
    assert_non_null(strstr(written(), "level=debug process=test event=seen x=1\n"));
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("hidden", log_int("x", 1));
    assert_string_equal(written(), "");
    log_error("seen", log_int("x", 1));
    assert_non_null(strstr(written(), "level=error"));
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_false(log_enabled(LOG_LEVEL_WARN));
}

static void logfmt_values_are_quoted_when_needed(void **state)
{
    static const struct {
        const char *value;
        size_t len;
        const char *text;
    } cases[] = {
        {"plain-1.2:3/x", 13, "plain-1.2:3/x"},
        {"", 0, "\"\""},
        {NULL, 0, ""},
        {"two words", 9, "\"two words\""},
        {"a=b", 3, "\"a=b\""},
        {"say \"hi\"", 8, "\"say \\\"hi\\\"\""},
        {"back\\slash", 10, "\"back\\\\slash\""},
        {"a\nlevel=error", 13, "\"a\\nlevel=error\""},
        {"\r\t\x1b[31m\x7f\0", 9, "\"\\r\\t\\u001b[31m\\u007f\\u0000\""},
        {"\xc3\xa4", 2, "\"\xc3\xa4\""},
        {"\xc2\x9b", 2, "\"\\u009b\""}, /* a terminal takes it for ESC [ */
        {"x\xff\xc3", 3, "\"x\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[200];

        log_info("e", log_bytes("v", cases[i].value, cases[i].len));
        (void)snprintf(expected, sizeof expected, HEAD "e v=%s\n", cases[i].text);
        assert_string_equal(written(), expected);
    }
}

static void json_lines_are_json_whatever_the_bytes(void **state)
{
    char all_bytes[256];
    json_t *line = NULL;

    (void)state;
    for (int i = 0; i < 256; i++) {
        all_bytes[i] = (char)i;
    }
    log_open("test", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_info("e", log_bytes("bytes", all_bytes, sizeof all_bytes), log_str("none", NULL),
             log_double("nan", NAN), log_double("inf", -INFINITY), log_double("d", 0.25),
             log_bool("yes", true), log_int("i", -3), log_uint("u", 3), log_str("s", "a\"b"));
    line = json_loads(written(), JSON_ALLOW_NUL, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "time")),
                        "2026-03-01T12:00:00.123Z");
    assert_string_equal(json_string_value(json_object_get(line, "level")), "info");
    assert_string_equal(json_string_value(json_object_get(line, "process")), "test");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "e");
    /* 128 ASCII characters as they are, 128 bytes that are not UTF-8 as U+FFFD of three bytes. */
    assert_int_equal(json_string_length(json_object_get(line, "bytes")), 128 + 128 * 3);
    assert_memory_equal(json_string_value(json_object_get(line, "bytes")), all_bytes, 128);
    assert_true(json_is_null(json_object_get(line, "none")));
    assert_true(json_is_null(json_object_get(line, "nan")));
    assert_true(json_is_null(json_object_get(line, "inf")));
    assert_true(json_real_value(json_object_get(line, "d")) == 0.25);
    assert_true(json_is_true(json_object_get(line, "yes")));
    assert_int_equal(json_integer_value(json_object_get(line, "i")), -3);
    assert_int_equal(json_integer_value(json_object_get(line, "u")), 3);
    assert_string_equal(json_string_value(json_object_get(line, "s")), "a\"b");
    json_decref(line);
}

static void long_values_are_cut_between_characters(void **state)
{
    char value[2000];
    const char *line = NULL;

    (void)state;
    memset(value, 'a', sizeof value);
    memcpy(value + 1022, "\xe2\x82\xac", 3); /* would end at 1025 */
    log_info("e", log_bytes("v", value, sizeof value), log_int("behind", 1));
    line = written();
    assert_non_null(strstr(line, "a\xe2\x80\xa6\" behind=1\n"));
    assert_null(strstr(line, "\xe2\x82\xac"));
    assert_int_equal(strlen(line), strlen(HEAD "e v=\"") + 1022 + strlen("…\" behind=1\n"));
}

static void a_line_that_is_full_says_so_and_stays_whole(void **state)
{
    char value[1024];
    struct log_field fields[22];
    const char *line = NULL;
    json_t *json = NULL;

    (void)state;
    memset(value, 1, sizeof value); /* six characters each, escaped */
    for (size_t i = 0; i < 20; i++) {
        fields[i] = log_bytes("v", value, sizeof value);
    }
    fields[20] = log_int("last", 20);
    fields[21] = (struct log_field){.key = NULL};
    log_open("test", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_write(LOG_LEVEL_INFO, "e", fields);
    line = written();
    json = json_loads(line, 0, NULL);
    assert_non_null(json);
    assert_true(json_is_true(json_object_get(json, "truncated")));
    assert_int_equal(json_integer_value(json_object_get(json, "last")), 20);
    assert_int_equal(line[strlen(line) - 1], '\n');
    json_decref(json);
}

static void an_error_number_is_a_text(void **state)
{
    char expected[200];

    (void)state;
    log_info("e", log_errno(ENOENT));
    (void)snprintf(expected, sizeof expected, HEAD "e error=\"%s\"\n", strerror(ENOENT));
    assert_string_equal(written(), expected);
}

static void errno_survives_a_line(void **state)
{
    (void)state;
    errno = EBUSY;
    log_info("e", log_int("x", 1));
    assert_int_equal(errno, EBUSY);
}

static void lines_that_nobody_took_are_counted(void **state)
{
    char chunk[4096];
    size_t filled = 0;

    (void)state;
    assert_int_equal(fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK), 0);
    memset(chunk, 'x', sizeof chunk);
    while (write(pipe_fds[1], chunk, sizeof chunk) > 0) {
        filled += sizeof chunk;
    }
    log_info("lost", log_int("x", 1));
    log_info("lost", log_int("x", 2));
    while (filled > 0) {
        filled -= strlen(written());
    }
    log_info("seen", log_int("x", 3));
    assert_string_equal(written(), HEAD "seen x=3 lost_lines=2\n");
    log_info("seen", log_int("x", 4));
    assert_string_equal(written(), HEAD "seen x=4\n");
}

static void a_limit_lets_a_burst_pass_and_tells_what_it_held_back(void **state)
{
    struct log_limit limit = {.burst = 2, .window_ms = 1000};
    uint64_t suppressed = 99;

    (void)state;
    mono_ns = INT64_C(5000000000);
    assert_true(log_limit_pass(&limit, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_limit_pass(&limit, NULL));
    for (int i = 0; i < 5; i++) {
        assert_false(log_limit_pass(&limit, &suppressed));
    }
    mono_ns += INT64_C(999000000);
    assert_false(log_limit_pass(&limit, &suppressed));
    mono_ns += INT64_C(1000000);
    assert_true(log_limit_pass(&limit, &suppressed));
    assert_int_equal(suppressed, 6);
    assert_true(log_limit_pass(&limit, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void *log_many(void *argument)
{
    for (int i = 0; i < 200; i++) {
        log_info("thread", log_str("name", argument), log_int("i", i));
        log_debug("never", log_int("i", i));
        log_set_level(LOG_LEVEL_INFO);
    }
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    char path[SCRATCH_BYTES];
    char line[256];
    char names[3][8] = {"one", "two", "three"};
    pthread_t threads[3];
    int count = 0;
    const int fd = scratch_file(path, "log");
    FILE *file = NULL;

    (void)state;
    assert_true(fd >= 0);
    log_open("test", fd, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    file = fopen(path, "r");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file); count++) {
        assert_memory_equal(line, HEAD "thread name=", strlen(HEAD "thread name="));
        assert_int_equal(line[strlen(line) - 1], '\n');
    }
    assert_int_equal(count, 600);
    fclose(file);
    close(fd);
    scratch_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_level_process_event_and_fields, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(levels_below_the_chosen_one_are_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(logfmt_values_are_quoted_when_needed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_lines_are_json_whatever_the_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_values_are_cut_between_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_that_is_full_says_so_and_stays_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_error_number_is_a_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errno_survives_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_that_nobody_took_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_limit_lets_a_burst_pass_and_tells_what_it_held_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_of_threads_do_not_mix, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
