/*
 * settings_start: from the command line to effective values, and again at SIGHUP.
 *
 * Later wins: default, file, environment, flag. A reload goes the whole way again into a second
 * struct, so that a mistake in the file changes nothing, and a flag still beats the file.
 */
#include "base/log.h"
#include "base/settings_private.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a reload needs again; set once, before other threads start. */
static struct {
    const char *path; /* NULL = no file */
    int argc;
    char **argv;
} origin;

/* Read by the threads that serve requests while a reload changes it. */
static atomic_bool log_access;

bool settings_log_access(void)
{
    return atomic_load_explicit(&log_access, memory_order_relaxed);
}

/* What the command line asks for besides keys. */
struct wishes {
    const char *config_path;
    bool help, version, check;
};

/* A copy of argv, which options_load_args() shortens. */
static char **copy_args(int argc, char **argv)
{
    char **copy = calloc((size_t)argc + 1, sizeof *copy);

    if (copy) {
        memcpy(copy, argv, (size_t)argc * sizeof *copy);
    }
    return copy;
}

static nhub_err load_flags(struct options *o, int argc, char **argv, struct buf *error)
{
    char **copy = copy_args(argc, argv);
    nhub_err err = NHUB_ENOMEM;

    if (copy) {
        err = options_load_args(o, &argc, copy, error);
    }
    free(copy);
    return err;
}

static nhub_err unknown_argument(const struct options *o, const char *argument, struct buf *error)
{
    struct buf name = {0};
    struct buf near = {0};

    buf_add(&name, argument, strcspn(argument, "="));
    if (argument[0] != '-') {
        buf_printf(error, "command line: %s: unexpected argument, allowed: flags, see --help",
                   buf_cstr(&name));
    } else if (options_nearest_flag(o, buf_cstr(&name), &near)) {
        buf_printf(error, "command line: %s: unknown flag, did you mean %s?", buf_cstr(&name),
                   buf_cstr(&near));
    } else {
        buf_printf(error, "command line: %s: unknown flag, see --help", buf_cstr(&name));
    }
    buf_fini(&near);
    buf_fini(&name);
    return NHUB_ECONFIG;
}

/* One argument that is no key's flag. *at stands on it, and on its value afterwards. */
static nhub_err read_wish(const struct options *o, struct wishes *w, int argc, char **argv, int *at,
                          struct buf *error)
{
    static const char equals_form[] = "--config=";
    const char *argument = argv[*at];

    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        w->help = true;
    } else if (strcmp(argument, "--version") == 0 || strcmp(argument, "-V") == 0) {
        w->version = true;
    } else if (strcmp(argument, "--check-config") == 0) {
        w->check = true;
    } else if (strncmp(argument, equals_form, sizeof equals_form - 1) == 0) {
        w->config_path = argument + sizeof equals_form - 1;
    } else if (strcmp(argument, "--config") == 0) {
        if (*at + 1 >= argc) {
            buf_add_str(error, "command line: --config: needs a file");
            return NHUB_ECONFIG;
        }
        w->config_path = argv[++*at];
    } else {
        return unknown_argument(o, argument, error);
    }
    return NHUB_OK;
}

/* Reads what is left when the keys' flags are taken out. Those go into a scratch struct here,
 * because the file and the environment must come before them. */
static nhub_err read_wishes(struct wishes *w, int argc, char **argv, struct buf *error)
{
    struct settings *scratch = calloc(1, sizeof *scratch);
    char **rest = copy_args(argc, argv);
    struct options o;
    nhub_err err = NHUB_ENOMEM;

    if (scratch && rest) {
        settings_options(scratch, &o);
        err = options_load_args(&o, &argc, rest, error);
        for (int i = 1; err == NHUB_OK && i < argc; i++) {
            err = read_wish(&o, w, argc, rest, &i, error);
        }
        options_free(&o);
    }
    free(rest);
    free(scratch);
    return err;
}

static nhub_err load_all(struct settings *s, struct buf *error)
{
    struct options o;
    nhub_err err = NHUB_OK;

    settings_options(s, &o);
    err = options_defaults(&o, error);
    if (err == NHUB_OK && origin.path) {
        err = options_load_file(&o, origin.path, error);
    }
    if (err == NHUB_OK) {
        err = options_load_env(&o, environ, error);
    }
    if (err == NHUB_OK) {
        err = load_flags(&o, origin.argc, origin.argv, error);
    }
    return err == NHUB_OK ? settings_check(s, error) : err;
}

static void add_help(struct settings *s, const char *program, const char *about,
                     const char *const *sections, struct buf *out)
{
    struct options o;

    settings_options(s, &o);
    buf_printf(out, "%s %s\n%s\n\n", program, NHUB_VERSION, about);
    buf_printf(out,
               "Usage: %s [--config FILE] [--KEY VALUE | --KEY=VALUE]...\n\n"
               "  --config FILE                        read keys from this YAML file (or from "
               "$NOTIFYHUB_CONFIG)\n"
               "  --check-config                       test file, environment and flags, print the "
               "effective values, end\n"
               "  --help, -h                           this text\n"
               "  --version, -V                        the version\n",
               program);
    options_print_help(&o, sections, out);
    buf_add_str(
        out, "\nEvery key can stand in the file (hub: collector_port: 4245), in the environment "
             "(NOTIFYHUB_HUB_COLLECTOR_PORT=4245)\n"
             "and in a flag (--hub-collector-port 4245). Later wins: default, file, "
             "environment, flag.\n"
             "SIZE: bytes, or a number with KiB, MiB, GiB, TiB. TIME: a number in the unit of "
             "the default, or with ms, s, m, h, d.\n"
             "BOOL: true or false.\n"
             "\nSignals:\n"
             "  SIGTERM, SIGINT                      orderly end\n"
             "  SIGHUP                               read file and environment again; takes over "
             "the keys marked SIGHUP\n"
             "\nExit status:\n"
             "  0                                    orderly end, or a good --check-config\n"
             "  1                                    could not start or go on; the log says why\n"
             "  2                                    bad configuration or command line\n");
}

