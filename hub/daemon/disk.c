/*
 * disk: numbers, batches and what comes back of them.
 */
#include "daemon/disk.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/disk_private.h"
#include "daemon/disk_start.h"
#include "daemon/ring.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* So many numbers in front of the end of a reservation no more are taken out of sockets, so that
 * nothing that was sent already has to be refused for the lack of one. */
#define NUMBERS_SPARE 65536
#define RESERVE_BYTES (UINT64_C(4) << 20)
#define STOP_LOG_MS   5000
#define BATCH_HINT    (UINT64_C(1) << 20)

struct disk *disk_of(struct journal *j)
{
    return (struct disk *)(void *)j;
}

static const struct disk *disk_of_const(const struct journal *j)
{
    return (const struct disk *)(const void *)j;
}

/* ---- numbers ---- */

static bool is_of_report(const struct disk *d)
{
    return memcmp(d->report.epoch, d->base.epoch, sizeof d->base.epoch) == 0;
}

static void note_full(struct disk *d, uint64_t pending)
{
    uint64_t suppressed;

    if (d->base.is_full) {
        return;
    }
    d->full++;
    if (log_limit_pass(&d->full_limit, &suppressed)) {
        log_warn("journal_backlog_full", log_uint("pending_bytes", pending),
                 log_uint("full_total", d->full), log_uint("suppressed", suppressed),
                 log_str("note", "publishers wait until half of it is written"));
    }
}

static void check_room(struct disk *d)
{
    const uint64_t open = d->open ? d->open->bytes.len : 0;
    const uint64_t pending = d->pending_bytes + open;
    const bool is_short = d->last_seq + NUMBERS_SPARE > d->reserved_to && !d->report.is_degraded &&
                          d->o.reservation > 4 * NUMBERS_SPARE;

    if (pending >= d->o.max_pending_bytes || is_short) {
        note_full(d, pending);
        d->base.is_full = true;
    } else if (pending <= d->o.max_pending_bytes / 2) {
        d->base.is_full = false;
    }
}

static nhub_err ensure_open(struct disk *d)
{
    nhub_err err = NHUB_OK;

    if (!d->open) {
        err = disk_batch_create(&d->open, d->base.batch, d->last_seq, d->hint);
    }
    if (!err && d->open->epoch[0] == '\0') {
        memcpy(d->open->epoch, d->base.epoch, sizeof d->open->epoch);
    }
    return err ? NHUB_EUNAVAIL : NHUB_OK;
}

/* Numbers cannot be reserved any more, because the disk takes nothing: go on in a new epoch, which
 * nobody ever numbered in. */
static nhub_err begin_epoch(struct disk *d)
{
    char epoch[EPOCH_LEN + 1];
    nhub_err err;

    disk_commit_open(d);
    epoch_random(epoch);
    log_error("epoch_changed", log_str("from", d->base.epoch), log_str("to", epoch),
              log_uint("last_seq", d->last_seq),
              log_str("why", "no numbers could be reserved on the disk in time"));
    memcpy(d->base.epoch, epoch, sizeof d->base.epoch);
    ring_restart(d->ring, epoch, 0, d->newest_us);
    disk_voids_clear(&d->voids);
    d->last_seq = 0;
    d->reserved_to = d->o.reservation;
    d->is_extending = false;
    d->journaled = 0;
    d->synced = 0;
    d->passed = 0;
    d->trimmed_us = d->newest_us;
    err = ensure_open(d);
    if (!err) {
        d->open->is_new_epoch = true;
    } else {
        d->must_tell_epoch = true;
    }
    return err;
}

static nhub_err disk_reserve(struct journal *j, uint64_t count)
{
    struct disk *d = disk_of(j);

    if (count > d->o.reservation) {
        return NHUB_EUNAVAIL;
    }
    if (d->last_seq + count > d->reserved_to) {
        if (!d->report.is_degraded) {
            return NHUB_EUNAVAIL;
        }
        NHUB_IGNORE(begin_epoch(d)); /* shows in the next line */
    }
    return ensure_open(d);
}

/* Asks for more numbers when half of them are used. */
static void extend(struct disk *d)
{
    if (!d->is_extending && d->last_seq + d->o.reservation / 2 > d->reserved_to &&
        !d->report.is_degraded && ensure_open(d) == NHUB_OK) {
        d->open->reserve_to = d->last_seq + d->o.reservation;
        d->is_extending = true;
    }
}

/* ---- slots ---- */

