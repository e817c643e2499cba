/*
 * Frames of clients, whole and in pieces of every size, and what RFC 6455 forbids.
 */
#include "gateway/protocols/ws_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* One frame, its length behind the second byte in length_size bytes. */
static void add_frame(struct buf *out, unsigned first, const char *payload, size_t len,
                      size_t length_size)
{
    buf_add_char(out, (char)first);
    buf_add_char(out, (char)(0x80U | (length_size == 8   ? 127U
                                      : length_size == 2 ? 126U
                                                         : (unsigned)len)));
    for (size_t i = length_size; i > 0; i--) {
        buf_add_char(out, (char)((uint64_t)len >> (8 * (i - 1))));
    }
    buf_add(out, mask, sizeof mask);
    for (size_t i = 0; i < len; i++) {
        buf_add_char(out, (char)((unsigned char)payload[i] ^ mask[i % 4]));
    }
}

static size_t length_size(size_t len)
{
    return len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
}

static void add(struct buf *out, unsigned first, const char *payload, size_t len)
{
    add_frame(out, first, payload, len, length_size(len));
}

/* What a stream says, as text: T and B for messages, C, P and O for close, ping and pong, ! for the
 * end of what can be understood. Messages first, because control frames fall between their parts.
 */
struct transcript {
    struct buf messages, controls;
    const char *reason; /* of a broken stream */
};

static void read_pieces(const struct buf *stream, size_t piece, struct transcript *out)
{
    struct ws_reader reader = {0};
    struct ws_part part;
    size_t at = 0;
    bool is_new[2] = {true, true};

    memset(out, 0, sizeof *out);
    while (at < stream->len && !out->reason) {
        const size_t n = stream->len - at < piece ? stream->len - at : piece;
        char *bytes = malloc(n); /* its own block, so that a step beside it is seen */
        size_t used = 0;

        memcpy(bytes, stream->data + at, n);
        while (used < n && !out->reason) {
            const size_t step = ws_reader_next(&reader, bytes + used, n - used, &part);
            const bool is_control = part.kind == WS_PART_CONTROL;
            struct buf *to = is_control ? &out->controls : &out->messages;

            assert_true(step > 0 && step <= n - used);
            used += step;
            if (part.kind == WS_PART_BROKEN) {
                out->reason = part.reason;
            } else if (part.kind != WS_PART_NONE) {
                if (is_new[is_control]) {
                    buf_add_char(to, " TB     CPO"[part.opcode]);
                }
                buf_add(to, part.bytes, part.len);
                is_new[is_control] = part.is_last;
                if (part.is_last) {
                    assert_int_equal(part.left, 0);
                    buf_add_char(to, '|');
                }
            }
        }
        free(bytes);
        at += n;
    }
}

static void transcript_fini(struct transcript *t)
{
    buf_fini(&t->messages);
    buf_fini(&t->controls);
}

static void expect(const struct buf *stream, const char *messages, const char *controls,
                   const char *reason)
{
    struct transcript t;

    for (size_t piece = 1; piece <= stream->len; piece++) {
        read_pieces(stream, piece, &t);
        assert_string_equal(buf_cstr(&t.messages), messages);
        assert_string_equal(buf_cstr(&t.controls), controls);
        if (reason) {
            assert_non_null(t.reason);
            assert_string_equal(t.reason, reason);
        } else {
            assert_null(t.reason);
        }
        transcript_fini(&t);
    }
}

static void pieces_of_any_size_say_the_same(void **state)
{
    struct buf stream;

    (void)state;
    buf_init(&stream);
    add(&stream, 0x81, "hello", 5);
    add(&stream, 0x81, "", 0);
    add(&stream, 0x01, "one ", 4);
    add(&stream, 0x89, "are you there", 13);
    add(&stream, 0x00, "", 0);
    add(&stream, 0x00, "and two", 7);
    add(&stream, 0x8a, "", 0);
    add(&stream, 0x80, "", 0);
    add(&stream, 0x82, "\x01\x02", 2);
    add(&stream, 0x02, "x", 1);
    add(&stream, 0x80, "y", 1);
    add(&stream, 0x88,
        "\x03\xe8"
        "bye",
        5);
    expect(&stream, "Thello|T|Tone and two|B\x01\x02|Bxy|",
           "Pare you there|O|C\x03\xe8"
           "bye|",
           NULL);
    buf_fini(&stream);
}

