// libs: nhub_wire nhub_base
/*
 * What a peer sends before and as frames: a verdict never changes for the better with more bytes,
 * reading always ends, and each span lies inside what it was read from.
 */
#include <stdint.h>
#include <strings.h>

#include "tests/fuzz/jansson_oracle.h"
#include "wire/zmtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 16 }; /* the head and some bytes of the body, one by one */

static uint64_t big_endian(const char *bytes, size_t len)
{
    uint64_t number = 0;

    for (size_t i = 0; i < len; i++) {
        number = number * 256 + (unsigned char)bytes[i];
    }
    return number;
}

/* ---- greeting ---- */

static bool is_greeting(const char *bytes, size_t len)
{
    static const char mechanism[20] = "NULL";

    return len >= ZMTP_GREETING_LEN && bytes[0] == '\xff' && bytes[9] == '\x7f' &&
           (unsigned char)bytes[10] >= 3 && memcmp(bytes + 12, mechanism, sizeof mechanism) == 0;
}

/* Too short is EAGAIN until it is OK or EPROTO, and both of these stay. */
static void check_greeting(const char *bytes, size_t size)
{
    nhub_err before = NHUB_EAGAIN;

    for (size_t len = 0; len <= size && len <= ZMTP_GREETING_LEN + 2; len++) {
        char *cut = exact_copy(bytes, len);
        const nhub_err err = zmtp_greeting_check(cut, len);

        EXPECT(err == NHUB_OK || err == NHUB_EAGAIN || err == NHUB_EPROTO);
        EXPECT(before == NHUB_EAGAIN || err == before);
        EXPECT(err == NHUB_EPROTO || (err == NHUB_OK) == (len >= ZMTP_GREETING_LEN));
        EXPECT((err == NHUB_OK) == is_greeting(cut, len));
        before = err;
        free(cut);
    }
}

/* ---- what we write ---- */

/* A frame that was added is read back; made the last one, it is that and otherwise the same. */
static void check_added(const char *bytes, size_t size, bool more)
{
    struct zmtp_frame frame;
    struct buf out;
    size_t used = 0;

    buf_init(&out);
    zmtp_add_frame(&out, bytes, size, more);
    EXPECT(zmtp_frame_read(out.data, out.len, size, &frame, &used) == NHUB_OK && used == out.len);
    EXPECT(frame.len == size && frame.more == more && !frame.is_command);
    EXPECT(used == size + (size > 255 ? ZMTP_HEAD_MAX : 2) &&
           memcmp(frame.bytes, bytes, size) == 0);
    zmtp_set_last(out.data);
    EXPECT(zmtp_frame_read(out.data, out.len, size, &frame, &used) == NHUB_OK && used == out.len);
    EXPECT(frame.len == size && !frame.more && !frame.is_command);
    buf_fini(&out);
}

/* Only a PING is answered, with what stands behind its time to live. */
static void check_pong(const char *body, size_t len, bool is_command)
{
    const struct zmtp_frame command = {.bytes = body, .len = len, .is_command = is_command};
    const bool is_ping = is_command && len >= 7 && len <= 7 + 16 && memcmp(body, "\4PING", 5) == 0;
    struct zmtp_frame pong;
    struct buf out;
    size_t used = 0;

    buf_init(&out);
    zmtp_add_pong(&out, &command);
    EXPECT((out.len > 0) == is_ping);
    if (is_ping) {
        EXPECT(zmtp_frame_read(out.data, out.len, 21, &pong, &used) == NHUB_OK && used == out.len);
        EXPECT(pong.is_command && !pong.more && pong.len == len - 2);
        EXPECT(memcmp(pong.bytes, "\4PONG", 5) == 0);
        EXPECT(memcmp(pong.bytes + 5, body + 7, len - 7) == 0);
    }
    buf_fini(&out);
}

/* ---- frames ---- */

/* Fewer bytes of what gave err: EAGAIN, or the refusal that more bytes only confirm. */
static void check_cut(const char *bytes, size_t len, size_t max, nhub_err err)
{
    char *cut = exact_copy(bytes, len);
    struct zmtp_frame frame = {.len = 77};
    size_t used = 77;
    const nhub_err got = zmtp_frame_read(cut, len, max, &frame, &used);

    EXPECT(got == NHUB_EAGAIN || (got == NHUB_EPROTO && err == NHUB_EPROTO));
    EXPECT(!frame.bytes && frame.len == 77 && used == 77); /* untouched */
    free(cut);
}

