/*
 * out: prints events and gaps, one line each, flushed, for people or for programs.
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_OUT_H
#define NHUB_CLI_OUT_H

#include "cli/cli.h"

#include <stdint.h>

/* Reasons of a gap: the position asked for was never given out; none was told. */
#define OUT_UNKNOWN "unknown"
#define OUT_UNSAID  "unspecified"

enum out_format { OUT_JSON, OUT_HUMAN };

/* What --json, --human and the terminal ask for: people at a terminal get the human form. */
enum out_format out_format_of(const struct cli *cli);
/* Prints one event. False when stdout is closed. */
bool out_event(const struct cli *cli, enum out_format format, const nhub_event *event);
/* Tells a gap: always a line on stderr; with --json also {"op":"gap",…} on stdout, in its place
 * among the events. from or to may be ""; delivered: see nhub_gap. False when stdout is closed. */
bool out_gap(const struct cli *cli, const char *from, const char *to, const char *reason,
             uint64_t delivered);

#endif
