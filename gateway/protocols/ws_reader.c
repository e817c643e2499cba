/* ws_reader: the head is gathered byte by byte and judged as soon as two of them are there. */
#include "gateway/protocols/ws_reader.h"

#include <string.h>

#define FIN        0x80U
#define RESERVED   0x70U
#define OPCODE     0x0fU
#define IS_CONTROL 0x08U
#define MASKED     0x80U
#define LENGTH     0x7fU
#define LEN16      126U
#define LEN64      127U
#define MASK_LEN   4U

static unsigned opcode_of(const struct ws_reader *r)
{
    return r->head[0] & OPCODE;
}

static bool is_final(const struct ws_reader *r)
{
    return (r->head[0] & FIN) != 0;
}

/* What the first two bytes can have wrong (sections 5.2, 5.4 and 5.5); NULL = nothing. */
static const char *find_fault(const struct ws_reader *r)
{
    const unsigned opcode = opcode_of(r);

    if ((r->head[0] & RESERVED) != 0) {
        return "reserved bits"; /* no extension was agreed on */
    }
    if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE)) {
        return "bad opc";
    }
    if ((r->head[1] & MASKED) == 0) {
        return "no mask";
    }
    if ((opcode & IS_CONTROL) != 0) {
        return !is_final(r)                             ? "control frame in fragments"
               : (r->head[1] & LENGTH) > WS_CONTROL_MAX ? "long control frame"
                                                        : NULL;
    }
    if (opcode == WS_CONTINUATION && r->message == 0) {
        return "continuation of nothing";
    }
    if (opcode != WS_CONTINUATION && r->message != 0) {
        return "message in a message";
    }
    return NULL;
}

static size_t length_size(const struct ws_reader *r)
{
    const unsigned length = r->head[1] & LENGTH;

    return length == LEN64 ? 8 : length == LEN16 ? 2 : 0;
}

/* False: the length is not written in the fewest bytes, or is beyond all sizes (section 5.2). */
static bool read_length(struct ws_reader *r)
{
    const size_t size = length_size(r);
    uint64_t length = 0;

    for (size_t i = 0; i < size; i++) {
        length = length << 8 | r->head[2 + i];
    }
    r->left = size == 0 ? r->head[1] & LENGTH : length;
    return size == 0 || (size == 2 ? length >= LEN16 : length > UINT16_MAX && length >> 63 == 0);
}

/* Takes bytes of the head until it is whole. A fault is in *out; without one and with the head
 * whole the payload follows. */
static size_t read_head(struct ws_reader *r, const char *bytes, size_t len, struct ws_part *out)
{
    size_t used = 0;

    while (used < len) {
        r->head[r->head_len++] = (unsigned char)bytes[used++];
        if (r->head_len == 2) {
            out->reason = find_fault(r);
        } else if (r->head_len < 2) {
            continue;
        }
        if (!out->reason && r->head_len == 2 + length_size(r) + MASK_LEN) {
            out->reason = read_length(r) ? NULL : "bad length";
            r->in_payload = true;
        }
        if (out->reason) {
            out->kind = WS_PART_BROKEN;
            return used;
        }
        if (r->in_payload) {
            r->mask_at = 0;
            if ((opcode_of(r) & IS_CONTROL) == 0 && opcode_of(r) != WS_CONTINUATION) {
                r->message = (unsigned char)opcode_of(r);
            }
            return used;
        }
    }
    return used;
}

/* Section 5.3, eight bytes at a time. */
static void unmask(struct ws_reader *r, char *bytes, size_t len)
{
    const unsigned char *mask = r->head + r->head_len - MASK_LEN;
    unsigned char turned[sizeof(uint64_t)];
    uint64_t by = 0;
    size_t i = 0;

    for (i = 0; i < sizeof turned; i++) {
        turned[i] = mask[(r->mask_at + i) % MASK_LEN];
    }
    memcpy(&by, turned, sizeof by);
    for (i = 0; i + sizeof by <= len; i += sizeof by) {
        uint64_t word = 0;

        memcpy(&word, bytes + i, sizeof word);
        word ^= by;
        memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < len; i++) {
        bytes[i] = (char)((unsigned char)bytes[i] ^ turned[i % MASK_LEN]);
    }
    r->mask_at = (unsigned char)((r->mask_at + len) % MASK_LEN);
}

static void end_frame(struct ws_reader *r, bool is_control, struct ws_part *out)
{
    out->is_last = is_final(r);
    if (!is_control && out->is_last) {
        r->message = 0;
    }
    r->in_payload = false;
    r->head_len = 0;
}

size_t ws_reader_next(struct ws_reader *r, char *bytes, size_t len, struct ws_part *out)
{
    size_t used = 0;
    size_t n = 0;
    bool is_control = false;

    memset(out, 0, sizeof *out);
    if (!r->in_payload) {
        used = read_head(r, bytes, len, out);
        if (!r->in_payload || out->kind == WS_PART_BROKEN) {
            return used;
        }
    }
    n = len - used < r->left ? len - used : (size_t)r->left;
    is_control = (opcode_of(r) & IS_CONTROL) != 0;
    unmask(r, bytes + used, n);
    r->left -= n;
    out->kind = is_control ? WS_PART_CONTROL : WS_PART_MESSAGE;
    out->opcode = (enum ws_opcode)(is_control ? opcode_of(r) : r->message);
    out->bytes = bytes + used;
    out->len = n;
    out->left = r->left;
    if (r->left == 0) {
        end_frame(r, is_control, out);
    }
    return used + n;
}
