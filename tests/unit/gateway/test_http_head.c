/*
 * What the front door reads from a head, and where it stops reading.
 */
#include "gateway/protocols/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define OFFER   "Sec-WebSocket-Protocol: "
#define LONG                                                                                       \
    "a-name-of-a-subprotocol-that-is-very-long-a-name-of-a-subprotocol-that-is-very-long-a-name-"  \
    "of-a-subprotocol"

static enum http_head_state parse(const char *text, struct http_head *out)
{
    return http_head_parse(text, strlen(text), out);
}

static void a_whole_head_is_cut_into_its_parts(void **state)
{
    static const char text[] = "GET /events?event_type=a%20b&x HTTP/1.1\r\nHost: example:8080\r\n"
                               "origin:http://example:8080 \r\nAccept: text/html, "
                               "text/event-stream;q=0.9\r\n\r\nbody";
    struct http_head head;

    (void)state;
    assert_int_equal(parse(text, &head), HTTP_HEAD_COMPLETE);
    assert_true(http_text_is(&head.method, "GET"));
    assert_true(http_text_is(&head.path, "/events"));
    assert_true(http_text_is(&head.query, "event_type=a%20b&x"));
    assert_true(http_text_is(&head.host, "example:8080"));
    assert_true(http_text_is(&head.origin, "http://example:8080"));
    assert_true(head.is_http11);
    assert_true(head.accepts_events);
    assert_int_equal(head.length, sizeof text - 1 - 4);
}

static void every_shorter_piece_of_a_good_head_is_incomplete(void **state)
{
    static const char text[] = "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
    struct http_head head;

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_int_equal(http_head_parse(text, len, &head), HTTP_HEAD_INCOMPLETE);
    }
    assert_int_equal(http_head_parse(text, sizeof text - 1, &head), HTTP_HEAD_COMPLETE);
}

static void bare_line_feeds_and_empty_first_lines_pass(void **state)
{
    struct http_head head;

    (void)state;
    assert_int_equal(parse("\r\n\nGET / HTTP/1.0\nHost: h\n\n", &head), HTTP_HEAD_COMPLETE);
    assert_true(http_text_is(&head.path, "/"));
    assert_null(head.query.p);
    assert_false(head.is_http11);
}

static void noise_is_malformed_at_once(void **state)
{
    static const char *const texts[] = {"\x16\x03\x01\x02",        /* TLS */
                                        "{\"a\":1}",               /* JSON */
                                        "GET\t/ HTTP/1.1\r\n\r\n", /* no blank */
                                        "GET  / HTTP/1.1\r\n\r\n",
                                        "GET / HTTP/2.0\r\n\r\n",
                                        "GET / HTTP/1.x\r\n\r\n",
                                        "GET /\r\n\r\n",
                                        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                                        "GET / HTTP/1.1\r\n: empty\r\n\r\n",
                                        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
                                        "GET / HTTP/1.1\r\n folded\r\n\r\n"};
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse(texts[i], &head), HTTP_HEAD_MALFORMED);
    }
    assert_int_equal(http_head_parse("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 23, &head),
                     HTTP_HEAD_MALFORMED);
}

static void what_lacks_a_host_or_has_no_length_is_not_acceptable(void **state)
{
    static const struct {
        const char *text;
        bool is_acceptable;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 0\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999999999\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000000000\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5x\r\nContent-Length: 5\r\n\r\n", false},
        {"POST / HTTP/1.0\r\nContent-Length: abc\r\n\r\n", false},
    };
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].text, &head), HTTP_HEAD_COMPLETE);
        assert_int_equal(http_head_is_acceptable(&head), cases[i].is_acceptable);
    }
}

static void upgrades_are_told_from_what_only_looks_like_one(void **state)
{
    static const struct {
        const char *text;
        bool is_upgrade;
    } cases[] = {
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", true},
        {"GET /ws HTTP/1.1\r\nhost: h\r\nupgrade: h2c, WebSocket\r\nconnection: keep-alive\r\n"
         "connection: te, UPGRADE\r\n" KEY VERSION "\r\n",
         true},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "notifyhub.v1.json\r\n\r\n", true},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "other , notifyhub.v1.json\r\n\r\n",
         true},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "other\r\n" OFFER
         "notifyhub.v1.json\r\n\r\n",
         true},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "\r\n\r\n", true},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "other\r\n\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "NotifyHub.v1.json\r\n\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "notifyhub.v1.jsonx\r\n\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER "a:b, notifyhub.v1.json\r\n\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER ",notifyhub.v1.json\r\n\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY VERSION OFFER LONG ",notifyhub.v1.json\r\n\r\n", false},
        {"POST /ws HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", false},
        {"GET /ws HTTP/1.0\r\n" UPGRADE KEY VERSION "\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE VERSION "\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY "\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE KEY KEY VERSION "\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE "Host: other\r\n" KEY VERSION "\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: short==\r\n" VERSION "\r\n", false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!\r\n" VERSION
         "\r\n",
         false},
        {"GET /ws HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZ==\r\n" VERSION
         "\r\n",
         false},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" KEY VERSION "\r\n", false},
        {"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n" KEY VERSION "\r\n", false},
        {"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" KEY VERSION "\r\n",
         false},
    };
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].text, &head), HTTP_HEAD_COMPLETE);
        assert_int_equal(http_head_is_upgrade(&head), cases[i].is_upgrade);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_head_is_cut_into_its_parts),
        cmocka_unit_test(every_shorter_piece_of_a_good_head_is_incomplete),
        cmocka_unit_test(bare_line_feeds_and_empty_first_lines_pass),
        cmocka_unit_test(noise_is_malformed_at_once),
        cmocka_unit_test(what_lacks_a_host_or_has_no_length_is_not_acceptable),
        cmocka_unit_test(upgrades_are_told_from_what_only_looks_like_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
