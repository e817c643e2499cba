/*
 * journal_void: one line, there and back.
 */
#include "cli/journal_void.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

void journal_void_write(struct buf *out, const struct store_void_range *range, const char *epoch)
{
    buf_printf(out,
               "{\"event_type\":\"" JOURNAL_VOID_TYPE
               "\",\"source_service\":\"notifyhub\",\"data\":{\"from\":%" PRIu64 ",\"to\":%" PRIu64
               ",\"reason\":\"%s\"}",
               range->from, range->to, store_void_name(range->why));
    buf_printf(out, ",\"timestamp\":%" PRId64 ".%06d", range->noted_us / 1000000,
               (int)(range->noted_us % 1000000));
    buf_printf(out,
               ",\"correlation_id\":\"%s-%" PRIu64 "\",\"seq\":%" PRIu64 ",\"epoch\":\"%s\"}\n",
               epoch, range->from, range->from, epoch);
}

static bool read_number(const json_t *data, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(data, name);

    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        (uint64_t)json_integer_value(value) > STORE_SEQ_MAX) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_reason(const json_t *data, enum store_void *out)
{
    const char *reason = json_string_value(json_object_get(data, "reason"));

    for (enum store_void why = STORE_VOID_UNCLEAN_STOP; why <= STORE_VOID_NOT_STORED; why++) {
        if (reason && strcmp(reason, store_void_name(why)) == 0) {
            *out = why;
            return true;
        }
    }
    return false;
}

nhub_err journal_void_read(const char *data, size_t len, struct store_void_range *out)
{
    json_error_t error;
    json_t *json = json_loadb(data, len, 0, &error);
    const bool is_good = json_is_object(json) && read_number(json, "from", &out->from) &&
                         read_number(json, "to", &out->to) && out->from <= out->to &&
                         read_reason(json, &out->why);

    json_decref(json);
    return is_good ? NHUB_OK : NHUB_EPROTO;
}
