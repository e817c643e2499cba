/* options_help: the table as text, for --check-config and --help. */
#include "base/options_private.h"

#include <string.h>

#define HELP_COLUMN 38

/* The section path of a key ("hub.journal" of "hub.journal.path"): its length. */
static size_t section_len(const char *key)
{
    const char *dot = strrchr(key, '.');

    return dot ? (size_t)(dot - key) : 0;
}

static void indent(struct buf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        buf_add_str(out, "  ");
    }
}

/* Opens those sections of key that the row before was not in. Returns the depth of the key. */
static size_t open_sections(const char *key, const char *before, struct buf *out)
{
    const size_t len = section_len(key);
    size_t depth = 0;

    for (size_t start = 0; start < len; depth++) {
        const size_t part_len = strcspn(key + start, ".");
        const size_t end = start + part_len;

        if (strncmp(key, before, end) != 0 || before[end] != '.') {
            indent(out, depth);
            buf_add(out, key + start, part_len);
            buf_add_str(out, ":\n");
        }
        start = end + 1;
    }
    return depth;
}

void options_print_effective(const struct options *o, struct buf *out)
{
    const char *before = "";

    for (size_t i = 0; i < o->count; i++) {
        const struct option *row = &o->rows[i];
        const size_t len = section_len(row->key);
        const size_t depth = open_sections(row->key, before, out);

        indent(out, depth);
        buf_add_str(out, row->key + (len > 0 ? len + 1 : 0));
        buf_add_str(out, ": ");
        options_print_value(row, o->values, out);
        buf_add_char(out, '\n');
        before = row->key;
    }
}

static const char *placeholder(const struct option *row)
{
    switch (row->type) {
    case OPTION_BOOL:
        return "BOOL";
    case OPTION_UINT:
        return "N";
    case OPTION_SIZE:
        return "SIZE";
    case OPTION_DURATION:
        return "TIME";
    case OPTION_STRING:
        return "TEXT";
    case OPTION_ENUM:
        return "WORD";
    case OPTION_LIST:
        return "A,B,...";
    }
    return "";
}

static void add_default(const struct option *row, struct buf *out)
{
    buf_add_str(out, " (");
    if (row->type == OPTION_ENUM) {
        option_add_allowed(row, out);
        buf_add_str(out, "; ");
    } else if (row->type == OPTION_UINT || row->type == OPTION_SIZE ||
               row->type == OPTION_DURATION) {
        option_add_number(row, row->min, out);
        buf_add_str(out, " to ");
        option_add_number(row, row->max, out);
        buf_add_str(out, "; ");
    }
    buf_printf(out, "default %s", row->default_text[0] ? row->default_text : "empty");
    if (row->type == OPTION_UINT && row->unit[0] && !row->words) {
        buf_printf(out, " %s", row->unit);
    } else if (row->type == OPTION_DURATION &&
               strspn(row->default_text, "0123456789") == strlen(row->default_text)) {
        buf_add_str(out, row->unit);
    }
    buf_add_str(out, row->at_run_time ? "; SIGHUP)\n" : ")\n");
}

static void print_row(const struct option *row, struct buf *out)
{
    char name[OPTION_NAME_SIZE];
    struct buf line = {0};

    option_name(row, OPTION_FORM_FLAG, name);
    buf_printf(&line, "  %s %s", name, placeholder(row));
    buf_printf(out, "%-*s %s", HELP_COLUMN, buf_cstr(&line), row->help);
    add_default(row, out);
    buf_fini(&line);
}

void options_print_help(const struct options *o, const char *const *sections, struct buf *out)
{
    for (; *sections; sections++) {
        const size_t len = strlen(*sections);

        buf_printf(out, "\nSection %s:\n", *sections);
        for (size_t i = 0; i < o->count; i++) {
            if (strncmp(o->rows[i].key, *sections, len) == 0 && o->rows[i].key[len] == '.') {
                print_row(&o->rows[i], out);
            }
        }
    }
}
