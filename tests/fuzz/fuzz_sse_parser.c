// libs: cli_core
/*
 * Any bytes are a stream of server-sent events. Read whole and in pieces they must give the same
 * messages; the first byte of the input says how long the pieces are.
 */
#include "base/buf.h"
#include "cli/sse_parser.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_message(void *context, const struct sse_message *message)
{
    struct buf *seen = context;

    buf_add_str(seen, message->name);
    buf_add_char(seen, '\0');
    buf_add_str(seen, message->id);
    buf_add_char(seen, '\0');
    buf_add(seen, message->data, message->data_len);
    buf_add_char(seen, '\0');
    return true;
}

static nhub_err parse(const char *bytes, size_t len, size_t piece, struct buf *seen)
{
    struct sse_parser *parser = NULL;
    nhub_err err = sse_parser_create(&parser, LIMIT, on_message, seen);

    for (size_t at = 0; err == NHUB_OK && at < len; at += piece) {
        err = sse_parser_feed(parser, bytes + at, len - at < piece ? len - at : piece);
    }
    buf_add_str(seen, parser ? sse_parser_last_id(parser) : "");
    sse_parser_destroy(&parser);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    nhub_err err = NHUB_OK;

    if (size < 2 || size > LIMIT / 2) { /* beyond the limit whole and pieces may end differently */
        return 0;
    }
    buf_init(&whole);
    buf_init(&pieces);
    err = parse((const char *)data + 1, size - 1, size, &whole);
    if (parse((const char *)data + 1, size - 1, 1 + data[0] % 16U, &pieces) != err ||
        whole.len != pieces.len ||
        (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0)) {
        abort();
    }
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
