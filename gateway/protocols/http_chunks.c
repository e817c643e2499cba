/*
 * http_chunks: a state for each place in the grammar, a byte at a time but for the data itself.
 */
#include "gateway/protocols/http_chunks.h"

/* A size is below this: it fits, and no chunk of ours is ever as long. */
#define SIZE_MAX_VALUE (UINT64_C(1) << 48)

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static nhub_err go(struct http_chunks *c, bool is_right, enum http_chunks_state state)
{
    c->state = state;
    return is_right ? NHUB_OK : NHUB_EPROTO;
}

/* Blanks may stand before an extension, and nothing else behind them. */
static nhub_err take_size_end(struct http_chunks *c, char byte)
{
    if (byte == '\r') {
        return go(c, true, HTTP_CHUNKS_SIZE_LF);
    }
    if (byte == ';') {
        return go(c, true, HTTP_CHUNKS_EXTENSION);
    }
    return go(c, (byte == ' ' || byte == '\t') && ++c->overhead <= HTTP_CHUNKS_EXTENSION_MAX,
              HTTP_CHUNKS_BLANKS);
}

static nhub_err take_size(struct http_chunks *c, char byte)
{
    const int digit = digit_of(byte);

    if (digit >= 0) {
        c->left = c->left * 16 + (uint64_t)digit;
        return go(c, c->left < SIZE_MAX_VALUE && ++c->overhead <= HTTP_CHUNKS_DIGITS_MAX,
                  HTTP_CHUNKS_DIGITS);
    }
    if (c->state == HTTP_CHUNKS_SIZE) {
        return NHUB_EPROTO;
    }
    c->overhead = 0;
    return take_size_end(c, byte);
}

static nhub_err take_extension(struct http_chunks *c, char byte)
{
    if (byte == '\r') {
        return go(c, true, HTTP_CHUNKS_SIZE_LF);
    }
    return go(c, byte != '\n' && byte != '\0' && ++c->overhead <= HTTP_CHUNKS_EXTENSION_MAX,
              HTTP_CHUNKS_EXTENSION);
}

static nhub_err take_trailer(struct http_chunks *c, char byte)
{
    if (byte == '\r') {
        return go(c, true,
                  c->state == HTTP_CHUNKS_TRAILER ? HTTP_CHUNKS_LAST_LF : HTTP_CHUNKS_TRAILER_LF);
    }
    return go(c, byte != '\n' && byte != '\0' && ++c->overhead <= HTTP_CHUNKS_TRAILERS_MAX,
              HTTP_CHUNKS_TRAILER_LINE);
}

static nhub_err take_byte(struct http_chunks *c, char byte)
{
    switch (c->state) {
    case HTTP_CHUNKS_SIZE:
    case HTTP_CHUNKS_DIGITS:
        return take_size(c, byte);
    case HTTP_CHUNKS_BLANKS:
        return take_size_end(c, byte);
    case HTTP_CHUNKS_EXTENSION:
        return take_extension(c, byte);
    case HTTP_CHUNKS_SIZE_LF:
        c->overhead = 0;
        return go(c, byte == '\n', c->left > 0 ? HTTP_CHUNKS_DATA : HTTP_CHUNKS_TRAILER);
    case HTTP_CHUNKS_DATA_CR:
        return go(c, byte == '\r', HTTP_CHUNKS_DATA_LF);
    case HTTP_CHUNKS_DATA_LF:
        c->overhead = 0;
        return go(c, byte == '\n', HTTP_CHUNKS_SIZE);
    case HTTP_CHUNKS_TRAILER:
    case HTTP_CHUNKS_TRAILER_LINE:
        return take_trailer(c, byte);
    case HTTP_CHUNKS_TRAILER_LF:
        return go(c, byte == '\n', HTTP_CHUNKS_TRAILER);
    case HTTP_CHUNKS_LAST_LF:
        return go(c, byte == '\n', HTTP_CHUNKS_DONE);
    case HTTP_CHUNKS_DATA:
    case HTTP_CHUNKS_DONE:
        break;
    }
    return NHUB_EPROTO;
}

nhub_err http_chunks_next(struct http_chunks *c, const char **text, size_t *len, const char **data,
                          size_t *data_len)
{
    *data_len = 0;
    while (*len > 0 && c->state != HTTP_CHUNKS_DATA && c->state != HTTP_CHUNKS_DONE) {
        const nhub_err err = take_byte(c, **text);

        if (err != NHUB_OK) {
            return err;
        }
        (*text)++;
        (*len)--;
    }
    if (c->state == HTTP_CHUNKS_DATA) {
        *data = *text;
        *data_len = c->left < *len ? (size_t)c->left : *len;
        *text += *data_len;
        *len -= *data_len;
        c->left -= *data_len;
        if (c->left == 0) {
            c->state = HTTP_CHUNKS_DATA_CR;
        }
    }
    return NHUB_OK;
}

bool http_chunks_is_done(const struct http_chunks *c)
{
    return c->state == HTTP_CHUNKS_DONE;
}
