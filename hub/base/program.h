/*
 * program: what both daemons do around their work: settings, the log, signals, and cleaning up.
 */
#ifndef NHUB_BASE_PROGRAM_H
#define NHUB_BASE_PROGRAM_H

#include "base/settings.h"

struct program {
    const char *name;            /* "notifyhub-hub" */
    const char *log_name;        /* "hub": `process` in each line of the log */
    const char *about;           /* first paragraph of --help */
    const char *const *sections; /* of the settings that --help shows, NULL at the end */
    /* The work; returns the exit status. signal_fd: from service_signals(). */
    int (*run)(struct settings *settings, int signal_fd);
};

/* The body of main(): returns the exit status, 2 for a bad configuration or command line, 1 when
 * signals cannot be caught, otherwise what run returns. argv must live as long as the process. */
int program_main(const struct program *program, int argc, char **argv);

#endif
