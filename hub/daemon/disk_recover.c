/*
 * disk_recover: what the writer does when the disk does not take what it should, and at the end.
 */
#include "base/clock.h"
#include "base/log.h"
#include "daemon/disk_writer_private.h"

#include <errno.h>
#include <string.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
/* Failing again sooner than this after a recovery counts as the same trouble. */
#define SAME_TROUBLE_MS 10000
/* Records trimmed in one attempt, when only trimming can help. */
#define TRIM_TURNS   16
#define ENOUGH_BYTES (UINT64_C(16) << 20) /* free inside the file: many commits */

/* ---- losing ---- */

/* The batch at the front of the queue will not be stored. */
static void note_lost(struct disk_writer *w, const struct disk_batch *b)
{
    if (b->is_new_epoch) {
        memcpy(w->numbers.epoch, b->epoch, sizeof w->numbers.epoch);
        w->numbers.stored_to = 0;
        w->numbers.reserved_to = w->o.reservation;
        w->lost_from = 0;
        w->lost_to = 0;
        w->figures.oldest = 0; /* of the new epoch nothing is stored */
    }
    if (b->last_seq >= b->first_seq) {
        if (w->lost_from == 0) {
            w->lost_from = b->first_seq;
        }
        w->lost_to = b->last_seq;
    }
}

void disk_writer_lose_queue(struct disk_writer *w)
{
    if (!w->first) {
        return;
    }
    while (w->first) {
        note_lost(w, w->first);
        disk_writer_update_report(w, false);
        disk_writer_return(w, 1, NHUB_EUNAVAIL, DURABILITY_MEMORY);
    }
}

void disk_writer_fail(struct disk_writer *w, nhub_err err, const char *why)
{
    const int64_t now_ms = clock_mono_ms();
    const int saved = errno;

    w->backoff_ms = w->backoff_ms > 0 && now_ms - w->recovered_ms < SAME_TROUBLE_MS
                        ? w->backoff_ms * 2
                        : BACKOFF_MIN_MS;
    if (w->backoff_ms > BACKOFF_MAX_MS) {
        w->backoff_ms = BACKOFF_MAX_MS;
    }
    w->is_degraded = true;
    w->needs_reopen = err != NHUB_EFULL && err != NHUB_ENOMEM;
    w->needs_room = err == NHUB_EFULL;
    w->why = why;
    w->degraded_ms = now_ms;
    w->retry_ms = now_ms + w->backoff_ms;
    w->is_unsynced = false; /* what it is worth is found out when the store is opened again */
    log_error("journal_degraded", log_str("why", why),
              err == NHUB_ESYS ? log_errno(saved) : log_str("error", nhub_strerror(err)),
              log_uint("stored_to", w->numbers.stored_to),
              log_str("note", "events go out live and are not stored until it recovers"));
    disk_writer_update_report(w, true);
    if (w->synced_batch < w->batch) {
        /* What was committed and not forced: nobody shall wait for it. A mark that cannot be made
         * is made up for by the next batch that is lost, or by the recovery. */
        NHUB_IGNORE(!disk_writer_mark(w, POST_UNSYNCED, 1, 0, false));
    }
    disk_writer_lose_queue(w);
}

/* ---- recovering ---- */

static void put_off(struct disk_writer *w)
{
    w->backoff_ms = w->backoff_ms * 2 < BACKOFF_MAX_MS ? w->backoff_ms * 2 : BACKOFF_MAX_MS;
    w->retry_ms = clock_mono_ms() + w->backoff_ms;
}

/* What the disk really has may be more or less than what was told. */
static void compare_with_store(struct disk_writer *w)
{
    struct store_meta meta;
    uint64_t newest;

    disk_commit_read_figures(w);
    store_get_meta(w->o.store, &meta);
    if (strcmp(meta.epoch, w->numbers.epoch) != 0) {
        w->figures.oldest = 0;
        return; /* the disk does not know the epoch, so it has nothing of it */
    }
    newest = w->figures.newest > meta.last_seq ? w->figures.newest : meta.last_seq;
    if (w->lost_from > 0 && newest >= w->lost_from) {
        w->lost_from = newest + 1;
    } else if (newest < w->numbers.stored_to) {
        w->lost_from = newest + 1;
        w->lost_to = w->lost_to > w->numbers.stored_to ? w->lost_to : w->numbers.stored_to;
    }
}

static bool reopen(struct disk_writer *w)
{
    struct buf error;
    nhub_err err;

    buf_init(&error);
    err = store_reopen(w->o.store, &error);
    if (err) {
        log_warn("journal_still_degraded", log_str("error", buf_cstr(&error)),
                 log_int("retry_in_ms", w->backoff_ms * 2));
    } else {
        compare_with_store(w);
        w->needs_reopen = false;
    }
    buf_fini(&error);
    return err == NHUB_OK;
}

