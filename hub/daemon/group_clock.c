/*
 * group_clock: one note, rarely written.
 */
#include "daemon/group_clock.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_KEY "groups.clock" /* not of a group: those have a slash */
#define DIGITS   24             /* with NUL */
/* What a clock that is set back may cost at most; a hub where nothing but groups works writes a
 * note so often. */
#define TOLERANCE_MS 10000

static void look_at_arrivals(struct group_clock *c)
{
    struct journal_state state;

    journal_state(c->journal, &state);
    if (state.newest_us / 1000 > c->noted_ms) {
        c->noted_ms = state.newest_us / 1000;
    }
}

static void read_note(void *context, const void *key, size_t key_len, const void *value, size_t len)
{
    struct group_clock *c = context;
    char text[DIGITS] = "";
    int64_t ms;

    if (key_len != sizeof NOTE_KEY - 1 || memcmp(key, NOTE_KEY, key_len) != 0 ||
        len >= sizeof text) {
        return;
    }
    memcpy(text, value, len);
    ms = strtoll(text, NULL, 10);
    if (ms > c->noted_ms) {
        c->noted_ms = ms;
    }
}

nhub_err group_clock_init(struct group_clock *c, struct journal *journal)
{
    nhub_err err;

    *c = (struct group_clock){.journal = journal};
    look_at_arrivals(c);
    err = journal_each_note(journal, NOTE_KEY, sizeof NOTE_KEY - 1, read_note, c);
    c->newest_ms = c->noted_ms;
    return err;
}

int64_t group_clock_ms(struct group_clock *c)
{
    const int64_t wall_ms = clock_wall_us() / 1000;

    if (wall_ms > c->newest_ms) {
        c->newest_ms = wall_ms;
    }
    return c->newest_ms;
}

void group_clock_note(struct group_clock *c)
{
    char text[DIGITS];

    if (c->newest_ms - c->noted_ms <= TOLERANCE_MS) {
        return;
    }
    look_at_arrivals(c);
    /* Without any event there is no deadline. */
    if (c->noted_ms == 0 || c->newest_ms - c->noted_ms <= TOLERANCE_MS) {
        return;
    }
    (void)snprintf(text, sizeof text, "%" PRId64, c->newest_ms);
    journal_note(c->journal, NOTE_KEY, sizeof NOTE_KEY - 1, text, strlen(text));
    c->noted_ms = c->newest_ms;
}

void group_clock_lose(struct group_clock *c)
{
    c->noted_ms = 0; /* what arrivals say is looked at with the next note */
}
