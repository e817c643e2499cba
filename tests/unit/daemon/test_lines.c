// with: failmalloc
/* lines: frames over one block, which is counted until the last of them is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/lines.h"
#include "failmalloc.h"

#define LONG 5000 /* beyond what fits into a frame's own storage */

static void gather(struct lines *l, size_t count)
{
    char line[LONG];

    lines_init(l);
    for (size_t i = 0; i < count; i++) {
        memset(line, 'a' + (int)i, sizeof line);
        lines_add(l, line, LONG - i);
    }
}

static void each_line_is_a_frame(void **state)
{
    _Atomic uint64_t in_flight = 0;
    struct reply_frames *frames = NULL;
    struct lines l;

    (void)state;
    gather(&l, 3);
    assert_int_equal(lines_take_frames(&l, &in_flight, &frames), NHUB_OK);
    assert_int_equal(frames->count, 3);
    assert_int_equal(frames->bytes, 3 * LONG - 3);
    assert_true(in_flight == 3 * LONG - 3);
    for (size_t i = 0; i < 3; i++) {
        const char *bytes = zframe_data(&frames->frames[i]);

        assert_int_equal(zframe_size(&frames->frames[i]), LONG - i);
        assert_int_equal(bytes[0], 'a' + (int)i);
        assert_int_equal(bytes[LONG - i - 1], 'a' + (int)i);
    }
    assert_int_equal(l.count, 0);
    zframe_close(&frames->frames[1]);
    zframe_init(&frames->frames[1]);
    assert_true(in_flight > 0);
    reply_frames_destroy(&frames);
    assert_true(in_flight == 0);
}

static void no_lines_are_no_frames(void **state)
{
    _Atomic uint64_t in_flight = 0;
    struct reply_frames *frames = NULL;
    struct lines l;

    (void)state;
    gather(&l, 0);
    assert_int_equal(lines_take_frames(&l, &in_flight, &frames), NHUB_OK);
    assert_null(frames);
    assert_true(in_flight == 0);
}

static void note_gone(void *context, bool was_sent)
{
    *(int *)context += was_sent ? 10 : 1;
}

static void who_sent_frames_learns_what_became_of_them(void **state)
{
    int gone = 0;
    struct reply_frames *frames = NULL;

    (void)state;
    for (int sent = 0; sent < 2; sent++) {
        assert_int_equal(reply_frames_create(&frames, 1), NHUB_OK);
        frames->gone = note_gone;
        frames->context = &gone;
        frames->was_sent = sent;
        reply_frames_destroy(&frames);
    }
    assert_int_equal(gone, 11);
}

static void failed_allocations_leave_nothing(void **state)
{
    _Atomic uint64_t in_flight = 0;
    bool has_failed = true;

    (void)state;
    for (long n = 0; has_failed; n++) {
        const long before = failmalloc_live();
        struct reply_frames *frames = NULL;
        struct lines l;
        nhub_err err;

        failmalloc_arm(n);
        gather(&l, 3);
        err = lines_take_frames(&l, &in_flight, &frames);
        has_failed = failmalloc_disarm();
        assert_int_equal(err, has_failed ? NHUB_ENOMEM : NHUB_OK);
        assert_true(!has_failed || !frames);
        reply_frames_destroy(&frames);
        assert_int_equal(failmalloc_live(), before);
        assert_true(in_flight == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_a_frame),
        cmocka_unit_test(no_lines_are_no_frames),
        cmocka_unit_test(who_sent_frames_learns_what_became_of_them),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