/* Makes room by trimming, as far as retention allows. */
static void trim_some(struct disk_writer *w)
{
    bool more = true;

    for (int i = 0; more && i < TRIM_TURNS; i++) {
        if (disk_commit_trim(w, 0, &more) != NHUB_OK) {
            break;
        }
    }
}

/* The last number that was given out, as far as the writer knows. */
static uint64_t last_seen(const struct disk_writer *w)
{
    return w->lost_to > w->numbers.stored_to ? w->lost_to : w->numbers.stored_to;
}

/* Writes down what was lost, and with it that the store takes writing again. */
static nhub_err write_void(struct disk_writer *w, struct disk_numbers *next)
{
    struct store *s = w->o.store;
    struct store_meta meta = {.last_seq = last_seen(w)};
    nhub_err err = store_begin(s);

    *next = w->numbers;
    next->stored_to = meta.last_seq;
    if (next->reserved_to < meta.last_seq + w->o.reservation) {
        next->reserved_to = meta.last_seq + w->o.reservation;
    }
    memcpy(meta.epoch, next->epoch, sizeof meta.epoch);
    meta.reserved_to = next->reserved_to;
    if (!err) {
        err = store_put_meta(s, &meta);
    }
    if (!err && w->lost_from > 0 && w->lost_from <= w->lost_to) {
        err = store_put_void(s, w->lost_from, w->lost_to, STORE_VOID_NOT_STORED);
    }
    if (err) {
        store_abort(s);
        return err;
    }
    err = store_commit(s);
    if (!err && w->o.mode != JOURNAL_SYNC_COMMIT) {
        err = store_sync(s);
    }
    return err;
}

static bool has_room(struct disk_writer *w)
{
    if (disk_commit_trim_is_due(w)) {
        trim_some(w);
    }
    if (disk_commit_is_held(w)) {
        return false;
    }
    /* Room for the reserve file is the sign that there is room again: what a single commit needs
     * would be gone with the next one. Pages that trimming has freed inside the file are as good,
     * when there are enough: the file does not give them back to the disk. */
    w->has_reserve = w->has_reserve || store_make_reserve(w->o.store) == NHUB_OK;
    if (w->needs_room && !w->has_reserve) {
        disk_commit_read_figures(w);
    }
    return w->has_reserve || !w->needs_room || w->figures.free_bytes >= ENOUGH_BYTES;
}

void disk_writer_try_recovery(struct disk_writer *w)
{
    struct disk_numbers next;
    nhub_err err;

    if (!disk_writer_can_mark(w) || (w->needs_reopen && !reopen(w)) || !has_room(w)) {
        put_off(w);
        return;
    }
    err = write_void(w, &next);
    if (err) {
        w->needs_reopen = err != NHUB_EFULL && err != NHUB_ENOMEM;
        w->needs_room = err == NHUB_EFULL;
        put_off(w);
        return;
    }
    w->commits++;
    w->numbers = next;
    w->is_degraded = false;
    w->why = "";
    w->recovered_ms = clock_mono_ms();
    w->synced_batch = w->batch;
    disk_commit_read_figures(w);
    disk_writer_update_report(w, false);
    log_info("journal_recovered", log_int("after_ms", w->recovered_ms - w->degraded_ms),
             log_uint("not_stored_from", w->lost_from), log_uint("not_stored_to", w->lost_to));
    NHUB_IGNORE(!disk_writer_mark(w, POST_RECOVERED, w->lost_from > 0 ? w->lost_from : 1,
                                  w->lost_to, false)); /* the mark was seen to be there */
    w->lost_from = 0;
    w->lost_to = 0;
}

/* ---- the end ---- */

bool disk_writer_finish(struct disk_writer *w)
{
    struct store *s = w->o.store;
    struct store_meta meta = {.was_clean = true};
    nhub_err err;

    if (w->is_degraded) {
        disk_writer_try_recovery(w);
    }
    if (w->is_degraded) {
        log_error("journal_not_clean", log_str("why", w->why),
                  log_uint("not_stored_from", w->lost_from), log_uint("not_stored_to", w->lost_to));
        return false;
    }
    memcpy(meta.epoch, w->numbers.epoch, sizeof meta.epoch);
    meta.last_seq = w->numbers.stored_to;
    meta.reserved_to = w->numbers.stored_to;
    err = store_begin(s);
    if (!err) {
        err = store_put_meta(s, &meta);
    }
    if (err) {
        store_abort(s);
    } else {
        err = store_commit(s);
    }
    if (!err) {
        err = store_sync(s);
    }
    if (err) {
        log_error("journal_not_clean", log_str("why", nhub_strerror(err)),
                  log_uint("stored_to", w->numbers.stored_to));
        return false;
    }
    return true;
}
