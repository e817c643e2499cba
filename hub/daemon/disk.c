/*
 * disk: beginning, end and looks of the journal on disk.
 */
#include "daemon/disk.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/disk_private.h"
#include "daemon/disk_start.h"
#include "daemon/ring.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_BYTES (UINT64_C(4) << 20)
#define STOP_LOG_MS   5000

/* ---- looks ---- */

uint64_t disk_settled_to(const struct disk *d)
{
    return d->passed > d->journaled ? d->passed : d->journaled;
}

uint64_t disk_oldest(const struct disk *d)
{
    const uint64_t in_memory = ring_oldest(d->ring);
    uint64_t oldest = d->report.oldest;

    if (!disk_is_of_report(d) || oldest == 0) {
        oldest = disk_settled_to(d) + 1; /* nothing is on disk: what will be there, if anything */
    }
    return oldest < in_memory ? oldest : in_memory;
}

static void disk_state(const struct journal *j, struct journal_state *out)
{
    const struct disk *d = disk_of_const(j);
    const bool is_current = disk_is_of_report(d);

    *out = (struct journal_state){
        .condition = d->report.is_degraded ? JOURNAL_DEGRADED : JOURNAL_READY,
        .why = d->report.why,
        .oldest = disk_oldest(d),
        .last = d->last_seq,
        .records = is_current ? d->report.records : 0,
        .bytes = is_current ? d->report.bytes : 0,
        .trimmed = d->report.trimmed,
        .max_bytes = d->o.max_bytes,
        .trimmed_us = d->trimmed_us,
        .newest_us = d->newest_us,
        .journaled = d->journaled,
        .synced = d->synced,
        .pending_bytes = d->pending_bytes,
        .not_stored = d->not_stored,
    };
    /* The list is clipped in a place of its own; nothing else changes. */
    out->voids = disk_voids_show(&disk_of(d->self)->voids, ring_oldest(d->ring), &out->void_count);
}

static void disk_figures(const struct journal *j, struct journal_figures *out)
{
    const struct disk *d = disk_of_const(j);
    struct disk_report r;

    disk_writer_figures(d->writer, &r);
    *out = (struct journal_figures){.is_on_disk = true,
                                    .oldest_us = r.oldest_us,
                                    .file_bytes = r.file_bytes,
                                    .commits = r.commits,
                                    .commit_p50_us = r.commit_p50_us,
                                    .commit_p99_us = r.commit_p99_us,
                                    .commit_max_us = r.commit_max_us,
                                    .syncs = r.syncs,
                                    .backlog_full = d->full,
                                    .damaged = d->damaged};
}

static bool disk_is_lost(const struct journal *j, uint64_t seq)
{
    return disk_voids_has(&disk_of_const(j)->voids, seq, "not_stored");
}

static void disk_trim(struct journal *j, uint64_t before)
{
    journal_trim(disk_of(j)->ring, before);
}

/* ---- what was before ---- */

struct id_visit {
    void (*visit)(void *context, const struct journal_id *id);
    void *context;
};

static void visit_id(void *context, const struct store_id *id)
{
    const struct id_visit *v = context;
    const struct journal_id known = {
        .seq = id->seq, .arrival_us = id->arrival_us, .key = id->key, .content = id->content};

    v->visit(v->context, &known);
}

static nhub_err disk_each_id(struct journal *j, uint64_t max_ids, int64_t since_us,
                             void (*visit)(void *context, const struct journal_id *id),
                             void *context)
{
    struct id_visit v = {.visit = visit, .context = context};

    return store_each_id(disk_of(j)->store, max_ids, since_us, visit_id, &v);
}

static nhub_err disk_each_note(struct journal *j, const void *prefix, size_t prefix_len,
                               void (*visit)(void *context, const void *key, size_t key_len,
                                             const void *value, size_t len),
                               void *context)
{
    return store_each_note(disk_of(j)->store, prefix, prefix_len, visit, context);
}

