// with: failmalloc
/*
 * zmtp: greetings and frames, each also cut at every length. Bytes under test lie in a block of
 * exactly their size, so that reading behind them is seen. READY has its own file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact_copy.h"
#include "failmalloc.h"
#include "wire/zmtp.h"

/* ---- greeting ---- */

#define ZEROS_16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const char our_greeting[] = "\xff\0\0\0\0\0\0\0\0\x7f" /* signature */
                                   "\3\0"                     /* version */
                                   "NULL" ZEROS_16            /* mechanism */
                                   "\0"                       /* as-server */
    ZEROS_16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";                /* filler */

/* As libzmq 4.3 sends it: its padding is a length of ZMTP 1.0, its version is 3.1. */
static const char libzmq_greeting[] =
    "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" ZEROS_16 "\0" ZEROS_16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

static nhub_err check_greeting(const void *bytes, size_t len)
{
    char *copy = exact_copy(bytes, len);
    const nhub_err err = zmtp_greeting_check(copy, len);

    free(copy);
    return err;
}

static void our_greeting_is_written_byte_by_byte(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out);
    buf_add_char(&out, 'x');
    zmtp_add_greeting(&out);
    assert_false(out.failed);
    assert_int_equal(sizeof our_greeting - 1, ZMTP_GREETING_LEN);
    assert_int_equal(out.len, 1 + ZMTP_GREETING_LEN);
    assert_memory_equal(out.data, "x", 1); /* what was there before stays */
    assert_memory_equal(out.data + 1, our_greeting, ZMTP_GREETING_LEN);
    buf_fini(&out);
}

static void a_good_greeting_is_awaited_to_its_last_byte(void **state)
{
    static const char *const good[] = {our_greeting, libzmq_greeting};

    (void)state;
    assert_int_equal(sizeof libzmq_greeting - 1, ZMTP_GREETING_LEN);
    for (size_t i = 0; i < 2; i++) {
        for (size_t len = 0; len < ZMTP_GREETING_LEN; len++) {
            assert_int_equal(check_greeting(good[i], len), NHUB_EAGAIN);
        }
        assert_int_equal(check_greeting(good[i], ZMTP_GREETING_LEN), NHUB_OK);
    }
}

/* A peer may send its READY together with its greeting. */
static void what_follows_the_greeting_does_not_matter(void **state)
{
    char bytes[ZMTP_GREETING_LEN + 2];

    (void)state;
    memcpy(bytes, libzmq_greeting, ZMTP_GREETING_LEN);
    memset(bytes + ZMTP_GREETING_LEN, 0xff, 2);
    assert_int_equal(check_greeting(bytes, sizeof bytes - 1), NHUB_OK);
    assert_int_equal(check_greeting(bytes, sizeof bytes), NHUB_OK);
}

/* Byte at of a good greeting becomes value: all shorter prefixes are still good, and from that byte
 * on it is refused whatever follows. */
static void assert_refused_from(size_t at, char value)
{
    char bytes[ZMTP_GREETING_LEN + 8] = {0};

    memcpy(bytes, libzmq_greeting, ZMTP_GREETING_LEN);
    bytes[at] = value;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        assert_int_equal(check_greeting(bytes, len), len <= at ? NHUB_EAGAIN : NHUB_EPROTO);
    }
}

static void a_wrong_signature_is_refused_at_once(void **state)
{
    (void)state;
    assert_refused_from(0, 0);
    assert_refused_from(0, 'G');
    assert_refused_from(0, '\x7f');
    assert_refused_from(9, 0);
    assert_refused_from(9, 1); /* ZMTP 1.0: flags of a long frame */
    assert_refused_from(9, '\xff');
}

static void a_version_before_3_is_refused(void **state)
{
    (void)state;
    assert_refused_from(10, 0);
    assert_refused_from(10, 1); /* ZMTP 2.0 calls itself 1 */
    assert_refused_from(10, 2);
}

