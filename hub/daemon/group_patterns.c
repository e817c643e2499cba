/*
 * group_patterns: one block of memory, the texts behind the list.
 */
#include "daemon/group_patterns.h"

#include "wire/pattern.h"

#include <stdlib.h>
#include <string.h>

static const struct request_pattern everything = {.text = "*", .len = 1};

nhub_err group_patterns_create(struct group_patterns **out, const struct request_pattern *patterns,
                               size_t count)
{
    const bool is_everything = count == 0;
    struct group_patterns *p;
    size_t bytes = 0;
    char *text;

    if (is_everything) {
        patterns = &everything;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        bytes += patterns[i].len + 1;
    }
    p = malloc(sizeof *p + count * sizeof p->items[0] + bytes);
    if (!p) {
        return NHUB_ENOMEM;
    }
    p->refs = 1;
    p->count = count;
    p->is_everything = is_everything;
    text = (char *)&p->items[count];
    for (size_t i = 0; i < count; i++) {
        memcpy(text, patterns[i].text, patterns[i].len);
        text[patterns[i].len] = '\0';
        p->items[i] = (struct group_pattern){.text = text, .len = patterns[i].len};
        text += patterns[i].len + 1;
    }
    *out = p;
    return NHUB_OK;
}

struct group_patterns *group_patterns_ref(struct group_patterns *p)
{
    p->refs++;
    return p;
}

void group_patterns_unref(struct group_patterns **p_p)
{
    if (*p_p && --(*p_p)->refs == 0) {
        free(*p_p);
    }
    *p_p = NULL;
}

bool group_patterns_select(const struct group_patterns *p, const char *type, size_t type_len,
                           const char *stats_event)
{
    for (size_t i = 0; i < p->count; i++) {
        if (pattern_selects(p->items[i].text, p->items[i].len, type, type_len, stats_event)) {
            return true;
        }
    }
    return false;
}

bool group_patterns_equal(const struct group_patterns *a, const struct group_patterns *b)
{
    if (a->count != b->count || a->is_everything != b->is_everything) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->items[i].len != b->items[i].len ||
            memcmp(a->items[i].text, b->items[i].text, a->items[i].len) != 0) {
            return false;
        }
    }
    return true;
}

void group_patterns_write(const struct group_patterns *p, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; !p->is_everything && i < p->count; i++) {
        buf_add_str(out, i == 0 ? "" : ",");
        buf_add_json_string(out, p->items[i].text, p->items[i].len);
    }
    buf_add_char(out, ']');
}
