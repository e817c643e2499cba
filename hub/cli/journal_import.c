/*
 * journal_import: makes a journal from lines as export prints them.
 *
 * The journal counts as unfinished until the last line is in (store.h, is_import): what was begun
 * and not finished is deleted, or, after a kill, refused by every hub. Numbers that are missing
 * between two lines become voids, so that readers are told of them: for the reason that a line of
 * its own gives (journal_void.h), or as not stored.
 */
#include "cli/journal.h"
#include "cli/journal_void.h"
#include "wire/event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH_LINES    4096
#define BATCH_BYTES    (UINT64_C(4) << 20)
#define READ_BYTES     (64u << 10)
#define LINE_MAX_BYTES (UINT64_C(64) << 20)
/* The hub that was exported may have reserved half as much again as one reservation. */
#define VOID_NUMBERS (2 * STORE_RESERVATION)
/* Room in the map when nobody knows how much will come; it costs addresses only. */
#define STDIN_BYTES (UINT64_C(64) << 30)
#define SECONDS_MAX 1e11 /* of a time that makes sense */

struct importer {
    const struct journal_job *job;
    struct store *store;
    FILE *from;
    struct buf text; /* read and not yet used up */
    size_t used;
    uint64_t line_no;
    char epoch[EPOCH_LEN + 1]; /* of the line before; "" at the start */
    uint64_t seq;
    int64_t arrival_us;
    uint64_t batch_lines, batch_bytes;
    uint64_t events;
    struct journal_progress progress;
};

static int refuse_line(const struct importer *m, const char *why)
{
    cli_error(m->job->cli, "line %" PRIu64 ": %s", m->line_no, why);
    return CLI_NEGATIVE;
}

static int store_failed(const struct importer *m, nhub_err err)
{
    cli_error(m->job->cli, "cannot store line %" PRIu64 ": %s", m->line_no,
              err == NHUB_ESYS    ? strerror(errno)
              : err == NHUB_EFULL ? "the disk is full"
                                  : nhub_strerror(err));
    return CLI_NEGATIVE;
}

/* ---- lines ---- */

/* The next line without its end; *out is NULL at the end of the input. */
static int next_line(struct importer *m, const char **out, size_t *out_len)
{
    size_t searched = 0;

    *out = NULL;
    for (;;) {
        const char *begin = m->text.data ? m->text.data + m->used : NULL;
        const size_t there = m->text.len - m->used;
        const char *end =
            there > searched ? memchr(begin + searched, '\n', there - searched) : NULL;
        size_t got = 0;

        if (end || (feof(m->from) && there > 0)) {
            *out = begin;
            *out_len = end ? (size_t)(end - begin) : there;
            m->used += *out_len + (end ? 1 : 0);
            m->line_no++;
            return CLI_OK;
        }
        if (feof(m->from)) {
            return CLI_OK;
        }
        searched = there;
        buf_consume(&m->text, m->used);
        m->used = 0;
        if (there > LINE_MAX_BYTES || buf_reserve(&m->text, READ_BYTES) != NHUB_OK) {
            m->line_no++;
            return refuse_line(m, "is too long to be an event");
        }
        got = fread(m->text.data + m->text.len, 1, READ_BYTES, m->from);
        m->text.len += got;
        if (ferror(m->from)) {
            cli_error(m->job->cli, "cannot read on: %s", strerror(errno));
            return CLI_NEGATIVE;
        }
    }
}

/* ---- events ---- */

/* Microseconds of the event's timestamp, but never before those of the event in front of it. */
static int64_t arrival_of(const struct importer *m, const struct event *e)
{
    double seconds = 0;

    if (json_span_double(&e->field[EVENT_TIMESTAMP], &seconds) == NHUB_OK && seconds > 0 &&
        seconds < SECONDS_MAX && (int64_t)(seconds * 1e6) > m->arrival_us) {
        return (int64_t)(seconds * 1e6);
    }
    return m->arrival_us;
}

static bool was_there(struct importer *m, const char *epoch)
{
    struct store_meta meta;
    char name[EPOCH_LEN + 1];

    store_get_meta(m->store, &meta);
    for (unsigned no = 1; no <= meta.epoch_no; no++) {
        if (store_epoch_name(m->store, (uint16_t)no, name) == NHUB_OK && strcmp(name, epoch) == 0) {
            return true;
        }
    }
    return false;
}

