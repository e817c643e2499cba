/*
 * sse_parser: line by line; a line that came in one piece is not copied.
 */
#include "cli/sse_parser.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MAX_MS 3600000

struct sse_parser {
    sse_message_fn *fn;
    void *context;
    size_t max_bytes;
    struct buf line; /* the beginning of an unfinished line */
    struct buf name, data, id;
    struct buf next_id; /* takes effect with the dispatch */
    bool has_data;
    bool is_after_cr; /* an LF that follows belongs to the same line end */
    bool is_started;  /* the byte order mark was looked for */
    int64_t retry_ms;
    nhub_err failed;
};

nhub_err sse_parser_create(struct sse_parser **out, size_t max_bytes, sse_message_fn *fn,
                           void *context)
{
    struct sse_parser *p = calloc(1, sizeof *p);

    if (!p) {
        return NHUB_ENOMEM;
    }
    *p = (struct sse_parser){.fn = fn, .context = context, .max_bytes = max_bytes, .retry_ms = -1};
    buf_init(&p->line);
    buf_init(&p->name);
    buf_init(&p->data);
    buf_init(&p->id);
    buf_init(&p->next_id);
    (void)buf_cstr(&p->id);
    *out = p;
    return NHUB_OK;
}

void sse_parser_destroy(struct sse_parser **p_p)
{
    struct sse_parser *p = *p_p;

    if (!p) {
        return;
    }
    buf_fini(&p->line);
    buf_fini(&p->name);
    buf_fini(&p->data);
    buf_fini(&p->id);
    buf_fini(&p->next_id);
    free(p);
    *p_p = NULL;
}

static void forget_message(struct sse_parser *p)
{
    buf_reset(&p->name);
    buf_reset(&p->data);
    p->has_data = false;
}

void sse_parser_reset(struct sse_parser *p)
{
    buf_reset(&p->line);
    forget_message(p);
    buf_reset(&p->next_id);
    buf_add(&p->next_id, p->id.data, p->id.len);
    p->is_after_cr = false;
    p->is_started = false;
    p->failed = NHUB_OK;
}

const char *sse_parser_last_id(const struct sse_parser *p)
{
    return p->id.len > 0 ? p->id.data : "";
}

int64_t sse_parser_retry_ms(const struct sse_parser *p)
{
    return p->retry_ms;
}

static bool is_out_of_memory(const struct sse_parser *p)
{
    return p->line.failed || p->name.failed || p->data.failed || p->id.failed || p->next_id.failed;
}

static nhub_err dispatch(struct sse_parser *p)
{
    struct sse_message message;
    bool goes_on = true;

    buf_reset(&p->id);
    buf_add(&p->id, p->next_id.data, p->next_id.len);
    (void)buf_cstr(&p->id);
    if (p->has_data && !is_out_of_memory(p)) {
        message = (struct sse_message){
            .name = p->name.len > 0 ? buf_cstr(&p->name) : "message",
            .data = buf_cstr(&p->data),
            .data_len = p->data.len,
            .id = sse_parser_last_id(p),
        };
        goes_on = p->fn(p->context, &message);
    }
    if (is_out_of_memory(p)) {
        return NHUB_ENOMEM;
    }
    forget_message(p);
    return goes_on ? NHUB_OK : NHUB_ECLOSED;
}

static void take_retry(struct sse_parser *p, const char *value, size_t len)
{
    int64_t ms = 0;

    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return;
        }
        if (ms < RETRY_MAX_MS) {
            ms = ms * 10 + (value[i] - '0');
        }
    }
    if (len > 0) {
        p->retry_ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
    }
}

static nhub_err take_field(struct sse_parser *p, const char *line, size_t name_len,
                           const char *value, size_t len)
{
    if (name_len == 4 && memcmp(line, "data", 4) == 0) {
        if (p->data.len + len + 1 > p->max_bytes) {
            return NHUB_ETOOBIG;
        }
        if (p->has_data) {
            buf_add_char(&p->data, '\n');
        }
        buf_add(&p->data, value, len);
        p->has_data = true;
    } else if (name_len == 5 && memcmp(line, "event", 5) == 0) {
        buf_reset(&p->name);
        buf_add(&p->name, value, len);
    } else if (name_len == 2 && memcmp(line, "id", 2) == 0) {
        if (!memchr(value, '\0', len)) {
            buf_reset(&p->next_id);
            buf_add(&p->next_id, value, len);
        }
    } else if (name_len == 5 && memcmp(line, "retry", 5) == 0) {
        take_retry(p, value, len);
    }
    return is_out_of_memory(p) ? NHUB_ENOMEM : NHUB_OK;
}

static nhub_err take_line(struct sse_parser *p, const char *line, size_t len)
{
    static const char mark[] = "\xEF\xBB\xBF";
    const char *colon = NULL;
    const char *value = NULL;

    if (!p->is_started) {
        p->is_started = true;
        if (len >= 3 && memcmp(line, mark, 3) == 0) {
            line += 3;
            len -= 3;
        }
    }
    if (len == 0) {
        return dispatch(p);
    }
    colon = memchr(line, ':', len);
    if (colon == line) {
        return NHUB_OK;
    }
    if (!colon) {
        return take_field(p, line, len, "", 0);
    }
    value = colon + 1;
    if (value < line + len && *value == ' ') {
        value++;
    }
    return take_field(p, line, (size_t)(colon - line), value, (size_t)(line + len - value));
}

/* The line that ends at `end`, together with what came of it before. */
static nhub_err finish_line(struct sse_parser *p, const char *start, size_t len)
{
    nhub_err err = NHUB_OK;

    if (p->line.len == 0) {
        return take_line(p, start, len);
    }
    buf_add(&p->line, start, len);
    if (p->line.failed) {
        return NHUB_ENOMEM;
    }
    err = take_line(p, p->line.data, p->line.len);
    buf_reset(&p->line);
    return err;
}

static nhub_err feed(struct sse_parser *p, const char *bytes, size_t len)
{
    size_t start = 0;

    for (size_t i = 0; i < len; i++) {
        nhub_err err = NHUB_OK;

        if (bytes[i] == '\n' && p->is_after_cr) {
            p->is_after_cr = false;
            start = i + 1;
            continue;
        }
        p->is_after_cr = bytes[i] == '\r';
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            continue;
        }
        err = finish_line(p, bytes + start, i - start);
        if (err != NHUB_OK) {
            return err;
        }
        start = i + 1;
    }
    if (p->line.len + (len - start) > p->max_bytes) {
        return NHUB_ETOOBIG;
    }
    buf_add(&p->line, bytes + start, len - start);
    return p->line.failed ? NHUB_ENOMEM : NHUB_OK;
}

nhub_err sse_parser_feed(struct sse_parser *p, const char *bytes, size_t len)
{
    if (p->failed == NHUB_OK) {
        p->failed = feed(p, bytes, len);
    }
    return p->failed;
}
