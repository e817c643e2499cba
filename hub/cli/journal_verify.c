/*
 * journal_verify: what `notifyhub journal verify` prints: problems on stdout, and about a journal
 * that is damaged so that it cannot be followed, on stderr what is left of it.
 */
#include "cli/journal.h"
#include "store/store_salvage.h"
#include "store/store_verify.h"

#include <inttypes.h>

#define PROBLEMS_SHOWN 100

struct verifying {
    const struct cli *cli;
    struct journal_progress progress;
    uint64_t shown;
};

static void on_problem(void *context, const char *text)
{
    struct verifying *v = context;

    journal_progress_end(&v->progress);
    v->shown++;
    if (v->shown <= PROBLEMS_SHOWN) {
        (void)printf("%s\n", text);
    } else if (v->shown == PROBLEMS_SHOWN + 1) {
        (void)printf("… more are only counted\n");
    }
}

static void on_progress(void *context, const char *what, uint64_t done, uint64_t of)
{
    struct verifying *v = context;

    journal_progress_tell(&v->progress, what, done, of);
}

/* ---- page by page ---- */

/* Whole events of one epoch, as far as they were met. */
struct whole {
    const struct journal_job *job;
    struct journal_progress progress;
    uint16_t epoch_no;
    uint64_t first, last, count;
    bool is_headed;
};

static void tell_head(struct whole *w)
{
    journal_progress_end(&w->progress);
    if (!w->is_headed) {
        w->is_headed = true;
        cli_note(w->job->cli, "Events, voids, ids and notes were not looked at in their places. "
                              "Searching every page by itself finds:");
    }
}

static void tell_epoch(struct whole *w)
{
    if (w->count > 0) {
        tell_head(w);
        cli_note(w->job->cli,
                 "  epoch number %u: %" PRIu64 " whole events, numbers %" PRIu64 " to %" PRIu64,
                 (unsigned)w->epoch_no, w->count, w->first, w->last);
    }
}

static bool count_whole(void *context, const struct store_record *r)
{
    struct whole *w = context;

    if (w->count == 0 || r->epoch_no != w->epoch_no) {
        tell_epoch(w);
        w->epoch_no = r->epoch_no;
        w->first = r->seq;
        w->count = 0;
    }
    w->last = r->seq;
    w->count++;
    return !interrupt_seen();
}

static void on_pages(void *context, uint64_t pages, uint64_t of)
{
    struct whole *w = context;

    journal_progress_tell(&w->progress, "pages searched", pages, of);
}

/* What a damage hides behind it is not looked at in its place: pages lead to it that are not to be
 * believed. But every page can be searched by itself, and that says what is left. */
static void search_pages(const struct journal_job *job)
{
    struct whole w = {.job = job, .progress = {.cli = job->cli}};
    struct store_salvage search = {.visit = count_whole, .progress = on_pages, .context = &w};
    struct buf error;
    nhub_err err = NHUB_OK;

    buf_init(&error);
    err = store_salvage(job->path, &search, &error);
    tell_epoch(&w);
    journal_progress_end(&w.progress);
    if (err != NHUB_OK && search.pages > 0) {
        cli_error(job->cli, "cannot search on: %s", nhub_strerror(err));
    } else if (search.pages > 0) {
        tell_head(&w);
        cli_note(job->cli,
                 "  %" PRIu64 " whole events in %" PRIu64 " pages, of which %" PRIu64
                 " cannot be read; 'notifyhub journal export --salvage --path %s' saves them",
                 search.events, search.pages, search.unreadable, job->path);
    }
    buf_fini(&error);
}

/* ---- all of it ---- */

int journal_verify(const struct journal_job *job)
{
    struct verifying state = {.cli = job->cli, .progress = {.cli = job->cli}};
    struct store_verify verify = {
        .problem = on_problem, .progress = on_progress, .context = &state};
    nhub_err err = NHUB_OK;
    int status = CLI_OK;
    struct store *store = journal_open(job, &status);

    if (!store) {
        search_pages(job);
        return status;
    }
    err = store_verify(store, &verify);
    journal_progress_end(&state.progress);
    store_close(&store);
    if (err != NHUB_OK) {
        cli_error(job->cli, "cannot look at everything: %s", nhub_strerror(err));
        return CLI_NEGATIVE;
    }
    if (job->cli->is_json) {
        (void)printf("{\"problems\":%" PRIu64 ",\"complete\":%s,\"pages\":%" PRIu64
                     ",\"events\":%" PRIu64 ",\"voids\":%" PRIu64 ",\"ids\":%" PRIu64
                     ",\"notes\":%" PRIu64 "}\n",
                     verify.problems, verify.is_partial ? "false" : "true", verify.pages,
                     verify.records, verify.voids, verify.ids, verify.notes);
    } else if (!job->cli->is_quiet || verify.problems > 0) {
        (void)printf("%s: %" PRIu64 " problem%s in %" PRIu64 " pages, %" PRIu64 " events, %" PRIu64
                     " voids, %" PRIu64 " ids, %" PRIu64 " notes\n",
                     job->path, verify.problems, verify.problems == 1 ? "" : "s", verify.pages,
                     verify.records, verify.voids, verify.ids, verify.notes);
    }
    if (verify.is_partial) {
        search_pages(job);
    }
    return cli_flush() && verify.problems == 0 ? CLI_OK : CLI_NEGATIVE;
}
