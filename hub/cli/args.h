/*
 * args: one table row for each option of a command makes its parsing and its --help.
 *
 * Options may stand before, between and behind the arguments; "--" ends them. Every command knows
 * the common ones (where hub or gateway are, --timeout, --json …).
 *
 * Threads: the main one (getopt_long keeps state).
 */
#ifndef NHUB_CLI_ARGS_H
#define NHUB_CLI_ARGS_H

#include "cli/cli.h"

enum arg_kind {
    ARG_FLAG,   /* bool */
    ARG_TEXT,   /* const char * */
    ARG_LIST,   /* struct cli_list; may be given several times */
    ARG_NUMBER, /* uint64_t within min … max */
    ARG_PORT,   /* uint16_t, 1 … 65535 */
    ARG_TIME    /* int, milliseconds: 5 (seconds), 0.5, 500ms, 2s, 1m */
};

struct arg {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* 0 = none */
    enum arg_kind kind;
    void *value;
    const char *metavar; /* NULL for flags */
    const char *help;    /* one sentence, may hold line breaks */
    uint64_t min, max;   /* ARG_NUMBER; max 0 = none */
};

struct command_help {
    const char *name;
    const char *usage;    /* behind "notifyhub NAME [OPTION]... " */
    const char *about;    /* what it does, some lines */
    const char *examples; /* lines that begin with two blanks */
    const char *exits;    /* lines about its exit status */
};

/* Parses; afterwards (*argv)[0 … *argc - 1] are the arguments. Returns true to go on; otherwise the
 * command ends with *out_exit (help was printed, or an error). */
bool args_parse(struct cli *cli, const struct command_help *help, const struct arg *own, int *argc,
                char ***argv, int *out_exit);
/* A mistake that only the command can see; prints it with a hint and returns CLI_USAGE. */
int args_mistake(const struct cli *cli, const struct command_help *help, const char *format, ...)
    NHUB_PRINTF(3, 4);
/* What commands that read events are given: since (NULL = absent) and patterns. The same mistake
 * gets the same words and CLI_USAGE, whoever would be asked; CLI_OK when there is none. */
int args_check_reading(const struct cli *cli, const struct command_help *help, const char *since,
                       const struct cli_list *patterns);

#endif