/* ---- life ---- */

static void wait_turn(struct disk *d, int64_t *log_ms)
{
    struct pollfd item = {.fd = mailbox_fd(d->box), .events = POLLIN};

    (void)poll(&item, 1, STOP_LOG_MS);
    disk_turn(&d->base);
    if (clock_mono_ms() >= *log_ms) {
        *log_ms = clock_mono_ms() + STOP_LOG_MS;
        log_warn("journal_still_writing", log_uint("pending_bytes", d->pending_bytes),
                 log_uint("scans", d->scans));
    }
}

static void disk_stop(struct journal *j)
{
    struct disk *d = disk_of(j);
    int64_t log_ms = clock_mono_ms() + STOP_LOG_MS;

    if (d->is_stopped) {
        return;
    }
    disk_commit_open(d);
    disk_writer_stop(d->writer);
    while (!d->is_writer_gone) {
        wait_turn(d, &log_ms);
    }
    while (d->scans > 0) {
        wait_turn(d, &log_ms);
    }
    d->is_stopped = true;
}

static void disk_destroy(struct journal *j)
{
    struct disk *d = disk_of(j);

    if (d->writer) {
        disk_stop(j);
        disk_writer_destroy(&d->writer);
    }
    if (d->reader) {
        disk_reader_destroy(&d->reader);
    }
    disk_batch_destroy(&d->open);
    mailbox_destroy(&d->box);
    store_close(&d->store);
    journal_destroy(&d->ring);
    disk_voids_fini(&d->voids);
    free(d);
}

static const struct journal_ops disk_ops = {
    .destroy = disk_destroy,
    .reserve = disk_reserve,
    .open_slot = disk_open_slot,
    .close_slot = disk_close_slot,
    .commit = disk_commit,
    .scan = disk_scan_start,
    .trim = disk_trim,
    .add_id = disk_add_id,
    .note = disk_note,
    .want = disk_want,
    .hold = disk_hold,
    .each_id = disk_each_id,
    .each_note = disk_each_note,
    .is_lost = disk_is_lost,
    .figures = disk_figures,
    .stop = disk_stop,
    .state = disk_state,
    .fd = disk_fd,
    .turn = disk_turn,
};

static void set_durability(struct journal *j, enum journal_sync mode)
{
    j->durability = mode == JOURNAL_SYNC_COMMIT     ? DURABILITY_SYNCED
                    : mode == JOURNAL_SYNC_INTERVAL ? DURABILITY_JOURNALED
                                                    : DURABILITY_MEMORY;
    j->durability_max = mode == JOURNAL_SYNC_OFF ? DURABILITY_JOURNALED : DURABILITY_SYNCED;
    j->durability_now = j->durability_max;
}

static void go_on_from(struct disk *d, const struct disk_start *start)
{
    memcpy(d->base.epoch, start->meta.epoch, sizeof d->base.epoch);
    memcpy(d->base.id_seed, start->meta.id_seed, sizeof d->base.id_seed);
    d->last_seq = start->meta.last_seq;
    d->journaled = d->last_seq;
    d->synced = d->last_seq;
    d->passed = d->last_seq;
    d->reserved_to = start->meta.reserved_to;
    d->trimmed_us = start->figures.trimmed_us;
    d->newest_us = start->figures.newest_us;
    if (d->newest_us < d->trimmed_us) { /* nothing of this epoch is kept */
        d->newest_us = d->trimmed_us;
    }
    ring_restart(d->ring, d->base.epoch, d->last_seq, d->newest_us);
}

static nhub_err open_store(struct disk *d, struct buf *error)
{
    /* The largest event fits beside what trimming has not reached yet, however small the limit. */
    const uint64_t max_bytes = d->o.max_bytes + d->o.hold_max_bytes + 4 * d->o.max_record_bytes;
    const struct store_options options = {.mode = STORE_WRITE,
                                          .max_bytes = max_bytes,
                                          .sync_on_commit = d->o.mode == JOURNAL_SYNC_COMMIT,
                                          .reserve_bytes = RESERVE_BYTES};

    return store_open(&d->store, d->o.path, &options, error);
}

