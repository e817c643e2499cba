/*
 * options_yaml: the one file that sees libyaml.
 *
 * It walks over the parser's events instead of loading a tree: the first thing that is not in the
 * table ends the reading, so that the depth of a file never costs more than the depth of the table,
 * and every error knows its line and column. Of YAML only plain structure is taken: one document,
 * no anchors, aliases or tags, each key once.
 */
#include "base/map.h"
#include "base/options_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#define MAX_FILE_BYTES ((size_t)1 << 20)

struct loader {
    struct options *options;
    const char *name; /* of the file, for messages */
    const char *text;
    size_t len;
    struct buf *error;
    yaml_parser_t parser;
    yaml_event_t event; /* the one that is looked at */
    bool has_event;
    struct map *seen; /* path -> line, of every key and section so far */
};

/* "name:line:column: ", counted from 1. */
static void add_place(struct loader *l, yaml_mark_t mark)
{
    buf_printf(l->error, "%s:%zu:%zu: ", l->name, mark.line + 1, mark.column + 1);
}

/* The same with the key, which may be "" at the top of the file. Always NHUB_ECONFIG. */
static nhub_err fail(struct loader *l, yaml_mark_t mark, const char *key, const char *problem)
{
    add_place(l, mark);
    buf_printf(l->error, "%s%s%s", key, key[0] ? ": " : "", problem);
    return NHUB_ECONFIG;
}