static void lengths_of_every_form_are_read(void **state)
{
    static const size_t lengths[] = {0, 1, 7, 8, 9, 125, 126, 127, 4096, 65535, 65536, 70001};
    char *text = malloc(70001);
    struct buf stream;
    struct transcript t;

    (void)state;
    for (size_t i = 0; i < 70001; i++) {
        text[i] = (char)('a' + i % 23);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        static const size_t pieces[] = {13, 4096, SIZE_MAX};

        buf_init(&stream);
        add(&stream, 0x81, text, lengths[i]);
        add(&stream, 0x81, "next", 4);
        for (size_t k = 0; k < 3; k++) {
            read_pieces(&stream, pieces[k], &t);
            assert_null(t.reason);
            assert_int_equal(t.messages.len, lengths[i] + 8);
            assert_memory_equal(t.messages.data + 1, text, lengths[i]);
            assert_memory_equal(t.messages.data + 1 + lengths[i], "|Tnext|", 7);
            transcript_fini(&t);
        }
        buf_fini(&stream);
    }
    free(text);
}

static void a_part_says_how_much_of_its_frame_is_to_come(void **state)
{
    struct ws_reader reader = {0};
    struct ws_part part;
    struct buf stream;

    (void)state;
    buf_init(&stream);
    add(&stream, 0x81, "0123456789", 10);
    assert_int_equal(ws_reader_next(&reader, stream.data, 6, &part), 6);
    assert_int_equal(part.kind, WS_PART_MESSAGE);
    assert_int_equal(part.len, 0);
    assert_int_equal(part.left, 10);
    assert_int_equal(ws_reader_next(&reader, stream.data + 6, 3, &part), 3);
    assert_int_equal(part.left, 7);
    assert_false(part.is_last);
    buf_fini(&stream);
}

static void what_is_forbidden_ends_the_stream(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *reason;
    } streams[] = {
        {"\x81\x02hi", 4, "no mask"},
        {"\xc1\x80....", 6, "reserved bits"},
        {"\xa1\x80....", 6, "reserved bits"},
        {"\x91\x80....", 6, "reserved bits"},
        {"\x83\x80....", 6, "bad opc"},
        {"\x87\x80....", 6, "bad opc"},
        {"\x8b\x80....", 6, "bad opc"},
        {"\x8f\x80....", 6, "bad opc"},
        {"\x09\x80....", 6, "control frame in fragments"},
        {"\x89\xfe\x00\x7e....", 8, "long control frame"},
        {"\x88\xff\x00\x00\x00\x00\x00\x00\x00\x01....", 14, "long control frame"},
        {"\x80\x80....", 6, "continuation of nothing"},
        {"\x00\x80....", 6, "continuation of nothing"},
        {"\x81\xfe\x00\x7d....", 8, "bad length"},
        {"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff....", 14, "bad length"},
        {"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00....", 14, "bad length"},
        {"\x01\x80....\x01\x80....", 12, "message in a message"},
        {"\x01\x80....\x82\x80....", 12, "message in a message"},
        {"\x81\x80....\x80\x80....", 12, "continuation of nothing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        struct transcript t;
        struct buf stream;

        for (size_t piece = 1; piece <= streams[i].len; piece++) {
            buf_init(&stream);
            buf_add(&stream, streams[i].bytes, streams[i].len);
            read_pieces(&stream, piece, &t);
            assert_non_null(t.reason);
            assert_string_equal(t.reason, streams[i].reason);
            transcript_fini(&t);
            buf_fini(&stream);
        }
    }
}

/* A head is refused before its length and its mask are there. */
static void two_bytes_are_enough_to_refuse(void **state)
{
    struct ws_reader reader = {0};
    struct ws_part part;
    char bytes[] = "\x81\x05";

    (void)state;
    assert_int_equal(ws_reader_next(&reader, bytes, 1, &part), 1);
    assert_int_equal(part.kind, WS_PART_NONE);
    assert_int_equal(ws_reader_next(&reader, bytes + 1, 1, &part), 1);
    assert_int_equal(part.kind, WS_PART_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_any_size_say_the_same),
        cmocka_unit_test(lengths_of_every_form_are_read),
        cmocka_unit_test(a_part_says_how_much_of_its_frame_is_to_come),
        cmocka_unit_test(what_is_forbidden_ends_the_stream),
        cmocka_unit_test(two_bytes_are_enough_to_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
