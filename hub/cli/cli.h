/*
 * cli: what all commands of `notifyhub` share: where hub or gateway are, how to print, how to end.
 *
 * Threads: the main one; what is set at the start is only read afterwards.
 */
#ifndef NHUB_CLI_CLI_H
#define NHUB_CLI_CLI_H

#include <notifyhub/notifyhub.h>
#include <stdio.h>

/* The exit status of every command; scripts rely on it (README, --help). */
enum cli_exit {
    CLI_OK = 0,
    CLI_NEGATIVE = 1,    /* the answer is no: not healthy, fewer events than asked for, a failure */
    CLI_USAGE = 2,       /* the command line or the configuration is wrong */
    CLI_UNREACHABLE = 3, /* hub or gateway did not answer in time */
    CLI_REFUSED = 4,     /* hub or gateway said no */
    CLI_GAP = 5,         /* events are missing, and the output says which */
    CLI_NOT_KEPT = 6     /* published, but not kept as safely as was asked for */
};

struct cli {
    const char *host; /* of the hub */
    uint16_t collector_port, publisher_port, requests_port;
    const char *gateway;      /* URL of a gateway, NULL = talk to the hub */
    const char *journal_path; /* of a hub on this machine */
    int timeout_ms;           /* 0 = the command's default */
    bool is_json, is_human, is_quiet, is_verbose;
    bool has_color_out, has_color_err;
    nhub_log_fn *log; /* for --verbose */
};

/* The values of the two common ways to give a list: an option several times, or arguments. */
#define CLI_LIST_MAX 64
struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
};

/* A command; argv[0] is its name. Each prints its own --help. Returns an enum cli_exit. */
typedef int cli_run_fn(struct cli *cli, int argc, char **argv);
cli_run_fn cmd_consume, cmd_groups, cmd_pub, cmd_sub, cmd_health, cmd_status, cmd_stop, cmd_history,
    cmd_bench, cmd_top, cmd_journal;

/* "notifyhub: …" on stderr. */
void cli_error(const struct cli *cli, const char *format, ...) NHUB_PRINTF(2, 3);
/* The same without the name and the colour of an error. */
void cli_note(const struct cli *cli, const char *format, ...) NHUB_PRINTF(2, 3);
/* Explains a failed call and gives its exit status. what: "publish", "ask for statistics" … */
int cli_fail(const struct cli *cli, const char *what, nhub_err err, const char *reason);
/* Flushes stdout. False when nobody reads it any more (the pipe is closed) or the disk is full. */
bool cli_flush(void);

/* SIGINT and SIGTERM ask for an orderly end from here on; sockets and waits end early. */
void interrupt_install(void);
bool interrupt_seen(void);
/* Ends as if the signal had come. */
void interrupt_raise(void);

#endif