/* libyaml tells only the offset of a byte that it cannot read. */
static yaml_mark_t mark_of_offset(const struct loader *l, size_t offset)
{
    yaml_mark_t mark = {0};

    for (size_t i = 0; i < offset && i < l->len; i++) {
        const unsigned char c = (unsigned char)l->text[i];

        if (c == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((c & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

static nhub_err fail_syntax(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    const bool in_reader = p->error == YAML_READER_ERROR;

    if (p->error == YAML_MEMORY_ERROR) {
        return NHUB_ENOMEM;
    }
    add_place(l, in_reader ? mark_of_offset(l, p->problem_offset) : p->problem_mark);
    buf_printf(l->error, "%s: %s", in_reader ? "not UTF-8 text" : "not valid YAML",
               p->problem ? p->problem : "unknown problem");
    if (p->context && strstr(p->context, "alias")) {
        buf_add_str(l->error, "; a text that begins with * needs quotes: \"*\"");
    } else if (p->context) {
        buf_printf(l->error, " %s", p->context);
    }
    return NHUB_ECONFIG;
}

static void drop_event(struct loader *l)
{
    if (l->has_event) {
        yaml_event_delete(&l->event);
        l->has_event = false;
    }
}

static nhub_err refuse_features(struct loader *l)
{
    const yaml_event_t *e = &l->event;
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return fail(l, e->start_mark, "",
                    "aliases are not supported; a text that begins with * needs quotes");
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor) {
        return fail(l, e->start_mark, "", "anchors (&name) are not supported");
    }
    return tag ? fail(l, e->start_mark, "", "tags (!name) are not supported") : NHUB_OK;
}

/* Goes on to the next event. */
static nhub_err next(struct loader *l)
{
    drop_event(l);
    if (!yaml_parser_parse(&l->parser, &l->event)) {
        return fail_syntax(l);
    }
    l->has_event = true;
    return refuse_features(l);
}

/* The scalar's text; NULL when there is a NUL byte in it, which C strings cannot carry. */
static const char *scalar_text(const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;

    return strlen(text) == e->data.scalar.length ? text : NULL;
}

static bool is_plain_scalar(const yaml_event_t *e)
{
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* "key:" without anything behind it, or with YAML's words for nothing. */
static bool is_null(const yaml_event_t *e)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    const char *text = NULL;

    if (e->type != YAML_SCALAR_EVENT || !is_plain_scalar(e)) {
        return false;
    }
    text = (const char *)e->data.scalar.value;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static nhub_err refuse_value(struct loader *l, const struct option *row, const char *what)
{
    add_place(l, l->event.start_mark);
    buf_printf(l->error, "%s: %s, allowed: ", row->key, what);
    option_add_allowed(row, l->error);
    return NHUB_ECONFIG;
}

/* Puts the place before the problem that the table found. */
static nhub_err finish_value(struct loader *l, yaml_mark_t mark, const struct option *row,
                             nhub_err err, struct buf *problem)
{
    if (err == NHUB_ECONFIG) {
        NHUB_IGNORE(fail(l, mark, row->key, buf_cstr(problem))); /* err says the same */
    }
    buf_fini(problem);
    return err;
}

/* The items up to the end of the sequence. One more than the row takes is enough to refuse it. */
static nhub_err collect_items(struct loader *l, const struct option *row, char **items,
                              size_t *out_count)
{
    nhub_err err = NHUB_OK;

    while ((err = next(l)) == NHUB_OK && l->event.type != YAML_SEQUENCE_END_EVENT) {
        if (l->event.type != YAML_SCALAR_EVENT || is_null(&l->event) || !scalar_text(&l->event)) {
            return refuse_value(l, row, "an item is not a text");
        }
        if (*out_count > row->max) {
            return refuse_value(l, row, "too many items");
        }
        items[*out_count] = strdup(scalar_text(&l->event));
        if (!items[*out_count]) {
            return NHUB_ENOMEM;
        }
        (*out_count)++;
    }
    return err;
}

static nhub_err load_list(struct loader *l, const struct option *row)
{
    const yaml_mark_t mark = l->event.start_mark;
    struct buf problem = {0};
    char **items = NULL;
    size_t count = 0;
    nhub_err err = NHUB_OK;

    if (l->event.type != YAML_SEQUENCE_START_EVENT) {
        return refuse_value(l, row, "is not a list (write [a, b])");
    }
    items = calloc((size_t)row->max + 1, sizeof *items);
    if (!items) {
        return NHUB_ENOMEM;
    }
    err = collect_items(l, row, items, &count);
    if (err == NHUB_OK) {
        err = option_assign_items(row, l->options->values, (const char *const *)items, count,
                                  &problem);
        err = finish_value(l, mark, row, err, &problem);
    }
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
    free(items);
    return err;
}

static nhub_err load_value(struct loader *l, const struct option *row)
{
    const yaml_event_t *e = &l->event;
    struct buf problem = {0};
    nhub_err err = NHUB_OK;

    if (is_null(e)) {
        return refuse_value(l, row, "has no value");
    }
    if (row->type == OPTION_LIST) {
        return load_list(l, row);
    }
    if (e->type != YAML_SCALAR_EVENT) {
        return refuse_value(
            l, row, e->type == YAML_MAPPING_START_EVENT ? "is a section here" : "is a list here");
    }
    if (!scalar_text(e)) {
        return refuse_value(l, row, "holds a NUL byte");
    }
    if ((row->type == OPTION_BOOL || row->type == OPTION_UINT) && !is_plain_scalar(e)) {
        return refuse_value(l, row, "is a text in quotes");
    }
    err = option_assign(row, l->options->values, scalar_text(e), &problem);
    return finish_value(l, e->start_mark, row, err, &problem);
}

static nhub_err unknown_key(struct loader *l, const char *prefix, const char *path)
{
    struct buf near = {0};

    add_place(l, l->event.start_mark);
    option_add_seen(l->error, path);
    buf_add_str(l->error, ": unknown key");
    if (option_nearest(l->options, OPTION_FORM_KEY, path, &near)) {
        buf_printf(l->error, ", did you mean %s?", buf_cstr(&near));
    } else {
        buf_add_str(l->error, ", allowed: ");
        option_add_children(l->options, prefix, l->error);
    }
    buf_fini(&near);
    return NHUB_ECONFIG;
}

/* Remembers the path of the key that is looked at; an error when it was there before. */
static nhub_err mark_seen(struct loader *l, const char *path, size_t len)
{
    const size_t line = l->event.start_mark.line + 1;
    const void *before = map_get(l->seen, path, len);

    if (before) {
        add_place(l, l->event.start_mark);
        buf_printf(l->error, "%s: given twice, first in line %zu", path, (size_t)(uintptr_t)before);
        return NHUB_ECONFIG;
    }
    return map_put(l->seen, path, len, (void *)(uintptr_t)line, NULL);
}

static nhub_err load_section(struct loader *l, const char *path);

/* Makes path of the prefix and the key that is looked at. */
static nhub_err read_key(struct loader *l, const char *prefix, struct buf *path)
{
    const char *key = l->event.type == YAML_SCALAR_EVENT ? scalar_text(&l->event) : NULL;

    if (!key || key[0] == '\0') {
        return fail(l, l->event.start_mark, prefix, "a key must be a word");
    }
    buf_printf(path, "%s%s%s", prefix, prefix[0] ? "." : "", key);
    if (path->failed) {
        return NHUB_ENOMEM;
    }
    /* "hub.bind: x" at the top would be a second way to write the same key. */
    return strchr(key, '.') ? fail(l, l->event.start_mark, "",
                                   "a key holds no dot; write the section, then its keys below it")
                            : NHUB_OK;
}

/* One key, which is looked at, and its value. */
static nhub_err load_pair(struct loader *l, const char *prefix, struct buf *path)
{
    const struct option *row = NULL;
    nhub_err err = read_key(l, prefix, path);
    const char *text = buf_cstr(path);
    const size_t len = path->len;
    bool is_section = false;

    if (err != NHUB_OK) {
        return err;
    }
    row = option_find(l->options, OPTION_FORM_KEY, text, len);
    is_section = option_is_section(l->options, text, len);
    if (!row && !is_section) {
        return unknown_key(l, prefix, text);
    }
    err = mark_seen(l, text, len);
    if (err == NHUB_OK) {
        err = next(l);
    }
    if (err != NHUB_OK) {
        return err;
    }
    return row ? load_value(l, row) : load_section(l, text);
}

/* The mapping or nothing that is looked at. The depth of the recursion is that of the table. */
static nhub_err load_section(struct loader *l, const char *path)
{
    nhub_err err = NHUB_OK;

    if (is_null(&l->event)) {
        return NHUB_OK; /* all of its keys are commented out */
    }
    if (l->event.type != YAML_MAPPING_START_EVENT) {
        NHUB_IGNORE(fail(l, l->event.start_mark, path, "must hold keys, allowed: "));
        option_add_children(l->options, path, l->error);
        return NHUB_ECONFIG;
    }
    while ((err = next(l)) == NHUB_OK && l->event.type != YAML_MAPPING_END_EVENT) {
        struct buf key_path = {0};

        err = load_pair(l, path, &key_path);
        buf_fini(&key_path);
        if (err != NHUB_OK) {
            break;
        }
    }
    return err;
}

static nhub_err load_stream(struct loader *l)
{
    nhub_err err = next(l); /* the start of the stream */

    if (err == NHUB_OK) {
        err = next(l);
    }
    if (err != NHUB_OK || l->event.type == YAML_STREAM_END_EVENT) {
        return err; /* an empty file changes nothing */
    }
    err = next(l); /* what the document holds */
    if (err == NHUB_OK) {
        err = load_section(l, "");
    }
    if (err == NHUB_OK) {
        err = next(l); /* the end of the document */
    }
    if (err == NHUB_OK) {
        err = next(l);
    }
    if (err == NHUB_OK && l->event.type != YAML_STREAM_END_EVENT) {
        err = fail(l, l->event.start_mark, "", "only one document (---) is allowed");
    }
    return err;
}

nhub_err options_load_yaml(struct options *o, const char *text, size_t len, const char *name,
                           struct buf *error)
{
    struct loader l = {.options = o, .name = name, .text = text, .len = len, .error = error};
    nhub_err err = NHUB_OK;

    if (len > MAX_FILE_BYTES) {
        buf_printf(error, "%s: is larger than 1 MiB", name);
        return NHUB_ECONFIG;
    }
    err = map_create(&l.seen);
    if (err != NHUB_OK) {
        return err;
    }
    if (!yaml_parser_initialize(&l.parser)) {
        map_destroy(&l.seen);
        return NHUB_ENOMEM;
    }
    /* libyaml aborts on a NULL, which is what an empty file gives. */
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)(len > 0 ? text : ""), len);
    /* Not by guess: a UTF-16 mark at the start would change what the bytes mean. */
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    err = load_stream(&l);
    drop_event(&l);
    yaml_parser_delete(&l.parser);
    map_destroy(&l.seen);
    return err;
}

/* The whole file, or one byte more than is allowed. Errors: NHUB_ENOMEM, NHUB_ESYS. */
static nhub_err read_file(const char *path, struct buf *content)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    nhub_err err = NHUB_OK;
    int saved_errno = 0;

    if (fd < 0) {
        return NHUB_ESYS;
    }
    do {
        if (buf_reserve(content, 4096) != NHUB_OK) {
            err = NHUB_ENOMEM;
            break;
        }
        n = read(fd, content->data + content->len, 4096);
        if (n > 0) {
            content->len += (size_t)n;
        }
    } while (content->len <= MAX_FILE_BYTES && (n > 0 || (n < 0 && errno == EINTR)));
    saved_errno = errno;
    (void)close(fd);
    errno = saved_errno;
    return err == NHUB_OK && n < 0 ? NHUB_ESYS : err;
}

nhub_err options_load_file(struct options *o, const char *path, struct buf *error)
{
    struct buf content = {0};
    nhub_err err = read_file(path, &content);

    if (err == NHUB_ESYS) {
        char text[128];

        buf_printf(error, "%s: cannot be read: %s", path, strerror_r(errno, text, sizeof text));
        err = NHUB_ECONFIG;
    } else if (err == NHUB_OK) {
        err = options_load_yaml(o, content.data, content.len, path, error);
    }
    buf_fini(&content);
    return err;
}
