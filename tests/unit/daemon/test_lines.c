// with: failmalloc
/* lines: frames in one block, which is counted until nobody refers to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "block_frames.h"
#include "daemon/lines.h"
#include "failmalloc.h"

#define LONG       5000 /* beyond what a frame with a short head carries */
#define SHORT_HEAD 2

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
    const uint64_t bytes = 3 * LONG - 3 + 3 * ZMTP_HEAD_MAX;
    uint64_t in_flight = 0;
    struct reply_frames *frames = NULL;
    struct zmtp_frame frame;
    struct lines l;
    size_t at = 0;

    (void)state;
    gather(&l, 3);
    assert_int_equal(lines_take_frames(&l, &in_flight, &frames), NHUB_OK);
    assert_int_equal(frames->bytes, bytes);
    assert_int_equal(frames->block->len, bytes);
    assert_true(in_flight == bytes);
    for (size_t i = 0; i < 3; i++) {
        assert_true(block_frame(frames->block, &at, &frame));
        assert_int_equal(frame.more, i < 2);
        assert_int_equal(frame.len, LONG - i);
        assert_int_equal(frame.bytes[0], 'a' + (int)i);
        assert_int_equal(frame.bytes[LONG - i - 1], 'a' + (int)i);
    }
    assert_false(block_frame(frames->block, &at, &frame));
    assert_int_equal(l.count, 0);
    reply_frames_destroy(&frames);
    assert_true(in_flight == 0);
}

static void a_single_line_is_the_last_of_its_message(void **state)
{
    static const size_t lengths[] = {0, 1, 255, 256, LONG}; /* both forms of a head */
    char line[LONG];

    (void)state;
    memset(line, 'x', sizeof line);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t head = lengths[i] <= 255 ? SHORT_HEAD : ZMTP_HEAD_MAX;
        uint64_t in_flight = 0;
        struct reply_frames *frames = NULL;
        struct zmtp_frame frame;
        struct lines l;
        size_t at = 0;

        lines_init(&l);
        lines_add(&l, line, lengths[i]);
        assert_int_equal(lines_take_frames(&l, &in_flight, &frames), NHUB_OK);
        assert_true(in_flight == head + lengths[i]);
        assert_true(block_frame(frames->block, &at, &frame));
        assert_false(frame.more);
        assert_int_equal(frame.len, lengths[i]);
        assert_memory_equal(frame.bytes, line, lengths[i]);
        assert_false(block_frame(frames->block, &at, &frame));
        reply_frames_destroy(&frames);
        assert_true(in_flight == 0);
    }
}

static void no_lines_are_no_frames(void **state)
{
    uint64_t in_flight = 0;
    struct reply_frames *frames = NULL;
    struct lines l;

    (void)state;
    gather(&l, 0);
    assert_int_equal(lines_take_frames(&l, &in_flight, &frames), NHUB_OK);
    assert_null(frames);
    assert_true(in_flight == 0);
}

static void lines_can_be_gathered_again_after_they_were_taken(void **state)
{
    uint64_t in_flight = 0;
    struct reply_frames *first = NULL, *second = NULL;
    struct zmtp_frame frame;
    struct lines l;
    size_t at = 0;

    (void)state;
    gather(&l, 2);
    assert_int_equal(lines_take_frames(&l, &in_flight, &first), NHUB_OK);
    lines_add(&l, "again", 5);
    assert_int_equal(l.count, 1);
    assert_int_equal(lines_take_frames(&l, &in_flight, &second), NHUB_OK);
    assert_true(block_frame(second->block, &at, &frame));
    assert_false(frame.more);
    assert_int_equal(frame.len, 5);
    assert_memory_equal(frame.bytes, "again", 5);
    assert_true(in_flight == first->bytes + second->bytes);
    reply_frames_destroy(&first);
    assert_true(in_flight == SHORT_HEAD + 5);
    reply_frames_destroy(&second);
    assert_true(in_flight == 0);
}

static void lines_are_in_flight_until_nobody_refers_to_their_block(void **state)
{
    uint64_t in_flight = 0;
    struct reply_frames *frames = NULL;
    struct block *of_a_queue, *of_another;
    struct lines l;

    (void)state;
    gather(&l, 3);
    assert_int_equal(lines_take_frames(&l, &in_flight, &frames), NHUB_OK);
    const uint64_t all = in_flight;

    assert_true(all > 0);
    of_a_queue = block_ref(frames->block);
    of_another = block_ref(frames->block);
    reply_frames_destroy(&frames);
    assert_true(in_flight == all);
    block_unref(&of_a_queue);
    assert_true(in_flight == all);
    assert_int_equal(of_another->bytes[ZMTP_HEAD_MAX], 'a');
    block_unref(&of_another);
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
        assert_int_equal(reply_frames_create(&frames), NHUB_OK);
        frames->gone = note_gone;
        frames->context = &gone;
        frames->was_sent = sent;
        reply_frames_destroy(&frames);
    }
    assert_int_equal(gone, 11);
}

static void failed_allocations_leave_nothing(void **state)
{
    uint64_t in_flight = 0;
    bool has_failed = true;
    long n;

    (void)state;
    for (n = 0; has_failed; n++) {
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
        assert_int_equal(l.count, 0);
        reply_frames_destroy(&frames);
        assert_int_equal(failmalloc_live(), before);
        assert_true(in_flight == 0);
    }
    assert_true(n > 3); /* the lines, the frames, the block */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_a_frame),
        cmocka_unit_test(a_single_line_is_the_last_of_its_message),
        cmocka_unit_test(no_lines_are_no_frames),
        cmocka_unit_test(lines_can_be_gathered_again_after_they_were_taken),
        cmocka_unit_test(lines_are_in_flight_until_nobody_refers_to_their_block),
        cmocka_unit_test(who_sent_frames_learns_what_became_of_them),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
