/*
 * Tests of the reader of text/event-stream: the same streams whole and in every split.
 */
#include "cli/sse_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct sse_parser *parser;
    char seen[2048]; /* "name|id|data;" for each message */
    int stop_after;  /* messages, 0 = never */
    int count;
};

static bool on_message(void *context, const struct sse_message *message)
{
    struct fixture *f = context;
    const size_t len = strlen(f->seen);

    assert_int_equal(strlen(message->data), message->data_len);
    (void)snprintf(f->seen + len, sizeof f->seen - len, "%s|%s|%s;", message->name, message->id,
                   message->data);
    f->count++;
    return f->stop_after == 0 || f->count < f->stop_after;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(sse_parser_create(&f->parser, 100, on_message, f), NHUB_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    sse_parser_destroy(&f->parser);
    free(f);
    return 0;
}

static const struct {
    const char *stream;
    const char *seen;
} cases[] = {
    {"data: a\n\n", "message||a;"},
    {"data:a\r\n\r\n", "message||a;"},
    {"data: a\r\rdata: b\r\r", "message||a;message||b;"},
    {"data: a\ndata\ndata: b\n\n", "message||a\n\nb;"},
    {"data:  a\n\n", "message|| a;"},
    {"\xEF\xBB\xBF"
     "data: a\n\n",
     "message||a;"},
    {": comment\n\nid: 1\n\ndata: a\n\n", "message|1|a;"},
    {"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", "message|1|a;message|1|b;message||c;"},
    {"event: hub.gap\ndata: {}\n\ndata: x\n\n", "hub.gap||{};message||x;"},
    {"event: nothing\n\ndata: x\n\n", "message||x;"},
    {"data\n\n", "message||;"},
    {"DATA: a\nother: b\n\n", ""},
    {"data: unfinished\n", ""},
    {"retry: 10\nretry: x\ndata: a\n\n", "message||a;"},
};

static void streams_are_read_as_the_standard_says(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = *state;

        assert_int_equal(sse_parser_feed(f->parser, cases[i].stream, strlen(cases[i].stream)),
                         NHUB_OK);
        assert_string_equal(f->seen, cases[i].seen);
        tear_down(state);
        set_up(state);
    }
}

static void every_split_gives_the_same(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t len = strlen(cases[i].stream);

        for (size_t at = 0; at <= len; at++) {
            struct fixture *f = *state;

            assert_int_equal(sse_parser_feed(f->parser, cases[i].stream, at), NHUB_OK);
            assert_int_equal(sse_parser_feed(f->parser, cases[i].stream + at, len - at), NHUB_OK);
            assert_string_equal(f->seen, cases[i].seen);
            tear_down(state);
            set_up(state);
        }
    }
}

static void an_id_with_a_nul_is_ignored(void **state)
{
    static const char stream[] = "id: 1\nid: 2\0003\ndata: a\n\n";
    struct fixture *f = *state;

    assert_int_equal(sse_parser_feed(f->parser, stream, sizeof stream - 1), NHUB_OK);
    assert_string_equal(f->seen, "message|1|a;");
}

static void the_last_id_outlives_a_break_and_the_unfinished_does_not(void **state)
{
    static const char first[] = "retry: 250\nid: 7\ndata: a\n\nid: 8\ndata: lost";
    static const char second[] = "data: b\n\n";
    struct fixture *f = *state;

    assert_int_equal(sse_parser_feed(f->parser, first, sizeof first - 1), NHUB_OK);
    assert_string_equal(sse_parser_last_id(f->parser), "7");
    assert_int_equal(sse_parser_retry_ms(f->parser), 250);
    sse_parser_reset(f->parser);
    assert_int_equal(sse_parser_feed(f->parser, second, sizeof second - 1), NHUB_OK);
    assert_string_equal(f->seen, "message|7|a;message|7|b;");
}

static void what_is_larger_than_the_limit_ends_the_parsing(void **state)
{
    struct fixture *f = *state;
    char line[200];

    memset(line, 'x', sizeof line);
    assert_int_equal(sse_parser_feed(f->parser, line, sizeof line), NHUB_ETOOBIG);
    assert_int_equal(sse_parser_feed(f->parser, "\n\ndata: a\n\n", 11), NHUB_ETOOBIG);
    assert_string_equal(f->seen, "");
}

static void many_lines_of_one_message_count_together(void **state)
{
    struct fixture *f = *state;
    nhub_err err = NHUB_OK;

    for (int i = 0; i < 20 && err == NHUB_OK; i++) {
        err = sse_parser_feed(f->parser, "data: 1234567890\n", 17);
    }
    assert_int_equal(err, NHUB_ETOOBIG);
}

static void the_reader_may_stop(void **state)
{
    struct fixture *f = *state;

    f->stop_after = 1;
    assert_int_equal(sse_parser_feed(f->parser, "data: a\n\ndata: b\n\n", 18), NHUB_ECLOSED);
    assert_string_equal(f->seen, "message||a;");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(streams_are_read_as_the_standard_says),
        TEST(every_split_gives_the_same),
        TEST(an_id_with_a_nul_is_ignored),
        TEST(the_last_id_outlives_a_break_and_the_unfinished_does_not),
        TEST(what_is_larger_than_the_limit_ends_the_parsing),
        TEST(many_lines_of_one_message_count_together),
        TEST(the_reader_may_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