static nhub_err begin_batch(struct importer *m)
{
    m->batch_lines = m->batch_bytes = 0;
    return store_begin(m->store);
}

static nhub_err end_batch(struct importer *m)
{
    journal_progress_tell(&m->progress, "imported", m->events, 0);
    return store_commit(m->store);
}

/* All numbers may be used while the import runs; finish() says which are. */
static nhub_err put_epoch(struct importer *m, const char *epoch)
{
    struct store_meta meta = {.reserved_to = STORE_SEQ_MAX};

    memcpy(meta.epoch, epoch, sizeof meta.epoch);
    return store_put_meta(m->store, &meta);
}

/* A line of another epoch: the batch ends, so that the names of all epochs so far can be asked. */
static int change_epoch(struct importer *m, const char *epoch)
{
    nhub_err err = end_batch(m);

    if (err == NHUB_OK) {
        if (was_there(m, epoch)) {
            return refuse_line(m, "is of an epoch that had ended before");
        }
        err = begin_batch(m);
    }
    if (err == NHUB_OK) {
        err = put_epoch(m, epoch);
    }
    memcpy(m->epoch, epoch, sizeof m->epoch);
    m->seq = 0;
    return err == NHUB_OK ? CLI_OK : store_failed(m, err);
}

/* A line that is a void: its numbers are taken, and it says why they have no event. */
static int put_void_line(struct importer *m, const struct event *event, uint64_t seq)
{
    const struct json_span *data = &event->field[EVENT_DATA];
    struct store_void_range range = {.noted_us = 0};
    double seconds = 0;
    nhub_err err = NHUB_OK;

    if (journal_void_read(data->p, data->len, &range) != NHUB_OK || range.from != seq) {
        return refuse_line(m, "is no void as export prints them");
    }
    if (json_span_double(&event->field[EVENT_TIMESTAMP], &seconds) == NHUB_OK && seconds > 0 &&
        seconds < SECONDS_MAX) {
        range.noted_us = (int64_t)(seconds * 1e6 + 0.5);
    }
    err = store_put_void_range(m->store, &range);
    m->seq = range.to;
    m->batch_lines++;
    return err == NHUB_OK ? CLI_OK : store_failed(m, err);
}

static int put_line(struct importer *m, const char *line, size_t len)
{
    struct position position;
    struct position tail;
    struct event event;
    nhub_err err = NHUB_OK;

    /* Readers find the position at the end of the line: it has to stand there, and once. */
    if (event_parse_numbered(line, len, &event, &position) != NHUB_OK ||
        event_tail_position(line, len, &tail) != NHUB_OK || !position_equal(&position, &tail) ||
        event.has_newline || position.seq == 0 || position.seq > STORE_SEQ_MAX) {
        return refuse_line(m, "is no event as export prints them");
    }
    if (strcmp(position.epoch, m->epoch) != 0) {
        const int status = change_epoch(m, position.epoch);

        if (status != CLI_OK) {
            return status;
        }
    }
    if (position.seq <= m->seq) {
        return refuse_line(m, "has a number that is not larger than the one before");
    }
    if (m->seq != 0 && position.seq > m->seq + 1) {
        err = store_put_void(m->store, m->seq + 1, position.seq - 1, STORE_VOID_NOT_STORED);
    }
    if (err == NHUB_OK && event.type_len == strlen(JOURNAL_VOID_TYPE) &&
        memcmp(event.type, JOURNAL_VOID_TYPE, event.type_len) == 0) {
        return put_void_line(m, &event, position.seq);
    }
    m->arrival_us = arrival_of(m, &event);
    if (err == NHUB_OK) {
        err = store_put_event(m->store, position.seq, m->arrival_us, event.type, event.type_len,
                              line, len);
    }
    m->seq = position.seq;
    m->events++;
    m->batch_lines++;
    m->batch_bytes += len;
    return err == NHUB_OK ? CLI_OK : store_failed(m, err);
}

