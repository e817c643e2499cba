/*
 * consume: takes events of a consumer group, prints them or runs a command for each, and
 * acknowledges them.
 */
#include "base/clock.h"
#include "cli/consume.h"

#include <string.h>

#define WAIT_MS      20000
#define PREFETCH_MAX 1000

static const struct command_help help = {
    .name = "consume",
    .usage = "GROUP [--create [PATTERN]...]",
    .about =
        "Takes events of a consumer group: each goes to one of the group's members at a time until "
        "it\n"
        "is acknowledged. Prints them, one line each, and acknowledges what was printed; with "
        "--exec it\n"
        "runs a command for each instead, the event on its stdin (and NOTIFYHUB_EVENT_TYPE,\n"
        "NOTIFYHUB_DELIVERY, NOTIFYHUB_ATTEMPT in its environment), acknowledges when that exits "
        "with 0,\n"
        "and gives the event back otherwise. A command that runs long keeps its event. An event "
        "may come\n"
        "twice (at least once). Survives restarts of hub and gateway. --create makes the group, "
        "for all\n"
        "events or those of the PATTERNs, when it is not there. Ends with ctrl-C.",
    .examples = "  notifyhub consume mail --create 'order.*' --since earliest --max 10\n"
                "  notifyhub consume mail --exec 'cat >> ~/orders.txt' --max 5\n"
                "  notifyhub consume audit --create --since earliest --json --max 1\n"
                "  notifyhub consume mail --gateway http://localhost:8080 --max 1\n",
    .exits =
        "  0 ended by ctrl-C, --timeout, or after --max events · 1 --timeout came before --max\n"
        "  events, a command failed, or something could not be acknowledged · 2 wrong usage ·\n"
        "  3 nobody answered before --timeout · 4 refused, or there is no such group · 5 a gap was "
        "told\n",
};

bool consume_is_over(const struct consume_job *job)
{
    return interrupt_seen() || job->is_closed || (job->max > 0 && job->done >= job->max) ||
           clock_mono_ms() >= job->until_ms;
}

void consume_gap(struct consume_job *job, const char *from, const char *to, const char *reason)
{
    job->gaps++;
    job->is_closed |= !out_gap(job->cli, from, to, reason, 0);
}

/* Printed and not yet acknowledged. */
struct printed {
    char ids[CONSUME_BATCH][DELIVERY_TEXT_MAX];
    size_t count;
};

static void settle(struct consume_job *job, struct consume_source *source, enum consume_settle what,
                   const char *const *ids, size_t count, int ms)
{
    job->unsettled += source->ops->settle(source, what, ids, count, ms);
}

static void acknowledge(struct consume_job *job, struct consume_source *source,
                        struct printed *printed)
{
    const char *ids[CONSUME_BATCH];

    for (size_t i = 0; i < printed->count; i++) {
        ids[i] = printed->ids[i];
    }
    if (printed->count > 0) {
        settle(job, source, CONSUME_ACK, ids, printed->count, 0);
    }
    printed->count = 0;
}

static void print_one(struct consume_job *job, struct consume_source *source,
                      const struct consumed *delivery, struct printed *printed)
{
    const char *id = delivery->id;

    job->is_closed = !out_event(job->cli, job->format, delivery->event);
    if (job->is_closed) {
        settle(job, source, CONSUME_NACK, &id, 1, 0);
        return;
    }
    job->done++;
    memcpy(printed->ids[printed->count++], id, sizeof delivery->id);
    if (printed->count == CONSUME_BATCH) {
        acknowledge(job, source, printed);
    }
}

static void run_one(struct consume_job *job, struct consume_source *source,
                    const struct consumed *delivery)
{
    const char *id = delivery->id;

    if (consume_exec(job, source, delivery)) {
        settle(job, source, CONSUME_ACK, &id, 1, 0);
    } else {
        job->failed_runs++;
        settle(job, source, CONSUME_NACK, &id, 1, job->delay_ms);
    }
    job->done++;
}

static int wait_ms(const struct consume_job *job)
{
    const int64_t left_ms = job->until_ms - clock_mono_ms();

    return left_ms <= 0 ? 0 : left_ms < WAIT_MS ? (int)left_ms : WAIT_MS;
}