static nhub_err start_threads(struct disk *d)
{
    const struct disk_writer_options options = {
        .store = d->store,
        .loop = d->box,
        .mode = d->o.mode,
        .interval_ms = d->o.interval_ms,
        .max_age_us = (int64_t)d->o.max_age_s * 1000000,
        .max_bytes = d->o.max_bytes,
        .hold_max_bytes = d->o.hold_max_bytes,
        .max_pending_bytes = d->o.max_pending_bytes,
        .reservation = d->o.reservation,
        .ids_window_us = d->o.dedup_ids > 0 ? (int64_t)d->o.dedup_window_s * 1000000 : 0,
        .max_ids = d->o.dedup_ids,
        .holds_at_start = d->o.holds_at_start,
    };
    nhub_err err = disk_writer_create(&d->writer, &options);

    if (!err) {
        err = disk_reader_create(&d->reader, d->store, d->box);
    }
    return err;
}

static nhub_err start(struct disk *d, struct buf *error)
{
    struct disk_start found;
    nhub_err err = open_store(d, error);

    if (!err) {
        err = disk_start(d->store, d->o.reservation, &d->voids, &found, error);
    }
    if (err) {
        return err;
    }
    go_on_from(d, &found);
    err = mailbox_create(&d->box);
    if (!err) {
        err = start_threads(d);
    }
    if (err) {
        buf_printf(error, "cannot start the journal: %s", nhub_strerror(err));
        return err;
    }
    disk_look_at_report(d);
    disk_voids_trim(&d->voids, disk_oldest(d) - 1);
    return NHUB_OK;
}

nhub_err disk_create(struct journal **out, struct journal **ring_p,
                     const struct disk_options *options, struct buf *error)
{
    struct disk *d = calloc(1, sizeof *d);
    nhub_err err;

    if (!d) {
        buf_add_str(error, "out of memory");
        return NHUB_ENOMEM;
    }
    d->base.ops = &disk_ops;
    d->base.batch = 1;
    d->full_limit = (struct log_limit){.burst = 1, .window_ms = 10000};
    d->self = &d->base;
    d->o = *options;
    d->ring = *ring_p;
    set_durability(&d->base, options->mode);
    err = start(d, error);
    if (err) {
        d->ring = NULL; /* stays the caller's */
        disk_destroy(&d->base);
        return err;
    }
    log_info("journal_opened", log_str("path", options->path), log_str("epoch", d->base.epoch),
             log_uint("seq", d->last_seq), log_uint("oldest", disk_oldest(d)),
             log_uint("records", d->report.records), log_uint("bytes", d->report.bytes),
             log_uint("voids", d->voids.count));
    *ring_p = NULL;
    *out = &d->base;
    return NHUB_OK;
}

struct disk_options disk_options_of(const struct settings *settings, uint64_t max_record_bytes)
{
    const bool has_ids = settings->hub.dedup_ids > 0 && settings->hub.dedup_window_s > 0;

    return (struct disk_options){
        .path = settings->hub.journal.path,
        .mode = (enum journal_sync)settings->hub.journal.sync,
        .interval_ms = settings->hub.journal.interval_ms,
        .max_age_s = settings->hub.journal.max_age_s,
        .max_bytes = settings->hub.journal.max_bytes,
        .hold_max_bytes = settings->hub.journal.hold_max_bytes,
        .max_pending_bytes = settings->hub.journal.max_pending_bytes,
        .dedup_window_s = has_ids ? settings->hub.dedup_window_s : 0,
        .dedup_ids = has_ids ? settings->hub.dedup_ids : 0,
        .max_record_bytes = max_record_bytes,
        .reservation = STORE_RESERVATION,
    };
}
