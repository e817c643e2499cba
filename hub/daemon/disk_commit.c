/*
 * disk_commit: transactions of the writer.
 *
 * Numbers move on only when a transaction has ended well: until then the next ones are kept aside.
 */
#include "base/clock.h"
#include "base/log.h"
#include "daemon/disk_writer_private.h"

#include <string.h>

/* What one transaction takes: large enough that its two flushes are paid by many, small enough that
 * nobody waits long for its end. A single batch is never split. */
#define GROUP_EVENTS 4096
#define GROUP_BYTES  (UINT64_C(4) << 20)
/* Records that are trimmed beside those that are added, so trimming catches up. */
#define TRIM_RECORDS 1024
/* Figures read from the store are good for so long while no record was trimmed. */
#define FIGURES_MS 20
/* What a record takes beside its type and line (an estimate between two looks at the figures). */
#define RECORD_HEAD 24

struct group {
    size_t count;
    uint64_t events, ids, bytes;
    int wants;
    bool wants_reservation;
    struct disk_numbers next;
};

/* ---- retention ---- */

static int64_t oldest_allowed_us(const struct disk_writer *w)
{
    return clock_wall_us() - w->o.max_age_us;
}

/* Trimming begins before the limit, so that the limit holds. */
static uint64_t trim_above_bytes(const struct disk_writer *w)
{
    return w->o.max_bytes / 10 * 9;
}

static uint64_t hold_from(const struct disk_writer *w)
{
    return atomic_load_explicit(&w->hold_from, memory_order_relaxed);
}

bool disk_commit_trim_is_due(const struct disk_writer *w)
{
    return w->figures.records > 0 &&
           (w->figures.bytes > trim_above_bytes(w) || w->figures.other_epochs > 0 ||
            (w->figures.oldest_us > 0 && w->figures.oldest_us < oldest_allowed_us(w)));
}

bool disk_commit_is_held(const struct disk_writer *w)
{
    return hold_from(w) > 0 && w->figures.bytes > w->o.max_bytes + w->o.hold_max_bytes;
}

static nhub_err trim(struct disk_writer *w, size_t max_records, size_t *out_count)
{
    int64_t youngest_us;

    return store_trim(w->o.store, oldest_allowed_us(w), trim_above_bytes(w), hold_from(w),
                      max_records, out_count, &youngest_us);
}

static nhub_err trim_ids(struct disk_writer *w, size_t max_records)
{
    return store_trim_ids(w->o.store, clock_wall_us() - w->o.ids_window_us, w->o.max_ids,
                          max_records);
}

void disk_commit_read_figures(struct disk_writer *w)
{
    store_figures(w->o.store, &w->figures);
    w->figures_ms = clock_mono_ms();
}

static void note_committed(struct disk_writer *w)
{
    if (w->o.mode == JOURNAL_SYNC_COMMIT) {
        return;
    }
    if (!w->is_unsynced) {
        w->is_unsynced = true;
        w->unsynced_ms = clock_mono_ms();
    }
}

nhub_err disk_commit_trim(struct disk_writer *w, size_t max_records, bool *out_more)
{
    const size_t most = max_records > 0 ? max_records : GROUP_EVENTS;
    size_t count = 0;
    nhub_err err = store_begin(w->o.store);

    if (!err) {
        err = trim(w, most, &count);
    }
    if (!err && w->has_ids) {
        err = trim_ids(w, most);
    }
    if (err || count == 0) {
        store_abort(w->o.store);
        *out_more = false;
        return err;
    }
    err = store_commit(w->o.store);
    if (!err) {
        note_committed(w);
        w->trimmed += count;
        disk_commit_read_figures(w);
        disk_writer_update_report(w, true);
    }
    *out_more = !err && count == most;
    return err;
}

/* ---- writing ---- */

