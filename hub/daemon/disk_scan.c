/*
 * disk_scan: a scan's way between the store and the ring.
 */
#include "base/log.h"
#include "daemon/disk_private.h"
#include "daemon/ring.h"

#include <stdlib.h>

static void finish(struct disk *d, struct disk_scan *s, nhub_err status)
{
    struct journal_scan *scan = s->scan;

    d->scans--;
    free(s);
    scan->done(scan, status);
}

static void park(struct disk *d, struct disk_scan *s)
{
    s->next = NULL;
    if (d->last_parked) {
        d->last_parked->next = s;
    } else {
        d->parked = s;
    }
    d->last_parked = s;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Not further than to the ring: it may have what the disk did not take. */
static void send_to_reader(struct disk *d, struct disk_scan *s)
{
    s->to = smaller(d->journaled, ring_oldest(d->ring) - 1);
    s->status = NHUB_OK;
    disk_reader_post(d->reader, s);
}

static bool is_something_under_way(const struct disk *d)
{
    return d->done_batch + 1 < d->base.batch || (d->open && disk_batch_events(d->open) > 0);
}

/* The next step of a scan that is not over. */
static void advance(struct disk *d, struct disk_scan *s)
{
    struct journal_scan *scan = s->scan;
    const uint64_t to = smaller(scan->to, d->last_seq);
    const uint64_t in_memory = ring_oldest(d->ring);

    if (scan->scanned_to + 1 < in_memory && scan->scanned_to >= d->journaled &&
        scan->scanned_to < d->passed) {
        /* Lost, and gone from memory too: nobody will ever have these. */
        scan->scanned_to = smaller(smaller(d->passed, in_memory - 1), to);
    }
    if (s->is_stopped || scan->scanned_to >= to) {
        finish(d, s, NHUB_OK);
    } else if (scan->scanned_to + 1 >= in_memory) {
        (void)ring_walk(d->ring, scan);
        finish(d, s, NHUB_OK);
    } else if (scan->scanned_to < d->journaled) {
        send_to_reader(d, s);
    } else if (is_something_under_way(d)) {
        park(d, s);
    } else {
        finish(d, s, NHUB_OK);
    }
}

/* A record whose checksum is wrong is not given to anybody: its number becomes a void. */
static void note_damage(struct disk *d, uint64_t seq)
{
    if (disk_voids_has(&d->voids, seq, "not_stored")) {
        return; /* known */
    }
    d->damaged++;
    log_error("journal_record_damaged", log_uint("seq", seq), log_str("epoch", d->base.epoch),
              log_uint("damaged_total", d->damaged),
              log_str("note", "'notifyhub journal verify' finds all of them"));
    NHUB_IGNORE(disk_voids_add(&d->voids, seq, seq, "not_stored")); /* else found again */
}

void disk_scan_back(struct disk *d, struct disk_scan *s)
{
    if (s->status == NHUB_EPROTO && !s->must_find) {
        note_damage(d, ++s->scan->scanned_to);
        s->status = NHUB_OK;
    }
    if (s->status) {
        finish(d, s, s->status);
    } else {
        advance(d, s);
    }
}

void disk_scan_parked(struct disk *d)
{
    struct disk_scan *s = d->parked;

    d->parked = NULL;
    d->last_parked = NULL;
    while (s) {
        struct disk_scan *next = s->next;

        advance(d, s); /* may park it again */
        s = next;
    }
}

/* Whether the ring knows where a time begins: then the store has nothing to say. */
static bool ring_knows_time(const struct disk *d, int64_t time_us)
{
    return ring_oldest_us(d->ring) < time_us || disk_oldest(d) >= ring_oldest(d->ring);
}

void disk_scan_start(struct journal *j, struct journal_scan *scan)
{
    struct disk *d = disk_of(j);
    const uint64_t oldest = disk_oldest(d);
    bool must_find = false;
    struct disk_scan *s;

    if (scan->by_time && ring_knows_time(d, scan->time_us)) {
        scan->after = ring_before_time(d->ring, scan->time_us);
    } else if (scan->by_time) {
        scan->after = 0;
        must_find = true;
    }
    if (scan->after + 1 < oldest) {
        scan->after = oldest - 1;
    }
    scan->scanned_to = scan->after;
    s = calloc(1, sizeof *s);
    if (!s) {
        scan->done(scan, NHUB_ENOMEM);
        return;
    }
    s->post.kind = POST_SCAN;
    s->scan = scan;
    s->must_find = must_find;
    d->scans++;
    if (must_find) {
        send_to_reader(d, s);
    } else {
        advance(d, s);
    }
}
