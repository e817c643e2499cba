/*
 * Tests of the publisher's events: what is written, and what is refused before it is sent.
 */
#include "base/clock.h"
#include "client/draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct buf out, error;
};

static int64_t fixed_mono(void)
{
    return 0;
}

static int64_t fixed_wall(void)
{
    return 1700000000123456;
}

static const struct clock_source fixed_clock = {.mono_ns = fixed_mono, .wall_us = fixed_wall};

static int set_up(void **state)
{
    static struct fixture f;

    buf_init(&f.out);
    buf_init(&f.error);
    clock_set_source(&fixed_clock);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    buf_fini(&f->out);
    buf_fini(&f->error);
    clock_set_source(NULL);
    return 0;
}

static void expect_line(struct fixture *f, const nhub_draft *draft, const char *line)
{
    assert_int_equal(draft_write(draft, "svc", 4096, &f->out, &f->error), NHUB_OK);
    assert_string_equal(buf_cstr(&f->out), line);
}

static void expect_refused(struct fixture *f, const nhub_draft *draft, const char *why)
{
    buf_reset(&f->out);
    buf_reset(&f->error);
    assert_int_equal(draft_write(draft, "svc", 4096, &f->out, &f->error), NHUB_EINVAL);
    if (!strstr(buf_cstr(&f->error), why)) {
        fail_msg("\"%s\" does not say \"%s\"", buf_cstr(&f->error), why);
    }
}

static void the_least_event_has_data_and_a_timestamp(void **state)
{
    const nhub_draft draft = {.event_type = "t"};

    expect_line(*state, &draft,
                "{\"event_type\":\"t\",\"source_service\":\"svc\",\"data\":{},"
                "\"timestamp\":1700000000.123456}");
}

static void everything_is_written_in_the_hubs_order(void **state)
{
    const nhub_pair pairs[] = {{"a", "1"}, {"q\"", "\n"}};
    const nhub_draft draft = {.event_type = "t",
                              .source_service = "other",
                              .data = "[1, 99999999999999999999999]xx",
                              .data_len = 28,
                              .correlation_id = "c",
                              .id = "i",
                              .kind = "created",
                              .metadata = pairs,
                              .metadata_count = 2,
                              .timestamp_us = 5000001};

    expect_line(*state, &draft,
                "{\"event_type\":\"t\",\"source_service\":\"other\",\"data\":[1, "
                "99999999999999999999999],\"timestamp\":5.000001,\"correlation_id\":\"c\","
                "\"id\":\"i\",\"kind\":\"created\",\"metadata\":{\"a\":\"1\",\"q\\\"\":\"\\n\"}}");
}

static void python_numbers_pass(void **state)
{
    const nhub_draft draft = {.event_type = "t", .data = "NaN"};
    struct fixture *f = *state;

    assert_int_equal(draft_write(&draft, "svc", 4096, &f->out, &f->error), NHUB_OK);
}

static void what_the_hub_would_refuse_is_refused_here(void **state)
{
    expect_refused(*state, &(nhub_draft){.event_type = NULL}, "event_type is missing");
    expect_refused(*state, &(nhub_draft){.event_type = ""}, "event_type");
    expect_refused(*state, &(nhub_draft){.event_type = "hub.x"}, "reserved");
    expect_refused(*state, &(nhub_draft){.event_type = "t", .data = "{\"a\":"}, "not valid JSON");
    expect_refused(*state, &(nhub_draft){.event_type = "t", .data = ""}, "not valid JSON");
    expect_refused(*state, &(nhub_draft){.event_type = "t", .kind = "invented"}, "kind");
}

/* Pasted into the object, this would be more than data. */
static void data_cannot_smuggle_other_members_in(void **state)
{
    expect_refused(*state, &(nhub_draft){.event_type = "t", .data = "1,\"seq\":7"},
                   "not valid JSON");
}

static void an_event_without_any_source_is_refused(void **state)
{
    struct fixture *f = *state;
    const nhub_draft draft = {.event_type = "t"};

    assert_int_equal(draft_write(&draft, NULL, 4096, &f->out, &f->error), NHUB_EINVAL);
    assert_non_null(strstr(buf_cstr(&f->error), "source_service"));
}

static void an_event_over_the_limit_is_too_big(void **state)
{
    struct fixture *f = *state;
    const nhub_draft draft = {.event_type = "t"};

    assert_int_equal(draft_write(&draft, "svc", 20, &f->out, &f->error), NHUB_ETOOBIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_least_event_has_data_and_a_timestamp),
        TEST(everything_is_written_in_the_hubs_order),
        TEST(python_numbers_pass),
        TEST(what_the_hub_would_refuse_is_refused_here),
        TEST(data_cannot_smuggle_other_members_in),
        TEST(an_event_without_any_source_is_refused),
        TEST(an_event_over_the_limit_is_too_big),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
