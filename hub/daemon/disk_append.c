/*
 * disk_append: numbers, slots and batches of the journal on disk, up to the hand-over to the
 * writer.
 */
#include "base/log.h"
#include "daemon/disk_private.h"
#include "daemon/ring.h"

#include <string.h>

/* So many numbers in front of the end of a reservation no more are taken out of sockets, so that
 * nothing that was sent already has to be refused for the lack of one. */
#define NUMBERS_SPARE 65536
#define BATCH_HINT    (UINT64_C(1) << 20)

/* ---- numbers ---- */

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

void disk_check_room(struct disk *d)
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

nhub_err disk_reserve(struct journal *j, uint64_t count)
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

nhub_err disk_open_slot(struct journal *j, const char *type, size_t type_len, size_t line_max,
                        struct journal_slot *out)
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

void disk_add_id(struct journal *j, const struct hash128 *key, uint64_t content)
{
    struct disk *d = disk_of(j);

    d->slot_id = *key;
    d->slot_content = content;
    d->slot_has_id = true;
}

void disk_close_slot(struct journal *j, size_t line_len, int64_t arrival_us)
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
    disk_check_room(d);
}

void disk_note(struct journal *j, const void *key, size_t key_len, const void *value, size_t len)
{
    struct disk *d = disk_of(j);

    if (ensure_open(d) == NHUB_OK) {
        disk_batch_add_note(d->open, key, key_len, value, len);
    } else {
        log_error("note_not_kept", log_str("error", "out of memory"));
    }
}

void disk_want(struct journal *j, int durability)
{
    struct disk *d = disk_of(j);

    if (ensure_open(d) == NHUB_OK && durability > d->open->wants) {
        d->open->wants = durability;
    }
}

void disk_hold(struct journal *j, uint64_t from)
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

void disk_commit(struct journal *j)
{
    struct disk *d = disk_of(j);

    extend(d);
    disk_commit_open(d);
    disk_check_room(d);
}