/* Prints what was asked for and ends: NHUB_ECLOSED with the exit status. */
static nhub_err finish(const char *text, FILE *to, int status, int *out_exit)
{
    *out_exit = status;
    if (fputs(text, to) == EOF || fflush(to) != 0) {
        *out_exit = status != 0 ? status : 1;
    }
    return NHUB_ECLOSED;
}

/* NHUB_OK when nothing was asked for that ends the program at once. */
static nhub_err grant_wishes(struct settings *s, const struct wishes *w, const char *program,
                             const char *about, const char *const *sections, int *out_exit)
{
    struct buf out = {0};
    nhub_err err = NHUB_OK;

    if (w->help) {
        add_help(s, program, about, sections, &out);
    } else if (w->version) {
        buf_printf(&out, "%s %s\n", program, NHUB_VERSION);
    } else if (w->check) {
        struct options o;

        settings_options(s, &o);
        options_print_effective(&o, &out);
    } else {
        return NHUB_OK;
    }
    err = out.failed ? NHUB_ENOMEM : finish(buf_cstr(&out), stdout, 0, out_exit);
    buf_fini(&out);
    return err;
}

static void release(struct settings *s)
{
    struct options o;

    settings_options(s, &o);
    options_free(&o);
}

nhub_err settings_start(struct settings *s, const char *program, const char *about,
                        const char *const *sections, int argc, char **argv, int *out_exit)
{
    struct wishes wishes = {0};
    struct buf error = {0};
    nhub_err err = read_wishes(&wishes, argc, argv, &error);

    if (!wishes.config_path) {
        wishes.config_path = getenv("NOTIFYHUB_CONFIG");
    }
    origin.path = wishes.config_path && wishes.config_path[0] ? wishes.config_path : NULL;
    origin.argc = argc;
    origin.argv = argv;
    /* --help and --version answer also where the configuration is broken. */
    if (err == NHUB_OK && !wishes.help && !wishes.version) {
        err = load_all(s, &error);
    }
    if (err == NHUB_OK) {
        err = grant_wishes(s, &wishes, program, about, sections, out_exit);
    }
    if (err == NHUB_ECONFIG || err == NHUB_ENOMEM) {
        struct buf line = {0};

        buf_printf(&line, "%s: %s\n", program,
                   error.len > 0 ? buf_cstr(&error) : nhub_strerror(err));
        NHUB_IGNORE(finish(buf_cstr(&line), stderr, 2, out_exit)); /* err already says so */
        buf_fini(&line);
    }
    buf_fini(&error);
    if (err != NHUB_OK) {
        release(s);
        return err;
    }
    atomic_store_explicit(&log_access, s->log.access, memory_order_relaxed);
    return NHUB_OK;
}

/* The value for a log line: a text without its quotes, which the log puts where it needs them. */
static const char *value_text(const struct option *row, const struct settings *s, struct buf *b)
{
    options_print_value(row, s, b);
    if (b->len >= 2 && b->data[0] == '"') {
        buf_consume(b, 1);
        b->len--;
    }
    return buf_cstr(b);
}

/* Takes over one row, or says that it needs a restart. */
static void reload_row(const struct option *row, struct settings *s, const struct settings *fresh)
{
    struct buf before = {0};
    struct buf after = {0};
    const char *running = value_text(row, s, &before);
    const char *wanted = value_text(row, fresh, &after);

    if (row->at_run_time) {
        /* Only plain numbers are ever changed at run time, so that a copy is enough. */
        const size_t size = row->type == OPTION_BOOL   ? sizeof(bool)
                            : row->type == OPTION_ENUM ? sizeof(int)
                                                       : sizeof(uint64_t);

        memcpy((char *)s + row->offset, (const char *)fresh + row->offset, size);
        log_info("config_changed", log_str("key", row->key), log_str("before", running),
                 log_str("after", wanted));
    } else {
        log_warn("config_needs_restart", log_str("key", row->key), log_str("running", running),
                 log_str("file", wanted));
    }
    buf_fini(&after);
    buf_fini(&before);
}

nhub_err settings_reload(struct settings *s)
{
    struct settings *fresh = calloc(1, sizeof *fresh);
    struct buf error = {0};
    struct options o;
    nhub_err err = fresh ? load_all(fresh, &error) : NHUB_ENOMEM;

    if (err != NHUB_OK) {
        log_error("config_not_reloaded",
                  log_str("reason", error.len > 0 ? buf_cstr(&error) : nhub_strerror(err)));
    } else {
        settings_options(fresh, &o);
        for (size_t i = 0; i < o.count; i++) {
            if (!options_same_value(&o.rows[i], s, fresh)) {
                reload_row(&o.rows[i], s, fresh);
            }
        }
        log_set_level((enum log_level)s->log.level);
        atomic_store_explicit(&log_access, s->log.access, memory_order_relaxed);
        log_info("config_reloaded", log_str("file", origin.path ? origin.path : "none"));
    }
    if (fresh) {
        release(fresh);
    }
    free(fresh);
    buf_fini(&error);
    return err;
}
