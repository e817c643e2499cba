/*
 * http_fields: a block holds the table of headers, a copy of the head in which blanks and line ends
 * have become NULs, and the decoded path.
 */
#include "gateway/protocols/http_fields.h"

#include "gateway/protocols/http_head.h"
#include "gateway/protocols/query.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The end of the line at p without its CR; *next is behind its LF. NULL: it has none. */
static const char *line_end(const char *p, const char *end, const char **next)
{
    const char *feed = memchr(p, '\n', (size_t)(end - p));

    if (!feed) {
        return NULL;
    }
    *next = feed + 1;
    return feed > p && feed[-1] == '\r' ? feed - 1 : feed;
}

size_t http_fields_end(const char *text, size_t len)
{
    const char *p = text;
    const char *next = NULL;
    const char *line = NULL;
    bool has_line = false;

    while ((line = line_end(p, text + len, &next)) != NULL) {
        if (line == p && has_line) {
            return (size_t)(next - text);
        }
        has_line = has_line || line > p; /* empty lines before it do not count (section 2.2) */
        p = next;
    }
    return 0;
}

static size_t count_lines(const char *p, const char *end)
{
    size_t count = 0;

    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        count++;
        p++;
    }
    return count;
}

/* The origin form of a target. An absolute one (section 3.2.2) loses its scheme and authority;
 * where its path is empty the byte before it becomes the "/" that is meant. */
static char *origin_form(char *target)
{
    if (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0) {
        return target;
    }
    target = strchr(target, ':') + 3;
    target += strcspn(target, "/?");
    if (*target != '/') {
        *--target = '/';
    }
    return target;
}

/* `text` is the copy of the head at `from`; room holds as many bytes as the target has. */
static void take_target(struct http_fields *out, const struct http_head *head, const char *from,
                        char *text, char *room)
{
    char *target = text + (head->path.p - from);
    size_t path_len = 0;
    size_t decoded_len = 0;

    target[head->path.len + (head->query.p ? head->query.len + 1 : 0)] = '\0';
    target = origin_form(target);
    path_len = strcspn(target, "?");
    out->query = target[path_len] == '?' ? target + path_len + 1 : target + path_len;
    if (query_decode(target, path_len, false, room, &decoded_len) == NHUB_OK) {
        out->path = room;
    }
}

static bool take_header(struct http_fields *out, const char *from, char *text, const char *line,
                        const char *end)
{
    struct http_text name;
    struct http_text value;
    char *copy = NULL;

    if (!http_head_field(line, end, &name, &value)) {
        return false;
    }
    copy = text + (name.p - from);
    copy[name.len] = '\0';
    text[(size_t)(value.p - from) + value.len] = '\0'; /* at the latest the line's own end */
    out->list[out->count++] =
        (struct http_field){.name = copy, .value = text + (value.p - from), .name_len = name.len};
    return true;
}

static bool read_lines(struct http_fields *out, const char *from, size_t len, char *text,
                       char *room)
{
    const char *p = from;
    const char *next = NULL;
    const char *line = NULL;
    struct http_head head = {0};

    while ((line = line_end(p, from + len, &next)) != NULL) {
        if (!out->method && line > p) {
            if (!http_head_request_line(p, line, &head)) {
                return false;
            }
            out->method = text + (head.method.p - from);
            out->method[head.method.len] = '\0';
            out->is_http11 = head.is_http11;
            take_target(out, &head, from, text, room);
        } else if (line > p && !take_header(out, from, text, p, line)) {
            return false;
        } else if (line == p && out->method) {
            return true;
        }
        p = next;
    }
    return false;
}

nhub_err http_fields_read(struct http_fields *out, const char *head, size_t len)
{
    const size_t table = count_lines(head, head + len) * sizeof *out->list;
    char *text = NULL;

    *out = (struct http_fields){0};
    /* The head, and a decoded path, which is shorter than the head. */
    out->block = malloc(table + 2 * (len + 1));
    if (!out->block) {
        return NHUB_ENOMEM;
    }
    out->list = (struct http_field *)(void *)out->block;
    text = out->block + table;
    memcpy(text, head, len);
    text[len] = '\0';
    if (!read_lines(out, head, len, text, text + len + 1)) {
        http_fields_free(out);
        return NHUB_EPROTO;
    }
    return NHUB_OK;
}

void http_fields_free(struct http_fields *f)
{
    free(f->block);
    *f = (struct http_fields){0};
}

static bool is_named(const struct http_field *field, const char *name, size_t len)
{
    return field->name_len == len && strncasecmp(field->name, name, len) == 0;
}

const char *http_fields_get(const struct http_fields *f, const char *name)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < f->count; i++) {
        if (is_named(&f->list[i], name, len)) {
            return f->list[i].value;
        }
    }
    return NULL;
}

size_t http_fields_count(const struct http_fields *f, const char *name)
{
    const size_t len = strlen(name);
    size_t count = 0;

    for (size_t i = 0; i < f->count; i++) {
        count += is_named(&f->list[i], name, len) ? 1 : 0;
    }
    return count;
}

static bool lists(const char *value, const char *word)
{
    const size_t len = strlen(word);

    while (value) {
        value += strspn(value, ", \t");
        if (strncasecmp(value, word, len) == 0 &&
            (value[len] == '\0' || strchr(", \t", value[len]) != NULL)) {
            return true;
        }
        value = strchr(value, ',');
    }
    return false;
}

bool http_fields_list(const struct http_fields *f, const char *name, const char *word)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < f->count; i++) {
        if (is_named(&f->list[i], name, len) && lists(f->list[i].value, word)) {
            return true;
        }
    }
    return false;
}
