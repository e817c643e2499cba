/*
 * journal: looks into the folder where a hub keeps its events, saves them and brings them back.
 */
#include "base/clock.h"
#include "cli/args.h"
#include "cli/journal.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 100

static const struct command_help help = {
    .name = "journal",
    .usage = "info|verify|export|import",
    .about =
        "Works on the folder of a hub's journal, without the hub. info, verify and export only\n"
        "read and may be used while the hub runs.\n"
        "  info    what is kept: epoch, numbers, times, voids, disk space, who owns the folder\n"
        "  verify  looks at every page, checksum, number and hole, and names what is wrong. Where\n"
        "          a damage hides what is behind it, every page is searched by itself\n"
        "  export  prints all events of all epochs, oldest first, one line of JSON each, byte for\n"
        "          byte as they were sent to subscribers. Numbers that an unclean stop swallowed\n"
        "          have a line of type hub.void in their place, which import reads. --salvage\n"
        "          searches the file of a damaged journal for events that are whole; trimmed\n"
        "          ones may come back\n"
        "  import  makes a journal from such lines (FILE, or stdin) in a folder that has none.\n"
        "          Epochs and numbers stay; the hub goes on behind a void of 33 554 432 numbers,\n"
        "          so that none is given twice. Import the newest complete export only; for an\n"
        "          older one, or a part (--since, --event-type), use --new-epoch. Arrival times\n"
        "          are taken from the events' timestamps. Ids for de-duplication and consumer\n"
        "          groups are not in an export.",
    .examples = "  notifyhub journal info\n"
                "  notifyhub journal info --path ./data --json | jq .newest\n"
                "  notifyhub journal verify && echo well\n"
                "  notifyhub journal export > events.ndjson\n"
                "  notifyhub journal export --since 2026-03-01T00:00:00Z --event-type 'sensor.*'\n"
                "  notifyhub journal export --salvage > whole.ndjson\n"
                "  notifyhub journal import --path ./restored events.ndjson\n"
                "  notifyhub journal export | notifyhub journal import --path ./copy --new-epoch\n",
    .exits =
        "  0 done, nothing wrong · 1 something is wrong with the journal or the lines, or\n"
        "  there is no journal · 2 wrong usage · 4 refused: another hub owns the folder, or it\n"
        "  has a journal already\n",
};

int journal_open_exit(nhub_err err)
{
    return err == NHUB_EEXIST || err == NHUB_ECONFLICT ? CLI_REFUSED : CLI_NEGATIVE;
}

struct store *journal_open(const struct journal_job *job, int *out_exit)
{
    const struct store_options options = {.mode = STORE_READ};
    struct store *store = NULL;
    struct buf error;
    nhub_err err = NHUB_OK;

    buf_init(&error);
    err = store_open(&store, job->path, &options, &error);
    if (err != NHUB_OK) {
        cli_error(job->cli, "%s", error.len > 0 ? buf_cstr(&error) : nhub_strerror(err));
        *out_exit = journal_open_exit(err);
    }
    buf_fini(&error);
    return store;
}

void journal_progress_tell(struct journal_progress *p, const char *what, uint64_t done, uint64_t of)
{
    const int64_t now_ms = clock_mono_ms();

    if (p->cli->is_quiet || now_ms < p->next_ms || isatty(STDERR_FILENO) != 1) {
        return;
    }
    p->next_ms = now_ms + PROGRESS_MS;
    p->is_shown = true;
    if (of > 0) {
        (void)fprintf(stderr, "\r%s: %" PRIu64 " of %" PRIu64 " (%.0f %%)\033[K", what, done, of,
                      100.0 * (double)done / (double)of);
    } else {
        (void)fprintf(stderr, "\r%s: %" PRIu64 "\033[K", what, done);
    }
}

void journal_progress_end(struct journal_progress *p)
{
    if (p->is_shown) {
        (void)fputs("\r\033[K", stderr);
        p->is_shown = false;
    }
}

static int run(struct journal_job *job, int argc, char **argv)
{
    const char *word = argc > 0 ? argv[0] : "";
    const bool is_import = strcmp(word, "import") == 0;
    const bool is_export = strcmp(word, "export") == 0;

    if (argc > (is_import ? 2 : 1)) {
        return args_mistake(job->cli, &help, "unexpected argument \"%s\"", argv[argc - 1]);
    }
    if (!is_export && (job->since || job->types.count > 0 || job->salvage)) {
        return args_mistake(job->cli, &help,
                            "--since, --event-type and --salvage belong to export");
    }
    if (job->salvage && job->since) {
        return args_mistake(job->cli, &help, "--salvage finds events of any time: no --since");
    }
    if (!is_import && job->new_epoch) {
        return args_mistake(job->cli, &help, "--new-epoch belongs to import");
    }
    if (strcmp(word, "info") == 0) {
        return journal_info(job);
    }
    if (strcmp(word, "verify") == 0) {
        return journal_verify(job);
    }
    if (is_export) {
        return journal_export(job);
    }
    if (is_import) {
        job->file = argc > 1 ? argv[1] : NULL;
        return journal_import(job);
    }
    return args_mistake(job->cli, &help, "one of info, verify, export, import is expected");
}

int cmd_journal(struct cli *cli, int argc, char **argv)
{
    struct journal_job job = {.cli = cli, .path = cli->journal_path};
    const struct arg args[] = {
        {"path", 'p', ARG_TEXT, &job.path, "DIR", "the folder (hub.journal.path, ./data)", 0, 0},
        {"since", 's', ARG_TEXT, &job.since, "WHEN",
         "export: begin behind a position (epoch-seq) or a number of\nthe current epoch, or at a "
         "time (RFC 3339)",
         0, 0},
        {"event-type", 'e', ARG_LIST, &job.types, "PATTERN",
         "export: only these types (* ? [a-z]); may be repeated", 0, 0},
        {"salvage", 0, ARG_FLAG, &job.salvage, NULL,
         "export: the events that are whole, from a damaged journal", 0, 0},
        {"new-epoch", 0, ARG_FLAG, &job.new_epoch, NULL,
         "import: the hub begins a new epoch behind these events", 0, 0},
        {.name = NULL}};
    int status = CLI_OK;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    interrupt_install();
    return run(&job, argc, argv);
}