/* How many batches from the front of the queue go into the next transaction. */
static void choose(const struct disk_writer *w, struct group *g)
{
    const struct letter *letter = &w->first->post.letter;

    *g = (struct group){.next = w->numbers};
    for (; letter; letter = letter->next) {
        const struct disk_batch *b = (const struct disk_batch *)(const void *)letter;
        const uint64_t events = disk_batch_events(b);

        if (g->count > 0 &&
            (g->events + events > GROUP_EVENTS || g->bytes + b->bytes.len > GROUP_BYTES)) {
            break;
        }
        g->count++;
        g->events += events;
        g->bytes += b->bytes.len;
        g->wants = b->wants > g->wants ? b->wants : g->wants;
    }
}

static nhub_err put_reservation(struct disk_writer *w, struct group *g, uint64_t reserve_to)
{
    struct store_meta meta = {.reserved_to = reserve_to, .last_seq = g->next.stored_to};

    memcpy(meta.epoch, g->next.epoch, sizeof meta.epoch);
    g->next.reserved_to = reserve_to;
    g->wants_reservation = true;
    return store_put_meta(w->o.store, &meta);
}

static nhub_err put_entry(struct disk_writer *w, struct group *g, const struct disk_entry *e)
{
    struct store *s = w->o.store;

    switch (e->kind) {
    case DISK_ENTRY_ID:
        g->ids++;
        return store_put_id(s, &(struct store_id){.seq = e->seq,
                                                  .arrival_us = e->arrival_us,
                                                  .key = e->id,
                                                  .content = e->content});
    case DISK_ENTRY_EVENT:
        return store_put_event(s, e->seq, e->arrival_us, e->key, e->key_len, e->value, e->len);
    case DISK_ENTRY_NOTE:
        return store_put_note(s, e->key, e->key_len, e->value, e->len);
    case DISK_ENTRY_NO_NOTE:
        return store_del_note(s, e->key, e->key_len);
    }
    return NHUB_EINVAL;
}

static nhub_err put_batch(struct disk_writer *w, struct group *g, const struct disk_batch *b)
{
    struct disk_batch_iter it = {0};
    struct disk_entry entry;
    nhub_err err = NHUB_OK;

    if (b->is_new_epoch) {
        memcpy(g->next.epoch, b->epoch, sizeof g->next.epoch);
        g->next.stored_to = 0;
        err = put_reservation(w, g, w->o.reservation);
    }
    if (!err && b->reserve_to > g->next.reserved_to) {
        err = put_reservation(w, g, b->reserve_to);
    }
    if (!err && disk_batch_is_incomplete(b)) {
        if (b->last_seq >= b->first_seq) {
            err = store_put_void(w->o.store, b->first_seq, b->last_seq, STORE_VOID_NOT_STORED);
        }
    } else {
        while (!err && disk_batch_next(b, &it, &entry)) {
            err = put_entry(w, g, &entry);
        }
    }
    g->next.stored_to = b->last_seq;
    return err;
}

static nhub_err put_group(struct disk_writer *w, struct group *g)
{
    const struct letter *letter = &w->first->post.letter;
    nhub_err err = NHUB_OK;

    for (size_t i = 0; !err && i < g->count; i++, letter = letter->next) {
        err = put_batch(w, g, (const struct disk_batch *)(const void *)letter);
    }
    return err;
}

static nhub_err write_group(struct disk_writer *w, struct group *g, size_t *out_trimmed)
{
    nhub_err err;

    choose(w, g);
    *out_trimmed = 0;
    err = store_begin(w->o.store);
    if (!err) {
        err = put_group(w, g);
    }
    if (!err && disk_commit_trim_is_due(w)) {
        err = trim(w, g->events + TRIM_RECORDS, out_trimmed);
    }
    if (!err && g->ids > 0 && w->has_ids) {
        err = trim_ids(w, g->ids + TRIM_RECORDS);
    }
    if (err) {
        store_abort(w->o.store);
        return err;
    }
    return store_commit(w->o.store);
}

/* With the room of the reserve file what is too old can be trimmed, and its pages used again. */
static bool make_room(struct disk_writer *w)
{
    const uint64_t before = w->trimmed;
    bool more = true;

    if (!store_use_reserve(w->o.store)) {
        return false;
    }
    w->has_reserve = false;
    for (int i = 0; more && i < 4; i++) {
        if (disk_commit_trim(w, 0, &more) != NHUB_OK) {
            return false;
        }
    }
    return w->trimmed > before;
}

