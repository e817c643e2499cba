/* group: random histories against a model that is too simple to be wrong: an array of events,
 * looked through from the beginning for everything.
 *
 * Each history mixes fetching, deciding, time, retention, saving, restarts and crashes. After each
 * step the group must agree with the model: who comes next, every verdict, every figure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/group.h"

#define NUMBERS   400
#define TYPES     5
#define STEPS     3000
#define HISTORIES 30
#define NOTES_MAX 4096

enum fate { UNSEEN, OPEN, ACKED, LETTER, LOST, NO_MATCH };

struct model_event {
    enum fate fate;
    unsigned type;
    uint32_t attempts, released;
    bool is_pending, is_delayed, is_dead, was_nacked;
    int64_t until_ms;
};

/* All that a crash takes back to the last save. */
struct model {
    struct model_event events[NUMBERS + 1];
    uint64_t cursor;
    uint64_t acked, redelivered, letters, lost;
};

struct history {
    uint64_t random;
    struct group_rules rules;
    struct group *g;
    struct model m, saved;
    struct group_now now;
    uint64_t kept; /* numbers from here on are kept */
    struct buf notes[NOTES_MAX];
    size_t note_count;
    bool is_told[NUMBERS + 1]; /* lies in a gap that was told */
};

static uint64_t pick(struct history *h, uint64_t below)
{
    h->random ^= h->random << 13;
    h->random ^= h->random >> 7;
    h->random ^= h->random << 17;
    return (h->random >> 11) % below;
}

/* ---- the model ---- */

static bool has_failed(const struct history *h, const struct model_event *e)
{
    return h->rules.max_attempts > 0 && e->attempts - e->released >= h->rules.max_attempts;
}

static void lose(struct history *h, struct model_event *e)
{
    e->fate = LOST;
    h->m.lost++;
}

static void end_attempt(struct history *h, uint64_t seq)
{
    struct model_event *e = &h->m.events[seq];

    e->is_pending = false;
    e->is_delayed = false;
    if (has_failed(h, e)) {
        e->is_dead = true;
    } else if (seq < h->kept) {
        lose(h, e);
    }
}

static void model_tick(struct history *h)
{
    for (uint64_t seq = 1; seq <= NUMBERS; seq++) {
        const struct model_event *e = &h->m.events[seq];

        if (e->fate == OPEN && (e->is_pending || e->is_delayed) && e->until_ms <= h->now.mono_ms) {
            end_attempt(h, seq);
        }
    }
}

static void model_retain(struct history *h)
{
    for (uint64_t seq = 1; seq < h->kept; seq++) {
        struct model_event *e = &h->m.events[seq];

        if (e->fate == OPEN && !e->is_pending && !e->is_dead) {
            lose(h, e);
        }
    }
    for (; h->m.cursor + 1 < h->kept; h->m.cursor++) {
        lose(h, &h->m.events[h->m.cursor + 1]);
    }
}

static bool is_behind_another(const struct history *h, uint64_t seq)
{
    for (uint64_t earlier = 1; h->rules.is_ordered && earlier < seq; earlier++) {
        if (h->m.events[earlier].fate == OPEN &&
            h->m.events[earlier].type == h->m.events[seq].type) {
            return true;
        }
    }
    return false;
}

static uint64_t model_next(const struct history *h)
{
    for (uint64_t seq = 1; seq <= NUMBERS; seq++) {
        const struct model_event *e = &h->m.events[seq];

        if (e->fate == OPEN && !e->is_pending && !e->is_delayed && !e->is_dead &&
            !is_behind_another(h, seq)) {
            return seq;
        }
    }
    return 0;
}

static uint64_t model_dead(const struct history *h)
{
    for (uint64_t seq = 1; seq <= NUMBERS; seq++) {
        if (h->m.events[seq].fate == OPEN && h->m.events[seq].is_dead) {
            return seq;
        }
    }
    return 0;
}