/* A later version speaks ours with who asks for ours. */
static void a_later_version_is_accepted(void **state)
{
    static const char later[] = {3, 4, '\x7f', '\x80', '\xff'};
    char bytes[ZMTP_GREETING_LEN];

    (void)state;
    memcpy(bytes, our_greeting, sizeof bytes);
    for (size_t i = 0; i < sizeof later; i++) {
        bytes[10] = later[i];
        bytes[11] = '\xff';
        assert_int_equal(check_greeting(bytes, sizeof bytes), NHUB_OK);
    }
}

static void padding_and_filler_have_any_value(void **state)
{
    char bytes[ZMTP_GREETING_LEN];

    (void)state;
    memcpy(bytes, our_greeting, sizeof bytes);
    memset(bytes + 1, 0xff, 8);
    memset(bytes + 32, 0xff, 32);
    assert_int_equal(check_greeting(bytes, sizeof bytes), NHUB_OK);
}

static void another_mechanism_is_refused_at_its_first_other_byte(void **state)
{
    static const struct {
        const char *name;
        size_t same; /* leading bytes that are those of NULL */
    } cases[] = {{"PLAIN", 0}, {"CURVE", 0}, {"GSSAPI", 0}, {"null", 0},  {"", 0},
                 {"NUL", 3},   {"NULLX", 4}, {"NULL ", 4},  {"NULL2", 4}, {"NOPE", 1}};
    char bytes[ZMTP_GREETING_LEN];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(bytes, libzmq_greeting, sizeof bytes);
        memset(bytes + 12, 0, 20);
        memcpy(bytes + 12, cases[i].name, strlen(cases[i].name));
        for (size_t len = 0; len <= sizeof bytes; len++) {
            assert_int_equal(check_greeting(bytes, len),
                             len <= 12 + cases[i].same ? NHUB_EAGAIN : NHUB_EPROTO);
        }
    }
    for (size_t at = 16; at < 32; at++) {
        assert_refused_from(at, 'x');
    }
}

/* ---- frames ---- */

/* The result of a reader is untouched on failure: it is compared with this. */
static const struct zmtp_frame untouched = {.bytes = our_greeting, .len = 77, .more = true};

/* Reads bytes of exactly len; the span becomes one of the caller's bytes. */
static nhub_err read_frame(const char *bytes, size_t len, size_t max, struct zmtp_frame *out,
                           size_t *out_used)
{
    char *copy = exact_copy(bytes, len);
    nhub_err err = NHUB_OK;

    *out = untouched;
    *out_used = 77;
    err = zmtp_frame_read(copy, len, max, out, out_used);
    if (err == NHUB_OK) {
        assert_true(out->bytes >= copy && out->bytes + out->len <= copy + len);
        out->bytes = bytes + (out->bytes - copy);
    } else {
        assert_ptr_equal(out->bytes, untouched.bytes);
        assert_int_equal(out->len, untouched.len);
        assert_int_equal(out->more, untouched.more);
        assert_int_equal(out->is_command, untouched.is_command);
        assert_int_equal(*out_used, 77);
    }
    free(copy);
    return err;
}

static void frames_are_read_in_each_form(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t head;
        bool more;
        bool is_command;
    } cases[] = {
        {BYTES("\0\3abc"), 2, false, false},
        {BYTES("\0\0"), 2, false, false},
        {BYTES("\1\3abc"), 2, true, false},
        {BYTES("\1\0"), 2, true, false},
        {BYTES("\4\3abc"), 2, false, true},
        {BYTES("\2\0\0\0\0\0\0\0\3abc"), 9, false, false},
        {BYTES("\2\0\0\0\0\0\0\0\0"), 9, false, false},
        {BYTES("\3\0\0\0\0\0\0\0\3abc"), 9, true, false},
        {BYTES("\6\0\0\0\0\0\0\0\3abc"), 9, false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zmtp_frame frame;
        size_t used = 0;

        assert_int_equal(read_frame(cases[i].bytes, cases[i].len, 3, &frame, &used), NHUB_OK);
        assert_int_equal(used, cases[i].len);
        assert_ptr_equal(frame.bytes, cases[i].bytes + cases[i].head);
        assert_int_equal(frame.len, cases[i].len - cases[i].head);
        assert_int_equal(frame.more, cases[i].more);
        assert_int_equal(frame.is_command, cases[i].is_command);
        for (size_t len = 0; len < cases[i].len; len++) {
            assert_int_equal(read_frame(cases[i].bytes, len, 3, &frame, &used), NHUB_EAGAIN);
        }
    }
}