static void note_time(struct disk_writer *w, int64_t started_ns)
{
    const int64_t took_us = (clock_mono_ns() - started_ns) / 1000;

    (void)pthread_mutex_lock(&w->lock);
    w->commit_us[w->commits % DISK_COMMIT_TIMES] =
        took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
    (void)pthread_mutex_unlock(&w->lock);
    w->commits++;
}

/* True when there is nothing in the group that the store has to know. */
static bool is_empty(const struct disk_writer *w, const struct group *g)
{
    const struct letter *letter = &w->first->post.letter;

    for (size_t i = 0; i < g->count; i++, letter = letter->next) {
        const struct disk_batch *b = (const struct disk_batch *)(const void *)letter;

        if (b->has_entries || b->reserve_to > 0 || b->is_new_epoch) {
            return false;
        }
    }
    return true;
}

static void follow(struct disk_writer *w, const struct group *g, size_t trimmed)
{
    const uint64_t reserved_to = w->numbers.reserved_to;

    w->numbers = g->next;
    w->numbers.reserved_to = reserved_to; /* numbers are given out when it is synced */
    w->trimmed += trimmed;
    w->figures.records += g->events;
    w->figures.bytes += g->bytes + g->events * RECORD_HEAD;
    if (trimmed > 0 || w->figures.oldest == 0 || clock_mono_ms() - w->figures_ms >= FIGURES_MS) {
        disk_commit_read_figures(w);
    }
}

/* What the group has now, forced to the disk if somebody waits for that. Returns false when that
 * failed; the writer is degraded then. */
static bool force_group(struct disk_writer *w, const struct group *g, int *out_durability)
{
    nhub_err err;

    *out_durability = w->is_unsynced ? DURABILITY_JOURNALED : DURABILITY_SYNCED;
    if (!w->is_unsynced || (g->wants < DURABILITY_SYNCED && !g->wants_reservation)) {
        return true;
    }
    err = store_sync(w->o.store);
    if (err) {
        disk_writer_fail(w, err, "forcing the journal to the disk fails");
        return false;
    }
    w->syncs++;
    w->is_unsynced = false;
    *out_durability = DURABILITY_SYNCED;
    return true;
}

void disk_commit_group(struct disk_writer *w)
{
    const int64_t started_ns = clock_mono_ns();
    size_t trimmed = 0;
    struct group g;
    int durability;
    nhub_err err = NHUB_OK;

    if (disk_commit_is_held(w)) {
        disk_writer_fail(w, NHUB_EFULL,
                         "consumer groups hold back more than hub.journal.hold_max_bytes");
        return;
    }
    choose(w, &g);
    if (!is_empty(w, &g)) {
        err = write_group(w, &g, &trimmed);
        if (err == NHUB_EFULL && make_room(w)) {
            err = write_group(w, &g, &trimmed);
        }
        if (err) {
            disk_writer_fail(w, err,
                             err == NHUB_EFULL ? "the disk is full" : "writing the journal fails");
            return;
        }
        note_committed(w);
        note_time(w, started_ns);
        follow(w, &g, trimmed);
    }
    if (!force_group(w, &g, &durability)) {
        return;
    }
    w->numbers.reserved_to = g.next.reserved_to;
    disk_writer_update_report(w, false);
    disk_writer_return(w, g.count, NHUB_OK, durability);
    if (durability == DURABILITY_SYNCED) {
        w->synced_batch = w->batch;
    }
}

void disk_commit_sync(struct disk_writer *w)
{
    const nhub_err err = store_sync(w->o.store);

    if (err) {
        disk_writer_fail(w, err, "forcing the journal to the disk fails");
        return;
    }
    w->syncs++;
    /* Told before it is forgotten that there is something to tell. */
    if (disk_writer_mark(w, POST_SYNCED, 1, w->numbers.stored_to, false)) {
        w->is_unsynced = false;
        w->synced_batch = w->batch;
    } else {
        w->unsynced_ms = clock_mono_ms();
    }
    disk_writer_update_report(w, false);
}
