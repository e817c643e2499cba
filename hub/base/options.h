/*
 * options: typed settings from a table. One row for each option gives file parsing (YAML),
 * environment, command line, --help, --check-config and the sample file. Later wins: default, file,
 * environment, flag.
 *
 * libyaml is used in options_yaml.c only. Errors name file, line, column, option, the value seen
 * and what is allowed; they are returned as text, this module never prints. Threads: the values are
 * const after start.
 */
#ifndef NHUB_BASE_OPTIONS_H
#define NHUB_BASE_OPTIONS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_BOOL,     /* bool: true, false (also yes/no, on/off) */
    OPTION_UINT,     /* uint64_t */
    OPTION_SIZE,     /* uint64_t bytes: 4096, 64KiB, 1MiB, 1GiB */
    OPTION_DURATION, /* uint64_t in the row's unit ("s" or "ms"): plain number in that unit, or
                        500ms, 30s, 10m, 12h, 7d */
    OPTION_STRING,   /* char *, owned */
    OPTION_ENUM,     /* int, index in row->words */
    OPTION_LIST /* struct option_list: YAML list, or comma-separated text in environment and flags
                 */
};

struct option_list {
    char **items;
    size_t count;
};

struct option {
    const char *key; /* "hub.collector_port" */
    enum option_type type;
    size_t offset;            /* of the field in the settings struct */
    const char *default_text; /* as in a file; "" = empty */
    uint64_t min, max; /* UINT, SIZE, DURATION: of the value; STRING: of the length in bytes; LIST:
                          of the number of items; ENUM: min is the first word that is allowed */
    const char *const *words; /* NULL-terminated; ENUM: all words; UINT: words for 0, 1, … ("auto"),
                                 or NULL */
    const char *unit;         /* for the help: "s", "ms", "bytes", "events" or "" */
    const char *help;         /* one line */
    bool at_run_time;         /* SIGHUP takes it over; not for STRING and LIST */
    /* A further check of a STRING or of each item of a LIST; NULL = none. False: *out_allowed is a
     * static text that completes "allowed: …". */
    bool (*check)(const char *text, const char **out_allowed);
};

struct options {
    const struct option *rows;
    size_t count;
    void *values; /* the settings struct, zeroed by the caller before the first call */
};

/* All of these: on failure NHUB_ECONFIG and a clear text of one line in *error (NUL-terminated via
 * buf_cstr), or NHUB_ENOMEM. What was set before the failure stays set; options_free() copes. */
NHUB_MUST_USE nhub_err options_defaults(struct options *o, struct buf *error);
NHUB_MUST_USE nhub_err options_load_file(struct options *o, const char *path, struct buf *error);
/* The same from memory (tests, fuzzing); name is used in messages. */
NHUB_MUST_USE nhub_err options_load_yaml(struct options *o, const char *text, size_t len,
                                         const char *name, struct buf *error);
/* NOTIFYHUB_HUB_COLLECTOR_PORT=… for hub.collector_port. A NOTIFYHUB_ variable of a known section
 * with an unknown key is an error, unless it looks like those that Kubernetes sets for each service
 * (NOTIFYHUB_HUB_SERVICE_HOST, NOTIFYHUB_HUB_PORT=tcp://…). environ_list: NULL-terminated, usually
 * environ. */
NHUB_MUST_USE nhub_err options_load_env(struct options *o, char *const *environ_list,
                                        struct buf *error);
/* Takes the flags that belong to options out of argv (--hub-collector-port 4245, =4245) and leaves
 * the rest in place, in order, updating *argc. Unknown --flags stay for the caller. */
NHUB_MUST_USE nhub_err options_load_args(struct options *o, int *argc, char **argv,
                                         struct buf *error);
/* One option by key, from text as in the environment. */
NHUB_MUST_USE nhub_err options_set(struct options *o, const char *key, const char *value,
                                   struct buf *error);

/* The flag nearest to an unknown one ("--hub-colector-port"), for "did you mean"; false when none
 * is near. */
bool options_nearest_flag(const struct options *o, const char *flag, struct buf *out);

/* True when the row has the same value in both settings structs. */
bool options_same_value(const struct option *row, const void *values, const void *other_values);
/* The row's value as options_print_effective() writes it. */
void options_print_value(const struct option *row, const void *values, struct buf *out);

void options_print_effective(const struct options *o,
                             struct buf *out); /* YAML, loads again to the same values */
void options_print_help(const struct options *o, const char *const *sections,
                        struct buf *out); /* flags with defaults */
void options_free(struct options *o);     /* strings and lists inside values */

#endif
