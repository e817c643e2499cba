/*
 * request_publish: the short way reads what the general reader reads, and leaves the rest to it.
 */
#include "wire/request.h"
#include "wire/request_publish.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/settings.h"

static void the_usual_form_is_read(void **state)
{
    static const struct {
        const char *text;
        struct request_publish expected;
    } rows[] = {
        {"{\"action\":\"publish\"}", {.atomic = true}},
        {" { \"request_id\" : 17 , \"action\" : \"publish\" } ",
         {.has_id = true, .id = 17, .atomic = true}},
        {"{\"action\":\"publish\",\"request_id\":9223372036854775807,\"durability\":\"synced\","
         "\"atomic\":false,\"acks\":\"batched\"}",
         {.has_id = true, .id = INT64_MAX, .durability = DURABILITY_SYNCED, .batched_acks = true}},
        {"{\"action\":\"publish\",\"acks\":\"each\",\"durability\":\"memory\",\"atomic\":true}",
         {.durability = DURABILITY_MEMORY, .atomic = true}},
        {"{\"action\":\"health\",\"action\":\"publish\",\"durability\":\"journaled\"}",
         {.durability = DURABILITY_JOURNALED, .atomic = true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct request_publish *e = &rows[i].expected;
        struct request_publish p;

        assert_true(request_publish_scan(rows[i].text, strlen(rows[i].text), &p));
        assert_int_equal(p.has_id, e->has_id);
        assert_int_equal(p.id, e->id);
        assert_int_equal(p.durability, e->durability);
        assert_int_equal(p.atomic, e->atomic);
        assert_int_equal(p.batched_acks, e->batched_acks);
    }
}

static void everything_else_is_left_to_the_general_reader(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"action\":\"publish\"",
        "{\"action\":\"publish\"}}",
        "{\"action\":\"health\"}",
        "{\"action\":null}",
        "{\"action\":\"pub\\u006cish\"}",
        "{\"action\":\"publish\",\"request_id\":\"a\"}",
        "{\"action\":\"publish\",\"request_id\":null}",
        "{\"action\":\"publish\",\"request_id\":-1}",
        "{\"action\":\"publish\",\"request_id\":1.0}",
        "{\"action\":\"publish\",\"request_id\":9223372036854775808}",
        "{\"action\":\"publish\",\"durability\":null}",
        "{\"action\":\"publish\",\"durability\":\"forever\"}",
        "{\"action\":\"publish\",\"atomic\":1}",
        "{\"action\":\"publish\",\"acks\":\"some\"}",
        "{\"action\":\"publish\",\"acks\":null}",
        "{\"action\":\"publish\",\"colour\":1}",
        "{\"action\":\"publish\",\"request_id\":NaN}",
    };
    struct request_publish p;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (request_publish_scan(texts[i], strlen(texts[i]), &p)) {
            fail_msg("taken: %s", texts[i]);
        }
    }
}

/* The general reader, reached by a member that it ignores. */
static nhub_err read_generally(const char *text, struct request *out, struct buf *error)
{
    char longer[512];

    (void)snprintf(longer, sizeof longer, "{\"ignored\":0,%s", text + 1);
    return request_parse(longer, strlen(longer), out, error);
}

/* Both ways say the same of whatever is put together at random. */
static void both_readers_agree(void **state)
{
    static const char *const members[] = {
        "\"action\":\"publish\"",
        "\"request_id\":0",
        "\"request_id\":12345678901",
        "\"request_id\":\"x\"",
        "\"request_id\":null",
        "\"durability\":\"memory\"",
        "\"durability\":\"journaled\"",
        "\"durability\":\"synced\"",
        "\"durability\":\"x\"",
        "\"durability\":null",
        "\"atomic\":true",
        "\"atomic\":false",
        "\"atomic\":0",
        "\"acks\":\"each\"",
        "\"acks\":\"batched\"",
        "\"acks\":[]",
    };
    const size_t count = sizeof members / sizeof members[0];

    (void)state;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        char text[400] = "{\"action\":\"publish\"";
        struct request a;
        struct request b;
        struct buf errors[2];

        for (int i = rand() % 5; i > 0; i--) {
            (void)strcat(strcat(text, ","), members[(size_t)rand() % count]);
        }
        (void)strcat(text, "}");
        buf_init(&errors[0]);
        buf_init(&errors[1]);
        assert_int_equal(request_parse(text, strlen(text), &a, &errors[0]),
                         read_generally(text, &b, &errors[1]));
        assert_string_equal(buf_cstr(&errors[0]), buf_cstr(&errors[1]));
        assert_int_equal(a.action, b.action);
        assert_string_equal(a.action_name, b.action_name);
        assert_int_equal(a.durability, b.durability);
        assert_int_equal(a.atomic, b.atomic);
        assert_int_equal(a.batched_acks, b.batched_acks);
        assert_int_equal(a.request_id == NULL, b.request_id == NULL);
        assert_true(!a.request_id || json_equal(a.request_id, b.request_id));
        request_free(&a);
        request_free(&b);
        buf_fini(&errors[0]);
        buf_fini(&errors[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual_form_is_read),
        cmocka_unit_test(everything_else_is_left_to_the_general_reader),
        cmocka_unit_test(both_readers_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
