/* group_note: changes go there and back, few bytes each, and what is no note is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/group_note.h"

static const struct group_change examples[] = {
    {.op = GROUP_OP_NEXT, .seq = 1795225771962000},
    {.op = GROUP_OP_EPOCH, .from = {"k3mzq7aa", 0}},
    {.op = GROUP_OP_TAKEN, .seq = 17, .lane = UINT64_MAX},
    {.op = GROUP_OP_HANDED, .seq = 17, .attempt = 1, .at_ms = INT64_C(1795225771962)},
    {.op = GROUP_OP_HANDED,
     .seq = 18,
     .attempt = UINT32_MAX,
     .released = 7,
     .at_ms = INT64_C(1795225771963)},
    {.op = GROUP_OP_ACKED, .seq = 3},
    {.op = GROUP_OP_GIVEN_BACK, .seq = INT64_MAX, .attempt = 2, .released = 1, .at_ms = -5},
    {.op = GROUP_OP_EXTENDED, .seq = 0, .at_ms = INT64_MAX},
    {.op = GROUP_OP_EXTENDED, .seq = 1, .at_ms = INT64_MIN},
    {.op = GROUP_OP_BURIED, .seq = 9},
    {.op = GROUP_OP_LOST, .seq = 10, .reason = GROUP_GAP_NOT_STORED},
    {.op = GROUP_OP_MISSED, .seq = 11, .to_seq = 99, .reason = GROUP_GAP_UNCLEAN_STOP},
    {.op = GROUP_OP_GAP,
     .from = {"abcdefgh", 4},
     .to = {"k3mzq7aa", INT64_MAX},
     .reason = GROUP_GAP_EPOCH_CHANGED},
    {.op = GROUP_OP_GAP_TOLD},
    {.op = GROUP_OP_CURSOR, .seq = 20},
    {.op = GROUP_OP_TOTALS, .totals = {1, 2, UINT64_MAX, 4}},
};
#define EXAMPLES (sizeof examples / sizeof examples[0])

static int setup(void **state)
{
    static struct group_note_writer w;

    group_note_init(&w);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    group_note_fini(*state);
    return 0;
}

static void write_examples(struct group_note_writer *w)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        group_note_add(w, &examples[i]);
    }
    group_note_end(w);
    assert_false(w->bytes.failed);
}

static void expect_equal(const struct group_change *a, const struct group_change *b)
{
    assert_int_equal(a->op, b->op);
    assert_true(a->seq == b->seq && a->to_seq == b->to_seq);
    assert_true(a->attempt == b->attempt && a->released == b->released);
    assert_true(a->at_ms == b->at_ms && a->lane == b->lane && a->reason == b->reason);
    assert_true(position_equal(&a->from, &b->from) && position_equal(&a->to, &b->to));
    assert_memory_equal(&a->totals, &b->totals, sizeof a->totals);
}

static void changes_go_there_and_back(void **state)
{
    struct group_note_writer *w = *state;
    struct group_note_reader r;
    struct group_change change;

    write_examples(w);
    assert_int_equal(group_note_open(&r, w->bytes.data, w->bytes.len), NHUB_OK);
    for (size_t i = 0; i < EXAMPLES; i++) {
        assert_int_equal(group_note_next(&r, &change), NHUB_OK);
        expect_equal(&change, &examples[i]);
    }
    assert_int_equal(group_note_next(&r, &change), NHUB_ENOTFOUND);
}

static void a_usual_change_takes_a_few_bytes(void **state)
{
    struct group_note_writer *w = *state;

    for (uint64_t seq = 1000000; seq < 1001000; seq++) {
        group_note_add(w, &(struct group_change){.op = GROUP_OP_TAKEN, .seq = seq});
        group_note_add(w,
                       &(struct group_change){
                           .op = GROUP_OP_HANDED, .seq = seq, .attempt = 1, .at_ms = 1795225771});
        group_note_add(w, &(struct group_change){.op = GROUP_OP_ACKED, .seq = seq});
    }
    group_note_end(w);
    assert_true(w->bytes.len <= 10 * 1000 + 32);
}

static void damaged_notes_are_refused(void **state)
{
    struct group_note_writer *w = *state;
    struct group_note_reader r;

    write_examples(w);
    for (size_t len = 0; len < w->bytes.len; len++) {
        assert_int_equal(group_note_open(&r, w->bytes.data, len), NHUB_EPROTO);
    }
    for (size_t i = 0; i < w->bytes.len; i++) {
        w->bytes.data[i] = (char)(w->bytes.data[i] ^ 0x10);
        assert_int_equal(group_note_open(&r, w->bytes.data, w->bytes.len), NHUB_EPROTO);
        w->bytes.data[i] = (char)(w->bytes.data[i] ^ 0x10);
    }
    assert_int_equal(group_note_open(&r, w->bytes.data, w->bytes.len), NHUB_OK);
}

/* With a good checksum, as a hub of another mind might write them. */
static void bad_changes_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\0", 1},                                                /* no such change */
        {"\x0f", 1},                                              /* nor this one */
        {"\x03", 1},                                              /* no number */
        {"\x03\x80", 2},                                          /* half a number */
        {"\x03\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 11},     /* more than 64 bits */
        {"\x03\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12}, /* 11 bytes */
        {"\x03\x01", 2},                                          /* seq below 0 */
        {"\x05\x02\x80\x80\x80\x80\x10\x00\x00", 9},              /* attempt beyond 32 bits */
        {"\x0a\x02\x04", 3},                                      /* no such reason */
        {"\x01"
         "Abcdefgh\x01",
         10}, /* no epoch */
        {"\x01"
         "abcdefg",
         8},                     /* half an epoch */
        {"\x02\x01\x02\x03", 4}, /* half of the totals */
    };
    struct group_note_writer *w = *state;
    struct group_note_reader r;
    struct group_change change = {.seq = 77};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        group_note_reset(w);
        buf_add_char(&w->bytes, 1);
        buf_add(&w->bytes, cases[i].bytes, cases[i].len);
        group_note_end(w);
        assert_int_equal(group_note_open(&r, w->bytes.data, w->bytes.len), NHUB_OK);
        if (group_note_next(&r, &change) != NHUB_EPROTO) {
            fail_msg("case %zu passes", i);
        }
        assert_true(change.seq == 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_go_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_usual_change_takes_a_few_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_notes_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_changes_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests_name("group_note", tests, NULL, NULL);
}
