/*
 * notifyhub: the command for people and scripts. Finds out where hub and gateway are, and runs one
 * of the commands, each in a file of its own (cmd_*.c).
 */
#include "base/buf.h"
#include "base/settings.h"
#include "cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    cli_run_fn *run;
    const char *summary;
} commands[] = {
    {"pub", cmd_pub, "publish an event, or a stream of them from stdin"},
    {"sub", cmd_sub, "print events as they come, also missed ones"},
    {"history", cmd_history, "print what the hub keeps"},
    {"consume", cmd_consume, "take events of a consumer group, at least once"},
    {"groups", cmd_groups, "show, make and delete consumer groups"},
    {"health", cmd_health, "is it well? for probes"},
    {"status", cmd_status, "ports, counters, position"},
    {"stop", cmd_stop, "end the hub in an orderly way"},
    {"top", cmd_top, "rates, losses and health in the terminal, live"},
    {"journal", cmd_journal, "look into the hub's folder, save it, bring it back"},
    {"bench", cmd_bench, "measure rate, losses and latency"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_usage(FILE *to)
{
    (void)fprintf(to,
                  "notifyhub %s: publish, subscribe and ask a Notification Hub\n\n"
                  "Usage: notifyhub COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n",
                  nhub_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    (void)fprintf(
        to, "\nExamples:\n"
            "  notifyhub pub new_setup '{\"setup_id\":\"0001234\"}' --source cm\n"
            "  notifyhub sub 'new_*'\n"
            "  notifyhub status\n"
            "\nnotifyhub COMMAND --help tells more. Where the hub is comes from the daemons'\n"
            "configuration file (--config FILE, $NOTIFYHUB_CONFIG), environment and flags, or\n"
            "from --hub HOST and --requests-port PORT; --gateway URL talks HTTP to a gateway.\n"
            "\nExit status: 0 done · 1 the answer is no · 2 wrong usage · 3 nobody answers ·\n"
            "4 refused · 5 events are missing · 6 published, but not kept as asked for\n");
}

/* Takes --config FILE out of argv. Returns false when its value is missing. */
static bool take_config(int *argc, char **argv, const char **path)
{
    int kept = 1;

    *path = getenv("NOTIFYHUB_CONFIG");
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            while (i < *argc) {
                argv[kept++] = argv[i++];
            }
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            *path = argv[i] + 9;
        } else if (strcmp(argv[i], "--config") == 0) {
            if (++i == *argc) {
                return false;
            }
            *path = argv[i];
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return true;
}

static nhub_err load(struct options *o, const char *path, int *argc, char **argv, struct buf *error)
{
    nhub_err err = options_defaults(o, error);

    if (err == NHUB_OK && path && *path) {
        err = options_load_file(o, path, error);
    }
    if (err == NHUB_OK) {
        err = options_load_env(o, environ, error);
    }
    if (err == NHUB_OK) {
        err = options_load_args(o, argc, argv, error);
    }
    return err;
}

static bool wants_color(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(fd) == 1 && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

static void print_log(void *context, nhub_log_level level, const char *event, const char *text)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    (void)context;
    (void)fprintf(stderr, "%s: %s%s%s\n", names[level], event, *text ? " " : "", text);
}

static int run_command(struct cli *cli, int argc, char **argv)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(cli, argc - 1, argv + 1);
        }
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return cli_flush() ? CLI_OK : CLI_NEGATIVE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        (void)printf("notifyhub %s\n", nhub_version());
        return cli_flush() ? CLI_OK : CLI_NEGATIVE;
    }
    cli_error(cli, "unknown command \"%s\" (see notifyhub --help)", argv[1]);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct options options;
    struct buf error;
    const char *path = NULL;
    struct cli cli = {.has_color_out = wants_color(STDOUT_FILENO),
                      .has_color_err = wants_color(STDERR_FILENO)};
    int status = CLI_USAGE;

    /* Whoever stops reading our output ends us in an orderly way: the write fails. */
    (void)signal(SIGPIPE, SIG_IGN);
    buf_init(&error);
    settings_options(&settings, &options);
    if (!take_config(&argc, argv, &path)) {
        cli_error(&cli, "--config needs a file");
    } else if (load(&options, path, &argc, argv, &error) != NHUB_OK) {
        cli_error(&cli, "%s", buf_cstr(&error));
    } else if (argc < 2) {
        print_usage(stderr);
    } else {
        cli.host = settings.gateway.hub_host;
        cli.collector_port = (uint16_t)settings.hub.collector_port;
        cli.publisher_port = (uint16_t)settings.hub.publisher_port;
        cli.requests_port = (uint16_t)settings.hub.requests_port;
        cli.gateway = getenv("NOTIFYHUB_URL");
        cli.journal_path = settings.hub.journal.path;
        cli.log = print_log;
        status = run_command(&cli, argc, argv);
    }
    options_free(&options);
    buf_fini(&error);
    return status;
}