/* Lengths where a sign or the order of bytes would show. */
static void lengths_are_unsigned_and_big_endian(void **state)
{
    const size_t room = 9 + 0x010280;
    char *bytes = calloc(1, room);
    struct zmtp_frame frame;
    size_t used = 0;

    (void)state;
    assert_non_null(bytes);
    bytes[1] = '\xff';
    assert_int_equal(read_frame(bytes, room, 255, &frame, &used), NHUB_OK);
    assert_int_equal(frame.len, 255);
    assert_int_equal(used, 2 + 255);
    memcpy(bytes, "\2\0\0\0\0\0\1\2\x80", 9);
    assert_int_equal(read_frame(bytes, room, 0x010280, &frame, &used), NHUB_OK);
    assert_int_equal(frame.len, 0x010280);
    assert_int_equal(used, room);
    assert_int_equal(read_frame(bytes, room - 1, 0x010280, &frame, &used), NHUB_EAGAIN);
    free(bytes);
}

static void frames_follow_each_other(void **state)
{
    static const char bytes[] = "\1\2ab\3\0\0\0\0\0\0\0\1c\0\0\0\5x";
    static const struct {
        size_t at;
        size_t len;
        bool more;
    } expected[] = {{2, 2, true}, {13, 1, true}, {16, 0, false}};
    struct zmtp_frame frame;
    size_t pos = 0;
    size_t used = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(read_frame(bytes + pos, sizeof bytes - 1 - pos, 9, &frame, &used),
                         NHUB_OK);
        assert_ptr_equal(frame.bytes, bytes + expected[i].at);
        assert_int_equal(frame.len, expected[i].len);
        assert_int_equal(frame.more, expected[i].more);
        pos += used;
    }
    assert_int_equal(read_frame(bytes + pos, sizeof bytes - 1 - pos, 9, &frame, &used),
                     NHUB_EAGAIN);
}

/* A reserved bit is seen in the first byte, beside every set of known ones. */
static void reserved_flags_are_refused(void **state)
{
    char bytes[10] = {0};
    struct zmtp_frame frame;
    size_t used = 0;

    (void)state;
    for (unsigned flags = 8; flags < 256; flags++) {
        bytes[0] = (char)flags;
        for (size_t len = 1; len <= sizeof bytes; len++) {
            assert_int_equal(read_frame(bytes, len, SIZE_MAX, &frame, &used), NHUB_EPROTO);
        }
    }
}

/* Refused when the head is complete: nobody waits for a body that will not be taken. */
static void a_body_longer_than_max_is_refused_by_its_head(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t max;
        nhub_err err;
    } cases[] = {
        {BYTES("\0\3"), 3, NHUB_EAGAIN},
        {BYTES("\0\4"), 3, NHUB_EPROTO},
        {BYTES("\0\4abcd"), 3, NHUB_EPROTO},
        {BYTES("\4\4"), 3, NHUB_EPROTO},
        {BYTES("\0\xff"), 254, NHUB_EPROTO},
        {BYTES("\0\1"), 0, NHUB_EPROTO},
        {BYTES("\0\0"), 0, NHUB_OK},
        {BYTES("\2\0\0\0\0\0\0\0"), 3, NHUB_EAGAIN},
        {BYTES("\2\0\0\0\0\0\0\0\3"), 3, NHUB_EAGAIN},
        {BYTES("\2\0\0\0\0\0\0\0\4"), 3, NHUB_EPROTO},
        {BYTES("\2\0\0\0\0\0\1\0\3"), 3, NHUB_EPROTO},
        {BYTES("\2\0\0\0\1\0\0\0\0"), 3, NHUB_EPROTO},
        {BYTES("\2\x80\0\0\0\0\0\0\0"), 3, NHUB_EPROTO},
        {BYTES("\2\x80\0\0\0\0\0\0\0"), SIZE_MAX / 2, NHUB_EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zmtp_frame frame;
        size_t used = 0;

        assert_int_equal(read_frame(cases[i].bytes, cases[i].len, cases[i].max, &frame, &used),
                         cases[i].err);
    }
}

