/*
 * The server's side of a WebSocket handshake, and what is left in the socket behind the head.
 */
#include "gateway/protocols/ws_opening.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD_START                                                                                 \
    "GET /ws?event_type=a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"    \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* The first one is the example of RFC 6455, section 1.3; all were computed by another program. */
static void a_key_has_its_answer(void **state)
{
    static const struct {
        const char *key, *accept;
    } pairs[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
        {"/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g="},
        {"x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
        {"c2VsZi10ZXN0IG9mIHVzIQ==", "cJBtS9eJs57QEk2iyG9R2vjFMHU="},
    };
    char accept[WS_ACCEPT_LEN + 1];

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        ws_opening_accept(pairs[i].key, accept);
        assert_string_equal(accept, pairs[i].accept);
    }
}

/* Gives the socket `text`, and makes of its head what the front door does. */
static nhub_err open_from(int fds[2], const char *text, struct ws_opening **out)
{
    static char peeked[4096];
    struct http_head head;
    struct stream_query query = {.pattern_count = 0};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(send(fds[0], text, strlen(text), 0), strlen(text));
    assert_int_equal(recv(fds[1], peeked, sizeof peeked, MSG_PEEK), strlen(text));
    assert_int_equal(http_head_parse(peeked, strlen(text), &head), HTTP_HEAD_COMPLETE);
    return ws_opening_create(out, fds[1], &head, &query);
}

static void the_head_is_taken_and_nothing_else(void **state)
{
    struct ws_opening *opening = NULL;
    char rest[16];
    int fds[2];

    (void)state;
    assert_int_equal(open_from(fds, HEAD_START "\r\nframe", &opening), NHUB_OK);
    assert_int_equal(opening->fd, fds[1]);
    assert_int_equal(recv(fds[1], rest, sizeof rest, MSG_DONTWAIT), 5);
    assert_memory_equal(rest, "frame", 5);
    ws_opening_destroy(&opening);
    assert_null(opening);
    assert_int_equal(recv(fds[0], rest, sizeof rest, 0), 0); /* it has closed its side */
    (void)close(fds[0]);
}

/* Heads of the largest size that the front door takes are read away as well. */
static void a_long_head_is_taken(void **state)
{
    struct ws_opening *opening = NULL;
    struct buf text;
    char rest[16];
    int fds[2];

    (void)state;
    buf_init(&text);
    buf_add_str(&text, HEAD_START "X: ");
    while (text.len < 4000) {
        buf_add_char(&text, 'x');
    }
    buf_add_str(&text, "\r\n\r\n+");
    assert_int_equal(open_from(fds, buf_cstr(&text), &opening), NHUB_OK);
    assert_int_equal(recv(fds[1], rest, sizeof rest, MSG_DONTWAIT), 1);
    ws_opening_destroy(&opening);
    (void)close(fds[0]);
    buf_fini(&text);
}

static void the_answer_names_the_protocol_that_was_offered(void **state)
{
    struct ws_opening *opening = NULL;
    struct buf answer;
    int fds[2];

    (void)state;
    buf_init(&answer);
    assert_int_equal(open_from(fds, HEAD_START "\r\n", &opening), NHUB_OK);
    ws_opening_answer(opening, &answer);
    assert_string_equal(buf_cstr(&answer), "HTTP/1.1 101 Switching Protocols\r\n"
                                           "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                           "\r\n");
    ws_opening_destroy(&opening);
    (void)close(fds[0]);
    buf_reset(&answer);
    assert_int_equal(
        open_from(fds, HEAD_START "Sec-WebSocket-Protocol: x, notifyhub.v1.json\r\n\r\n", &opening),
        NHUB_OK);
    ws_opening_answer(opening, &answer);
    assert_non_null(strstr(buf_cstr(&answer), "\r\nSec-WebSocket-Protocol: notifyhub.v1.json\r\n"));
    ws_opening_destroy(&opening);
    (void)close(fds[0]);
    buf_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_its_answer),
        cmocka_unit_test(the_head_is_taken_and_nothing_else),
        cmocka_unit_test(a_long_head_is_taken),
        cmocka_unit_test(the_answer_names_the_protocol_that_was_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