static void check_ready(const char *body, size_t len, bool is_command)
{
    char *copy = exact_copy(body, len);
    const struct zmtp_frame command = {.bytes = copy, .len = len, .is_command = is_command};
    const char *type = NULL;
    size_t type_len = 0;
    const nhub_err err = zmtp_ready_type(&command, &type, &type_len);

    EXPECT(err == NHUB_OK || err == NHUB_EPROTO);
    if (err == NHUB_OK) {
        const size_t at = (size_t)(type - copy);

        EXPECT(is_command && memcmp(copy, "\5READY", 6) == 0);
        EXPECT(type >= copy + 22 && at <= len && type_len <= len - at);
        EXPECT(big_endian(type - 4, 4) == type_len);
        EXPECT(strncasecmp(type - 16, "\13Socket-Type", 12) == 0);
    }
    free(copy);
}

static void check_frame(const char *bytes, size_t max, const struct zmtp_frame *frame, size_t used)
{
    const size_t head = bytes[0] & 2 ? 9 : 2;

    EXPECT(frame->bytes == bytes + head && frame->len <= max && used == head + frame->len);
    EXPECT(big_endian(bytes + 1, head - 1) == frame->len);
    EXPECT((bytes[0] & ~7) == 0);
    EXPECT(frame->more == ((bytes[0] & 1) != 0) && frame->is_command == ((bytes[0] & 4) != 0));
    check_ready(frame->bytes, frame->len, frame->is_command);
    check_pong(frame->bytes, frame->len, frame->is_command);
    if (used > CUTS) {
        check_cut(bytes, used - 1, max, NHUB_OK);
    }
}

/* Ends, because each frame takes at least its head. */
static void check_frames(const char *bytes, size_t size, size_t max)
{
    size_t pos = 0;
    nhub_err err = NHUB_OK;

    while (err == NHUB_OK) {
        struct zmtp_frame frame;
        size_t used = 0;
        size_t cut = 0;

        err = zmtp_frame_read(bytes + pos, size - pos, max, &frame, &used);
        EXPECT(err == NHUB_OK || err == NHUB_EAGAIN || err == NHUB_EPROTO);
        if (err == NHUB_OK) {
            EXPECT(used >= 2 && used <= size - pos);
            check_frame(bytes + pos, max, &frame, used);
        }
        for (cut = 0; cut < CUTS && cut < (err == NHUB_OK ? used : size - pos); cut++) {
            check_cut(bytes + pos, cut, max, err);
        }
        pos += used;
    }
}

static void check_written(const char *bytes, size_t size)
{
    struct zmtp_frame frame;
    const char *type = NULL;
    struct buf out;
    size_t len = 0;

    buf_init(&out);
    len = zmtp_begin(&out);
    buf_add(&out, bytes, size);
    zmtp_end(&out, len);
    EXPECT(zmtp_frame_read(out.data, out.len, size, &frame, &len) == NHUB_OK && len == out.len);
    EXPECT(frame.len == size && !frame.more && !frame.is_command);
    EXPECT(memcmp(frame.bytes, bytes, size) == 0);
    buf_reset(&out);
    if (size > 0 && size < 128 && !bytes[size - 1]) {
        zmtp_add_ready(&out, bytes);
        EXPECT(zmtp_frame_read(out.data, out.len, 255, &frame, &len) == NHUB_OK && len == out.len);
        EXPECT(zmtp_ready_type(&frame, &type, &len) == NHUB_OK && len == strlen(bytes));
        EXPECT(memcmp(type, bytes, len) == 0);
        buf_reset(&out);
        zmtp_add_error(&out, bytes);
        EXPECT(zmtp_frame_read(out.data, out.len, 255, &frame, &len) == NHUB_OK && len == out.len);
        EXPECT(frame.is_command && !frame.more && memcmp(frame.bytes, "\5ERROR", 6) == 0);
        EXPECT(frame.len == 7 + strlen(bytes) && (unsigned char)frame.bytes[6] == strlen(bytes));
        EXPECT(memcmp(frame.bytes + 7, bytes, strlen(bytes)) == 0);
    }
    buf_fini(&out);
}

/* Frames begin behind a good greeting, or at once, so that each is found from either. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t limits[] = {8, 1000, SIZE_MAX};
    char *bytes = exact_copy(data, size);
    const size_t begin = zmtp_greeting_check(bytes, size) == NHUB_OK ? ZMTP_GREETING_LEN : 0;

    check_greeting(bytes, size);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        check_frames(bytes + begin, size - begin, limits[i]);
    }
    check_ready(bytes, size, true);
    check_pong(bytes, size, true);
    check_written(bytes, size);
    check_added(bytes, size, size % 2);
    free(bytes);
    return 0;
}
