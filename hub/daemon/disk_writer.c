/*
 * disk_writer: the thread, its queue and its waiting.
 */
#include "daemon/disk_writer.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/disk_writer_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define HOUSEKEEPING_MS 1000
/* While memory for a mark is short, or trimming has more to do. */
#define SOON_MS 10
/* Events that nobody waits for are gathered so long (mode off: an interval): a commit of its own
 * for each of them would cost more of the processor than all else that the hub does with it, in the
 * moment when others deliver it. */
#define GATHER_MS 20
/* Gathered, at most, before the time is over. */
#define GATHER_BYTES (UINT64_C(4) << 20)
#define RESERVE_MS   10000

/* ---- queue ---- */

static struct disk_batch *next_of(const struct disk_batch *b)
{
    return (struct disk_batch *)(void *)b->post.letter.next;
}

static void enqueue(struct disk_writer *w, struct disk_batch *b)
{
    b->post.letter.next = NULL;
    if (w->last) {
        w->last->post.letter.next = &b->post.letter;
    } else {
        w->first = b;
    }
    w->last = b;
}

static void take_letters(struct disk_writer *w)
{
    struct letter *letter = mailbox_take_all(w->box);

    while (letter) {
        struct disk_post *post = (struct disk_post *)(void *)letter;

        letter = letter->next;
        if (post->kind == POST_BATCH) {
            enqueue(w, (struct disk_batch *)(void *)post);
        } else {
            w->is_stopping = true;
        }
    }
}

void disk_writer_return(struct disk_writer *w, size_t count, nhub_err status, int durability)
{
    while (count-- > 0) {
        struct disk_batch *b = w->first;

        w->first = next_of(b);
        if (!w->first) {
            w->last = NULL;
        }
        /* Incomplete ones were never written, whatever became of their group. */
        b->is_incomplete = disk_batch_is_incomplete(b);
        b->status = b->is_incomplete ? NHUB_EUNAVAIL : status;
        b->durability = durability;
        w->batch = b->number;
        disk_batch_drop_bytes(b);
        mailbox_post(w->o.loop, &b->post.letter);
        w->reports_late = false; /* who takes the letter looks at the report */
    }
}

/* ---- marks and the report ---- */

bool disk_writer_can_mark(struct disk_writer *w)
{
    if (!w->spare) {
        w->spare = calloc(1, sizeof *w->spare);
    }
    return w->spare != NULL;
}

bool disk_writer_mark(struct disk_writer *w, enum disk_post_kind kind, uint64_t from, uint64_t to,
                      bool is_orderly)
{
    struct disk_mark *mark;

    if (!disk_writer_can_mark(w)) {
        return false;
    }
    mark = w->spare;
    w->spare = calloc(1, sizeof *w->spare);
    *mark = (struct disk_mark){.post = {.kind = kind},
                               .batch = w->batch,
                               .from = from,
                               .to = to,
                               .is_orderly = is_orderly};
    memcpy(mark->epoch, w->numbers.epoch, sizeof mark->epoch);
    mailbox_post(w->o.loop, &mark->post.letter);
    w->reports_late = false;
    return true;
}

void disk_writer_update_report(struct disk_writer *w, bool is_urgent)
{
    struct disk_report *r = &w->report;

    (void)pthread_mutex_lock(&w->lock);
    r->is_degraded = w->is_degraded;
    r->why = w->why;
    memcpy(r->epoch, w->numbers.epoch, sizeof r->epoch);
    r->reserved_to = w->numbers.reserved_to;
    r->stored_to = w->numbers.stored_to;
    r->oldest = w->figures.oldest;
    r->oldest_us = w->figures.oldest_us;
    r->trimmed_us = w->figures.trimmed_us;
    r->records = w->figures.records;
    r->bytes = w->figures.bytes;
    r->file_bytes = w->figures.file_bytes;
    r->trimmed = w->trimmed;
    r->commits = w->commits;
    r->syncs = w->syncs;
    (void)pthread_mutex_unlock(&w->lock);
    if (is_urgent) {
        w->reports_late = true;
    }
}

void disk_writer_report(struct disk_writer *w, struct disk_report *out)
{
    (void)pthread_mutex_lock(&w->lock);
    *out = w->report;
    (void)pthread_mutex_unlock(&w->lock);
}

