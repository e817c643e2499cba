/*
 * cli: messages, exit codes, signals.
 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

static volatile sig_atomic_t is_interrupted;

static void note_signal(int number)
{
    (void)number;
    is_interrupted = 1;
}

void interrupt_install(void)
{
    struct sigaction action = {.sa_handler = note_signal};

    sigemptyset(&action.sa_mask);
    /* No SA_RESTART: a wait has to end. */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool interrupt_seen(void)
{
    return is_interrupted != 0;
}

void interrupt_raise(void)
{
    is_interrupted = 1;
}

static void print(const struct cli *cli, const char *before, const char *after, const char *format,
                  va_list args) NHUB_PRINTF(4, 0);

static void print(const struct cli *cli, const char *before, const char *after, const char *format,
                  va_list args)
{
    const bool has_color = cli->has_color_err && *after;

    (void)fflush(stdout);
    (void)fputs(has_color ? before : "", stderr);
    (void)fputs(*after ? "notifyhub: " : "", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputs(has_color ? after : "", stderr);
    (void)fputc('\n', stderr);
}

void cli_error(const struct cli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print(cli, "\033[31m", "\033[0m", format, args);
    va_end(args);
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print(cli, "", "", format, args);
    va_end(args);
}

int cli_fail(const struct cli *cli, const char *what, nhub_err err, const char *reason)
{
    if (err == NHUB_EUNAVAIL) {
        cli_error(cli, "cannot %s: no hub answers at %s, port %u", what, cli->host,
                  (unsigned)cli->requests_port);
        return CLI_UNREACHABLE;
    }
    if (err == NHUB_ETIMEOUT || err == NHUB_ECLOSED) {
        cli_error(cli, "cannot %s: the hub at %s, port %u, does not answer", what, cli->host,
                  (unsigned)cli->requests_port);
        return CLI_UNREACHABLE;
    }
    if (err == NHUB_EREFUSED) {
        cli_error(cli, "cannot %s: refused: %s", what, reason && *reason ? reason : "no reason");
        return CLI_REFUSED;
    }
    if (err == NHUB_EINVAL || err == NHUB_ETOOBIG) {
        cli_error(cli, "cannot %s: %s", what, reason && *reason ? reason : nhub_strerror(err));
        return CLI_USAGE;
    }
    cli_error(cli, "cannot %s: %s%s%s", what, nhub_strerror(err), err == NHUB_ESYS ? ": " : "",
              err == NHUB_ESYS ? strerror(errno) : "");
    return CLI_NEGATIVE;
}

bool cli_flush(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}