static int put_all(struct importer *m)
{
    nhub_err err = begin_batch(m);
    int status = err == NHUB_OK ? CLI_OK : store_failed(m, err);

    while (status == CLI_OK) {
        const char *line = NULL;
        size_t len = 0;

        if (interrupt_seen()) {
            return CLI_NEGATIVE;
        }
        status = next_line(m, &line, &len);
        if (status != CLI_OK || !line) {
            break;
        }
        status = put_line(m, line, len);
        if (status == CLI_OK && (m->batch_lines == BATCH_LINES || m->batch_bytes >= BATCH_BYTES)) {
            err = end_batch(m);
            if (err == NHUB_OK) {
                err = begin_batch(m);
            }
            status = err == NHUB_OK ? CLI_OK : store_failed(m, err);
        }
    }
    return status;
}

/* ---- the end ---- */

/* Where the hub goes on: behind a reservation that it will find unclean, or in a new epoch. */
static nhub_err put_end(struct importer *m)
{
    struct store_meta meta = {.last_seq = m->seq, .reserved_to = m->seq};

    memcpy(meta.epoch, m->epoch, sizeof meta.epoch);
    if (m->job->new_epoch) {
        meta = (struct store_meta){.was_clean = true};
        epoch_random(meta.epoch);
    } else if (m->seq > STORE_SEQ_MAX - VOID_NUMBERS) {
        meta.reserved_to = STORE_SEQ_MAX;
    } else {
        meta.reserved_to += VOID_NUMBERS;
    }
    return store_put_meta(m->store, &meta);
}

static int finish(struct importer *m)
{
    nhub_err err = NHUB_OK;

    if (m->events == 0) {
        cli_error(m->job->cli, "there is no event to import");
        return CLI_NEGATIVE;
    }
    err = put_end(m);
    if (err == NHUB_OK) {
        err = store_finish_import(m->store);
    }
    if (err == NHUB_OK) {
        err = store_commit(m->store);
    }
    if (err == NHUB_OK) {
        err = store_sync(m->store);
    }
    return err == NHUB_OK ? CLI_OK : store_failed(m, err);
}

/* Twice the input is enough for any lines: a record's head is smaller than the shortest line. */
static uint64_t room_for(FILE *from)
{
    struct stat st;

    if (fstat(fileno(from), &st) == 0 && S_ISREG(st.st_mode)) {
        return 2 * (uint64_t)st.st_size + (UINT64_C(1) << 30);
    }
    return STDIN_BYTES;
}

static int import_from(struct importer *m)
{
    const struct store_options options = {
        .mode = STORE_WRITE, .max_bytes = room_for(m->from), .is_import = true};
    struct buf error;
    nhub_err err = NHUB_OK;
    int status = CLI_OK;

    buf_init(&error);
    err = store_open(&m->store, m->job->path, &options, &error);
    if (err != NHUB_OK) {
        cli_error(m->job->cli, "%s", error.len > 0 ? buf_cstr(&error) : nhub_strerror(err));
        buf_fini(&error);
        return journal_open_exit(err);
    }
    buf_fini(&error);
    status = put_all(m);
    if (status == CLI_OK) {
        status = finish(m);
    }
    journal_progress_end(&m->progress);
    if (status != CLI_OK) {
        cli_error(m->job->cli, "nothing was imported");
        store_discard(&m->store);
        return status;
    }
    store_close(&m->store);
    return CLI_OK;
}

int journal_import(const struct journal_job *job)
{
    struct importer m = {.job = job, .from = stdin, .progress = {.cli = job->cli}};
    int status = CLI_OK;

    if (job->file && strcmp(job->file, "-") != 0) {
        m.from = fopen(job->file, "re");
        if (!m.from) {
            cli_error(job->cli, "cannot read %s: %s", job->file, strerror(errno));
            return CLI_NEGATIVE;
        }
    }
    buf_init(&m.text);
    status = import_from(&m);
    if (status == CLI_OK && !job->cli->is_quiet) {
        cli_note(job->cli, "%" PRIu64 " events imported into %s, the last one is %s-%" PRIu64,
                 m.events, job->path, m.epoch, m.seq);
    }
    buf_fini(&m.text);
    if (m.from != stdin) {
        (void)fclose(m.from);
    }
    return status;
}