static nhub_err disk_open_slot(struct journal *j, const char *type, size_t type_len,
                               size_t line_max, struct journal_slot *out)
{
    struct disk *d = disk_of(j);
    nhub_err err = disk_reserve(j, 1);

    if (!err) {
        err = journal_open_slot(d->ring, type, type_len, line_max, out);
    }
    if (!err) {
        d->slot_line = out->line;
        d->slot_type_len = type_len;
        memcpy(d->slot_type, type, type_len);
    }
    return err;
}

static void disk_add_id(struct journal *j, const struct hash128 *key, uint64_t content)
{
    struct disk *d = disk_of(j);

    d->slot_id = *key;
    d->slot_content = content;
    d->slot_has_id = true;
}

static void disk_close_slot(struct journal *j, size_t line_len, int64_t arrival_us)
{
    struct disk *d = disk_of(j);

    /* As the ring does: arrivals do not fall. */
    if (arrival_us > d->newest_us) {
        d->newest_us = arrival_us;
    }
    journal_close_slot(d->ring, line_len, d->newest_us);
    if (d->slot_has_id) {
        disk_batch_add_id(d->open, &d->slot_id, d->slot_content, d->newest_us);
        d->slot_has_id = false;
    }
    disk_batch_add_event(d->open, d->newest_us, d->slot_type, d->slot_type_len, d->slot_line,
                         line_len);
    d->last_seq++;
    check_room(d);
}

static void disk_note(struct journal *j, const void *key, size_t key_len, const void *value,
                      size_t len)
{
    struct disk *d = disk_of(j);

    if (ensure_open(d) == NHUB_OK) {
        disk_batch_add_note(d->open, key, key_len, value, len);
    } else {
        log_error("note_not_kept", log_str("error", "out of memory"));
    }
}

static void disk_want(struct journal *j, int durability)
{
    struct disk *d = disk_of(j);

    if (ensure_open(d) == NHUB_OK && durability > d->open->wants) {
        d->open->wants = durability;
    }
}

static void disk_hold(struct journal *j, uint64_t from)
{
    disk_writer_hold(disk_of(j)->writer, from);
}

/* ---- commit ---- */

static bool is_worth_posting(const struct disk_batch *b)
{
    return b->has_entries || b->wants > DURABILITY_MEMORY || b->reserve_to > 0 || b->is_new_epoch;
}

void disk_commit_open(struct disk *d)
{
    struct disk_batch *b = d->open;

    if (!b || !is_worth_posting(b)) {
        return;
    }
    if (d->must_tell_epoch) {
        b->is_new_epoch = true;
        d->must_tell_epoch = false;
    }
    d->open = NULL;
    d->hint = b->bytes.len < BATCH_HINT ? b->bytes.len : BATCH_HINT;
    b->charged = b->bytes.cap + sizeof *b;
    d->pending_bytes += b->charged;
    d->base.batch++;
    disk_writer_post(d->writer, b);
}

static void disk_commit(struct journal *j)
{
    struct disk *d = disk_of(j);

    extend(d);
    disk_commit_open(d);
    check_room(d);
}

/* ---- what comes back ---- */

static void tell(struct disk *d, int durability, uint64_t seq, uint64_t batch, nhub_err status)
{
    if (d->base.kept) {
        d->base.kept(d->base.kept_context, durability, seq, batch, status);
    }
}

static void note_loss(struct disk *d, const struct disk_batch *b, bool is_current)
{
    const uint64_t events = disk_batch_events(b);
    nhub_err err;

    d->not_stored += events;
    if (events == 0 || !is_current) {
        return;
    }
    err = b->is_incomplete && !d->report.is_degraded
              ? disk_voids_add(&d->voids, b->first_seq, b->last_seq, "not_stored")
              : disk_voids_grow(&d->voids, b->first_seq, b->last_seq, "not_stored");
    if (err) {
        log_error("void_not_noted", log_uint("from", b->first_seq), log_uint("to", b->last_seq),
                  log_str("error", nhub_strerror(err)));
    }
}

static void take_batch(struct disk *d, struct disk_batch *b)
{
    const bool is_current = memcmp(b->epoch, d->base.epoch, sizeof b->epoch) == 0;

    d->pending_bytes -= b->charged;
    d->done_batch = b->number;
    if (b->status) {
        note_loss(d, b, is_current);
    } else if (is_current) {
        d->journaled = b->last_seq;
        d->synced = b->durability == DURABILITY_SYNCED ? b->last_seq : d->synced;
    }
    if (is_current && b->status) {
        d->passed = b->last_seq;
    }
    tell(d, b->durability, b->last_seq, b->number, b->status);
    disk_batch_destroy(&b);
}

