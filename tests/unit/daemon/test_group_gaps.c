/* group: gaps that nobody has fetched yet, when there are too many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/group.h"

#define OLD "oldepoch"
#define NOW "nowepoch"

static struct position at(const char *epoch, uint64_t seq)
{
    struct position p = {.seq = seq};

    memcpy(p.epoch, epoch, sizeof p.epoch);
    return p;
}

static void note(struct group *g, const char *from, uint64_t from_seq, const char *to,
                 uint64_t to_seq)
{
    group_note_gap(g, &(struct group_gap){.from = at(from, from_seq),
                                          .to = at(to, to_seq),
                                          .reason = GROUP_GAP_RETENTION});
}

/* A group that has looked at so many numbers of its epoch, and has no room for gaps any more: the
 * last one is 901 to 910. */
static struct group *full_group(void)
{
    const struct group_rules rules = {.visibility_ms = 1000};
    const struct position cursor = at(NOW, 1000);
    struct group *g = NULL;

    assert_int_equal(group_create(&g, &rules, &cursor), NHUB_OK);
    for (uint64_t i = 1; i < GROUP_GAPS_MAX; i++) {
        note(g, NOW, 10 * i, NOW, 10 * i + 5);
    }
    note(g, NOW, 900, NOW, 910);
    return g;
}

static void expect_last(struct group *g, const char *from, uint64_t from_seq, const char *to,
                        uint64_t to_seq)
{
    struct group_gap gap = {.reason = GROUP_GAP_RETENTION};
    size_t count = 0;

    while (group_tell_gap(g, &gap)) {
        count++;
    }
    assert_int_equal(count, GROUP_GAPS_MAX);
    assert_string_equal(gap.from.epoch, from);
    assert_int_equal(gap.from.seq, from_seq);
    assert_string_equal(gap.to.epoch, to);
    assert_int_equal(gap.to.seq, to_seq);
    group_destroy(&g);
}

static void the_newest_become_one(void **state)
{
    struct group *g = full_group();

    (void)state;
    note(g, NOW, 950, NOW, 960);
    note(g, NOW, 3, NOW, 4);
    expect_last(g, NOW, 3, NOW, 960);
}

/* Given back by somebody who was told it before the epoch changed. */
static void one_of_an_earlier_epoch_lies_in_front(void **state)
{
    struct group *g = full_group();

    (void)state;
    note(g, OLD, 70, OLD, 80);
    expect_last(g, OLD, 70, NOW, 910);
}

static void one_that_reaches_over_from_an_earlier_epoch_lies_in_front(void **state)
{
    struct group *g = full_group();

    (void)state;
    note(g, OLD, 70, NOW, 0);
    expect_last(g, OLD, 70, NOW, 910);
}

static void a_new_epoch_lies_behind(void **state)
{
    struct group *g = full_group();
    const struct position start = at("newepoch", 0);

    (void)state;
    group_change_epoch(g, &start);
    note(g, "newepoch", 4, "newepoch", 6);
    expect_last(g, NOW, 900, "newepoch", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_become_one),
        cmocka_unit_test(one_of_an_earlier_epoch_lies_in_front),
        cmocka_unit_test(one_that_reaches_over_from_an_earlier_epoch_lies_in_front),
        cmocka_unit_test(a_new_epoch_lies_behind),
    };

    return cmocka_run_group_tests_name("group_gaps", tests, NULL, NULL);
}
