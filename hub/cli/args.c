/*
 * args: getopt_long over a table.
 */
#include "cli/args.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "wire/pattern.h"
#include "wire/position.h"

#define OPTIONS_MAX 48
/* Values that getopt_long() returns for the rows of the table, beyond any letter. */
#define FIRST_VALUE 1000

struct table {
    struct arg rows[OPTIONS_MAX];
    size_t count;
    struct option longs[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 2];
};

static void add_row(struct table *t, const struct arg *row)
{
    const size_t letters = strlen(t->letters);

    t->rows[t->count] = *row;
    t->longs[t->count] =
        (struct option){.name = row->name,
                        .has_arg = row->kind == ARG_FLAG ? no_argument : required_argument,
                        .val = (int)(FIRST_VALUE + t->count)};
    if (row->letter) {
        t->letters[letters] = row->letter;
        t->letters[letters + 1] = row->kind == ARG_FLAG ? '\0' : ':';
    }
    t->count++;
}

static void add_common(struct table *t, struct cli *cli, bool *help)
{
    const struct arg common[] = {
        {"hub", 0, ARG_TEXT, &cli->host, "HOST", "the hub's host (gateway.hub_host, 127.0.0.1)", 0,
         0},
        {"collector-port", 0, ARG_PORT, &cli->collector_port, "PORT",
         "its port for events without answer (hub.collector_port, 4245)", 0, 0},
        {"publisher-port", 0, ARG_PORT, &cli->publisher_port, "PORT",
         "its port for subscribers (hub.publisher_port, 4246)", 0, 0},
        {"requests-port", 0, ARG_PORT, &cli->requests_port, "PORT",
         "its port for requests (hub.requests_port, 4247)", 0, 0},
        {"gateway", 'g', ARG_TEXT, &cli->gateway, "URL",
         "talk to a gateway instead: http://host:8080 ($NOTIFYHUB_URL)", 0, 0},
        {"timeout", 't', ARG_TIME, &cli->timeout_ms, "TIME",
         "how long to wait: 5, 0.5, 500ms, 2m (seconds without a unit)", 0, 0},
        {"json", 'j', ARG_FLAG, &cli->is_json, NULL, "print JSON", 0, 0},
        {"quiet", 'q', ARG_FLAG, &cli->is_quiet, NULL, "print only what is wrong", 0, 0},
        {"verbose", 'v', ARG_FLAG, &cli->is_verbose, NULL,
         "tell on stderr what happens to connections", 0, 0},
        {"help", 'h', ARG_FLAG, help, NULL, "this text", 0, 0},
    };

    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        bool is_own = false;

        for (size_t j = 0; j < t->count; j++) {
            is_own |= strcmp(t->rows[j].name, common[i].name) == 0;
        }
        if (!is_own) {
            add_row(t, &common[i]);
        }
    }
}

/* Values. */

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    unsigned long long value = 0;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < min || (max != 0 && value > max)) {
        return false;
    }
    *out = value;
    return true;
}

static bool read_time(const char *text, int *out_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char *end = NULL;
    double value = 0;

    if (!((*text >= '0' && *text <= '9') || *text == '.')) {
        return false;
    }
    value = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0) {
            const double ms = ceil(value * units[i].ms);

            if (ms < 1 || ms > 2147483647.0) {
                return false;
            }
            *out_ms = (int)ms;
            return true;
        }
    }
    return false;
}

static bool add_to_list(struct cli_list *list, const char *text)
{
    if (list->count == CLI_LIST_MAX) {
        return false;
    }
    list->items[list->count++] = text;
    return true;
}

/* Returns NULL, or what is allowed. */
static const char *set_value(const struct arg *row, const char *text)
{
    static char range[96];
    uint64_t number = 0;

    switch (row->kind) {
    case ARG_FLAG:
        *(bool *)row->value = true;
        return NULL;
    case ARG_TEXT:
        *(const char **)row->value = text;
        return NULL;
    case ARG_LIST:
        return add_to_list(row->value, text) ? NULL : "at most 64 of them";
    case ARG_TIME:
        return read_time(text, row->value) ? NULL : "a time such as 5, 0.5, 500ms, 2s, 1m";
    case ARG_PORT:
        if (!read_number(text, 1, 65535, &number)) {
            return "a port, 1 to 65535";
        }
        *(uint16_t *)row->value = (uint16_t)number;
        return NULL;
    case ARG_NUMBER:
        if (!read_number(text, row->min, row->max, row->value)) {
            (void)snprintf(range, sizeof range, "a number from %llu%s%.0llu",
                           (unsigned long long)row->min, row->max ? " to " : " on",
                           (unsigned long long)row->max);
            return range;
        }
        return NULL;
    }
    return "nothing";
}