static void take_recovered(struct disk *d, const struct disk_mark *m, bool is_current)
{
    nhub_err err = NHUB_OK;

    /* Nothing that was handed over before can still become better than it is. */
    tell(d, DURABILITY_MEMORY, m->to, m->batch, NHUB_EUNAVAIL);
    d->is_extending = false;
    if (!is_current) {
        return;
    }
    err = disk_voids_settle(&d->voids, m->from, m->to, "not_stored");
    if (err) {
        log_error("void_not_noted", log_uint("from", m->from), log_uint("to", m->to),
                  log_str("error", nhub_strerror(err)));
    }
    d->journaled = m->to > d->journaled ? m->to : d->journaled;
    d->synced = d->journaled;
}

static void take_mark(struct disk *d, struct disk_mark *m)
{
    const bool is_current = memcmp(m->epoch, d->base.epoch, sizeof m->epoch) == 0;

    switch (m->post.kind) {
    case POST_STOPPED:
        d->is_writer_gone = true;
        if (m->is_orderly) {
            d->synced = d->journaled;
            tell(d, DURABILITY_SYNCED, d->synced, m->batch, NHUB_OK);
        } else {
            tell(d, DURABILITY_MEMORY, d->last_seq, m->batch, NHUB_EUNAVAIL);
        }
        break;
    case POST_SYNCED:
        if (is_current && m->to > d->synced) {
            d->synced = m->to;
        }
        tell(d, DURABILITY_SYNCED, m->to, m->batch, NHUB_OK);
        break;
    case POST_UNSYNCED:
        tell(d, DURABILITY_MEMORY, m->to, m->batch, NHUB_EUNAVAIL);
        break;
    case POST_RECOVERED:
        take_recovered(d, m, is_current);
        break;
    case POST_LOOK:
    case POST_BATCH:
    case POST_SCAN:
        break;
    }
    free(m);
}

/* Takes over how things stand. What retention has dropped from the disk goes from memory too, so
 * that all doors say the same. */
static void look_at_report(struct disk *d)
{
    const uint64_t trimmed = d->report.trimmed;
    const bool was_degraded = d->report.is_degraded;

    disk_writer_report(d->writer, &d->report);
    d->base.durability_now = d->report.is_degraded ? DURABILITY_MEMORY : d->base.durability_max;
    if (was_degraded && !d->report.is_degraded) {
        d->is_extending = false;
    }
    if (!is_of_report(d)) {
        return;
    }
    if (d->report.reserved_to > d->reserved_to) {
        d->reserved_to = d->report.reserved_to;
        d->is_extending = false;
    }
    if (d->report.trimmed != trimmed) {
        d->trimmed_us = d->report.trimmed_us;
        journal_trim(d->ring, d->report.oldest > 0 ? d->report.oldest : d->report.stored_to + 1);
        /* One that ends where the oldest record begins still says why nothing is in front of it. */
        disk_voids_trim(&d->voids, disk_oldest(d) - 1);
    }
}

static void disk_turn(struct journal *j)
{
    struct disk *d = disk_of(j);
    struct letter *letter = mailbox_take_all(d->box);

    look_at_report(d);
    while (letter) {
        struct disk_post *post = (struct disk_post *)(void *)letter;

        letter = letter->next;
        if (post->kind == POST_BATCH) {
            take_batch(d, (struct disk_batch *)(void *)post);
        } else if (post->kind == POST_SCAN) {
            disk_scan_back(d, (struct disk_scan *)(void *)post);
        } else {
            take_mark(d, (struct disk_mark *)(void *)post);
        }
    }
    check_room(d);
    disk_scan_parked(d);
}

static int disk_fd(const struct journal *j)
{
    return mailbox_fd(disk_of_const(j)->box);
}

/* ---- looks ---- */

uint64_t disk_settled_to(const struct disk *d)
{
    return d->passed > d->journaled ? d->passed : d->journaled;
}

uint64_t disk_oldest(const struct disk *d)
{
    const uint64_t in_memory = ring_oldest(d->ring);
    uint64_t oldest = d->report.oldest;

    if (!is_of_report(d) || oldest == 0) {
        oldest = disk_settled_to(d) + 1; /* nothing is on disk: what will be there, if anything */
    }
    return oldest < in_memory ? oldest : in_memory;
}

static void disk_state(const struct journal *j, struct journal_state *out)
{
    const struct disk *d = disk_of_const(j);
    const bool is_current = is_of_report(d);

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
    d->newest_us = start->figures.newest_us;
    d->trimmed_us = start->figures.trimmed_us;
    ring_restart(d->ring, d->base.epoch, d->last_seq, d->newest_us);
}

static nhub_err open_store(struct disk *d, struct buf *error)
{
    const struct store_options options = {.mode = STORE_WRITE,
                                          .max_bytes = d->o.max_bytes + d->o.hold_max_bytes,
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
    look_at_report(d);
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
