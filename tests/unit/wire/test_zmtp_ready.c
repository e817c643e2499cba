/*
 * zmtp_ready: which READY commands are well formed, and the Socket-Type that they name. Bytes under
 * test lie in a block of exactly their size, so that reading behind them is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact_copy.h"
#include "wire/zmtp.h"

#define TYPE_XPUB   "\13Socket-Type\0\0\0\4XPUB"
#define NO_IDENTITY "\10Identity\0\0\0\0"
#define IDENTITY    "\10Identity\0\0\0\3abc"
#define RESOURCE    "\10Resource\0\0\0\1r"

/* The results are untouched on failure: they are compared with this. */
static const char untouched[] = "";

/* Asks for the type in a body of exactly len bytes; NULL unless one was found. */
static nhub_err ready_type(const char *body, size_t len, const char **out, size_t *out_len)
{
    char *copy = exact_copy(body, len);
    const struct zmtp_frame command = {.bytes = copy, .len = len, .is_command = true};
    const char *type = untouched;
    size_t type_len = 77;
    const nhub_err err = zmtp_ready_type(&command, &type, &type_len);

    *out = NULL;
    *out_len = 0;
    if (err == NHUB_OK) {
        assert_true(type >= copy && type + type_len <= copy + len);
        *out = body + (type - copy);
        *out_len = type_len;
    } else {
        assert_ptr_equal(type, untouched);
        assert_int_equal(type_len, 77);
    }
    free(copy);
    return err;
}

static void our_ready_is_written_byte_by_byte(void **state)
{
    static const char expected[] = "\4\x19\5READY\13Socket-Type\0\0\0\3SUB"
                                   "\4\x1c\5READY\13Socket-Type\0\0\0\6DEALER";
    struct buf out;

    (void)state;
    buf_init(&out);
    zmtp_add_ready(&out, "SUB");
    zmtp_add_ready(&out, "DEALER");
    assert_false(out.failed);
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, sizeof expected - 1);
    buf_fini(&out);
}

static void the_type_is_found_at_any_place_in_any_case(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        const char *type;
    } cases[] = {
        {BYTES("\5READY" TYPE_XPUB), "XPUB"},
        {BYTES("\5READY\13Socket-Type\0\0\0\6ROUTER" NO_IDENTITY), "ROUTER"}, /* of libzmq 4.3 */
        {BYTES("\5READY" NO_IDENTITY TYPE_XPUB), "XPUB"},
        {BYTES("\5READY" TYPE_XPUB IDENTITY RESOURCE), "XPUB"},
        {BYTES("\5READY" IDENTITY TYPE_XPUB RESOURCE), "XPUB"},
        {BYTES("\5READY" RESOURCE IDENTITY TYPE_XPUB), "XPUB"},
        {BYTES("\5READY\13socket-type\0\0\0\4XPUB"), "XPUB"},
        {BYTES("\5READY\13SOCKET-TYPE\0\0\0\4XPUB"), "XPUB"},
        {BYTES("\5READY\13sOCKET-tYPE\0\0\0\4xpub" IDENTITY), "xpub"}, /* a value knows case */
        {BYTES("\5READY\13Socket-Type\0\0\0\0"), ""},
        /* Names that only begin like it or end like it, and a value that looks like it. */
        {BYTES("\5READY\12Socket-Typ\0\0\0\1a\14Socket-Type2\0\0\0\1b" TYPE_XPUB), "XPUB"},
        {BYTES("\5READY\13Socket-Typf\0\0\0\1a\14XSocket-Type\0\0\0\1b" TYPE_XPUB), "XPUB"},
        {BYTES("\5READY\1X\0\0\0\x13\13Socket-Type\0\0\0\3SUB" TYPE_XPUB), "XPUB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *type = NULL;
        size_t len = 0;

        assert_int_equal(ready_type(cases[i].body, cases[i].len, &type, &len), NHUB_OK);
        assert_int_equal(len, strlen(cases[i].type));
        assert_memory_equal(type, cases[i].type, len);
    }
}

