/* options: the table's names, and its values from environment and command line. */
#include "base/options.h"

#include "base/options_private.h"

#include <ctype.h>
#include <string.h>

#define ENV_PREFIX "NOTIFYHUB_"

static const char *const prefixes[] = {"", ENV_PREFIX, "--"}; /* by enum option_form */

void option_name(const struct option *row, enum option_form form, char out[OPTION_NAME_SIZE])
{
    size_t at = strlen(prefixes[form]);

    memcpy(out, prefixes[form], at);
    for (const char *p = row->key; *p && at < OPTION_NAME_SIZE - 1; p++, at++) {
        if (form == OPTION_FORM_ENV) {
            out[at] = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
        } else if (form == OPTION_FORM_FLAG) {
            out[at] = *p == '.' || *p == '_' ? '-' : *p;
        } else {
            out[at] = *p;
        }
    }
    out[at] = '\0';
}

const struct option *option_find(const struct options *o, enum option_form form, const char *name,
                                 size_t len)
{
    char candidate[OPTION_NAME_SIZE];

    for (size_t i = 0; i < o->count; i++) {
        option_name(&o->rows[i], form, candidate);
        if (strlen(candidate) == len && memcmp(candidate, name, len) == 0) {
            return &o->rows[i];
        }
    }
    return NULL;
}

void option_add_children(const struct options *o, const char *path, struct buf *out)
{
    const size_t start = strlen(path) + (path[0] ? 1 : 0);
    const char *before =
        NULL; /* the child that was added last: the rows of a section are together */
    size_t before_len = 0;

    for (size_t i = 0; i < o->count; i++) {
        const char *key = o->rows[i].key;
        const char *child = key + start;
        size_t len = 0;

        if (start > 0 && (strncmp(key, path, start - 1) != 0 || key[start - 1] != '.')) {
            continue;
        }
        len = strcspn(child, ".");
        if (before && before_len == len && memcmp(before, child, len) == 0) {
            continue;
        }
        buf_add_str(out, before ? ", " : "");
        buf_add(out, child, len);
        before = child;
        before_len = len;
    }
}

