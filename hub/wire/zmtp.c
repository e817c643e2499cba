/*
 * zmtp: flags, lengths and metadata. All numbers are unsigned and big-endian.
 */
#include "wire/zmtp.h"

#include <strings.h>

/* Flags in the first byte of a frame; the other bits are reserved. */
enum { FLAG_MORE = 1, FLAG_LONG = 2, FLAG_COMMAND = 4 };
enum { SHORT_HEAD = 2, LONG_HEAD = ZMTP_HEAD_MAX, SHORT_MAX = 255 };

/* The greeting: signature, version, mechanism, as-server, filler. */
enum { SIGNATURE_END = 9, VERSION_AT = 10, MECHANISM_AT = 12, MECHANISM_LEN = 20 };

static const char mechanism[MECHANISM_LEN] = "NULL";

void zmtp_add_greeting(struct buf *out)
{
    unsigned char greeting[ZMTP_GREETING_LEN] = {0};

    greeting[0] = 0xff;
    greeting[SIGNATURE_END] = 0x7f;
    greeting[VERSION_AT] = 3;
    memcpy(greeting + MECHANISM_AT, mechanism, MECHANISM_LEN);
    buf_add(out, greeting, sizeof greeting);
}

/* What lies between the ends of the signature is padding of any value. */
nhub_err zmtp_greeting_check(const void *bytes, size_t len)
{
    const unsigned char *greeting = bytes;

    if ((len > 0 && greeting[0] != 0xff) ||
        (len > SIGNATURE_END && greeting[SIGNATURE_END] != 0x7f) ||
        (len > VERSION_AT && greeting[VERSION_AT] < 3)) {
        return NHUB_EPROTO;
    }
    for (size_t i = 0; i < MECHANISM_LEN && MECHANISM_AT + i < len; i++) {
        if (greeting[MECHANISM_AT + i] != (unsigned char)mechanism[i]) {
            return NHUB_EPROTO;
        }
    }
    return len < ZMTP_GREETING_LEN ? NHUB_EAGAIN : NHUB_OK;
}

static uint64_t read_number(const unsigned char *at, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static void write_number(unsigned char *at, size_t bytes, uint64_t number)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(number >> (8 * (bytes - 1 - i)));
    }
}

nhub_err zmtp_frame_read(const void *bytes, size_t len, size_t max, struct zmtp_frame *out,
                         size_t *out_used)
{
    const unsigned char *frame = bytes;
    size_t head = SHORT_HEAD;
    uint64_t body = 0;

    if (len == 0) {
        return NHUB_EAGAIN;
    }
    if ((frame[0] & ~(FLAG_MORE | FLAG_LONG | FLAG_COMMAND)) != 0) {
        return NHUB_EPROTO;
    }
    if (frame[0] & FLAG_LONG) {
        head = LONG_HEAD;
    }
    if (len < head) {
        return NHUB_EAGAIN;
    }
    body = read_number(frame + 1, head - 1);
    if (body > max) {
        return NHUB_EPROTO;
    }
    if (len - head < body) {
        return NHUB_EAGAIN;
    }
    *out = (struct zmtp_frame){.bytes = (const char *)frame + head,
                               .len = (size_t)body,
                               .more = frame[0] & FLAG_MORE,
                               .is_command = frame[0] & FLAG_COMMAND};
    *out_used = head + (size_t)body;
    return NHUB_OK;
}

/* ---- READY ---- */

static const char ready[] = "\5READY";
static const char type_name[] = "\13Socket-Type";
enum { READY_LEN = sizeof ready - 1, TYPE_NAME_LEN = sizeof type_name - 1, VALUE_HEAD = 4 };

void zmtp_add_ready(struct buf *out, const char *socket_type)
{
    const size_t len = strlen(socket_type);
    const size_t body = READY_LEN + TYPE_NAME_LEN + VALUE_HEAD + len;
    const unsigned char head[SHORT_HEAD] = {FLAG_COMMAND, (unsigned char)body};
    unsigned char value[VALUE_HEAD];

    write_number(value, VALUE_HEAD, len);
    buf_add(out, head, sizeof head);
    buf_add(out, ready, READY_LEN);
    buf_add(out, type_name, TYPE_NAME_LEN);
    buf_add(out, value, sizeof value);
    buf_add(out, socket_type, len);
}

/* One property: the length of its name, its name, the length of its value, its value. Names do not
 * know case. Moves *at behind it. */
