/*
 * envelope: begins and ends answers. jansson is needed for the request_id, which may be any JSON
 * value.
 */
#include "daemon/envelope.h"

#include <jansson.h>

void envelope_success(struct buf *out)
{
    buf_add_str(out, "{\"success\":true");
}

void envelope_error(struct buf *out, const char *error, const char *code)
{
    buf_add_str(out, "{\"success\":false,\"error\":");
    buf_add_json_cstr(out, error);
    if (code) {
        buf_add_str(out, ",\"code\":");
        buf_add_json_cstr(out, code);
    }
}

static int add_bytes(const char *bytes, size_t len, void *context)
{
    buf_add(context, bytes, len);
    return 0;
}

void envelope_end(struct buf *out, const struct request *request)
{
    if (request->request_id) {
        buf_add_str(out, ",\"request_id\":");
        if (json_is_integer(request->request_id)) { /* nearly always, and much cheaper */
            buf_add_i64(out, json_integer_value(request->request_id));
        } else if (json_dump_callback(request->request_id, add_bytes, out,
                                      JSON_ENCODE_ANY | JSON_COMPACT) != 0) {
            out->failed = true;
        }
    }
    buf_add_char(out, '}');
}

void envelope_position(struct buf *out, const char *name, const char *epoch, uint64_t seq)
{
    buf_printf(out, ",\"%s\":\"%s-", name, epoch);
    buf_add_u64(out, seq);
    buf_add_char(out, '"');
}
