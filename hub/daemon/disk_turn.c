/*
 * disk_turn: what the writer and the reader of the journal say, taken in the loop's thread.
 */
#include "base/log.h"
#include "daemon/disk_private.h"
#include "daemon/ring.h"

#include <stdlib.h>
#include <string.h>

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
void disk_look_at_report(struct disk *d)
{
    const uint64_t trimmed = d->report.trimmed;
    const bool was_degraded = d->report.is_degraded;

    disk_writer_report(d->writer, &d->report);
    d->base.durability_now = d->report.is_degraded ? DURABILITY_MEMORY : d->base.durability_max;
    if (was_degraded && !d->report.is_degraded) {
        d->is_extending = false;
    }
    if (!disk_is_of_report(d)) {
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

void disk_turn(struct journal *j)
{
    struct disk *d = disk_of(j);
    struct letter *letter = mailbox_take_all(d->box);

    disk_look_at_report(d);
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
    disk_check_room(d);
    disk_scan_parked(d);
}

int disk_fd(const struct journal *j)
{
    return mailbox_fd(disk_of_const(j)->box);
}