static enum group_verdict model_verdict(const struct history *h, uint64_t seq, uint32_t attempt,
                                        bool is_ack)
{
    const struct model_event *e = &h->m.events[seq];

    if (e->fate != OPEN) {
        return seq <= h->m.cursor ? GROUP_STALE : GROUP_UNKNOWN;
    }
    if (attempt > e->attempts) {
        return GROUP_UNKNOWN;
    }
    return attempt < e->attempts || e->was_nacked || (e->is_dead && !is_ack) ? GROUP_STALE
                                                                             : GROUP_DONE;
}

/* ---- agreement ---- */

static void expect_agreement(const struct history *h)
{
    struct group_figures figures;
    uint64_t pending = 0, delayed = 0, floor = h->m.cursor;

    for (uint64_t seq = NUMBERS; seq >= 1; seq--) {
        if (h->m.events[seq].fate == OPEN) {
            pending += h->m.events[seq].is_pending;
            delayed += !h->m.events[seq].is_pending;
            floor = seq - 1;
        }
    }
    group_figures(h->g, &figures);
    assert_true(group_cursor(h->g)->seq == h->m.cursor);
    assert_true(group_floor(h->g) == floor);
    assert_true(figures.pending == pending && figures.delayed == delayed);
    assert_true(figures.totals.acked == h->m.acked);
    assert_true(figures.totals.redelivered == h->m.redelivered);
    assert_true(figures.totals.dead_letters == h->m.letters);
    assert_true(figures.totals.lost == h->m.lost);
}

/* ---- steps ---- */

static void look_at_next(struct history *h)
{
    const uint64_t seq = h->m.cursor + 1;
    struct model_event *e = &h->m.events[seq];

    if (seq > NUMBERS) {
        return;
    }
    if (pick(h, 4) == 0) {
        e->fate = NO_MATCH;
        group_pass(h->g, seq);
    } else {
        e->fate = OPEN;
        e->type = (unsigned)pick(h, TYPES);
        assert_int_equal(group_take(h->g, seq, e->type), NHUB_OK);
    }
    h->m.cursor = seq;
}

static void hand_out_next(struct history *h)
{
    const uint64_t seq = model_next(h);
    struct model_event *e = &h->m.events[seq];
    struct group_member *member = NULL;

    assert_true(group_pick(h->g) == seq);
    if (seq == 0) {
        return;
    }
    if (pick(h, 8) == 0) {
        group_unpick(h->g, seq);
        return;
    }
    if (pick(h, 2) == 0) {
        member = group_members_see(group_members(h->g), "member", h->now.mono_ms);
    }
    assert_int_equal(group_hand_out(h->g, seq, member, &h->now), e->attempts + 1);
    e->attempts++;
    h->m.redelivered += e->attempts > 1;
    e->was_nacked = false;
    e->is_pending = true;
    e->until_ms = h->now.mono_ms + h->rules.visibility_ms;
}

/* An event and an attempt that may have been. */
static uint64_t any_attempt(struct history *h, uint32_t *out_attempt)
{
    const uint64_t seq = 1 + pick(h, h->m.cursor + 2 < NUMBERS ? h->m.cursor + 2 : NUMBERS);
    const uint32_t attempts = h->m.events[seq].attempts;

    *out_attempt = attempts > 0 && pick(h, 4) > 0 ? attempts : 1 + (uint32_t)pick(h, 4);
    return seq;
}

static void acknowledge(struct history *h)
{
    uint32_t attempt;
    const uint64_t seq = any_attempt(h, &attempt);
    const enum group_verdict verdict = model_verdict(h, seq, attempt, true);

    assert_int_equal(group_ack(h->g, seq, attempt), verdict);
    if (verdict == GROUP_DONE) {
        h->m.events[seq].fate = ACKED;
        h->m.acked++;
    }
}