/* With its head such a length is 0 to 8 when it wraps, which would look complete. */
static void a_length_near_the_largest_does_not_wrap(void **state)
{
    char bytes[32];
    struct zmtp_frame frame;
    size_t used = 0;

    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    bytes[0] = 2;
    for (unsigned last = 0xf0; last <= 0xff; last++) {
        bytes[8] = (char)last;
        assert_int_equal(read_frame(bytes, sizeof bytes, SIZE_MAX / 2, &frame, &used), NHUB_EPROTO);
        assert_int_equal(read_frame(bytes, sizeof bytes, SIZE_MAX, &frame, &used),
                         (uint64_t)SIZE_MAX == UINT64_MAX ? NHUB_EAGAIN : NHUB_EPROTO);
        assert_int_equal(read_frame(bytes, 9, 1000, &frame, &used), NHUB_EPROTO);
    }
}

/* ---- messages out ---- */

/* Each one behind what the buffer holds already. */
static void a_message_is_read_back_as_it_was_built(void **state)
{
    static const size_t sizes[] = {0, 1, 255, 256, 65535, 65536, 70000};
    char *body = malloc(70000);
    struct buf out;
    size_t pos = 0;

    (void)state;
    assert_non_null(body);
    memset(body, 'b', 70000);
    buf_init(&out);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t begin = zmtp_begin(&out);

        assert_int_equal(begin, pos);
        buf_add(&out, body, sizes[i] / 2);
        buf_add(&out, body, sizes[i] - sizes[i] / 2);
        zmtp_end(&out, begin);
        pos = out.len;
    }
    assert_false(out.failed);
    pos = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct zmtp_frame frame;
        size_t used = 0;

        assert_int_equal(read_frame(out.data + pos, out.len - pos, sizes[i], &frame, &used),
                         NHUB_OK);
        assert_int_equal(frame.len, sizes[i]);
        assert_memory_equal(frame.bytes, body, sizes[i]);
        assert_false(frame.more);
        assert_false(frame.is_command);
        pos += used;
    }
    assert_int_equal(pos, out.len);
    buf_fini(&out);
    free(body);
}

static void a_message_has_a_head_of_nine_bytes(void **state)
{
    static const char expected[] = "\2\0\0\0\0\0\0\0\5hello";
    struct buf out;
    size_t begin = 0;

    (void)state;
    buf_init(&out);
    begin = zmtp_begin(&out);
    buf_add_str(&out, "hello");
    zmtp_end(&out, begin);
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, sizeof expected - 1);
    buf_fini(&out);
}

/* The head alone, in the shortest form that holds the length. */
static void a_head_has_the_shortest_form(void **state)
{
    static const struct {
        size_t len;
        bool more;
        const char *head;
        size_t head_len;
    } cases[] = {
        {0, false, BYTES("\0\0")},
        {1, true, BYTES("\1\1")},
        {255, false, BYTES("\0\377")},
        {255, true, BYTES("\1\377")},
        {256, false, BYTES("\2\0\0\0\0\0\0\1\0")},
        {256, true, BYTES("\3\0\0\0\0\0\0\1\0")},
        {0x01020304, false, BYTES("\2\0\0\0\0\1\2\3\4")},
        {SIZE_MAX, true, BYTES("\3\377\377\377\377\377\377\377\377")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char head[ZMTP_HEAD_MAX];

        assert_int_equal(zmtp_write_head(head, cases[i].len, cases[i].more), cases[i].head_len);
        assert_memory_equal(head, cases[i].head, cases[i].head_len);
    }
}

static void frames_are_read_back_as_they_were_added(void **state)
{
    static const size_t sizes[] = {0, 1, 254, 255, 256, 257, 65536};
    static char body[65536];
    struct zmtp_frame frame;
    struct buf out;
    size_t used = 0;
    size_t pos = 0;

    (void)state;
    buf_init(&out);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(body, 'a' + (int)i, sizes[i]);
        zmtp_add_frame(&out, body, sizes[i], i % 2);
    }
    assert_false(out.failed);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(body, 'a' + (int)i, sizes[i]);
        assert_int_equal(read_frame(out.data + pos, out.len - pos, sizes[i], &frame, &used),
                         NHUB_OK);
        assert_int_equal(frame.len, sizes[i]);
        assert_memory_equal(frame.bytes, body, sizes[i]);
        assert_int_equal(frame.more, i % 2);
        assert_false(frame.is_command);
        assert_int_equal(used, sizes[i] + (sizes[i] > 255 ? 9 : 2));
        pos += used;
    }
    assert_int_equal(pos, out.len);
    buf_fini(&out);
}

