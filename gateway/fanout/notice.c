/* notice: small texts, built member by member. */
#include "gateway/fanout/notice.h"

#include "gateway/fanout/render.h"

static void add_position(struct buf *out, const char *name, const struct position *position)
{
    char text[POSITION_TEXT_MAX];
    size_t len = position_format(position, text);

    buf_add_char(out, '"');
    buf_add_str(out, name);
    buf_add_str(out, "\":\"");
    buf_add(out, text, len);
    buf_add_char(out, '"');
}

void notice_gap_members(struct buf *out, const struct gap *gap)
{
    add_position(out, "from", &gap->from);
    buf_add_char(out, ',');
    add_position(out, "to", &gap->to);
    buf_printf(out, ",\"reason\":\"%s\"", gap_reason_name(gap->reason));
}

static void add_gap_json(struct buf *out, const char *head, const struct gap *gap, uint64_t dropped)
{
    buf_add_str(out, head);
    notice_gap_members(out, gap);
    if (dropped > 0) {
        buf_add_str(out, ",\"dropped\":");
        buf_add_u64(out, dropped);
    }
    buf_add_char(out, '}');
}

static void add_message(struct buf *out, struct buf *json)
{
    if (json->failed) {
        out->failed = true;
    } else {
        ws_message_add(out, json->data, json->len);
    }
    buf_fini(json);
}

static void add_id(struct buf *out, const struct position *position)
{
    char text[POSITION_TEXT_MAX];
    size_t len = position_format(position, text);

    buf_add(out, "id: ", 4);
    buf_add(out, text, len);
    buf_add_char(out, '\n');
}

void notice_gap(struct buf *out, enum stream_format format, const struct gap *gap, uint64_t dropped)
{
    if (format_is_ws(format)) {
        struct buf json;

        buf_init(&json);
        add_gap_json(&json, "{\"op\":\"gap\",", gap, dropped);
        add_message(out, &json);
        return;
    }
    add_id(out, &gap->to);
    buf_add_str(out, "event: hub.gap\ndata: ");
    add_gap_json(out, "{", gap, dropped);
    buf_add_str(out, "\n\n");
}

void notice_position(struct buf *out, enum stream_format format, const struct position *position)
{
    if (format_is_ws(format)) {
        struct buf json;

        buf_init(&json);
        buf_add_str(&json, "{\"op\":\"position\",");
        add_position(&json, "position", position);
        buf_add_char(&json, '}');
        add_message(out, &json);
        return;
    }
    add_id(out, position);
    buf_add_char(out, '\n');
}