static int run(struct consume_job *job, struct consume_source *source)
{
    struct printed printed = {.count = 0};
    struct consumed delivery;
    int status = CLI_OK;

    while ((status == CLI_OK || status == CONSUME_NOTHING) && !consume_is_over(job)) {
        /* What is printed is acknowledged before anything is waited for. */
        status = source->ops->next(source, printed.count > 0 ? 0 : wait_ms(job), &delivery);
        if (status == CLI_OK && job->command) {
            run_one(job, source, &delivery);
        } else if (status == CLI_OK) {
            print_one(job, source, &delivery, &printed);
        } else {
            acknowledge(job, source, &printed);
        }
    }
    acknowledge(job, source, &printed);
    return status == CONSUME_NOTHING ? CLI_OK : status;
}

/* What the end means. */
static int conclude(const struct consume_job *job)
{
    if (job->gaps > 0) {
        return CLI_GAP;
    }
    if (!job->was_connected && !interrupt_seen()) {
        cli_error(job->cli, "nobody answered in time");
        return CLI_UNREACHABLE;
    }
    if (job->failed_runs > 0 || job->unsettled > 0) {
        return CLI_NEGATIVE;
    }
    return job->max > 0 && job->done < job->max && !interrupt_seen() && !job->is_closed
               ? CLI_NEGATIVE
               : CLI_OK;
}

static int check(struct consume_job *job, int argc, char **argv)
{
    const char *mistake = NULL;

    if (argc < 1) {
        return args_mistake(job->cli, &help, "the GROUP is missing");
    }
    job->group = argv[0];
    if (!group_name_valid(job->group)) {
        return args_mistake(job->cli, &help, "a GROUP is 1 to 64 of A-Z a-z 0-9 _ . -");
    }
    if (argc - 1 > CLI_LIST_MAX) {
        return args_mistake(job->cli, &help, "at most %d patterns", CLI_LIST_MAX);
    }
    for (int i = 1; i < argc; i++) {
        job->settings.patterns.items[job->settings.patterns.count++] = argv[i];
    }
    if (!job->creates && group_settings_given(&job->settings)) {
        return args_mistake(job->cli, &help,
                            "patterns and settings of the group only go with --create");
    }
    mistake = group_settings_mistake(&job->settings);
    if (mistake) {
        return args_mistake(job->cli, &help, "%s", mistake);
    }
    if (job->member && (!*job->member || strlen(job->member) > 128)) {
        return args_mistake(job->cli, &help, "--member: allowed are 1 to 128 bytes");
    }
    return CLI_OK;
}

int cmd_consume(struct cli *cli, int argc, char **argv)
{
    struct consume_job job = {.cli = cli, .until_ms = INT64_MAX, .delay_ms = 1000};
    struct consume_source *source = NULL;
    struct arg args[GROUP_SETTINGS_ROWS + 10] = {
        {"create", 0, ARG_FLAG, &job.creates, NULL, "make the group when it is not there", 0, 0},
        {"max", 'n', ARG_NUMBER, &job.max, "N", "end after N events", 1, 0},
        {"exec", 'x', ARG_TEXT, &job.command, "CMD", "run CMD (by sh) for each event", 0, 0},
        {"delay", 0, ARG_TIME, &job.delay_ms, "TIME",
         "how soon an event whose CMD failed comes again (1s)", 0, 0},
        {"member", 0, ARG_TEXT, &job.member, "NAME",
         "the name under which the group shows this one", 0, 0},
        {"prefetch", 0, ARG_NUMBER, &job.prefetch, "N",
         "events fetched at once (100, with --exec 1)", 1, PREFETCH_MAX},
        {"timeout", 't', ARG_TIME, &cli->timeout_ms, "TIME", "end after this time", 0, 0},
        {"human", 0, ARG_FLAG, &cli->is_human, NULL, "the readable form, also in a pipe", 0, 0},
        {.name = NULL}};
    int status = CLI_OK;

    group_settings_init(&job.settings);
    group_settings_rows(&job.settings, &args[8]);
    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    status = check(&job, argc, argv);
    if (status != CLI_OK) {
        return status;
    }
    job.format = out_format_of(cli);
    job.prefetch = job.prefetch ? job.prefetch : job.command ? 1 : CONSUME_BATCH;
    job.prefetch = job.max > 0 && job.max < job.prefetch ? job.max : job.prefetch;
    if (cli->timeout_ms > 0) {
        job.until_ms = clock_mono_ms() + cli->timeout_ms;
    }
    interrupt_install();
    if (cli->gateway ? !consume_open_gateway(&job, &source, &status)
                     : !consume_open_hub(&job, &source, &status)) {
        return status;
    }
    status = run(&job, source);
    source->ops->destroy(source);
    return status == CLI_OK ? conclude(&job) : status;
}