bool option_is_section(const struct options *o, const char *path, size_t len)
{
    for (size_t i = 0; i < o->count; i++) {
        const char *key = o->rows[i].key;

        if (strlen(key) > len && key[len] == '.' && memcmp(key, path, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Edits (insert, delete, replace) that make b of a; both shorter than OPTION_NAME_SIZE. */
static size_t distance(const char *a, const char *b)
{
    size_t row[OPTION_NAME_SIZE];
    const size_t len = strlen(b);

    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < len; j++) {
            const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            const size_t grown = 1 + (row[j] < row[j + 1] ? row[j] : row[j + 1]);

            diagonal = row[j + 1];
            row[j + 1] = replaced < grown ? replaced : grown;
        }
    }
    return row[len];
}

/* A key whose last part is right and stands in the wrong section is very near. */
static bool same_last_part(const char *a, const char *b)
{
    const char *x = strrchr(a, '.');
    const char *y = strrchr(b, '.');

    return x && y && strcmp(x, y) == 0;
}

/* How many edits still make a suggestion a help, and not a guess: a quarter of the name, and no
 * more than half of its last part, because the section in front of that is mostly right. */
static size_t how_far(enum option_form form, const char *name)
{
    const size_t prefix_len = strlen(prefixes[form]);
    const size_t len = strlen(name);
    const char *dot = strrchr(name, '.');
    const size_t quarter = (len > prefix_len ? len - prefix_len : 0) / 4 + 1;
    const size_t half = dot ? strlen(dot + 1) / 2 + 1 : quarter;

    return quarter < half ? quarter : half;
}

bool option_nearest(const struct options *o, enum option_form form, const char *name,
                    struct buf *out)
{
    char candidate[OPTION_NAME_SIZE];
    char best[OPTION_NAME_SIZE] = "";
    size_t best_distance = 0;

    if (strlen(name) >= OPTION_NAME_SIZE) {
        return false;
    }
    best_distance = how_far(form, name);
    for (size_t i = 0; i < o->count; i++) {
        size_t d = 0;

        option_name(&o->rows[i], form, candidate);
        d = same_last_part(name, candidate) ? 1 : distance(name, candidate);
        if (d < best_distance || (d == best_distance && best[0] == '\0')) {
            best_distance = d;
            memcpy(best, candidate, sizeof best);
        }
    }
    buf_add_str(out, best);
    return best[0] != '\0';
}

bool options_nearest_flag(const struct options *o, const char *flag, struct buf *out)
{
    return option_nearest(o, OPTION_FORM_FLAG, flag, out);
}

/* Sets a row and puts "where: name: " before the problem. */
static nhub_err set_row(struct options *o, const struct option *row, const char *text,
                        const char *where, enum option_form form, struct buf *error)
{
    char name[OPTION_NAME_SIZE];
    struct buf problem = {0};
    nhub_err err = option_assign(row, o->values, text, &problem);

    if (err == NHUB_ECONFIG) {
        option_name(row, form, name);
        buf_printf(error, "%s%s: %s", where, name, buf_cstr(&problem));
    }
    buf_fini(&problem);
    return err;
}

nhub_err options_defaults(struct options *o, struct buf *error)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option *row = &o->rows[i];
        const nhub_err err =
            set_row(o, row, row->default_text, "default: ", OPTION_FORM_KEY, error);

        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

nhub_err options_set(struct options *o, const char *key, const char *value, struct buf *error)
{
    const struct option *row = option_find(o, OPTION_FORM_KEY, key, strlen(key));

    if (!row) {
        buf_printf(error, "%s: unknown key", key);
        return NHUB_ECONFIG;
    }
    return set_row(o, row, value, "", OPTION_FORM_KEY, error);
}

/* The part behind NOTIFYHUB_HUB_ when the variable belongs to a section of the table, else NULL. */
static const char *behind_section(const struct options *o, const char *variable)
{
    char name[OPTION_NAME_SIZE];
    const char *rest = variable + strlen(ENV_PREFIX);

    for (size_t i = 0; i < o->count; i++) {
        const size_t section_len = strcspn(o->rows[i].key, ".");

        option_name(&o->rows[i], OPTION_FORM_ENV, name);
        if (strncmp(rest, name + strlen(ENV_PREFIX), section_len) == 0 &&
            rest[section_len] == '_') {
            return rest + section_len + 1;
        }
    }
    return NULL;
}

static bool ends_with(const char *text, size_t len, const char *tail)
{
    const size_t n = strlen(tail);

    return len >= n && memcmp(text + len - n, tail, n) == 0;
}

/* The last "PORT_<digits>_<protocol>" of a service link, as in PORT_4245_TCP_ADDR. */
static bool names_port_of_protocol(const char *rest)
{
    static const char *const protocols[] = {"_TCP", "_UDP", "_SCTP"};

    for (const char *p = strstr(rest, "PORT_"); p; p = strstr(p + 1, "PORT_")) {
        const char *digits = p + strlen("PORT_");
        const size_t n = strspn(digits, "0123456789");

        for (size_t i = 0; n > 0 && i < sizeof protocols / sizeof protocols[0]; i++) {
            if (strncmp(digits + n, protocols[i], strlen(protocols[i])) == 0) {
                return true;
            }
        }
    }
    return false;
}

/*
 * Kubernetes describes each service of the namespace in variables of every container. A service
 * called notifyhub-hub gives NOTIFYHUB_HUB_SERVICE_HOST, NOTIFYHUB_HUB_SERVICE_PORT[_NAME],
 * NOTIFYHUB_HUB_PORT=tcp://… and NOTIFYHUB_HUB_PORT_4245_TCP[_ADDR …]: not ours, and no mistake.
 */
static bool is_service_link(const char *rest, const char *equals)
{
    const size_t len = (size_t)(equals - rest);
    char name[OPTION_NAME_SIZE * 2];

    if (len >= sizeof name) {
        return false;
    }
    memcpy(name, rest, len);
    name[len] = '\0';
    return ends_with(name, len, "SERVICE_HOST") || strstr(name, "SERVICE_PORT") ||
           (ends_with(name, len, "PORT") && strstr(equals, "://")) || names_port_of_protocol(name);
}

static nhub_err unknown_variable(const struct options *o, const char *variable, size_t len,
                                 struct buf *error)
{
    struct buf name = {0};
    struct buf near = {0};

    buf_add(&name, variable, len);
    buf_add_str(error, "environment: ");
    option_add_seen(error, buf_cstr(&name));
    buf_add_str(error, ": unknown key");
    if (option_nearest(o, OPTION_FORM_ENV, buf_cstr(&name), &near)) {
        buf_printf(error, ", did you mean %s?", buf_cstr(&near));
    } else {
        buf_add_str(error, ", --help names all keys");
    }
    buf_fini(&near);
    buf_fini(&name);
    return NHUB_ECONFIG;
}

nhub_err options_load_env(struct options *o, char *const *environ_list, struct buf *error)
{
    for (; *environ_list; environ_list++) {
        const char *variable = *environ_list;
        const char *equals = strchr(variable, '=');
        const struct option *row = NULL;
        const char *rest = NULL;
        nhub_err err = NHUB_OK;

        if (!equals || strncmp(variable, ENV_PREFIX, strlen(ENV_PREFIX)) != 0) {
            continue;
        }
        row = option_find(o, OPTION_FORM_ENV, variable, (size_t)(equals - variable));
        rest = behind_section(o, variable);
        if (row) {
            err = set_row(o, row, equals + 1, "environment: ", OPTION_FORM_ENV, error);
        } else if (rest && rest <= equals && !is_service_link(rest, equals)) {
            err = unknown_variable(o, variable, (size_t)(equals - variable), error);
        }
        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

nhub_err options_load_args(struct options *o, int *argc, char **argv, struct buf *error)
{
    int kept = *argc > 0 ? 1 : 0;
    int at = kept;

    for (; at < *argc && strcmp(argv[at], "--") != 0; at++) {
        const char *argument = argv[at];
        const size_t name_len = strcspn(argument, "=");
        const struct option *row = option_find(o, OPTION_FORM_FLAG, argument, name_len);
        const char *value = NULL;
        nhub_err err = NHUB_OK;

        if (!row) {
            argv[kept++] = argv[at];
            continue;
        }
        if (argument[name_len] == '=') {
            value = argument + name_len + 1;
        } else if (at + 1 < *argc && strncmp(argv[at + 1], "--", 2) != 0) {
            value = argv[++at];
        } else {
            buf_printf(error, "command line: %s: needs a value, allowed: ", argument);
            option_add_allowed(row, error);
            return NHUB_ECONFIG;
        }
        err = set_row(o, row, value, "command line: ", OPTION_FORM_FLAG, error);
        if (err != NHUB_OK) {
            return err;
        }
    }
    while (at < *argc) {
        argv[kept++] = argv[at++];
    }
    argv[kept] = NULL;
    *argc = kept;
    return NHUB_OK;
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        option_clear(&o->rows[i], o->values);
    }
}
