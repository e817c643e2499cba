/*
 * ws_opening: SHA-1 (RFC 3174) and base64 (RFC 4648, section 4) for texts of one length only, which
 * is all that a handshake needs of them. SHA-1 guards nothing here: it shows that the server knows
 * the protocol.
 */
#include "gateway/protocols/ws_opening.h"

#include "gateway/protocols/ws_conn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#define TEXT_LEN   (WS_KEY_LEN + sizeof guid - 1)
#define BLOCK      64
#define BLOCKS     2 /* the text, a bit, the length */
#define DIGEST_LEN 20

_Static_assert(TEXT_LEN > BLOCK - 9 && TEXT_LEN <= (size_t)BLOCK * BLOCKS - 9, "other blocks");

static uint32_t turn(uint32_t word, unsigned by)
{
    return word << by | word >> (32 - by);
}

static uint32_t read32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* RFC 3174, section 6.1: b, c and d of round t, and the round's constant. */
static uint32_t mix(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
    switch (t / 20) {
    case 0:
        return ((b & c) | (~b & d)) + 0x5a827999U;
    case 1:
        return (b ^ c ^ d) + 0x6ed9eba1U;
    case 2:
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcU;
    default:
        return (b ^ c ^ d) + 0xca62c1d6U;
    }
}

static void add_block(uint32_t h[5], const unsigned char *block)
{
    uint32_t w[80];
    uint32_t a = h[0];
    uint32_t b = h[1];
    uint32_t c = h[2];
    uint32_t d = h[3];
    uint32_t e = h[4];

    for (unsigned t = 0; t < 80; t++) {
        w[t] = t < 16 ? read32(block + (size_t)4 * t)
                      : turn(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    }
    for (unsigned t = 0; t < 80; t++) {
        const uint32_t next = turn(a, 5) + mix(t, b, c, d) + e + w[t];

        e = d;
        d = c;
        c = turn(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

static void digest(const char *key, unsigned char out[DIGEST_LEN])
{
    uint32_t h[5] = {0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U, 0xc3d2e1f0U};
    unsigned char text[BLOCK * BLOCKS] = {0};

    memcpy(text, key, WS_KEY_LEN);
    memcpy(text + WS_KEY_LEN, guid, sizeof guid - 1);
    text[TEXT_LEN] = 0x80;
    text[sizeof text - 2] = (TEXT_LEN * 8) >> 8; /* in bits, at the end */
    text[sizeof text - 1] = (TEXT_LEN * 8) & 0xff;
    for (size_t i = 0; i < BLOCKS; i++) {
        add_block(h, text + i * BLOCK);
    }
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void ws_opening_accept(const char *key, char out[WS_ACCEPT_LEN + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char bytes[DIGEST_LEN + 1];
    char *to = out;

    digest(key, bytes);
    bytes[DIGEST_LEN] = 0; /* the last group has two bytes */
    for (size_t i = 0; i < sizeof bytes; i += 3) {
        const unsigned group =
            (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];

        for (unsigned shift = 24; shift > 0; shift -= 6) {
            *to++ = digits[group >> (shift - 6) & 63U];
        }
    }
    to[-1] = '=';
    *to = '\0';
}

nhub_err ws_opening_create(struct ws_opening **out, int fd, const struct http_head *head,
                           struct stream_query *query)
{
    struct ws_opening *opening = calloc(1, sizeof *opening);
    char gone[2048];
    size_t left = head->length;

    if (!opening) {
        return NHUB_ENOMEM;
    }
    while (left > 0) {
        const ssize_t n = recv(fd, gone, left < sizeof gone ? left : sizeof gone, MSG_DONTWAIT);

        if (n <= 0) {
            free(opening);
            return NHUB_ECLOSED;
        }
        left -= (size_t)n;
    }
    opening->fd = fd;
    opening->names_our_protocol = head->names_our_protocol;
    ws_opening_accept(head->ws_key.p, opening->accept);
    opening->query = *query;
    *query = (struct stream_query){0};
    *out = opening;
    return NHUB_OK;
}

void ws_opening_destroy(struct ws_opening **opening_p)
{
    struct ws_opening *opening = *opening_p;

    *opening_p = NULL;
    if (!opening) {
        return;
    }
    if (opening->fd >= 0) {
        (void)close(opening->fd);
    }
    query_free(&opening->query);
    free(opening);
}

void ws_opening_answer(const struct ws_opening *opening, struct buf *out)
{
    buf_add_str(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    buf_add(out, opening->accept, WS_ACCEPT_LEN);
    buf_add_str(out, opening->names_our_protocol ? "\r\nSec-WebSocket-Protocol: " WS_PROTOCOL_NAME
                                                   "\r\n\r\n"
                                                 : "\r\n\r\n");
}
