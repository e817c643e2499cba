/*
 * fake_journal: a journal for tests of consumer groups: a ring, and around it what a disk does and
 * a ring does not: scans that are answered later, batches that are kept later or never, notes,
 * voids, an epoch that ends.
 */
#ifndef NHUB_TESTS_FAKE_JOURNAL_H
#define NHUB_TESTS_FAKE_JOURNAL_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/ring.h"

#define FAKE_NOTES_MAX 4096
#define FAKE_SCANS_MAX 64

struct fake_note {
    char key[128];
    size_t key_len;
    char *value; /* NULL: deleted */
    size_t len;
};

struct fake_notes {
    struct fake_note items[FAKE_NOTES_MAX];
    size_t count;
};

struct fake_journal {
    struct journal base;
    struct journal *ring;
    bool is_slow;     /* scans wait for fake_answer_scans() */
    bool keeps_later; /* batches wait for fake_keep() */
    uint64_t visible; /* scans end here; 0 = everything is visible */
    uint64_t
        oldest; /* as if numbers from here on were kept, though the ring knows nothing of them */
    nhub_err scan_error;
    struct journal_scan *scans[FAKE_SCANS_MAX];
    size_t scan_count;
    struct fake_notes *open; /* of the batch that is open */
    struct fake_notes *kept;
    uint64_t kept_batch; /* reported */
    struct journal_void voids[8];
    size_t void_count;
    uint64_t held_from;
    uint64_t notes_written;
    bool refuses_slots;
};

static struct fake_journal *fake_of(struct journal *j)
{
    return (struct fake_journal *)(void *)j;
}

static void fake_put(struct fake_notes *notes, const struct fake_note *note)
{
    size_t at = 0;

    while (at < notes->count && (notes->items[at].key_len != note->key_len ||
                                 memcmp(notes->items[at].key, note->key, note->key_len) != 0)) {
        at++;
    }
    if (at == notes->count) {
        if (notes->count == FAKE_NOTES_MAX) {
            abort();
        }
        notes->items[notes->count++] = (struct fake_note){.value = NULL};
    }
    free(notes->items[at].value);
    notes->items[at] = *note;
}

/* The open notes become kept ones, or nothing. */
static void fake_end_notes(struct fake_journal *f, bool is_kept)
{
    for (size_t i = 0; i < f->open->count; i++) {
        struct fake_note *note = &f->open->items[i];

        if (is_kept) {
            fake_put(f->kept, note);
        } else {
            free(note->value);
        }
    }
    f->open->count = 0;
}

static nhub_err fake_reserve(struct journal *j, uint64_t count)
{
    return journal_reserve(fake_of(j)->ring, count);
}

static nhub_err fake_open_slot(struct journal *j, const char *type, size_t type_len,
                               size_t line_max, struct journal_slot *out)
{
    return fake_of(j)->refuses_slots
               ? NHUB_EUNAVAIL
               : journal_open_slot(fake_of(j)->ring, type, type_len, line_max, out);
}

static void fake_close_slot(struct journal *j, size_t line_len, int64_t arrival_us)
{
    journal_close_slot(fake_of(j)->ring, line_len, arrival_us);
}

static void fake_report(struct fake_journal *f, uint64_t batch, nhub_err status)
{
    f->kept_batch = batch;
    if (f->base.kept) {
        f->base.kept(f->base.kept_context, f->base.durability_max, 0, batch, status);
    }
}

static void fake_commit(struct journal *j)
{
    struct fake_journal *f = fake_of(j);

    f->base.batch++;
    if (!f->keeps_later) {
        fake_end_notes(f, true);
        fake_report(f, f->base.batch - 1, NHUB_OK);
    }
}

/* All that was committed is kept, or lost. */
static inline void fake_keep(struct fake_journal *f, bool is_kept)
{
    fake_end_notes(f, is_kept);
    fake_report(f, f->base.batch - 1, is_kept ? NHUB_OK : NHUB_EUNAVAIL);
}

static void fake_run_scan(struct fake_journal *f, struct journal_scan *scan)
{
    if (f->scan_error) {
        scan->scanned_to = scan->after;
        scan->done(scan, f->scan_error);
        return;
    }
    if (f->visible != 0 && scan->to > f->visible) {
        scan->to = f->visible > scan->after ? f->visible : scan->after;
    }
    if (f->oldest == 0) {
        journal_scan(f->ring, scan);
        return;
    }
    /* As a disk passes over numbers that have no record. */
    scan->scanned_to = scan->after;
    if (scan->scanned_to + 1 < ring_oldest(f->ring)) {
        scan->scanned_to = ring_oldest(f->ring) - 1;
    }
    if (scan->scanned_to < scan->to) {
        (void)ring_walk(f->ring, scan);
    } else {
        scan->scanned_to = scan->to;
    }
    scan->done(scan, NHUB_OK);
}

