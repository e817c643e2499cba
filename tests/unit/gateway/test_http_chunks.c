/* http_chunks: bodies in the chunked coding, cut at every place, and what is none. */
#include "gateway/protocols/http_chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads text in pieces of `step` bytes; *used is how much of it belongs to the body. */
static nhub_err unchunk(const char *text, size_t len, size_t step, char *out, bool *is_done,
                        size_t *used)
{
    struct http_chunks c = {0};
    size_t have = 0;
    size_t at = 0;

    while (at < len && !http_chunks_is_done(&c)) {
        const char *p = text + at;
        const size_t given = len - at < step ? len - at : step;
        size_t left = given;

        while (left > 0 && !http_chunks_is_done(&c)) {
            const char *data = NULL;
            size_t data_len = 0;
            const nhub_err err = http_chunks_next(&c, &p, &left, &data, &data_len);

            if (err != NHUB_OK) {
                return err;
            }
            memcpy(out + have, data ? data : "", data_len);
            have += data_len;
        }
        at += given - left;
    }
    out[have] = '\0';
    *is_done = http_chunks_is_done(&c);
    *used = at;
    return NHUB_OK;
}

static void a_body_is_the_same_wherever_it_is_cut(void **state)
{
    static const char text[] =
        "5\r\nhello\r\n000000000000000A;name=\"a b\"\r\n, chunked \r\n1 \t;x\r\n!\r\n"
        "0\r\nTrailer: x\r\nOther: y\r\n\r\n";

    (void)state;
    for (size_t step = 1; step <= sizeof text - 1; step++) {
        char out[64];
        bool is_done = false;
        size_t used = 0;

        assert_int_equal(unchunk(text, sizeof text - 1, step, out, &is_done, &used), NHUB_OK);
        assert_true(is_done);
        assert_string_equal(out, "hello, chunked !");
        assert_int_equal(used, sizeof text - 1);
    }
}

static void what_follows_is_left_alone(void **state)
{
    static const char text[] = "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n";
    char out[64];
    bool is_done = false;
    size_t used = 0;

    (void)state;
    assert_int_equal(unchunk(text, sizeof text - 1, sizeof text, out, &is_done, &used), NHUB_OK);
    assert_true(is_done);
    assert_string_equal(text + used, "GET / HTTP/1.1\r\n");
}

static void what_is_cut_off_is_not_done(void **state)
{
    static const char text[] = "3\r\nabc\r\n0\r\n\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char out[64];
        bool is_done = true;
        size_t used = 0;

        assert_int_equal(unchunk(text, len, len + 1, out, &is_done, &used), NHUB_OK);
        assert_false(is_done);
    }
}

static void what_is_none_is_refused(void **state)
{
    static const char *const cases[] = {
        "\r\n",
        "zz\r\n",
        ";x\r\n",
        "-1\r\n",
        " 1\r\n",
        "0x1\r\n",
        "1 1\r\n",
        "1\t1;x\r\n",
        "00000000000000001\r\n",
        "1\nx",
        "1\r\r\nx",
        "1\r\nxy",
        "1\r\nx\n",
        "1\r\nx\rx",
        "1;a\nb\r\nx",
        "0\r\n\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\r\r\n",
        "0\r\n\r\r\n",
        "1000000000000000\r\n",
        "ffffffffffffffffff\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64];
        bool is_done = false;
        size_t used = 0;

        assert_int_equal(unchunk(cases[i], strlen(cases[i]), 64, out, &is_done, &used),
                         NHUB_EPROTO);
    }
}

static void extensions_and_trailers_are_bounded(void **state)
{
    static const char *const starts[] = {"1;", "0\r\nT: "};
    static const size_t limits[] = {HTTP_CHUNKS_EXTENSION_MAX, HTTP_CHUNKS_TRAILERS_MAX};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const size_t start_len = strlen(starts[i]);
        char *text = malloc(start_len + limits[i] + 1);
        char out[64];
        bool is_done = false;
        size_t used = 0;

        memcpy(text, starts[i], start_len);
        memset(text + start_len, 'x', limits[i] + 1);
        assert_int_equal(unchunk(text, start_len + limits[i] - 8, 4096, out, &is_done, &used),
                         NHUB_OK);
        assert_int_equal(unchunk(text, start_len + limits[i] + 1, 4096, out, &is_done, &used),
                         NHUB_EPROTO);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_the_same_wherever_it_is_cut),
        cmocka_unit_test(what_follows_is_left_alone),
        cmocka_unit_test(what_is_cut_off_is_not_done),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
