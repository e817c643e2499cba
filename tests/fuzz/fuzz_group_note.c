// libs: hub_core
/* Notes of consumer groups: any bytes give a group within its limits that can be written and read
 * again, or are refused. The first byte chooses the group; the checksum is made to fit. */
#include <stdint.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "daemon/group.h"
#include "daemon/group_open.h"
#include "tests/fuzz/jansson_oracle.h"

static const struct group_now now = {.mono_ms = 1000, .wall_ms = INT64_C(1795225771962)};

static struct group *make_group(bool is_ordered, const char *epoch)
{
    const struct group_rules rules = {
        .visibility_ms = 100, .max_attempts = 2, .is_ordered = is_ordered};
    struct position start = {.seq = 0};
    struct group *g = NULL;

    memcpy(start.epoch, epoch, strlen(epoch));
    EXPECT(group_create(&g, &rules, &start) == NHUB_OK);
    return g;
}

/* Applies a note as far as it goes. */
static void apply(struct group *g, const void *bytes, size_t len)
{
    struct group_note_reader reader;
    struct group_change change;

    if (group_note_open(&reader, bytes, len) != NHUB_OK) {
        return;
    }
    while (group_note_next(&reader, &change) == NHUB_OK &&
           group_apply(g, &change, &now) == NHUB_OK) {
    }
}

static void expect_alike(struct group *a, struct group *b)
{
    struct group_figures fa, fb;

    group_figures(a, &fa);
    group_figures(b, &fb);
    EXPECT(memcmp(&fa, &fb, sizeof fa) == 0);
    EXPECT(position_equal(group_cursor(a), group_cursor(b)));
    EXPECT(group_floor(a) == group_floor(b) && group_has_gap(a) == group_has_gap(b));
}

/* What was read can be written, and is the same when it is read again. */
static void check_again(struct group *g, bool is_ordered)
{
    struct group *again = make_group(is_ordered, "");
    struct group_note_writer w;

    group_note_init(&w);
    group_write_state(g, 1, &now, &w);
    apply(again, w.bytes.data, w.bytes.len);
    expect_alike(g, again);
    group_note_fini(&w);
    group_destroy(&again);
}

/* It can be worked with: everything that is open comes to its end. */
static void work_off(struct group *g)
{
    struct group_death death;
    struct group_gap gap;
    uint64_t seq;

    group_tick(g, INT64_MAX);
    for (int i = 0; i < 2 * GROUP_OPEN_MAX && (seq = group_pick(g)) != 0; i++) {
        const uint32_t attempt = group_hand_out(g, seq, NULL, &now);

        EXPECT(attempt == 0 || group_ack(g, seq, attempt) == GROUP_DONE);
    }
    while (group_next_dying(g, &death)) {
        group_bury(g, death.seq);
        group_tick(g, INT64_MAX);
    }
    while (group_tell_gap(g, &gap)) {
        EXPECT(gap.reason < GROUP_GAP_REASONS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool is_ordered = size > 0 && (data[0] & 1);
    struct group *g = make_group(is_ordered, "abcdefgh");
    char *raw = exact_copy(data, size);
    struct buf note;

    apply(g, raw, size);
    buf_init(&note);
    buf_add_char(&note, 1);
    if (size > 1) {
        buf_add(&note, data + 1, size - 1);
    }
    for (uint32_t crc = crc32c(0, note.data, note.len), i = 0; i < 4; i++) {
        buf_add_char(&note, (char)(crc >> (8 * i)));
    }
    apply(g, note.data, note.len);
    check_again(g, is_ordered);
    work_off(g);
    buf_fini(&note);
    free(raw);
    group_destroy(&g);
    return 0;
}
