/*
 * disk_reader: a few scans in turn.
 */
#include "daemon/disk_reader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#define ACTIVE_SCANS  4
#define PIECE_RECORDS 4096
#define PIECE_US      5000

struct disk_reader {
    struct store *store;
    struct mailbox *loop;
    struct mailbox *box;
    pthread_t thread;
    struct disk_post stop_post;
    struct disk_scan *active[ACTIVE_SCANS];
    struct letter *waiting, *last_waiting;
    bool is_stopping;
};

static bool visit(void *context, const struct store_record *record)
{
    struct disk_scan *s = context;
    const struct journal_record r = {
        .seq = record->seq,
        .arrival_us = record->arrival_us,
        .type = record->type,
        .type_len = record->type_len,
        .line = record->line,
        .len = record->len,
    };

    s->is_stopped = !s->scan->visit(s->scan, &r);
    return !s->is_stopped;
}

static nhub_err find_time(const struct disk_reader *r, struct disk_scan *s)
{
    uint64_t after = 0;
    const nhub_err err = store_find_time(r->store, s->scan->time_us, &after);

    if (!err) {
        s->must_find = false;
        s->scan->after = after > s->scan->after ? after : s->scan->after;
        s->scan->scanned_to = s->scan->after;
    }
    return err;
}

/* Reads one piece. Returns true when the scan has got what the store has for it. */
static bool read_piece(const struct disk_reader *r, struct disk_scan *s)
{
    struct store_scan piece = {
        .max_records = PIECE_RECORDS, .max_us = PIECE_US, .visit = visit, .context = s};

    s->status = s->must_find ? find_time(r, s) : NHUB_OK;
    piece.after = s->scan->scanned_to;
    piece.to = s->to < s->scan->to ? s->to : s->scan->to;
    if (!s->status && piece.after < piece.to) {
        s->status = store_read(r->store, &piece, &s->scan->scanned_to);
    }
    return s->status != NHUB_OK || s->is_stopped || s->scan->scanned_to >= piece.to;
}

static void take_letters(struct disk_reader *r)
{
    struct letter *letter = mailbox_take_all(r->box);

    while (letter) {
        struct letter *next = letter->next;

        if (((struct disk_post *)(void *)letter)->kind == POST_STOPPED) {
            r->is_stopping = true;
        } else {
            letter->next = NULL;
            if (r->last_waiting) {
                r->last_waiting->next = letter;
            } else {
                r->waiting = letter;
            }
            r->last_waiting = letter;
        }
        letter = next;
    }
}

static struct disk_scan *next_waiting(struct disk_reader *r)
{
    struct letter *letter = r->waiting;

    if (letter) {
        r->waiting = letter->next;
        if (!r->waiting) {
            r->last_waiting = NULL;
        }
    }
    return (struct disk_scan *)(void *)letter;
}

/* A piece for each active scan. Returns false when there is none. */
static bool work(struct disk_reader *r)
{
    bool has_work = false;

    for (int i = 0; i < ACTIVE_SCANS; i++) {
        if (!r->active[i]) {
            r->active[i] = next_waiting(r);
        }
        if (!r->active[i]) {
            continue;
        }
        has_work = true;
        if (read_piece(r, r->active[i])) {
            mailbox_post(r->loop, &r->active[i]->post.letter);
            r->active[i] = NULL;
        }
    }
    return has_work;
}

static void *run(void *context)
{
    struct disk_reader *r = context;
    struct pollfd item = {.fd = mailbox_fd(r->box), .events = POLLIN};

    for (;;) {
        take_letters(r);
        if (!work(r)) {
            if (r->is_stopping) {
                break;
            }
            (void)poll(&item, 1, -1);
        }
    }
    return NULL;
}

nhub_err disk_reader_create(struct disk_reader **out, struct store *store, struct mailbox *loop)
{
    struct disk_reader *r = calloc(1, sizeof *r);
    nhub_err err;

    if (!r) {
        return NHUB_ENOMEM;
    }
    r->store = store;
    r->loop = loop;
    r->stop_post.kind = POST_STOPPED;
    err = mailbox_create(&r->box);
    if (!err && pthread_create(&r->thread, NULL, run, r) != 0) {
        mailbox_destroy(&r->box);
        errno = EAGAIN;
        err = NHUB_ESYS;
    }
    if (err) {
        free(r);
        return err;
    }
    (void)pthread_setname_np(r->thread, "journal-reader");
    *out = r;
    return NHUB_OK;
}

void disk_reader_destroy(struct disk_reader **r_p)
{
    struct disk_reader *r = *r_p;

    if (r) {
        mailbox_post(r->box, &r->stop_post.letter);
        (void)pthread_join(r->thread, NULL);
        mailbox_destroy(&r->box);
        free(r);
        *r_p = NULL;
    }
}

void disk_reader_post(struct disk_reader *r, struct disk_scan *scan)
{
    mailbox_post(r->box, &scan->post.letter);
}