/* Help. */

static void print_rows(const struct table *t, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct arg *row = &t->rows[i];
        char left[64];

        (void)snprintf(left, sizeof left, "%c%c%s--%s%s%s", row->letter ? '-' : ' ',
                       row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
                       row->metavar ? " " : "", row->metavar ? row->metavar : "");
        (void)printf("  %-30s ", left);
        for (const char *p = row->help; *p; p++) {
            (void)(*p == '\n' ? printf("\n  %-30s ", "") : putchar(*p));
        }
        (void)putchar('\n');
    }
}

static void print_help(const struct command_help *help, const struct table *t, size_t own_count)
{
    (void)printf("Usage: notifyhub %s [OPTION]...%s%s\n\n%s\n", help->name, *help->usage ? " " : "",
                 help->usage, help->about);
    if (own_count > 0) {
        (void)printf("\nOptions:\n");
        print_rows(t, 0, own_count);
    }
    (void)printf("\nCommon options:\n");
    print_rows(t, own_count, t->count);
    (void)printf("  %-30s %s\n", "    --config FILE",
                 "the daemons' configuration file ($NOTIFYHUB_CONFIG); also\n"
                 "                                 $NOTIFYHUB_HUB_REQUESTS_PORT … as they do");
    (void)printf("\nExamples:\n%s\nExit status:\n%s", help->examples, help->exits);
}

int args_mistake(const struct cli *cli, const struct command_help *help, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_error(cli, "%s: %s (see notifyhub %s --help)", help->name, text, help->name);
    return CLI_USAGE;
}

int args_check_reading(const struct cli *cli, const struct command_help *help, const char *since,
                       const struct cli_list *patterns)
{
    struct since parsed;

    if (since && since_parse(since, strlen(since), &parsed) != NHUB_OK) {
        return args_mistake(cli, help,
                            "--since %s: allowed are a position, a number, an RFC 3339 time, "
                            "earliest, latest",
                            since);
    }
    for (size_t i = 0; i < patterns->count; i++) {
        if (pattern_check(patterns->items[i], strlen(patterns->items[i])) != NHUB_OK) {
            return args_mistake(cli, help, "\"%s\" is no pattern", patterns->items[i]);
        }
    }
    return CLI_OK;
}

/* Parsing. */

static const struct arg *row_of(const struct table *t, int value)
{
    for (size_t i = 0; i < t->count; i++) {
        if (value == (int)(FIRST_VALUE + i) || (t->rows[i].letter && value == t->rows[i].letter)) {
            return &t->rows[i];
        }
    }
    return NULL;
}

static int mistake_of_getopt(const struct cli *cli, const struct command_help *help, int value,
                             char **argv)
{
    const char *text = optopt != 0 && optopt < FIRST_VALUE ? NULL : argv[optind - 1];

    if (value == ':') {
        return args_mistake(cli, help, "%s needs a value", argv[optind - 1]);
    }
    if (text) {
        return args_mistake(cli, help, "unknown option %s", text);
    }
    return args_mistake(cli, help, "unknown option -%c", optopt);
}

bool args_parse(struct cli *cli, const struct command_help *help, const struct arg *own, int *argc,
                char ***argv, int *out_exit)
{
    struct table t = {.count = 0};
    size_t own_count = 0;
    bool wants_help = false;
    int value = 0;

    t.letters[0] = ':'; /* a missing value is told apart from an unknown option */
    for (; own[own_count].name; own_count++) {
        add_row(&t, &own[own_count]);
    }
    add_common(&t, cli, &wants_help);
    opterr = 0;
    optind = 0; /* getopt starts afresh */
    while ((value = getopt_long(*argc, *argv, t.letters, t.longs, NULL)) != -1) {
        const struct arg *row = row_of(&t, value);
        const char *allowed = NULL;

        if (!row) {
            *out_exit = mistake_of_getopt(cli, help, value, *argv);
            return false;
        }
        allowed = set_value(row, optarg);
        if (allowed) {
            *out_exit =
                args_mistake(cli, help, "--%s %s: allowed is %s", row->name, optarg, allowed);
            return false;
        }
    }
    if (wants_help) {
        print_help(help, &t, own_count);
        *out_exit = cli_flush() ? CLI_OK : CLI_NEGATIVE;
        return false;
    }
    if (cli->is_verbose) {
        nhub_log_set(cli->log, NULL, NHUB_LOG_DEBUG);
    }
    if (cli->gateway && cli->gateway[0] == '\0') {
        cli->gateway = NULL; /* --gateway "" beats $NOTIFYHUB_URL */
    }
    *argc -= optind;
    *argv += optind;
    return true;
}
