/*
 * journal_export: all events as lines.
 *
 * Each turn copies some records inside a short read transaction and prints them behind it: whoever
 * reads our output slowly must not keep the hub from using pages again.
 */
#include "cli/journal.h"
#include "cli/journal_void.h"
#include "store/store_salvage.h"
#include "wire/pattern.h"
#include "wire/position.h"

#include <inttypes.h>
#include <string.h>

#define TURN_RECORDS 4096
#define TURN_BYTES   (1u << 20)
#define BAD_SHOWN    10

struct exporter {
    const struct journal_job *job;
    struct store *store;
    struct buf lines;
    int64_t from_us;      /* events that arrived earlier are passed over */
    struct buf voids;     /* struct store_void_range each, of the whole journal, ascending */
    size_t next_void;     /* the first one that was not passed */
    uint64_t done, total; /* records met, records there at the start */
    uint64_t bad;
    struct journal_progress progress;
};

static bool is_wanted_type(const struct exporter *e, const char *type, size_t len)
{
    const struct cli_list *types = &e->job->types;

    for (size_t i = 0; i < types->count; i++) {
        if (pattern_match(types->items[i], strlen(types->items[i]), type, len)) {
            return true;
        }
    }
    return types->count == 0;
}

static bool is_wanted(const struct exporter *e, const struct store_record *r)
{
    return r->arrival_us >= e->from_us && is_wanted_type(e, r->type, r->type_len);
}

/* ---- voids ---- */

static void note_void(void *context, const struct store_void_range *range)
{
    buf_add(context, range, sizeof *range);
}

static const struct store_void_range *next_void(const struct exporter *e)
{
    const struct store_void_range *all = (const void *)e->voids.data;

    return e->next_void < e->voids.len / sizeof *all ? &all[e->next_void] : NULL;
}

static void add_void(struct exporter *e, const struct store_void_range *range)
{
    char epoch[EPOCH_LEN + 1];

    if (range->noted_us >= e->from_us &&
        is_wanted_type(e, JOURNAL_VOID_TYPE, strlen(JOURNAL_VOID_TYPE)) &&
        store_epoch_name(e->store, range->epoch_no, epoch) == NHUB_OK) {
        journal_void_write(&e->lines, range, epoch);
    }
}

/* The voids in front of a record; NULL: of the end. Import makes a void of the numbers that are
 * missing in front of an event: only what it could not know by that has a line. */
static void add_voids(struct exporter *e, const struct store_record *r)
{
    const struct store_void_range *v;

    while ((v = next_void(e)) != NULL &&
           (!r || v->epoch_no < r->epoch_no || (v->epoch_no == r->epoch_no && v->from < r->seq))) {
        if (v->why == STORE_VOID_UNCLEAN_STOP || !r || r->epoch_no != v->epoch_no) {
            add_void(e, v);
        }
        e->next_void++;
    }
}

/* All that are there, but for those that lie in front of where the export begins. */
static nhub_err load_voids(struct exporter *e, uint16_t epoch_no, uint64_t seq)
{
    struct store_void_range *v;
    const nhub_err err = store_read_voids(e->store, note_void, &e->voids);

    if (err != NHUB_OK || e->voids.failed) {
        return err != NHUB_OK ? err : NHUB_ENOMEM;
    }
    for (v = (void *)e->voids.data; next_void(e); v++, e->next_void++) {
        if (v->epoch_no > epoch_no || (v->epoch_no == epoch_no && v->to > seq)) {
            if (v->epoch_no == epoch_no && v->from <= seq) {
                v->from = seq + 1;
            }
            break;
        }
    }
    return NHUB_OK;
}

/* ---- events ---- */

static bool take(void *context, const struct store_record *r)
{
    struct exporter *e = context;

    if (e->lines.len > 0 && e->lines.len + r->len > TURN_BYTES) {
        return false;
    }
    e->done++;
    add_voids(e, r);
    if (!r->line) {
        e->bad++;
        if (e->bad <= BAD_SHOWN) {
            cli_error(e->job->cli, "event %" PRIu64 " of epoch number %u is damaged and left out",
                      r->seq, (unsigned)r->epoch_no);
        }
    } else if (is_wanted(e, r)) {
        buf_add(&e->lines, r->line, r->len);
        buf_add_char(&e->lines, '\n');
    }
    return true;
}

/* The place to begin behind; CLI_OK, or the exit status after a message. */
static int find_epoch(const struct exporter *e, const char *epoch, uint16_t *out)
{
    struct store_meta meta;
    char name[EPOCH_LEN + 1];

    store_get_meta(e->store, &meta);
    for (unsigned no = 1; no <= meta.epoch_no; no++) {
        if (store_epoch_name(e->store, (uint16_t)no, name) == NHUB_OK && strcmp(name, epoch) == 0) {
            *out = (uint16_t)no;
            return CLI_OK;
        }
    }
    cli_error(e->job->cli, "this journal never had the epoch %s; it is in epoch %s", epoch,
              meta.epoch);
    return CLI_NEGATIVE;
}

