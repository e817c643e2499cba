/* render: most lines are copied as they are, into one exact allocation. */
#include "gateway/fanout/render.h"

#include "gateway/fanout/notice.h"
#include "wire/cloudevents.h"
#include "wire/json_scan.h"

#include <string.h>

bool format_is_ws(enum stream_format format)
{
    return format == FORMAT_WS || format == FORMAT_WS_CE;
}

bool format_is_cloudevents(enum stream_format format)
{
    return format == FORMAT_WS_CE || format == FORMAT_SSE_CE || format == FORMAT_SSE_NAMED_CE;
}

static bool format_is_named(enum stream_format format)
{
    return format == FORMAT_SSE_NAMED || format == FORMAT_SSE_NAMED_CE;
}

/* Looks for the first letter with memchr(), which takes many bytes at a time; memmem() takes each
 * of them, and every event passes here. */
static bool has_word(const char *p, size_t len, const char *word, size_t word_len)
{
    const char *const end = p + len;

    while ((p = memchr(p, *word, (size_t)(end - p))) != NULL) {
        if ((size_t)(end - p) < word_len) {
            return false;
        }
        if (memcmp(p, word, word_len) == 0) {
            return true;
        }
        p++;
    }
    return false;
}

/* Cheap and sometimes wrong in one direction only: the words may stand inside a string. */
static bool may_have_nonfinite(const struct feed_event *e)
{
    return has_word(e->line, e->line_len, "NaN", 3) ||
           has_word(e->line, e->line_len, "Infinity", 8);
}

static nhub_err add_strict_line(const struct feed_event *e, struct buf *out)
{
    if (!may_have_nonfinite(e)) {
        buf_add(out, e->line, e->line_len);
    } else if (buf_reserve(out, e->line_len * 2) == NHUB_OK) {
        out->len += json_nonfinite_to_null(e->line, e->line_len, out->data + out->len);
    }
    return out->failed ? NHUB_ENOMEM : NHUB_OK;
}

nhub_err render_json(const struct feed_event *e, bool cloudevents, struct buf *out)
{
    struct buf strict;
    nhub_err err = NHUB_OK;

    if (!cloudevents) {
        return add_strict_line(e, out);
    }
    buf_init(&strict);
    err = add_strict_line(e, &strict);
    if (err == NHUB_OK) {
        const size_t before = out->len;

        err = event_to_cloudevent(strict.data, strict.len, out);
        if (err == NHUB_EPROTO) {
            /* The hub wrote something that is no event: it goes out as it is. */
            out->len = before;
            buf_add(out, strict.data, strict.len);
            err = NHUB_OK;
        }
    }
    buf_fini(&strict);
    return out->failed ? NHUB_ENOMEM : err;
}

/* What stands before the JSON in an SSE chunk. A type has no control characters, so it cannot end
 * its line. */
static void add_sse_head(const struct feed_event *e, enum stream_format format, struct buf *out)
{
    char position[POSITION_TEXT_MAX];
    size_t len = position_format(&e->position, position);

    buf_add(out, "id: ", 4);
    buf_add(out, position, len);
    if (format_is_named(format)) {
        buf_add(out, "\nevent: ", 8);
        buf_add(out, e->type, e->type_len);
    }
    buf_add(out, "\ndata: ", 7);
}

static void add_framed(const struct feed_event *e, enum stream_format format, const char *json,
                       size_t len, struct buf *out)
{
    if (format_is_ws(format)) {
        ws_message_add(out, json, len);
        return;
    }
    if (buf_reserve(out, len + e->type_len + 64) != NHUB_OK) {
        return;
    }
    add_sse_head(e, format, out);
    buf_add(out, json, len);
    buf_add(out, "\n\n", 2);
}

nhub_err render_append(const struct feed_event *e, enum stream_format format, struct buf *out)
{
    struct buf json;
    nhub_err err = NHUB_OK;

    if (e->gap) {
        notice_gap(out, format, e->gap, 0);
    } else if (!format_is_cloudevents(format) && !may_have_nonfinite(e)) {
        add_framed(e, format, e->line, e->line_len, out);
    } else {
        buf_init(&json);
        err = render_json(e, format_is_cloudevents(format), &json);
        if (err == NHUB_OK) {
            add_framed(e, format, json.data, json.len, out);
        }
        buf_fini(&json);
    }
    if (err == NHUB_OK && out->failed) {
        err = NHUB_ENOMEM;
    }
    return err;
}

/* The common case by hand: a plain line in a WebSocket frame, one allocation and one copy. */
static nhub_err render_ws_line(const struct feed_event *e, struct blob **out)
{
    nhub_err err = blob_create(out, ws_message_size(e->line_len));

    if (err == NHUB_OK) {
        (void)ws_message_write((*out)->bytes, e->line, e->line_len);
    }
    return err;
}

static nhub_err render_any(const struct feed_event *e, enum stream_format format, struct blob **out)
{
    struct buf text;
    nhub_err err = NHUB_OK;

    buf_init(&text);
    err = render_append(e, format, &text);
    if (err == NHUB_OK) {
        err = blob_copy(out, text.data, text.len);
    }
    buf_fini(&text);
    return err;
}

nhub_err render_event(struct feed_event *e, enum stream_format format, const struct blob **out)
{
    struct blob *made = NULL;
    nhub_err err = NHUB_OK;

    if (!e->rendered[format]) {
        err = format == FORMAT_WS && !e->gap && !may_have_nonfinite(e)
                  ? render_ws_line(e, &made)
                  : render_any(e, format, &made);
        if (err != NHUB_OK) {
            return err;
        }
        e->rendered[format] = made;
        e->held_text_bytes += sizeof *made + made->len;
    }
    *out = e->rendered[format];
    return NHUB_OK;
}

void render_drop(struct feed_event *e)
{
    for (int i = 0; i < FORMATS; i++) {
        blob_unref(&e->rendered[i]);
    }
    e->held_text_bytes = 0;
}