static int compare_times(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

void disk_writer_figures(struct disk_writer *w, struct disk_report *out)
{
    uint32_t times[DISK_COMMIT_TIMES];
    size_t count;

    (void)pthread_mutex_lock(&w->lock);
    *out = w->report;
    memcpy(times, w->commit_us, sizeof times);
    (void)pthread_mutex_unlock(&w->lock);
    count = out->commits < DISK_COMMIT_TIMES ? (size_t)out->commits : DISK_COMMIT_TIMES;
    if (count > 0) {
        qsort(times, count, sizeof times[0], compare_times);
        out->commit_p50_us = times[count / 2];
        out->commit_p99_us = times[count * 99 / 100];
        out->commit_max_us = times[count - 1];
    }
}

/* ---- the thread ---- */

/* So much is not gathered any longer: the loop takes no events in while its backlog is full, which
 * ends when half of it is written. */
static uint64_t enough_bytes(const struct disk_writer *w)
{
    const uint64_t half = w->o.max_pending_bytes / 2;

    return half < GATHER_BYTES ? half : GATHER_BYTES;
}

/* Bytes that may still be gathered; <= 0: it is enough. */
static int64_t room_left(const struct disk_writer *w)
{
    int64_t room = (int64_t)enough_bytes(w);

    for (const struct disk_batch *b = w->first; b && room > 0; b = next_of(b)) {
        room -= (int64_t)b->charged;
    }
    return room;
}

static bool somebody_waits_for(const struct disk_batch *b)
{
    return b->wants > DURABILITY_MEMORY || b->reserve_to > 0;
}

/* There is no hurry unless somebody waits. */
static bool commit_is_due(const struct disk_writer *w, int64_t now_ms)
{
    if (!w->first) {
        return false;
    }
    if (w->is_stopping || now_ms >= w->gather_ms) {
        return true;
    }
    for (const struct disk_batch *b = w->first; b; b = next_of(b)) {
        if (somebody_waits_for(b)) {
            return true;
        }
    }
    return room_left(w) <= 0;
}

/* How long events may be gathered. */
static int64_t gather_for_ms(const struct disk_writer *w)
{
    return w->o.mode == JOURNAL_SYNC_OFF ? (int64_t)w->o.interval_ms : GATHER_MS;
}

static int64_t sync_due_ms(const struct disk_writer *w)
{
    return w->is_unsynced && w->o.mode == JOURNAL_SYNC_INTERVAL && !w->is_degraded
               ? w->unsynced_ms + (int64_t)w->o.interval_ms
               : INT64_MAX;
}

static void keep_house(struct disk_writer *w, int64_t now_ms)
{
    bool more = false;
    nhub_err err;

    w->housekeeping_ms = now_ms + HOUSEKEEPING_MS;
    disk_commit_read_figures(w);
    if (disk_commit_trim_is_due(w)) {
        err = disk_commit_trim(w, 0, &more);
        if (err) {
            disk_writer_fail(w, err, "trimming the journal fails");
            return;
        }
        if (more) {
            w->housekeeping_ms = now_ms;
        }
    }
    if (!w->has_reserve && now_ms >= w->reserve_ms) {
        w->reserve_ms = now_ms + RESERVE_MS;
        w->has_reserve = store_make_reserve(w->o.store) == NHUB_OK;
    }
    disk_writer_update_report(w, false);
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void wait_for_letters(struct disk_writer *w)
{
    struct pollfd item = {.fd = mailbox_fd(w->box), .events = POLLIN};
    const int64_t now_ms = clock_mono_ms();
    int64_t until_ms = w->is_degraded ? w->retry_ms : w->housekeeping_ms;

    if (!w->is_degraded) {
        if (commit_is_due(w, now_ms)) {
            return;
        }
        until_ms = min_ms(until_ms, sync_due_ms(w));
        if (w->first) {
            until_ms = min_ms(until_ms, w->gather_ms);
        }
    }
    if (w->reports_late) {
        until_ms = min_ms(until_ms, now_ms + SOON_MS);
    }
    if (until_ms > now_ms) {
        atomic_store(&w->room, !w->is_degraded && w->first ? room_left(w) : 0);
        (void)poll(&item, 1, (int)(until_ms - now_ms));
        atomic_store(&w->room, 0); /* and then looks into the mailbox */
    }
}

/* One thing that is due. */
static void work(struct disk_writer *w)
{
    const int64_t now_ms = clock_mono_ms();

    if (w->is_degraded) {
        disk_writer_lose_queue(w);
        if (now_ms >= w->retry_ms) {
            disk_writer_try_recovery(w);
        }
    } else if (commit_is_due(w, now_ms)) {
        disk_commit_group(w);
    } else if (now_ms >= sync_due_ms(w)) {
        disk_commit_sync(w);
    } else if (now_ms >= w->housekeeping_ms) {
        keep_house(w, now_ms);
    }
    if (w->reports_late) {
        NHUB_IGNORE(!disk_writer_mark(w, POST_LOOK, 1, 0, false)); /* tried again soon */
    }
}

static void *run(void *context)
{
    struct disk_writer *w = context;
    bool is_orderly;

    for (;;) {
        const bool was_idle = w->first == NULL;

        take_letters(w);
        if (was_idle && w->first) {
            w->gather_ms = clock_mono_ms() + gather_for_ms(w);
        }
        if (w->is_stopping && !w->first) {
            break;
        }
        work(w);
        wait_for_letters(w);
    }
    is_orderly = disk_writer_finish(w);
    while (!disk_writer_mark(w, POST_STOPPED, 1, 0, is_orderly)) {
        (void)poll(NULL, 0, SOON_MS);
    }
    return NULL;
}

/* ---- life ---- */

static nhub_err start_thread(struct disk_writer *w)
{
    struct store_meta meta;

    store_get_meta(w->o.store, &meta);
    memcpy(w->numbers.epoch, meta.epoch, sizeof w->numbers.epoch);
    w->numbers.stored_to = meta.last_seq;
    w->numbers.reserved_to = meta.reserved_to;
    w->why = "";
    w->has_ids = w->o.ids_window_us > 0;
    w->has_reserve = store_make_reserve(w->o.store) == NHUB_OK;
    w->reserve_ms = clock_mono_ms() + RESERVE_MS;
    w->recovered_ms = INT64_MIN / 2;
    disk_commit_read_figures(w);
    disk_writer_update_report(w, false);
    if (!disk_writer_can_mark(w)) {
        return NHUB_ENOMEM;
    }
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        errno = EAGAIN;
        return NHUB_ESYS;
    }
    (void)pthread_setname_np(w->thread, "journal-writer"); /* for those who look at threads */
    return NHUB_OK;
}

nhub_err disk_writer_create(struct disk_writer **out, const struct disk_writer_options *options)
{
    struct disk_writer *w = calloc(1, sizeof *w);
    nhub_err err;

    if (!w) {
        return NHUB_ENOMEM;
    }
    w->o = *options;
    w->stop_post.kind = POST_STOPPED;
    atomic_init(&w->hold_from, options->holds_at_start ? 1 : 0);
    atomic_init(&w->room, 0);
    err = mailbox_create(&w->box);
    if (err) {
        free(w);
        return err;
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    err = start_thread(w);
    if (err) {
        free(w->spare);
        (void)pthread_mutex_destroy(&w->lock);
        mailbox_destroy(&w->box);
        free(w);
        return err;
    }
    *out = w;
    return NHUB_OK;
}

void disk_writer_destroy(struct disk_writer **w_p)
{
    struct disk_writer *w = *w_p;

    if (!w) {
        return;
    }
    (void)pthread_join(w->thread, NULL);
    free(w->spare);
    (void)pthread_mutex_destroy(&w->lock);
    mailbox_destroy(&w->box);
    free(w);
    *w_p = NULL;
}

/* While it gathers, a wake-up for each batch would cost more than writing them. */
void disk_writer_post(struct disk_writer *w, struct disk_batch *b)
{
    const bool is_urgent = somebody_waits_for(b);
    const int64_t bytes = (int64_t)b->charged;
    const bool is_first = mailbox_post_quietly(w->box, &b->post.letter); /* the writer's now */
    const int64_t room = atomic_fetch_sub(&w->room, bytes);

    if (room > 0 ? is_urgent || room <= bytes : is_first) {
        mailbox_wake(w->box);
    }
}

void disk_writer_hold(struct disk_writer *w, uint64_t from)
{
    atomic_store_explicit(&w->hold_from, from, memory_order_relaxed);
}

void disk_writer_stop(struct disk_writer *w)
{
    (void)mailbox_post_quietly(w->box, &w->stop_post.letter);
    mailbox_wake(w->box); /* whatever it gathers */
}