static void give_back(struct history *h)
{
    uint32_t attempt;
    const uint64_t seq = any_attempt(h, &attempt);
    const enum group_verdict verdict = model_verdict(h, seq, attempt, false);
    const uint32_t delay_ms = pick(h, 2) ? (uint32_t)pick(h, 300) : 0;
    const bool release = pick(h, 3) == 0;
    struct model_event *e = &h->m.events[seq];

    assert_int_equal(group_nack(h->g, seq, attempt, delay_ms, release, &h->now), verdict);
    if (verdict != GROUP_DONE) {
        return;
    }
    e->was_nacked = true;
    e->released += release;
    if (delay_ms > 0 && !has_failed(h, e)) {
        e->is_pending = false;
        e->is_delayed = true;
        e->until_ms = h->now.mono_ms + delay_ms;
    } else {
        end_attempt(h, seq);
    }
}

static void extend(struct history *h)
{
    uint32_t attempt;
    const uint64_t seq = any_attempt(h, &attempt);
    const enum group_verdict verdict = model_verdict(h, seq, attempt, false);

    assert_int_equal(group_extend(h->g, seq, attempt, 200, &h->now), verdict);
    if (verdict == GROUP_DONE) {
        h->m.events[seq].is_pending = true;
        h->m.events[seq].until_ms = h->now.mono_ms + 200;
    }
}

static void bury(struct history *h)
{
    const uint64_t seq = model_dead(h);
    const struct model_event *e = &h->m.events[seq];
    struct group_death death;

    assert_int_equal(group_next_dying(h->g, &death), seq != 0);
    if (seq == 0) {
        return;
    }
    assert_true(death.seq == seq && death.attempts == e->attempts - e->released);
    assert_int_equal(death.was_nacked, e->was_nacked);
    if (pick(h, 4) == 0) {
        group_unpick(h->g, seq);
        return;
    }
    group_bury(h->g, seq);
    h->m.events[seq].fate = LETTER;
    h->m.letters++;
}

static void tell_gaps(struct history *h)
{
    struct group_gap gap;

    while (group_tell_gap(h->g, &gap)) {
        for (uint64_t seq = gap.from.seq + 1; seq <= gap.to.seq; seq++) {
            h->is_told[seq] = true;
        }
    }
    assert_false(group_has_gap(h->g));
}

static void pass_time(struct history *h)
{
    const int64_t ms = (int64_t)pick(h, 120);

    h->now.mono_ms += ms;
    h->now.wall_ms += ms;
    group_tick(h->g, h->now.mono_ms);
    model_tick(h);
}

static void trim(struct history *h)
{
    h->kept += pick(h, 6);
    h->kept = h->kept > h->m.cursor + 4 ? h->m.cursor + 4 : h->kept;
    h->kept = h->kept > NUMBERS ? NUMBERS : h->kept;
    group_retain(h->g, h->kept);
    model_retain(h);
}

/* ---- notes ---- */

static void add_note(struct history *h, const struct buf *bytes)
{
    struct buf *note = &h->notes[h->note_count++];

    assert_true(h->note_count <= NOTES_MAX && !bytes->failed);
    buf_init(note);
    buf_add(note, bytes->data, bytes->len);
}

static void drop_notes(struct history *h)
{
    while (h->note_count > 0) {
        buf_fini(&h->notes[--h->note_count]);
    }
}

static void save(struct history *h)
{
    struct group_note_writer w;
    struct buf *changes;

    group_note_init(&w);
    if (pick(h, 20) == 0 || h->note_count == 0) {
        drop_notes(h);
        group_write_state(h->g, 7, &h->now, &w);
        add_note(h, &w.bytes);
    } else if ((changes = group_take_changes(h->g, true)) != NULL) {
        add_note(h, changes);
        group_changes_taken(h->g);
    }
    group_note_fini(&w);
    h->saved = h->m;
    assert_true(group_unnoted(h->g) == 0);
}

