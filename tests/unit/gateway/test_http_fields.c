/* http_fields: heads taken apart, and what is none. */
#include "gateway/protocols/http_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nhub_err read_head(struct http_fields *out, const char *text)
{
    const size_t len = http_fields_end(text, strlen(text));

    assert_true(len > 0);
    return http_fields_read(out, text, len);
}

static void a_head_is_taken_apart(void **state)
{
    struct http_fields f;

    (void)state;
    assert_int_equal(read_head(&f, "\r\nPOST /a%20b/c?x=%31&y HTTP/1.1\r\nHost: h:1\r\n"
                                   "X-Empty:\r\nx-spaced: \t one  two \t\r\n\r\nbody"),
                     NHUB_OK);
    assert_string_equal(f.method, "POST");
    assert_string_equal(f.path, "/a b/c");
    assert_string_equal(f.query, "x=%31&y");
    assert_true(f.is_http11);
    assert_int_equal(f.count, 3);
    assert_string_equal(http_fields_get(&f, "host"), "h:1");
    assert_string_equal(http_fields_get(&f, "X-EMPTY"), "");
    assert_string_equal(http_fields_get(&f, "X-Spaced"), "one  two");
    assert_null(http_fields_get(&f, "Hos"));
    assert_null(http_fields_get(&f, "Hosts"));
    http_fields_free(&f);
    assert_null(http_fields_get(&f, "Host"));
}

static void targets(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {
        {"/", "/", ""},
        {"/x?", "/x", ""},
        {"/x?a?b", "/x", "a?b"},
        {"*", "*", ""},
        {"http://host:80/x?y", "/x", "y"},
        {"https://host/x", "/x", ""},
        {"http://host", "/", ""},
        {"HTTP://host/x", "/x", ""},
        {"http://host?x=/y", "/", "x=/y"},
        {"https://?/y", "/", "/y"},
        {"/%zz?q", NULL, "q"},
        {"/%00", NULL, ""},
        {"/%ff", NULL, ""},
        {"?q", "", "q"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_fields f;
        char text[128] = "GET ";

        strcat(text, cases[i].target);
        strcat(text, " HTTP/1.0\r\n\r\n");
        assert_int_equal(read_head(&f, text), NHUB_OK);
        assert_false(f.is_http11);
        assert_string_equal(f.query, cases[i].query);
        if (cases[i].path) {
            assert_string_equal(f.path, cases[i].path);
        } else {
            assert_null(f.path);
        }
        http_fields_free(&f);
    }
}

static void a_head_ends_with_its_blank_line(void **state)
{
    static const char text[] = "\r\n\nGET / HTTP/1.1\nHost: h\r\n\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_int_equal(http_fields_end(text, len), 0);
    }
    assert_int_equal(http_fields_end(text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(http_fields_end("\r\n\r\n\n", 5), 0); /* no request line yet */
}

static void what_is_no_head_is_refused(void **state)
{
    static const char *const cases[] = {
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET /\t HTTP/1.1\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\n: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_fields f;

        assert_int_equal(read_head(&f, cases[i]), NHUB_EPROTO);
        assert_null(f.block);
    }
}

static void nuls_are_refused(void **state)
{
    static const char target[] = "GET /\0x HTTP/1.1\r\n\r\n";
    static const char value[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
    struct http_fields f;

    (void)state;
    assert_int_equal(http_fields_read(&f, target, sizeof target - 1), NHUB_EPROTO);
    assert_int_equal(http_fields_read(&f, value, sizeof value - 1), NHUB_EPROTO);
}

static void repeated_headers_are_counted_and_lists_are_looked_through(void **state)
{
    struct http_fields f;

    (void)state;
    assert_int_equal(read_head(&f, "GET / HTTP/1.1\r\nConnection: keep-alive ,\tTE\r\nA: 1\r\n"
                                   "connection: , Close\r\nB: closed, not-close\r\n\r\n"),
                     NHUB_OK);
    assert_int_equal(http_fields_count(&f, "Connection"), 2);
    assert_int_equal(http_fields_count(&f, "A"), 1);
    assert_int_equal(http_fields_count(&f, "C"), 0);
    assert_true(http_fields_list(&f, "Connection", "close"));
    assert_true(http_fields_list(&f, "Connection", "keep-alive"));
    assert_true(http_fields_list(&f, "Connection", "te"));
    assert_false(http_fields_list(&f, "Connection", "keep"));
    assert_false(http_fields_list(&f, "B", "close"));
    assert_false(http_fields_list(&f, "C", "close"));
    http_fields_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(targets),
        cmocka_unit_test(a_head_ends_with_its_blank_line),
        cmocka_unit_test(what_is_no_head_is_refused),
        cmocka_unit_test(nuls_are_refused),
        cmocka_unit_test(repeated_headers_are_counted_and_lists_are_looked_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