/* A name has up to 255 bytes, a value more than one byte can count. */
static void long_properties_are_passed_over(void **state)
{
    const char *type = NULL;
    size_t len = 0;
    struct buf body;

    (void)state;
    buf_init(&body);
    buf_add(&body, BYTES("\5READY\xff"));
    for (size_t i = 0; i < 255; i++) {
        buf_add_char(&body, 'n');
    }
    buf_add(&body, BYTES("\0\0\1\2"));
    for (size_t i = 0; i < 0x0102; i++) {
        buf_add_char(&body, 'v');
    }
    buf_add(&body, BYTES(TYPE_XPUB));
    assert_false(body.failed);
    assert_int_equal(ready_type(body.data, body.len, &type, &len), NHUB_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(type, "XPUB", 4);
    buf_fini(&body);
}

static void a_cut_ready_is_refused(void **state)
{
    static const char body[] = "\5READY" IDENTITY RESOURCE TYPE_XPUB;
    const char *type = NULL;
    size_t type_len = 0;

    (void)state;
    for (size_t len = 0; len < sizeof body - 1; len++) {
        assert_int_equal(ready_type(body, len, &type, &type_len), NHUB_EPROTO);
    }
    assert_int_equal(ready_type(body, sizeof body - 1, &type, &type_len), NHUB_OK);
}

/* The order of the properties says nothing about whether the command is well formed. */
static void a_ready_cut_behind_its_type_is_refused_too(void **state)
{
    static const char whole[] = "\5READY" TYPE_XPUB;
    static const char body[] = "\5READY" TYPE_XPUB IDENTITY;
    const char *type = NULL;
    size_t type_len = 0;

    (void)state;
    for (size_t len = sizeof whole; len < sizeof body - 1; len++) {
        assert_int_equal(ready_type(body, len, &type, &type_len), NHUB_EPROTO);
    }
    assert_int_equal(ready_type(body, sizeof whole - 1, &type, &type_len), NHUB_OK);
    assert_int_equal(ready_type(body, sizeof body - 1, &type, &type_len), NHUB_OK);
}

static void what_is_no_ready_with_a_type_is_refused(void **state)
{
    static const struct {
        const char *body;
        size_t len;
    } cases[] = {
        {BYTES("\5READY")},
        {BYTES("\5READY" IDENTITY RESOURCE)},
        {BYTES("\5ERROR\7No way.")},
        {BYTES("\5ready" TYPE_XPUB)}, /* the name of a command knows case */
        {BYTES("\4READY" TYPE_XPUB)},
        {BYTES("\6READY" TYPE_XPUB)},
        {BYTES("\4PING\0\0")},
        {BYTES("READY" TYPE_XPUB)},
        {BYTES("\5READY\13Socket-Type\0\0\0\5XPUB")},
        {BYTES("\5READY\13Socket-Type\0\0\1\4XPUB")},
        {BYTES("\5READY\13Socket-Type\1\0\0\4XPUB")},
        {BYTES("\5READY\13Socket-Type\xff\xff\xff\xffXPUB")},
        {BYTES("\5READY\10Identity\xff\xff\xff\xf0" TYPE_XPUB)},
        {BYTES("\5READY\xffSocket-Type\0\0\0\4XPUB")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *type = NULL;
        size_t len = 0;

        assert_int_equal(ready_type(cases[i].body, cases[i].len, &type, &len), NHUB_EPROTO);
    }
}

static void a_message_that_looks_like_ready_is_none(void **state)
{
    static const char body[] = "\5READY" TYPE_XPUB;
    const struct zmtp_frame message = {.bytes = body, .len = sizeof body - 1};
    const char *type = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(zmtp_ready_type(&message, &type, &len), NHUB_EPROTO);
}

static void our_ready_is_read_back(void **state)
{
    static const char *const types[] = {"SUB", "DEALER", "XPUB", "ROUTER"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct zmtp_frame frame;
        const char *type = NULL;
        size_t len = 0;
        struct buf out;

        buf_init(&out);
        zmtp_add_ready(&out, types[i]);
        assert_int_equal(zmtp_frame_read(out.data, out.len, 255, &frame, &len), NHUB_OK);
        assert_int_equal(len, out.len);
        assert_true(frame.is_command);
        assert_false(frame.more);
        assert_int_equal(zmtp_ready_type(&frame, &type, &len), NHUB_OK);
        assert_int_equal(len, strlen(types[i]));
        assert_memory_equal(type, types[i], len);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_ready_is_written_byte_by_byte),
        cmocka_unit_test(the_type_is_found_at_any_place_in_any_case),
        cmocka_unit_test(long_properties_are_passed_over),
        cmocka_unit_test(a_cut_ready_is_refused),
        cmocka_unit_test(a_ready_cut_behind_its_type_is_refused_too),
        cmocka_unit_test(what_is_no_ready_with_a_type_is_refused),
        cmocka_unit_test(a_message_that_looks_like_ready_is_none),
        cmocka_unit_test(our_ready_is_read_back),
    };

    return cmocka_run_group_tests_name("zmtp_ready", tests, NULL, NULL);
}