static nhub_err read_property(const unsigned char **at, const unsigned char *end, bool *out_is_type,
                              const char **out, size_t *out_len)
{
    const unsigned char *name = *at;
    size_t name_len = 0;
    size_t len = 0;

    name_len = 1 + (size_t)name[0];
    if ((size_t)(end - name) < name_len + VALUE_HEAD) {
        return NHUB_EPROTO;
    }
    len = (size_t)read_number(name + name_len, VALUE_HEAD);
    if ((size_t)(end - name) - name_len - VALUE_HEAD < len) {
        return NHUB_EPROTO;
    }
    *out_is_type = name_len == TYPE_NAME_LEN &&
                   strncasecmp((const char *)name + 1, type_name + 1, TYPE_NAME_LEN - 1) == 0;
    *out = (const char *)name + name_len + VALUE_HEAD;
    *out_len = len;
    *at = name + name_len + VALUE_HEAD + len;
    return NHUB_OK;
}

/* Looks at all properties: what follows the type has to be well formed as well. */
nhub_err zmtp_ready_type(const struct zmtp_frame *command, const char **out, size_t *out_len)
{
    const unsigned char *at = (const unsigned char *)command->bytes;
    const unsigned char *end = at + command->len;
    const char *type = NULL;
    size_t type_len = 0;

    if (!command->is_command || command->len < READY_LEN || memcmp(at, ready, READY_LEN) != 0) {
        return NHUB_EPROTO;
    }
    for (at += READY_LEN; at < end;) {
        bool is_type = false;
        const char *value = NULL;
        size_t len = 0;

        if (read_property(&at, end, &is_type, &value, &len) != NHUB_OK) {
            return NHUB_EPROTO;
        }
        if (is_type && !type) {
            type = value;
            type_len = len;
        }
    }
    if (!type) {
        return NHUB_EPROTO;
    }
    *out = type;
    *out_len = type_len;
    return NHUB_OK;
}

/* ---- other commands ---- */

static const char error_name[] = "\5ERROR";
static const char ping[] = "\4PING";
static const char pong[] = "\4PONG";
/* A PING has a time to live of two bytes, which is not for us, and at most 16 bytes of context. */
enum {
    ERROR_LEN = sizeof error_name - 1,
    PING_LEN = sizeof ping - 1,
    TTL_LEN = 2,
    CONTEXT_MAX = 16
};

void zmtp_add_error(struct buf *out, const char *why)
{
    const size_t len = strlen(why);
    const unsigned char head[SHORT_HEAD] = {FLAG_COMMAND, (unsigned char)(ERROR_LEN + 1 + len)};

    buf_add(out, head, sizeof head);
    buf_add(out, error_name, ERROR_LEN);
    buf_add_char(out, (char)len);
    buf_add(out, why, len);
}

void zmtp_add_pong(struct buf *out, const struct zmtp_frame *command)
{
    const size_t fixed = PING_LEN + TTL_LEN;
    const size_t context = command->len - (command->len < fixed ? command->len : fixed);
    const unsigned char head[SHORT_HEAD] = {FLAG_COMMAND, (unsigned char)(PING_LEN + context)};

    if (!command->is_command || command->len < fixed || context > CONTEXT_MAX ||
        memcmp(command->bytes, ping, PING_LEN) != 0) {
        return;
    }
    buf_add(out, head, sizeof head);
    buf_add(out, pong, PING_LEN);
    buf_add(out, command->bytes + fixed, context);
}

/* ---- messages out ---- */

size_t zmtp_write_head(unsigned char out[ZMTP_HEAD_MAX], size_t len, bool more)
{
    out[0] = more ? FLAG_MORE : 0;
    if (len <= SHORT_MAX) {
        out[1] = (unsigned char)len;
        return SHORT_HEAD;
    }
    out[0] |= FLAG_LONG;
    write_number(out + 1, LONG_HEAD - 1, len);
    return LONG_HEAD;
}

void zmtp_add_frame(struct buf *out, const void *bytes, size_t len, bool more)
{
    unsigned char head[ZMTP_HEAD_MAX];

    buf_add(out, head, zmtp_write_head(head, len, more));
    buf_add(out, bytes, len);
}

void zmtp_set_last(char *frame)
{
    frame[0] = (char)(frame[0] & ~FLAG_MORE);
}

/* The length is known at the end, so the head is of the long form. */
size_t zmtp_begin(struct buf *out)
{
    static const char head[LONG_HEAD] = {FLAG_LONG};
    const size_t begin = out->len;

    buf_add(out, head, sizeof head);
    return begin;
}

void zmtp_end(struct buf *out, size_t begin)
{
    if (!out->failed) {
        write_number((unsigned char *)out->data + begin + 1, LONG_HEAD - 1,
                     out->len - begin - LONG_HEAD);
    }
}
