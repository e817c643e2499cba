/* PROTOCOL.md: its examples are what they claim to be, and it has every word for a refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/event.h"
#include "wire/packed.h"
#include "wire/request.h"

#define PROTOCOL "hub/wire/PROTOCOL.md" /* tests run in the root of the tree */

typedef void check_fn(const char *line, size_t len);

/* Calls check for each line of the blocks of that kind; returns how many. */
static size_t for_each_example(const char *kind, check_fn *check)
{
    FILE *file = fopen(PROTOCOL, "r");
    char *line = NULL;
    size_t cap = 0, count = 0;
    ssize_t len = 0;
    bool inside = false;

    assert_non_null(file);
    while ((len = getline(&line, &cap, file)) > 0) {
        line[--len] = '\0';
        if (strncmp(line, "```", 3) == 0) {
            inside = strcmp(line + 3, kind) == 0;
        } else if (inside) {
            check(line, (size_t)len);
            count++;
        }
    }
    free(line);
    (void)fclose(file);
    return count;
}

/* As the hub writes it: rendering it again changes no byte. */
static void expect_canonical_line(const char *line, size_t len)
{
    const struct event_fill fill = {.default_source = NULL};
    struct event event;
    struct position position, tail;

    assert_int_equal(event_parse_numbered(line, len, &event, &position), NHUB_OK);
    assert_int_equal(event_tail_position(line, len, &tail), NHUB_OK);
    assert_true(position_equal(&position, &tail));
    char *again = malloc(event_render_max(&event, &fill, len));

    assert_non_null(again);
    assert_int_equal(event_render(&event, &fill, &position, again), len);
    assert_memory_equal(again, line, len);
    free(again);
}

static void expect_publishable(const char *line, size_t len)
{
    struct event event;
    struct event_error error;

    if (event_parse(line, len, EVENT_DOOR_ZEROMQ, "StatsEvent", NULL, NULL, &event, &error) !=
        NHUB_OK) {
        fail_msg("%s: %s", line, error.detail);
    }
}

static void examples_of_events_are_canonical_lines(void **state)
{
    (void)state;
    assert_true(for_each_example("event", expect_canonical_line) >= 3);
}

static void examples_of_publishing_pass(void **state)
{
    (void)state;
    assert_true(for_each_example("publish", expect_publishable) >= 2);
}

static void expect_request(const char *line, size_t len)
{
    struct request request;
    struct buf error;

    buf_init(&error);
    if (request_parse(line, len, &request, &error) != NHUB_OK) {
        fail_msg("%s: %s", line, buf_cstr(&error));
    }
    assert_int_not_equal(request.action, ACTION_UNKNOWN);
    request_free(&request);
    buf_fini(&error);
}

static void examples_of_requests_are_read(void **state)
{
    (void)state;
    assert_true(for_each_example("request", expect_request) >= 8);
}

static void expect_answer(const char *line, size_t len)
{
    static const struct json_key keys[] = {JSON_KEY("success"), JSON_KEY("error")};
    struct json_span out[2];
    struct json_report report;

    assert_int_equal(json_scan_object(line, len, keys, 2, NULL, out, &report), NHUB_OK);
    assert_true(out[0].kind == JSON_TRUE || out[0].kind == JSON_FALSE);
    assert_int_equal(out[1].kind, out[0].kind == JSON_TRUE ? JSON_ABSENT : JSON_STRING);
}

/* Hexadecimal digits in groups: the parts are a message type and a request. */
static void expect_packed(const char *line, size_t len)
{
    unsigned char bytes[256];
    size_t count = 0;
    struct packed_reader reader;
    const void *part = NULL;
    size_t part_len = 0;
    unsigned byte = 0;

    for (size_t i = 0; i < len && count < sizeof bytes; i += line[i] == ' ' ? 1 : 2) {
        if (line[i] != ' ') {
            assert_int_equal(sscanf(line + i, "%2x", &byte), 1);
            bytes[count++] = (unsigned char)byte;
        }
    }
    assert_true(packed_open(&reader, bytes, count));
    assert_true(packed_next(&reader, &part, &part_len));
    assert_int_equal(message_type_parse(part, part_len), MESSAGE_REQ);
    assert_true(packed_next(&reader, &part, &part_len));
    expect_request(part, part_len);
    assert_false(packed_next(&reader, &part, &part_len));
}

static void examples_of_packed_requests_are_read(void **state)
{
    (void)state;
    assert_true(for_each_example("packed", expect_packed) >= 1);
}

static void examples_of_answers_are_json(void **state)
{
    (void)state;
    assert_true(for_each_example("answer", expect_answer) >= 8);
}

static void codes_of_events_are_documented(void **state)
{
    char text[65536];
    FILE *file = fopen(PROTOCOL, "r");
    (void)state;

    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    for (int i = EVENT_OK + 1; i < EVENT_REASONS; i++) {
        char quoted[64];

        (void)snprintf(quoted, sizeof quoted, "`%s`", event_reason_code((enum event_reason)i));
        if (!strstr(text, quoted)) {
            fail_msg("%s is not in " PROTOCOL, quoted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_events_are_canonical_lines),
        cmocka_unit_test(examples_of_publishing_pass),
        cmocka_unit_test(examples_of_requests_are_read),
        cmocka_unit_test(examples_of_packed_requests_are_read),
        cmocka_unit_test(examples_of_answers_are_json),
        cmocka_unit_test(codes_of_events_are_documented),
    };
    return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