/* Whatever its form; nothing else of it changes. */
static void a_frame_is_made_the_last_of_its_message(void **state)
{
    char frames[][12] = {"\1\3abc", "\0\3abc", "\3\0\0\0\0\0\0\0\1a", "\2\0\0\0\0\0\0\0\1a"};
    static const char last[][12] = {"\0\3abc", "\0\3abc", "\2\0\0\0\0\0\0\0\1a",
                                    "\2\0\0\0\0\0\0\0\1a"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        zmtp_set_last(frames[i]);
        assert_memory_equal(frames[i], last[i], sizeof last[i]);
    }
}

/* ---- commands ---- */

static void an_error_is_written_byte_by_byte(void **state)
{
    static const char expected[] = "\4\12\5ERROR\3no!"
                                   "\4\7\5ERROR\0";
    char why[201] = {0};
    struct zmtp_frame frame;
    struct buf out;
    size_t used = 0;

    (void)state;
    buf_init(&out);
    zmtp_add_error(&out, "no!");
    zmtp_add_error(&out, "");
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, sizeof expected - 1);
    buf_reset(&out);
    memset(why, 'w', 200);
    zmtp_add_error(&out, why);
    assert_false(out.failed);
    assert_int_equal(read_frame(out.data, out.len, 255, &frame, &used), NHUB_OK);
    assert_int_equal(used, out.len);
    assert_true(frame.is_command && !frame.more);
    assert_int_equal(frame.len, 207);
    assert_memory_equal(frame.bytes, "\5ERROR\310w", 8);
    buf_fini(&out);
}

/* What a command of exactly these bytes is answered. */
static void assert_answer(const char *body, size_t len, bool is_command, const char *expected,
                          size_t expected_len)
{
    char *copy = exact_copy(body, len);
    const struct zmtp_frame command = {.bytes = copy, .len = len, .is_command = is_command};
    struct buf out;

    buf_init(&out);
    buf_add_char(&out, 'x');
    zmtp_add_pong(&out, &command);
    assert_false(out.failed);
    assert_int_equal(out.len, 1 + expected_len);
    assert_memory_equal(out.data, "x", 1);
    assert_memory_equal(out.data + 1, expected, expected_len);
    buf_fini(&out);
    free(copy);
}

static void a_ping_is_answered_with_its_context(void **state)
{
    static const char ping[] = "\4PING\377\1sixteen  letters";
    static const char pong[] = "\4\25\4PONGsixteen  letters";

    (void)state;
    assert_answer(BYTES("\4PING\0\0"), true, BYTES("\4\5\4PONG"));
    for (size_t context = 1; context <= 16; context++) {
        char expected[sizeof pong];

        memcpy(expected, pong, sizeof expected);
        expected[1] = (char)(5 + context);
        assert_answer(ping, 7 + context, true, expected, 7 + context);
    }
}

static void nothing_else_is_answered(void **state)
{
    static const char ping[] = "\4PING\0\0";

    (void)state;
    for (size_t len = 0; len < sizeof ping - 1; len++) {
        assert_answer(ping, len, true, "", 0);
    }
    assert_answer(BYTES("\4PING\0\0"), false, "", 0); /* a message */
    assert_answer(BYTES("\4PING\0\0seventeen letters"), true, "", 0);
    assert_answer(BYTES("\4ping\0\0"), true, "", 0);
    assert_answer(BYTES("\5PING\0\0"), true, "", 0);
    assert_answer(BYTES("\4PONG\0\0"), true, "", 0);
    assert_answer(BYTES("\5ERROR\0\0"), true, "", 0);
}