/* The hub dies; what was not saved did not happen. */
static void crash(struct history *h)
{
    const struct position nowhere = {.seq = 0};

    group_destroy(&h->g);
    assert_int_equal(group_create(&h->g, &h->rules, &nowhere), NHUB_OK);
    for (size_t i = 0; i < h->note_count; i++) {
        struct group_note_reader r;
        struct group_change change;
        nhub_err err;

        assert_int_equal(group_note_open(&r, h->notes[i].data, h->notes[i].len), NHUB_OK);
        while ((err = group_note_next(&r, &change)) == NHUB_OK) {
            assert_int_equal(group_apply(h->g, &change, &h->now), NHUB_OK);
        }
        assert_int_equal(err, NHUB_ENOTFOUND);
    }
    h->m = h->saved;
    group_retain(h->g, h->kept);
    group_tick(h->g, h->now.mono_ms);
    model_tick(h);
    model_retain(h);
}

/* ---- histories ---- */

static void step(struct history *h)
{
    static void (*const steps[])(struct history *) = {
        look_at_next, look_at_next, hand_out_next, hand_out_next, hand_out_next,
        acknowledge,  acknowledge,  give_back,     extend,        pass_time,
        pass_time,    bury,         tell_gaps,     save,          save,
    };
    const uint64_t rare = pick(h, 400);

    if (rare < 6) {
        crash(h);
    } else if (rare < 12) {
        trim(h);
    } else {
        steps[pick(h, sizeof steps / sizeof steps[0])](h);
    }
    expect_agreement(h);
}

/* With members who do their work everything comes to an end, and nothing is unaccounted for. */
static void finish(struct history *h)
{
    while (h->m.cursor < NUMBERS) {
        look_at_next(h);
    }
    for (int i = 0; i < 100 * NUMBERS && group_floor(h->g) < NUMBERS; i++) {
        uint64_t seq;

        pass_time(h);
        bury(h);
        while ((seq = model_next(h)) != 0) {
            assert_true(group_pick(h->g) == seq);
            const uint32_t attempt = group_hand_out(h->g, seq, NULL, &h->now);

            assert_int_equal(group_ack(h->g, seq, attempt), GROUP_DONE);
            h->m.redelivered += attempt > 1;
            h->m.acked++;
            h->m.events[seq].fate = ACKED;
        }
    }
    expect_agreement(h);
    assert_true(group_floor(h->g) == NUMBERS);
    assert_true(group_due_ms(h->g) == INT64_MAX);
    tell_gaps(h);
    for (uint64_t seq = 1; seq <= NUMBERS; seq++) {
        assert_int_not_equal(h->m.events[seq].fate, OPEN);
        assert_true(h->m.events[seq].fate != LOST || h->is_told[seq]);
    }
    for (const struct group_member *m = group_members_first(group_members(h->g)); m; m = m->next) {
        assert_int_equal(m->pending, 0);
    }
}

static void run_history(uint64_t seed)
{
    struct history *h = calloc(1, sizeof *h);
    const struct position start = {"abcdefgh", 0};

    assert_non_null(h);
    h->random = 0x9e3779b97f4a7c15u * (seed + 1);
    h->rules = (struct group_rules){.visibility_ms = 100,
                                    .max_attempts = (uint32_t)(seed % 3 == 0 ? 0 : seed % 3 + 1),
                                    .is_ordered = seed % 2 == 1};
    h->now = (struct group_now){.mono_ms = 5000, .wall_ms = INT64_C(1795225771962)};
    h->kept = 1;
    assert_int_equal(group_create(&h->g, &h->rules, &start), NHUB_OK);
    save(h);
    for (int i = 0; i < STEPS; i++) {
        step(h);
    }
    finish(h);
    drop_notes(h);
    group_destroy(&h->g);
    free(h);
}

static void random_histories_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < HISTORIES; seed++) {
        run_history(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_agree_with_the_model),
    };
    return cmocka_run_group_tests_name("group_model", tests, NULL, NULL);
}
