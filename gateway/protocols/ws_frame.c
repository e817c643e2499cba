/* ws_frame: heads of 2, 4 or 10 bytes; ours are of 2 or 4, because no frame is over WS_FRAGMENT. */
#include "gateway/protocols/ws_frame.h"

#include <string.h>

#define FIN   0x80U
#define LEN16 126U

static size_t head_size(size_t payload_len)
{
    return payload_len < LEN16 ? 2 : 4;
}

static size_t write_frame(unsigned char *out, unsigned first, const char *payload, size_t len)
{
    size_t head = head_size(len);

    out[0] = (unsigned char)first;
    if (head == 2) {
        out[1] = (unsigned char)len;
    } else {
        out[1] = LEN16;
        out[2] = (unsigned char)(len >> 8);
        out[3] = (unsigned char)(len & 0xff);
    }
    if (len > 0) {
        memcpy(out + head, payload, len);
    }
    return head + len;
}

size_t ws_message_size(size_t payload_len)
{
    const size_t full = payload_len > 0 ? (payload_len - 1) / WS_FRAGMENT : 0;
    const size_t rest = payload_len - full * WS_FRAGMENT;

    return full * (WS_FRAGMENT_HEAD + WS_FRAGMENT) + head_size(rest) + rest;
}

size_t ws_message_write(char *out, const void *payload, size_t payload_len)
{
    const char *text = payload;
    unsigned char *bytes = (unsigned char *)out;
    unsigned opcode = WS_TEXT;
    size_t done = 0;
    size_t written = 0;

    do {
        size_t n = payload_len - done;
        unsigned fin = FIN;

        if (n > WS_FRAGMENT) {
            n = WS_FRAGMENT;
            fin = 0;
        }
        written += write_frame(bytes + written, fin | opcode, text + done, n);
        done += n;
        opcode = WS_CONTINUATION;
    } while (done < payload_len);
    return written;
}

void ws_message_add(struct buf *out, const void *payload, size_t payload_len)
{
    const size_t size = ws_message_size(payload_len);

    if (buf_reserve(out, size) == NHUB_OK) {
        out->len += ws_message_write(out->data + out->len, payload, payload_len);
    }
}