/* ---- no memory ---- */

/* All that is written for a connection, with a body that lets the buffer grow several times. */
static void write_all(struct buf *out)
{
    static const char body[1000] = {'b'};
    size_t begin = 0;

    zmtp_add_greeting(out);
    zmtp_add_ready(out, "DEALER");
    begin = zmtp_begin(out);
    buf_add(out, body, sizeof body);
    zmtp_end(out, begin);
    zmtp_add_frame(out, body, sizeof body, true);
    zmtp_add_pong(out, &(struct zmtp_frame){.bytes = "\4PING\0\0", .len = 7, .is_command = true});
    zmtp_add_error(out, "a reason that is longer than what is left of the room in the buffer");
}

static void no_memory_is_seen_in_the_buffer(void **state)
{
    const long live = failmalloc_live();
    long n = 0;

    (void)state;
    for (;; n++) {
        struct buf out;
        bool failed = false;

        buf_init(&out);
        failmalloc_arm(n);
        write_all(&out);
        failed = failmalloc_disarm();
        assert_int_equal(out.failed, failed);
        buf_fini(&out);
        if (!failed) {
            break;
        }
    }
    assert_true(n >= 3);
    assert_int_equal(failmalloc_live(), live);
}

/* The very first allocation is that of the head: there is nothing into which a length could go. */
static void a_message_without_memory_for_its_head_is_left_alone(void **state)
{
    struct buf out;
    size_t begin = 0;

    (void)state;
    buf_init(&out);
    failmalloc_arm(0);
    begin = zmtp_begin(&out);
    assert_true(failmalloc_disarm());
    buf_add_str(&out, "body");
    zmtp_end(&out, begin);
    assert_true(out.failed);
    assert_int_equal(out.len, 0);
    buf_reset(&out);
    begin = zmtp_begin(&out);
    zmtp_end(&out, begin);
    assert_false(out.failed);
    assert_int_equal(out.len, 9);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_greeting_is_written_byte_by_byte),
        cmocka_unit_test(a_good_greeting_is_awaited_to_its_last_byte),
        cmocka_unit_test(what_follows_the_greeting_does_not_matter),
        cmocka_unit_test(a_wrong_signature_is_refused_at_once),
        cmocka_unit_test(a_version_before_3_is_refused),
        cmocka_unit_test(a_later_version_is_accepted),
        cmocka_unit_test(padding_and_filler_have_any_value),
        cmocka_unit_test(another_mechanism_is_refused_at_its_first_other_byte),
        cmocka_unit_test(frames_are_read_in_each_form),
        cmocka_unit_test(lengths_are_unsigned_and_big_endian),
        cmocka_unit_test(frames_follow_each_other),
        cmocka_unit_test(reserved_flags_are_refused),
        cmocka_unit_test(a_body_longer_than_max_is_refused_by_its_head),
        cmocka_unit_test(a_length_near_the_largest_does_not_wrap),
        cmocka_unit_test(a_message_is_read_back_as_it_was_built),
        cmocka_unit_test(a_message_has_a_head_of_nine_bytes),
        cmocka_unit_test(a_head_has_the_shortest_form),
        cmocka_unit_test(frames_are_read_back_as_they_were_added),
        cmocka_unit_test(a_frame_is_made_the_last_of_its_message),
        cmocka_unit_test(an_error_is_written_byte_by_byte),
        cmocka_unit_test(a_ping_is_answered_with_its_context),
        cmocka_unit_test(nothing_else_is_answered),
        cmocka_unit_test(no_memory_is_seen_in_the_buffer),
        cmocka_unit_test(a_message_without_memory_for_its_head_is_left_alone),
    };

    return cmocka_run_group_tests_name("zmtp", tests, NULL, NULL);
}