static void fake_scan(struct journal *j, struct journal_scan *scan)
{
    struct fake_journal *f = fake_of(j);

    if (!f->is_slow) {
        fake_run_scan(f, scan);
        return;
    }
    if (f->scan_count == FAKE_SCANS_MAX) {
        abort();
    }
    f->scans[f->scan_count++] = scan;
}

/* Answers the scans that wait. Returns how many. */
static inline size_t fake_answer_scans(struct fake_journal *f)
{
    const size_t count = f->scan_count;
    struct journal_scan *scans[FAKE_SCANS_MAX];

    memcpy(scans, f->scans, sizeof scans);
    f->scan_count = 0;
    for (size_t i = 0; i < count; i++) {
        fake_run_scan(f, scans[i]);
    }
    return count;
}

static void fake_trim(struct journal *j, uint64_t before)
{
    journal_trim(fake_of(j)->ring, before);
}

static void fake_add_note(struct journal *j, const void *key, size_t key_len, const void *value,
                          size_t len)
{
    struct fake_journal *f = fake_of(j);
    struct fake_note note = {.key_len = key_len, .len = len};

    if (key_len > sizeof note.key) {
        abort();
    }
    memcpy(note.key, key, key_len);
    if (value) {
        note.value = aligned_alloc(16, (len + 16) & ~(size_t)15); /* not made to fail by tests */
        if (!note.value) {
            abort();
        }
        memcpy(note.value, value, len);
    }
    f->notes_written++;
    fake_put(f->open, &note);
}

static void fake_hold(struct journal *j, uint64_t from)
{
    fake_of(j)->held_from = from;
}

static int fake_compare(const void *a, const void *b)
{
    const struct fake_note *x = a, *y = b;
    const size_t shorter = x->key_len < y->key_len ? x->key_len : y->key_len;
    const int order = memcmp(x->key, y->key, shorter);

    return order != 0 ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static nhub_err fake_each_note(struct journal *j, const void *prefix, size_t prefix_len,
                               void (*visit)(void *context, const void *key, size_t key_len,
                                             const void *value, size_t len),
                               void *context)
{
    struct fake_notes *kept = fake_of(j)->kept;

    qsort(kept->items, kept->count, sizeof kept->items[0], fake_compare);
    for (size_t i = 0; i < kept->count; i++) {
        const struct fake_note *n = &kept->items[i];

        if (n->value && n->key_len >= prefix_len && memcmp(n->key, prefix, prefix_len) == 0) {
            visit(context, n->key, n->key_len, n->value, n->len);
        }
    }
    return NHUB_OK;
}

static void fake_state(const struct journal *j, struct journal_state *out)
{
    const struct fake_journal *f = (const struct fake_journal *)(const void *)j;

    journal_state(f->ring, out);
    out->oldest = f->oldest != 0 ? f->oldest : out->oldest;
    out->voids = f->voids;
    out->void_count = f->void_count;
}

static const struct journal_ops fake_ops = {
    .reserve = fake_reserve,
    .open_slot = fake_open_slot,
    .close_slot = fake_close_slot,
    .commit = fake_commit,
    .scan = fake_scan,
    .trim = fake_trim,
    .note = fake_add_note,
    .hold = fake_hold,
    .each_note = fake_each_note,
    .state = fake_state,
};

/* Another epoch begins, or the hub died and goes on behind a void: what was kept in memory is gone.
 */
static inline void fake_restart(struct fake_journal *f, const char *epoch, uint64_t last_seq)
{
    ring_restart(f->ring, epoch, last_seq, 0);
    memcpy(f->base.epoch, epoch, sizeof f->base.epoch);
}

static inline void fake_create(struct fake_journal *f, uint64_t max_events)
{
    const struct ring_limits limits = {
        .max_events = max_events, .max_bytes = 1 << 20, .max_record_bytes = 100000};

    *f = (struct fake_journal){.base = {.ops = &fake_ops,
                                        .durability = DURABILITY_SYNCED,
                                        .durability_max = DURABILITY_SYNCED,
                                        .durability_now = DURABILITY_SYNCED,
                                        .batch = 1}};
    f->open = calloc(1, sizeof *f->open);
    f->kept = calloc(1, sizeof *f->kept);
    if (!f->open || !f->kept || ring_create(&f->ring, &limits) != NHUB_OK) {
        abort();
    }
    fake_restart(f, "abcdefgh", 0);
}

/* How many notes there are. */
static inline size_t fake_count_notes(const struct fake_journal *f)
{
    size_t count = 0;

    for (size_t i = 0; i < f->kept->count; i++) {
        count += f->kept->items[i].value != NULL;
    }
    return count;
}

static inline void fake_destroy(struct fake_journal *f)
{
    fake_end_notes(f, true);
    for (size_t i = 0; i < f->kept->count; i++) {
        free(f->kept->items[i].value);
    }
    free(f->open);
    free(f->kept);
    journal_destroy(&f->ring);
}

#endif
