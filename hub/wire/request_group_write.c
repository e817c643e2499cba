/*
 * Writing requests on consumer groups, for whoever asks the hub.
 */
#include "wire/request_group.h"

#include "wire/request_private.h"

static void add_string(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_add_json_cstr(out, value);
}

static void add_number(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_add_u64(out, value);
}

void request_write_group_create(struct buf *out, uint64_t request_id, const char *group,
                                const struct group_options *options)
{
    request_open(out, "group_create", request_id);
    add_string(out, "group", group);
    request_add_strings(out, "event_type", options->patterns, options->pattern_count);
    if (options->since) {
        add_string(out, "since", options->since);
    }
    if (options->visibility_ms > 0) {
        add_number(out, "visibility_ms", options->visibility_ms);
    }
    if (options->max_attempts >= 0) {
        add_number(out, "max_attempts", (uint64_t)options->max_attempts);
    }
    buf_add_str(out, options->ordered ? ",\"ordered\":true" : "");
    buf_add_str(out, options->hold ? ",\"hold\":true}" : "}");
}

void request_write_group(struct buf *out, const char *action, uint64_t request_id,
                         const char *group)
{
    request_open(out, action, request_id);
    add_string(out, "group", group);
    buf_add_char(out, '}');
}

void request_write_fetch(struct buf *out, uint64_t request_id, const char *group,
                         const char *member, uint32_t max, uint32_t max_bytes, uint32_t wait_ms)
{
    request_open(out, "fetch", request_id);
    add_string(out, "group", group);
    add_string(out, "member", member);
    add_number(out, "max", max);
    if (max_bytes > 0) {
        add_number(out, "max_bytes", max_bytes);
    }
    add_number(out, "wait_ms", wait_ms);
    buf_add_char(out, '}');
}

static void open_with_deliveries(struct buf *out, const char *action, uint64_t request_id,
                                 const char *group, const char *const *deliveries, size_t count)
{
    request_open(out, action, request_id);
    add_string(out, "group", group);
    request_add_strings(out, "deliveries", deliveries, count);
}

void request_write_ack(struct buf *out, uint64_t request_id, const char *group,
                       const char *const *deliveries, size_t count)
{
    open_with_deliveries(out, "ack", request_id, group, deliveries, count);
    buf_add_char(out, '}');
}

void request_write_nack(struct buf *out, uint64_t request_id, const char *group,
                        const char *const *deliveries, size_t count, uint32_t delay_ms,
                        bool release)
{
    open_with_deliveries(out, "nack", request_id, group, deliveries, count);
    if (delay_ms > 0) {
        add_number(out, "delay_ms", delay_ms);
    }
    buf_add_str(out, release ? ",\"release\":true}" : "}");
}

void request_write_extend(struct buf *out, uint64_t request_id, const char *group,
                          const char *const *deliveries, size_t count, uint32_t visibility_ms)
{
    open_with_deliveries(out, "extend", request_id, group, deliveries, count);
    if (visibility_ms > 0) {
        add_number(out, "visibility_ms", visibility_ms);
    }
    buf_add_char(out, '}');
}
