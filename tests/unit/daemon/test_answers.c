/* answers and envelope: members, order and JSON types of every answer that is made of figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/answers.h"
#include "daemon/envelope.h"

#define NOW INT64_C(1700000000123456)

struct fixture {
    struct buf out;
    struct buf error;
    struct request request;
};

static void parse(struct fixture *f, const char *text)
{
    assert_int_equal(request_parse(text, strlen(text), &f->request, &f->error), NHUB_OK);
}

static struct fixture begin(const char *request)
{
    struct fixture f = {.request = {.json = NULL}};

    buf_init(&f.out);
    buf_init(&f.error);
    parse(&f, request);
    return f;
}

static void end(struct fixture *f, const char *wanted)
{
    assert_false(f->out.failed);
    assert_string_equal(buf_cstr(&f->out), wanted);
    request_free(&f->request);
    buf_fini(&f->out);
    buf_fini(&f->error);
}

static const struct journal_state well = {.condition = JOURNAL_READY, .why = ""};

static void health_has_the_originals_members_and_integer_seconds(void **state)
{
    struct fixture f = begin("{\"action\":\"health\"}");

    (void)state;
    answer_health(&f.out, &f.request, &well, NOW);
    end(&f, "{\"success\":true,\"status\":\"ok\",\"timestamp\":1700000000}");
}

static void health_says_that_the_disk_fails(void **state)
{
    struct fixture f = begin("{\"action\":\"health\"}");
    const struct journal_state now = {.condition = JOURNAL_DEGRADED, .why = "the disk is full"};

    (void)state;
    answer_health(&f.out, &f.request, &now, NOW);
    end(&f, "{\"success\":true,\"status\":\"ok\",\"timestamp\":1700000000,"
            "\"journal\":{\"state\":\"degraded\",\"why\":\"the disk is full\"}}");
}

static void info_tells_ports_and_four_figures(void **state)
{
    struct fixture f = begin("{\"action\":\"info\"}");
    const struct hub_ports ports = {.collector = 1, .publisher = 22, .requests = 65535};
    struct stats stats;

    (void)state;
    stats_init(&stats, NOW, 0);
    stats.events_received = 12;
    stats.events_published = 11;
    answer_info(&f.out, &f.request, &ports, &stats, "abcdefgh", NOW + 5000000);
    end(&f,
        "{\"success\":true,\"status\":\"ok\",\"collector_port\":1,\"publisher_port\":22,"
        "\"requests_port\":65535,\"statistics\":{\"events_received\":12,\"events_published\":11,"
        "\"last_message_time\":0.0,\"start_time\":1700000000.123456},\"timestamp\":1700000005,"
        "\"protocol\":1,\"epoch\":\"abcdefgh\"}");
}

static void terminating_has_float_seconds(void **state)
{
    struct fixture f = begin("{\"action\":\"terminate\"}");

    (void)state;
    answer_terminating(&f.out, &f.request, INT64_C(1700000000000001));
    end(&f, "{\"success\":true,\"status\":\"terminating\",\"timestamp\":1700000000.000001}");
}

static void an_unknown_action_is_named_as_it_came(void **state)
{
    struct fixture f = begin("{\"action\":\"caf\\u00e9 \\\"x\\\"\"}");

    (void)state;
    answer_unknown_action(&f.out, &f.request);
    end(&f, "{\"success\":false,\"error\":\"Unknown action: caf\xc3\xa9 \\\"x\\\"\"}");
}

static void a_request_id_of_any_kind_comes_back(void **state)
{
    static const char *const ids[] = {
        "7", "-1.5", "\"text \\\"quoted\\\"\"", "null", "true", "[1,{\"a\":2}]", "{\"n\":\"x\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char request[128];
        char wanted[128];
        struct fixture f;

        (void)snprintf(request, sizeof request, "{\"action\":\"health\",\"request_id\":%s}",
                       ids[i]);
        (void)snprintf(wanted, sizeof wanted,
                       "{\"success\":true,\"status\":\"ok\",\"timestamp\":1700000000,"
                       "\"request_id\":%s}",
                       ids[i]);
        f = begin(request);
        answer_health(&f.out, &f.request, &well, NOW);
        end(&f, wanted);
    }
}

static void an_error_of_the_original_has_no_code(void **state)
{
    struct fixture f = begin("{\"action\":\"health\"}");

    (void)state;
    envelope_error(&f.out, "Invalid JSON format", NULL);
    envelope_end(&f.out, &f.request);
    end(&f, "{\"success\":false,\"error\":\"Invalid JSON format\"}");
}

static void an_error_of_ours_has_one(void **state)
{
    struct fixture f = begin("{\"action\":\"health\",\"request_id\":3}");

    (void)state;
    envelope_error(&f.out, "no", "some_code");
    envelope_end(&f.out, &f.request);
    end(&f, "{\"success\":false,\"error\":\"no\",\"code\":\"some_code\",\"request_id\":3}");
}

static void a_position_is_a_text(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out);
    envelope_position(&out, "next", "abcdefgh", UINT64_MAX);
    assert_string_equal(buf_cstr(&out), ",\"next\":\"abcdefgh-18446744073709551615\"");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_has_the_originals_members_and_integer_seconds),
        cmocka_unit_test(health_says_that_the_disk_fails),
        cmocka_unit_test(info_tells_ports_and_four_figures),
        cmocka_unit_test(terminating_has_float_seconds),
        cmocka_unit_test(an_unknown_action_is_named_as_it_came),
        cmocka_unit_test(a_request_id_of_any_kind_comes_back),
        cmocka_unit_test(an_error_of_the_original_has_no_code),
        cmocka_unit_test(an_error_of_ours_has_one),
        cmocka_unit_test(a_position_is_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