static int begin_at(struct exporter *e, uint16_t *epoch_no, uint64_t *seq)
{
    const char *text = e->job->since;
    struct store_meta meta;
    struct since since;

    if (!text) {
        return CLI_OK;
    }
    if (since_parse(text, strlen(text), &since) != NHUB_OK || since.kind == SINCE_LATEST) {
        cli_error(e->job->cli,
                  "--since %s: allowed are a position, a number, an RFC 3339 time, earliest", text);
        return CLI_USAGE;
    }
    store_get_meta(e->store, &meta);
    if (since.kind == SINCE_TIME) {
        e->from_us = since.time_us;
    } else if (since.kind == SINCE_SEQ || since.kind == SINCE_POSITION) {
        *epoch_no = meta.epoch_no;
        *seq = since.position.seq < STORE_SEQ_MAX ? since.position.seq : STORE_SEQ_MAX;
        if (since.kind == SINCE_POSITION) {
            return find_epoch(e, since.position.epoch, epoch_no);
        }
    }
    return CLI_OK;
}

static int print_all(struct exporter *e, uint16_t epoch_no, uint64_t seq)
{
    nhub_err err = load_voids(e, epoch_no, seq);
    bool more = true;

    while (more && !interrupt_seen()) {
        if (err == NHUB_OK) {
            err = store_read_all(e->store, &epoch_no, &seq, TURN_RECORDS, take, e, &more);
        }
        if (err == NHUB_OK && !more) {
            add_voids(e, NULL);
        }
        if (err != NHUB_OK || e->lines.failed) {
            cli_error(e->job->cli, "cannot read on: %s",
                      nhub_strerror(err != NHUB_OK ? err : NHUB_ENOMEM));
            return CLI_NEGATIVE;
        }
        if (e->lines.len > 0 && fwrite(e->lines.data, 1, e->lines.len, stdout) != e->lines.len) {
            return CLI_NEGATIVE; /* nobody reads on, or the disk is full: told below */
        }
        buf_reset(&e->lines);
        journal_progress_tell(&e->progress, "exported", e->done, e->total);
    }
    return interrupt_seen() ? CLI_NEGATIVE : CLI_OK;
}

/* ---- from a journal that cannot be opened ---- */

static bool print_found(void *context, const struct store_record *r)
{
    struct exporter *e = context;

    if (!is_wanted(e, r)) {
        return true;
    }
    return fwrite(r->line, 1, r->len, stdout) == r->len && fputc('\n', stdout) != EOF &&
           !interrupt_seen();
}

static void tell_pages(void *context, uint64_t pages, uint64_t of)
{
    struct exporter *e = context;

    journal_progress_tell(&e->progress, "pages searched", pages, of);
}

static int salvage(const struct journal_job *job)
{
    struct exporter e = {.job = job, .from_us = INT64_MIN, .progress = {.cli = job->cli}};
    struct store_salvage what = {.visit = print_found, .progress = tell_pages, .context = &e};
    struct buf error;
    nhub_err err = NHUB_OK;
    int status = CLI_OK;

    buf_init(&error);
    err = store_salvage(job->path, &what, &error);
    journal_progress_end(&e.progress);
    if (err != NHUB_OK) {
        cli_error(job->cli, "%s", error.len > 0 ? buf_cstr(&error) : nhub_strerror(err));
        status = CLI_NEGATIVE;
    } else if (!cli_flush() || interrupt_seen()) {
        cli_error(job->cli, "the output is not complete");
        status = CLI_NEGATIVE;
    } else if (!job->cli->is_quiet) {
        cli_note(job->cli, "%" PRIu64 " events found in %" PRIu64 " pages", what.events,
                 what.pages);
    }
    buf_fini(&error);
    return status;
}

int journal_export(const struct journal_job *job)
{
    struct exporter e = {.job = job, .from_us = INT64_MIN, .progress = {.cli = job->cli}};
    struct store_figures figures;
    uint16_t epoch_no = 0;
    uint64_t seq = 0;
    int status = CLI_OK;

    if (job->salvage) {
        return salvage(job);
    }
    e.store = journal_open(job, &status);
    if (!e.store) {
        return status;
    }
    buf_init(&e.lines);
    buf_init(&e.voids);
    store_figures(e.store, &figures);
    e.total = figures.records;
    status = begin_at(&e, &epoch_no, &seq);
    if (status == CLI_OK) {
        status = print_all(&e, epoch_no, seq);
        journal_progress_end(&e.progress);
        if (!cli_flush()) {
            cli_error(job->cli, "the output is not complete");
            status = CLI_NEGATIVE;
        }
    }
    if (e.bad > 0) {
        cli_error(job->cli, "%" PRIu64 " damaged events are left out", e.bad);
        status = CLI_NEGATIVE;
    }
    buf_fini(&e.lines);
    buf_fini(&e.voids);
    store_close(&e.store);
    return status;
}
