/*
 * Writing requests, for whoever asks the hub: the JSON frame, and the beginning of a packed request
 * around it.
 */
#include "wire/request.h"

#include "base/settings.h"
#include "wire/packed.h"
#include "wire/request_private.h"

#include <string.h>

void request_pack(struct buf *out, const void *json, size_t len)
{
    const char *type = message_type_name(MESSAGE_REQ);

    packed_begin(out);
    packed_add(out, type, strlen(type));
    packed_add(out, json, len);
}

void request_open(struct buf *out, const char *action, uint64_t request_id)
{
    buf_add_str(out, "{\"action\":");
    buf_add_json_cstr(out, action);
    buf_add_str(out, ",\"request_id\":");
    buf_add_u64(out, request_id);
}

void request_add_strings(struct buf *out, const char *name, const char *const *items, size_t count)
{
    if (count == 0) {
        return;
    }
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_add_char(out, ',');
        }
        buf_add_json_cstr(out, items[i]);
    }
    buf_add_char(out, ']');
}

void request_write_simple(struct buf *out, const char *action, uint64_t request_id)
{
    request_open(out, action, request_id);
    buf_add_char(out, '}');
}

static void open_publish(struct buf *out, uint64_t request_id, int durability, bool atomic)
{
    request_open(out, "publish", request_id);
    if (durability != DURABILITY_DEFAULT) {
        buf_add_str(out, ",\"durability\":\"");
        buf_add_str(out, durability_name(durability));
        buf_add_char(out, '"');
    }
    if (!atomic) {
        buf_add_str(out, ",\"atomic\":false");
    }
}

void request_write_publish(struct buf *out, uint64_t request_id, int durability, bool atomic)
{
    open_publish(out, request_id, durability, atomic);
    buf_add_char(out, '}');
}

void request_write_publish_batched(struct buf *out, uint64_t request_id, int durability,
                                   bool atomic)
{
    open_publish(out, request_id, durability, atomic);
    buf_add_str(out, ",\"acks\":\"batched\"}");
}

void request_write_history(struct buf *out, uint64_t request_id, const char *since_text,
                           const char *const *patterns, size_t count, uint64_t limit)
{
    request_open(out, "history", request_id);
    if (since_text) {
        buf_add_str(out, ",\"since\":");
        buf_add_json_cstr(out, since_text);
    }
    request_add_strings(out, "event_type", patterns, count);
    if (limit > 0) {
        buf_add_str(out, ",\"limit\":");
        buf_add_u64(out, limit);
    }
    buf_add_char(out, '}');
}

void request_write_count(struct buf *out, uint64_t request_id, const struct position *from,
                         uint64_t to_seq, const char *const *prefixes, size_t count)
{
    request_open(out, "count", request_id);
    buf_printf(out, ",\"epoch\":\"%s\",\"from\":", from->epoch);
    buf_add_u64(out, from->seq);
    buf_add_str(out, ",\"to\":");
    buf_add_u64(out, to_seq);
    request_add_strings(out, "prefixes", prefixes, count);
    buf_add_char(out, '}');
}
